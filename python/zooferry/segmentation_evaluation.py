"""Score a model against label images, beside Otsu's threshold with a watershed."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy import ndimage

from zooferry import __version__
from zooferry.errors import ZooferryError
from zooferry.files import make_folder, write_json, write_text
from zooferry.images import match_pairs, read_image, require_labels, require_usable, write_image
from zooferry.instances.declaration import LABELS
from zooferry.restoring import open_restorer
from zooferry.segmentation_baseline import Watershed, tuned
from zooferry.segmentation_metrics import SegmentationScore, overlap, score_labels, summary

Say = Callable[[str], None]
CLASSICAL = "Otsu + watershed"
MODEL = "model"
MATCHED = 0.5  # IoU from which objects count as found in pictures and in objects.csv


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image with its true labels; axes among t z y x."""

    name: str
    image: xr.DataArray
    labels: xr.DataArray


@dataclass(frozen=True, eq=False)
class ScoredImage:
    """What was found in one image.

    Attributes
    ----------
    name : str
    image, true : ndarray
        (Z) Y X or with more axes before.
    found : dict
        Candidate -> labels.
    scores : dict
        Candidate -> score.
    """

    name: str
    image: np.ndarray
    true: np.ndarray
    found: dict[str, np.ndarray]
    scores: dict[str, SegmentationScore]


@dataclass(frozen=True, eq=False)
class SegmentationReport:
    """Scores of all images; `about` are lines of the page's head."""

    title: str
    images: tuple[ScoredImage, ...]
    about: dict[str, str]

    @property
    def candidates(self) -> tuple[str, ...]:
        """The model first."""
        return tuple(self.images[0].scores)

    def mean(self, candidate: str) -> dict[str, Any]:
        """See :func:`zooferry.segmentation_metrics.summary`."""
        return summary([image.scores[candidate] for image in self.images])


@dataclass(frozen=True)
class Scene:
    """Which images are scored.

    Attributes
    ----------
    images, labels : Path
        Folders of TIFFs with the same names.
    noise : float
        Standard deviation of Gaussian noise that is added to the grey values; they become float32.
    seed : int
        Of the noise; each image has its own, from this and its place in the order of names.
    tune_images, tune_labels : Path, optional
        On which the classical settings are chosen; by default the scored images themselves.
    """

    images: Path
    labels: Path
    noise: float = 0.0
    seed: int = 0
    tune_images: Path | None = None
    tune_labels: Path | None = None


def read_labelled(images: Path, labels: Path, *, noise: float = 0.0, seed: int = 0) -> list[LabelledImage]:
    """All pairs of two folders; see :class:`Scene`.

    Raises
    ------
    ZooferryError
        A partner is missing, a file is unusable, the shapes differ, an image has channels.
    """
    found = []
    for number, (path, partner) in enumerate(match_pairs(images, labels)):
        image, true = read_image(path), read_image(partner)
        require_usable(path, image)
        require_labels(partner, true)
        if image.dims != true.dims or image.shape != true.shape:
            raise ZooferryError(
                f"{path} has axes {''.join(map(str, image.dims))} and shape {image.shape}, its labels {partner} "
                f"{''.join(map(str, true.dims))} and {true.shape}; they must be alike"
            )
        if noise:
            rng = np.random.default_rng([seed, number])
            image = image.astype(np.float32) + rng.normal(0, noise, image.shape).astype(np.float32)
            image.attrs.update(true.attrs)
        found.append(LabelledImage(path.name, image, true))
    return found


