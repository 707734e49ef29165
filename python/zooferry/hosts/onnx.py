"""ONNX Runtime with our own processing steps, nothing else in between."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from zooferry.engines import load_onnx as load
from zooferry.hosts import HostRun
from zooferry.hosts.direct import run_test_input


def run(package: Path) -> HostRun:
    """Run the test input of `package` (folder or zip) on the CPU; errors as in `run_test_input`."""
    outputs = run_test_input(package, "onnx", load)
    return HostRun(f"onnxruntime {importlib.metadata.version('onnxruntime')}", outputs)
