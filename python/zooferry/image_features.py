"""Eight numbers about a raw image that do not depend on what it shows, but on how it was taken.

A sample C (Z) Y X is measured channel by channel in its planes Y X; the planes of a stack are pooled. Each plane is cut
into tiles of 32 x 32 pixels; of more than 256 tiles a fixed choice of 256, evenly spread, is taken. Every tile is four
blocks of 16 x 16 pixels, in which four steps of the orthonormal Haar transform (Mallat 1989) give e1 ... e4, the mean
squared details between neighbours that are means of 1 x 1, 2 x 2, 4 x 4 and 8 x 8 pixels; noise that is independent
from pixel to pixel has e1 = e2 = e3 = e4, whatever its distribution. q is a quantile of a quarter of the pixels (odd
rows and columns), e without "of a block" is the mean over all blocks.

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

The twin for ImageJ is ``zooferry_fiji/likeness.py``: the same tiles and formulas, in 32 bit; that is why the lowest of
the sorted pixels is subtracted first.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
TILE, BLOCK = 32, 16
MOST_TILES, FEWEST_TILES = 256, 4
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
        Empty dicts for less than 4 tiles, which say nothing.
    """
    return [_of_channel(channel if channel.ndim == 3 else channel[np.newaxis]) for channel in sample]


def _of_channel(planes: np.ndarray) -> dict[str, float]:
    strip = _strip(planes)
    if len(strip) < FEWEST_TILES * TILE:
        return {}
    dark, middle, bright = _quantiles(strip[1::2, 1::2].ravel())
    energies, diagonals, sums = _details(strip - strip[1::2, 1::2].min())
    e1, e2, e3, e4 = energies.mean(axis=1)
    texture = np.sqrt(energies[1] + energies[2] + energies[3])[np.argsort(sums, kind="stable")]
    n, span = len(texture), bright - dark
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


def _strip(planes: np.ndarray) -> Floats:
    """Z Y X -> at most 256 tiles below each other, 32 wide: those at the places of the golden-ratio sequence.

    They are counted down the columns, then along x, then along z.
    """
    rows, columns = planes.shape[1] // TILE, planes.shape[2] // TILE
    count = len(planes) * rows * columns
    chosen = np.arange(count)
    if count > MOST_TILES:
        places = np.arange(MOST_TILES) * GOLDEN
        chosen = np.floor((places - np.floor(places)) * count).astype(np.int64)
    z, place = np.divmod(chosen, max(1, rows * columns))
    x, y = np.divmod(place, max(1, rows))
    cut = planes[:, : rows * TILE, : columns * TILE].reshape(len(planes), rows, TILE, columns, TILE)
    return cut[z, y, :, x, :].astype(np.float32).astype(np.float64).reshape(-1, TILE)


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


def _details(image: Floats) -> tuple[Floats, list[float], Floats]:
    """Of a strip: mean squared details (4, N blocks); those of the diagonals over all; sums of the blocks / 16."""
    energies, diagonals = [], []
    for _ in range(4):
        a, b, c, d = image[::2, ::2], image[::2, 1::2], image[1::2, ::2], image[1::2, 1::2]
        horizontal, vertical, diagonal = (a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2
        squares = (horizontal**2 + vertical**2 + diagonal**2) / 3
        side = squares.shape[1] // (TILE // BLOCK)  # of a block, by now
        energies.append(squares.reshape(-1, side, TILE // BLOCK, side).mean(axis=(1, 3)).ravel())
        diagonals.append(float((diagonal**2).mean()))
        image = (a + b + c + d) / 2
    return np.array(energies), diagonals, image.ravel()


def _ratio(upper: float, lower: float) -> float:
    """upper / lower within 1/65536 and 65536; 1 for 0 / 0."""
    if lower == 0:
        return 1.0 if upper == 0 else LARGEST_RATIO
    return float(min(max(upper / lower, 1 / LARGEST_RATIO), LARGEST_RATIO))
