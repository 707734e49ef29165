"""Border classes: from probabilities of background, object and border to labels.

Prakash et al., Leveraging self-supervised denoising for image segmentation (VoidSeg), ISBI 2020: pixels above a
threshold of the object class form objects where they touch along an axis. Growing back into the border is ours.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from zooferry.errors import ZooferryError
from zooferry.instances.flows import in_order


def labels_from_classes(classes: np.ndarray, *, threshold: float = 0.5, min_size: int = 0, grow: int = 0) -> np.ndarray:
    """Connected components of the object class.

    Parameters
    ----------
    classes : ndarray
        3 (Z) Y X, probabilities of background, object and border.
    threshold : float
        Above which the second one makes a pixel part of an object.
    min_size : int
        Pixels of the smallest object that is kept, before it grows.
    grow : int
        Steps by which objects grow over pixels whose most probable class is the border; a pixel between two objects
        falls to the one at its lower side, along the first axis on which it has a neighbour.

    Returns
    -------
    ndarray
        int32, (Z) Y X, numbered in the order in which the axes meet them.
    """
    if classes.ndim < 3 or classes.shape[0] != 3:
        raise ZooferryError(f"decoding of border classes takes 3 classes (3 Y X); this has shape {classes.shape}")
    classes = np.asarray(classes, np.float32)
    labels = np.asarray(ndimage.label(classes[1] > np.float32(threshold))[0], np.int32)
    if min_size > 0:
        small = np.bincount(labels.ravel()) < min_size
        labels = in_order(np.where(small, 0, np.arange(len(small)))[labels])
    border = (classes[2] > classes[0]) & (classes[2] >= classes[1])
    for _ in range(grow):
        grown = _grown(labels, border)
        if np.array_equal(grown, labels):
            break
        labels = grown
    return labels


def classes_of_labels(labels: np.ndarray) -> np.ndarray:
    """What the classes should be: uint8, (Z) Y X, 0 background, 1 object, 2 border, from labels (Z) Y X.

    The border is made of the pixels around objects, and of those of objects that touch another one.
    """
    from skimage.segmentation import find_boundaries

    labels = np.asarray(labels, np.int32)
    classes = (labels > 0).astype(np.uint8)
    classes[find_boundaries(labels, mode="outer")] = 2  # type: ignore[no-untyped-call]
    return classes


def _grown(labels: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    # one step along each axis at once
    result = labels.copy()
    for axis in range(labels.ndim):
        for shift in (1, -1):
            from_, to = (slice(None, -1), slice(1, None))[::shift]
            near = np.zeros_like(labels)
            near[(slice(None),) * axis + (to,)] = labels[(slice(None),) * axis + (from_,)]
            free = (result == 0) & allowed
            result[free] = near[free]
    return result
