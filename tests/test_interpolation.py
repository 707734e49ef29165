"""Places between pixels: small tables."""

import numpy as np
import pytest

from zooferry.interpolation import middles, neighbours


@pytest.mark.parametrize(
    ("length", "wanted", "expected"),
    [
        (3, 3, [0, 1, 2]),
        (2, 4, [0, 0.25, 0.75, 1]),
        (4, 2, [0.5, 2.5]),
        (1, 3, [0, 0, 0]),
        (3, 1, [1]),
    ],
)
def test_middles(length, wanted, expected):
    np.testing.assert_allclose(middles(length, wanted), expected)


@pytest.mark.parametrize(
    ("place", "length", "expected"),
    [
        (0.0, 3, (0, 1, 0.0)),
        (1.25, 3, (1, 2, 0.25)),
        (2.0, 3, (1, 2, 1.0)),  # the last pixel has none behind it
        (0.0, 1, (0, 0, 0.0)),
    ],
)
def test_neighbours(place, length, expected):
    assert tuple(float(part[0]) for part in neighbours(np.array([place]), length)) == expected
