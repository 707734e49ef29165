"""Star-convex polygons: from object probability and distances along rays to labels, by StarDist's greedy rule.

Schmidt et al., Cell Detection with Star-convex Polygons, MICCAI 2018, section 2.3. What the paper leaves open is as
in stardist 0.9.2: corners of polygons are cut to whole pixels before overlaps are measured, an overlap is divided by
the smaller of the two areas, and polygons are drawn from the least to the most probable one, so that the latter lies
on top. Ours alone: of two candidates of the same probability the later one (in Y, then X) goes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from skimage.draw import polygon

from zooferry.errors import ZooferryError

PAIRS = 1 << 16  # pairs of edges that are looked at together: they stay in the processor's cache
TINY = 1e-30  # edges that lie on each other
CLOSE = 0.01
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
    labels = np.zeros(tuple(shape), np.int32)
    angles = np.linspace(0, 2 * np.pi, polygons.distances.shape[1], endpoint=False)
    corners = (polygons.distances[:, None] * np.stack([np.sin(angles), np.cos(angles)])).astype(np.float32)
    corners = (corners + polygons.points[..., None].astype(np.float64)).astype(np.float32)
    for n in np.argsort(polygons.prob, kind="stable"):
        rows, columns = polygon(corners[n, 0], corners[n, 1], shape)  # type: ignore[no-untyped-call]
        labels[rows, columns] = n + 1
    return labels


def suppress(polygons: Polygons, *, nms_thresh: float) -> np.ndarray:
    """Indices of the candidates that stay.

    Going through the candidates by falling probability, each one that is still there suppresses all later ones with
    intersection / smaller area > `nms_thresh`.
    """
    if not len(polygons.points):
        return np.zeros(0, np.intp)
    corners = _corners(polygons)
    low, high = corners.min(axis=2), corners.max(axis=2)
    whole = np.trunc(corners).astype(np.float64)
    (y, x), (next_y, next_x) = whole, np.roll(whole, -1, axis=2)
    areas = np.abs((x * next_y - y * next_x).sum(axis=1)) / 2
    neighbours = _Neighbours(polygons.points.T, low, high)
    there = np.ones(len(areas), bool)
    for n in range(len(areas)):
        if not there[n]:
            continue
        near = neighbours.of(n)
        near = near[near > n]
        near = near[there[near]]
        sides = np.minimum(high[:, near], high[:, n, None]) - np.maximum(low[:, near], low[:, n, None])
        room = (sides[0] + 2) * (sides[1] + 2)  # corners move up to a pixel when they are cut
        meets = (sides[0] >= 0) & (sides[1] >= 0) & (room > nms_thresh * np.minimum(areas[near], areas[n]))
        near = near[meets]
        there[near[_overlap(n, near, whole, areas, nms_thresh) > np.float32(nms_thresh)]] = False
    return np.flatnonzero(there)


def _overlap(n: int, near: np.ndarray, corners: np.ndarray, areas: np.ndarray, nms_thresh: float) -> np.ndarray:
    # float32; half the bits are enough unless that is close to the threshold
    smaller = np.minimum(areas[near], areas[n]) + 1e-10
    overlap = shared_areas(corners[:, n], corners[:, near], np.float32) / smaller
    close = np.flatnonzero((np.abs(overlap - nms_thresh) < CLOSE) | (smaller < SMALL))
    if len(close):
        exact = shared_areas(corners[:, n], corners[:, near[close]])
        overlap[close] = np.where(exact > NOTHING, exact, 0) / smaller[close]
    return np.asarray(overlap, np.float32)


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
    next_y, next_x = (np.concatenate([part[..., 1:], part[..., :1]], axis=-1) for part in (y, x))
    width = next_x - x
    slope = (next_y - y) / np.where(width == 0, 1, width)
    return np.minimum(x, next_x), np.maximum(x, next_x), y - slope * x, slope, np.sign(width)


def _corners(polygons: Polygons) -> np.ndarray:
    # Y X, N, rays: in float32 as stardist computes them, for a corner at 2.9999998 is cut to 2
    rays = polygons.distances.shape[1]
    angles = (np.float32(2 * np.pi / rays) * np.arange(rays, dtype=np.float32)).astype(np.float64)
    turns = [np.sin(angles).astype(np.float32), np.cos(angles).astype(np.float32)]
    return np.stack([polygons.points[:, n, None] + polygons.distances * turns[n] for n in (0, 1)])
