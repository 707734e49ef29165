"""Folders of simulated images and label images: for tests of segmentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage
from simulated_heads import Case, blobs

from zooferry.axes import label_axes, spatial_axes
from zooferry.images import write_image


def labelled_array(seed: int, dims: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """A noisy image and its labels, both uint16, (Z) Y X."""
    labels = blobs(Case(seed, (64, 80), 8, (5, 8))).astype(np.uint16)
    if dims == 3:
        labels = np.stack([labels * (2 <= z < 10) for z in range(16)])
    bright = ndimage.gaussian_filter((labels > 0).astype(np.float32), 1)
    return np.random.default_rng(seed).poisson(20 + 80 * bright).astype(np.uint16), labels


def write_labelled(folder: Path, count: int, dims: int = 2) -> Path:
    """``folder/images`` and ``folder/labels``."""
    for number in range(count):
        for role, array in zip(("images", "labels"), labelled_array(number, dims), strict=True):
            image = label_axes(array, spatial_axes(dims))
            image.attrs.update(pixel_size={axis: 0.2 for axis in spatial_axes(dims)}, unit="micrometer")
            write_image(folder / role / f"nuclei_{number}.tif", image)
    return folder
