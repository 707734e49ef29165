"""Run the test input with our own processing steps and a bare inference engine: what both direct hosts share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from zooferry.errors import HostAbsentError, ZooferryError
from zooferry.normalization import apply_operations
from zooferry.package import open_package

Infer = Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]


def run_test_input(package: Path, weight_format: str, load: Callable[[Path], Infer]) -> dict[str, np.ndarray]:
    """Pre-process, infer and post-process the stored test input.

    Parameters
    ----------
    package : Path
        Package folder or zip.
    weight_format : str
        ``onnx`` or ``torchscript``.
    load : callable
        Weights file -> a function from the network's inputs to its outputs, both in the rdf's order.

    Returns
    -------
    dict
        Output id -> array with the axes of the rdf's output tensor.

    Raises
    ------
    HostAbsentError
        The package has no such weights.
    ZooferryError
        The network returns another number of outputs than the description has.
    """
    with open_package(package) as opened:
        if weight_format not in opened.weights:
            raise HostAbsentError(f"the package has no {weight_format} weights")
        infer = load(opened.weights[weight_format])
        results = infer([apply_operations(t.operations, t.test_array(), t.axes) for t in opened.inputs])
        if len(results) != len(opened.outputs):
            raise ZooferryError(
                f"the network returned {len(results)} outputs, the description has {len(opened.outputs)}"
            )
        return {
            tensor.id: apply_operations(tensor.operations, result, tensor.axes)
            for tensor, result in zip(opened.outputs, results, strict=True)
        }
