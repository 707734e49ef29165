"""What the files of weights say about themselves; nothing in them is run."""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class OnnxFacts:
    """What an ONNX file declares.

    Attributes
    ----------
    opset, ir : int
    inputs, outputs : tuple of str
        Types of the graph's inputs and outputs ("float32").
    external : tuple of str
        Files beside it that hold its weights.
    """

    opset: int
    ir: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    external: tuple[str, ...]


def onnx_facts(path: Path) -> OnnxFacts | None:
    """What an ONNX file declares, or None if it is missing or not an ONNX file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return _read_onnx(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=4)
def _read_onnx(path: Path, _changed: int, _bytes: int) -> OnnxFacts | None:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, OSError, ValueError):
        return None
    opsets = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not opsets or not model.graph.output:
        return None  # any bytes can be a valid, empty message
    weights = {w.name for w in model.graph.initializer}
    external = {e.value for w in model.graph.initializer for e in w.external_data if e.key == "location"}
    return OnnxFacts(
        opset=max(opsets),
        ir=model.ir_version,
        inputs=tuple(_type(v) for v in model.graph.input if v.name not in weights),
        outputs=tuple(_type(v) for v in model.graph.output),
        external=tuple(sorted(external)),
    )


def _type(value: Any) -> str:
    import onnx

    try:
        return str(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
    except (KeyError, TypeError):
        return "unknown"


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive, which holds code; a state dict is a like archive without code."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any("code" in name.split("/")[:2] for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def hashed_files(content: Any) -> list[tuple[str, str, str]]:
    """Every file that a description names with a hash: path in the description, file, SHA-256."""
    return list(_hashed_files(content, "", set()))


def _hashed_files(content: Any, where: str, seen: set[int]) -> Iterator[tuple[str, str, str]]:
    if not isinstance(content, (Mapping, list)) or id(content) in seen:
        return
    seen.add(id(content))  # YAML aliases can make a tree of 2 ** 100 branches out of 100 lines
    if isinstance(content, list):
        for i, value in enumerate(content):
            yield from _hashed_files(value, f"{where}[{i}]", seen)
        return
    if isinstance(content.get("source"), str) and isinstance(content.get("sha256"), str):
        yield where, content["source"], content["sha256"]
    for key, value in content.items():
        yield from _hashed_files(value, f"{where}.{key}" if where else str(key), seen)
