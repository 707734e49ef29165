"""What rdf.yaml says about a model's tensors, format 0.4 or 0.5, with every number in its place."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from zooferry import format_0_4
from zooferry.arrays import read_array
from zooferry.errors import ZooferryError
from zooferry.files import sha256
from zooferry.normalization import Operation

FORMATS = ("0.4", "0.5")
LARGEST = 1 << 31  # of any size, step or halo in pixels
MAX_TENSORS, MAX_AXES, MAX_OPERATIONS = 64, 8, 64
UNREADABLE = (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError, ZeroDivisionError)


@dataclass(frozen=True)
class TensorSpec:
    """One input or output as the package declares it.

    Attributes
    ----------
    id : str
    axes : tuple of str
        Axis ids: batch, channel, (z), y, x.
    sizes : tuple
        Per axis: a number of pixels, ``{"min", "step"}``, ``{"tensor_id", "axis_id", "offset"}`` or None.
    halo : tuple of int
        Per axis, pixels; 0 where none is declared.
    operations : tuple of Operation
        Pre-processing of an input, post-processing of an output.
    pixel_size : dict
        Spatial axis -> size in `unit`.
    unit : str
        "micrometer", or "" where none is declared.
    test_file : Path or None
        The stored test tensor (.npy).
    channel_names : tuple of str
    scales : tuple of float
        Per axis, as declared; 1.0 where nothing is. An output's length is that of the axis which it refers to,
        times that axis's scale, divided by its own, plus the offset.
    dtype : str
        The declared type of the values, "" where there are several.
    optional : bool
        An input that may be left out.
    test_sha256 : str
        Of the stored test tensor, "" where none is declared.
    """

    id: str
    axes: tuple[str, ...]
    sizes: tuple[Any, ...]
    halo: tuple[int, ...]
    operations: tuple[Operation, ...]
    pixel_size: dict[str, float]
    unit: str
    test_file: Path | None
    channel_names: tuple[str, ...] = ()
    scales: tuple[float, ...] = ()
    dtype: str = ""
    optional: bool = False
    test_sha256: str = ""

    def test_array(self) -> np.ndarray:
        """The stored test tensor.

        Raises
        ------
        ZooferryError
            It is missing, not what its hash says, or no plain finite numbers.
        """
        if self.test_file is None or not self.test_file.is_file():
            raise ZooferryError(f"the package holds no test tensor for {self.id!r}; package the model again")
        require_hash(self.test_file, self.test_sha256)
        return read_array(self.test_file)


def in_format_0_5(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The description in the words of format 0.5.

    Raises
    ------
    ZooferryError
        Neither format 0.4 nor 0.5.
    """
    version = str(content["format_version"])
    if not version.startswith(tuple(f"{v}." for v in FORMATS)):
        raise ZooferryError(f"format {version[:20]}; allowed are 0.4 and 0.5; convert it with bioimageio.spec")
    return format_0_4.convert(content) if version.startswith("0.4") else content


def read_tensors(folder: Path, content: Mapping[str, Any], role: str) -> tuple[TensorSpec, ...]:
    """The inputs or outputs (`role`) of a description of format 0.5; errors are those of `UNREADABLE` as well."""
    entries = content[role]
    if not isinstance(entries, list) or not 0 < len(entries) <= MAX_TENSORS:
        raise ValueError(f"{role} must be a list of 1 to {MAX_TENSORS} tensors")
    stage = "preprocessing" if role == "inputs" else "postprocessing"
    found = tuple(_with_our_words(_tensor(folder, entry, stage), content) for entry in entries)
    if len({tensor.id for tensor in found}) < len(found):
        raise ValueError(f"two {role} have the same id")
    return found


