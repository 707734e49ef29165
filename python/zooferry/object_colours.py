"""Objects of a label image in colours over a picture."""

from __future__ import annotations

import numpy as np

GOLDEN = 0.6180339887  # of the colour circle from one object to the next: neighbours in number differ most


def with_objects(picture: np.ndarray, labels: np.ndarray, edges: np.ndarray, *, filled: float) -> np.ndarray:
    """Every object in a colour of its own.

    Parameters
    ----------
    picture : ndarray
        Y X 3, from 0 to 1.
    labels : ndarray
        Y X, whole numbers, 0 is background.
    edges : ndarray
        bool Y X: pixels in full colour.
    filled : float
        How much of its colour the inside of an object has, 0 to 1.

    Returns
    -------
    ndarray
        float64 Y X 3, from 0 to 1.
    """
    from matplotlib.colors import hsv_to_rgb

    numbers = np.arange(int(labels.max(initial=0)) + 1)
    hues = np.stack([numbers * GOLDEN % 1, np.full(len(numbers), 0.75), np.ones(len(numbers))], axis=1)
    part = np.where(edges, 1.0, np.where(labels > 0, filled, 0.0))[..., np.newaxis]
    return np.asarray((1 - part) * picture + part * hsv_to_rgb(hues)[labels])
