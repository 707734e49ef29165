"""Run any package on arrays: several inputs and outputs, any axes, outputs of another size than the input.

Whole images only; a model whose output has its input's size is tiled by `zooferry.prediction` instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from zooferry.errors import ZooferryError
from zooferry.instance_steps import LIBRARIES
from zooferry.instances.declaration import LABELS, Declaration, read_declaration
from zooferry.instances.images import decode_planes
from zooferry.normalization import apply_operations
from zooferry.package import OpenPackage, load_weights
from zooferry.package_description import TensorSpec
from zooferry.prediction import mirror

if TYPE_CHECKING:
    from zooferry.engines import Infer

Arrays = Mapping[str, np.ndarray]
Lengths = Mapping[str, Mapping[str, int]]  # tensor id -> axis id -> pixels


def run_package(
    package: OpenPackage, inputs: Arrays, *, weights: str | None = None, trust_code: bool = False
) -> dict[str, np.ndarray]:
    """Run a package on raw arrays of any size.

    Parameters
    ----------
    package : OpenPackage
    inputs : mapping
        Input id -> raw array with the axes of that input. Sizes that the network does not take are mirrored at the
        high end up to the next one, and the outputs cut accordingly.
    weights : str, optional
        "onnx", "torchscript" or "pytorch_state_dict"; by default the first of them that there is.
    trust_code : bool
        Whether code that the package brings may be run, for its state dict.

    Returns
    -------
    dict
        Output id -> array with the axes of that output, in the order of the description; then, if the package declares
        instances, "labels": int32, the axes of the first head with one channel.

    Raises
    ------
    ZooferryError
        An input is missing or has a shape that the model cannot take; a processing step, the weights or the network
        cannot be used.
    """
    found = infer_arrays(package, inputs, load_weights(package, weights, trust_code=trust_code))
    declaration = read_declaration(package.content, [*found])
    return {**found, LABELS: _labels(package, declaration, inputs, found)} if declaration else found


def _labels(package: OpenPackage, declaration: Declaration, inputs: Arrays, found: Arrays) -> np.ndarray:
    axes = {t.id: t.axes for t in package.outputs}
    deep = declaration.volume and "z" in axes[declaration.outputs[0]]
    spatial = ["z", "y", "x"] if deep else ["y", "x"]
    order = [*(["batch"] if "batch" in axes[declaration.outputs[0]] else []), "channel", *spatial]
    parts = []
    for name in declaration.outputs:
        if sorted(order) != sorted(axes[name]):
            allowed = ", ".join(["batch", "channel", *spatial])
            raise ZooferryError(f"instances: {name!r} has axes {', '.join(axes[name])}; allowed are {allowed}")
        heads = found[name].transpose([axes[name].index(axis) for axis in order])
        parts.append(heads.reshape(-1, *heads.shape[order.index("channel") :]))
    given = package.inputs[0]
    shape = tuple(inputs[given.id].shape[given.axes.index(axis)] for axis in spatial)
    labels = decode_planes(declaration, np.concatenate(parts, axis=1), shape, unique=False)
    labels = labels.reshape([len(labels)] * ("batch" in order) + [1, *shape])
    return np.asarray(labels.transpose([order.index(axis) for axis in axes[declaration.outputs[0]]]))


def infer_arrays(package: OpenPackage, inputs: Arrays, infer: Infer, *, fit: bool = True) -> dict[str, np.ndarray]:
    """`run_package` with a network that is already loaded; without `fit` the arrays are given to it as they are."""
    given = {t.id: _labelled(t, inputs) for t in package.inputs}
    raw = {t.id: (given[t.id], t.axes) for t in package.inputs}
    sizes = {t.id: dict(zip(t.axes, given[t.id].shape, strict=True)) for t in package.inputs}
    arrays = [apply_operations(t.operations, given[t.id], t.axes, references=raw, own=t.id) for t in package.inputs]
    if fit:
        lengths = fitting_lengths(package.inputs, sizes)
        arrays = [mirror(a, lengths[t.id]) for a, t in zip(arrays, package.inputs, strict=True)]
    results = infer(arrays)
    if len(results) != len(package.outputs):
        raise ZooferryError(f"the network returned {len(results)} outputs, the description has {len(package.outputs)}")
    found = {}
    for tensor, array in zip(package.outputs, results, strict=True):
        labels = any(operation["id"] in LIBRARIES for operation in tensor.operations)
        if array.ndim != len(tensor.axes):
            raise ZooferryError(f"output {tensor.id!r} has shape {array.shape}, and axes {', '.join(tensor.axes)}")
        if fit and not labels:  # before steps that take statistics; labels may come out of a coarser grid
            array = _cut(array, tensor, package.inputs, sizes)
        array = apply_operations(tensor.operations, array, tensor.axes, references=raw)
        found[tensor.id] = _cut(array, tensor, package.inputs, sizes) if fit and labels else array
    return {t.id: _as_declared(found[t.id], t) for t in package.outputs}


def _labelled(tensor: TensorSpec, inputs: Arrays) -> np.ndarray:
    if tensor.id not in inputs:
        raise ZooferryError(f"no array for the input {tensor.id!r}; given are {', '.join(inputs) or 'none'}")
    array = inputs[tensor.id]
    if array.ndim != len(tensor.axes):
        raise ZooferryError(f"input {tensor.id!r} has axes {', '.join(tensor.axes)}; the array has shape {array.shape}")
    return array


def _as_declared(array: np.ndarray, tensor: TensorSpec) -> np.ndarray:
    """Cast to the declared type unless the last step set one, as the format says."""
    last = tensor.operations[-1]["id"] if tensor.operations else ""
    if not tensor.dtype or last in ("ensure_dtype", "binarize", *LIBRARIES):
        return array
    return apply_operations([{"id": "ensure_dtype", "kwargs": {"dtype": tensor.dtype}}], array, tensor.axes)


def fitting_lengths(tensors: Sequence[TensorSpec], sizes: Lengths) -> dict[str, tuple[int, ...]]:
    """The smallest shape at or above the given one that each input takes.

    Raises
    ------
    ZooferryError
        An axis takes one length only, or a length that follows from another input, and is longer than that.
    """
    found: dict[str, dict[str, int]] = {t.id: dict(sizes[t.id]) for t in tensors}
    by_id = {t.id: t for t in tensors}
    # an axis that refers to another input's axis is done when that one is known
    for refers in (False, True):
        for tensor in tensors:
            for number, axis in enumerate(tensor.axes):
                size = tensor.sizes[number]
                if size is not None and ("tensor_id" in size if isinstance(size, Mapping) else False) is refers:
                    found[tensor.id][axis] = _fit(tensor, number, sizes[tensor.id][axis], by_id, found)
    return {t.id: tuple(found[t.id][a] for a in t.axes) for t in tensors}


def _fit(tensor: TensorSpec, number: int, length: int, by_id: Mapping[str, TensorSpec], found: Lengths) -> int:
    size = tensor.sizes[number]
    if isinstance(size, Mapping) and "step" in size:
        least, step = int(size["min"]), int(size["step"])
        return least + max(0, -(-(length - least) // step)) * step
    wanted = _referred(tensor, number, by_id, found) if isinstance(size, Mapping) and "tensor_id" in size else size
    if isinstance(wanted, Mapping) or wanted is None:  # depends on the data
        return length
    axis = tensor.axes[number]
    if length > wanted or (length < wanted and axis == "channel"):
        raise ZooferryError(
            f"input {tensor.id!r} takes {wanted} along {axis}; this array has {length}; crop or rescale it"
        )
    return int(wanted)


def _referred(tensor: TensorSpec, number: int, by_id: Mapping[str, TensorSpec], lengths: Lengths) -> int | None:
    """The length of an axis that refers to another one; None where the reference leads nowhere."""
    size = tensor.sizes[number]
    source = by_id.get(size["tensor_id"])
    if source is None or size["axis_id"] not in source.axes:
        return None
    scale = source.scales[source.axes.index(size["axis_id"])]
    length = lengths[source.id][size["axis_id"]] * scale / tensor.scales[number]
    return max(0, round(length) + int(size["offset"]))


def _cut(array: np.ndarray, tensor: TensorSpec, inputs: Sequence[TensorSpec], sizes: Lengths) -> np.ndarray:
    """The part of an output that belongs to the inputs as they were before they were mirrored."""
    by_id = {t.id: t for t in inputs}
    for number, axis in enumerate(tensor.axes):
        size = tensor.sizes[number]
        if isinstance(size, Mapping):
            wanted = _referred(tensor, number, by_id, sizes) if "tensor_id" in size else None
        else:
            wanted = sizes[inputs[0].id][axis] if _is_shared(axis, size, inputs) else None
        if wanted is not None and wanted < array.shape[number]:
            array = array[(*[slice(None)] * number, slice(wanted))]
    return array


def _is_shared(axis: str, size: int | None, inputs: Sequence[TensorSpec]) -> bool:
    """Whether an output's only length along an axis is that of the one input: then it is cut as the input was grown."""
    if size is None or axis == "channel" or len(inputs) != 1 or axis not in inputs[0].axes:
        return False
    return bool(inputs[0].sizes[inputs[0].axes.index(axis)] == size)
