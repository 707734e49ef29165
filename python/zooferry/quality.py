"""What the quality report shows of an image beside its scores: similarity map, profiles, Fourier power, clipping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from zooferry.metrics import SSIM_WINDOW, affine_fit, normalize_reference

Array = NDArray[Any]
Doubles = NDArray[np.float64]
CLIPPED = 0.05  # part of the pixels at one end of the range from which an image counts as clipped there
MOST_SLICES = 8  # of a volume, for its spectrum
MOST_RANKED = 1 << 20  # pixels that are ranked for a correlation


def similarity_map(candidate: Array, reference: Array, *, only: int | None = None) -> Doubles:
    """SSIM of every pixel after the affine fit; without its rim, its mean is that of :func:`zooferry.metrics.score`.

    Parameters
    ----------
    candidate, reference : ndarray
        (Y, X) or (Z, Y, X); SSIM is taken slice by slice.
    only : int, optional
        Of a volume, this slice alone, (Y, X).
    """
    from skimage.metrics import structural_similarity  # here, because it is slow to import

    target = normalize_reference(reference)
    fitted = affine_fit(candidate, target)[0]
    if only is not None:
        target, fitted = target[only], fitted[only]
    plane = target.shape[-2:]
    slices = zip(target.reshape(-1, *plane), fitted.reshape(-1, *plane), strict=True)
    maps = [
        structural_similarity(t, f, data_range=1.0, win_size=SSIM_WINDOW, full=True)[1]  # type: ignore[no-untyped-call]
        for t, f in slices
    ]
    return np.asarray(maps, np.float64).reshape(target.shape)


def structured_row(plane: Array) -> int:
    """The row (index along Y) whose grey values vary most: where a profile has most to show."""
    return int(np.argmax(plane.astype(np.float64).var(axis=1)))


def radial_power(image: Array) -> tuple[Doubles, Doubles]:
    """Mean power of the Fourier transform on rings, of a plane with a Hann window over it.

    Parameters
    ----------
    image : ndarray
        (Y, X), or (Z, Y, X) for the mean over some of its slices, evenly spaced.

    Returns
    -------
    frequency : ndarray
        Cycles per pixel: the middles of the rings, 1 / N apart up to 0.5, N being the shorter side.
    power : ndarray
        Mean squared magnitude over a ring, divided by the number of pixels: white noise has its variance (the window's
        loss is made good).
    """
    stack = image.reshape(-1, *image.shape[-2:])
    stack = stack[:: -(-len(stack) // MOST_SLICES)].astype(np.float64)
    height, width = stack.shape[1:]
    window = np.outer(np.hanning(height), np.hanning(width))
    window /= np.sqrt((window**2).mean())
    values = (stack - stack.mean((-2, -1), keepdims=True)) * window
    power = (np.abs(np.fft.fft2(values)) ** 2).mean(0) / (height * width)
    distance = np.hypot(np.fft.fftfreq(height)[:, np.newaxis], np.fft.fftfreq(width))
    shorter = min(height, width)
    ring = np.rint(distance * shorter).astype(np.intp)
    rings = np.arange(1, shorter // 2 + 1)
    sums = np.bincount(ring.ravel(), power.ravel(), minlength=rings[-1] + 1)
    counts = np.bincount(ring.ravel(), minlength=rings[-1] + 1)
    return rings / shorter, sums[rings] / counts[rings]


def clipping(images: Mapping[str, Array]) -> tuple[str, ...]:
    """Sentences about images that were cut off at one end of their range.

    Parameters
    ----------
    images : mapping
        What an image is ("clean image") -> its grey values as acquired.
    """
    found = []
    for name, image in images.items():
        for end, value, words in (
            ("minimum", image.min(), "its background was cut off, and what is restored there counts as error"),
            ("maximum", image.max(), "it is saturated"),
        ):
            share = float(np.mean(image == value))
            if share > CLIPPED:
                found.append(f"{100 * share:.0f} % of the {name} is at its {end} ({value:g}): {words}")
    return tuple(found)


def rank_correlation(first: Array, second: Array) -> float | None:
    """Spearman's correlation of two images, pixel by pixel; None where one is flat."""
    step = -(-first.size // MOST_RANKED)
    a, b = (array.ravel()[::step] for array in (first, second))
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1])
