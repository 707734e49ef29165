"""Filling of polygons as ImageJ does it, pixel by pixel.

A pixel (y, x) is the square from (y, x) to (y + 1, x + 1); it belongs to a polygon if its centre does. The rules for
centres that lie on an edge, and the rounding, are those of the class PolygonFiller of ImageJ 1.54p, with which
tests/hosts/test_imagej_rois.py compares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Points = NDArray[Any]  # n 2: x, y
ABOVE = 1e-8  # by which ImageJ moves an edge to the right before it rounds
FLATNESS = 0.01  # pixels that a curve may be away from the straight pieces that replace it
HALVINGS = 10  # of a curve at most


@dataclass(frozen=True, eq=False)
class Region:
    """Pixels of an area: `mask` (Y X) with its first pixel at (`top`, `left`) of the image, which may be negative."""

    top: int
    left: int
    mask: Mask


def filled(polygons: Sequence[Points], height: int, width: int) -> Mask:
    """The pixels inside an odd number of polygons.

    Parameters
    ----------
    polygons : sequence of ndarray
        n 2 (x, y), pixels; whole numbers are corners of pixels. The last point is joined to the first.
    height, width : int
        Of the mask, which begins at (0, 0).
    """
    edges = [np.hstack([polygon, np.roll(polygon, -1, axis=0)]) for polygon in polygons if len(polygon)]
    if not edges or not height or not width:
        return np.zeros((height, width), np.bool_)
    x1, y1, x2, y2 = np.concatenate(edges).astype(np.float64).T
    swap = y1 > y2
    x1, x2 = np.where(swap, x2, x1), np.where(swap, x1, x2)
    y1, y2 = np.where(swap, y2, y1), np.where(swap, y1, y2)
    first, last = (np.floor(y + 0.5).astype(np.int64) for y in (y1, y2))
    crossing = first < last
    x1, y1, x2, y2, first, last = (values[crossing] for values in (x1, y1, x2, y2, first, last))
    slope = (x2 - x1) / (y2 - y1)
    start = x1 + (first - y1 + 0.5) * slope + ABOVE
    counts = last - first
    edge = np.repeat(np.arange(len(first)), counts)
    below = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = first[edge] + below
    columns = np.clip(np.trunc(start[edge] + below * slope[edge] + 0.5), 0, width).astype(np.int64)
    inside = (rows >= 0) & (rows < height)
    crossings = np.zeros((height, width + 1), np.int32)
    np.add.at(crossings, (rows[inside], columns[inside]), 1)
    return np.asarray(np.cumsum(crossings, axis=1)[:, :width] % 2 == 1)


def whole_polygon(points: Points) -> Region:
    """A polygon of whole numbers (n 2: x, y)."""
    left, top = (int(n) for n in points.min(axis=0))
    right, bottom = (int(n) for n in points.max(axis=0))
    return Region(top, left, filled([points - (left, top)], bottom - top, right - left))


def fine_polygon(points: Points) -> Region:
    """A polygon of float32 numbers (n 2: x, y); its box encloses all of it."""
    values = np.asarray(points, np.float32)
    low = values.min(axis=0).astype(np.float64)
    high = np.maximum(values.max(axis=0), np.finfo(np.float32).tiny).astype(np.float64)
    corner = np.floor(low)
    width, height = (int(n) for n in np.ceil(high) - corner)
    moved = (values - low.astype(np.float32)).astype(np.float64) + (low - corner)
    return Region(int(corner[1]), int(corner[0]), filled([moved], height, width))


def rounded_polygon(points: Points) -> Region:
    """The same in a box whose far sides are rounded, as ImageJ has it of ellipses and rotated rectangles."""
    values = np.asarray(points, np.float32)
    corner = np.floor(values.min(axis=0)).astype(np.int64)
    width, height = (int(n) for n in np.trunc(values.max(axis=0) - corner.astype(np.float32) + np.float32(0.5)))
    moved = (values - corner.astype(np.float32)).astype(np.float64)
    return Region(int(corner[1]), int(corner[0]), filled([moved], height, width))


def oval(top: int, left: int, height: int, width: int) -> Region:
    """The pixels whose centres lie in the ellipse that touches the sides of a box."""
    a, b = width / 2, height / 2
    x = (np.arange(width) - (a - 0.5)) ** 2 / (a * a)
    y = (np.arange(height) - (b - 0.5)) ** 2 / (b * b)
    return Region(top, left, np.asarray(x[np.newaxis] + y[:, np.newaxis] <= 1))


def shape(polygons: Sequence[Points]) -> Region:
    """Several outlines at once (n 2: x, y, float32): what is in an odd number of them."""
    points = np.concatenate(polygons).astype(np.float64)
    left, top = (int(n) for n in np.floor(points.min(axis=0)))
    right, bottom = (int(n) for n in np.ceil(points.max(axis=0)))
    corner = np.array([left, top], np.float32)
    moved = [np.asarray(polygon, np.float32) - corner for polygon in polygons]
    return Region(top, left, filled(moved, bottom - top, right - left))


def flattened(start: Points, control: Sequence[Points]) -> list[Points]:
    """The points after `start` of straight pieces for a curve of Bezier with two or three further points."""
    return _halved([np.asarray(p, np.float64) for p in (start, *control)], 0)


def _halved(curve: list[Points], level: int) -> list[Points]:
    if level == HALVINGS or max(_distance(p, curve[0], curve[-1]) for p in curve[1:-1]) < FLATNESS:
        return [np.asarray(curve[-1], np.float32)]
    left, right, points = [curve[0]], [curve[-1]], curve
    while len(points) > 1:
        points = [(a + b) / 2 for a, b in pairwise(points)]
        left.append(points[0])
        right.insert(0, points[-1])
    return _halved(left, level + 1) + _halved(right, level + 1)


def _distance(point: Points, start: Points, end: Points) -> float:
    """From a point to the piece between two others."""
    along = end - start
    length = float(along @ along)
    part = min(max(float((point - start) @ along) / length, 0.0), 1.0) if length else 0.0
    return math.dist(point, start + part * along)


def rounded_rectangle(box: tuple[float, float, float, float], diameter: float) -> list[Points]:
    """The outline (n 2: x, y) of a rectangle x, y, width, height whose corners are quarters of circles."""
    x, y, width, height = box
    radii = np.array([min(diameter, width) / 2, min(diameter, height) / 2])
    bend = 1 - 4 / 3 * (math.sqrt(2) - 1)  # of a corner's radius: how far from the corner the curve is pulled
    corners = [(x, y + height), (x + width, y + height), (x + width, y), (x, y)]
    ways = [((0, -1), (1, 0)), ((-1, 0), (0, -1)), ((0, 1), (-1, 0)), ((1, 0), (0, 1))]  # from a corner: in, out
    points: list[Points] = []
    for corner, (before, after) in zip(np.array(corners), np.array(ways), strict=True):
        first, last = corner + before * radii, corner + after * radii
        curve = [corner + before * radii * bend, corner + after * radii * bend, last]
        points += [first.astype(np.float32), *flattened(first, curve)]
    return [np.array(points)]
