"""The processing steps of the Fiji library in CPython, with numpy planes, against those of the package."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fiji_scripts" / "lib"))

from zooferry_fiji import operations
from zooferry_fiji.errors import UnsupportedError


@pytest.mark.parametrize("method", ["linear", "inverted_cdf"])
@pytest.mark.parametrize("percent", [0.0, 0.1, 3.0, 50.0, 99.8, 99.9, 100.0])
def test_percentile_is_numpys(method: str, percent: float) -> None:
    values = np.random.default_rng(1).poisson(300, 4099)
    expected = np.percentile(values.astype(np.float64), percent, method=method)
    assert operations.percentile_of_counts(np.bincount(values).tolist(), percent, method) == expected
    assert operations.percentile_of_sorted(np.sort(values), percent, method) == expected


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
        views = [self.array]
        for number, name in enumerate(("channel", "y", "x")):
            if axes is not None and name not in axes:
                views = [v[(slice(None),) * number + (slice(i, i + 1),)] for v in views for i in range(v.shape[number])]
        return [NumpyGroup(view) for view in views]

    def along(self, axis: str) -> list[NumpyGroup]:
        return self.groups([name for name in ("channel", "y", "x") if name != axis])

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
    {"id": "clip", "kwargs": {"axes": ["y", "x"], "min_percentile": 5.0, "max_percentile": 95.0}},
    {"id": "clip", "kwargs": {"axes": ["batch", "channel", "y", "x"], "min_percentile": 5.0}},
    {"id": "scale_range", "kwargs": {"axes": ["channel", "x"], "max_percentile": 90.0, "eps": 0.1}},
    {"id": "scale_linear", "kwargs": {"axis": "y", "gain": [0.5 + n for n in range(31)]}},
    {"id": "ensure_dtype", "kwargs": {"dtype": "int16"}},
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
    model = {"inputs": [{"id": "raw", "steps": [step]}], "outputs": []}
    measured = operations.measure_inputs(model, {"raw": NumpyVolume(image)})
    operations.apply_steps([step], NumpyVolume(image), measured["raw"])
    np.testing.assert_allclose(image, expected.astype(np.float32), rtol=2e-6, atol=2e-6)


def test_statistics_of_another_tensor() -> None:
    from zooferry.normalization import apply_operations

    kwargs = {"axes": ["y", "x"], "reference_tensor": "raw"}
    steps = [{"id": "scale_linear", "kwargs": {"gain": 0.1}}, {"id": "scale_mean_variance", "kwargs": kwargs}]
    raw, image = np.random.default_rng(2).poisson(100, (2, 2, 31, 40)).astype(np.float32)
    axes = ("batch", "channel", "y", "x")
    expected = apply_operations(steps, image[None], axes, references={"raw": (raw[None], axes)})[0]
    model = {"inputs": [{"id": "raw", "steps": []}], "outputs": [{"id": "out", "steps": steps}]}
    measured = operations.measure_inputs(model, {"raw": NumpyVolume(raw)})
    operations.apply_steps(steps, NumpyVolume(image), measured["out"])
    np.testing.assert_allclose(image, expected, rtol=1e-5)


def test_whole_numbers_that_would_wrap_are_refused() -> None:
    volume = NumpyVolume(np.full((1, 2, 3), 256.5, np.float32))
    with pytest.raises(UnsupportedError, match=r"ensure_dtype uint8 meets values from 256\.5 .* put a clip before it"):
        operations.apply_steps([{"id": "ensure_dtype", "kwargs": {"dtype": "uint8"}}], volume)
