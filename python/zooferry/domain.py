"""Is an image like those that a model was trained on? Measured at training, kept in the package, judged everywhere.

The domain keeps the lowest and highest value of each feature (`zooferry.image_features`) over the training images, and
what is allowed: those, widened by the margin to the power of 1 + 4 / n (a difference: times that) for n training
images, because the extremes are the less known the fewer images there are. Of more than 100 samples one in a hundred is
left out at each end.

============  =================  ============
feature       margin             bounds
============  =================  ============
dark          median range / 4   both
range         factor 2           both
noise         factor 1.4         both
background    0.1                both
fine, coarse  factor 1.4         both
dark_texture  factor 1.2         upper
structure     see below          lower
============  =================  ============

The bound of `structure` is the root of the training images' lowest value, at most 1.4, and never below what noise alone
reaches in one of 200 images, 1 + 2.5 sqrt(2 / blocks): an image of noise alone is outside whatever was trained on.
The twin for ImageJ is ``zooferry_fiji/domain.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from zooferry import axes
from zooferry.image_features import features

Domain = Mapping[str, Any]

TOLERATED = 1.25  # factor between pixel sizes
MICROMETRES = {
    "micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "centimeter": 1e4, "inch": 25400.0, "meter": 1e6,
}  # fmt: skip
NOT_KNOWN = "not known"
UNTOLD = "the package does not tell what it was trained on: whether these images are like that cannot be said"
EMPTY = "no structure beyond noise, as of an empty field"
# feature -> margin, whether it is a factor, words
FEATURES: Mapping[str, tuple[float, bool, str]] = {
    "dark": (0.25, False, "darkest grey value {0}; training images {1} to {2}"),
    "range": (2.0, True, "{0} grey values from dark to bright; training images {1} to {2}"),
    "noise": (1.4, True, "noise {0} of the range; training images {1} to {2}"),
    "background": (0.1, False, "median at {0} of the range; training images {1} to {2}"),
    "fine": (1.4, True, "detail at 2 pixels {0} times that at 1; training images {1} to {2}"),
    "coarse": (1.4, True, "detail at 8 pixels {0} times that at 4; training images {1} to {2}"),
    "dark_texture": (1.2, True, "dark areas have {0} times the detail of middle ones; training images {1} to {2}"),
}
STRUCTURE, HIGHEST_BOUND = "structure", 1.4


@dataclass(frozen=True)
class Verdict:
    """What is unusual about an image.

    Attributes
    ----------
    known : bool
        False where the package does not tell, or the image is too small to say (about 64 x 64 pixels).
    outside : tuple of str
        Findings in words; empty if the image is like the training images.
    where : str
        Such as "3 of 20 planes"; empty for an image of one sample.
    """

    known: bool
    outside: tuple[str, ...] = ()
    where: str = ""

    @property
    def text(self) -> str:
        """``inside``, ``outside: noise 0.31 of the range; ...`` or ``not known``."""
        if not self.outside:
            return "inside" if self.known else NOT_KNOWN
        return f"outside{' in ' + self.where if self.where else ''}: {'; '.join(self.outside)}"


def measure(
    images: Sequence[np.ndarray], *, calibration: Mapping[str, Any] | None = None, independent: int | None = None
) -> dict[str, Any]:
    """The domain of training images, as it goes into run.json and rdf.yaml.

    Parameters
    ----------
    images : sequence of ndarray
        Raw samples C (Z) Y X, all of one number of channels.
    calibration : mapping, optional
        "pixel_size" (axis -> length) and "unit".
    independent : int, optional
        From how many images the samples come, where several are planes or exposures of one.

    Returns
    -------
    dict
        "dims"; "images"; "channels": per channel a dict feature -> {"seen": [low, high], "allowed": [low, high]}, with
        None where there is no bound; pixel size and unit as given. Empty where all images are too small.
    """
    found = [each for each in map(features, images) if all(each)]
    if not found:
        return {}
    count, given = min(independent or len(found), len(found)), calibration or {}
    return {
        "dims": images[0].ndim - 1,
        "images": count,
        "channels": [_domain_of([each[c] for each in found], count) for c in range(len(found[0]))],
        **{key: given[key] for key in ("pixel_size", "unit") if key in given},
    }


def _domain_of(rows: Sequence[Mapping[str, float]], count: int) -> dict[str, Any]:
    unsure, typical = 1 + 4 / count, float(np.median([row["range"] for row in rows]))
    domain: dict[str, Any] = {}
    for name, (margin, is_factor, _) in FEATURES.items():
        low, high = _extremes([row[name] for row in rows])
        wide = margin**unsure if is_factor else margin * unsure * (typical if name == "dark" else 1.0)
        allowed = (low / wide, high * wide) if is_factor else (low - wide, high + wide)
        domain[name] = _written([low, high], [None if name == "dark_texture" else allowed[0], allowed[1]])
    low, high = _extremes([row[STRUCTURE] for row in rows])
    domain[STRUCTURE] = _written([low, high], [min(HIGHEST_BOUND, math.sqrt(max(low, 1.0))), None])
    return domain


def _written(seen: Sequence[float], allowed: Sequence[float | None]) -> dict[str, list[float | None]]:
    """Six digits of each number."""
    short = [None if value is None else float(f"{value:.6g}") for value in (*seen, *allowed)]
    return {"seen": short[:2], "allowed": short[2:]}


def _extremes(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.quantile(values, 0.01, method="lower"), np.quantile(values, 0.99, method="higher")
    return float(low), float(high)


def judge(domain: Domain | None, image: xr.DataArray | np.ndarray) -> Verdict:
    """Whether an image is like the training images.

    Parameters
    ----------
    domain : mapping
        See `measure`; empty or None where the package does not tell.
    image : DataArray or ndarray
        Raw grey values; axes among t c z y x, or one sample C (Z) Y X. Of several samples (time points; slices, for a
        2D model) the one with the most findings is told of.
    """
    if not domain:
        return Verdict(known=False)
    if isinstance(image, np.ndarray):
        return _together([findings(domain, features(image))], [], "")
    dims = int(domain["dims"])
    judged = [findings(domain, features(array)) for _, array in axes.samples(image, dims)]
    return _together(judged, size_findings(domain, image.attrs), "planes" if dims == 2 else "stacks")


def read_domain(said: Any) -> dict[str, Any]:
    """The domain that run.json or rdf.yaml (`config.zooferry.domain`) holds; {} where it is missing or unusable."""
    try:
        channels = [{name: _bounds(channel[name]) for name in (*FEATURES, STRUCTURE)} for channel in said["channels"]]
        sizes = {str(axis): float(size) for axis, size in (said.get("pixel_size") or {}).items()}
        found = {"dims": 3 if said["dims"] == 3 else 2, "images": int(said["images"]), "channels": channels}
        return {**found, "pixel_size": sizes, "unit": str(said.get("unit", ""))}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return {}


def _bounds(feature: Mapping[str, Any]) -> dict[str, list[float | None]]:
    low, high = feature["seen"]
    least, most = (None if bound is None else float(bound) for bound in feature["allowed"])
    return {"seen": [float(low), float(high)], "allowed": [least, most]}


def told(verdicts: Mapping[str, Verdict]) -> tuple[str, str, bool]:
    """A question, its answer over several images, and whether it gives cause for thought."""
    outside = [name for name, each in verdicts.items() if each.outside]
    known = [each for each in verdicts.values() if each.known or each.outside]
    answer = f"{len(known) - len(outside)} of {len(known)}" if known else UNTOLD
    if outside:
        answer += f"; not {', '.join(outside[:5])}" + (f" and {len(outside) - 5} more" if len(outside) > 5 else "")
    return "are the images like those it was trained on?", answer, bool(outside)


def _together(judged: Sequence[list[str] | None], sizes: Sequence[str], what: str) -> Verdict:
    """The findings of all samples (None: too small) and those of the pixel size as one verdict."""
    worst = max((each for each in judged if each), key=len, default=[])
    outside = sum(bool(each) for each in judged)
    where = f"{outside} of {len(judged)} {what}" if outside and len(judged) > 1 else ""
    return Verdict(any(each is not None for each in judged), (*sizes, *worst), where)


def findings(domain: Domain, measured: Sequence[Mapping[str, float]]) -> list[str] | None:
    """What of one sample's features lies outside, in words; None where it cannot be said."""
    known = domain["channels"]
    if len(measured) != len(known) or not all(measured):
        return None
    found = []
    for number, (channel, values) in enumerate(zip(known, measured, strict=True), start=1):
        prefix = f"channel {number}: " if len(known) > 1 else ""
        noise_alone = 1 + 2.5 * math.sqrt(2 / values["blocks"])
        if values[STRUCTURE] < max(channel[STRUCTURE]["allowed"][0] or 0.0, noise_alone):
            found.append(prefix + EMPTY)
        for name, (_, _, words) in FEATURES.items():
            low, high = channel[name]["allowed"]
            if (high is not None and values[name] > high) or (low is not None and values[name] < low):
                found.append(prefix + words.format(*map(number_text, (values[name], *channel[name]["seen"]))))
    return found


def number_text(value: float) -> str:
    """Three digits, and all before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def size_findings(domain: Domain, calibration: Mapping[str, Any]) -> list[str]:
    """One line where the pixels have another size than those of the training images; none where one is unknown."""
    trained, unit = domain.get("pixel_size") or {}, MICROMETRES.get(str(domain.get("unit", "")))
    own, own_unit = calibration.get("pixel_size") or {}, MICROMETRES.get(str(calibration.get("unit", "")))
    for axis in ("x", "y", "z")[: domain["dims"]]:
        if unit and own_unit and trained.get(axis, 0) > 0 and own.get(axis, 0) > 0:
            size, usual = own[axis] * own_unit, trained[axis] * unit
            if max(size / usual, usual / size) > TOLERATED + 1e-9:
                return [f"pixel size {number_text(size)} um in {axis}; training images {number_text(usual)} um"]
    return []
