"""The places where a package can run. Importing this loads neither torch nor a JVM.

A *host* is a function of an unpacked package folder that runs the stored test input and returns what came
out. `zooferry check` calls each in a process of its own (see `zooferry.hosts.worker`), so a host may crash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class HostRun:
    """What a host made of a package's test input.

    Attributes
    ----------
    version : str
        The host's software with versions, e.g. ``"onnxruntime 1.20.1"``.
    outputs : dict
        Output id -> array with the axes of the rdf's output tensor.
    problems : tuple of str
        What the host itself found wrong, one sentence each; any of them fails the host.
    """

    version: str
    outputs: dict[str, np.ndarray]
    problems: tuple[str, ...] = ()


Host = Callable[[Path, Path], HostRun]


def _core_pytorch(package: Path, _scratch: Path) -> HostRun:
    from zooferry.hosts import core

    return core.run(package, "pytorch_state_dict")


def _core_torchscript(package: Path, _scratch: Path) -> HostRun:
    from zooferry.hosts import core

    return core.run(package, "torchscript")


def _core_onnx(package: Path, _scratch: Path) -> HostRun:
    from zooferry.hosts import core

    return core.run(package, "onnx")


def _onnx(package: Path, _scratch: Path) -> HostRun:
    from zooferry.hosts import onnx

    return onnx.run(package)


def _torchscript(package: Path, _scratch: Path) -> HostRun:
    from zooferry.hosts import torchscript

    return torchscript.run(package)


def _imagej(package: Path, scratch: Path) -> HostRun:
    from zooferry.hosts import through_tiff

    return through_tiff.run(package, scratch)


def _fiji(package: Path, scratch: Path) -> HostRun:
    from zooferry.hosts import fiji

    return fiji.run(package, scratch)


def _deepimagej(package: Path, scratch: Path) -> HostRun:
    from zooferry.hosts import deepimagej

    return deepimagej.run(package, scratch)


HOSTS: dict[str, Host] = {
    "core-pytorch": _core_pytorch,
    "core-torchscript": _core_torchscript,
    "core-onnx": _core_onnx,
    "onnx": _onnx,
    "torchscript": _torchscript,
    "imagej": _imagej,
    "fiji": _fiji,
    "deepimagej": _deepimagej,
}
