"""Rules of the zoo profile: documentation, covers, test and sample tensors."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zooferry.errors import ZooferryError
from zooferry.package import OpenPackage, TensorSpec
from zooferry.profiles.findings import LintFinding, Rule, error, tensors, warning

COVERS = (".gif", ".jpeg", ".jpg", ".png", ".svg")
COVER_BYTES = 500_000
RATIO_TOLERANCE = 0.02
MAX_TEXT_BYTES = 1 << 20
TOO_SMALL = 1e-4
PLACEHOLDER = re.compile(
    r"\b(?:TODO|FIXME|TBD|XXX)\b"
    r"|(?i:lorem ipsum|\bplaceholder\b|\byour (?:name|text|description)\b|\bfill (?:this|me) in\b)"
    r"|(?i:(?:^|[:|])[ \t*]*unknown[ \t*.]*(?:$|\|))",
    re.MULTILINE,
)


def zoo_documentation(package: OpenPackage) -> Iterator[LintFinding]:
    """There is a README.md."""
    entry = package.content.get("documentation")
    if not entry:
        why = "bioimageio.spec raises an alert for its absence"
        yield warning("zoo-documentation", "documentation", found="absent", why=why, fix="write a README.md")
        return
    source, where, fix = _source(entry), "documentation.source", "write a README.md"
    if not source.endswith(".md") or (source != "README.md" and _file(package, entry) is None):
        why = "bioimageio.spec demands a file of the package that ends in .md"
        yield error("zoo-documentation", where, found=f"{source}, missing or not .md", why=why, fix=fix)
    elif not _readme(package).strip():
        why = "bioimageio.spec takes a missing README.md for an empty one (measured): the model's page stays blank"
        yield warning("zoo-documentation", where, found=f"{source} is missing or empty", why=why, fix=fix)


def zoo_validation(package: OpenPackage) -> Iterator[LintFinding]:
    """The documentation says how well the model does."""
    text = _readme(package)
    if text and not re.search(r"(?m)^#+.*[vV]alidation", text):
        yield warning(
            "zoo-validation",
            "documentation.source",
            found="no section `# Validation`",
            why="bioimageio.spec warns, and reviewers ask for numbers on unseen data",
            fix="add the section with scores, the data they are from and how to compute them",
        )


def zoo_placeholder(package: OpenPackage) -> Iterator[LintFinding]:
    """No text that was to be replaced."""
    content = package.content
    texts = {"name": content.get("name"), "description": content.get("description")}
    texts |= {f"cite[{i}].text": entry.get("text") for i, entry in enumerate(content.get("cite") or ())}
    texts |= {f"{where}.description": tensor.get("description") for where, tensor in tensors(package)}
    texts["documentation.source"] = _readme(package)
    for where, text in texts.items():
        match = PLACEHOLDER.search(str(text or ""))
        if match:
            line = str(text).count("\n", 0, match.start()) + 1
            yield warning(
                "zoo-placeholder",
                where,
                found=f"{match.group().strip(' |:*')!r}" + (f" in line {line}" if line > 1 else ""),
                why="reviewers send back texts that were left from a template",
                fix="say it, or leave the line out",
            )


def zoo_covers(package: OpenPackage) -> Iterator[LintFinding]:
    """There are covers that the collection's page can show."""
    covers = package.content.get("covers") or ()
    if not covers:
        why = "the collection's page shows the cover; without one it makes its own of the test tensors"
        yield warning("zoo-covers", "covers", found="absent", why=why, fix="a picture: input beside output")
    for i, entry in enumerate(covers):
        file, where, fix = _file(package, entry), f"covers[{i}].source", "write a PNG"
        if file is None or file.suffix.lower() not in COVERS:
            why = f"bioimageio.spec refuses covers that are missing or not {', '.join(COVERS)}"
            yield error("zoo-covers", where, found=_source(entry), why=why, fix=fix)
        elif not _is_readable(file):
            why = "the collection's page shows a broken picture"
            yield warning("zoo-covers", where, found=f"{file.name} cannot be read", why=why, fix=fix)
        else:
            yield from _ill_shaped(file, where)


def _ill_shaped(file: Path, where: str) -> Iterator[LintFinding]:
    size = file.stat().st_size
    if size > COVER_BYTES:
        why, fix = "the format asks for covers smaller than 500 kB", "fewer pixels"
        yield warning("zoo-covers", where, found=f"{size / 1000:.0f} kB", why=why, fix=fix)
    if file.suffix.lower() == ".svg":
        return
    width, height = _picture_size(file)
    if min(abs(width / height / ratio - 1) for ratio in (1, 2)) > RATIO_TOLERANCE:
        why, fix = "the format asks for width : height of 2:1 or 1:1; pages cut others", "crop it"
        yield warning("zoo-covers", where, found=f"{width} x {height} px", why=why, fix=fix)


def _is_readable(file: Path) -> bool:
    try:
        return file.suffix.lower() == ".svg" or min(_picture_size(file)) > 0
    except (OSError, ValueError, SyntaxError):
        return False


def _picture_size(file: Path) -> tuple[int, int]:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # only the header is read
        with Image.open(file) as picture:
            return picture.size


def zoo_test_tensors(package: OpenPackage) -> Iterator[LintFinding]:
    """Every tensor has a readable test tensor with numbers in it."""
    for where, tensor, _ in _tensors(package):
        try:
            array = tensor.test_array()
        except ZooferryError as problem:
            why = "every test of the collection reproduces the test output from the test input"
            found = str(problem).partition(";")[0]
            yield error("zoo-test-tensors", f"{where}.test_tensor", found=found, why=why, fix="package the model again")
            continue
        if useless := _useless(array):
            why = "nothing can be compared with such values; bioimageio.spec refuses tensors with all below 1e-4"
            fix = "take a window of a real image"
            yield error("zoo-test-tensors", f"{where}.test_tensor", found=useless, why=why, fix=fix)


