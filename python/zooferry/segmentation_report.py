"""The page of ``zooferry evaluate --labels``: scores, the curve over the IoU, outlines of the worst images."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zooferry.pictures import png_uri
from zooferry.report import write_page
from zooferry.segmentation_evaluation import CLASSICAL, MATCHED, MODEL, ScoredImage, SegmentationReport, worst_first
from zooferry.segmentation_metrics import THRESHOLDS, outlines, overlap, pooled

PICTURED = 8  # images
LARGEST = 512  # pixels of an edge of a picture; of larger images the window with most wrong pixels is shown
ENLARGED = 640  # pixels that the enlarged picture of a small image may have
# blue, orange and magenta are told apart by the colour-blind too
COLOURS: Mapping[str, tuple[int, int, int]] = {"TP": (86, 180, 233), "FP": (230, 159, 0), "FN": (240, 60, 170)}
DIMMED = 0.62  # of the brightness of an image under outlines, so that these stand out from bright objects
TINT = 0.35  # of the colour in the inside of invented and missed objects
LINES = {MODEL: "#1d6fb5", CLASSICAL: "#d1603d"}


@dataclass(frozen=True)
class Overlay:
    """Outlines over an image: a PNG as a data URI of `width` x `height` pixels, and words."""

    title: str
    caption: str
    source: str
    width: int
    height: int


def write_segmentation_report(path: Path, report: SegmentationReport) -> None:
    """Write the page."""
    worst = worst_first(report)
    rows = [
        (image.name, [_plain(image), *[overlay(image, name) for name in report.candidates]])
        for image in worst[:PICTURED]
    ]
    content = {
        "report": report, "rows": rows, "worst": worst, "curve": _curve(report), "columns": ("0.5", "0.75", "0.9"),
        "means": {name: report.mean(name) for name in report.candidates}, "model": MODEL,
        "counts": {name: pooled(i.scores[name].at(MATCHED) for i in report.images) for name in report.candidates},
        "colours": {key: "rgb({}, {}, {})".format(*value) for key, value in COLOURS.items()},
    }  # fmt: skip
    write_page(path, "segmentation.html", content)


def overlay(image: ScoredImage, candidate: str) -> Overlay:
    """Outlines of found, invented and missed objects of one candidate, in the colours `COLOURS`."""
    found = image.found[candidate]
    pairs = overlap(image.true, found).pairs(MATCHED)
    right = [predicted for _, predicted, _ in pairs]
    known = [true for true, _, _ in pairs]
    grey, true, seen = (_shown(a, image) for a in (image.image, image.true, found))
    picture = coloured(grey, DIMMED)
    kinds = {
        "FN": np.where(np.isin(true, known), 0, true),
        "FP": np.where(np.isin(seen, right), 0, seen),
        "TP": np.where(np.isin(seen, right), seen, 0),
    }
    for kind in ("FN", "FP"):
        inside = kinds[kind] > 0
        picture[inside] = (1 - TINT) * picture[inside] + TINT * np.array(COLOURS[kind])
    for kind in ("FN", "TP", "FP"):
        picture[_thick(kinds[kind])] = COLOURS[kind]
    counts = image.scores[candidate].at(MATCHED)
    caption = (
        f"AP {counts.average_precision:.3f} at an IoU of {MATCHED}: {counts.matched} found, "
        f"{counts.invented} invented, {counts.missed} missed"
    )
    return Overlay(candidate, caption, picture_uri(picture), picture.shape[1], picture.shape[0])


def _plain(image: ScoredImage) -> Overlay:
    """The image with the outlines of the true labels."""
    grey, true = (_shown(a, image) for a in (image.image, image.true))
    picture = coloured(grey)
    picture[outlines(true)] = (255, 255, 0)
    caption = f"{np.unique(image.true[image.true > 0]).size} objects{_where(image)}"
    return Overlay("image and true labels", caption, picture_uri(picture), picture.shape[1], picture.shape[0])


def _thick(labels: np.ndarray) -> np.ndarray:
    """Outlines two pixels wide, inside of the objects."""
    first = outlines(labels)
    return np.asarray(first | outlines(np.where(first, 0, labels)))


def _where(image: ScoredImage) -> str:
    """In words, what of the image is shown; empty if it is all."""
    parts = []
    if image.true.ndim > 2:
        parts.append(f"plane {_plane_of(image.true) + 1} of {np.prod(image.true.shape[:-2])}")
    if max(image.true.shape[-2:]) > LARGEST:
        y, x = _window(image)
        parts.append(f"pixels y {y.start}-{y.stop}, x {x.start}-{x.stop}")
    return f"; shown: {', '.join(parts)}" if parts else ""


def _plane_of(true: np.ndarray) -> int:
    """The plane Y X with most labelled pixels."""
    return int((true > 0).reshape(-1, *true.shape[-2:]).sum(axis=(1, 2)).argmax())


def _plane(array: np.ndarray, true: np.ndarray) -> np.ndarray:
    plane: np.ndarray = array.reshape(-1, *array.shape[-2:])[_plane_of(true)]
    return plane


def _window(image: ScoredImage) -> tuple[slice, slice]:
    """Of a large plane the part in which most pixels of the model are wrong."""
    found = next(iter(image.found.values()))
    wrong = (_plane(image.true, image.true) > 0) != (_plane(found, image.true) > 0)
    starts = [sorted({*range(0, max(n - LARGEST, 0), LARGEST // 2), max(n - LARGEST, 0)}) for n in wrong.shape]
    windows = [(slice(y, y + LARGEST), slice(x, x + LARGEST)) for y in starts[0] for x in starts[1]]
    y, x = max(windows, key=lambda window: int(wrong[window].sum()))
    return slice(y.start, min(y.stop, wrong.shape[0])), slice(x.start, min(x.stop, wrong.shape[1]))


def _shown(array: np.ndarray, image: ScoredImage) -> np.ndarray:
    """The plane, and of a large one the part, that is shown; small images with every pixel several times as large."""
    plane = _plane(array, image.true)[_window(image)]
    times = max(ENLARGED // max(plane.shape), 1)
    return np.repeat(np.repeat(plane, times, axis=0), times, axis=1)


def coloured(grey: np.ndarray, brightness: float = 1.0) -> np.ndarray:
    """uint8 Y X 3, between the percentiles 1 and 99.8; white gets `brightness`."""
    low, high = np.percentile(grey, (1, 99.8))
    scaled = np.clip((grey.astype(np.float64) - low) / max(high - low, 1e-9), 0, 1) ** 0.7
    return np.repeat((255 * brightness * scaled).astype(np.uint8)[..., np.newaxis], 3, axis=2)


def picture_uri(picture: np.ndarray) -> str:
    """uint8 Y X 3 as a PNG that a page can carry in itself."""
    from matplotlib.image import imsave

    file = io.BytesIO()
    imsave(file, picture, format="png", metadata={"Software": ""})
    return png_uri(file.getvalue())


def _curve(report: SegmentationReport) -> str:
    """Mean average precision against the IoU as a picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 3.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name in report.candidates:
        values = list(report.mean(name)["AP"].values())
        axes.plot(THRESHOLDS, values, marker="o", markersize=4, clip_on=False, label=name, color=LINES.get(name))
    axes.set(xlabel="IoU from which an object counts as found", ylabel="average precision, mean of images")
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return png_uri(file.getvalue())
