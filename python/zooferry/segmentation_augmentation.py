"""Patches of objects varied: symmetries, sizes, intensities, noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zooferry.interpolation import linear, middles

ENLARGED = 0.5  # part of the batches: the others keep the sharpness of the images


@dataclass(frozen=True)
class Symmetry:
    """Quarter turns from Y towards X, then flips along X and Z."""

    turns: int
    flip_x: bool
    flip_z: bool

    def of(self, array: np.ndarray) -> np.ndarray:
        """The array, B C (Z) Y X, turned and flipped: a new one."""
        axes = (-1,) * self.flip_x + (-3,) * (self.flip_z and array.ndim == 5)
        turned: np.ndarray = np.flip(np.rot90(array, self.turns, (-2, -1)), axes)
        return np.ascontiguousarray(turned)


def draw_symmetry(rng: np.random.Generator) -> Symmetry:
    """One of the eight symmetries of the y-x plane; z is flipped by chance too."""
    turns = int(rng.integers(4))
    flips = rng.random(2) < 0.5
    return Symmetry(turns, bool(flips[0]), bool(flips[1]))


def vary_greys(patches: np.ndarray, rng: np.random.Generator, *, spread: float, noise: float) -> np.ndarray:
    """Other gain, offset and gamma, and Gaussian noise, for each patch its own.

    Parameters
    ----------
    patches : ndarray
        B C (Z) Y X, float32, percentile-normalised to about 0 ... 1; never changed.
    spread : float
        The logarithms of gain and gamma lie between minus and plus this, the offset within a third of it.
    noise : float
        Largest standard deviation of the noise, in normalised units; it is drawn from 0 to this.
    """
    varied = np.empty_like(patches)
    for number, patch in enumerate(patches):
        gain, gamma = np.exp(rng.uniform(-spread, spread, 2))
        offset = rng.uniform(-spread / 3, spread / 3)
        bent = np.sign(patch) * np.abs(patch) ** np.float32(gamma)
        varied[number] = np.float32(gain) * bent + np.float32(offset)
        varied[number] += rng.uniform(0, noise) * rng.standard_normal(patch.shape, np.float32)
    return varied


def enlarge_some(
    arrays: Sequence[np.ndarray], rng: np.random.Generator, *, zoom: float, nearest: Sequence[bool]
) -> tuple[np.ndarray, ...]:
    """A window of the patches enlarged to their size in y and x, by a factor from 1 to `zoom` for half of the batches.

    Parameters
    ----------
    arrays : sequence of ndarray
        B C (Z) Y X, all of the same spatial sizes; never changed.
    zoom : float
        Largest factor; 1 returns the arrays themselves.
    nearest : sequence of bool
        Which of the arrays hold numbers that must not be mixed; the others are interpolated linearly.
    """
    factor = rng.uniform(1, zoom) if rng.random() < ENLARGED else 1.0
    shape = arrays[0].shape
    wanted = [round(n / factor) for n in shape[-2:]]
    corners = [int(rng.integers(0, n - w + 1)) for n, w in zip(shape[-2:], wanted, strict=True)]
    if wanted == list(shape[-2:]):
        return tuple(arrays)
    rows, columns = (middles(w, n) + c for n, w, c in zip(shape[-2:], wanted, corners, strict=True))
    results = []
    for array, whole in zip(arrays, nearest, strict=True):
        if whole:
            taken = array[..., np.rint(rows).astype(int)[:, None], np.rint(columns).astype(int)]
            results.append(np.ascontiguousarray(taken))
        else:
            results.append(linear(linear(array, rows, -2), columns, -1))
    return tuple(results)
