"""Pictures and charts of the quality control: residual with what was found, similarity map, profile, Fourier power."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from zooferry.charts import Chart, chart
from zooferry.judging import RESTORED, in_grey_values_of_raw, powers
from zooferry.pictures import Box, Picture, difference_pictures, grey_pictures
from zooferry.quality import similarity_map, structured_row
from zooferry.report import EvaluatedImage
from zooferry.residuals import SIDE, ResidualCheck

Array = NDArray[Any]
SMOOTHED = 1.5  # pixels: structure stays and noise goes
FULL_COLOUR = 5.0  # standard deviations of the noise that is left after smoothing
SHOWN_POWER = 1e-4  # of the raw image's noise: what is drawn at the lower end
MOST_BOXES = 15  # of each kind


def residual_picture(check: ResidualCheck) -> Picture:
    """The whole residual, smoothed, with frames where something was removed or invented.

    Of a volume the slice with most of these, else the middle one.
    """
    stack = check.residual if check.residual.ndim == 3 else check.residual[np.newaxis]
    slices = [window.z for window in check.windows]
    z = max(set(slices), key=slices.count) if slices else len(stack) // 2
    plane = ndimage.gaussian_filter(stack[z], SMOOTHED)
    noise = float(stack[z].std()) / (2 * np.pi**0.5 * SMOOTHED)
    (picture,) = difference_pictures("raw − restored, smoothed", plane, limit=FULL_COLOUR * noise or 1.0)
    boxes = []
    for kind in ("removed", "invented"):
        worst = [w for w in check.windows if w.kind == kind and w.z == z][:MOST_BOXES]
        boxes += [_box(kind, w.y, w.x, plane.shape) for w in worst]
    view = f"slice z = {z}" if check.residual.ndim == 3 else ""
    caption = "whole image; should be nothing but noise" + ("\n" + _legend(check) if boxes else "")
    return replace(picture, view=view, caption=caption, boxes=tuple(boxes))


def _legend(check: ResidualCheck) -> str:
    counts = {kind: sum(w.kind == kind for w in check.windows) for kind in ("removed", "invented")}
    words = {"removed": "green frames: signal removed", "invented": "black frames: detail that raw does not have"}
    return "\n".join(f"{words[kind]} ({count})" for kind, count in counts.items() if count)


def _box(kind: str, y: int, x: int, shape: tuple[int, ...]) -> Box:
    height, width = shape
    return Box(kind, 100 * x / width, 100 * y / height, 100 * SIDE / width, 100 * SIDE / height)


def similarity_picture(image: EvaluatedImage, cut: tuple[slice, ...]) -> Picture | None:
    """SSIM of the restoration: white where it is like the reference, dark where it is not; None without either."""
    if image.reference is None or RESTORED not in image.candidates:
        return None
    z = None if image.reference.ndim == 2 else len(image.reference) // 2
    plane = similarity_map(image.candidates[RESTORED], image.reference, only=z)[cut[-2:]]
    view = "" if z is None else f"slice z = {z}"
    caption = "white where restored and reference are alike"
    (picture,) = grey_pictures("restored: SSIM", plane, window=(0.0, 1.0), caption=caption)
    return replace(picture, view=view)


def profile_row(image: EvaluatedImage, cut: tuple[slice, ...]) -> tuple[int, int]:
    """Slice and row, in pixels of the pictured part, of which the profile is shown: the most structured one."""
    judge = image.candidates[RESTORED] if image.reference is None else image.reference
    part = judge[cut]
    z = 0 if part.ndim == 2 else len(part) // 2
    return z, structured_row(part if part.ndim == 2 else part[z])


def profile_chart(image: EvaluatedImage, cut: tuple[slice, ...]) -> Chart:
    """Raw, restored and clean along that row, in grey values of the raw image."""
    z, row = profile_row(image, cut)
    shown = {n: a[cut] for n, a in in_grey_values_of_raw(image).items() if n in ("raw", RESTORED, "reference")}
    curves = {n: (a if a.ndim == 2 else a[z])[row] for n, a in shown.items()}
    pixels = np.arange(len(next(iter(curves.values()))), dtype=np.float64)
    scale, unit = (image.pixel_size, image.unit) if image.pixel_size else (1.0, "pixels")
    unit = {"micrometer": "µm", "nanometer": "nm"}.get(unit, unit)
    caption = "along the marked row; fitted to raw by gain and offset"
    return chart("profile", pixels * scale, curves, labels=(f"x, {unit}", "grey value"), caption=caption)


def power_chart(image: EvaluatedImage) -> Chart:
    """Radial Fourier power of all candidates and the reference."""
    frequency, curves = powers(image)
    least = SHOWN_POWER * float(next(iter(curves.values())).min())
    curves = {name: np.maximum(values, least) for name, values in curves.items()}
    caption = "left coarse, right fine; raw is flat where only noise is left"
    return chart("Fourier power", frequency, curves, labels=("cycles per pixel", "power"), caption=caption, log=True)
