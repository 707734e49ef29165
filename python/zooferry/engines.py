"""Weights files as functions: arrays in, arrays out, in the order of the description.

A TorchScript file is a program, and some of its instructions reach files: programs that use them are refused. Files
that are zips (TorchScript, state dicts) are refused where they would unpack to a bomb.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zooferry.archives import DAMAGED, require_small
from zooferry.errors import ZooferryError

Infer = Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]
DTYPES = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8, "tensor(uint16)": np.uint16, "tensor(int32)": np.int32, "tensor(int64)": np.int64,
}  # fmt: skip
REACHES_FILES = (b"torch.save(", b"torch.from_file(", b"aten.save(", b"aten.from_file(", b"load_tensor(")
MAX_CODE_BYTES = 64 << 20


def load(name: str, loader: Callable[[Path], Infer], weights: Path) -> Infer:
    """Load a file with one of the loaders below; what an engine says is told in one line, with the model's `name`.

    Raises
    ------
    ZooferryError
        The engine cannot read the file, or later, cannot run it on the arrays it gets.
    """
    try:
        return guarded(name, loader(weights))
    except ZooferryError:
        raise
    except Exception as error:
        raise ZooferryError(f"{name}: {weights.name} cannot be loaded ({_said(error)})") from error


def guarded(name: str, infer: Infer) -> Infer:
    """The same function; what an engine raises becomes a ZooferryError."""

    def run(inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        try:
            return infer(inputs)
        except Exception as error:
            shapes = ", ".join(str(a.shape) for a in inputs)
            raise ZooferryError(f"{name}: its network cannot be run on shape {shapes} ({_said(error)})") from error

    return run


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def load_onnx(weights: Path) -> Infer:
    """A function from the network's inputs (arrays, cast to the types that it declares) to its outputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads cost CPU time
    session = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])

    def infer(inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        feeds = {
            node.name: array.astype(DTYPES.get(node.type, array.dtype), copy=False)
            for node, array in zip(session.get_inputs(), inputs, strict=True)
        }
        return [np.asarray(output) for output in session.run(None, feeds)]

    return infer


def load_torchscript(weights: Path) -> Infer:
    """A function from the network's inputs (arrays, cast to float32) to its outputs.

    Raises
    ------
    ZooferryError
        The file is no zip, unpacks to a bomb, or its program reads or writes files.
    """
    import torch

    require_harmless_script(weights)
    with warnings.catch_warnings():
        # torch wants to retire TorchScript; the Java engines read nothing else
        warnings.filterwarnings("ignore", message=".*torch.jit.load.*deprecated")
        network = torch.jit.load(str(weights), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    return from_torch(network)


def from_torch(network: Any) -> Infer:
    """A torch module as a function of arrays, which are cast to float32."""
    import torch

    def infer(inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        with torch.inference_mode():
            result = network(*[torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in inputs])
        several = result if isinstance(result, (tuple, list)) else (result,)
        return [tensor.numpy() for tensor in several]

    return infer


def require_harmless_script(weights: Path) -> None:
    """Refuse a TorchScript file that is a bomb or whose program reaches files; see `load_torchscript`."""
    try:
        with zipfile.ZipFile(weights) as archive:
            require_small(weights, archive)
            programs = [entry for entry in archive.infolist() if entry.filename.endswith(".py")]
            if sum(entry.file_size for entry in programs) > MAX_CODE_BYTES:
                raise ZooferryError(f"{weights.name}: its program is larger than {MAX_CODE_BYTES >> 20} MiB; refused")
            for entry in programs:
                found = next((word for word in REACHES_FILES if word in archive.read(entry)), None)
                if found:
                    raise ZooferryError(
                        f"{weights.name}: its program calls {found.decode()}...), a file access; refused"
                    )
    except DAMAGED as error:
        raise ZooferryError(f"{weights.name}: no TorchScript file ({' '.join(str(error).split())[:120]})") from error
