"""A package without fault in little files, and the ways to spoil it; for the linter's tests.

Nothing in it is run: the ONNX file is a real identity graph, the TorchScript file a zip with code in it.
"""

from __future__ import annotations

import copy
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from PIL import Image

Content = dict[str, Any]
Change = Callable[[Content, Path], None]
README = "# Good\nSharpens nothing.\n\n# Validation\nThe output equals the input on 3 images.\n"
ARCHITECTURE = "Net = None\n"
FLOAT32 = {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}


def good_content() -> Content:
    """The description of a package in which no rule finds an error or a warning."""
    return {
        "type": "model",
        "format_version": "0.5.10",
        "id": "good-model",
        "name": "Good identity model",
        "description": "Gives back what it gets.",
        "authors": [{"name": "Ada Example"}],
        "maintainers": [{"name": "Ada Example", "github_user": "bioimageiobot"}],
        "cite": [{"text": "A paper", "doi": "10.1109/CVPR.2019.00223"}],
        "license": "CC-BY-4.0",
        "tags": ["denoising", "2d"],
        "git_repo": "https://example.org/good",
        "uploader": {"name": "Ada Example", "email": "ada@example.org"},
        "version": "0.1.0",
        "timestamp": "2026-01-31T12:00:00+00:00",
        "training_data": {"id": "some-dataset"},
        "documentation": "README.md",
        "covers": ["cover.png"],
        "inputs": [_tensor("raw")],
        "outputs": [_tensor("restored")],
        "weights": {
            "pytorch_state_dict": {
                "source": "weights.pt",
                "architecture": {"source": "net.py", "callable": "Net"},
                "pytorch_version": "2.4.0",
            },
            "torchscript": {"source": "traced.pt", "pytorch_version": "2.4.0", "parent": "pytorch_state_dict"},
            "onnx": {"source": "weights.onnx", "opset_version": 17, "parent": "pytorch_state_dict"},
        },
        "config": {"bioimageio": {"task": "denoising"}},
    }


def _tensor(name: str) -> Content:
    is_input = name == "raw"
    sizes: list[Any] = [{"min": 16, "step": 8}] * 2
    if not is_input:
        sizes = [{"tensor_id": "raw", "axis_id": axis} for axis in "yx"]
    return {
        "id": name,
        "description": "grey values",
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": ["intensity"]},
            *({"type": "space", "id": axis, "size": size} for axis, size in zip("yx", sizes, strict=True)),
        ],
        "data": {"type": "float32"},
        "test_tensor": {"source": f"test_{name}.npy"},
        "sample_tensor": {"source": f"sample_{name}.tif"},
        "preprocessing" if is_input else "postprocessing": [FLOAT32],
    }


def write_good_package(folder: Path) -> None:
    """Write the good package's files and description into an empty folder."""
    (folder / "README.md").write_text(README, encoding="utf-8")
    (folder / "net.py").write_text(ARCHITECTURE, encoding="utf-8")
    (folder / "weights.pt").write_bytes(b"a state dict")
    cover(64, 32)({}, folder)
    onnx_file()({}, folder)
    with zipfile.ZipFile(folder / "traced.pt", "w") as archive:
        archive.writestr("traced/code/__torch__.py", "")
    for name in ("raw", "restored"):
        test_tensor(name, 32, 64)({}, folder)
        cover(64, 32, f"sample_{name}.tif")({}, folder)
    write_description(folder, good_content())


def write_description(folder: Path, content: Content) -> None:
    """Write ``rdf.yaml``."""
    (folder / "rdf.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


# What follows are changes of the good package: each is called with the description and the folder.


def put(path: str, value: Any) -> Change:
    """Set one field: ``put("outputs[0].axes[2].halo", 4)``; sections on the way are made."""

    def change(content: Content, _folder: Path) -> None:
        *way, last = _keys(path)
        at: Any = content
        for key in way:
            at = at[key] if isinstance(key, int) else at.setdefault(key, {})
        at[last] = copy.deepcopy(value)

    return change


def drop(*paths: str) -> Change:
    """Remove fields."""

    def change(content: Content, _folder: Path) -> None:
        for path in paths:
            *way, last = _keys(path)
            at: Any = content
            for key in way:
                at = at[key]
            del at[last]

    return change


def _keys(path: str) -> list[str | int]:
    return [int(k) if k.isdigit() else k for k in re.findall(r"[^.\[\]]+", path)]


def both(*changes: Change) -> Change:
    """One change after the other."""

    def change(content: Content, folder: Path) -> None:
        for each in changes:
            each(content, folder)

    return change


def none(_content: Content, _folder: Path) -> None:
    """Leave the good package as it is."""


def write(name: str, data: bytes | str) -> Change:
    """Write one file of the package."""

    def change(_content: Content, folder: Path) -> None:
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)

    return change


def remove(name: str) -> Change:
    """Remove one file of the package."""
    return lambda _content, folder: (folder / name).unlink()


def test_tensor(name: str, y: int, x: int, *, value: float = 7.0) -> Change:  # noqa: PT028
    """The stored test tensor of one size, all of one value."""
    array = np.full((1, 1, y, x), value, np.float32)
    return lambda _content, folder: np.save(folder / f"test_{name}.npy", array)


test_tensor.__test__ = False  # type: ignore[attr-defined]  # a name that pytest would collect


def cover(width: int, height: int, name: str = "cover.png") -> Change:
    """A cover of one size, grey."""
    return lambda _content, folder: Image.new("L", (width, height), 99).save(folder / name)


def torchscript_without_code(_content: Content, folder: Path) -> None:
    """What torch.save writes: a like zip, without code."""
    with zipfile.ZipFile(folder / "traced.pt", "w") as archive:
        archive.writestr("traced/data.pkl", "")


def onnx_file(
    *, opset: int = 17, ir: int = 8, takes: str = "FLOAT", emits: str = "FLOAT", external: str = ""
) -> Change:
    """An ONNX file: a cast from one type to another, and one weight, which may be in a file beside it."""
    numbers = onnx.TensorProto.DataType
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Cast", ["raw"], ["restored"], to=numbers.Value(emits))],
        "cast",
        [onnx.helper.make_tensor_value_info("raw", numbers.Value(takes), ["b", 1, "y", "x"])],
        [onnx.helper.make_tensor_value_info("restored", numbers.Value(emits), ["b", 1, "y", "x"])],
        [onnx.helper.make_tensor("weight", numbers.Value("FLOAT"), [1], [1.0])],
    )
    if external:
        weight = graph.initializer[0]
        weight.data_location = onnx.TensorProto.EXTERNAL
        weight.ClearField("float_data")
        weight.external_data.add(key="location", value=external)
    opsets = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=ir)
    return lambda _content, folder: (folder / "weights.onnx").write_bytes(model.SerializeToString())


def on_both(axis: int, field: str, value: Any) -> Change:
    """Set a field of one axis of the input and of the output."""
    return both(put(f"inputs[0].axes[{axis}].{field}", value), put(f"outputs[0].axes[{axis}].{field}", value))


def channels(*names: str) -> Change:
    """Name the channels of the input and of the output."""
    return on_both(1, "channel_names", list(names))


def pre(step: str, **kwargs: Any) -> Change:
    """One pre-processing step between the casts."""
    return put("inputs[0].preprocessing", [FLOAT32, {"id": step, "kwargs": kwargs}, FLOAT32])


def post(step: str, **kwargs: Any) -> Change:
    """One post-processing step."""
    return put("outputs[0].postprocessing", [{"id": step, "kwargs": kwargs}])
