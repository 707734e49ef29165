"""Star-convex targets of a label image: object probability and distances along rays, as stardist 0.9.2 has them.

Schmidt et al., Cell Detection with Star-convex Polygons, MICCAI 2018, section 2.1; Weigert et al., Star-convex
Polyhedra for 3D Object Detection and Segmentation in Microscopy, WACV 2020, section 2 (Fibonacci rays).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

TINY = 1e-10


def plane_rays(count: int) -> np.ndarray:
    """Unit vectors Y X, float32 (count, 2), at angles 2 pi k / count that begin at the X axis and turn towards Y."""
    angles = (np.float32(2 * np.pi / count) * np.arange(count, dtype=np.float32)).astype(np.float64)
    return np.stack([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def volume_rays(count: int, anisotropy: Sequence[float] = (1.0, 1.0, 1.0)) -> np.ndarray:
    """Directions Z Y X, float64 (count, 3), along a Fibonacci spiral on a sphere, in pixels of unit length.

    Parameters
    ----------
    count : int
        4 or more.
    anisotropy : sequence of float
        Pixel sizes along Z Y X, in any unit.
    """
    turn = (3 - np.sqrt(5)) * np.pi * np.arange(count)
    height = np.linspace(-1, 1, count)
    radius = np.sqrt(1 - height**2)
    rays = np.stack([height, radius * np.sin(turn), radius * np.cos(turn)], axis=1) / np.asarray(anisotropy)
    found: np.ndarray = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    return found


def star_distances(labels: np.ndarray, rays: np.ndarray, *, grid: Sequence[int]) -> np.ndarray:
    """Distances from pixels of the grid to the border of their object.

    A ray goes in steps of one pixel until it is in a pixel of another label or outside of the image. In planes only
    half of what it takes to cross a pixel counts of the last step; in volumes the distance is to that pixel's centre.

    Parameters
    ----------
    labels : ndarray
        (Z) Y X, whole numbers, 0 is background.
    rays : ndarray
        See `plane_rays` and `volume_rays`.
    grid : sequence of int
        Pixels between neighbours of the result, along (Z) Y X.

    Returns
    -------
    ndarray
        float32, rays (Z) Y X, pixels; 0 in the background.
    """
    padded = np.pad(labels.astype(np.int64), 1, constant_values=-1)
    starts = labels[tuple(slice(None, None, g) for g in grid)]
    places = np.nonzero(starts)
    points = np.stack([p * g for p, g in zip(places, grid, strict=True)]).astype(np.int64)
    found = np.zeros((len(rays), *starts.shape), np.float32)
    values = starts[places]
    for number, ray in enumerate(np.asarray(rays, np.float32)):
        found[(number, *places)] = _march(padded, points, values, ray)
    return found


def _march(padded: np.ndarray, points: np.ndarray, values: np.ndarray, ray: np.ndarray) -> np.ndarray:
    """Lengths (N,) of the way from `points` (dims N) along one ray; `padded` has a frame of one pixel."""
    flat = padded.ravel()
    strides = np.array([int(np.prod(padded.shape[axis + 1 :])) for axis in range(padded.ndim)])
    limits = np.array(padded.shape)[:, None] - 1
    back = np.float32(1 - 0.5 / np.abs(ray).max())
    lengths = np.zeros(len(values), np.float32)
    walking = np.arange(len(values))
    way = np.zeros(len(ray), np.float32)
    starts = points + 1
    while len(walking):
        way = way + ray
        moved = np.where(way > 0, np.floor(way + np.float32(0.5)), np.ceil(way - np.float32(0.5))).astype(np.int64)
        at = np.clip(starts + moved[:, None], 0, limits)
        ended = flat[strides @ at] != values
        if len(ray) == 2:
            end = way - back * ray
            lengths[walking[ended]] = np.sqrt((end * end).sum(dtype=np.float32))
        else:
            lengths[walking[ended]] = np.sqrt((moved**2).sum(), dtype=np.float32)
        walking, starts, values = walking[~ended], starts[:, ~ended], values[~ended]
    return lengths


def object_probability(labels: np.ndarray, anisotropy: Sequence[float] | None = None) -> np.ndarray:
    """Distance of each pixel to the nearest one outside of its object, divided by the largest in the object.

    Parameters
    ----------
    labels : ndarray
        (Z) Y X, whole numbers, 0 is background.
    anisotropy : sequence of float, optional
        Pixel sizes along (Z) Y X.

    Returns
    -------
    ndarray
        float32, 0 to 1, (Z) Y X. The image's edge is no border of an object, but where one fills the image.
    """
    labels = np.asarray(labels, np.int64)
    if labels.size and labels.min() == labels.max() and labels.flat[0] > 0:
        return object_probability(np.pad(labels, 1), anisotropy)[(slice(1, -1),) * labels.ndim]
    prob = np.zeros(labels.shape, np.float32)
    for number, window in enumerate(ndimage.find_objects(labels), 1):
        if window is None:
            continue
        sides = list(zip(window, labels.shape, strict=True))
        wider = tuple(slice(max(s.start - 1, 0), min(s.stop + 1, n)) for s, n in sides)
        back = tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(window, wider, strict=True))
        depth = ndimage.distance_transform_edt(labels[wider] == number, sampling=anisotropy)[back]
        mask = labels[window] == number
        prob[window][mask] = (depth[mask] / (depth[mask].max() + TINY)).astype(np.float32)
    return prob
