"""Are predicted distributions as wide as they say? Calibration curve and expected calibration error.

A Laplace distribution with mean m and scale s puts the probability p into the interval m +- s log(1 / (1 - p)). Where
the predictions are calibrated, the truth lies in that interval for a part p of all pixels, whatever p is (Weigert
2018, Supplementary Note 3). The curve shows that part over p; the expected calibration error (ECE) is the mean
distance of the two over equally spaced p. A curve above the diagonal tells of scales that are too large.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from zooferry import axes
from zooferry.errors import ZooferryError
from zooferry.matching import MATCHINGS, scaled_like
from zooferry.metrics import affine_fit
from zooferry.normalization import apply_operations
from zooferry.prediction import Model

LEVELS = tuple(round(0.05 * k, 2) for k in range(1, 20))  # probabilities 0.05 ... 0.95
REPORTED = 0.9


@dataclass(frozen=True)
class Calibration:
    """How often the truth lay in the predicted intervals.

    Attributes
    ----------
    covered : tuple of int
        Pixels inside the interval of each probability in `LEVELS`.
    pixels : int
        All of them.
    """

    covered: tuple[int, ...]
    pixels: int

    @property
    def observed(self) -> tuple[float, ...]:
        """Part of the pixels inside the interval of each probability in `LEVELS`."""
        return tuple(count / self.pixels for count in self.covered)

    @property
    def error(self) -> float:
        """The expected calibration error, 0 to 1."""
        return float(np.mean([abs(o - p) for o, p in zip(self.observed, LEVELS, strict=True)]))

    @property
    def in_90_percent(self) -> float:
        """Part of the pixels inside the 90 % interval."""
        return self.observed[LEVELS.index(REPORTED)]

    def sentence(self) -> str:
        """One line for people."""
        return (
            f"90 % intervals cover {100 * self.in_90_percent:.1f} % of {self.pixels:,} pixels, "
            f"expected calibration error {self.error:.4f}"
        )

    def to_json(self) -> dict[str, Any]:
        """The entry of ``metrics.json``."""
        return {
            "ECE": self.error,
            "covered_by_90_percent_intervals": self.in_90_percent,
            "pixels": self.pixels,
            "curve": {"probability": list(LEVELS), "observed": list(self.observed)},
        }


def calibrate(truth: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> Calibration:
    """Calibration of one image.

    Parameters
    ----------
    truth, mean, scale : ndarray
        Of equal shape and in the same units; any axes.

    Raises
    ------
    ZooferryError
        Shapes differ, a scale is not above 0, or a value is not finite.
    """
    if not truth.shape == mean.shape == scale.shape:
        raise ZooferryError(f"truth, mean and scale have shapes {truth.shape}, {mean.shape}, {scale.shape}; not equal")
    arrays = [array.astype(np.float64) for array in (truth, mean, scale)]
    if not all(np.isfinite(array).all() for array in arrays) or not (arrays[2] > 0).all():
        raise ZooferryError(
            "truth, mean and scale must be finite and scales above 0; the model does not fit this image"
        )
    # the probability of the smallest interval around the mean that holds the truth
    needed = -np.expm1(-np.abs(arrays[0] - arrays[1]) / arrays[2])
    return Calibration(tuple(int(np.count_nonzero(needed <= level)) for level in LEVELS), truth.size)


def together(parts: Iterable[Calibration]) -> Calibration:
    """Of several images, every pixel counting the same."""
    found: Sequence[Calibration] = list(parts)
    counts = np.sum([part.covered for part in found], axis=0)
    return Calibration(tuple(int(n) for n in counts), sum(part.pixels for part in found))


def calibrate_image(
    model: Model, clean: xr.DataArray, outputs: Mapping[str, xr.DataArray], *, noisy: xr.DataArray
) -> Calibration | None:
    """Calibration of a restored image, None where the model predicts no scale.

    Parameters
    ----------
    model : Model
        The clean image is scaled as its targets were. Where it does not say how, the clean image is fitted to the
        restoration by gain and offset, which flatters.
    clean : DataArray
        Grey values, axes among t c z y x.
    outputs : mapping
        Of the model for the noisy partner, the restoration first.
    noisy : DataArray
        The noisy partner, grey values.
    """
    restored = next(iter(outputs.values()))
    if "scale" not in outputs or restored.shape != clean.shape:
        return None
    images = (clean, restored, outputs["scale"], noisy)
    parts = []
    for samples in zip(*[axes.samples(image, model.dims) for image in images], strict=True):
        truth, mean, scale, raw = (array for _, array in samples)
        parts.append(calibrate(in_units_of(model, truth, mean=mean, noisy=raw), mean, scale))
    return together(parts)


def in_units_of(model: Model, truth: np.ndarray, *, mean: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """A clean image on the scale of the model's mean, all C (Z) Y X; see `calibrate_image`."""
    if model.matched in MATCHINGS and truth.shape == noisy.shape:
        return scaled_like(model.target, truth, noisy, matching=model.matched)
    if model.target:
        scaled: np.ndarray = apply_operations(model.target, truth[np.newaxis], model.axes)[0]
        return scaled
    return affine_fit(truth, mean)[0]


def widening(truth: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> float:
    """The factor for scales, 1/8 to 8, of least expected calibration error; arrays of any equal shape."""
    away = np.sort((np.abs(truth.astype(np.float64) - mean) / scale).ravel())
    factors = np.exp(np.linspace(np.log(1 / 8), np.log(8), 833))  # steps of half a percent
    levels = np.array(LEVELS)
    limits = factors[:, np.newaxis] * -np.log1p(-levels)  # factor, level
    observed = np.searchsorted(away, limits, side="right") / away.size
    return float(factors[np.abs(observed - levels).mean(axis=1).argmin()])