def _useless(array: np.ndarray) -> str:
    if not array.size:
        return "empty"
    if array.dtype.kind not in "biuf":
        return f"of type {array.dtype}"
    if not np.isfinite(array).all():
        return "not finite everywhere"
    if float(np.abs(array.astype(np.float64)).max()) < TOO_SMALL:
        return "all about 0"
    return ""


def zoo_sample_tensors(package: OpenPackage) -> Iterator[LintFinding]:
    """Every tensor has a sample that people can open."""
    for where, tensor in tensors(package):
        entry = tensor.get("sample_tensor")
        if not entry:
            why = "people see what the model takes and gives before they install anything"
            fix = "add a TIFF that ImageJ opens"
            yield warning("zoo-sample-tensors", f"{where}.sample_tensor", found="absent", why=why, fix=fix)
        elif _file(package, entry) is None:
            why = "bioimageio.spec refuses files that are not there"
            fix = "package the model again"
            yield error("zoo-sample-tensors", f"{where}.sample_tensor", found="missing", why=why, fix=fix)


def zoo_test_size(package: OpenPackage) -> Iterator[LintFinding]:
    """The test input's size is one that the input allows."""
    for where, tensor, shape in _shapes(package):
        if where.startswith("outputs"):
            continue
        for i, (size, allowed) in enumerate(zip(shape, tensor.sizes, strict=False)):
            if not _allows(allowed, size):
                yield error(
                    "zoo-test-size",
                    f"{where}.axes[{i}].size",
                    found=f"{size} px in the test tensor, declared {allowed}",
                    why="bioimageio.core then stops with `No functions provided to try`",
                    fix="choose a window of min + n * step",
                )


def _allows(allowed: Any, size: int) -> bool:
    if isinstance(allowed, int):
        return size == allowed
    if isinstance(allowed, Mapping) and "step" in allowed:
        beyond = size - int(allowed["min"])
        return beyond >= 0 and beyond % max(1, int(allowed["step"])) == 0
    return True


def zoo_float_size(package: OpenPackage) -> Iterator[LintFinding]:
    """The output's size computed in floating point is a whole number."""
    known = {str(tensor.id): (tensor, shape) for _, tensor, shape in _shapes(package)}
    for where, raw in tensors(package):
        for i, axis in enumerate(raw["axes"]):
            size = axis.get("size")
            if not isinstance(size, Mapping) or size.get("tensor_id") not in known or str(raw["id"]) not in known:
                continue
            expected = _referred_size(package, axis, known[size["tensor_id"]])
            actual = known[str(raw["id"])][1][i]
            if expected is not None and expected not in (actual, actual - 2 * int(axis.get("halo", 0))):
                yield error(
                    "zoo-float-size",
                    f"{where}.axes[{i}].size",
                    found=f"{expected!r} by reference, {actual} px in the test tensor",
                    why="bioimageio.spec compares in floating point: 69 of 399 pixel sizes fail for 96, 192 or 384 px, "
                    "none for powers of two",
                    fix="cut the test tensors to a power of two",
                )


def _referred_size(
    package: OpenPackage, axis: Mapping[str, Any], reference: tuple[TensorSpec, tuple[int, ...]]
) -> float | None:
    """in * in_scale / out_scale + offset, in the order in which bioimageio.spec computes it."""
    tensor, shape = reference
    raw = next(t for _, t in tensors(package) if str(t["id"]) == tensor.id)
    for size, other in zip(shape, raw["axes"], strict=False):
        if str(other.get("id", other["type"])) == axis["size"].get("axis_id"):
            scales = float(other.get("scale", 1.0)), float(axis.get("scale", 1.0))
            return float(size * scales[0] / scales[1] + int(axis["size"].get("offset", 0)))
    return None


def _tensors(package: OpenPackage) -> Iterator[tuple[str, TensorSpec, Mapping[str, Any]]]:
    for (where, raw), tensor in zip(tensors(package), (*package.inputs, *package.outputs), strict=True):
        yield where, tensor, raw


def _shapes(package: OpenPackage) -> Iterator[tuple[str, TensorSpec, tuple[int, ...]]]:
    """Tensors whose test tensor can be read and has as many axes as the description says."""
    for where, tensor, _ in _tensors(package):
        try:
            shape = tensor.test_array().shape
        except ZooferryError:
            continue  # zoo-test-tensors speaks of it
        if len(shape) == len(tensor.axes):
            yield where, tensor, shape


def _source(entry: Any) -> str:
    return str(entry.get("source", "") if isinstance(entry, Mapping) else entry)


def _file(package: OpenPackage, entry: Any) -> Path | None:
    """The file of an entry, if it lies in the package."""
    path = (package.folder / _source(entry)).resolve()
    return path if path.is_relative_to(package.folder.resolve()) and path.is_file() else None


def _readme(package: OpenPackage) -> str:
    file = _file(package, package.content.get("documentation") or "")
    if file is None or file.stat().st_size > MAX_TEXT_BYTES:
        return ""
    return file.read_text(encoding="utf-8", errors="replace")


RULES: tuple[Rule, ...] = (
    zoo_documentation, zoo_validation, zoo_placeholder, zoo_covers, zoo_test_tensors, zoo_sample_tensors,
    zoo_test_size, zoo_float_size,
)  # fmt: skip
