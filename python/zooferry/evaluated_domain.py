"""Whether the evaluated images are like those that the model was trained on, in the report of ``zooferry evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zooferry.domain import Verdict, told
from zooferry.report import Control, EvaluatedImage, EvaluationReport


def with_domain(report: EvaluationReport, verdicts: Sequence[Verdict]) -> EvaluationReport:
    """The report with a verdict on each image, in its `quality` and, where it lies outside, in its notes.

    Parameters
    ----------
    report : EvaluationReport
    verdicts : sequence of Verdict
        In the order of its images.
    """
    images = tuple(_noted(image, verdict) for image, verdict in zip(report.images, verdicts, strict=True))
    names = [image.name for image in images]
    control = Control(*told(dict(zip(names, verdicts, strict=True))))
    return replace(report, images=images, controls=(*report.controls, control))


def _noted(image: EvaluatedImage, verdict: Verdict) -> EvaluatedImage:
    notes = (f"not like the training images: {'; '.join(verdict.outside)}",) if verdict.outside else ()
    return replace(image, quality={**image.quality, "domain": verdict.text}, notes=(*image.notes, *notes))
