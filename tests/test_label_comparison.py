"""Labels compared by objects: matched, missed, invented, split, whatever their numbers; packages that make labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import label_packages
import numpy as np
import pytest

from zooferry.label_comparison import compare_labels, declared_labels, is_labels
from zooferry.package import open_package
from zooferry.running import run_package

EXPECTED = np.zeros((12, 20), np.int32)
EXPECTED[1:5, 1:7] = 1
EXPECTED[6:11, 1:9] = 2
EXPECTED[2:10, 11:19] = 7


def changed(*changes: tuple[tuple[slice, slice], int]) -> np.ndarray:
    labels = EXPECTED.copy()
    for window, number in changes:
        labels[window] = number
    return labels


# what came, whether it passes, words, pixels that differ
CASES = {
    "equal": (EXPECTED, True, "3 of 3 objects matched (IoU 0.9), worst IoU 1.0000, 0 missed, 0 invented, 0 split", 0),
    "other_numbers": (np.where(EXPECTED > 0, 100 - EXPECTED, 0), True, "3 of 3 objects matched", 0),
    "one_pixel_less": (changed(((slice(6, 7), slice(1, 2)), 0)), True, "worst IoU 0.9750", 1),
    "missed": (changed(((slice(1, 5), slice(1, 7)), 0)), False, "2 of 3 objects matched", 24),
    "invented": (changed(((slice(0, 1), slice(10, 12)), 9)), False, "0 missed, 1 invented, 0 split", 2),
    "split": (changed(((slice(2, 6), slice(11, 19)), 8)), False, "1 missed, 2 invented, 1 split", 64),
    "nothing": (np.zeros_like(EXPECTED), False, "0 of 3 objects matched (IoU 0.9), worst IoU 1.0000, 3 missed", 128),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_cases(name: str) -> None:
    actual, passed, words, pixels = CASES[name]
    verdict = compare_labels(actual, EXPECTED, name="labels", axes=("y", "x"))
    assert verdict.passed is passed
    assert words in verdict.sentence()
    assert verdict.mismatched == pixels
    assert verdict.reason == ("" if passed else f"'labels': {verdict.sentence()}")
    assert verdict.to_json()["objects"] == verdict.sentence()


def test_what_are_no_labels_of_that_shape_fails() -> None:
    assert "shape is 3 x 3" in compare_labels(np.zeros((3, 3)), EXPECTED, name="a").reason
    assert "other values than whole numbers" in compare_labels(EXPECTED + 0.5, EXPECTED, name="a").reason
    assert compare_labels(np.zeros((4, 4)), np.zeros((4, 4), np.int32), name="a").passed


@pytest.mark.parametrize("method", ["star_convex", "flows", "borders"])
def test_declared_labels_are_those_of_the_heads(tmp_path: Path, method: str) -> None:
    heads = label_packages.heads_of(method)
    with open_package(label_packages.declared_package(tmp_path, method, heads)) as package:
        outputs = run_package(package, {"raw": heads[None]})
        expected = outputs.pop("labels")
        assert not any(is_labels(package, tensor) for tensor in package.outputs)
        found = declared_labels(package, outputs)
        assert found is not None
        assert found.max() > 3
        np.testing.assert_array_equal(found, expected[0, 0])
        first = next(iter(outputs))
        assert declared_labels(package, {key: array for key, array in outputs.items() if key != first}) is None
        assert declared_labels(replace(package, content={}), outputs) is None


@pytest.mark.parametrize("method", ["star_convex", "flows"])
def test_a_label_step_makes_labels(tmp_path: Path, method: str) -> None:
    with open_package(label_packages.spec_package(tmp_path, method, label_packages.heads_of(method))) as package:
        assert is_labels(package, package.outputs[0])
