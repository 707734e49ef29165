"""Axis names <-> network order B C (Z) Y X <-> ImageJ order; the only place that moves axes.

An image is an :class:`xarray.DataArray` whose dimensions are a subset of ``t c z y x`` in that order.
A *sample* is what a network sees of it: a channel-first array C (Z) Y X with N spatial axes. 2D is N = 2.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from zooferry.errors import ZooferryError

IMAGE_AXES = ("t", "c", "z", "y", "x")
IMAGEJ_AXES = ("t", "z", "c", "y", "x")  # the order of the planes in an ImageJ TIFF


def spatial_axes(dims: int) -> tuple[str, ...]:
    """Names of the `dims` (2 or 3) spatial axes, slowest first."""
    if dims not in (2, 3):
        raise ZooferryError(f"dims is {dims}; allowed are 2 (y, x) and 3 (z, y, x)")
    return ("z", "y", "x")[-dims:]


def network_axes(dims: int) -> tuple[str, ...]:
    """Axis ids of a network's tensors as the bioimage.io format spells them: batch, channel, (z), y, x."""
    return ("batch", "channel", *spatial_axes(dims))


def label_axes(array: np.ndarray, axes: str | tuple[str, ...]) -> xr.DataArray:
    """An image from an array and its axis names; length-1 axes other than y and x are dropped."""
    names = tuple(axes)
    image = xr.DataArray(array, dims=names)
    single = [a for a in names if a not in ("y", "x") and image.sizes[a] == 1]
    image = image.squeeze(single, drop=True)
    return image.transpose(*[a for a in IMAGE_AXES if a in image.dims])


def samples(image: xr.DataArray, dims: int) -> Iterator[tuple[dict[str, int], np.ndarray]]:
    """Cut an image into network samples.

    Parameters
    ----------
    image : DataArray
        Axes among t c z y x.
    dims : int
        Spatial axes of the network. With 2, every z slice is a sample; every time point always is.

    Yields
    ------
    position : dict
        Index along the axes that were cut (t, and z where dims is 2).
    sample : ndarray
        Array C (Z) Y X (a view), C is 1 where the image has no channel axis.

    Raises
    ------
    ZooferryError
        A 3D network met an image without z.
    """
    if dims == 3 and "z" not in image.dims:
        raise ZooferryError(
            f"a 3D network needs a stack with a z axis; this image has axes {''.join(map(str, image.dims))}"
        )
    keep = ("c", *spatial_axes(dims))
    cut = [str(a) for a in image.dims if a not in keep]
    for index in np.ndindex(*[image.sizes[a] for a in cut]):
        position = dict(zip(cut, (int(i) for i in index), strict=True))
        part = image.isel(position)
        array = part.transpose(*[a for a in keep if a in part.dims]).values
        yield position, array if "c" in part.dims else array[np.newaxis]


def assemble(image: xr.DataArray, results: list[tuple[dict[str, int], np.ndarray]]) -> xr.DataArray:
    """Put the results of all samples of `image` back together.

    Parameters
    ----------
    image : DataArray
        The image that was cut; its coordinates' meaning (pixel size, unit) is kept in ``attrs``.
    results : list of (position, array)
        As :func:`samples` yields them, arrays C (Z) Y X of float32.

    Returns
    -------
    DataArray
        Axes of the image; a channel axis only if the results have more than one channel.
    """
    first = results[0][1]
    cut = list(results[0][0])
    sample_axes = ("c", *spatial_axes(first.ndim - 1))
    sizes = [image.sizes[a] for a in cut]
    whole = np.empty((*sizes, *first.shape), first.dtype)
    for position, array in results:
        whole[tuple(position[a] for a in cut)] = array
    result = label_axes(whole, (*cut, *sample_axes))
    result.attrs.update(image.attrs)
    return result


def to_imagej(image: xr.DataArray) -> tuple[np.ndarray, str]:
    """The image in ImageJ's plane order T Z C Y X (only the axes it has), and those axes in capitals."""
    order = [a for a in IMAGEJ_AXES if a in image.dims]
    return np.ascontiguousarray(image.transpose(*order).values), "".join(order).upper()
