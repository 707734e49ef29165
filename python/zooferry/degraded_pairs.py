"""Folders of pairs made from clean images: what ``zooferry degrade`` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from zooferry import __version__, axes
from zooferry.degrading import Degradation, degrade, pixel_size_um, read_degradation
from zooferry.errors import ZooferryError
from zooferry.files import sha256, whole_folder, write_json
from zooferry.images import list_images, read_image, require_usable, write_image

Say = Callable[[str], None]
ROLES = ("noisy", "second")  # of the takes; the clean images lie in "clean"
RECORD = "degradation.json"


def write_degraded(
    images: Path, out: Path, values: Mapping[str, Any], *, seed: int, takes: int = 1, say: Say = print
) -> Path:
    """Write ``out/noisy`` and ``out/clean`` under the images' own names, and degradation.json: what was done.

    Everything goes to a folder beside `out` that is renamed at the end, so that nothing half-written stays.

    Parameters
    ----------
    images : Path
        Folder of clean TIFFs; stacks are degraded as volumes, every time point by itself.
    out : Path
        Must not exist, or be an empty folder.
    values : mapping
        See `zooferry.degrading.read_degradation`.
    seed : int
        The same seed and images give the same pairs; a name that sorts before the others moves all later ones.
    takes : int
        1, or 2 for a second exposure of the same light in ``out/second``, as Noise2Noise needs it.
    say : callable
        Gets a line per image.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    ZooferryError
        A wrong value, an unusable image, or a folder that holds something or cannot be written.
    """
    degradation = read_degradation(values)
    _require_possible(seed, takes)
    paths = list_images(images)
    with whole_folder(out) as unfinished:
        records = []
        for number, path in enumerate(paths):
            image = read_image(path)
            require_usable(path, image)
            rng = np.random.default_rng([seed, number])
            made, drawn = degrade_image(image, degradation, rng=rng, takes=takes)
            for role, result in made.items():
                write_image(unfinished / role / f"{path.stem}.tif", result)
            records.append({"file": path.name, "sha256": sha256(path), "samples": drawn})
            say(f"image {number + 1} of {len(paths)}  {path.name}")
        about = {"zooferry": __version__, "seed": seed, "takes": takes, "degradation": dict(values)}
        write_json(unfinished / RECORD, about | {"images": records})
    return out


def _require_possible(seed: int, takes: int) -> None:
    if not 0 <= seed < 2**32:
        raise ZooferryError(f"seed is {seed}; allowed: 0 to {2**32 - 1}")
    if takes not in (1, 2):
        raise ZooferryError(f"takes is {takes}; allowed: 1, or 2 for Noise2Noise")


def degrade_image(
    image: xr.DataArray, degradation: Degradation, *, rng: np.random.Generator, takes: int = 1
) -> tuple[dict[str, xr.DataArray], list[dict[str, Any]]]:
    """The takes and the clean part of one image, by role, with their calibration, and what was drawn.

    Parameters
    ----------
    image : DataArray
        Axes among t c z y x.
    degradation : Degradation
    rng : numpy.random.Generator
    takes : int
        See `write_degraded`.
    """
    dims = 3 if "z" in image.dims else 2
    pixel_size = pixel_size_um(image.attrs, degradation, dims)
    results: dict[str, list[tuple[dict[str, int], np.ndarray]]] = {}
    drawn = []
    for position, array in axes.samples(image, dims):
        seen, clean, record = degrade(array, degradation, pixel_size=pixel_size, rng=rng, takes=takes)
        drawn.append(position | record)
        for role, part in (*zip(ROLES, seen, strict=False), ("clean", clean)):
            results.setdefault(role, []).append((position, part))
    made = {role: axes.assemble(image, parts) for role, parts in results.items()}
    factors = dict(zip(axes.spatial_axes(dims), degradation.factors(dims), strict=True))
    coarse = max(factors.values()) > 1
    for role in ROLES[:takes]:
        kept = made[role].attrs
        if not (coarse and degradation.same_size):  # whole grey values of the camera
            made[role] = made[role].astype(np.uint16)
            made[role].attrs.update(kept)
        if coarse and not degradation.same_size and "pixel_size" in kept:
            made[role].attrs["pixel_size"] = {a: s * factors.get(a, 1) for a, s in kept["pixel_size"].items()}
    return made, drawn
