"""Flips, quarter turns and changes of intensity, drawn once and applied to all arrays alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zooferry.settings import Settings


def augmented(arrays: tuple[np.ndarray, ...], settings: Settings, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """A batch as the settings want it varied, each array B C (Z) Y X."""
    if settings.augment:
        arrays = flip_and_turn(arrays, rng)
    if settings.intensity:
        arrays = vary_intensity(arrays, settings.intensity, rng)
    return arrays


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


def vary_intensity(arrays: Sequence[np.ndarray], spread: float, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """A gain and an offset for each patch of a batch.

    Parameters
    ----------
    arrays : sequence of ndarray
        B C (Z) Y X; never changed.
    spread : float
        The gain's logarithm lies between minus and plus this, the offset within a third of it.
    rng : Generator
    """
    count = len(arrays[0])
    gain = np.exp(rng.uniform(-spread, spread, count)).astype(np.float32)
    offset = rng.uniform(-spread / 3, spread / 3, count).astype(np.float32)
    shapes = [(count, *[1] * (array.ndim - 1)) for array in arrays]
    return tuple(a * gain.reshape(s) + offset.reshape(s) for a, s in zip(arrays, shapes, strict=True))
