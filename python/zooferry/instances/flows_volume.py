"""Flows of volumes: from object probability and a field that points to each object's centre to labels, as `flows`.

What Stringer et al. 2021 leave open is as in cellpose 3.1.1 on a CPU: points move in 32 bit by a field that is sampled
in a frame from -1 to 1, whose ends are the middles of the outermost pixels for points and their edges for the field, so
that it is read up to half a pixel beside them; and the check of flows is left out.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy import ndimage

from zooferry.errors import ZooferryError
from zooferry.instances.flows import GROWN, LOOK, RADIUS, REACH, SCALE, SEED, fill_and_drop, in_order

POINTS = 1 << 15  # that are moved together
ONE, TWO = np.float32(1), np.float32(2)


def labels_from_flows(
    cellprob: np.ndarray,
    flows: np.ndarray,
    *,
    prob_thresh: float = 0.0,
    min_size: int = 15,
    steps: int = 200,
    largest: float = 0.4,
) -> np.ndarray:
    """Labels of the pixels that flow to the same place.

    Parameters
    ----------
    cellprob : ndarray
        Z Y X, logit of the probability that a pixel is inside an object.
    flows : ndarray
        3 Z Y X, along Z, Y and X, five times a unit vector.
    prob_thresh, min_size, steps, largest
        See `flows.labels_from_flows`; sizes are in pixels of the volume.

    Returns
    -------
    ndarray
        int32, Z Y X.
    """
    if cellprob.ndim != 3 or flows.shape != (3, *cellprob.shape):
        raise ZooferryError(
            f"decoding of flows of volumes takes cell probabilities (Z Y X) and flows (3 Z Y X); "
            f"these have shapes {cellprob.shape} and {flows.shape}"
        )
    inside = np.asarray(cellprob, np.float32) > np.float32(prob_thresh)
    labels = np.zeros(inside.shape, np.int32)
    if not inside.any():
        return labels
    ends = follow(np.asarray(flows, np.float32) * inside / np.float32(SCALE), np.nonzero(inside), steps=steps)
    labels[inside] = gather(ends, inside.shape)
    sizes = np.bincount(labels.ravel())
    labels = in_order(np.where(sizes > inside.size * largest, 0, np.arange(len(sizes)))[labels])
    return fill_and_drop(labels, min_size)


def follow(field: np.ndarray, starts: tuple[np.ndarray, ...], *, steps: int) -> np.ndarray:
    """Where points end that follow a field (3 Z Y X, pixels per step, float32) from whole pixels; int64, 3 N."""
    sides = np.array(field.shape[1:], np.float64) - 1
    scaled = np.stack([part * np.float32(2 / side if side else 0) for part, side in zip(field, sides, strict=True)])
    lengths = np.maximum(sides, 1).astype(np.float32)[:, None]
    now = np.stack(starts).astype(np.float32) / lengths * TWO - ONE
    for begin in range(0, now.shape[1], POINTS):
        part = slice(begin, begin + POINTS)
        now[:, part] = _follow(scaled, now[:, part], steps)
    return np.asarray((now + ONE) * np.float32(0.5) * sides.astype(np.float32)[:, None]).astype(np.int64)


def _follow(field: np.ndarray, start: np.ndarray, steps: int) -> np.ndarray:
    now, paths = start, np.arange(start.shape[1])  # of each point the column of `now` that holds it
    for step in range(1, steps + 1):
        before, now = now, _moved(field, now)
        if step % LOOK or step + 2 > steps:
            continue
        if np.array_equal(before, now):
            break
        _, first, which = np.unique(now, axis=1, return_index=True, return_inverse=True)  # met: they go on as one
        now, paths = now[:, first], which.reshape(-1)[paths]
    return now[:, paths]


def _moved(field: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (3 N) one step further, each value rounded as torch 2's `grid_sample` rounds it."""
    shape = field.shape[1:]
    at = np.stack([((axis + ONE) * np.float32(n) - ONE) / TWO for axis, n in zip(points, shape, strict=True)])
    low = np.floor(at)
    corners = low.astype(np.int64)
    up, down = at - low, (low + ONE) - at
    total = np.zeros_like(points)
    flat = field.reshape(len(field), -1)
    for bits in itertools.product((0, 1), repeat=3):
        z, y, x = (corner + bit for corner, bit in zip(corners, bits, strict=True))
        there = (z >= 0) & (z < shape[0]) & (y >= 0) & (y < shape[1]) & (x >= 0) & (x < shape[2])
        parts = [(up if bit else down)[axis] for axis, bit in enumerate(bits)]
        weight = np.where(there, parts[2] * parts[1] * parts[0], np.float32(0))
        place = np.where(there, (z * shape[1] + y) * shape[2] + x, 0)
        for axis in range(len(field)):
            total[axis] += flat[axis][place] * weight
    return np.asarray(np.clip(points + total, -ONE, ONE))


def gather(ends: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Which seed each point (3 N, whole pixels of a volume of `shape`) belongs to, 0 for none; see `flows.gather`."""
    around = REACH + RADIUS
    padded = tuple(n + 2 * around for n in shape)
    places = np.ravel_multi_index(tuple(ends + around), padded)
    counts = np.bincount(places, minlength=int(np.prod(padded))).reshape(padded)
    peaks = (counts == ndimage.maximum_filter(counts, 2 * RADIUS + 1, mode="constant")) & (counts > SEED)
    seeds = np.flatnonzero(peaks)
    seeds = seeds[np.argsort(counts.ravel()[seeds], kind="stable")]
    owners = np.zeros(padded, np.int64)
    for number, seed in enumerate(seeds, 1):
        middle = np.unravel_index(seed, padded)
        window = tuple(slice(int(n) - REACH, int(n) + REACH + 1) for n in middle)
        allowed, grown = counts[window] > GROWN, np.zeros((2 * REACH + 1,) * 3, bool)
        grown[(REACH,) * 3] = True
        for _ in range(REACH):
            grown = ndimage.binary_dilation(grown, np.ones((3, 3, 3), bool)) & allowed
        owners[window][grown] = number
    return np.asarray(owners.ravel()[places])
