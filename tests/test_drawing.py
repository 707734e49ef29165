"""Polygons in pixels: those of skimage.draw.polygon (scikit-image 0.26), and small ones by head."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import polygon

from zooferry.instances import drawing
from zooferry.instances.drawing import paint


def random_corners(kind: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed, len(kind)])
    count, corners = int(rng.integers(0, 6)), int(rng.integers(3, 34))
    found = rng.uniform(-10, 45, (count, 2, corners))
    if kind == "whole":
        return np.rint(found)
    if kind == "halves":
        return np.rint(2 * found) / 2
    if kind == "far":
        return 1000 * found
    if kind == "star":
        angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
        arms = rng.uniform(0, 12, (count, 1, corners)) * np.stack([np.sin(angles), np.cos(angles)])
        return np.rint(rng.uniform(0, 40, (count, 2, 1))) + arms.astype(np.float32)
    return found


@pytest.mark.parametrize("kind", ["any", "whole", "halves", "far", "star"])
def test_pixels_are_those_of_scikit_image(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "TOGETHER", 700)  # some polygons at a time, and one that is larger
    painted = 0
    for seed in range(80):
        corners = random_corners(kind, seed)
        shape = tuple(np.random.default_rng(seed).integers(1, 40, 2))
        expected = np.zeros(shape, np.int32)
        for number, (y, x) in enumerate(corners, 1):
            expected[polygon(y, x, shape)] = number
        np.testing.assert_array_equal(paint(corners, shape), expected)
        painted += np.count_nonzero(expected)
    assert painted > 1000


SQUARE = [[1, 1, 3, 3], [1, 4, 4, 1]]
# corners (Y X), shape -> rows
SMALL = [
    (SQUARE, (5, 6), ["000000", "011110", "011110", "011110", "000000"]),
    (np.add(SQUARE, 0.5), (5, 6), ["000000", "000000", "001110", "001110", "000000"]),
    (np.multiply(SQUARE, 100), (2, 3), ["000", "000"]),
    (np.multiply(np.subtract(SQUARE, 2), 100), (2, 3), ["111", "111"]),
    ([[2, 2, 2], [1, 1, 1]], (3, 3), ["000", "000", "010"]),  # a point
]


@pytest.mark.parametrize(("corners", "shape", "rows"), SMALL)
def test_pixels_on_the_border_belong_to_it(corners: np.ndarray, shape: tuple[int, int], rows: list[str]) -> None:
    painted = paint(np.asarray(corners, float)[None], shape)
    assert ["".join(map(str, row)) for row in painted] == rows


def test_nothing_to_paint() -> None:
    assert not paint(np.zeros((0, 2, 32)), (3, 4)).any()
