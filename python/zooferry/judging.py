"""The quality control of ``zooferry evaluate``: each image judged, and one answer per question over all of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from zooferry import axes, residuals
from zooferry.calibration import Calibration
from zooferry.files import make_folder, write_text
from zooferry.images import write_image
from zooferry.metrics import affine_fit, normalize_reference
from zooferry.quality import clipping, radial_power, rank_correlation, similarity_map
from zooferry.report import Control, EvaluatedImage, EvaluationReport

Array = NDArray[Any]
RESTORED = "restored"
DECIDES = 0.2  # part by which the mean error changes without one image
TELLS = 0.1  # a measure of uncertainty with a lower correlation says nothing about errors
NUMBERS = ("removed", "invented", "background", "edges")


def judge_image(image: EvaluatedImage, acquired: Array, calibration: Calibration | None) -> EvaluatedImage:
    """The image with its residual check, the meaning of its uncertainty, and what must be said about it.

    Parameters
    ----------
    image : EvaluatedImage
        With a candidate "restored".
    acquired : ndarray
        The raw image on its own grid, (Y, X) or (Z, Y, X).
    calibration : Calibration, optional
        Of this image.
    """
    check = residuals.check_residual(acquired, image.candidates[RESTORED])
    found: dict[str, Any] = dict(image.quality)
    notes = list(image.notes)
    if check is not None:
        found["residual"] = check.to_json()
        notes += [check.sentence()] if check.findings else []
    if calibration is not None:
        found["covered_by_90_percent_intervals"] = calibration.in_90_percent
        found["ECE"] = calibration.error
    found |= _uncertainty(image)
    seen = {"raw image": acquired} | ({} if image.reference is None else {"clean image": image.reference})
    return replace(image, residual=check, quality=found, notes=(*notes, *clipping(seen)))


def _uncertainty(image: EvaluatedImage) -> dict[str, Any]:
    """Mean of each further output, and whether it is larger where the restoration errs."""
    found: dict[str, Any] = {}
    for name, values in image.maps.items():
        found[f"mean_{name}"] = float(values.mean(dtype=np.float64))
        if image.reference is not None and values.shape == image.reference.shape:
            found[f"correlation_of_{name}_with_error"] = rank_correlation(values, np.abs(error_of(image)))
    return found


def error_of(image: EvaluatedImage) -> Array:
    """Restored minus clean, in units of the clean image's 0.1-99.9 percentile range, as it is scored."""
    assert image.reference is not None
    target = normalize_reference(image.reference)
    return affine_fit(image.candidates[RESTORED], target)[0] - target


def controls(images: Sequence[EvaluatedImage]) -> tuple[Control, ...]:
    """One line per question of the residual check, and one per measure of uncertainty."""
    checks = [image.residual for image in images if image.residual is not None]
    lines = [Control(*line) for line in residuals.summary(checks)] if checks else []
    for name in images[0].maps if images else ():
        key = f"correlation_of_{name}_with_error"
        values = [image.quality[key] for image in images if image.quality.get(key) is not None]
        if values:
            words = (
                f"rank correlation of {name} and absolute error: mean {np.mean(values):.2f}, least {min(values):.2f}"
            )
            lines.append(Control(f"does {name} tell where the restoration errs?", words, bool(np.mean(values) < 0.1)))
    return tuple(lines)


def deciding_image(report: EvaluationReport, candidate: str = RESTORED) -> str:
    """A sentence about the image without which the mean NRMSE is most different; empty where none decides it."""
    if len(report.images) < 3 or candidate not in report.candidates:
        return ""
    errors = np.array([image.scores[candidate].nrmse for image in report.images])
    without = (errors.sum() - errors) / (len(errors) - 1)
    worst = int(np.argmax(np.abs(without - errors.mean())))
    if abs(without[worst] / errors.mean() - 1) < DECIDES:
        return ""
    return (
        f"{report.images[worst].name} decides the mean: its NRMSE is {errors[worst]:.4f}; without it the mean of "
        f"{candidate} is {without[worst]:.4f} instead of {errors.mean():.4f}"
    )


def quality_csv(images: Sequence[EvaluatedImage]) -> str:
    """One line per image: the residual check, the uncertainty, and the notes."""
    further = sorted({k for image in images for k, v in image.quality.items() if not isinstance(v, Mapping)})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    lags = [f"autocorrelation_{lag}" for lag in (1, 2, 3)]
    writer.writerow(["image", *NUMBERS, *lags, *further, "notes"])
    for image in images:
        check = image.residual
        numbers = [check.values[n] for n in NUMBERS] + list(check.autocorrelation) if check else [None] * 7
        values = [*numbers, *[image.quality.get(key) for key in further]]
        told = [f"{v:.6g}" if isinstance(v, float) else "" if v is None else str(v) for v in values]
        writer.writerow([image.name, *told, "; ".join(image.notes)])
    return text.getvalue()


def write_maps(folder: Path, images: Sequence[EvaluatedImage]) -> None:
    """``<image>_residual.tif``, ``_error.tif`` and ``_ssim.tif`` (float32), and ``_power.csv`` of every image."""
    make_folder(folder)
    for image in images:
        stem = Path(image.name).stem
        maps = {} if image.residual is None else {"residual": image.residual.residual}
        if image.reference is not None:
            maps |= {"error": error_of(image), "ssim": similarity_map(image.candidates[RESTORED], image.reference)}
        for name, array in maps.items():
            write_image(folder / f"{stem}_{name}.tif", _labelled(array, image))
        write_text(folder / f"{stem}_power.csv", _power_csv(image))


def _labelled(array: Array, image: EvaluatedImage) -> xr.DataArray:
    found = axes.label_axes(array.astype(np.float32), axes.spatial_axes(array.ndim))
    if image.pixel_size and array.ndim == 2:
        found.attrs.update(pixel_size={"y": image.pixel_size, "x": image.pixel_size}, unit=image.unit)
    return found


def powers(image: EvaluatedImage) -> tuple[Array, dict[str, Array]]:
    """Frequencies in cycles per pixel, and the radial power of raw, filtered, restored and clean, fitted to raw."""
    curves = {name: radial_power(array) for name, array in in_grey_values_of_raw(image).items()}
    frequency = next(iter(curves.values()))[0]
    return frequency, {name: power for name, (_, power) in curves.items()}


def in_grey_values_of_raw(image: EvaluatedImage) -> dict[str, Array]:
    """Every candidate and the clean image, fitted to the raw one by gain and offset."""
    raw = next(iter(image.candidates.values()))
    shown = dict(image.candidates) | ({} if image.reference is None else {"reference": image.reference})
    return {n: raw.astype(np.float64) if a is raw else affine_fit(a, raw)[0] for n, a in shown.items()}


def _power_csv(image: EvaluatedImage) -> str:
    frequency, curves = powers(image)
    lines = [",".join(["cycles_per_pixel", *curves])]
    lines += [",".join(f"{v:.6g}" for v in row) for row in zip(frequency, *curves.values(), strict=True)]
    return "\n".join(lines) + "\n"
