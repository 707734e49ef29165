"""Flows: from object probability and a field that points to each object's centre to labels, by Cellpose's dynamics.

Stringer et al., Cellpose: a generalist algorithm for cellular segmentation, Nature Methods 2021, section "Generating
masks from predicted flows". What the paper leaves open is as in cellpose 3.1.1 on a CPU: pixels are moved in 32 bit
by a field that is interpolated in 64 bit at pixel positions (on a GPU, and in cellpose 4, it is sampled up to half a
pixel beside them). Labels are numbered in the order in which Y, then X, meets them.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from zooferry.errors import ZooferryError
from zooferry.instances.heat import flow_errors

SCALE = 5.0  # the network's flows are unit vectors times this
POINTS = 1 << 14  # that are moved together: they stay in the processor's cache
LOOK = 10  # steps between two looks for points that have come to rest or have met
RADIUS, REACH = 2, 5  # pixels: of the window in which a seed is the highest, and how far an object grows around it
SEED, GROWN = 10, 2  # more than so many points end in the pixel of a seed, in a pixel that belongs to it


def labels_from_flows(
    cellprob: np.ndarray,
    flows: np.ndarray,
    *,
    prob_thresh: float = 0.0,
    flow_thresh: float = 0.4,
    min_size: int = 15,
    steps: int = 200,
    largest: float = 0.4,
    renumber: bool = False,
) -> np.ndarray:
    """Labels of the pixels that flow to the same place.

    Parameters
    ----------
    cellprob : ndarray
        Y X, the network's logit of the probability that a pixel is inside an object.
    flows : ndarray
        2 Y X, along Y and X, five times a unit vector.
    prob_thresh : float
        Pixels above it take part.
    flow_thresh : float
        Objects whose own flows (see `heat.flow_errors`) differ by more are taken out; 0: none is.
    min_size : int
        Pixels of the smallest object that is kept; 0: all are, with their holes filled.
    steps : int
        By which each pixel follows the flow.
    largest : float
        Objects that cover more of the image than this fraction are taken out.
    renumber : bool
        Whether objects are numbered anew before the small ones are taken out. Cellpose 3.1 does not: where the check
        of flows has taken out objects, it then takes out others than the small ones.

    Returns
    -------
    ndarray
        int32, Y X.
    """
    if cellprob.ndim != 2 or flows.shape != (2, *cellprob.shape):
        raise ZooferryError(
            f"decoding of flows takes cell probabilities (Y X) and flows (2 Y X); "
            f"these have shapes {cellprob.shape} and {flows.shape}"
        )
    flows = np.asarray(flows, np.float32)
    inside = np.asarray(cellprob, np.float32) > np.float32(prob_thresh)
    if not inside.any():
        return np.zeros(inside.shape, np.int32)
    ends = follow(flows * inside / np.float32(SCALE), np.nonzero(inside), steps=steps)
    labels = np.zeros(inside.shape, np.int32)
    labels[inside] = gather(ends.astype(np.int64), inside.shape)
    sizes = np.bincount(labels.ravel())
    labels = in_order(np.where(sizes > inside.size * largest, 0, np.arange(len(sizes)))[labels])
    if flow_thresh > 0 and labels.any():
        bad = flow_errors(labels, flows / np.float32(SCALE)) > flow_thresh
        labels = np.where(bad, 0, np.arange(len(bad), dtype=np.int32))[labels]
    if renumber:
        labels = in_order(labels)
    return fill_and_drop(labels, min_size)


def follow(field: np.ndarray, starts: tuple[np.ndarray, ...], *, steps: int) -> np.ndarray:
    """Where points end that follow a field (2 Y X, pixels per step, float32) from whole pixels; 2 N, float32."""
    ends = np.stack(starts).astype(np.float32)
    for begin in range(0, ends.shape[1], POINTS):
        part = slice(begin, begin + POINTS)
        ends[:, part] = _follow(field, ends[:, part], steps)
    return ends


def _follow(field: np.ndarray, start: np.ndarray, steps: int) -> np.ndarray:
    now, result = start, np.empty_like(start)
    paths = np.arange(start.shape[1])  # of each point the column of `now` that holds it
    for step in range(1, steps + 1):
        before, now = now, _moved(field, now)
        if step % LOOK or step + 2 > steps:
            continue
        # a point that stays, or that is again where it was two steps ago, is there at the end as well
        following = _moved(field, now)
        resting = (following == before).all(axis=0)
        done = (paths >= 0) & resting[paths]
        result[:, done] = (now if (steps - step) % 2 == 0 else following)[:, paths[done]]
        paths[done] = -1
        now, paths = _merged(now, paths)
        if not now.size:
            return result
    result[:, paths >= 0] = now[:, paths[paths >= 0]]
    return result


def _merged(now: np.ndarray, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # points that have met go on as one
    moving = np.flatnonzero(paths >= 0)
    keys = np.ascontiguousarray(now[:, paths[moving]].T).view(np.int64)[:, 0]
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    columns = paths[moving[first]]
    paths[moving] = which
    return now[:, columns], paths


def _moved(field: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (2 N) one step further, each value rounded as cellpose rounds it."""
    height, width = field.shape[1:]
    whole = points.astype(np.int32)
    y, x = points.astype(np.float64) - whole
    back_y, back_x = 1 - y, 1 - x
    above, left = whole[0].astype(np.int64) * width, whole[1].astype(np.int64)
    below, right = np.minimum(above + width, (height - 1) * width), np.minimum(left + 1, width - 1)
    corners = (above + left, above + right, below + left, below + right)
    moved = np.empty_like(points)
    for axis in range(2):
        values = [np.take(field[axis].ravel(), corner).astype(np.float64) for corner in corners]
        sample = values[0] * back_y * back_x
        sample += values[1] * back_y * x
        sample += values[2] * y * back_x
        sample += values[3] * y * x
        end = points[axis] + sample.astype(np.float32)
        moved[axis] = np.minimum(np.float32((height, width)[axis] - 1), np.maximum(np.float32(0), end))
    return moved


