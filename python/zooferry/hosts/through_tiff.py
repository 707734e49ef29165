"""Feed a host that reads and writes image files: test input -> TIFF -> host -> TIFF -> test output's axes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zooferry.axes import label_axes
from zooferry.errors import HostAbsentError, ZooferryError
from zooferry.hosts import HostRun
from zooferry.images import read_image, write_image
from zooferry.package import open_package

if TYPE_CHECKING:
    import xarray as xr

    from zooferry.hosts.imagej import ImageResult, Run
    from zooferry.package import TensorSpec

IMAGE_AXES = {"batch": "t", "time": "t", "channel": "c", "z": "z", "y": "y", "x": "x"}


def run(package: Path, scratch: Path) -> HostRun:
    """Restore the package's raw test inputs in a headless ImageJ.

    Parameters
    ----------
    package : Path
        Package folder or zip.
    scratch : Path
        Folder for ``test_input.tif`` (further inputs: ``test_input_1.tif`` ...) and ImageJ's results.

    Returns
    -------
    HostRun
        The outputs as float32 with the axes of the rdf's output tensors.

    Raises
    ------
    HostAbsentError
        No Java, a package that cannot be run on image files (unknown axes), or one that asks for what ImageJ cannot
        do yet.
    ZooferryError
        ImageJ says that it failed.
    """
    from zooferry.hosts import imagej

    reason = imagej.availability()
    if reason:
        raise HostAbsentError(reason)
    result, outputs = feed(package, scratch, lambda one: imagej.run_packages([one])[0])
    return HostRun(f"ImageJ {imagej.imagej_version()}, {result.engine}", outputs)


def feed(
    package: Path, scratch: Path, restore: Callable[[Run], ImageResult]
) -> tuple[ImageResult, dict[str, np.ndarray]]:
    """Write the raw test inputs as TIFF, let a host restore them, and read its results.

    Parameters
    ----------
    package, scratch
        As for `run`.
    restore : callable
        The host: a run whose package is a folder -> how it went.

    Returns
    -------
    result, outputs
        What the host said, and output id -> float32 with the axes of the rdf's output tensor.

    Raises
    ------
    HostAbsentError, ZooferryError
        As for `run`.
    """
    from zooferry.hosts.imagej import Run

    with open_package(package) as opened:
        require_images((*opened.inputs, *opened.outputs))
        names = [f"test_input_{number}.tif" if number else "test_input.tif" for number in range(len(opened.inputs))]
        images = [write_image(scratch / n, as_image(t)) for n, t in zip(names, opened.inputs, strict=True)]
        result = restore(Run(opened.folder, tuple(images), scratch / "restored"))
    if result.unsupported:
        raise HostAbsentError(result.message)
    if result.message:
        raise ZooferryError(result.message)
    return result, {t.id: to_tensor(read_image(result.results[t.id]), t) for t in opened.outputs}


def as_image(tensor: TensorSpec) -> xr.DataArray:
    """The stored test tensor as an image with its pixel size; axes of length 1 are dropped."""
    array, names = tensor.test_array(), _image_axes(tensor)
    if len(names) < len(tensor.axes):  # a batch of one time series
        array = array.squeeze(tensor.axes.index("batch"))
    image = label_axes(array, names)
    if tensor.pixel_size:
        image.attrs.update(pixel_size=dict(tensor.pixel_size), unit=tensor.unit)
    return image


def to_tensor(image: xr.DataArray, tensor: TensorSpec) -> np.ndarray:
    """An image with the axes of `tensor`; axes that the file has lost have length 1."""
    if not {"y", "x"} & set(tensor.axes):  # ImageJ gives a vector as an image of one row
        return np.asarray(image.values.reshape([-1 if axis == "channel" else 1 for axis in tensor.axes]))
    names = _image_axes(tensor)
    with contextlib.suppress(ValueError):
        missing = [name for name in names if name not in image.dims]
        array = np.asarray(image.expand_dims(missing).transpose(*names).values)
        return array if len(names) == len(tensor.axes) else np.expand_dims(array, tensor.axes.index("batch"))
    raise ZooferryError(f"the result has axes {' '.join(map(str, image.dims))}, expected {' '.join(names)}")


def require_images(tensors: Sequence[TensorSpec]) -> None:
    """Refuse tensors that are no image files.

    Raises
    ------
    HostAbsentError
        An axis has no place in an ImageJ image.
    """
    for tensor in tensors:
        unknown = [axis for axis in tensor.axes if axis not in IMAGE_AXES]
        if unknown:
            raise HostAbsentError(f"axis {unknown[0]!r} of {tensor.id!r} has no place in an ImageJ image")


def _image_axes(tensor: TensorSpec) -> tuple[str, ...]:
    # a batch of time series has no place in an image: only one of them
    axes = [axis for axis in tensor.axes if axis != "batch" or "time" not in tensor.axes]
    return tuple(IMAGE_AXES[axis] for axis in axes)
