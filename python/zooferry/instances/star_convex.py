"""Star-convex polygons: from object probability and distances along rays to labels, by StarDist's greedy rule.

Schmidt et al., Cell Detection with Star-convex Polygons, MICCAI 2018, section 2.3. What the paper leaves open is as
in stardist 0.9.2: corners of polygons are cut to whole pixels before overlaps are measured, an overlap is divided by
the smaller of the two areas, and polygons are drawn from the least to the most probable one, so that the latter lies
on top. Ours alone: of two candidates of the same probability the later one (in Y, then X) goes first.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zooferry.errors import ZooferryError
from zooferry.instances.drawing import paint

PAIRS = 1 << 16  # pairs of edges that are looked at together: they stay in the processor's cache
TINY = 1e-30  # edges that lie on each other
CLOSE = 0.01  # of the overlap
STEP = 4
SMALL = 16.0  # pixels; below it 32 bit may not tell what is shared from nothing
NOTHING = 1e-6  # pixels


@dataclass(frozen=True)
class Polygons:
    """Candidates by falling probability.

    `points` (N 2: Y X, pixels of the image), `prob` (N,), `distances` (N rays, pixels), all float32.
    """

    points: np.ndarray
    prob: np.ndarray
    distances: np.ndarray

    def chosen(self, which: np.ndarray) -> Polygons:
        """Those at the indices `which`."""
        return Polygons(self.points[which], self.prob[which], self.distances[which])


def labels_from_distances(
    prob: np.ndarray,
    distances: np.ndarray,
    *,
    grid: Sequence[int] = (1, 1),
    prob_thresh: float = 0.5,
    nms_thresh: float = 0.4,
    border: int | Sequence[Sequence[int]] = 2,
    shape: Sequence[int] | None = None,
) -> np.ndarray:
    """Labels of the polygons that no more probable one suppresses.

    Parameters
    ----------
    prob : ndarray
        Y X, probability that a pixel is inside an object.
    distances : ndarray
        rays Y X, pixels of the image from there to the object's border, along rays at angles 2 pi k / rays that
        begin at the X axis and turn towards Y.
    grid : sequence of int
        Pixels of the image between neighbours of `prob` along Y X.
    prob_thresh, nms_thresh : float
        Candidates have more than the first, are suppressed if they share more than the second with a better one.
    border : int or sequence of pairs
        How many of prob's outermost pixels are no candidates: everywhere, or (low, high) along Y and X.
    shape : sequence of int, optional
        Of the label image, Y X; by default that of `prob` times `grid`.

    Returns
    -------
    ndarray
        int32, Y X. 1 is the most probable object; a number is missing where an object is hidden below better ones.
    """
    if prob.ndim != 2 or distances.ndim != 3 or distances.shape[1:] != prob.shape or distances.shape[0] < 3:
        raise ZooferryError(
            f"star-convex decoding takes probabilities (Y X) and at least 3 distances (rays Y X); "
            f"these have shapes {prob.shape} and {distances.shape}"
        )
    found = find_candidates(prob, distances, grid=grid, prob_thresh=prob_thresh, border=border)
    kept = found.chosen(suppress(found, nms_thresh=nms_thresh))
    size = tuple(shape) if shape else tuple(n * g for n, g in zip(prob.shape, grid, strict=True))
    return draw(kept, size)


def find_candidates(
    prob: np.ndarray,
    distances: np.ndarray,
    *,
    grid: Sequence[int],
    prob_thresh: float,
    border: int | Sequence[Sequence[int]] = 2,
) -> Polygons:
    """Pixels above the threshold by falling probability; parameters as of `labels_from_distances`."""
    prob = np.asarray(prob, np.float32)
    inside = np.zeros(prob.shape, bool)
    pairs = [(border, border)] * prob.ndim if isinstance(border, int) else border
    inside[tuple(slice(max(low, 0), n - max(high, 0)) for (low, high), n in zip(pairs, prob.shape, strict=True))] = True
    where = np.flatnonzero((prob > np.float32(prob_thresh)) & inside)
    where = where[np.argsort(prob.ravel()[where], kind="stable")[::-1]]
    points = np.stack(np.unravel_index(where, prob.shape), axis=1) * np.asarray(grid)
    rays = distances.reshape(len(distances), -1)[:, where].T
    return Polygons(points.astype(np.float32), prob.ravel()[where], np.ascontiguousarray(rays, np.float32))


def draw(polygons: Polygons, shape: Sequence[int]) -> np.ndarray:
    """int32, Y X: polygon n as n + 1, the most probable ones on top."""
    angles = np.linspace(0, 2 * np.pi, polygons.distances.shape[1], endpoint=False)
    corners = (polygons.distances[:, None] * np.stack([np.sin(angles), np.cos(angles)])).astype(np.float32)
    corners = (corners + polygons.points[..., None].astype(np.float64)).astype(np.float32)
    order = np.argsort(polygons.prob, kind="stable")
    numbers = np.concatenate([[0], order + 1]).astype(np.int32)
    return np.asarray(numbers[paint(corners[order], shape)])


def suppress(polygons: Polygons, *, nms_thresh: float) -> np.ndarray:
    """Indices of the candidates that stay.

    Going through the candidates by falling probability, each one that is still there suppresses all later ones with
    intersection / smaller area > `nms_thresh`.
    """
    if not len(polygons.points):
        return np.zeros(0, np.intp)
    corners = _corners(polygons)
    low, high = corners.min(axis=2), corners.max(axis=2)
    outlines = Outlines(np.trunc(corners).astype(np.float64), polygons.points)
    areas = outlines.areas
    neighbours = _Neighbours(polygons.points.T, low, high)
    there = np.ones(len(areas), bool)
    for n in range(len(areas)):
        if not there[n]:
            continue
        near = neighbours.of(n)
        near = near[near > n]
        near = near[there[near]]
        if not len(near):
            continue
        sides = np.minimum(high[:, near], high[:, n, None]) - np.maximum(low[:, near], low[:, n, None])
        room = (sides[0] + 2) * (sides[1] + 2)  # corners move up to a pixel when they are cut
        meets = (sides[0] >= 0) & (sides[1] >= 0) & (room > nms_thresh * np.minimum(areas[near], areas[n]))
        near = near[meets]
        there[near[outlines.overlap_more(n, near, nms_thresh)]] = False
    return np.flatnonzero(there)


class Outlines:
    """Polygons whose corners are whole pixels, and coarse ones that have each STEP-th corner.

    What two coarse ones share tells how much the fine ones share at least and at most: a polygon differs from its
    coarse one by triangles between corners, whose areas are added up. That holds where a polygon goes around its
    centre once and never back; all others have to be measured.

    Parameters
    ----------
    corners : ndarray
        float64, Y X, N, corners.
    centres : ndarray
        N 2.

    Attributes
    ----------
    areas : ndarray
        N, pixels.
    more, less : ndarray or float
        N, pixels that are only in the polygon, only in its coarse one; infinite where that is not known.
    """

    def __init__(self, corners: np.ndarray, centres: np.ndarray) -> None:
        self.corners, self.coarse = corners, corners[..., ::STEP]
        arms = corners - centres.T[..., None]
        turns = _turns(arms, _next(arms))
        self.areas = np.abs(turns.sum(axis=1)) / 2
        self.more = self.less = np.full(len(self.areas), np.inf)
        if corners.shape[2] % STEP or corners.shape[2] < 3 * STEP:
            return
        first = arms[..., ::STEP]
        coarse_turns = _turns(first, _next(first))
        arrives = (arms[0] < 0) & (_next(arms[0]) >= 0)
        once = (turns >= 0).all(axis=1) & (coarse_turns >= 0).all(axis=1) & (arrives.sum(axis=1) == 1)
        fan = [arms[..., k::STEP] - first for k in range(1, STEP)] + [_next(first) - first]
        between = np.stack([_turns(*pair) for pair in itertools.pairwise(fan)], axis=-1).reshape(len(arms[0]), -1)
        self.more = np.where(once, np.maximum(between, 0).sum(axis=1) / 2, np.inf)
        self.less = np.where(once, np.maximum(-between, 0).sum(axis=1) / 2, np.inf)

    def overlap_more(self, n: int, near: np.ndarray, nms_thresh: float) -> np.ndarray:
        """Which polygons `near` share more than `nms_thresh` of the smaller area with polygon `n`, bool."""
        smaller = np.minimum(self.areas[near], self.areas[n]) + 1e-10
        shared = shared_areas(self.coarse[:, n], self.coarse[:, near], np.float32)
        at_least = (shared - self.less[near] - self.less[n]) / smaller
        at_most = (shared + self.more[near] + self.more[n]) / smaller
        result = at_least > nms_thresh + CLOSE
        unknown = np.flatnonzero(~result & (at_most >= nms_thresh - CLOSE) | (smaller < SMALL))
        result[unknown] = self._overlap(n, near[unknown], nms_thresh) > np.float32(nms_thresh)
        return np.asarray(result)

    def _overlap(self, n: int, near: np.ndarray, nms_thresh: float) -> np.ndarray:
        # float32; half the bits are enough unless that is close to the threshold
        smaller = np.minimum(self.areas[near], self.areas[n]) + 1e-10
        overlap = shared_areas(self.corners[:, n], self.corners[:, near], np.float32) / smaller
        close = np.flatnonzero((np.abs(overlap - nms_thresh) < CLOSE) | (smaller < SMALL))
        if len(close):
            exact = shared_areas(self.corners[:, n], self.corners[:, near[close]])
            overlap[close] = np.where(exact > NOTHING, exact, 0) / smaller[close]
        return np.asarray(overlap, np.float32)


def _turns(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    # twice the signed area of the triangles between the origin and two vectors (Y X, ...), positive from X to Y
    return np.asarray(one[1] * other[0] - one[0] * other[1])


def _next(values: np.ndarray) -> np.ndarray:
    # of each corner the value of the following one
    return np.concatenate([values[..., 1:], values[..., :1]], axis=-1)


class _Neighbours:
    """Which candidates may have a box that meets that of another one: a window in an image of their indices."""

    def __init__(self, points: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        self.axes, places = zip(*[np.unique(along, return_inverse=True) for along in points], strict=True)
        self.image = np.full([len(axis) for axis in self.axes], -1, np.int64)
        self.image[places] = np.arange(points.shape[1])
        self.low = low - (high - points).max(axis=1, keepdims=True)
        self.high = high + (points - low).max(axis=1, keepdims=True)

    def of(self, n: int) -> np.ndarray:
        """Indices, -1 where there is none."""
        begin = [np.searchsorted(axis, low) for axis, low in zip(self.axes, self.low[:, n], strict=True)]
        end = [np.searchsorted(axis, high, "right") for axis, high in zip(self.axes, self.high[:, n], strict=True)]
        return self.image[begin[0] : end[0], begin[1] : end[1]].ravel()


def shared_areas(one: np.ndarray, others: np.ndarray, dtype: type = np.float64) -> np.ndarray:
    """Area that a polygon (Y X, corners) shares with each of some others (Y X, N, corners), in pixels.

    A polygon's indicator is the signed sum of the half strips below its edges. The integral of a product of two of
    them is, for each pair of edges, that of the lower edge over the range of X that both have, or half of the sum of
    both less their distance; and the sums of single edges vanish, for a polygon is closed.
    """
    middle = one.mean(axis=1).round()
    first: list[np.ndarray] = [part.astype(dtype) for part in _edges(one, middle)]
    second: list[np.ndarray] = [part.astype(dtype) for part in _edges(others, middle)]
    block = max(1, PAIRS // one.shape[1] ** 2)
    count = others.shape[1]
    parts = [_shared_areas(first, [part[n : n + block] for part in second]) for n in range(0, count, block)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype)


def _shared_areas(one: list[np.ndarray], others: list[np.ndarray]) -> np.ndarray:
    low, high, offset, slope, sign = (part[:, None] for part in one)  # edges of `one` x 1
    lows, highs, offsets, slopes, signs = (part[:, None, :] for part in others)  # N 1 edges
    begin = np.maximum(low, lows)
    length = np.minimum(high, highs)
    length -= begin
    np.maximum(length, 0, out=length)
    slant = slope - slopes
    gap = offset - offsets  # between the two edges where their common range begins, then where it ends
    begin *= slant
    gap += begin
    slant *= length
    slant += gap
    product = np.multiply(gap, slant, out=begin)
    np.minimum(product, 0, out=product)
    total = np.abs(gap, out=gap)
    total += np.abs(slant, out=slant)
    total += TINY
    product /= total
    total *= 0.5
    total += product
    total *= length
    signed = (sign[:, 0] @ total) * signs[:, 0]
    return np.asarray(np.abs(signed.sum(axis=1)) / 2)


def _edges(corners: np.ndarray, origin: np.ndarray) -> tuple[np.ndarray, ...]:
    # Y X, ... corners -> for each edge: first and last X, Y at X = 0, slope, direction
    y, x = corners[0] - origin[0], corners[1] - origin[1]
    next_y, next_x = _next(y), _next(x)
    width = next_x - x
    slope = (next_y - y) / np.where(width == 0, 1, width)
    return np.minimum(x, next_x), np.maximum(x, next_x), y - slope * x, slope, np.sign(width)


def _corners(polygons: Polygons) -> np.ndarray:
    # Y X, N, rays: in float32 as stardist computes them, for a corner at 2.9999998 is cut to 2
    rays = polygons.distances.shape[1]
    angles = (np.float32(2 * np.pi / rays) * np.arange(rays, dtype=np.float32)).astype(np.float64)
    turns = [np.sin(angles).astype(np.float32), np.cos(angles).astype(np.float32)]
    return np.stack([polygons.points[:, n, None] + polygons.distances * turns[n] for n in (0, 1)])
