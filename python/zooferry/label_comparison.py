"""Two label images of the same scene -> one verdict by objects, whatever their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from zooferry.comparison import Comparison, compare, spaced
from zooferry.errors import ZooferryError
from zooferry.instance_steps import LIBRARIES
from zooferry.instances.declaration import LABELS, decode, read_declaration
from zooferry.package import OpenPackage, TensorSpec
from zooferry.segmentation_metrics import overlap

SAME = 0.9  # IoU from which two objects are the same; a network's last digits may move a pixel of an outline
HALF = 0.5  # of an object: two parts that each have so much of their own in it are a split


def compare_labels(actual: np.ndarray, expected: np.ndarray, *, name: str, axes: tuple[str, ...] = ()) -> Comparison:
    """Compare label images object by object.

    Parameters
    ----------
    actual, expected : ndarray
        Whole numbers of any axes, 0 is background.
    name : str
        What is compared.
    axes : tuple of str
        Names of the axes.

    Returns
    -------
    Comparison
        Passed if each object has a partner with an IoU of `SAME` or more. Its numbers are those of the pixels, after
        the actual objects got the numbers of their partners.
    """
    if actual.shape != expected.shape:
        return compare(actual, expected, name=name, axes=axes)
    try:
        found = overlap(expected, actual)
    except ZooferryError as error:
        return replace(compare(actual, expected, name=name, axes=axes), passed=False, reason=f"{name!r}: {error}")
    pairs = found.pairs(SAME)
    numbers = {there: here for here, there, _ in pairs}
    beyond = int(expected.max(initial=0)) + 1
    renamed = {int(n): numbers.get(int(n), beyond + i) for i, n in enumerate(found.predicted)}
    values, places = np.unique(actual, return_inverse=True)
    again = np.array([renamed.get(int(value), 0) for value in values], np.int64)[places].reshape(actual.shape)
    plain = compare(again, expected.astype(np.int64), name=name, axes=axes)
    missed, invented = len(found.true) - len(pairs), len(found.predicted) - len(pairs)
    inside = found.shared / np.maximum(found.predicted_sizes, 1)
    split = int(np.count_nonzero(np.count_nonzero(inside > HALF, axis=1) > 1)) if inside.size else 0
    worst = min((iou for _, _, iou in pairs), default=1.0)
    words = (
        f"{spaced(len(pairs))} of {spaced(len(found.true))} objects matched (IoU {SAME:g}), worst IoU {worst:.4f}, "
        f"{missed} missed, {invented} invented, {split} split"
    )
    right = not missed and not invented
    return replace(plain, passed=right, reason="" if right else f"{name!r}: {words}", words=words)


def is_labels(package: OpenPackage, tensor: TensorSpec) -> bool:
    """Whether an output holds numbers of objects."""
    config = package.content.get("config")
    said = config.get("zooferry") if isinstance(config, Mapping) else None
    kinds = said.get("kinds") if isinstance(said, Mapping) else None
    ours = kinds.get(tensor.id) if isinstance(kinds, Mapping) else None
    return ours == "labels" or any(operation["id"] in LIBRARIES for operation in tensor.operations)


def declared_labels(package: OpenPackage, outputs: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """The labels of one image that a package declares to lie in its outputs.

    Parameters
    ----------
    package : OpenPackage
    outputs : mapping
        Output id -> array of batch, channel, (z), y, x.

    Returns
    -------
    ndarray or None
        int32, (Z) Y X; None where nothing is declared, an output is missing, or it has other axes.
    """
    declaration = read_declaration(package.content, [tensor.id for tensor in package.outputs])
    if declaration is None or any(name not in outputs for name in declaration.outputs):
        return None
    axes = {tensor.id: tensor.axes for tensor in package.outputs}
    space = ("z", "y", "x") if declaration.volume else ("y", "x")
    if any(tuple(axes[name]) != ("batch", "channel", *space) for name in declaration.outputs):
        return None
    heads = np.concatenate([outputs[name][0] for name in declaration.outputs])
    raw = package.inputs[0]
    shape = tuple(n for n, axis in zip(raw.test_array().shape, raw.axes, strict=True) if axis in space)
    return decode(declaration, heads, shape)


def declared_verdict(package: OpenPackage, outputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, Comparison] | None:
    """Labels of a host's outputs, and their comparison with those of the stored outputs; None without any."""
    found = declared_labels(package, outputs)
    expected = declared_labels(package, {tensor.id: tensor.test_array() for tensor in package.outputs})
    if found is None or expected is None:
        return None
    return found, compare_labels(found, expected, name=LABELS, axes=("z", "y", "x")[-found.ndim :])