def evaluate_segmentation(
    model: Path, scene: Scene, out: Path, *, say: Say, diameter: float | None = None
) -> SegmentationReport:
    """Segment and score a folder of images.

    Writes metrics.json, metrics.csv, objects.csv, report.html, and the label images of the model to labels/.

    Parameters
    ----------
    model : Path
        Run folder, package folder or zip that makes labels.
    scene : Scene
    out : Path
        Folder to write to.
    say : callable
        Gets the progress.
    diameter : float, optional
        Of the objects, in pixels, for a model that declares one; 0 or None: estimated in each image.

    Raises
    ------
    ZooferryError
        See :func:`read_labelled`; the model makes no labels, or does not fit the images; noise below 0.
    """
    if scene.noise < 0:
        raise ZooferryError(f"--noise is {scene.noise:g}; allowed: a standard deviation from 0")
    if (scene.tune_images is None) != (scene.tune_labels is None):
        raise ZooferryError("--tune-images and --tune-targets (here label images) go together; give both, or neither")
    labelled = read_labelled(scene.images, scene.labels, noise=scene.noise, seed=scene.seed)
    segmented, seconds = _segmented(model, labelled, say, diameter)
    classical = _classical(scene, labelled)
    say(f"{CLASSICAL}: {classical.words()}")
    scored = []
    for source, labels in zip(labelled, segmented, strict=True):
        image, true = source.image.values, np.asarray(source.labels.values, np.int64)
        found = {MODEL: np.asarray(labels.values, np.int64), CLASSICAL: _each(classical, source.image)}
        scored.append(
            ScoredImage(source.name, image, true, found, {name: score_labels(true, a) for name, a in found.items()})
        )
    about = {
        "model": str(model), "zooferry": __version__, "images": str(len(scored)),
        "segmented": f"{seconds / len(scored):.2g} s per image", CLASSICAL: classical.words(),
        "its settings": f"the best on {scene.tune_images or 'these very images'}",
    }  # fmt: skip
    if scene.noise:
        about["noise"] = f"Gaussian, standard deviation {scene.noise:g} grey values, seed {scene.seed}"
    report = SegmentationReport(f"{model.name} on {scene.images}", tuple(scored), about)
    _write(out, report, segmented, scene)
    return report


def _segmented(
    model: Path, labelled: Sequence[LabelledImage], say: Say, diameter: float | None
) -> tuple[list[xr.DataArray], float]:
    """Labels of each image, and the wall time of all."""
    segmented, started = [], time.monotonic()
    with open_restorer(model, diameter=diameter) as restorer:
        if len(restorer.inputs) != 1:
            raise ZooferryError(f"{model}: it takes {len(restorer.inputs)} images at a time; allowed is one")
        for number, source in enumerate(labelled, start=1):
            found = restorer.restore([source.image])
            labels = found.get(LABELS, next(iter(found.values())))
            try:
                require_labels(model, labels)
            except ZooferryError as error:
                raise ZooferryError(f"{model} makes no labels; give a model of segmentation") from error
            if labels.shape != source.labels.shape:
                raise ZooferryError(
                    f"{source.name}: the model makes labels of shape {labels.shape} of it, the true ones have "
                    f"{source.labels.shape}; they must be alike"
                )
            segmented.append(labels)
            say(f"segmented {number} of {len(labelled)}  {source.name}")
    return segmented, time.monotonic() - started


def _classical(scene: Scene, labelled: Sequence[LabelledImage]) -> Watershed:
    pairs = labelled
    if scene.tune_images and scene.tune_labels:
        pairs = read_labelled(scene.tune_images, scene.tune_labels, noise=scene.noise, seed=scene.seed + 1)
    flat = [part for pair in pairs for part in zip(_parts(pair.image), _parts(pair.labels), strict=True)]
    return tuned([image for image, _ in flat], [true for _, true in flat])


def _parts(image: xr.DataArray) -> list[np.ndarray]:
    """Each time point by itself, (Z) Y X."""
    return [np.asarray(part.values) for part in image] if "t" in image.dims else [image.values]


def _each(classical: Watershed, image: xr.DataArray) -> np.ndarray:
    found, highest = [], 0
    for part in _parts(image):
        labels = classical.labels(part).astype(np.int64)
        found.append(np.where(labels > 0, labels + highest, 0))
        highest = max(highest, int(found[-1].max()))
    return np.stack(found) if "t" in image.dims else found[0]


def _write(out: Path, report: SegmentationReport, segmented: Sequence[xr.DataArray], scene: Scene) -> None:
    from zooferry.segmentation_report import write_segmentation_report

    make_folder(out)
    for image, labels in zip(report.images, segmented, strict=True):
        write_image(out / LABELS / f"{Path(image.name).stem}.tif", labels)
    write_json(out / "metrics.json", {**metrics(report), "noise": scene.noise, "seed": scene.seed})
    write_text(out / "metrics.csv", metrics_csv(report))
    write_text(out / "objects.csv", objects_csv(report))
    write_segmentation_report(out / "report.html", report)