def gather(ends: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Which seed each point belongs to, 0 for none.

    Parameters
    ----------
    ends : ndarray
        2 N, whole pixels in which the points end.
    shape : tuple of int
        Y X of the image.

    Returns
    -------
    ndarray
        int64, N: the number of the last seed, from the weakest to the strongest, that has grown over the pixel.
    """
    around = REACH + RADIUS
    padded = tuple(n + 2 * around for n in shape)
    places = (ends[0] + around) * padded[1] + ends[1] + around
    counts = np.bincount(places, minlength=padded[0] * padded[1]).reshape(padded)
    peaks = (counts == ndimage.maximum_filter(counts, 2 * RADIUS + 1, mode="constant")) & (counts > SEED)
    seeds = np.flatnonzero(peaks)
    seeds = seeds[np.argsort(counts.ravel()[seeds], kind="stable")]
    owners = np.zeros(padded, np.int64)
    for number, seed in enumerate(seeds, 1):
        y, x = divmod(int(seed), padded[1])
        window = (slice(y - REACH, y + REACH + 1), slice(x - REACH, x + REACH + 1))
        owners[window][_grown(counts[window] > GROWN)] = number
    return np.asarray(owners.ravel()[places])


def _grown(allowed: np.ndarray) -> np.ndarray:
    # what the middle reaches in REACH steps to any of 8 neighbours
    grown = np.zeros_like(allowed)
    grown[REACH, REACH] = True
    for _ in range(REACH):
        wider = grown.copy()
        wider[1:] |= grown[:-1]
        wider[:-1] |= grown[1:]
        grown = wider.copy()
        grown[:, 1:] |= wider[:, :-1]
        grown[:, :-1] |= wider[:, 1:]
        grown &= allowed
    return grown


def in_order(labels: np.ndarray) -> np.ndarray:
    """int32: the same objects, numbered from 1 in the order in which Y, then X, meets them."""
    found, first = np.unique(labels, return_index=True)
    order = np.argsort(first[found > 0])
    numbers = np.zeros(int(found[-1]) + 1, np.int32)
    numbers[found[found > 0][order]] = np.arange(1, len(order) + 1)
    return np.asarray(numbers[labels])


def fill_and_drop(labels: np.ndarray, min_size: int) -> np.ndarray:
    """Drop small objects, fill holes, drop what has become small, as cellpose 3.1 does: the n-th size is n's."""
    if min_size > 0:
        labels = _dropped(labels, min_size)
    labels = labels.copy()
    number = 0
    for label, window in enumerate(ndimage.find_objects(labels), 1):
        if window is None:
            continue
        number += 1
        part = labels[window]
        part[_filled(part == label)] = number
    return _dropped(labels, min_size) if min_size > 0 else labels


def _dropped(labels: np.ndarray, min_size: int) -> np.ndarray:
    sizes = np.unique(labels, return_counts=True)[1]
    # cellpose takes the first for background, and the others for 1, 2, 3, ...
    small = np.flatnonzero(sizes[1:] < min_size) + 1
    return in_order(np.where(np.isin(labels, small), 0, labels))


def _filled(mask: np.ndarray) -> np.ndarray:
    outside, count = ndimage.label(np.pad(~mask, 1, constant_values=True))
    inner = (slice(1, -1),) * mask.ndim
    return mask if count == 1 else np.asarray(outside != outside[(0,) * mask.ndim])[inner]
