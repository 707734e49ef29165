"""Feed a host that reads and writes image files (ImageJ): test input -> TIFF -> host -> TIFF -> test output's axes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zooferry.axes import label_axes
from zooferry.errors import HostAbsentError, ZooferryError
from zooferry.hosts import HostRun
from zooferry.images import read_image, write_image
from zooferry.package import OpenPackage, open_package

if TYPE_CHECKING:
    import xarray as xr

    from zooferry.package import TensorSpec

IMAGE_AXES = {"batch": "t", "channel": "c", "z": "z", "y": "y", "x": "x"}


def run(package: Path, scratch: Path) -> HostRun:
    """Restore the package's raw test input in a headless ImageJ.

    Parameters
    ----------
    package : Path
        Package folder or zip.
    scratch : Path
        Folder for ``test_input.tif`` and ImageJ's result.

    Returns
    -------
    HostRun
        The one output as float32 with the axes of the rdf's output tensor.

    Raises
    ------
    HostAbsentError
        No Java, or a package that cannot be run on image files (several inputs or outputs, unknown axes).
    ZooferryError
        ImageJ says that it failed.
    """
    from zooferry.hosts import imagej

    reason = imagej.availability()
    if reason:
        raise HostAbsentError(reason)
    with open_package(package) as opened:
        given, wanted = _single_tensors(opened)
        image = write_image(scratch / "test_input.tif", as_image(given))
        (result,) = imagej.run_images(opened.folder, [image], scratch / "restored")
    if result.result is None:
        raise ZooferryError(result.message)
    restored = to_tensor(read_image(result.result), wanted)
    return HostRun(f"ImageJ {imagej.imagej_version()}, {result.engine}", {wanted.id: restored})


def as_image(tensor: TensorSpec) -> xr.DataArray:
    """The stored test tensor as an image with its pixel size; axes of length 1 are dropped."""
    image = label_axes(tensor.test_array(), tuple(IMAGE_AXES[axis] for axis in tensor.axes))
    if tensor.pixel_size:
        image.attrs.update(pixel_size=dict(tensor.pixel_size), unit=tensor.unit)
    return image


def to_tensor(image: xr.DataArray, tensor: TensorSpec) -> np.ndarray:
    """An image with the axes of `tensor`; axes that the file has lost have length 1."""
    names = [IMAGE_AXES[axis] for axis in tensor.axes]
    with contextlib.suppress(ValueError):
        missing = [name for name in names if name not in image.dims]
        return np.asarray(image.expand_dims(missing).transpose(*names).values)
    raise ZooferryError(f"the result has axes {' '.join(map(str, image.dims))}, expected {' '.join(names)}")


def _single_tensors(opened: OpenPackage) -> tuple[TensorSpec, TensorSpec]:
    if len(opened.inputs) != 1 or len(opened.outputs) != 1:
        raise HostAbsentError(
            f"the package has {len(opened.inputs)} inputs and {len(opened.outputs)} outputs; "
            "this host takes one image and returns one"
        )
    for tensor in (opened.inputs[0], opened.outputs[0]):
        unknown = [axis for axis in tensor.axes if axis not in IMAGE_AXES]
        if unknown:
            raise HostAbsentError(f"axis {unknown[0]!r} of {tensor.id!r} has no place in an ImageJ image")
    return opened.inputs[0], opened.outputs[0]
