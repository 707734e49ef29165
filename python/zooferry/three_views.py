"""A 2D network on volumes: planes along z, y and x, and flows that are averaged from the three views.

Stringer et al., Cellpose: a generalist algorithm for cellular segmentation, Nature Methods 2021, section "3D
segmentation"; slices that are thicker than pixels are interpolated for the views from the sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from zooferry.instances.declaration import Declaration
from zooferry.interpolation import middles, neighbours
from zooferry.training_data import RawData, RawSample

Restore = Callable[[Sequence[xr.DataArray]], Mapping[str, xr.DataArray]]
# axis that is cut -> axes of the volume that become z, y and x
VIEWS = {"z": ("z", "y", "x"), "y": ("y", "z", "x"), "x": ("x", "z", "y")}


def averaged_heads(restore: Restore, image: xr.DataArray, declaration: Declaration) -> dict[str, xr.DataArray]:
    """Flows along z, y and x, and the logit, of a volume.

    Parameters
    ----------
    restore : callable
        Images -> heads of a 2D network that sees the slices of a stack one by one: flows along the rows and columns,
        and the logit, of the size of the image.
    image : DataArray
        With axes z, y, x, and perhaps t, c.
    declaration : Declaration
        Of flows; its `anisotropy` is the size of pixels along z, y, x.

    Returns
    -------
    dict
        Output id -> DataArray, axes as `image` with c: the flows' mean of the two views that show them, and the mean of
        the three logits.
    """
    flow_name, prob_name = declaration.outputs
    thickness = slice_thickness(declaration.parameters.get("anisotropy", (1.0, 1.0, 1.0)))
    thick = resized(image, round(image.sizes["z"] * thickness))
    along: dict[str, list[xr.DataArray]] = {"z": [], "y": [], "x": []}
    logits = []
    for view in VIEWS.values():
        turned = dict(zip(view, ("z", "y", "x"), strict=True))
        stack = thick.rename(turned).transpose(..., "z", "y", "x")
        stack.attrs = {}
        heads = restore([stack])
        back = {new: old for old, new in turned.items()}
        found = [heads[name].rename(back) for name in (flow_name, prob_name)]
        for channel, axis in enumerate(view[1:]):
            along[axis].append(found[0].isel(c=channel))
        logits.append(found[1].isel(c=0) if "c" in found[1].dims else found[1])
    order = tuple(str(axis) for axis in image.dims if axis != "c")
    parts = [_mean(along[axis], order) for axis in ("z", "y", "x")]
    flow = resized(xr.concat(parts, dim="c"), image.sizes["z"])
    prob = resized(_mean(logits, order).expand_dims("c"), image.sizes["z"])
    return {flow_name: flow.assign_attrs(image.attrs), prob_name: prob.assign_attrs(image.attrs)}


def _mean(parts: Sequence[xr.DataArray], order: tuple[str, ...]) -> xr.DataArray:
    arrays = [part.transpose(*order).values.astype(np.float32) for part in parts]
    return xr.DataArray(np.mean(arrays, axis=0, dtype=np.float32), dims=order)


def slice_thickness(sizes: Sequence[float]) -> float:
    """Of pixel sizes along z, y, x: how many pixels of y and x a slice is thick."""
    return float(sizes[0]) / ((float(sizes[1]) + float(sizes[2])) / 2)


def resized(image: xr.DataArray, slices: int) -> xr.DataArray:
    """The image with so many slices, linearly interpolated; z's ends stay where they are."""
    axis = image.dims.index("z")
    values = interpolated(np.moveaxis(image.values, axis, 0), slices)
    return xr.DataArray(np.moveaxis(values, 0, axis), dims=image.dims, attrs=dict(image.attrs))


def interpolated(array: np.ndarray, count: int, *, nearest: bool = False) -> np.ndarray:
    """`count` slices of an array along its first axis; float32, or of its own type where whole ones are taken."""
    length = len(array)
    if count == length:
        return array
    places = middles(length, count)
    if nearest:
        return np.asarray(array[np.rint(places).astype(int)])
    low, high, weights = neighbours(places, length)
    part = weights.astype(np.float32).reshape(-1, *[1] * (array.ndim - 1))
    return np.asarray(array[low] * (1 - part) + array[high] * part, np.float32)


def with_side_views(raw: RawData, *, thickness: float, smallest: int) -> RawData:
    """Training data of planes, with the planes along y and x of the volumes that they are the slices of.

    Parameters
    ----------
    raw : RawData
        Samples C Y X; those of one file, time point by time point, are its slices in their order.
    thickness : float
        Of a slice in pixels of y and x; thicker ones are interpolated.
    smallest : int
        Planes with a shorter side, pixels, are left out.
    """
    volumes: dict[tuple[int, str], list[RawSample]] = {}
    for sample in raw.samples:
        if " z=" in sample.name and sample.target is not None:
            before, _, after = sample.name.partition(" z=")
            volumes.setdefault((sample.file, before + after.partition(" ")[2]), []).append(sample)
    made = [view for (file, name), slices in volumes.items() for view in _sides(file, name, slices, thickness)]
    return replace(raw, samples=[*raw.samples, *[s for s in made if min(s.image.shape[1:]) >= smallest]])


def _sides(file: int, name: str, slices: Sequence[RawSample], thickness: float) -> list[RawSample]:
    count = round(len(slices) * thickness)
    image = interpolated(np.stack([s.image for s in slices]), count)  # Z C Y X
    target = interpolated(np.stack([s.target for s in slices if s.target is not None]), count, nearest=True)
    found = []
    for axis, letter in ((2, "y"), (3, "x")):
        planes = zip(np.moveaxis(image, axis, 0), np.moveaxis(target, axis, 0), strict=True)  # Z C rest
        found += [
            RawSample(file, f"{name} {letter}={n}", np.moveaxis(a, 1, 0), np.moveaxis(b, 1, 0))
            for n, (a, b) in enumerate(planes)
        ]
    return found
