"""Classical filters that a network must beat to be worth its trouble."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage, optimize

from zooferry.metrics import score


def gaussian(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian filter of an image (Z) Y X; `sigma` in pixels along every axis, float32 out."""
    filtered: np.ndarray = ndimage.gaussian_filter(image.astype(np.float32), sigma)
    return filtered


def best_gaussian(pairs: Sequence[tuple[np.ndarray, np.ndarray]], largest: float = 6.0) -> float:
    """Width in pixels with the lowest mean NRMSE on (noisy, clean) pairs, so that nobody is fooled by a weak baseline.

    Parameters
    ----------
    pairs : sequence of (ndarray, ndarray)
        Images (Z) Y X.
    largest : float
        Largest width that is tried.
    """

    def error(sigma: float) -> float:
        return float(np.mean([score(gaussian(noisy, sigma), clean).nrmse for noisy, clean in pairs]))

    found = optimize.minimize_scalar(error, bounds=(0.3, largest), method="bounded", options={"xatol": 0.05})
    return round(float(found.x), 2)
