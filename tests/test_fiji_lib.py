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
from zooferry_fiji import description, operations, tiling  # noqa: E402
from zooferry_fiji.errors import ZooferryError  # noqa: E402

SOURCES = sorted((ROOT / "fiji_scripts").rglob("*.py"))
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


@pytest.mark.parametrize(("length", "padded"), [(1, 16), (2, 17), (5, 40), (333, 336)])
def test_reflection_is_numpys(length: int, padded: int) -> None:
    line = np.arange(length)
    expected = np.pad(line, (0, padded - length), mode="reflect" if length > 1 else "edge")
    assert [tiling.reflected_index(i, length) if i >= length else i for i in range(padded)] == expected.tolist()


@pytest.mark.parametrize("method", ["linear", "inverted_cdf"])
@pytest.mark.parametrize("percent", [0.0, 0.1, 3.0, 50.0, 99.8, 99.9, 100.0])
def test_percentile_is_numpys(method: str, percent: float) -> None:
    values = np.random.default_rng(1).poisson(300, 4099)
    expected = np.percentile(values.astype(np.float64), percent, method=method)
    assert operations.percentile_of_counts(np.bincount(values).tolist(), percent, method) == expected
    assert operations.percentile_of_sorted(np.sort(values), percent, method) == expected


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


class NumpyGroup:
    """volume.Group with numpy planes."""

    def __init__(self, view: np.ndarray) -> None:
        self.view = view

    def moments(self) -> tuple[float, float]:
        values = self.view.astype(np.float64)
        return float(values.mean()), float(values.std())

    def extremes(self) -> tuple[float, float]:
        return float(self.view.min()), float(self.view.max())

    def truncate(self) -> None:
        np.trunc(self.view, out=self.view)

    def percentiles(self, percents: list[float], method: str) -> list[float]:
        values = np.sort(self.view, axis=None)
        return [operations.percentile_of_sorted(values, percent, method) for percent in percents]

    def add(self, value: float) -> None:
        self.view += np.float32(value)

    def multiply(self, value: float) -> None:
        self.view *= np.float32(value)

    def clip(self, low: float | None, high: float | None) -> None:
        np.clip(self.view, low, high, out=self.view)

    def binarize(self, threshold: float) -> None:
        self.view[...] = self.view > threshold

    def sigmoid(self) -> None:
        self.view[...] = 1 / (1 + np.exp(-self.view))


class NumpyVolume:
    """volume.Volume over a C Y X array."""

    dtype = "float32"

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def groups(self, axes: list[str] | None) -> list[NumpyGroup]:
        whole = axes is None or "channel" in axes
        return [NumpyGroup(self.array)] if whole else [NumpyGroup(channel) for channel in self.array]

    def along(self, axis: str) -> list[NumpyGroup]:
        assert axis == "channel"
        return self.groups([])

    def holds(self, dtype: str) -> bool:
        return dtype == "float32"


STEPS = [
    {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["channel", "y", "x"]}},
    {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["y", "x"]}},
    {"id": "fixed_zero_mean_unit_variance", "kwargs": {"mean": 101.5, "std": 11.0}},
    {"id": "fixed_zero_mean_unit_variance", "kwargs": {"axis": "channel", "mean": [100.0, 30.0], "std": [9.0, 4.0]}},
    {"id": "scale_linear", "kwargs": {"gain": 0.1, "offset": -3.0}},
    {"id": "scale_linear", "kwargs": {"axis": "channel", "gain": [0.1, 2.0], "offset": [-3.0, 1.0]}},
    {"id": "scale_range", "kwargs": {"axes": ["channel", "y", "x"], "min_percentile": 3.0, "max_percentile": 99.8}},
    {"id": "scale_range", "kwargs": {"axes": ["y", "x"], "min_percentile": 1.0, "max_percentile": 99.0}},
    {"id": "clip", "kwargs": {"min": 90.0, "max": 105.0}},
    {"id": "clip", "kwargs": {"min": 90.0}},
    {"id": "binarize", "kwargs": {"threshold": 100.0}},
    {"id": "sigmoid", "kwargs": {}},
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step['id']}-{'-'.join(step['kwargs'])}")
def test_steps_are_those_of_the_package(step: dict[str, Any]) -> None:
    from zooferry.normalization import apply_operations

    image = np.random.default_rng(2).poisson(100, (2, 31, 40)).astype(np.float32)
    image[1] *= 0.3
    image -= 100.0 if step["id"] == "sigmoid" else 0.0
    expected = apply_operations([step], image[None], ("batch", "channel", "y", "x"))[0]
    operations.check_steps([step], ["channel", "y", "x"], ["raw"], "m")
    operations.apply_steps([step], NumpyVolume(image))
    np.testing.assert_allclose(image, expected.astype(np.float32), rtol=2e-6, atol=2e-6)
