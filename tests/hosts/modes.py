"""Packages of our own whose images are more than one plane: a projection, several channels, a volume."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from zooferry import runs
from zooferry.images import read_image, write_image
from zooferry.packager import package_run

TINY = {"steps": 3, "validate_every": 3, "width": 4, "depth": 1, "patch": 32, "batch": 1}


@dataclass(frozen=True)
class Mode:
    """A package, an image for it and a tile that is smaller than the image; `shape` is the result's."""

    package: Path
    image: Path
    tile: int
    shape: tuple[int, ...]


def make_modes(folder: Path, pairs_3d: Path, care3d: Path) -> dict[str, Mode]:
    """Name -> mode; `pairs_3d` and `care3d` are what conftest makes, noisy and clean volumes and a run on them."""
    volume = sorted((pairs_3d / "noisy").iterdir())[0]
    size = read_image(volume).shape
    for path in (pairs_3d / "clean").iterdir():
        clean = read_image(path)
        write_image(folder / "flat" / path.name, clean.max("z").assign_attrs(pixel_size={"y": 0.1, "x": 0.1}))
    projection = _train("projection", folder, pairs_3d / "noisy", folder / "flat", projection_depth=1)
    coloured = _channels(folder, volume)
    channels = _train("n2v", folder, coloured.parent, None)
    deep = _unpacked(care3d, folder / "care3d")
    return {
        "projection": Mode(projection, volume, 24, size[1:]),
        "channels": Mode(channels, coloured, 24, (2, *size[1:])),
        "volume": Mode(deep, volume, 52, size),
    }


def _channels(folder: Path, volume: Path) -> Path:
    """Two slices of a volume as channels, the second one ten times as bright."""
    stack = read_image(volume)
    array = np.stack([stack.values[3], 10 * stack.values[9]])
    image = xr.DataArray(array, dims=("c", "y", "x"), attrs={"pixel_size": {"y": 0.1, "x": 0.1}, "unit": "micrometer"})
    return write_image(folder / "coloured" / "two.tif", image)


def _train(method: str, folder: Path, images: Path, targets: Path | None, **values: Any) -> Path:
    run = folder / method
    runs.train_method(
        method, run, images=images, targets=targets, values=TINY | values, seconds=None, resume=False, say=print
    )
    return _unpacked(run, folder / f"{method}_package")


def _unpacked(run: Path, folder: Path) -> Path:
    with zipfile.ZipFile(package_run(run, folder.with_suffix(".zip"), card=None, say=print)) as package:
        package.extractall(folder)
    return folder
