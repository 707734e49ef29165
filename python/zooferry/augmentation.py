"""Flips and quarter turns, drawn once and applied to all arrays alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def flip_and_turn(arrays: Sequence[np.ndarray], rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """One of the eight symmetries of the y-x plane, the same for the whole batch; z is flipped by chance too.

    Parameters
    ----------
    arrays : sequence of ndarray
        B C (Z) Y X, square in y and x; never changed. Some may have a z axis and others not.
    rng : Generator
        Source of the choice.
    """
    turns = int(rng.integers(4))
    flips = rng.random(2) < 0.5
    axes = [axis for axis, flip in zip((-1, -3), flips, strict=True) if flip]
    results = []
    for array in arrays:
        turned = np.rot90(array, turns, (-2, -1))
        turned = np.flip(turned, tuple(a for a in axes if a == -1 or array.ndim == 5))
        results.append(np.ascontiguousarray(turned))
    return tuple(results)
