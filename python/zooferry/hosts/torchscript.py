"""TorchScript with our own processing steps, nothing else in between."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from zooferry.engines import load_torchscript as load
from zooferry.hosts import HostRun
from zooferry.hosts.direct import run_test_input


def run(package: Path) -> HostRun:
    """Run the test input of `package` (folder or zip) on the CPU; errors as in `run_test_input`."""
    outputs = run_test_input(package, "torchscript", load)
    return HostRun(f"torch {importlib.metadata.version('torch')}", outputs)