def require_references(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
    """Raise a ValueError where a processing step refers to what is no input."""
    axes = {tensor.id: tensor.axes for tensor in inputs}
    for tensor in (*inputs, *outputs):
        for step in tensor.operations:
            reference = (step.get("kwargs") or {}).get("reference_tensor")
            if reference is not None and reference not in axes:
                raise ValueError(f"step {step['id'][:80]!r} refers to {str(reference)[:80]!r}, which is no input")


def _tensor(folder: Path, entry: Mapping[str, Any], stage: str) -> TensorSpec:
    axes = entry["axes"]
    names = tuple(str(a.get("id", a["type"])) for a in axes)
    if len(set(names)) < len(names) or len(names) > MAX_AXES:
        raise ValueError(f"axes {', '.join(names)[:80]}: each needs a name of its own, {MAX_AXES} at most")
    space = {str(a["id"]): a for a in axes if a["type"] == "space"}
    test = entry.get("test_tensor") or {}
    data = entry.get("data") or {}
    return TensorSpec(
        id=str(entry["id"])[:256],
        axes=names,
        sizes=tuple(_size(a) for a in axes),
        halo=tuple(_whole(a.get("halo", 0), "halo") for a in axes),
        operations=tuple(read_operations(entry.get(stage) or ())),
        pixel_size={k: _scale(a) for k, a in space.items() if a.get("unit")},
        unit=next((str(a["unit"]) for a in space.values() if a.get("unit")), ""),
        test_file=inside(folder, test["source"]) if "source" in test else None,
        channel_names=next((tuple(map(str, a["channel_names"])) for a in axes if a["type"] == "channel"), ()),
        scales=tuple(_scale(a) for a in axes),
        dtype=str(data.get("type", "")) if isinstance(data, Mapping) else "",
        optional=entry.get("optional") is True,
        test_sha256=str(test.get("sha256") or ""),
    )


def _with_our_words(tensor: TensorSpec, content: Mapping[str, Any]) -> TensorSpec:
    """Our own packages say pixel size and halo beside the axes, in ``config.zooferry``."""
    said = (content.get("config") or {}).get("zooferry") or {}
    halo = (said.get("halo") or {}).get(tensor.id) or {}
    pixels = (_whole(halo.get(axis, n), "halo") for axis, n in zip(tensor.axes, tensor.halo, strict=True))
    tensor = replace(tensor, halo=tuple(pixels))
    if tensor.pixel_size or not said.get("pixel_size"):
        return tensor
    sizes = {str(a): float(n) for a, n in said["pixel_size"].items() if a in tensor.axes}
    return replace(tensor, pixel_size=sizes, unit=str(said.get("unit", "")))


def read_operations(entries: Any) -> Iterator[Operation]:
    """Processing steps as a description has them; errors are those of `UNREADABLE`."""
    if len(entries) > MAX_OPERATIONS:
        raise ValueError(f"{len(entries)} processing steps; allowed are {MAX_OPERATIONS}")
    for entry in entries:
        kwargs = entry.get("kwargs") or {}
        if not isinstance(entry["id"], str) or not all(isinstance(key, str) for key in dict(kwargs)):
            raise ValueError("a processing step needs an id and named values")
        yield entry


def _size(axis: Mapping[str, Any]) -> Any:
    """As `TensorSpec.sizes` says, with every number checked."""
    if axis["type"] == "channel":
        return len(axis["channel_names"])
    size = axis.get("size")
    if size is None:
        return None
    if not isinstance(size, Mapping):
        return _whole(size, "size", least=1)
    if "tensor_id" in size:
        offset = size.get("offset", 0)
        if not isinstance(offset, int) or abs(offset) > LARGEST:
            raise ValueError(f"offset {str(offset)[:40]}: allowed are whole numbers")
        return {"tensor_id": str(size["tensor_id"]), "axis_id": str(size["axis_id"]), "offset": offset}
    least = _whole(size.get("min", 1), "min", least=1)
    if "step" in size:
        return {"min": least, "step": _whole(size["step"], "step", least=1)}
    return {"min": least, "max": size.get("max")}  # depends on the data


def _whole(value: Any, what: str, *, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LARGEST:
        raise ValueError(f"{what} {str(value)[:40]}: allowed are whole numbers from {least} to {LARGEST}")
    return value


def _scale(axis: Mapping[str, Any]) -> float:
    scale = float(axis.get("scale") or 1.0)
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale {scale}: allowed are numbers above 0")
    return scale


def inside(folder: Path, source: Any) -> Path:
    """The file that an rdf means by `source`.

    Raises
    ------
    ZooferryError
        It lies outside the package, or its name is none.
    """
    said = str(source)
    try:
        path = (folder / said).resolve()
        within = path.is_relative_to(folder.resolve())
        path.is_file()  # the system says whether it could be a name
    except (ValueError, OSError, RuntimeError) as error:  # a NUL; a name too long; links in a circle
        raise ZooferryError(f"rdf.yaml names the file {said[:80]!r}, which is no file name; refused") from error
    if not within:
        raise ZooferryError(f"rdf.yaml names the file {said[:80]!r}, which lies outside the package; refused")
    return path


def require_hash(file: Path, expected: str) -> None:
    """Refuse a file that is not the one which the description means; an empty hash asks for nothing.

    Raises
    ------
    ZooferryError
        See above.
    """
    if expected and (found := sha256(file)) != expected.lower():
        raise ZooferryError(
            f"{file.name} is not the file that rdf.yaml describes: sha256 expected {expected[:64]}, found {found}; "
            "get the package again"
        )


def files_with_hashes(content: Any) -> Iterator[tuple[str, str]]:
    """Every (source, sha256) pair anywhere in a description, and an architecture's of format 0.4."""
    if isinstance(content, Mapping):
        if isinstance(content.get("source"), str):
            yield content["source"], str(content.get("sha256") or "")
        for value in content.values():
            yield from files_with_hashes(value)
    elif isinstance(content, list):
        for value in content:
            yield from files_with_hashes(value)
