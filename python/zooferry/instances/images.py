"""Heads of whole images to label images: every plane (or stack) is decoded by itself, and no number occurs twice."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from zooferry.errors import ZooferryError
from zooferry.instances.declaration import Declaration, decode

LARGEST_16_BIT = 65535


def label_image(declaration: Declaration, heads: Mapping[str, xr.DataArray], source: xr.DataArray) -> xr.DataArray:
    """Labels of an image.

    Parameters
    ----------
    declaration : Declaration
    heads : mapping
        Output id -> image, axes among t c z y x.
    source : DataArray
        The image; the labels have its Y X and its calibration.

    Returns
    -------
    DataArray
        uint16, above 65,535 objects float32, as ImageJ keeps labels; axes of the heads without c. Objects of later
        planes go on with the numbers of the earlier ones.

    Raises
    ------
    ZooferryError
        The heads are not what the method takes.
    """
    parts = [heads[name] if "c" in heads[name].dims else heads[name].expand_dims("c") for name in declaration.outputs]
    spatial = ("z", "y", "x") if declaration.volume and "z" in parts[0].dims else ("y", "x")
    others = [axis for axis in parts[0].dims if axis not in ("c", *spatial)]
    together = np.concatenate([part.transpose(*others, "c", *spatial).values for part in parts], axis=len(others))
    shape = tuple(source.sizes[axis] for axis in spatial)
    labels = decode_planes(declaration, together.reshape(-1, *together.shape[len(others) :]), shape)
    values = labels.reshape(*together.shape[: len(others)], *shape)
    values = values.astype(np.uint16 if values.max() <= LARGEST_16_BIT else np.float32)
    return xr.DataArray(values, dims=[*others, *spatial], attrs=dict(source.attrs))


def decode_planes(
    declaration: Declaration, heads: np.ndarray, shape: tuple[int, ...] | None = None, *, unique: bool = True
) -> np.ndarray:
    """N C (Z) Y X -> int32, N (Z) Y X, with numbers that go on from plane to plane if they are to be `unique`."""
    found, highest = [], 0
    for plane in heads:
        labels = decode(declaration, plane, shape)
        if shape and labels.shape != shape:
            raise ZooferryError(
                f"the outputs {', '.join(declaration.outputs)} are {labels.shape} pixels, the image {shape}; "
                f"{declaration.method} takes the image's size"
            )
        found.append(np.where(labels > 0, labels + highest, 0).astype(np.int32))
        highest += int(labels.max()) if unique else 0
    return np.stack(found)
