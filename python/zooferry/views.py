"""Many views of few clean images: what a network that shall cope with other specimens must have seen.

Before the light is formed: a window, another magnification, another contrast, another sharpness; these change the
clean image as well. After the exposure: noise that neighbouring pixels share (as interpolation and colour filters
leave it), and a stretch to 8 bit, as of frames that were saved for looking at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Range = tuple[float, float]
TRIALS = 6  # windows that are tried to find one with structure
STRUCTURE = 0.25  # of the image's range, which the 99.5 percentile of a window must reach
NATURAL, DARK, BRIGHT = 1.0, 0.1, 99.9


@dataclass(frozen=True)
class Views:
    """What is drawn for each view; each number comes evenly from its range.

    Attributes
    ----------
    window : int
        Side in y and x of the window that is taken, pixels; 0 takes the whole image.
    zoom : (float, float)
        Pixels of the view per pixel of the image along y and x, on a logarithmic scale.
    gamma : (float, float)
        Exponent of the contrast curve between dark and bright, on a logarithmic scale.
    soften : (float, float)
        Standard deviation of a Gaussian that blurs noisy and clean image alike, pixels.
    grain : (float, float)
        Standard deviation of a Gaussian that smooths the noisy image alone, pixels; under 0.3 hardly anything.
    stretch : (float, float), optional
        Noisy images are stretched to 8 bit with that part of their pixels saturated, in percent.
    """

    window: int = 0
    zoom: Range = (1.0, 1.0)
    gamma: Range = (1.0, 1.0)
    soften: Range = (0.0, 0.0)
    grain: Range = (0.0, 0.0)
    stretch: Range | None = None


def draw_view(image: NDArray[Any], views: Views, *, rng: np.random.Generator) -> tuple[NDArray[Any], dict[str, float]]:
    """One view of a clean image.

    Parameters
    ----------
    image : ndarray, C (Z) Y X
        Never changed; returned as it is where `views` asks for nothing.
    views : Views
    rng : numpy.random.Generator
        Untouched where nothing is to be drawn.

    Returns
    -------
    view : ndarray, C (Z) Y X
    record : dict
        What was drawn.
    """
    record: dict[str, float] = {}
    for name in ("zoom", "gamma"):
        low, high = getattr(views, name)
        if (low, high) != (NATURAL, NATURAL):
            record[name] = math.exp(rng.uniform(math.log(low), math.log(high)))
    zoom, gamma = record.get("zoom", NATURAL), record.get("gamma", NATURAL)
    if views.window:
        image = _window(image, math.ceil(views.window / zoom), rng)
    if zoom != NATURAL:
        image = magnified(image, zoom)
        image = image[..., : views.window, : views.window] if views.window else image
    if gamma != NATURAL:
        image = _curved(image, gamma)
    if views.soften[1] > 0:
        record["soften"] = rng.uniform(*views.soften)
        image = _smoothed(image, record["soften"])
    return image, {name: round(value, 4) for name, value in record.items()}


def finish(take: NDArray[Any], views: Views, *, rng: np.random.Generator) -> tuple[NDArray[Any], dict[str, float]]:
    """What becomes of an exposure C (Z) Y X: grain, stretch; and what was drawn."""
    record: dict[str, float] = {}
    if views.grain[1] > 0:
        record["grain"] = round(rng.uniform(*views.grain), 4)
        take = _smoothed(take, record["grain"])
    if views.stretch is not None:
        record["stretch"] = round(rng.uniform(*views.stretch), 4)
        low, high = take.min(), np.percentile(take, 100 - record["stretch"])
        take = np.clip(np.rint((take - low) * (255 / max(float(high - low), 1e-12))), 0, 255)
    return take, record


def magnified(image: NDArray[Any], zoom: float) -> NDArray[np.float32]:
    """C (Z) Y X with `zoom` times as many pixels along y and x; smoothed before it becomes smaller."""
    image = np.asarray(image, np.float32)
    if zoom < 1:
        image = _smoothed(image, 0.5 * math.sqrt(1 / zoom**2 - 1))  # as wide as the new pixels need
    factors = (*[1.0] * (image.ndim - 2), zoom, zoom)
    larger: NDArray[np.float32] = ndimage.zoom(image, factors, order=1)
    return larger


def _window(image: NDArray[Any], side: int, rng: np.random.Generator) -> NDArray[Any]:
    """A random window with structure if there is one; the whole of an axis that is shorter."""
    low, high = np.percentile(image, (DARK, BRIGHT))
    for _ in range(TRIALS):
        top, left = (int(rng.integers(0, max(n - side, 0) + 1)) for n in image.shape[-2:])
        found = image[..., top : top + side, left : left + side]
        if np.percentile(found, 99.5) >= low + STRUCTURE * (high - low):
            break
    return found


def _curved(image: NDArray[Any], gamma: float) -> NDArray[np.float32]:
    low, high = np.percentile(image, (DARK, BRIGHT))
    part = np.maximum(image.astype(np.float32) - low, 0) / max(float(high - low), 1e-12)
    return np.asarray(part**gamma, np.float32)


def _smoothed(image: NDArray[Any], sigma: float) -> NDArray[np.float32]:
    """Along y and x alone."""
    widths = (*[0.0] * (image.ndim - 2), sigma, sigma)
    smooth: NDArray[np.float32] = ndimage.gaussian_filter(np.asarray(image, np.float32), widths)
    return smooth
