"""Eight numbers about a raw image that do not depend on what it shows, but on how it was taken.

A sample C (Z) Y X is measured channel by channel in its planes Y X; the planes of a stack are pooled. Each plane is cut
into blocks of 16 x 16 pixels; of more than 2048 blocks a fixed choice of 2048, evenly spread, is taken. In every block
four steps of the orthonormal Haar transform (Mallat 1989) give e1 ... e4, the mean squared details between neighbours
that are means of 1 x 1, 2 x 2, 4 x 4 and 8 x 8 pixels; noise that is independent from pixel to pixel has
e1 = e2 = e3 = e4, whatever its distribution. q is a quantile of a quarter of the pixels (odd rows and columns of the
blocks), e without a number of its block is the mean over all blocks.

============  ========================================================================================================
feature       formula
============  ========================================================================================================
dark          q(0.001), in grey values
range         q(0.999) - q(0.001), in grey values
noise         square root of the median e1 of the blocks, over `range`
background    (q(0.5) - q(0.001)) / range
fine          e2 / e1: 1 for noise, high for what is smooth at 1 and 2 pixels
coarse        e4 / e3: 1 where there is nothing larger than 4 pixels
dark_texture  sqrt(e2 + e3 + e4) of a block, mean of the darkest eighth of the blocks over that of the middle quarter:
              below 1 in fluorescence, where dark is empty; above 1 in phase contrast, where the background is grey
structure     e4 / e1 of the diagonal details alone, in which slopes of the illumination leave nothing
============  ========================================================================================================

The twin for ImageJ is ``zooferry_fiji/features.groovy``: the same operations in the same order.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BLOCK = 16
MOST_BLOCKS, FEWEST_BLOCKS = 2048, 16
GOLDEN = 0.6180339887498949
LARGEST_RATIO = 65536.0


def features(sample: np.ndarray) -> list[dict[str, float]]:
    """The features of each channel, and "blocks", how many were taken.

    Parameters
    ----------
    sample : ndarray
        Raw grey values C (Z) Y X; taken as float32.

    Returns
    -------
    list of dict
        Empty dicts for less than 16 blocks, which say nothing.
    """
    return [_of_channel(channel if channel.ndim == 3 else channel[np.newaxis]) for channel in sample]


def _of_channel(planes: np.ndarray) -> dict[str, float]:
    blocks = _blocks(planes)
    n = len(blocks)
    if n < FEWEST_BLOCKS:
        return {}
    dark, middle, bright = _quantiles(blocks[:, 1::2, 1::2].ravel())
    energies, diagonals, sums = _details(blocks)
    e1, e2, e3, e4 = energies.mean(axis=1)
    texture = np.sqrt(energies[1] + energies[2] + energies[3])[np.argsort(sums, kind="stable")]
    span = bright - dark
    return {
        "dark": dark,
        "range": span,
        "noise": float(np.sqrt(np.median(energies[0])) / span) if span > 0 else 0.0,
        "background": (middle - dark) / span if span > 0 else 0.0,
        "fine": _ratio(e2, e1),
        "coarse": _ratio(e4, e3),
        "dark_texture": _ratio(texture[: n // 8].mean(), texture[3 * n // 8 : 5 * n // 8].mean()),
        "structure": _ratio(diagonals[3], diagonals[0]),
        "blocks": float(n),
    }


def _blocks(planes: np.ndarray) -> Floats:
    """Z Y X -> N 16 16, at most 2048 of them: those at the places of the golden-ratio sequence."""
    rows, columns = planes.shape[1] // BLOCK, planes.shape[2] // BLOCK
    count = len(planes) * rows * columns
    chosen = np.arange(count)
    if count > MOST_BLOCKS:
        places = np.arange(MOST_BLOCKS) * GOLDEN
        chosen = np.floor((places - np.floor(places)) * count).astype(np.int64)
    z, place = np.divmod(chosen, max(1, rows * columns))
    y, x = np.divmod(place, max(1, columns))
    cut = planes[:, : rows * BLOCK, : columns * BLOCK].reshape(len(planes), rows, BLOCK, columns, BLOCK)
    return cut[z, y, :, x, :].astype(np.float32).astype(np.float64)


def _quantiles(values: Floats) -> tuple[float, float, float]:
    """0.001, 0.5 and 0.999, linear between two ranks."""
    values = np.sort(values)
    found = []
    for part in (0.001, 0.5, 0.999):
        rank = part * (len(values) - 1)
        low = math.floor(rank)
        high = min(low + 1, len(values) - 1)
        found.append(float(values[low] + (values[high] - values[low]) * (rank - low)))
    return found[0], found[1], found[2]


def _details(blocks: Floats) -> tuple[Floats, list[float], Floats]:
    """Mean squared details (4, N); those of the diagonals over all blocks; N sums of the blocks' pixels / 16."""
    energies, diagonals = [], []
    for _ in range(4):
        a, b, c, d = blocks[:, ::2, ::2], blocks[:, ::2, 1::2], blocks[:, 1::2, ::2], blocks[:, 1::2, 1::2]
        horizontal, vertical, diagonal = (a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2
        energies.append(((horizontal**2 + vertical**2 + diagonal**2) / 3).mean(axis=(1, 2)))
        diagonals.append(float((diagonal**2).mean()))
        blocks = (a + b + c + d) / 2
    return np.array(energies), diagonals, blocks[:, 0, 0]


def _ratio(upper: float, lower: float) -> float:
    """upper / lower within 1/65536 and 65536; 1 for 0 / 0."""
    if lower == 0:
        return 1.0 if upper == 0 else LARGEST_RATIO
    return float(min(max(upper / lower, 1 / LARGEST_RATIO), LARGEST_RATIO))
