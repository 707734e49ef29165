"""Run the test input with our own processing steps and a bare inference engine: what both direct hosts share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from zooferry.engines import Infer
from zooferry.engines import load as load_engine
from zooferry.errors import HostAbsentError
from zooferry.normalization import why_impossible
from zooferry.package import open_package, weights_file
from zooferry.running import infer_arrays


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
        The package has no such weights, or a processing step that cannot be done here.
    ZooferryError
        The network returns another number of outputs than the description has.
    """
    with open_package(package) as opened:
        if weight_format not in opened.weights:
            raise HostAbsentError(f"the package has no {weight_format} weights")
        steps = [step for tensor in (*opened.inputs, *opened.outputs) for step in tensor.operations]
        problem = why_impossible(steps)
        if problem:
            raise HostAbsentError(f"this host cannot do it: {problem}")
        infer = load_engine(opened.name, load, weights_file(opened, weight_format))
        return infer_arrays(opened, {t.id: t.test_array() for t in opened.inputs}, infer, fit=False)
