"""The page of ``zooferry evaluate --labels``: scores, the curve over the IoU, outlines of the worst images."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zooferry.report import write_page
from zooferry.segmentation_evaluation import CLASSICAL, MATCHED, MODEL, ScoredImage, SegmentationReport, worst_first
from zooferry.segmentation_metrics import THRESHOLDS, outlines, overlap

PICTURED = 8  # images
LARGEST = 640  # pixels of an edge of a picture
# blue, orange and magenta are told apart by the colour-blind too
COLOURS: Mapping[str, tuple[int, int, int]] = {"TP": (86, 180, 233), "FP": (230, 159, 0), "FN": (240, 60, 170)}
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
        "colours": {key: "rgb({}, {}, {})".format(*value) for key, value in COLOURS.items()},
    }  # fmt: skip
    write_page(path, "segmentation.html", content)


def overlay(image: ScoredImage, candidate: str) -> Overlay:
    """Outlines of found, invented and missed objects of one candidate, in the colours `COLOURS`."""
    found = image.found[candidate]
    pairs = overlap(image.true, found).pairs(MATCHED)
    right = [predicted for _, predicted, _ in pairs]
    known = [true for true, _, _ in pairs]
    grey, true, seen = (_larger(_plane(a, image.true)) for a in (image.image, image.true, found))
    picture = coloured(grey)
    kinds = {
        "FN": np.where(np.isin(true, known), 0, true),
        "TP": np.where(np.isin(seen, right), seen, 0),
        "FP": np.where(np.isin(seen, right), 0, seen),
    }
    for kind, labels in kinds.items():
        picture[outlines(labels)] = COLOURS[kind]
    counts = image.scores[candidate].at(MATCHED)
    caption = (
        f"AP {counts.average_precision:.3f} at an IoU of {MATCHED}: {counts.matched} found, "
        f"{counts.invented} invented, {counts.missed} missed"
    )
    return Overlay(candidate, caption, _png(picture), picture.shape[1], picture.shape[0])


def _plain(image: ScoredImage) -> Overlay:
    """The image with the outlines of the true labels."""
    grey, true = (_larger(_plane(a, image.true)) for a in (image.image, image.true))
    picture = coloured(grey)
    picture[outlines(true)] = (255, 255, 255)
    return Overlay("image and true labels", "", _png(picture), picture.shape[1], picture.shape[0])


def _plane(array: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The plane Y X with most labelled pixels."""
    if array.ndim == 2:
        return array
    filled = (true > 0).reshape(-1, *true.shape[-2:]).sum(axis=(1, 2))
    plane: np.ndarray = array.reshape(-1, *array.shape[-2:])[int(filled.argmax())]
    return plane


def _larger(plane: np.ndarray) -> np.ndarray:
    """Cut to what a picture may have; smaller images with every pixel twice as large."""
    plane = plane[:LARGEST, :LARGEST]
    twice = 2 if 2 * max(plane.shape) <= LARGEST else 1
    return np.repeat(np.repeat(plane, twice, axis=0), twice, axis=1)


def coloured(grey: np.ndarray) -> np.ndarray:
    """uint8 Y X 3, between the percentiles 1 and 99.8."""
    low, high = np.percentile(grey, (1, 99.8))
    scaled = np.clip((grey.astype(np.float64) - low) / max(high - low, 1e-9), 0, 1) ** 0.7
    return np.repeat((255 * scaled).astype(np.uint8)[..., np.newaxis], 3, axis=2)


def _png(picture: np.ndarray) -> str:
    from matplotlib.image import imsave

    file = io.BytesIO()
    imsave(file, picture, format="png", metadata={"Software": ""})
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _curve(report: SegmentationReport) -> str:
    """Mean average precision against the IoU as a picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 3.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name in report.candidates:
        values = list(report.mean(name)["AP"].values())
        axes.plot(THRESHOLDS, values, marker="o", markersize=4, label=name, color=LINES.get(name))
    axes.set(xlabel="IoU from which an object counts as found", ylabel="average precision, mean of images", ylim=(0, 1))
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
