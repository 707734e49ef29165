"""Training without images: specimens drawn while training, to be degraded like clean images (Weigert et al. 2018).

What `zooferry train --set specimen.kind=tubes` does; how the drawn light becomes a noisy image is `degrading`'s part.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zooferry import axes
from zooferry.errors import ZooferryError
from zooferry.settings import Settings
from zooferry.specimen import CellSettings, Grid, draw_cells
from zooferry.structures import GranuleSettings, TubeSettings, draw_granules, draw_tubes
from zooferry.training_data import RawData, RawSample

LOOKS: dict[str, type[Any]] = {"cells": CellSettings, "tubes": TubeSettings, "granules": GranuleSettings}
KEYS = ("kind", "shape", "pixel_size", "images")
SHAPES = {2: (256, 256), 3: (24, 96, 96)}
PIXEL_SIZES = {2: (0.1, 0.1), 3: (0.3, 0.1, 0.1)}


@dataclass(frozen=True)
class Specimen:
    """What is drawn.

    Attributes
    ----------
    kind : str
        One of `LOOKS`.
    grid : Grid
        Pixels of each image, (Y, X) or (Z, Y, X).
    images : int
        How many there are at a time; while training they are replaced by fresh ones.
    look : object
        The settings of this kind, see `specimen` and `structures`.
    """

    kind: str
    grid: Grid
    images: int
    look: Any

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Light of one specimen, float32 C (Z) Y X."""
        if self.kind == "cells":
            light, _ = draw_cells(self.grid, self.look, rng=rng)
        else:
            light = (draw_tubes if self.kind == "tubes" else draw_granules)(self.grid, self.look, rng=rng)
        return light[np.newaxis].astype(np.float32)


def read_specimen(values: Mapping[str, Any], dims: int = 0) -> Specimen:
    """A specimen from what a user wrote.

    Parameters
    ----------
    values : mapping
        ``kind``; ``shape`` in pixels and ``pixel_size`` in um, (z), y, x; ``images``; and the fields of that kind's
        settings, such as ``persistence_um``.
    dims : int
        Spatial axes where no shape is given; 0 takes 2.

    Raises
    ------
    ZooferryError
        An unknown kind or key, or a value that cannot be.
    """
    kind = values.get("kind")
    if kind not in LOOKS:
        raise ZooferryError(f"specimen: kind is {kind!r}; allowed: {', '.join(LOOKS)}")
    names = [f.name for f in dataclasses.fields(LOOKS[kind])]
    unknown = sorted(set(map(str, values)) - {*KEYS, *names})
    if unknown:
        raise ZooferryError(f"specimen: unknown {', '.join(unknown)}; allowed for {kind}: {', '.join([*KEYS, *names])}")
    shape = values.get("shape") or SHAPES[dims or 2]
    size = values.get("pixel_size") or PIXEL_SIZES.get(len(shape) if isinstance(shape, (list, tuple)) else 0, ())
    shape, size = _numbers("shape", shape, 8, 4096), _numbers("pixel_size", size, 1e-3, 10)
    if len(shape) not in (2, 3) or len(size) != len(shape) or (dims and len(shape) != dims):
        raise ZooferryError(
            f"specimen: shape is {list(shape)} and pixel_size {list(size)}; allowed: as many numbers as dims in each"
        )
    (images,) = _numbers("images", [values.get("images", 8)], 1, 1000)
    look = {name: _numbers(name, [values[name]], 0, 1e4)[0] for name in names if name in values}
    return Specimen(kind, Grid(tuple(int(n) for n in shape), size), int(images), LOOKS[kind](**look))


def _numbers(name: str, values: Any, least: float, most: float) -> tuple[float, ...]:
    numbers = isinstance(values, (list, tuple)) and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) and least <= v <= most for v in values
    )
    if not numbers:
        raise ZooferryError(f"specimen: {name} is {values!r}; allowed: numbers from {least:g} to {most:g}")
    return tuple(float(v) for v in values)


def require_one_source(images: Path | None, settings: Settings) -> None:
    """Refuse images and a specimen together, neither of them, and a specimen without what makes it noisy.

    Raises
    ------
    ZooferryError
        See above.
    """
    specimen = getattr(settings, "specimen", None)
    if images is not None:
        if specimen:
            raise ZooferryError("specimen says what to draw; leave --images away, or say --set specimen={}")
        return
    if not specimen:
        raise ZooferryError("no images to train on; give --images DIR, or let them be drawn with --recipe tubes")
    if not getattr(settings, "degrade", None):
        raise ZooferryError("specimen draws clean images; say what makes them noisy, such as --set degrade.photons=30")


def draw_data(settings: Settings) -> RawData:
    """Raw training data of drawn specimens, as if they had been read from files; the seed decides.

    Raises
    ------
    ZooferryError
        A wrong specimen.
    """
    specimen = read_specimen(getattr(settings, "specimen", None) or {}, settings.dims)
    names = axes.spatial_axes(len(specimen.grid.shape))
    samples, files = [], []
    for number in range(specimen.images):
        light = specimen.draw(np.random.default_rng([settings.seed, 1, number]))
        name = f"{specimen.kind}_{number:03d} (drawn)"
        samples.append(RawSample(number, name, light, None))
        digest = hashlib.sha256(light.tobytes()).hexdigest()
        files.append({"file": name, "sha256": digest, "shape": list(light.shape[1:]), "axes": "".join(names)})
    pixel_size = dict(zip(names, specimen.grid.pixel_size, strict=True))
    calibration = {"pixel_size": pixel_size, "unit": "micrometer"}
    return RawData(len(names), samples, files, calibration, fresh=specimen.draw)