def metrics(report: SegmentationReport) -> dict[str, Any]:
    """``{"mean": {...}, "classical": {"mean": {...}}, "images": {file: {...}}}``; ``mean`` is the model's summary."""
    images = {image.name: summary([image.scores[MODEL]]) for image in report.images}
    classical = {image.name: summary([image.scores[CLASSICAL]]) for image in report.images}
    return {
        "mean": report.mean(MODEL),
        "images": images,
        "classical": {"mean": report.mean(CLASSICAL), "images": classical},
        "about": report.about,
    }


def metrics_csv(report: SegmentationReport) -> str:
    """One line per image and candidate, the worst of the model first, and the means."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    thresholds = list(report.mean(MODEL)["AP"])
    others = ["SEG", "F1", "precision", "recall", "matched_IoU", "PQ", "boundary_F"]
    writer.writerow(["image", "candidate", *[f"AP@{t}" for t in thresholds], *others])
    for name in report.candidates:
        rows = [(image.name, summary([image.scores[name]])) for image in worst_first(report)]
        for image, scores in [*rows, ("mean", report.mean(name))]:
            values = [*scores["AP"].values(), *[scores[key] for key in others]]
            writer.writerow([image, name, *["" if value is None else f"{value:.6g}" for value in values]])
    return text.getvalue()


def worst_first(report: SegmentationReport) -> list[ScoredImage]:
    """By the model's average precision at an IoU of 0.5, then by that at all thresholds."""

    def precision(image: ScoredImage) -> tuple[float, float]:
        found = [matching.average_precision for matching in image.scores[MODEL].matchings]
        return found[0], sum(found)

    return sorted(report.images, key=precision)


def objects_csv(report: SegmentationReport) -> str:
    """One line per object of the model: TP, FP or FN at an IoU of 0.5, its numbers, size and place."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "verdict", "true", "predicted", "IoU", "pixels", "centre"])
    for image in report.images:
        found = image.found[MODEL]
        pairs = overlap(image.true, found).pairs(MATCHED)
        rows: list[tuple[str, int, int, float]] = [("TP", *pair) for pair in pairs]
        matched = {true for true, _, _ in pairs}, {predicted for _, predicted, _ in pairs}
        rows += [("FP", 0, number, 0.0) for number in _numbers(found) if number not in matched[1]]
        rows += [("FN", number, 0, 0.0) for number in _numbers(image.true) if number not in matched[0]]
        places = {"true": _places(image.true), "predicted": _places(found)}
        for verdict, true, predicted, iou in rows:
            pixels, centre = places["true"][true] if true else places["predicted"][predicted]
            writer.writerow([image.name, verdict, true or "", predicted or "", f"{iou:.4f}", pixels, centre])
    return text.getvalue()


def _numbers(labels: np.ndarray) -> list[int]:
    return [int(number) for number in np.unique(labels) if number]


def _places(labels: np.ndarray) -> dict[int, tuple[int, str]]:
    """Of each object its pixels and its centre in pixels, as "y x" or "z y x"."""
    found = {}
    for number, window in enumerate(ndimage.find_objects(labels), 1):
        if window is not None:
            inside = np.nonzero(labels[window] == number)
            middle = [float(place.mean()) + side.start for place, side in zip(inside, window, strict=True)]
            found[number] = (len(inside[0]), " ".join(f"{value:.1f}" for value in middle))
    return found


def score_table(report: SegmentationReport) -> str:
    """The means as a text table."""
    columns = ("0.5", "0.6", "0.7", "0.75", "0.8", "0.9")
    head = "".join(f"{'AP@' + key:>8}" for key in columns)
    lines = [f"{'mean of ' + str(len(report.images)):18}{head}{'SEG':>8}{'F1':>8}"]
    for name in report.candidates:
        scores = report.mean(name)
        seg = "   none" if scores["SEG"] is None else f"{scores['SEG']:8.3f}"
        precisions = "".join(f"{scores['AP'][key]:8.3f}" for key in columns)
        lines.append(f"{name:18}{precisions}{seg}{scores['F1']:8.3f}")
    return "\n".join(lines)
