"""The reports' contents as plain values, and the self-contained HTML pages made of them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zooferry import __version__
from zooferry.comparison import Comparison, short_number, spaced
from zooferry.files import write_text
from zooferry.profiles.findings import LintFinding
from zooferry.tolerance import STATUS as TOLERATED

if TYPE_CHECKING:
    from zooferry.calibration import Calibration
    from zooferry.charts import Chart
    from zooferry.figures import PictureRow
    from zooferry.metrics import RestorationScore
    from zooferry.residuals import ResidualCheck

AGREEING = ("passed", TOLERATED)
PICTURED_IMAGES = {2: 4, 3: 2}  # axes of an image -> how many have pictures; a page stays below 5 MB


@dataclass(frozen=True)
class HostRow:
    """One host's verdict; `seconds` is wall time, `outputs` has one entry per output.

    `status` is passed, failed, skipped, or tolerated: beyond our limits, within those that the package declares.
    """

    host: str
    version: str
    status: str
    reason: str
    seconds: float
    outputs: tuple[Comparison, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The entry of ``report.json``."""
        return {
            "host": self.host,
            "version": self.version,
            "status": self.status,
            "reason": self.reason,
            "seconds": round(self.seconds, 3),
            "outputs": [verdict.to_json() for verdict in self.outputs],
        }

    def line(self) -> str:
        """One line for the terminal."""
        found = [f"{verdict.name}: {verdict.sentence()}" for verdict in self.outputs]
        words = "; ".join([self.reason, *found] if self.reason else found)
        return f"{self.host:<17} {self.status:<8} {self.seconds:6.1f} s  {words}"


@dataclass(frozen=True, eq=False)
class OutputArrays:
    """What the pictures of one output are made of.

    Attributes
    ----------
    name : str
        The output's id.
    axes, input_axes : tuple of str
        rdf axis ids of `expected` and `input`, e.g. ``("batch", "channel", "y", "x")``.
    input, expected : ndarray
        Stored test input (raw) and test output.
    actual : mapping
        Host -> array that it gave.
    pixel_size : mapping
        Axis id -> length of a pixel in `unit`; may be empty.
    unit : str
        For example ``"micrometer"``.
    labels : bool
        Whether the values are numbers of objects.
    """

    name: str
    axes: tuple[str, ...]
    input: np.ndarray
    input_axes: tuple[str, ...]
    expected: np.ndarray
    actual: Mapping[str, np.ndarray]
    pixel_size: Mapping[str, float] = field(default_factory=dict)
    unit: str = ""
    labels: bool = False


@dataclass(frozen=True, eq=False)
class CheckReport:
    """What `zooferry check` found; `spec` is what bioimageio.spec says (see `zooferry.hosts.core.describe`)."""

    package: str
    name: str
    sha256: str
    zooferry: str
    spec: Mapping[str, Any]
    hosts: tuple[HostRow, ...]
    outputs: tuple[OutputArrays, ...] = ()
    findings: tuple[LintFinding, ...] = ()
    profiles: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """The description is valid, a host ran, every one that ran agrees, and no profile asked for has an error."""
        ran = [row for row in self.hosts if row.status != "skipped"]
        errors = [f for f in self.findings if f.severity == "error" and f.profile in self.profiles]
        return (
            self.spec.get("status") == "passed"
            and bool(ran)
            and all(row.status in AGREEING for row in ran)
            and not errors
        )

    def with_hosts(self, hosts: Iterable[HostRow]) -> CheckReport:
        """The same report with other rows."""
        return replace(self, hosts=tuple(hosts))

    def to_json(self) -> dict[str, Any]:
        """The contents of ``report.json``."""
        return {
            "package": self.package,
            "sha256": self.sha256,
            "zooferry": self.zooferry,
            "spec": dict(self.spec),
            "hosts": [row.to_json() for row in self.hosts],
            "findings": [finding.to_json() for finding in self.findings],
        }


@dataclass(frozen=True, eq=False)
class EvaluatedImage:
    """One held-out image with its candidates.

    Attributes
    ----------
    name : str
        The file's name.
    reference : ndarray, axes (Y, X) or (Z, Y, X)
        The clean image; None where there is none, and then no scores.
    candidates : mapping
        What is scored -> array of the same shape, the raw input first, e.g. raw, gaussian, restored. Empty
        arrays are not needed: a report may leave out the pictures of most images.
    scores : mapping
        The same names -> `zooferry.metrics.RestorationScore`.
    pixel_size : float
        Along x in `unit`; 0 if it is not known.
    unit : str
        For example ``"micrometer"``.
    maps : mapping
        The model's further outputs, such as `scale`: name -> array of the same shape.
    residual : ResidualCheck, optional
        What was removed or invented, see `zooferry.residuals`.
    quality : mapping
        What else was found, as it goes into metrics.json.
    notes : tuple of str
        What must be said about this image, one sentence each; shown beside its scores and pictures.
    isotropy : mapping
        Of a volume, candidate or "reference" -> isotropy ratio, see `zooferry.spectrum`.
    """

    name: str
    reference: np.ndarray | None = None
    candidates: Mapping[str, np.ndarray] = field(default_factory=dict)
    scores: Mapping[str, RestorationScore] = field(default_factory=dict)
    pixel_size: float = 0.0
    unit: str = ""
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)
    residual: ResidualCheck | None = None
    quality: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    isotropy: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Control:
    """One question of the quality control: the answer over all images in words, and whether something is wrong."""

    question: str
    answer: str
    wrong: bool


