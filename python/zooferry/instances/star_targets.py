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


def label_anisotropy(labels: Sequence[np.ndarray]) -> float:
    """How many times flatter than wide objects look in pixels, from label volumes Z Y X: thickness of a slice.

    By the median sides of their boxes, the median over the volumes, as stardist 0.9.2 suggests; y and x have the same
    pixels. 1 without any object.
    """
    sides = []
    for volume in labels:
        boxes = [[side.stop - side.start for side in box] for box in ndimage.find_objects(volume) if box is not None]
        sides += [np.median(boxes, axis=0)] if boxes else []
    if not sides:
        return 1.0
    z, y, x = np.median(sides, axis=0)
    return float((y + x) / 2 / z)


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
    padded = np.pad(np.asarray(labels, np.int32), 1, constant_values=-1)
    starts = labels[tuple(slice(None, None, g) for g in grid)]
    places = np.nonzero(starts)
    points = [place * g + 1 for place, g in zip(places, grid, strict=True)]
    found = np.zeros((len(rays), starts.size), np.float32)
    found[:, np.flatnonzero(starts)] = _march(padded, points, np.asarray(rays, np.float32))
    return found.reshape(len(rays), *starts.shape)


def _march(padded: np.ndarray, points: Sequence[np.ndarray], rays: np.ndarray) -> np.ndarray:
    """Lengths, rays N, of the ways from `points` along all rays at once; a frame of one pixel stops every way."""
    flat, strides = padded.ravel(), np.array(padded.strides) // padded.itemsize
    starts = sum((place * stride for place, stride in zip(points, strides, strict=True)), np.zeros_like(points[0]))
    lengths = np.zeros(len(rays) * len(starts), np.float32)
    walking = np.arange(lengths.size)
    ray, at = np.repeat(np.arange(len(rays), dtype=np.int32), len(starts)), np.tile(starts, len(rays))
    labels = flat[at]
    way = np.zeros_like(rays)
    while walking.size:
        way += rays
        moved = np.where(way > 0, np.floor(way + np.float32(0.5)), np.ceil(way - np.float32(0.5))).astype(np.int64)
        ended = flat[at + (moved @ strides)[ray]] != labels
        lengths[walking[ended]] = _lengths(way, moved, rays)[ray[ended]]
        on = ~ended
        walking, ray, at, labels = walking[on], ray[on], at[on], labels[on]
    return lengths.reshape(len(rays), -1)


def _lengths(way: np.ndarray, moved: np.ndarray, rays: np.ndarray) -> np.ndarray:
    if rays.shape[1] == 3:
        return np.asarray(np.sqrt((moved**2).sum(axis=1), dtype=np.float32))
    end = way - (1 - np.float32(0.5) / np.abs(rays).max(axis=1, keepdims=True)) * rays
    return np.asarray(np.sqrt(end[:, 0] * end[:, 0] + end[:, 1] * end[:, 1]))


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
