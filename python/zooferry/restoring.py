"""Files in, files out: what ``zooferry predict`` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from zooferry import axes
from zooferry.errors import ZooferryError
from zooferry.files import make_folder
from zooferry.images import read_image, require_usable, write_image
from zooferry.package import open_model
from zooferry.prediction import Model, predict

Say = Callable[[str], None]


def restore_image(model: Model, image: xr.DataArray, *, tile: int | None = None) -> xr.DataArray:
    """Restore every sample (time point; slice, for a 2D model) of an image.

    Parameters
    ----------
    model : Model
    image : DataArray
        Raw grey values, axes among t c z y x.
    tile : int, optional
        Tile length in pixels.

    Returns
    -------
    DataArray
        float32 with the calibration of `image`.
    """
    results = [(where, predict(model, array, tile=tile)) for where, array in axes.samples(image, model.dims)]
    return axes.assemble(image, results)


def restore_files(model_path: Path, images: Sequence[Path], out: Path, *, tile: int | None, say: Say) -> int:
    """Restore images into a folder, under their own names; a bad image does not stop the others.

    Parameters
    ----------
    model_path : Path
        Run folder, package folder or package zip.
    images : sequence of Path
    out : Path
    tile : int, optional
    say : callable
        Gets one line per image.

    Returns
    -------
    int
        How many images could not be restored.

    Raises
    ------
    ZooferryError
        The model cannot be opened, two images have the same name, an image would be overwritten, or the only
        image is unusable.
    """
    targets = result_paths(images, out)
    failed = 0
    with open_model(model_path) as model:
        for number, (path, target) in enumerate(zip(images, targets, strict=True), start=1):
            try:
                image = read_image(path)
                require_usable(path, image)
                restored = restore_image(model, image, tile=tile)
                make_folder(out)
                write_image(target, restored)
                say(f"{number} of {len(images)}  {path.name} -> {target}")
            except ZooferryError as error:
                if len(images) == 1:
                    raise
                failed += 1
                say(f"{number} of {len(images)}  {path.name}: {error}")
    return failed


def result_paths(images: Sequence[Path], out: Path) -> list[Path]:
    """``out/<name>.tif`` for every image.

    Raises
    ------
    ZooferryError
        Two images have the same name, or a result would replace its image.
    """
    targets = [out / f"{path.stem}.tif" for path in images]
    seen: dict[Path, Path] = {}
    for path, target in zip(images, targets, strict=True):
        if target in seen:
            raise ZooferryError(f"{seen[target]} and {path} have the same name; restore them into two folders")
        if target.exists() and path.exists() and target.samefile(path):
            raise ZooferryError(f"{target} would replace the image itself; choose another --out")
        seen[target] = path
    return targets


def require_finite_output(name: str, image: np.ndarray) -> None:
    """Refuse a restoration that holds NaN or infinity.

    Raises
    ------
    ZooferryError
        See above.
    """
    if not np.isfinite(image).all():
        raise ZooferryError(f"{name}: the restoration holds NaN or infinite pixels; the model does not fit this image")
