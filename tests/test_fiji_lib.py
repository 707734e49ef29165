"""The pure part of the Fiji library in CPython, and every Fiji script in the common subset of Python 2.7 and 3."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "fiji_scripts" / "lib"
sys.path[:0] = [str(LIBRARY), str(ROOT / "tests"), str(ROOT / "tests" / "hosts")]

import fiji_tables  # noqa: E402
from zooferry_fiji import description, grid, older, plan, tiling  # noqa: E402
from zooferry_fiji.errors import UnsupportedError, ZooferryError  # noqa: E402

# what runs in Jython; the scripts for pyimagej run in CPython 3
SOURCES = sorted(p for p in (ROOT / "fiji_scripts").rglob("*.py") if p.parent.name != "pyimagej")
PYTHON_3_ONLY = (
    ast.JoinedStr,
    ast.AnnAssign,
    ast.NamedExpr,
    ast.AsyncFunctionDef,
    ast.Await,
    ast.YieldFrom,
    ast.Nonlocal,
    ast.Match,
)


def test_tables() -> None:
    fiji_tables.run_all()


@pytest.mark.parametrize(("length", "tile", "halo", "step"), [(20, 12, 4, 2), (1000, 96, 20, 8), (64, 64, 8, 4)])
def test_plan_is_that_of_the_package(length: int, tile: int, halo: int, step: int) -> None:
    from zooferry.prediction import plan_tiles

    assert tiling.plan_tiles(length, tile, halo, step) == plan_tiles(length, tile, halo, step)


@pytest.mark.parametrize(("ratio", "most"), [(1.0, 4_000_000), (4.0, 1_000_000), (0.5, 4_000_000)])
def test_windows_of_a_model_that_enlarges_are_smaller(ratio: float, most: int) -> None:
    grid = [{"name": name, "min": 4, "step": 4, "halo": 8} for name in "zyx"]
    sizes = {name: {"ratio": ratio if name == "z" else 1.0, "offset": 0} for name in "zyx"}
    outputs = [{"id": "restored", "channels": 1, "sizes": sizes}]
    model = {"name": "m", "grid": grid, "inputs": [{"channels": 1}], "outputs": outputs}
    found = plan.Plan(model, {"z": 64, "y": 1024, "x": 1024}, 0, 4_000_000).pixels()
    assert most / 2 < found <= most


@pytest.mark.parametrize(("length", "padded"), [(1, 16), (2, 17), (5, 40), (333, 336)])
def test_reflection_is_numpys(length: int, padded: int) -> None:
    line = np.arange(length)
    expected = np.pad(line, (0, padded - length), mode="reflect" if length > 1 else "edge")
    assert [tiling.reflected_index(i, length) if i >= length else i for i in range(padded)] == expected.tolist()


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_source_is_python_2_and_3(source: Path) -> None:
    content = source.read_text(encoding="utf-8")
    assert content.isascii()
    for node in ast.walk(ast.parse(content)):
        assert not isinstance(node, PYTHON_3_ONLY), f"{source.name}:{node.lineno}: {type(node).__name__}"
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.args, *node.args.kwonlyargs]
            assert not node.args.kwonlyargs, f"{source.name}:{node.lineno}: keyword-only argument"
            assert node.returns is None, f"{source.name}:{node.lineno}: annotation"
            assert not any(argument.annotation for argument in arguments)
        if isinstance(node, (ast.List, ast.Tuple)):
            assert not any(isinstance(item, ast.Starred) for item in node.elts), f"{source.name}:{node.lineno}"
        if isinstance(node, ast.Raise):
            assert node.cause is None, f"{source.name}:{node.lineno}: raise from"


@pytest.mark.parametrize("source", [s for s in SOURCES if "scripts/Plugins" in s.as_posix()], ids=lambda p: p.name)
def test_menu_command_is_thin(source: Path) -> None:
    assert len(source.read_text().splitlines()) <= 60
    assert "_" in source.stem, "without an underscore a macro cannot call it"


def test_one_file_touches_the_engine() -> None:
    touching = [path.name for path in SOURCES if "ai.onnxruntime" in path.read_text()]
    assert touching == ["engine.py"]


def model_folder(folder: Path, **changes: Any) -> Path:
    from make_packages import rdf, write_rdf

    content = {**rdf(["y", "x"], 1, {}), "weights": {"onnx": {"source": "weights.onnx"}}, **changes}
    (folder / "weights.onnx").touch()
    write_rdf(folder, content)
    return folder


def test_read_model(tmp_path: Path) -> None:
    model = description.read_model(str(model_folder(tmp_path)))
    axis = {"min": 16, "step": 4, "halo": 8, "scale": 1.0}
    assert model["grid"] == [{"name": "y", **axis}, {"name": "x", **axis}]
    size = {"ratio": 1.0, "offset": 0}
    tensor = {"axes": ["batch", "channel", "y", "x"], "channels": 1, "steps": [], "dtype": "float32"}
    assert model["inputs"] == [{"id": "raw", **tensor}]
    assert model["outputs"] == [{"id": "restored", **tensor, "sizes": {"y": size, "x": size}}]
    assert model["weights"] == {"onnx": {"path": str(tmp_path / "weights.onnx"), "sha256": ""}}


def _axes(*kinds: str) -> list[dict[str, Any]]:
    sizes = {"size": {"min": 16, "step": 4}}
    return [
        {"type": kind, "channel_names": ["a"]}
        if kind == "channel"
        else {"type": "space", "id": kind, **sizes}
        if kind in "zyx"
        else {"type": kind}
        for kind in kinds
    ]


def _input(*kinds: str) -> list[dict[str, Any]]:
    return [{"id": "raw", "axes": _axes(*kinds)}]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format_version": "0.3.2"}, "format 0.3.2, this version reads 0.4 and 0.5"),
        ({"type": "dataset"}, "does not describe a model"),
        ({"weights": {"keras_hdf5": {"source": "w.h5"}}}, "neither ONNX nor TorchScript weights (it has: keras_hdf5)"),
        ({"weights": {"onnx": {"source": "other.onnx"}}}, "other.onnx"),
        ({"inputs": _input("batch", "index", "channel", "y", "x")}, "has the axes batch index channel y x"),
        ({"inputs": _input("batch", "x", "y", "channel")}, "y before x"),
        ({"inputs": _input("batch", "channel", "y")}, "y before x"),
        ({"inputs": []}, "describes no inputs"),
    ],
)
def test_refused_in_words(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ZooferryError, match=r"^[^\n]+$") as refusal:
        description.read_model(str(model_folder(tmp_path, **changes)))
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "words"), [(None, "holds no rdf.yaml"), ("a: [", "not valid YAML"), ("3", "model")]
)
def test_no_package(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "rdf.yaml").write_text(content)
    with pytest.raises(ZooferryError, match=words):
        description.read_model(str(tmp_path))


OLD_STEPS = [
    {
        "name": "zero_mean_unit_variance",
        "kwargs": {"mode": "fixed", "axes": "yx", "mean": [1.0, 2.0], "std": [3.0, 4.0]},
    },
    {"name": "zero_mean_unit_variance", "kwargs": {"mode": "per_sample", "axes": "cyx"}},
    {"name": "zero_mean_unit_variance", "kwargs": {"mode": "per_dataset", "axes": "cyx"}},
    {"name": "scale_linear", "kwargs": {"axes": "yx", "gain": [1.0, 2.0], "offset": [0.0, 1.0]}},
    {"name": "scale_linear", "kwargs": {"gain": 2.0, "offset": 1.0}},
    {"name": "scale_range", "kwargs": {"mode": "per_sample", "axes": "yx", "max_percentile": 99.0}},
    {"name": "clip", "kwargs": {"min": 1.0, "max": 2.0}},
    {"name": "binarize", "kwargs": {"threshold": 1.0}},
    {"name": "sigmoid"},
]
OLD = {
    "format_version": "0.4.10",
    "inputs": [
        {
            "name": "raw",
            "axes": "bcyx",
            "data_type": "uint16",
            "shape": {"min": [1, 2, 16, 32], "step": [0, 0, 8, 0]},
            "preprocessing": OLD_STEPS,
        }
    ],
    "outputs": [
        {
            "name": "large",
            "axes": "bcyx",
            "data_type": "float32",
            "halo": [0, 0, 4, 0],
            "shape": {"reference_tensor": "raw", "scale": [1, 2, 2.0, 0.5], "offset": [0, 0, -1, 0]},
        },
        {"name": "fixed", "axes": "bcyx", "data_type": "float32", "shape": [1, 3, 16, 32]},
        {
            "name": "new",
            "axes": "bczyx",
            "data_type": "float32",
            "shape": {"reference_tensor": "raw", "scale": [1, 1, None, 1, 1], "offset": [0, 0, 2.5, 0, 0]},
        },
    ],
}


def test_older_descriptions_are_converted_as_in_python() -> None:
    from zooferry import format_0_4

    tests = {"test_inputs": ["a.npy"], "test_outputs": ["b.npy", "c.npy", "d.npy"], "weights": {}}
    expected = format_0_4.convert({**OLD, **tests})
    converted = older.converted(OLD)
    for key in ("inputs", "outputs"):
        for ours, theirs in zip(converted[key], expected[key], strict=True):
            assert ours["id"] == theirs["id"]
            assert ours["axes"] == theirs["axes"]
    assert converted["inputs"][0]["preprocessing"] == expected["inputs"][0]["preprocessing"]
    assert "preprocessing" in OLD["inputs"][0]  # the given description stays as it is


def _result(**sizes: Any) -> list[dict[str, Any]]:
    """One output; `sizes` replace properties of the axes y and x."""
    axes = [
        {"type": "space", "id": a, "size": {"tensor_id": "raw", "axis_id": a}, "halo": 8} | sizes.get(a, {})
        for a in "yx"
    ]
    return [{"id": "restored", "axes": [*_axes("batch", "channel"), *axes]}]


@pytest.mark.parametrize(
    ("sizes", "halo", "length"),
    [
        ({}, 8, 40),
        ({"scale": 0.5}, 4, 80),
        ({"scale": 2.0}, 16, 20),
        ({"scale": 3.0}, 0, 13),
        ({"halo": 0}, 0, 40),
        ({"size": {"tensor_id": "raw", "axis_id": "x", "offset": -4}}, 0, 36),
        ({"size": 7, "halo": 0}, 0, 7),
    ],
)
def test_sizes_of_an_output(sizes: dict[str, Any], halo: int, length: int) -> None:
    outputs = _result(x=sizes)
    axes = grid.read_grid(_input("batch", "channel", "y", "x"), outputs, "m")
    assert [axis["halo"] for axis in axes] == [8, halo]
    size = grid.read_sizes(outputs[0], axes, _input("batch", "channel", "y", "x"), "m")["x"]
    assert grid.out_length(size, 40) == length


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights": {"keras_hdf5": {"source": "w.h5"}}}, "ImageJ runs nothing else yet"),
        ({"inputs": _input("batch", "index", "y", "x")}, "ImageJ has a place for"),
        ({"inputs": _input("batch", "time", "z", "y", "x")}, "z and time together"),
        ({"outputs": _result(x={"size": {"min": 1, "max": 9}})}, "depends on the pixels"),
        ({"outputs": _result(x={"size": {"tensor_id": "raw", "axis_id": "y"}})}, "follows y of raw"),
        (
            {"outputs": [{"id": "a", "axes": _axes("batch", "channel", "z", "y", "x")}]},
            "axis z, which its inputs have not",
        ),
        (
            {"inputs": [*_input("batch", "channel", "y", "x"), *_input("batch", "channel", "z", "y", "x")]},
            "different axes",
        ),
    ],
)
def test_what_imagej_cannot_do_yet_has_its_own_error(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        description.read_model(str(model_folder(tmp_path, **changes)))
