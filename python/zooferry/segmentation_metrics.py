"""Scores of label images: how many true objects were found, and how well their shapes agree.

A true and a predicted object match where their intersection over union (IoU) reaches a threshold; of all ways to pair
them the one with the most matches counts, and among these the one with the largest IoU. With the matched (TP),
invented (FP) and missed (FN) objects:

==================  =================================================================================
average precision   TP / (TP + FP + FN); 1 where there are no objects and none is predicted
                    (Caicedo et al. 2019; "accuracy" in stardist, "AP" in cellpose)
panoptic quality    sum of the matched IoU / (TP + FP / 2 + FN / 2) (Kirillov et al. 2019, equation 1)
SEG                 mean over true objects of the IoU with the object that covers more than half of it, else 0
                    (Ulman et al., Nature Methods 14:1141, 2017)
boundary F          F score of outlines that are widened by a tolerance (as in cellpose 3.1)
==================  =================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from zooferry.errors import ZooferryError

THRESHOLDS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))  # of the IoU, 0.5 ... 0.95
TOLERANCE = 2.0  # pixels on either side of an outline


@dataclass(frozen=True)
class Matching:
    """Counts of one image, or of several.

    Attributes
    ----------
    matched, invented, missed : int
        Pairs, predicted objects without partner, true objects without partner: TP, FP, FN.
    iou : float
        Sum over the pairs.
    """

    matched: int
    invented: int
    missed: int
    iou: float

    @property
    def average_precision(self) -> float:
        """TP / (TP + FP + FN); 1 without any object."""
        return _part(self.matched, self.matched + self.invented + self.missed)

    @property
    def precision(self) -> float:
        """TP / (TP + FP); 1 where nothing was predicted and nothing missed."""
        return _part(self.matched, self.matched + self.invented, none=float(self.missed == 0))

    @property
    def recall(self) -> float:
        """TP / (TP + FN); 1 where there is nothing to find and nothing was invented."""
        return _part(self.matched, self.matched + self.missed, none=float(self.invented == 0))

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); 1 without any object."""
        return _part(2 * self.matched, 2 * self.matched + self.invented + self.missed)

    @property
    def matched_iou(self) -> float:
        """Mean IoU of the pairs, 0 without any."""
        return _part(self.iou, self.matched, none=0.0)

    @property
    def panoptic_quality(self) -> float:
        """Sum of the pairs' IoU / (TP + FP / 2 + FN / 2); 1 without any object."""
        return _part(self.iou, self.matched + self.invented / 2 + self.missed / 2)


def _part(count: float, of: float, *, none: float = 1.0) -> float:
    return count / of if of else none


@dataclass(frozen=True, eq=False)
class Overlap:
    """How the objects of two label images overlap.

    Attributes
    ----------
    true, predicted : ndarray
        Numbers of the objects, increasing.
    shared : ndarray
        Pixels, true x predicted.
    true_sizes, predicted_sizes : ndarray
        Pixels.
    """

    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    shared: NDArray[np.int64]
    true_sizes: NDArray[np.int64]
    predicted_sizes: NDArray[np.int64]

    @cached_property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union, true x predicted."""
        union = self.true_sizes[:, None] + self.predicted_sizes[None] - self.shared
        found: NDArray[np.float64] = self.shared / union
        return found

    def pairs(self, threshold: float) -> list[tuple[int, int, float]]:
        """The numbers of a true and a predicted object, and their IoU, for each match at an IoU of `threshold`."""
        if not self.iou.size:
            return []
        worth = (self.iou >= threshold) + self.iou / (2 * min(self.iou.shape))
        rows, columns = linear_sum_assignment(worth, maximize=True)
        chosen = self.iou[rows, columns]
        return [
            (int(self.true[i]), int(self.predicted[j]), float(value))
            for i, j, value in zip(rows, columns, chosen, strict=True)
            if value >= threshold
        ]

    def match(self, threshold: float) -> Matching:
        """Counts at an IoU of `threshold`, above 0."""
        found = self.pairs(threshold)
        pairs = len(found)
        return Matching(pairs, len(self.predicted) - pairs, len(self.true) - pairs, sum(value for _, _, value in found))

    def seg(self) -> NDArray[np.float64]:
        """Of each true object the IoU with the predicted one that covers more than half of it, else 0."""
        if not self.iou.size:
            return np.zeros(len(self.true))
        best = self.shared.argmax(axis=1)
        rows = np.arange(len(self.true))
        covered = 2 * self.shared[rows, best] > self.true_sizes
        return np.where(covered, self.iou[rows, best], 0.0)


def overlap(true: NDArray[Any], predicted: NDArray[Any]) -> Overlap:
    """Count the pixels that objects share.

    Parameters
    ----------
    true, predicted : ndarray
        Label images of the same shape, (Z) Y X: whole numbers, 0 is background.

    Raises
    ------
    ZooferryError
        The shapes differ, or the values are no labels.
    """
    if true.shape != predicted.shape:
        raise ZooferryError(
            f"the true labels have shape {true.shape}, the predicted ones {predicted.shape}; "
            "scores need two label images of the same shape"
        )
    numbers, flat, sizes = [], [], []
    for name, labels in (("true", true), ("predicted", predicted)):
        found, places, counts = np.unique(_whole(labels, name), return_inverse=True, return_counts=True)
        numbers.append(found)
        flat.append(places.ravel())
        sizes.append(counts)
    width = len(numbers[1])
    shared = np.bincount(flat[0] * width + flat[1], minlength=len(numbers[0]) * width).reshape(-1, width)
    rows, columns = (np.flatnonzero(found > 0) for found in numbers)
    return Overlap(
        numbers[0][rows], numbers[1][columns], shared[np.ix_(rows, columns)], sizes[0][rows], sizes[1][columns]
    )


def _whole(labels: NDArray[Any], name: str) -> NDArray[np.int64]:
    fine = labels.dtype.kind in "buif" and bool(np.isfinite(labels).all())
    whole = labels.astype(np.int64) if fine else np.zeros(0, np.int64)
    if not fine or not np.array_equal(whole, labels) or (labels.size and whole.min() < 0):
        raise ZooferryError(f"the {name} labels ({labels.dtype}) hold other values than whole numbers from 0")
    return whole


def pooled(matchings: Iterable[Matching]) -> Matching:
    """Counts of several images together."""
    parts = list(matchings)
    return Matching(*[sum(getattr(m, key) for m in parts) for key in ("matched", "invented", "missed", "iou")])


def outlines(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels of objects that touch another object, the background or the edge of the image along an axis."""
    inside = np.zeros(labels.shape, bool)
    for number, window in enumerate(ndimage.find_objects(labels.astype(np.int64)), 1):
        if window is not None:
            inside[window] |= ndimage.binary_erosion(labels[window] == number)
    return (labels > 0) & ~inside


