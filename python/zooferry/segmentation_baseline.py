"""Otsu's threshold and a watershed: what a network for segmentation must beat to be worth its trouble."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from zooferry.segmentation_metrics import overlap

TUNED_ON = 20  # images at most
SCORED = (0.5, 0.6, 0.7)  # IoU
CHOICES: dict[str, tuple[float, ...]] = {
    "factor": (0.6, 0.7, 0.8, 0.9, 1.0, 1.1),
    "apart": (2, 3, 4, 6, 9, 13),
    "sigma": (0.5, 1.0, 2.0, 3.0),
    "smallest": (5, 15, 40, 100),
}


@dataclass(frozen=True)
class Watershed:
    """Settings of the classical segmentation.

    Attributes
    ----------
    sigma : float
        Width of the Gaussian filter before the threshold, pixels.
    factor : float
        Of Otsu's threshold, counted from the darkest pixel.
    apart : float
        Least distance between two peaks of the distance to the background, each the seed of an object; pixels.
    smallest : float
        Pixels of the smallest object that is kept.
    """

    sigma: float = 1.0
    factor: float = 0.9
    apart: float = 4
    smallest: float = 15

    def words(self) -> str:
        """For a report."""
        return (
            f"Gaussian filter of {self.sigma:g} pixels, {self.factor:g} times Otsu's threshold, seeds {self.apart:g} "
            f"pixels apart, objects from {self.smallest:g} pixels"
        )

    def labels(self, image: np.ndarray) -> np.ndarray:
        """int32 labels of an image, both (Z) Y X."""
        smooth = ndimage.gaussian_filter(np.asarray(image, np.float32), self.sigma)
        darkest = float(smooth.min())
        if float(smooth.max()) == darkest:
            return np.zeros(image.shape, np.int32)
        limit = darkest + self.factor * (float(threshold_otsu(smooth)) - darkest)  # type: ignore[no-untyped-call]
        inside = smooth > limit
        depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(inside), 1.0)
        areas = np.asarray(ndimage.label(inside)[0])
        peaks = peak_local_max(  # type: ignore[no-untyped-call]
            depth, min_distance=int(self.apart), labels=areas, exclude_border=False
        )
        seeds = np.zeros(image.shape, np.int32)
        seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
        labels = np.asarray(watershed(-depth, seeds, mask=inside), np.int32)  # type: ignore[no-untyped-call]
        labels[(np.bincount(labels.ravel()) < self.smallest)[labels]] = 0
        return labels


def tuned(images: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> Watershed:
    """The settings with the best mean average precision (IoU 0.5, 0.6, 0.7), found one after the other, twice.

    Parameters
    ----------
    images, truths : sequence of ndarray
        Images and label images, (Z) Y X.
    """
    every = -(-len(images) // TUNED_ON)
    pairs = list(zip(images, truths, strict=True))[::every]
    scores: dict[Watershed, float] = {}

    def score(settings: Watershed) -> float:
        if settings not in scores:
            scores[settings] = float(np.mean([_precision(true, settings.labels(image)) for image, true in pairs]))
        return scores[settings]

    best = Watershed()
    for _, (name, values) in itertools.product(range(2), CHOICES.items()):
        best = max([best, *[replace(best, **{name: value}) for value in values]], key=score)
    return best


def _precision(true: np.ndarray, predicted: np.ndarray) -> float:
    found = overlap(true, predicted)
    return float(np.mean([found.match(threshold).average_precision for threshold in SCORED]))
