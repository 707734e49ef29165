"""What is evaluated: noisy images, and their clean partners where there are any."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from zooferry.degradation import enlarge
from zooferry.errors import ZooferryError
from zooferry.images import list_images, match_pairs, read_image, require_usable


@dataclass(frozen=True, eq=False)
class Source:
    """A noisy image, axes among t c z y x."""

    name: str
    noisy: xr.DataArray

    @property
    def raw(self) -> xr.DataArray:
        """The noisy image on the grid on which it is judged."""
        return self.noisy


@dataclass(frozen=True, eq=False)
class Pair(Source):
    """A noisy image and its clean partner, axes among t c z y x; the partner may have more pixels, or no z."""

    clean: xr.DataArray

    @property
    def raw(self) -> xr.DataArray:
        """The noisy image on the grid of its partner, linearly interpolated where that has more pixels.

        Where the partner has no z it is the maximum projection.
        """
        noisy = projected(self.noisy, self.clean)
        factors = _factors(noisy, self.clean)
        if max(factors) == 1:
            return noisy
        spatial = [a for a in noisy.dims if a in ("z", "y", "x")]
        larger: xr.DataArray = xr.apply_ufunc(
            lambda a: enlarge(a, factors).astype(np.float32),
            noisy,
            input_core_dims=[spatial],
            output_core_dims=[spatial],
            exclude_dims=set(spatial),
            vectorize=True,
        ).transpose(*noisy.dims)
        larger.attrs.update(self.clean.attrs)
        return larger


def projected(noisy: xr.DataArray, clean: xr.DataArray) -> xr.DataArray:
    """The maximum along z of a stack whose partner has no z, with its attributes; any other image as it is."""
    if "z" not in noisy.dims or "z" in clean.dims:
        return noisy
    return noisy.max("z").assign_attrs(noisy.attrs)


def _factors(noisy: xr.DataArray, clean: xr.DataArray) -> tuple[int, ...]:
    """How many times more pixels the partner has per spatial axis; empty where it is no partner."""
    spatial = [a for a in noisy.dims if a in ("z", "y", "x")]
    if noisy.dims != clean.dims or any(noisy.sizes[a] != clean.sizes[a] for a in noisy.dims if a not in spatial):
        return ()
    if any(clean.sizes[a] % noisy.sizes[a] for a in spatial):
        return ()
    return tuple(clean.sizes[a] // noisy.sizes[a] for a in spatial)


def require_like(name: str, restored: xr.DataArray, clean: xr.DataArray) -> None:
    """Refuse a restoration of `name` that has other axes or sizes than the clean image.

    Raises
    ------
    ZooferryError
        See above.
    """
    if restored.sizes != clean.sizes:
        sizes = [" x ".join(f"{a} {n}" for a, n in image.sizes.items()) for image in (restored, clean)]
        raise ZooferryError(f"{name}: the model makes {sizes[0]} of it, its target is {sizes[1]}; they must be alike")


def read_sources(images: Path) -> list[Source]:
    """All images of a folder, without partners.

    Raises
    ------
    ZooferryError
        A file is unusable.
    """
    sources = []
    for path in list_images(images):
        noisy = read_image(path)
        require_usable(path, noisy)
        sources.append(Source(path.name, noisy))
    return sources


def read_pairs(images: Path, targets: Path) -> list[Pair]:
    """All pairs of two folders.

    Raises
    ------
    ZooferryError
        A partner is missing, a file is unusable, or the shapes differ.
    """
    pairs = []
    for path, target in match_pairs(images, targets):
        noisy, clean = read_image(path), read_image(target)
        require_usable(path, noisy)
        if not _factors(projected(noisy, clean), clean):
            raise ZooferryError(
                f"{path} has shape {noisy.shape}, its target {target} {clean.shape}; partners must have the same shape"
            )
        pairs.append(Pair(path.name, noisy, clean))
    return pairs
