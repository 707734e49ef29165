"""ONNX Runtime with our own processing steps, nothing else in between."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zooferry.hosts import HostRun
from zooferry.hosts.direct import Infer, run_test_input

DTYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


def run(package: Path) -> HostRun:
    """Run the test input of `package` (folder or zip) on the CPU; errors as in `run_test_input`."""
    outputs = run_test_input(package, "onnx", load)
    return HostRun(f"onnxruntime {importlib.metadata.version('onnxruntime')}", outputs)


def load(weights: Path) -> Infer:
    """A function from the network's inputs (float arrays, in order) to its outputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads cost CPU time
    session = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])

    def infer(inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        feeds = {
            node.name: array.astype(DTYPES.get(node.type, array.dtype), copy=False)
            for node, array in zip(session.get_inputs(), inputs, strict=True)
        }
        return [np.asarray(output) for output in session.run(None, feeds)]

    return infer
