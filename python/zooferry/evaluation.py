"""Score a model on held-out pairs, beside the raw images and the best Gaussian filter."""

from __future__ import annotations

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
from zooferry.domain import Verdict, judge
from zooferry.errors import ZooferryError
from zooferry.evaluated_domain import with_domain
from zooferry.evaluation_tables import isotropy_line, metrics, metrics_csv
from zooferry.files import make_folder, write_json, write_text
from zooferry.images import write_image
from zooferry.judging import controls, deciding_image, judge_image, quality_csv, write_maps
from zooferry.methods.classical import best_gaussian, gaussian
from zooferry.metrics import RestorationScore, score
from zooferry.package import open_model
from zooferry.pairs import Pair, Source, projected, read_pairs, read_sources, require_like
from zooferry.report import EvaluatedImage, EvaluationReport, write_evaluation_report
from zooferry.restoring import restore_outputs
from zooferry.spectrum import ratios_of

Say = Callable[[str], None]
UNSCORED_GAUSSIAN = 2.0  # pixels: a common choice, for pictures only


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
            _evaluated(
                pair,
                {name: _picture(image) for name, image in images.items()},
                reference=_picture(pair.clean),
                scores={name: score_image(image, pair.clean) for name, image in images.items()},
                isotropy=ratios_of({**images, "reference": pair.clean}, pair.clean.attrs.get("pixel_size", {})),
            )
        )
    about = {"Gaussian filter": f"width {sigma:g} pixels, the best on these very images", "images": str(len(pairs))}
    report = EvaluationReport(title="", images=tuple(evaluated), about=about)
    return replace(report, about={**about, **isotropy_line(report)})


def _picture(image: xr.DataArray) -> np.ndarray:
    """First time point and channel, (Z) Y X."""
    plane: np.ndarray = image.isel({a: 0 for a in image.dims if a in ("t", "c")}).values
    return plane


def without_references(
    sources: Sequence[Source], restored: Sequence[xr.DataArray], sigma: float = UNSCORED_GAUSSIAN
) -> EvaluationReport:
    """Raw images, a Gaussian filter and the restorations side by side, where there is nothing to score them with."""
    evaluated = []
    for source, result in zip(sources, restored, strict=True):
        raw = projected(source.raw, result)
        images = {"raw": raw, "gaussian": smooth(raw, sigma), "restored": result}
        evaluated.append(_evaluated(source, {name: _picture(image) for name, image in images.items()}))
    about = {"scores": "none: they need clean partners (--targets)", "Gaussian filter": f"width {sigma:g} pixels"}
    return EvaluationReport("", tuple(evaluated), about={**about, "images": str(len(sources))})


def _evaluated(source: Source, candidates: Mapping[str, np.ndarray], **scored: Any) -> EvaluatedImage:
    size = float(source.noisy.attrs.get("pixel_size", {}).get("x", 0.0))
    unit = str(source.noisy.attrs.get("unit", ""))
    return EvaluatedImage(name=source.name, candidates=candidates, pixel_size=size, unit=unit, **scored)


@dataclass(frozen=True, eq=False)
class Restored:
    """What a model made of a folder of images.

    Attributes
    ----------
    name : str
        Of the model.
    first : tuple of DataArray
        The restored images.
    further : tuple of mapping
        The other outputs of the model for each of them, by id.
    calibrations : tuple
        Of each image, None where it has no clean partner or the model predicts no scale.
    verdicts : tuple of Verdict
        Whether each image is like the training images.
    seconds : float
        Wall time per image.
    """

    name: str
    first: tuple[xr.DataArray, ...]
    further: tuple[Mapping[str, xr.DataArray], ...]
    calibrations: tuple[Calibration | None, ...]
    verdicts: tuple[Verdict, ...]
    seconds: float


