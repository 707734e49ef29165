"""Every operation against numpy by hand, (tests/test_packager.py compares them with bioimageio.core)."""

import numpy as np
import pytest

from zooferry import normalization
from zooferry.errors import ZooferryError

AXES = ("batch", "channel", "y", "x")
IMAGE = np.array([[[[0, 1], [2, 3]], [[10, 20], [30, 40]]]], np.float32)

# operation, kwargs, expected by hand
BY_HAND = [
    ("scale_linear", {"gain": 2.0, "offset": 1.0}, IMAGE * 2 + 1),
    (
        "scale_linear",
        {"gain": [1, 10], "offset": [0, 5], "axis": "channel"},
        [[[[0, 1], [2, 3]], [[105, 205], [305, 405]]]],
    ),
    ("clip", {"min": 1, "max": 20}, [[[[1, 1], [2, 3]], [[10, 20], [20, 20]]]]),
    ("clip", {"min": 2}, [[[[2, 2], [2, 3]], [[10, 20], [30, 40]]]]),
    ("binarize", {"threshold": 3}, [[[[0, 0], [0, 0]], [[1, 1], [1, 1]]]]),
    ("fixed_zero_mean_unit_variance", {"mean": 1.0, "std": 2.0}, (IMAGE - 1) / 2),
    ("scale_range", {"axes": ["channel", "y", "x"]}, IMAGE / 40),
    ("scale_range", {"axes": ["y", "x"]}, [[[[0, 1 / 3], [2 / 3, 1]], [[0, 1 / 3], [2 / 3, 1]]]]),
    ("zero_mean_unit_variance", {"axes": ["y", "x"]}, np.array([[-3, -1, 1, 3]] * 2).reshape(1, 2, 2, 2) / 5**0.5),
    ("sigmoid", {}, 1 / (1 + np.exp(-IMAGE))),
    ("softmax", {"axis": "channel"}, np.exp(IMAGE) / np.exp(IMAGE.astype(float)).sum(1, keepdims=True)),
]


@pytest.mark.parametrize(("name", "kwargs", "expected"), BY_HAND)
def test_operation_by_hand_leaves_its_input_alone(name, kwargs, expected):
    before = IMAGE.copy()
    result = normalization.apply_operations([{"id": name, "kwargs": kwargs}], IMAGE, AXES)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(IMAGE, before)


def test_unknown_operation_is_refused_with_the_allowed_ones():
    with pytest.raises(ZooferryError, match="'gamma' is not supported; allowed are binarize, cellpose_"):
        normalization.apply_operations([{"id": "gamma"}], IMAGE, AXES)


def test_standardising_and_back_is_the_identity():
    raw = np.random.default_rng(0).normal(300, 20, (1, 1, 16, 16)).astype(np.float32)
    there = normalization.standardising_operations(300.0, 20.0)
    back = normalization.linear_operations(20.0, 300.0)
    result = normalization.apply_operations([*there, *back], raw, AXES)
    np.testing.assert_allclose(result, raw, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_percentiles_are_numpys_in_float64(dtype):
    raw = np.random.default_rng(1).gamma(2, 30, (1, 1, 64, 48)).clip(0, 255).astype(dtype)
    ours = normalization.apply_operations(normalization.percentile_operations(2.0, 99.8, AXES), raw, AXES)
    low, high = np.percentile(raw.astype(np.float64), [2.0, 99.8])
    np.testing.assert_allclose(ours, (raw - low) / (high - low + 1e-6), rtol=1e-6, atol=1e-6)
    assert ours.dtype == np.float32
