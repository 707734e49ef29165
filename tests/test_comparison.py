"""Verdicts small enough to check by head."""

import json
import math

import numpy as np
import pytest

from zooferry.comparison import compare, short_number, spaced

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("actual", "expected", "mismatched", "max_abs", "max_rel", "at", "passed"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0, 0.0, 0.0, (0,), True),
        ([1.0, 2.5], [1.0, 2.0], 1, 0.5, 0.25, (1,), False),
        ([1.00015, 2.0], [1.0, 2.0], 0, 1.5e-4, 1.5e-4, (0,), True),
        ([1.00025, 2.0], [1.0, 2.0], 1, 2.5e-4, 2.5e-4, (0,), False),
        # |d| is largest at 1000, but the excess over what is allowed is largest at 0
        ([1000.05, 0.01], [1000.0, 0.0], 1, 0.05, 100.0, (1,), False),
        # nothing disagrees: 2e-5 of the allowed 1e-4 is worse than 5e-5 of the allowed 0.1001
        ([1000.00005, 0.00002], [1000.0, 0.0], 0, 5e-5, 0.2, (1,), True),
        ([[0, 0], [0, 7]], [[0, 0], [0, 0]], 1, 7.0, 70000.0, (1, 1), False),
        ([True, False], [1, 0], 0, 0.0, 0.0, (0,), True),
        (np.uint8([0]), np.uint8([255]), 1, 255.0, 1.0, (0,), False),
        ([-2.0], [2.0], 1, 4.0, 2.0, (0,), False),
        (3.0, 3.0, 0, 0.0, 0.0, (), True),
    ],
)
def test_numbers(actual, expected, mismatched, max_abs, max_rel, at, passed):
    verdict = compare(actual, expected, name="restored")
    assert (verdict.mismatched, verdict.at, verdict.passed) == (mismatched, at, passed)
    assert verdict.mismatched_ppm == mismatched / np.size(actual) * 1e6
    assert verdict.max_abs == pytest.approx(max_abs, rel=1e-9)
    assert verdict.max_rel == pytest.approx(max_rel, rel=1e-9)
    assert bool(verdict.reason) is not passed


@pytest.mark.parametrize(
    ("actual", "expected", "words"),
    [
        (np.zeros((1, 3)), np.zeros((3, 1)), "'out': shape is 1 x 3, expected 3 x 1"),
        (np.zeros((2, 2)), 0.0, "'out': shape is 2 x 2, expected a single number"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "'out': there is nothing to compare: shape 0 x 3"),
        (np.array(["a"]), np.zeros(1), "'out': the actual values are <U1, expected real numbers"),
        (np.zeros(1), np.zeros(1, complex), "'out': the expected values are complex128, expected real numbers"),
        ([1.0, NAN, INF], [1.0, 1.0, 1.0], "2 of 3 values of 'out' are NaN or infinite"),
        ([1.0, 1.0], [1.0, NAN], "1 of 2 expected values of 'out' are NaN or infinite"),
        ([NAN], [NAN], "1 of 1 values of 'out' are NaN or infinite"),
        ([1.0, 2.0], [1.0, 1.0], "1 of 2 values of 'out' disagree"),
    ],
)
def test_failures_are_words(actual, expected, words):
    verdict = compare(actual, expected, name="out")
    assert not verdict.passed
    assert verdict.reason == words
    json.dumps(verdict.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("values", "allowed_ppm", "passed"),
    [
        (np.r_[1.0, np.zeros(9)], 100_000, True),
        (np.r_[1.0, np.zeros(9)], 99_999, False),
        (np.r_[NAN, np.zeros(9)], 1e6, False),
    ],
)
def test_allowed_ppm(values, allowed_ppm, passed):
    assert compare(values, np.zeros(10), name="out", allowed_ppm=allowed_ppm).passed is passed


def test_json_has_exactly_these_keys():
    verdict = compare(np.float32([[1, 2]]), np.float32([[1, 4]]), name="restored")
    assert verdict.to_json() == {
        "name": "restored",
        "shape": [1, 2],
        "mismatched_ppm": 500000.0,
        "max_abs": 2.0,
        "max_rel": 0.5,
        "at": [0, 1],
        "expected": 4.0,
        "actual": 2.0,
    }


def test_sentences():
    expected = np.zeros((1, 1, 256, 256), np.float32)
    actual = expected.copy()
    actual[0, 0, 17, 255] = 3e-6
    axes = ("batch", "channel", "y", "x")
    good = compare(actual, expected, name="restored", axes=axes)
    assert good.sentence() == "65 536 of 65 536 values within 1e-4, worst 3e-6 at y 17, x 255"
    actual[0, 0, 1, 2] = 5
    bad = compare(actual, expected, name="restored", axes=axes, rtol=1e-3)
    assert bad.sentence() == (
        "65 535 of 65 536 values within 1e-4 + 1e-3 x |expected|, worst 5 at y 1, x 2 (expected 0, got 5)"
    )
    actual[0, 0, 0, 3] = NAN
    assert compare(actual, expected, name="restored").sentence().endswith("got nan, expected 0.0 at axis 2 0, axis 3 3")
    assert compare([1.0], [1.0, 2.0], name="restored").sentence() == "'restored': shape is 1, expected 2"


def test_equal_arrays_have_no_worst_place():
    assert compare([1.0, 2.0], [1.0, 2.0], name="out").sentence() == "all 2 values are equal"


def test_inputs_are_not_changed():
    actual, expected = np.array([1.0, NAN]), np.array([1.0, 2.0])
    compare(actual, expected, name="out")
    np.testing.assert_array_equal(actual, [1.0, NAN])
    np.testing.assert_array_equal(expected, [1.0, 2.0])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-4, "1e-4"),
        (3.14e-6, "3.1e-6"),
        (0, "0"),
        (12.0, "12"),
        (0.25, "0.25"),
        (0.0123, "0.012"),
        (0.00123, "1.2e-3"),
        (4567, "4.6e3"),
        (INF, "inf"),
    ],
)
def test_short_number(value, text):
    assert short_number(value) == text


def test_spaced():
    assert [spaced(n) for n in (7, 999, 1000, 65536)] == ["7", "999", "1 000", "65 536"]