def restore_sources(model: Path, sources: Sequence[Source], *, say: Say) -> Restored:
    """Restore every image with a run or a package.

    Raises
    ------
    ZooferryError
        The model cannot be opened, or does not fit the images.
    """
    found, verdicts, seconds = [], [], 0.0
    calibrations: list[Calibration | None] = []
    with open_model(model) as opened:
        first = next(iter(opened.outputs))
        for number, source in enumerate(sources, start=1):
            started = time.monotonic()
            found.append(restore_outputs(opened, source.noisy))
            seconds += time.monotonic() - started
            verdicts.append(judge(opened.domain, source.noisy))
            calibrations.append(None)
            if isinstance(source, Pair):
                require_like(source.name, found[-1][first], source.clean)
                calibrations[-1] = calibrate_image(opened, source.clean, found[-1], noisy=source.noisy)
            say(f"restored {number} of {len(sources)}  {source.name}  domain: {verdicts[-1].text}")
    further = [{key: image for key, image in outputs.items() if key != first} for outputs in found]
    results = [outputs[first] for outputs in found]
    each = seconds / len(sources)
    return Restored(opened.name, tuple(results), tuple(further), tuple(calibrations), tuple(verdicts), each)


def evaluate_model(
    model: Path, images: Path, targets: Path | None, out: Path, *, say: Say, baselines: BaselineChoice | None = None
) -> EvaluationReport:
    """Restore and judge a folder of images; writes scores, quality control, report and restorations.

    In `out`: metrics.json, metrics.csv, quality.csv, report.html, restored/ and quality/ (maps and power).

    Parameters
    ----------
    model : Path
        Run folder, package folder or zip.
    images, targets : Path
        Folders of TIFFs with the same names; without targets there are no scores, only what can be judged without
        a clean partner.
    out : Path
        Folder to write to.
    say : callable
        Gets the progress.
    baselines : BaselineChoice, optional
        Score the classical filters as well.

    Raises
    ------
    ZooferryError
        See :func:`read_pairs`; the model does not fit the images; filters without targets.
    """
    if targets is None and baselines is not None:
        raise ZooferryError("classical filters are tuned and scored on pairs; give the clean partners with --targets")
    pairs = [] if targets is None else read_pairs(images, targets)
    sources: Sequence[Source] = pairs or read_sources(images)
    found = restore_sources(model, sources, say=say)
    report = _scored(pairs, found.first, baselines, say) if pairs else without_references(sources, found.first)
    about = {"model": str(model), "zooferry": __version__, **report.about}
    about["restored"] = f"{found.seconds:.2g} s per image"
    verdict_first = {"verdict": about.pop("verdict")} if "verdict" in about else {}
    report = replace(report, title=f"{found.name} on {images}", about=verdict_first | about)
    report = _with_uncertainty(report, found.further, found.calibrations)
    report = with_domain(_judged(report, sources, found.calibrations), found.verdicts)
    _write(out, report, sources, found, {"model": str(model), "zooferry": __version__})
    return report


def _scored(
    pairs: Sequence[Pair], restored: Sequence[xr.DataArray], baselines: BaselineChoice | None, say: Say
) -> EvaluationReport:
    classical = baselines_for(pairs, baselines, say=say) if baselines else BaselineResults({}, {})
    report = compare_candidates(pairs, {**classical.candidates, "restored": restored})
    report = replace(report, about={**report.about, **classical.about})
    if not classical.names:
        return report
    few = with_few_pictures(report, classical.names)
    return replace(few, about={**few.about, "verdict": verdict(few, classical.names)})


def _judged(
    report: EvaluationReport, sources: Sequence[Source], calibrations: Sequence[Calibration | None]
) -> EvaluationReport:
    """The report with its quality control."""
    images = tuple(
        judge_image(image, _picture(source.noisy), calibration)
        for image, source, calibration in zip(report.images, sources, calibrations, strict=True)
    )
    decides = deciding_image(report)
    about = {**report.about, "mind": decides} if decides else report.about
    return replace(report, images=images, about=about, controls=(*report.controls, *controls(images)))


def _write(
    out: Path, report: EvaluationReport, sources: Sequence[Source], found: Restored, said: Mapping[str, str]
) -> None:
    make_folder(out)
    for source, result, others in zip(sources, found.first, found.further, strict=True):
        stem = Path(source.name).stem
        write_image(out / "restored" / f"{stem}.tif", result)
        for key, image in others.items():
            write_image(out / "restored" / f"{stem}_{key}.tif", image)
    write_json(out / "metrics.json", {**metrics(report), **said})
    write_text(out / "metrics.csv", metrics_csv(report))
    write_text(out / "quality.csv", quality_csv(report.images))
    write_maps(out / "quality", report.images)
    write_evaluation_report(out / "report.html", report)


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
