"""Score a model on held-out pairs, beside the raw images and the best Gaussian filter."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from zooferry import __version__
from zooferry.baselines import BaselineChoice, BaselineResults, baselines_for, verdict, with_few_pictures
from zooferry.calibration import Calibration, calibrate_image, together
from zooferry.comparison import short_number
from zooferry.degradation import enlarge
from zooferry.errors import ZooferryError
from zooferry.files import make_folder, write_json, write_text
from zooferry.images import match_pairs, read_image, require_usable, write_image
from zooferry.methods.classical import best_gaussian, gaussian
from zooferry.metrics import RestorationScore, score
from zooferry.package import open_model
from zooferry.report import EvaluatedImage, EvaluationReport, write_evaluation_report
from zooferry.restoring import restore_outputs

Say = Callable[[str], None]
SCORES = {"NRMSE": "nrmse", "PSNR": "psnr", "SSIM": "ssim"}


@dataclass(frozen=True, eq=False)
class Pair:
    """A noisy image and its clean partner, axes among t c z y x; the partner may have more pixels."""

    name: str
    noisy: xr.DataArray
    clean: xr.DataArray

    @property
    def raw(self) -> xr.DataArray:
        """The noisy image on the grid of its partner, linearly interpolated where that has more pixels."""
        factors = _factors(self.noisy, self.clean)
        if max(factors) == 1:
            return self.noisy
        spatial = [a for a in self.noisy.dims if a in ("z", "y", "x")]
        larger: xr.DataArray = xr.apply_ufunc(
            lambda a: enlarge(a, factors).astype(np.float32),
            self.noisy,
            input_core_dims=[spatial],
            output_core_dims=[spatial],
            exclude_dims=set(spatial),
            vectorize=True,
        ).transpose(*self.noisy.dims)
        larger.attrs.update(self.clean.attrs)
        return larger


def _factors(noisy: xr.DataArray, clean: xr.DataArray) -> tuple[int, ...]:
    """How many times more pixels the partner has per spatial axis; empty where it is no partner."""
    spatial = [a for a in noisy.dims if a in ("z", "y", "x")]
    if noisy.dims != clean.dims or any(noisy.sizes[a] != clean.sizes[a] for a in noisy.dims if a not in spatial):
        return ()
    if any(clean.sizes[a] % noisy.sizes[a] for a in spatial):
        return ()
    return tuple(clean.sizes[a] // noisy.sizes[a] for a in spatial)


def read_pairs(images: Path, targets: Path) -> list[Pair]:
    """All pairs of two folders.

    Raises
    ------
    ZooferryError
        A partner is missing, a file is unusable, or the shapes differ.
    """
    pairs = []
    for path, target in match_pairs(images, targets):
        noisy, clean = read_image(path), read_image(target)
        require_usable(path, noisy)
        if not _factors(noisy, clean):
            raise ZooferryError(
                f"{path} has shape {noisy.shape}, its target {target} {clean.shape}; partners must have the same shape"
            )
        pairs.append(Pair(path.name, noisy, clean))
    return pairs


def score_image(candidate: xr.DataArray, clean: xr.DataArray) -> RestorationScore:
    """Score of a whole image: mean over its channels and time points, each with its own affine fit."""
    parts = [a for a in clean.dims if a in ("t", "c")]
    positions = [dict(zip(parts, index, strict=True)) for index in np.ndindex(*[clean.sizes[a] for a in parts])]
    found = [score(candidate.isel(p).values, clean.isel(p).values) for p in positions]
    return RestorationScore(
        *[float(np.mean([getattr(s, f) for s in found])) for f in ("nrmse", "psnr", "ssim", "gain")]
    )


def best_gaussian_of(pairs: Sequence[Pair]) -> float:
    """Width in pixels of the best Gaussian filter on these very pairs (a baseline that is given every advantage)."""
    planes = []
    for pair in pairs:
        first = {a: 0 for a in pair.noisy.dims if a in ("t", "c")}
        planes.append((pair.raw.isel(first).values, pair.clean.isel(first).values))
    return best_gaussian(planes)


def smooth(image: xr.DataArray, sigma: float) -> xr.DataArray:
    """Gaussian filter along the spatial axes only."""
    result: xr.DataArray = xr.apply_ufunc(
        lambda a: gaussian(a, sigma),
        image,
        input_core_dims=[[a for a in image.dims if a in ("z", "y", "x")]],
        output_core_dims=[[a for a in image.dims if a in ("z", "y", "x")]],
        vectorize=True,
    ).transpose(*image.dims)
    return result


def compare_candidates(pairs: Sequence[Pair], restored: Mapping[str, Sequence[xr.DataArray]]) -> EvaluationReport:
    """Score the raw images, the best Gaussian filter and every restoration.

    Parameters
    ----------
    pairs : sequence of Pair
    restored : mapping
        Name of a candidate -> its restorations in the order of `pairs`.
    """
    sigma = best_gaussian_of(pairs)
    evaluated = []
    for number, pair in enumerate(pairs):
        images = {"raw": pair.raw, "gaussian": smooth(pair.raw, sigma)}
        images |= {name: results[number] for name, results in restored.items()}
        evaluated.append(
            EvaluatedImage(
                name=pair.name,
                reference=_picture(pair.clean),
                candidates={name: _picture(image) for name, image in images.items()},
                scores={name: score_image(image, pair.clean) for name, image in images.items()},
                pixel_size=float(pair.noisy.attrs.get("pixel_size", {}).get("x", 0.0)),
                unit=str(pair.noisy.attrs.get("unit", "")),
            )
        )
    about = {"Gaussian filter": f"width {sigma:g} pixels, the best on these very images", "images": str(len(pairs))}
    return EvaluationReport(title="", images=tuple(evaluated), about=about)


def _picture(image: xr.DataArray) -> np.ndarray:
    """First time point and channel, (Z) Y X."""
    plane: np.ndarray = image.isel({a: 0 for a in image.dims if a in ("t", "c")}).values
    return plane


def evaluate_model(
    model: Path, images: Path, targets: Path, out: Path, *, say: Say, baselines: BaselineChoice | None = None
) -> EvaluationReport:
    """Restore and score a folder of pairs; writes metrics.json, metrics.csv, report.html and restored/.

    Parameters
    ----------
    model : Path
        Run folder, package folder or zip.
    images, targets : Path
        Folders of TIFFs with the same names.
    out : Path
        Folder to write to.
    say : callable
        Gets the progress.
    baselines : BaselineChoice, optional
        Score the classical filters as well.

    Raises
    ------
    ZooferryError
        See :func:`read_pairs`; the model does not fit the images.
    """
    pairs = read_pairs(images, targets)
    found_outputs, calibrations, seconds = [], [], 0.0
    with open_model(model) as opened:
        name, first = opened.name, next(iter(opened.outputs))
        for number, pair in enumerate(pairs, start=1):
            started = time.monotonic()
            found_outputs.append(restore_outputs(opened, pair.noisy))
            seconds += time.monotonic() - started
            calibrations.append(calibrate_image(opened, pair.clean, found_outputs[-1]))
            say(f"restored {number} of {len(pairs)}  {pair.name}")
    results = [outputs[first] for outputs in found_outputs]
    further = [{key: image for key, image in outputs.items() if key != first} for outputs in found_outputs]
    classical = baselines_for(pairs, baselines, say=say) if baselines else BaselineResults({}, {})
    found = compare_candidates(pairs, {**classical.candidates, "restored": results})
    about = {"model": str(model), "zooferry": __version__, **found.about, **classical.about}
    about["restored"] = f"{seconds / len(pairs):.2g} s per image"
    report = EvaluationReport(title=f"{name} on {images}", images=found.images, about=about)
    if classical.names:
        report = with_few_pictures(report, classical.names)
        report = replace(report, about={"verdict": verdict(report, classical.names), **report.about})
    report = _with_uncertainty(report, further, calibrations)
    make_folder(out)
    for pair, result, others in zip(pairs, results, further, strict=True):
        stem = Path(pair.name).stem
        write_image(out / "restored" / f"{stem}.tif", result)
        for key, image in others.items():
            write_image(out / "restored" / f"{stem}_{key}.tif", image)
    write_json(out / "metrics.json", metrics(report) | {"model": str(model), "zooferry": __version__})
    write_text(out / "metrics.csv", metrics_csv(report))
    write_evaluation_report(out / "report.html", report)
    return report


def _with_uncertainty(
    report: EvaluationReport, further: Sequence[Mapping[str, xr.DataArray]], calibrations: Sequence[Calibration | None]
) -> EvaluationReport:
    """The report with the further outputs of the model, their means, and the calibration of all images together."""
    images = [
        replace(image, maps={key: _picture(found) for key, found in outputs.items()})
        for image, outputs in zip(report.images, further, strict=True)
    ]
    about = {
        f"mean {key}": short_number(float(np.mean([found[key].values.mean(dtype=np.float64) for found in further])))
        for key in (further[0] if further else ())
    }
    parts = [part for part in calibrations if part is not None]
    calibration = together(parts) if parts else None
    if calibration:
        about["calibration"] = calibration.sentence()
    return replace(report, images=tuple(images), about={**report.about, **about}, calibration=calibration)


def metrics(report: EvaluationReport) -> dict[str, Any]:
    """``{"mean": {candidate: {NRMSE, PSNR, SSIM}}, "images": {file: {candidate: ...}}}``.

    A model that predicts distributions adds ``"calibration": {"ECE": ..., "curve": ...}``, further outputs their means.
    """
    mean = {c: {label: report.mean(c, f) for label, f in SCORES.items()} for c in report.candidates}
    images = {
        image.name: {c: {label: getattr(s, f) for label, f in SCORES.items()} for c, s in image.scores.items()}
        for image in report.images
    }
    found = {"mean": mean, "images": images, "about": dict(report.about)}
    maps = {
        image.name: {key: float(a.mean(dtype=np.float64)) for key, a in image.maps.items()} for image in report.images
    }
    if any(maps.values()):
        found["means_of_further_outputs"] = maps
    if report.calibration:
        found["calibration"] = report.calibration.to_json()
    return found


def metrics_csv(report: EvaluationReport) -> str:
    """One line per image and candidate, and the means."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "candidate", *SCORES])
    content = metrics(report)
    for name, candidates in [*content["images"].items(), ("mean", content["mean"])]:
        for candidate, scores in candidates.items():
            writer.writerow([name, candidate, *[f"{value:.6g}" for value in scores.values()]])
    return text.getvalue()


def score_table(report: EvaluationReport) -> str:
    """The means as a text table."""
    lines = [f"{'mean of ' + str(len(report.images)):14} {'NRMSE':>8} {'PSNR':>8} {'SSIM':>8}"]
    for candidate, scores in metrics(report)["mean"].items():
        lines.append(f"{candidate:14} {scores['NRMSE']:8.4f} {scores['PSNR']:8.2f} {scores['SSIM']:8.4f}")
    lines += [report.calibration.sentence()] if report.calibration else []
    return "\n".join(lines)
