"""Packages that are more than one image in and one of the same size out, on image files' arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr

from zooferry import axes
from zooferry.errors import ZooferryError
from zooferry.package import OpenPackage, load_weights
from zooferry.package_description import TensorSpec
from zooferry.running import infer_arrays

LETTERS = {"batch": "b", "channel": "c", "z": "z", "y": "y", "x": "x"}  # axis id -> axis of a sample, and the batch


def require_images(package: OpenPackage) -> None:
    """Refuse a package whose tensors are no images of channels, (z), y and x.

    Raises
    ------
    ZooferryError
        See above.
    """
    for tensor in (*package.inputs, *package.outputs):
        unknown = [axis for axis in tensor.axes if axis not in LETTERS]
        if unknown or not {"y", "x"} <= set(tensor.axes):
            raise ZooferryError(
                f"{package.name}: {tensor.id!r} has axes {', '.join(tensor.axes)}; allowed for images are batch, "
                "channel, z, y, x; use zooferry.running.run_package on arrays"
            )
    if len({"z" in tensor.axes for tensor in package.inputs}) > 1:
        raise ZooferryError(f"{package.name} takes planes and stacks; use zooferry.running.run_package on arrays")


def restore_whole(
    package: OpenPackage, *, trust_code: bool = False
) -> Callable[[Sequence[xr.DataArray]], dict[str, xr.DataArray]]:
    """A function from one image per input to one image per output, by the id of the output.

    Every time point, and every slice for a model of planes, is run by itself; the inputs must agree in them.
    """
    infer = load_weights(package, trust_code=trust_code)
    dims = 3 if "z" in package.inputs[0].axes else 2

    def restore(images: Sequence[xr.DataArray]) -> dict[str, xr.DataArray]:
        cut = [list(axes.samples(image, dims)) for image in images]
        if any([where for where, _ in c] != [where for where, _ in cut[0]] for c in cut):
            raise ZooferryError(f"{package.name}: its images differ in their numbers of time points or slices")
        found: dict[str, list[tuple[dict[str, int], np.ndarray]]] = {t.id: [] for t in package.outputs}
        for parts in zip(*cut, strict=True):
            arrays = {t.id: to_tensor(sample, t) for t, (_, sample) in zip(package.inputs, parts, strict=True)}
            results = infer_arrays(package, arrays, infer)
            for tensor in package.outputs:
                found[tensor.id].append((parts[0][0], to_sample(results[tensor.id], tensor)))
        return {t.id: _image(images[0], found[t.id], t, package.inputs[0]) for t in package.outputs}

    return restore


def to_tensor(sample: np.ndarray, tensor: TensorSpec) -> np.ndarray:
    """A sample C (Z) Y X with the axes of an input.

    Raises
    ------
    ZooferryError
        It has another number of channels.
    """
    channels = tensor.sizes[tensor.axes.index("channel")] if "channel" in tensor.axes else 1
    if sample.shape[0] != channels:
        raise ZooferryError(
            f"image has {sample.shape[0]} channel(s), the input {tensor.id!r} takes {channels}; split or merge the "
            "channels (ImageJ: Image > Color)"
        )
    named = xr.DataArray(sample[np.newaxis], dims=("b", "c", *axes.spatial_axes(sample.ndim - 1)))
    wanted = [LETTERS[axis] for axis in tensor.axes]
    return np.asarray(named.squeeze([a for a in ("b", "c") if a not in wanted]).transpose(*wanted).values)


def to_sample(array: np.ndarray, tensor: TensorSpec) -> np.ndarray:
    """An output as a sample C (Z) Y X."""
    named = xr.DataArray(array, dims=[LETTERS[axis] for axis in tensor.axes])
    if "b" in named.dims:
        named = named.isel(b=0)
    if "c" not in named.dims:
        named = named.expand_dims("c")
    return np.asarray(named.transpose(*[a for a in ("c", "z", "y", "x") if a in named.dims]).values)


def _image(
    image: xr.DataArray, results: list[tuple[dict[str, int], np.ndarray]], output: TensorSpec, given: TensorSpec
) -> xr.DataArray:
    """The samples put together, with the pixel size that the description's scales give."""
    result = axes.assemble(image, results)
    sizes: Mapping[str, float] = image.attrs.get("pixel_size", {})
    if sizes:
        scales = {t.id: dict(zip(t.axes, t.scales, strict=True)) for t in (given, output)}
        wanted = {a: n * _ratio(a, scales[output.id], scales[given.id]) for a, n in sizes.items()}
        result.attrs["pixel_size"] = wanted
    return result


def _ratio(axis: str, output: Mapping[str, float], given: Mapping[str, float]) -> float:
    return output[axis] / given[axis] if axis in output and axis in given else 1.0
