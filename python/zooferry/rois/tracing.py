"""Label images -> ROIs whose outlines run along the edges of pixels: filling them gives the same pixels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from roifile import ROI_TYPE, ImagejRoi
from scipy import ndimage

from zooferry.rois.polygons import Mask, Points
from zooferry.rois.regions import CLOSE, LINE, MOVE

LARGEST_CORNER = 32767  # where the corner of a plain outline may lie; ImageJ keeps it as a short number


def outlines(mask: Mask) -> list[Points]:
    """The closed outlines of a mask, holes among them.

    Pixels that touch at a corner alone share an outline, as in ImageJ's Create Selection.

    Parameters
    ----------
    mask : ndarray, bool, axes (Y, X)

    Returns
    -------
    list of ndarray
        int64, n 2 (x, y): corners of pixels where the outline turns; (0, 0) is the first pixel's upper left corner.
    """
    padded = np.pad(mask, 1)
    here = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]  # around each corner of a pixel
    odd = here[0] ^ here[1] ^ here[2] ^ here[3]
    diagonal = (here[0] == here[3]) & (here[1] == here[2]) & (here[0] != here[1])
    y, x = np.nonzero(odd | diagonal)
    copies = np.where(diagonal[y, x], 2, 1)  # an outline passes twice where pixels touch at a corner
    copy = np.arange(copies.sum()) - np.repeat(np.cumsum(copies) - copies, copies)
    falling = np.repeat(here[0][y, x] & diagonal[y, x], copies)
    y, x = np.repeat(y, copies), np.repeat(x, copies)
    beside = _partners(np.lexsort((copy, x, y)))
    # which way of the two goes on upwards decides whether the pixels stay together
    below = _partners(np.lexsort((np.where(falling, 1 - copy, copy), y, x)))
    return list(_closed(np.stack([x, y], axis=1), beside, below))


def _partners(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of corners in the order of a line, each second joined with the one before it."""
    found = np.empty_like(order)
    found[order[0::2]], found[order[1::2]] = order[1::2], order[0::2]
    return found


def _closed(points: Points, beside: NDArray[np.int64], below: NDArray[np.int64]) -> Iterator[Points]:
    across, down = beside.tolist(), below.tolist()
    seen = [False] * len(points)
    for start in range(len(points)):
        way, place = [], start
        while not seen[place]:
            other = across[place]
            seen[place] = seen[other] = True
            way += [place, other]
            place = down[other]
        if way:
            yield points[way]


def roi_of(mask: Mask, top: int, left: int, name: str) -> ImagejRoi:
    """A ROI of the pixels of a mask whose first one is at (`top`, `left`): traced, or composite with several outlines.

    Parameters
    ----------
    mask : ndarray, bool, axes (Y, X)
        Not empty.
    top, left : int
    name : str
    """
    found = [np.add(outline, (left, top)) for outline in outlines(mask)]
    corners = np.concatenate(found)
    roi = ImagejRoi(name=name)
    roi.left, roi.top = (int(n) for n in corners.min(axis=0))
    roi.right, roi.bottom = (int(n) for n in corners.max(axis=0))
    if len(found) == 1 and max(roi.right, roi.bottom) <= LARGEST_CORNER:
        roi.roitype = ROI_TYPE.TRACED
        roi.integer_coordinates = (found[0] - (roi.left, roi.top)).astype(np.int32)
        roi.n_coordinates = len(found[0])
        return roi
    roi.roitype = ROI_TYPE.RECT  # ImageJ's type of composite outlines
    roi.multi_coordinates = np.concatenate([_pieces(outline) for outline in found])
    roi.shape_roi_size = len(roi.multi_coordinates)
    return roi


def _pieces(outline: Points) -> NDArray[np.float32]:
    kinds = np.where(np.arange(len(outline)) == 0, MOVE, LINE)
    return np.append(np.column_stack([kinds, outline]).ravel(), CLOSE).astype(np.float32)


def rois_of(labels: NDArray[np.int64], names: dict[int, str] | None = None) -> Iterator[tuple[int, int, ImagejRoi]]:
    """Label, plane and ROI of each object of each plane, in the order of planes and labels.

    Parameters
    ----------
    labels : ndarray, int64, axes (N, Y, X)
        Planes; 0 is background.
    names : dict, optional
        Label -> name; without one it is the number in five digits.
    """
    for plane, values in enumerate(labels):
        present, compact = np.unique(values, return_inverse=True)
        boxes = ndimage.find_objects(compact.reshape(values.shape))
        for number, label in enumerate(present.tolist()):
            if label == 0:
                continue
            # find_objects leaves out the value 0, which is a label where a plane has no background
            box = boxes[number - 1] if number else (slice(0, values.shape[0]), slice(0, values.shape[1]))
            name = (names or {}).get(label) or f"{label:05d}"
            yield label, plane, roi_of(values[box] == label, box[0].start, box[1].start, name)
