"""What looks wrong in an annotation: objects with holes, in pieces, too small, too thin, and bright ones without label.

Each object is judged beside the others of its image, so that no size has to be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

KINDS = {
    "overlap": "ROIs lie over each other",
    "hidden": "nothing of an object is left",
    "cut off": "parts lie outside of the image",
    "hole": "background inside of an object",
    "pieces": "an object of several parts that do not touch",
    "tiny": "an object much smaller than the others",
    "thin": "an object that is nowhere as thick as others are",
    "without label": "a bright object that no label covers",
}
FEWEST = 4  # objects of an image, from which sizes are compared
TINY_PART = 0.1  # of the median size: smaller objects are tiny
TINY_PIXELS = 4  # and so are these, whatever the others are
THIN = 1.5  # pixels to the background of an object that is nowhere wider than two
THICK = 3.0  # pixels, of the median object: only beside such are others thin
LIKE_OBJECTS = 0.5  # of the size of small annotated objects; smaller blobs are not asked about
BETWEEN = 0.5  # of the way from the background to the darker objects: where an object begins
SURE = 4.0  # robust deviations of the background by which objects must be brighter


@dataclass(frozen=True)
class Flaw:
    """Something that looks wrong.

    Attributes
    ----------
    kind : str
        A key of `KINDS`.
    label : int
        The object; 0 if there is none.
    place : tuple of int
        A pixel of it: plane, y, x, from 0; () where nothing can be seen.
    pixels : int
        How large it is.
    words : str
    other : int
        A second object.
    """

    kind: str
    label: int = 0
    place: tuple[int, ...] = ()
    pixels: int = 0
    words: str = ""
    other: int = 0

    def on(self, plane: int) -> Flaw:
        """The same on another plane."""
        return replace(self, place=(plane, *self.place[1:]))


@dataclass(frozen=True, eq=False)
class _Object:
    label: int
    mask: NDArray[np.bool_]
    corner: tuple[int, ...]
    thickness: float

    def place(self, where: NDArray[np.bool_]) -> tuple[int, ...]:
        """Plane, y and x of the first pixel of a part of its box."""
        first = [int(n[0]) + start for n, start in zip(np.nonzero(where), self.corner, strict=True)]
        return tuple(first) if len(first) == 3 else (0, *first)


def find_flaws(labels: NDArray[np.int64], image: NDArray[np.float64] | None = None) -> list[Flaw]:
    """Flaws of one label image.

    Parameters
    ----------
    labels : ndarray, int64, axes (Y, X) or (Z, Y, X)
    image : ndarray, optional
        Grey values of the same shape, for bright objects without label.

    Returns
    -------
    list of Flaw
        In the order of labels, those without label last.
    """
    objects = list(_objects(labels))
    if not objects:
        return []
    sizes = np.array([int(one.mask.sum()) for one in objects])
    usual = float(np.median(sizes)) if len(objects) >= FEWEST else 0.0
    thick = len(objects) >= FEWEST and float(np.median([one.thickness for one in objects])) >= THICK
    found: list[Flaw] = []
    for one, size in zip(objects, sizes.tolist(), strict=True):
        found += _holes(one)
        found += _pieces(one, size)
        if size < max(TINY_PART * usual, TINY_PIXELS):
            words = f"{size} pixels" + (f", the median of the image is {usual:g}" if usual else "")
            found.append(Flaw("tiny", one.label, one.place(one.mask), size, words))
        elif thick and one.thickness <= THIN:
            words = f"{size} pixels, nowhere wider than two"
            found.append(Flaw("thin", one.label, one.place(one.mask), size, words))
    if image is not None:
        found += _without_label(labels, image, sizes)
    return found


def _objects(labels: NDArray[np.int64]) -> Iterator[_Object]:
    present, compact = np.unique(labels, return_inverse=True)
    compact = compact.reshape(labels.shape) + (present[0] > 0)
    numbers = present[present > 0].tolist()
    for label, number, box in zip(numbers, range(1, len(numbers) + 1), ndimage.find_objects(compact), strict=True):
        mask = compact[box] == number
        thickness = float(ndimage.distance_transform_edt(np.pad(mask, 1)).max())
        yield _Object(label, mask, tuple(side.start for side in box), thickness)


def _holes(one: _Object) -> Iterator[Flaw]:
    hole = ndimage.binary_fill_holes(one.mask) & ~one.mask
    if hole.any():
        count = int(hole.sum())
        yield Flaw("hole", one.label, one.place(hole), count, f"{count} pixels inside of it are not its own")


def _pieces(one: _Object, size: int) -> Iterator[Flaw]:
    parts, count = ndimage.label(one.mask, np.ones((3,) * one.mask.ndim))
    if count > 1:
        sizes = np.bincount(parts.ravel())[1:]
        smallest = int(sizes.argmin()) + 1
        words = f"{count} pieces of {', '.join(str(n) for n in sorted(sizes.tolist(), reverse=True)[:6])} pixels"
        yield Flaw("pieces", one.label, one.place(parts == smallest), size, words)


def _without_label(labels: NDArray[np.int64], image: NDArray[np.float64], sizes: NDArray[np.int64]) -> list[Flaw]:
    """Bright blobs outside of all labels that are as large as small objects."""
    values = np.asarray(image, np.float64)
    free = labels == 0
    if not free.any() or not np.isfinite(values).all():
        return []
    background = float(np.median(values[free]))
    deviation = 1.4826 * float(np.median(np.abs(values[free] - background)))
    means = ndimage.mean(values, labels, np.unique(labels[~free]))
    darker = float(np.percentile(means, 10))
    if darker <= background + SURE * deviation / np.sqrt(float(np.median(sizes))):
        return []  # objects are not brighter than the rest: phase contrast, stained membranes
    radius = (float(np.percentile(sizes, 25)) / np.pi) ** 0.5 if labels.ndim == 2 else _ball(np.percentile(sizes, 25))
    smooth = ndimage.gaussian_filter(values, max(radius / 4, 0.7))
    bright = free & (smooth > background + BETWEEN * (darker - background))
    # the rim of an annotated object is no object: what is thinner than half a small object goes away
    core = ndimage.distance_transform_edt(np.pad(bright, 1))[(slice(1, -1),) * labels.ndim] > radius / 3
    near = ndimage.distance_transform_edt(~core) <= radius / 3
    blobs, count = ndimage.label(bright & near)
    # nor is the haze around a bright one, which is brightest beside the label
    peaks = smooth == ndimage.maximum_filter(smooth, 2 * max(int(radius / 2), 1) + 1)
    peaks &= ~ndimage.binary_dilation(~free, iterations=2)
    least = LIKE_OBJECTS * float(np.percentile(sizes, 25))
    found = []
    for number, box in enumerate(ndimage.find_objects(blobs), 1):
        mask = blobs[box] == number
        pixels = int(mask.sum())
        if pixels >= least and count and peaks[box][mask].any():
            blob = _Object(0, mask, tuple(side.start for side in box), 0.0)
            level = float(values[box][mask].mean())
            words = (
                f"{pixels} pixels of mean {level:.4g}; the background is {background:.4g}, objects from {darker:.4g}"
            )
            found.append(Flaw("without label", 0, _middle(blob), pixels, words))
    return found


def _ball(volume: float) -> float:
    return float((3 * volume / (4 * np.pi)) ** (1 / 3))


def _middle(blob: _Object) -> tuple[int, ...]:
    """The pixel of a blob that is furthest from its border."""
    inside = ndimage.distance_transform_edt(np.pad(blob.mask, 1))[(slice(1, -1),) * blob.mask.ndim]
    place = [
        int(n) + start for n, start in zip(np.unravel_index(inside.argmax(), inside.shape), blob.corner, strict=True)
    ]
    return tuple(place) if len(place) == 3 else (0, *place)
