"""Patches for ``zooferry benchmark voidseg``: cut by chance from labelled images, noisy, few of them annotated.

Weights and thresholds are chosen on whole images from which no patch is cut (the paper validates on 670 patches,
whatever the fraction). The patches of a smaller fraction are among those of a larger one. Noise is added once to every
whole image, before anything is cut.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zooferry.axes import label_axes
from zooferry.errors import ZooferryError
from zooferry.files import whole_folder
from zooferry.images import write_image
from zooferry.segmentation_evaluation import LabelledImage, read_labelled

SIDE = 128  # pixels of a patch in y and x
FRACTIONS = {
    "P1": 10, "P2": 19, "P3": 38, "P4": 76, "P5": 152, "P6": 304, "P7": 608, "P8": 1216, "P9": 2432, "P10": 3800
}  # fmt: skip
VALIDATION, HELD_OUT = 24, 0.15  # images for validation: so many, or that part of all if it is less
TRAINING_NOISE = 1  # seed; that of the scored images is 0, as in `zooferry evaluate`
TRIES = 50  # windows without any object, after which an image gives none
Patch = tuple[np.ndarray, np.ndarray]


def write_noisy(images: Path, labels: Path, noise: float, out: Path) -> list[LabelledImage]:
    """All training images with noise, which are also written to `out`, for a denoiser.

    Raises
    ------
    ZooferryError
        See `segmentation_evaluation.read_labelled`; an image is a stack, or smaller than a patch.
    """
    found = read_labelled(images, labels, noise=noise, seed=TRAINING_NOISE)
    for item in found:
        if item.image.dims != ("y", "x") or min(item.image.shape) < SIDE:
            raise ZooferryError(
                f"{item.name} has axes {''.join(map(str, item.image.dims))} and shape {item.image.shape}; "
                f"the benchmark takes plain images of at least {SIDE} x {SIDE} pixels"
            )
    if not out.exists():
        with whole_folder(out) as folder:
            for item in found:
                write_image(folder / item.name, item.image.astype(np.float32))
    return found


def write_patches(images: Sequence[LabelledImage], count: int, seed: int, out: Path) -> None:
    """``out/images`` and ``out/labels``: `count` patches p0000.tif ... and the images for validation v0000.tif ...

    Every patch holds a part of an object at least; where it lies depends on the seed and the images' sizes alone.
    """
    if out.exists():
        return
    if len(images) < 2:
        raise ZooferryError(
            "the benchmark takes 2 images or more: some are for validation, and no patch is cut from them"
        )
    rng = np.random.default_rng(seed)
    order = [images[int(i)] for i in rng.permutation(len(images))]
    held = min(VALIDATION, max(1, round(HELD_OUT * len(images))))
    with whole_folder(out) as folder:
        for number, item in enumerate(order[:held]):
            _write(folder, f"v{number:04d}", (item.image.values.astype(np.float32), item.labels.values))
        for number in range(count):
            _write(folder, f"p{number:04d}", _window(order[held:], rng))


def _write(folder: Path, name: str, patch: Patch) -> None:
    for role, array in zip(("images", "labels"), patch, strict=True):
        write_image(folder / role / f"{name}.tif", label_axes(array, ("y", "x")))


def _window(images: Sequence[LabelledImage], rng: np.random.Generator) -> Patch:
    """Every image has the same chance, large or small, as it has the same weight in the scores."""
    for _ in range(TRIES * len(images)):
        item = images[int(rng.integers(len(images)))]
        top, left = (int(rng.integers(0, n - SIDE + 1)) for n in item.image.shape)
        window = (slice(top, top + SIDE), slice(left, left + SIDE))
        labels = item.labels.values[window]
        if labels.any():
            return item.image.values[window].astype(np.float32), labels.astype(np.uint16)
    raise ZooferryError(f"no window of {SIDE} x {SIDE} pixels holds an object; give label images of objects")


def link_fraction(patches: Path, count: int, out: Path) -> tuple[str, ...]:
    """A folder with the first `count` patches and the images for validation, whose names it returns."""
    names = sorted(path.name for path in (patches / "images").iterdir())
    held = tuple(name for name in names if name.startswith("v"))
    wanted = [*[name for name in names if name.startswith("p")][:count], *held]
    if not out.exists():
        with whole_folder(out) as folder:
            for role in ("images", "labels"):
                (folder / role).mkdir()
                for name in wanted:
                    _link(patches / role / name, folder / role / name)
    return held


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(source, target)
