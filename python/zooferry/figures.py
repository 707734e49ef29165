"""Rows of pictures for the reports: which arrays stand side by side, in which contrast, under which words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from zooferry.charts import Chart
from zooferry.comparison import ATOL, RTOL, short_number
from zooferry.label_figures import label_pictures
from zooferry.metrics import RestorationScore, affine_fit
from zooferry.pictures import (
    Array,
    Picture,
    contrast_window,
    difference_limit,
    difference_pictures,
    grey_pictures,
    spatial_parts,
    structured_crop,
)
from zooferry.quality_figures import power_chart, profile_chart, profile_row, residual_picture, similarity_picture
from zooferry.report import EvaluatedImage, HostDifference, HostRow, OutputArrays

WHOLE_UP_TO = 320  # pixels; of larger images a crop is shown, because binning would hide the noise
CROP = 256


Cell = Picture | Chart | None
Line = tuple[Cell, ...]


@dataclass(frozen=True)
class PictureRow:
    """Lines of pictures under a heading with a remark and notes; None leaves a place in a line empty."""

    title: str
    remark: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()


def output_rows(output: OutputArrays, hosts: Sequence[HostRow]) -> list[PictureRow]:
    """Input, expected, actual and difference of one output.

    One row shows the worst of the hosts that agree; each host that disagrees with an array of the expected
    shape has a row of its own.
    """
    comparable = {host: a for host, a in output.actual.items() if a.shape == output.expected.shape}
    verdicts = {row.host: v for row in hosts for v in row.outputs if v.name == output.name and row.host in comparable}
    agreeing = sorted((h for h, v in verdicts.items() if v.passed), key=lambda h: -verdicts[h].max_abs)
    shown = [host for host, verdict in verdicts.items() if not verdict.passed] + agreeing[:1]
    rows: list[PictureRow] = []
    for host in shown:
        words = "the largest difference of those that agree" if host in agreeing else "disagrees"
        rows += _output_row(output, comparable[host], f"{output.name} in {host} ({words})", verdicts[host].sentence())
    return rows


def _output_row(output: OutputArrays, actual: Array, title: str, remark: str) -> list[PictureRow]:
    if output.labels:
        return [PictureRow(title, remark, (label_pictures(output, actual),))]
    pixel = (output.pixel_size.get("x", 0.0), output.unit)
    raw = spatial_parts(output.input, output.input_axes)
    rows = []
    parts = zip(spatial_parts(output.expected, output.axes), spatial_parts(actual, output.axes), strict=True)
    for number, ((label, expected), (_, got)) in enumerate(parts):
        shown = raw[min(number, len(raw) - 1)][1]
        window = contrast_window(expected)
        difference = _difference(got, expected)
        pictures = [
            grey_pictures("input", shown, window=contrast_window(shown), caption="raw, its own contrast", pixel=pixel),
            grey_pictures("expected", expected, window=window, caption="stored test output", pixel=pixel),
            grey_pictures("actual", got, window=window, caption="same contrast as expected", pixel=pixel),
            _difference_pictures("actual − expected", difference, expected),
        ]
        rows.append(PictureRow(f"{title}, {label}" if label else title, remark, _lines(pictures)))
    return rows


def image_row(image: EvaluatedImage) -> PictureRow:
    """Every candidate beside the reference, below each its error; then what was judged of the image."""
    if image.reference is None:
        return _unscored_row(image)
    cut = _crop(image.reference)
    reference = image.reference[cut]
    window = contrast_window(reference)
    pixel = (image.pixel_size, image.unit)
    fitted = {name: affine_fit(array, image.reference)[0][cut] for name, array in image.candidates.items()}
    limit = max(float(np.percentile(np.abs(a - reference), 99)) for a in fitted.values()) or 1.0
    columns, errors = [], []
    for number, (name, array) in enumerate(image.candidates.items()):
        raw = number == 0  # fitting a noisy image shrinks its contrast; it is shown as it was acquired
        shown, contrast = (array[cut], contrast_window(array[cut])) if raw else (fitted[name], window)
        caption = _score_words(image.scores[name]) + (", own contrast" if raw else "")
        columns.append(grey_pictures(name, shown, window=contrast, caption=caption, pixel=pixel))
        errors.append(difference_pictures(f"{name} − reference", fitted[name] - reference, limit=limit))
    columns.append(grey_pictures("reference", reference, window=window, caption="clean acquisition", pixel=pixel))
    under: list[Sequence[Cell]] = [*errors, _similarity(image, cut) or [None] * len(errors[0])]
    lines = [line for pair in zip(_marked(columns, image, cut), _lines(under), strict=True) for line in pair]
    remark = "Restored images are fitted to the reference by gain and offset, as for the scores."
    remark += " In error maps red is too bright."
    lines += _judged_lines(image, cut, len(columns))
    return PictureRow(f"{image.name}{_where(cut, image.reference)}", remark, tuple(lines), image.notes)


def _unscored_row(image: EvaluatedImage) -> PictureRow:
    """Every candidate in its own contrast, and what was judged of the image."""
    restored = list(image.candidates.values())[-1]
    cut = _crop(restored)
    pixel = (image.pixel_size, image.unit)
    columns = [
        grey_pictures(name, array[cut], window=contrast_window(array[cut]), caption="own contrast", pixel=pixel)
        for name, array in image.candidates.items()
    ]
    lines = [*_marked(columns, image, cut), *_judged_lines(image, cut, len(columns))]
    remark = "There is no clean partner: what is judged is judged from the raw image."
    return PictureRow(f"{image.name}{_where(cut, restored)}", remark, tuple(lines), image.notes)


def _marked(columns: Sequence[Sequence[Picture]], image: EvaluatedImage, cut: tuple[slice, ...]) -> tuple[Line, ...]:
    """The lines of pictures, the first with a mark where the profile was taken."""
    if "restored" not in image.candidates:
        return _lines(columns)
    _, row = profile_row(image, cut)
    height = image.candidates["restored"][cut].shape[-2]
    first = [[replace(column[0], row=100 * (row + 0.5) / height), *column[1:]] for column in columns]
    return _lines(first)


def _similarity(image: EvaluatedImage, cut: tuple[slice, ...]) -> list[Picture | None]:
    """SSIM of the restoration in the middle slice, as long as a column."""
    found = similarity_picture(image, cut)
    return [found] + [None] * (2 * image.candidates["raw"].ndim - 4) if found else []


def _judged_lines(image: EvaluatedImage, cut: tuple[slice, ...], count: int) -> list[Line]:
    """Residual and further outputs in lines of `count` places, then profile and Fourier power."""
    residual: list[Cell] = [] if image.residual is None else [residual_picture(image.residual)]
    charts: list[Cell] = [profile_chart(image, cut), power_chart(image)] if "restored" in image.candidates else []
    maps = [_map(name, array[cut], (image.pixel_size, image.unit)) for name, array in image.maps.items()]
    if not maps:
        return [(*residual, *charts)] if residual or charts else []
    first = [*residual, *[pictures[0] for pictures in maps]]
    lines: list[Line] = [(*first, *[None] * (count - len(first)))]
    lines += [(*[None] * len(residual), *line, *[None] * (count - len(first))) for line in _lines(maps)[1:]]
    return [*lines, tuple(charts)] if charts else lines


def _map(name: str, array: Array, pixel: tuple[float, str]) -> list[Picture]:
    """A further output of the model, from 0 to its brightest parts."""
    high = contrast_window(array)[1]
    caption = f"mean {short_number(float(array.mean()))}, largest {short_number(float(array.max()))}"
    return grey_pictures(name, array, window=(0.0, high if high > 0 else 1.0), caption=caption, pixel=pixel)


def host_difference_row(difference: HostDifference) -> PictureRow:
    """Python's result, ImageJ's and their difference, whole."""
    expected, actual = difference.expected, difference.actual
    window = contrast_window(expected)
    columns = [
        grey_pictures("Python", expected, window=window),
        grey_pictures("ImageJ", actual, window=window, caption="same contrast"),
        _difference_pictures("ImageJ − Python", _difference(actual, expected), expected),
    ]
    return PictureRow(difference.title, difference.verdict.sentence(), _lines(columns))


def _difference(actual: Array, expected: Array) -> Array:
    return np.asarray(actual.astype(np.float64) - expected.astype(np.float64))


def _difference_pictures(title: str, difference: Array, expected: Array) -> list[Picture]:
    tolerance = ATOL + RTOL * float(np.nanmedian(np.abs(expected)))
    limit = difference_limit(difference, tolerance)
    largest = np.abs(difference[np.isfinite(difference)]).max(initial=0.0)
    meaning = "the tolerance" if limit == tolerance else "99.9 % of the differences"
    caption = f"largest {short_number(float(largest))}; full colour from ±{short_number(limit)} ({meaning})"
    return difference_pictures(title, difference, limit=limit, caption=caption)


def _lines(columns: Sequence[Sequence[Cell]]) -> tuple[Line, ...]:
    """One line in 2D; in 3D one for the middle slices, one for the projections and one for the middle sections."""
    return tuple(zip(*columns, strict=False))


def _crop(array: Array) -> tuple[slice, ...]:
    if max(array.shape[-2:]) <= WHOLE_UP_TO:
        return (slice(None),) * array.ndim
    return (*(slice(None),) * (array.ndim - 2), *structured_crop(array, CROP))


def _where(cut: tuple[slice, ...], array: Array) -> str:
    y, x = cut[-2:]
    if y.start is None:
        return ""
    height, width = array.shape[-2:]
    return f", pixels y {y.start}-{min(y.stop, height)}, x {x.start}-{min(x.stop, width)} of {height} × {width}"


def _score_words(score: RestorationScore) -> str:
    return f"NRMSE {score.nrmse:.3f} · SSIM {score.ssim:.3f}\nPSNR {score.psnr:.1f} dB"
