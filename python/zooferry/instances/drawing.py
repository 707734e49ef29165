"""Pixels of many polygons at once, each pixel by the rule of O'Rourke, Computational Geometry in C, 1998, section 7.4.

The rule is that of skimage.draw.polygon (scikit-image 0.26): a pixel belongs to a polygon if its centre lies inside or
on the border. There each pixel is asked for each edge; here each edge is asked once per row, for the pixel next to its
crossing, and those beyond it follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

TOGETHER = 1 << 20  # pixels of boxes that are looked at together
CORNER = 1e-12  # pixels: so near to a corner is on it


@dataclass(frozen=True, eq=False)
class _Boxes:
    """Windows of the image that hold polygons, one behind the other in a line; a row ends with one more pixel."""

    top: np.ndarray
    bottom: np.ndarray
    left: np.ndarray
    width: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Pixels in the line."""
        return np.asarray(np.maximum(self.bottom + 1 - self.top, 0) * (self.width + 1))

    def part(self, which: slice) -> _Boxes:
        """Some of them."""
        return _Boxes(self.top[which], self.bottom[which], self.left[which], self.width[which])


def paint(corners: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Polygons in a label image, later ones over earlier ones.

    Parameters
    ----------
    corners : ndarray
        N 2 K: Y X of K corners.
    shape : sequence of int
        Y X of the image.

    Returns
    -------
    ndarray
        int32, Y X: the number of the last polygon that holds the pixel, from 1; 0 where none does.
    """
    labels = np.zeros(tuple(shape), np.int32)
    corners = np.asarray(corners, np.float64)
    if len(corners):
        boxes = _boxes(corners, shape)
        for part in _parts(boxes.sizes):
            numbers, rows, columns = _pixels(corners[part], boxes.part(part))
            labels[rows, columns] = numbers + part.start + 1
    return labels


def _boxes(corners: np.ndarray, shape: Sequence[int]) -> _Boxes:
    low, high = corners.min(axis=2), corners.max(axis=2)
    top, left = (np.clip(low[:, n], 0, shape[n]).astype(np.int64) for n in (0, 1))
    bottom, right = (np.clip(np.ceil(high[:, n]), -1, shape[n] - 1).astype(np.int64) for n in (0, 1))
    return _Boxes(top, bottom, left, np.maximum(right + 1 - left, 0))


def _parts(sizes: np.ndarray) -> Iterator[slice]:
    # so many polygons that their boxes have TOGETHER pixels, or one
    ends = np.cumsum(sizes)
    begin = 0
    while begin < len(sizes):
        room = (ends[begin - 1] if begin else 0) + TOGETHER
        end = max(begin + 1, int(np.searchsorted(ends, room, "right")))
        yield slice(begin, end)
        begin = end


def _pixels(corners: np.ndarray, boxes: _Boxes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Polygon, row and column of each pixel inside, polygon after polygon."""
    sizes = boxes.sizes
    begins = np.cumsum(sizes) - sizes
    total = int(sizes.sum())
    inside = np.zeros(total, bool)
    for right in (True, False):
        changes = np.bincount(_crossings(corners, boxes, begins, right=right), minlength=total)
        # a closed line crosses each row an even number of times: the sum is even again where a row ends
        inside |= (np.cumsum(changes) & 1).astype(bool)
    inside[_on_corners(corners, boxes, begins)] = True
    found = np.flatnonzero(inside)
    numbers = np.repeat(np.arange(len(sizes)), sizes)[found]
    rows, columns = np.divmod(found - begins[numbers], boxes.width[numbers] + 1)
    return numbers, rows + boxes.top[numbers], columns + boxes.left[numbers]


def _crossings(corners: np.ndarray, boxes: _Boxes, begins: np.ndarray, *, right: bool) -> np.ndarray:
    """Places in the line from which on an edge is no longer to the right, or is to the left.

    An edge belongs to a row if one end lies above and the other does not (right), or one below (left).
    """
    before = np.roll(corners, 1, axis=2)
    low, high = np.minimum(before[:, 0], corners[:, 0]), np.maximum(before[:, 0], corners[:, 0])
    first, last = (np.ceil(low), np.ceil(high) - 1) if right else (np.floor(low) + 1, np.floor(high))
    first = np.maximum(first, boxes.top[:, None])
    counts = np.maximum(np.minimum(last, boxes.bottom[:, None]) - first + 1, 0).astype(np.int64).ravel()
    counts *= np.repeat(boxes.width > 0, corners.shape[2])
    edges = np.repeat(np.arange(counts.size), counts)
    rows = first.ravel()[edges] + np.arange(edges.size) - (np.cumsum(counts) - counts)[edges]
    polygons = edges // corners.shape[2]
    (py, px), (qy, qx) = (ends.transpose(1, 0, 2).reshape(2, -1)[:, edges] for ends in (before, corners))
    left, width = boxes.left[polygons], boxes.width[polygons]
    py, qy = py - rows, qy - rows
    columns = np.clip(np.rint(px + (qx - px) * (py / (py - qy))), left - 2, left + width + 2)
    px, qx = px - columns, qx - columns
    crossing = (qx * py - px * qy) / (py - qy)
    columns = columns + np.where(crossing > 0 if right else crossing >= 0, 1, 0)
    steps = np.clip(columns - left, 0, width).astype(np.int64)
    return np.asarray(begins[polygons] + (rows.astype(np.int64) - boxes.top[polygons]) * (width + 1) + steps)


def _on_corners(corners: np.ndarray, boxes: _Boxes, begins: np.ndarray) -> np.ndarray:
    near = np.rint(corners)
    y, x = near[:, 0] - boxes.top[:, None], near[:, 1] - boxes.left[:, None]
    on = (np.abs(corners - near) < CORNER).all(axis=1) & (y >= 0) & (near[:, 0] <= boxes.bottom[:, None])
    polygons, corner = np.nonzero(on & (x >= 0) & (x < boxes.width[:, None]))
    y, x = (along[polygons, corner].astype(np.int64) for along in (y, x))
    return np.asarray(begins[polygons] + y * (boxes.width[polygons] + 1) + x)
