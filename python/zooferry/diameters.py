"""Objects brought to the diameter that a network has learnt, and its labels brought back.

Stringer et al., Cellpose, Nature Methods 2021, sections "Diameter" and "Size model": the diameter of an image is the
median of those of its objects, each that of a disc of the same area; a linear regression of its logarithm on the
network's style finds it in a new image, and the objects that are found then refine it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zooferry.errors import ZooferryError
from zooferry.interpolation import linear, middles

LARGEST = 8.0  # times that an image is enlarged or shrunk, as for pixel sizes in ImageJ
IGNORED = 0.01  # factors this near to 1 are left alone
# on the squared weights, times the number of images: between halves of 33 images of nuclei at up to 5 scales it has the
# smallest errors (median of |log ratio| 0.139; 0.194 with 1e-4, 0.162 with 1e-8)
PENALTY = 1e-5


def object_diameter(labels: np.ndarray) -> float:
    """Median diameter of the objects of an image, in pixels; 0 without any.

    Parameters
    ----------
    labels : ndarray
        Whole numbers of any axes, 0 is background; the diameter is that of a disc of as many pixels.
    """
    sizes = np.unique(labels[labels > 0], return_counts=True)[1]
    return float(2 * np.median(np.sqrt(sizes / np.pi))) if len(sizes) else 0.0


def scaled_shape(shape: Sequence[int], factor: float) -> tuple[int, int]:
    """Y X of an image enlarged by `factor`.

    Raises
    ------
    ZooferryError
        The factor is beyond `LARGEST`.
    """
    if not 1 / LARGEST <= factor <= LARGEST:
        raise ZooferryError(
            f"the image would have to be made {factor:.3g} times as large; allowed are 1/{LARGEST:g} to {LARGEST:g}: "
            "give the diameter of its objects in pixels"
        )
    if abs(factor - 1) <= IGNORED:
        return int(shape[-2]), int(shape[-1])
    return max(1, int(np.floor(shape[-2] * factor + 0.5))), max(1, int(np.floor(shape[-1] * factor + 0.5)))


def resized(image: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Another number of pixels along Y X, linear between the middles of pixels; both images cover the same field.

    Parameters
    ----------
    image : ndarray
        ... Y X.
    shape : sequence of int
        Y X of the result.

    Returns
    -------
    ndarray
        float32; the image itself where it has that shape. Sums are of 64 bit, rounded once, first along Y.
    """
    if tuple(image.shape[-2:]) == tuple(shape):
        return image
    found = np.asarray(image, np.float64)
    for axis, wanted in ((-2, shape[0]), (-1, shape[1])):
        found = linear(found, middles(found.shape[axis], wanted), axis)
    return found.astype(np.float32)


def nearest(labels: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The same for numbers that must not be mixed: each pixel has that of the one in which its middle lies."""
    rows, columns = (
        np.minimum(((np.arange(wanted) + 0.5) * length / wanted).astype(np.int64), length - 1)
        for length, wanted in zip(labels.shape[-2:], shape, strict=True)
    )
    return np.ascontiguousarray(labels[..., rows[:, None], columns])


@dataclass(frozen=True)
class SizeModel:
    """log(diameter in pixels) = offset + weights . (style - mean)."""

    mean: np.ndarray
    weights: np.ndarray
    offset: float

    def diameter(self, style: np.ndarray) -> float:
        """Of the objects of an image, in pixels, from its style."""
        return float(np.exp(self.offset + (np.asarray(style, np.float64) - self.mean) @ self.weights))

    def entry(self) -> dict[str, Any]:
        """For run.json."""
        numbers = {"mean": self.mean, "weights": self.weights}
        return {"offset": round(self.offset, 6)} | {k: [round(float(n), 6) for n in v] for k, v in numbers.items()}


def read_size_model(entry: Mapping[str, Any]) -> SizeModel:
    """The reverse of `SizeModel.entry`."""
    return SizeModel(np.asarray(entry["mean"]), np.asarray(entry["weights"]), float(entry["offset"]))


def fit_size_model(styles: Sequence[np.ndarray], diameters: Sequence[float]) -> SizeModel:
    """Ridge regression of the logarithms of diameters on styles."""
    found = np.asarray(styles, np.float64)
    logs = np.log(np.asarray(diameters, np.float64))
    mean = found.mean(axis=0)
    centred = found - mean
    matrix = centred.T @ centred + PENALTY * len(logs) * np.eye(len(mean))
    return SizeModel(mean, np.linalg.solve(matrix, centred.T @ (logs - logs.mean())), float(logs.mean()))
