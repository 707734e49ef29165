"""TorchScript with our own processing steps, nothing else in between."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zooferry.hosts import HostRun
from zooferry.hosts.direct import Infer, run_test_input


def run(package: Path) -> HostRun:
    """Run the test input of `package` (folder or zip) on the CPU; errors as in `run_test_input`."""
    outputs = run_test_input(package, "torchscript", load)
    return HostRun(f"torch {importlib.metadata.version('torch')}", outputs)


def load(weights: Path) -> Infer:
    """A function from the network's inputs (arrays, cast to float32, in order) to its outputs."""
    import torch

    with warnings.catch_warnings():
        # torch wants to retire TorchScript; the Java engines read nothing else
        warnings.filterwarnings("ignore", message=".*torch.jit.load.*deprecated")
        network = torch.jit.load(str(weights), map_location="cpu").eval()  # type: ignore[no-untyped-call]

    def infer(inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        with torch.inference_mode():
            result = network(*[torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in inputs])
        several = result if isinstance(result, (tuple, list)) else (result,)
        return [tensor.numpy() for tensor in several]

    return infer