def boundary_f(true: NDArray[Any], predicted: NDArray[Any], *, tolerance: float = TOLERANCE) -> float:
    """F score of the outlines, each widened by a tolerance.

    Parameters
    ----------
    true, predicted : ndarray
        Label images of the same shape, (Z) Y X.
    tolerance : float
        Pixels.

    Returns
    -------
    float
        0 to 1; 1 where neither has an object.
    """
    edges = [outlines(labels) for labels in (true, predicted)]
    if not all(edge.any() for edge in edges):
        return float(not any(edge.any() for edge in edges))
    near = [ndimage.distance_transform_edt(~edge) <= tolerance for edge in edges]
    both = np.count_nonzero(near[0] & near[1])
    return float(2 * both / (np.count_nonzero(near[0]) + np.count_nonzero(near[1])))


@dataclass(frozen=True, eq=False)
class SegmentationScore:
    """Scores of one label image.

    Attributes
    ----------
    matchings : tuple of Matching
        At each of `THRESHOLDS`.
    seg : ndarray
        Of each true object.
    boundary : float
        See :func:`boundary_f`.
    """

    matchings: tuple[Matching, ...]
    seg: NDArray[np.float64]
    boundary: float

    def at(self, threshold: float) -> Matching:
        """Counts at one of `THRESHOLDS`."""
        return self.matchings[THRESHOLDS.index(threshold)]


def score_labels(true: NDArray[Any], predicted: NDArray[Any]) -> SegmentationScore:
    """All scores of one label image, (Z) Y X; see :func:`overlap` for what is refused."""
    found = overlap(true, predicted)
    return SegmentationScore(
        tuple(found.match(threshold) for threshold in THRESHOLDS), found.seg(), boundary_f(true, predicted)
    )


def summary(scores: Sequence[SegmentationScore]) -> dict[str, Any]:
    """The entry ``mean`` of a segmentation's metrics.json.

    Returns
    -------
    dict
        ``AP`` (mean over images) and ``AP_pooled`` (over all objects) by threshold, ``SEG`` (mean over all true
        objects, None without any), and at an IoU of 0.5, all objects together: ``F1``, ``precision``, ``recall``,
        ``matched_IoU``, ``PQ``; ``boundary_F`` (mean over images).
    """
    together = [pooled(score.matchings[k] for score in scores) for k in range(len(THRESHOLDS))]
    half, objects = together[0], np.concatenate([score.seg for score in scores])
    by_threshold = {
        "AP": [
            float(np.mean([score.matchings[k].average_precision for score in scores])) for k in range(len(together))
        ],
        "AP_pooled": [counts.average_precision for counts in together],
    }
    return {
        **{key: dict(zip(map(str, THRESHOLDS), values, strict=True)) for key, values in by_threshold.items()},
        "SEG": float(objects.mean()) if len(objects) else None,
        "F1": half.f1, "precision": half.precision, "recall": half.recall,
        "matched_IoU": half.matched_iou, "PQ": half.panoptic_quality,
        "boundary_F": float(np.mean([score.boundary for score in scores])),
    }  # fmt: skip
