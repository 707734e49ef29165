"""Places between pixels along one axis, for linear interpolation."""

from __future__ import annotations

import numpy as np


def middles(length: int, wanted: int) -> np.ndarray:
    """Where the middles of `wanted` pixels lie among `length` ones that cover the same field, never beyond their ends.

    Returns
    -------
    ndarray
        float64, in pixels; 0 is the middle of the first one.
    """
    return np.clip((np.arange(wanted) + 0.5) * length / wanted - 0.5, 0, length - 1)


def neighbours(places: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of the pixels before and after each place (int64), and the weight of the latter (float64, 0 to 1)."""
    low = np.minimum(places.astype(np.int64), max(length - 2, 0))
    return low, np.minimum(low + 1, length - 1), places - low


def linear(array: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Linear interpolation at `places` along one of the last two axes of a floating-point array, in its own type."""
    low, high, weights = neighbours(places, array.shape[axis])
    part = weights.astype(array.dtype)
    part = part[:, None] if axis == -2 else part
    first, second = (np.take(array, index, axis=axis) for index in (low, high))
    return np.asarray(first + (second - first) * part)
