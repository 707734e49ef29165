"""The scores of an evaluation as metrics.json, as metrics.csv and as text."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

from zooferry.report import EvaluationReport

SCORES = {"NRMSE": "nrmse", "PSNR": "psnr", "SSIM": "ssim"}


def metrics(report: EvaluationReport) -> dict[str, Any]:
    """``{"mean": {candidate: {NRMSE, PSNR, SSIM}}, "images": {file: {candidate: ...}}}``.

    Where the images were judged, ``"quality": {"summary": {question: answer}, "images": {file: ...}}``.
    Volumes add ``"isotropy": {"mean": {candidate: ratio}, "images": {file: ...}}``.
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
    if quality := {image.name: dict(image.quality) for image in report.images if image.quality}:
        summary = {control.question: control.answer for control in report.controls}
        found["quality"] = {"summary": summary, "images": quality}
    if ratios := isotropy(report):
        found["isotropy"] = {"mean": ratios, "images": {i.name: dict(i.isotropy) for i in report.images}}
    if report.calibration:
        found["calibration"] = report.calibration.to_json()
    return found


def isotropy(report: EvaluationReport) -> dict[str, float]:
    """Mean isotropy ratio of every candidate, and of the reference, over the images that have one."""
    rows = [image.isotropy for image in report.images if image.isotropy]
    return {name: float(np.mean([row[name] for row in rows])) for name in (rows[0] if rows else ())}


def isotropy_line(report: EvaluationReport) -> dict[str, str]:
    """A line for the page's head; empty where there are no volumes."""
    ratios = isotropy(report)
    words = ", ".join(f"{name} {value:.3g}" for name, value in ratios.items())
    return {"isotropy ratio": f"{words}; fine detail along z over that along y and x"} if words else {}


def metrics_csv(report: EvaluationReport) -> str:
    """One line per image and candidate, and the means."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "candidate", *SCORES, "domain"])
    domain = {image.name: image.quality.get("domain", "") for image in report.images}
    content = metrics(report)
    for name, candidates in [*content["images"].items(), ("mean", content["mean"])]:
        for candidate, scores in candidates.items():
            writer.writerow([name, candidate, *[f"{value:.6g}" for value in scores.values()], domain.get(name, "")])
    return text.getvalue()


def score_table(report: EvaluationReport) -> str:
    """The means as a text table."""
    wrong = [f"{c.question}: {c.answer}" for c in report.controls if c.wrong]
    if not report.candidates:
        return "\n".join([f"{len(report.images)} images without clean partners: no scores", *wrong])
    lines = [f"{'mean of ' + str(len(report.images)):14} {'NRMSE':>8} {'PSNR':>8} {'SSIM':>8}"]
    for candidate, scores in metrics(report)["mean"].items():
        lines.append(f"{candidate:14} {scores['NRMSE']:8.4f} {scores['PSNR']:8.2f} {scores['SSIM']:8.4f}")
    ratios = isotropy(report)
    lines += ["isotropy ratio: " + ", ".join(f"{n} {v:.3g}" for n, v in ratios.items())] if ratios else []
    lines += [report.calibration.sentence()] if report.calibration else []
    lines += wrong
    return "\n".join(lines)