@dataclass(frozen=True, eq=False)
class EvaluationReport:
    """Scores of several candidates on held-out images; `about` are lines of the page's head: what -> value.

    `calibration` is that of the predicted distributions, None where the model predicts none; `controls` are the answers
    of the quality control.
    """

    title: str
    images: tuple[EvaluatedImage, ...]
    about: Mapping[str, str] = field(default_factory=dict)
    calibration: Calibration | None = None
    controls: tuple[Control, ...] = ()

    @property
    def candidates(self) -> tuple[str, ...]:
        """Names of what is scored, in the order of the first image."""
        return tuple(self.images[0].scores) if self.images else ()

    def mean(self, candidate: str, score: str) -> float:
        """Mean over the images of one score (nrmse, psnr, ssim)."""
        return float(np.mean([getattr(image.scores[candidate], score) for image in self.images]))

    def best(self, score: str) -> str:
        """The candidate with the best mean of one score; NRMSE is better the lower."""
        sign = 1 if score == "nrmse" else -1
        return min(self.candidates, key=lambda candidate: sign * self.mean(candidate, score))


@dataclass(frozen=True, eq=False)
class HostDifference:
    """The same image restored by one model in two places.

    `title` says which, e.g. ``"n2v: ImageJ minus Python"``; `actual` and `expected` have axes (Y, X) or
    (Z, Y, X) and `verdict` is their comparison.
    """

    title: str
    actual: np.ndarray
    expected: np.ndarray
    verdict: Comparison


@dataclass(frozen=True, eq=False)
class DemoReport:
    """The whole chain: scores and pictures, the same image in ImageJ, agreement of every host, timings in s."""

    title: str
    evaluation: EvaluationReport
    differences: tuple[HostDifference, ...]
    checks: tuple[CheckReport, ...]
    timings: Mapping[str, float]
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every check passed and ImageJ agrees with Python."""
        return all(check.passed for check in self.checks) and all(d.verdict.passed for d in self.differences)


def write_check_report(path: Path, report: CheckReport) -> None:
    """Write the page of `zooferry check`: verdicts, the format's messages, pictures of every output."""
    from zooferry.figures import output_rows

    rows = [row for output in report.outputs for row in output_rows(output, report.hosts)]
    write_page(path, "check.html", {"report": report, "rows": rows})


def write_evaluation_report(path: Path, report: EvaluationReport) -> None:
    """Write the page of `zooferry evaluate`: scores, and pictures of the first images."""
    write_page(path, "evaluation.html", {"report": report, "rows": _image_rows(report)})


def write_curve_report(
    path: Path, title: str, about: Mapping[str, str], shown: tuple[Sequence[Mapping[str, Any]], Sequence[Chart]]
) -> None:
    """Write the page of `zooferry learning-curve`; `shown` are its rows and its charts."""
    rows, charts = shown
    write_page(path, "curve.html", {"title": title, "about": about, "rows": rows, "charts": charts})


def write_demo_report(path: Path, report: DemoReport) -> None:
    """Write the page of `zooferry demo`."""
    from zooferry.figures import host_difference_row

    rows = _image_rows(report.evaluation)
    differences = [host_difference_row(difference) for difference in _pictured(report.differences)]
    write_page(path, "demo.html", {"report": report, "rows": rows, "differences": differences})


def _pictured(differences: Sequence[HostDifference]) -> list[HostDifference]:
    """The first image of every model and all that disagree; the rest is equal white and only makes the page heavy."""
    first = {difference.title.partition(",")[0]: difference for difference in reversed(differences)}
    return [d for d in differences if d in first.values() or not d.verdict.passed]


def _image_rows(report: EvaluationReport) -> list[PictureRow]:
    from zooferry.figures import image_row

    pictured = sorted((image for image in report.images if image.candidates), key=_badness)
    dims = max((next(iter(image.candidates.values())).ndim for image in pictured), default=2)
    return [image_row(image) for image in pictured[: PICTURED_IMAGES[dims]]]


def _badness(image: EvaluatedImage) -> tuple[float, float]:
    """For sorting, the worst first: by the number of findings, then by the last candidate's NRMSE."""
    check = image.residual
    findings = len(check.findings) if check else 0
    measured = sum(value or 0.0 for value in check.values.values()) if check else 0.0
    error = list(image.scores.values())[-1].nrmse if image.scores else measured
    return -findings, -error


def write_page(path: Path, template: str, content: Mapping[str, Any]) -> None:
    """Fill a template of `zooferry/templates`; everything is escaped, nothing is loaded from elsewhere."""
    import jinja2

    folder = Path(__file__).parent / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"short": short_number, "ppm": _ppm, "unbroken": _unbroken}
    page = environment.get_template(template).render(content, made=time.strftime("%Y-%m-%d %H:%M"), version=__version__)
    write_text(path, page)


def _ppm(value: float) -> str:
    return spaced(round(value)) if value >= 10 else f"{value:.2g}"


def _unbroken(text: str) -> str:
    """Keep numbers in one line: no break in ``1e-4``, ``65 536`` and ``x 255``."""
    return re.sub(r"(?<=\d) (?=\d)|(?<=\b[a-z]) (?=\d)", "\u00a0", re.sub(r"(?<=\d)e-(?=\d)", "e\u2011", text))
