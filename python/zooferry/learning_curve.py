"""How many training images are needed: the same training on growing subsets, each scored on the same held-out pairs.

In the folder: curve.csv and curve.json (a row per number of images), report.html, and per number ``data/<n>``,
``runs/<n>`` and ``scores/<n>``. A second call keeps what is finished and goes on with what is not.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zooferry import __version__
from zooferry.charts import Chart, chart
from zooferry.errors import ZooferryError
from zooferry.evaluation import evaluate_model
from zooferry.evaluation_tables import metrics
from zooferry.files import make_folder, read_json, sha256, write_json, write_text
from zooferry.images import match_pairs
from zooferry.methods import facts
from zooferry.report import write_curve_report
from zooferry.run_folder import RUN_FILE, read_run
from zooferry.runs import Task, carry_out, discard
from zooferry.transfer import open_parent

Say = Callable[[str], None]
Files = Sequence[tuple[Path, Path]]
Rows = dict[str | int, dict[str, Any]]  # by the number of images, or the name of what needs none
HELD_OUT = 0.2  # part of the pairs that is scored where no others are given
SEED = 0
COLUMNS = ("images", "candidate", "NRMSE", "PSNR", "SSIM", "steps", "seconds", "best_validation_loss")


@dataclass(frozen=True)
class CurvePlan:
    """What is asked for.

    Attributes
    ----------
    method : str
    images, targets : Path
        Folders of pairs; a method that learns from noisy images alone is scored by the targets only.
    counts : tuple of int
        Numbers of training images, rising. Each larger set holds the smaller ones.
    values : mapping
        Settings that differ from the defaults.
    seconds : float, optional
        Training time of each number.
    parent : Path, optional
        Run or package from which every training starts; it is scored as well, as 0 images.
    test : (Path, Path), optional
        Folders of the pairs that are scored; by default a fifth of `images`.
    """

    method: str
    images: Path
    targets: Path
    counts: tuple[int, ...]
    values: Mapping[str, Any]
    seconds: float | None
    parent: Path | None = None
    test: tuple[Path, Path] | None = None

    def to_json(self) -> dict[str, Any]:
        """What must be equal for a curve to go on: all but the counts and folders."""
        parent = open_parent(self.parent).to_json() if self.parent else None
        return {"method": self.method, "values": dict(self.values), "seconds": self.seconds, "parent": parent}


def learning_curve(plan: CurvePlan, out: Path, *, say: Say) -> list[dict[str, Any]]:
    """Train and score every number of images; see the module.

    Returns
    -------
    list of dict
        A row per number, keys as in `COLUMNS`, the raw images and the best Gaussian filter first.

    Raises
    ------
    ZooferryError
        Too few pairs for the numbers; the folder holds another curve; whatever training refuses.
    """
    training, validation, test = divided(plan)
    make_folder(out)
    plain = plan.to_json() | {"files": [sha256(noisy) for noisy, _ in (*training, *validation, *test)]}
    rows = _finished(out, plain)
    _link(out / "data" / "test", test)
    wanted = [*((0,) if plan.parent else ()), *plan.counts]
    for count in wanted:
        if count not in rows:
            say(f"{count} training image{'s' if count != 1 else ''}")
            rows |= _row(plan, out, count, [*training[:count], *validation], validation, say)
            _write(out, _sorted(rows), plain)
        else:
            say(f"{count}: done before")
    return _sorted(rows)


def _finished(out: Path, plan: Mapping[str, Any]) -> Rows:
    """The rows of an earlier call."""
    if not (out / "curve.json").is_file():
        return {}
    former = read_json(out / "curve.json")
    if former["plan"] != plan:
        raise ZooferryError(f"{out} holds the curve of another method, data or settings; choose another --out")
    return {row["candidate"] if row["images"] is None else row["images"]: row for row in former["rows"]}


def _sorted(rows: Rows) -> list[dict[str, Any]]:
    return sorted(rows.values(), key=lambda row: -1 if row["images"] is None else row["images"])


def divided(plan: CurvePlan) -> tuple[Files, Files, Files]:
    """Pairs for training (in the order in which they are added), validation and scores; no pair is in two of them.

    Raises
    ------
    ZooferryError
        There are fewer training pairs than the largest number asked for.
    """
    pairs = match_pairs(plan.images, plan.targets)
    order = [pairs[i] for i in np.random.default_rng(SEED).permutation(len(pairs))]
    tested = match_pairs(*plan.test) if plan.test else order[: max(1, round(HELD_OUT * len(order)))]
    left = order if plan.test else order[len(tested) :]
    validating = max(1, round(HELD_OUT / 2 * len(left)))
    most = len(left) - validating
    if plan.counts[-1] > most:
        where = "" if plan.test else f", {len(tested)} for scores"
        raise ZooferryError(
            f"--counts {plan.counts[-1]}: of {len(pairs)} pairs {validating} are kept for validation{where}, so that "
            f"at most {max(most, 0)} can train; ask for fewer, or give other pairs to score with --test-images"
        )
    return left[validating:], left[:validating], tested


def _row(plan: CurvePlan, out: Path, count: int, files: Files, validation: Files, say: Say) -> Rows:
    """Train on `count` images and score; the rows of raw images and filter come with it."""
    run = plan.parent if count == 0 else out / "runs" / str(count)
    assert run is not None
    said: dict[str, Any] = {}
    if count:
        _train(plan, out, run, files, validation, say)
        content = read_run(run)
        said = {key: content.get(key) for key in ("steps", "seconds", "best_validation_loss")}
    test = out / "data" / "test"
    report = evaluate_model(run, test / "noisy", test / "clean", out / "scores" / str(count), say=say)
    mean = metrics(report)["mean"]
    empty = dict.fromkeys(COLUMNS)
    rows: Rows = {name: {**empty, "candidate": name, **mean[name]} for name in ("raw", "gaussian")}
    rows[count] = {**empty, "images": count, "candidate": "restored", **mean["restored"], **said}
    return rows


def _train(plan: CurvePlan, out: Path, run: Path, files: Files, validation: Files, say: Say) -> None:
    data = out / "data" / run.name
    _link(data, files)
    resume = (run / "last.pt").is_file() and (run / RUN_FILE).is_file()
    if not resume:
        discard(run)
    if resume and read_run(run)["status"] == "finished":
        return
    targets = data / "clean" if facts(plan.method).needs_targets else None
    parent = open_parent(plan.parent) if plan.parent else None
    held = tuple(noisy.name for noisy, _ in validation)
    task = Task(plan.method, run, data / "noisy", targets, {} if resume else plan.values, parent, held)
    if not carry_out(task, seconds=plan.seconds, resume=resume, say=say).finished:
        raise KeyboardInterrupt


def _link(folder: Path, pairs: Files) -> None:
    """Fill ``folder/noisy`` and ``folder/clean`` with the files, without using their space again where possible."""
    for pair in pairs:
        for role, path in zip(("noisy", "clean"), pair, strict=True):
            target = folder / role / pair[0].name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                try:
                    os.link(path, target)
                except OSError:  # another disk, or a file system without links
                    shutil.copyfile(path, target)


def _write(out: Path, rows: Sequence[Mapping[str, Any]], plan: Mapping[str, Any]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in rows)
    write_text(out / "curve.csv", text.getvalue())
    write_json(out / "curve.json", {"zooferry": __version__, "plan": plan, "rows": list(rows)})
    title = f"{plan['method']}: scores over the number of training images"
    about = {"training": f"{plan['seconds']:g} s each" if plan["seconds"] else "until all steps are done"}
    if plan["parent"]:
        about["starts from"] = f"{plan['parent']['name']} (0 images: as it is)"
    write_curve_report(out / "report.html", title, about, (rows, curve_charts(rows)))


def curve_charts(rows: Sequence[Mapping[str, Any]]) -> tuple[Chart, ...]:
    """NRMSE and SSIM over the number of images; raw images and filter are level lines."""
    points = [row for row in rows if row["images"] is not None]
    x = np.array([row["images"] for row in points], np.float64)
    charts = []
    for score, words in (("NRMSE", "NRMSE, lower is better"), ("SSIM", "SSIM, higher is better")):
        curves = {"restored": np.array([row[score] for row in points])}
        curves |= {row["candidate"]: np.full(len(x), row[score]) for row in rows if row["images"] is None}
        del curves["raw"]  # far off: the others would be one line
        charts.append(chart(score, x, curves, labels=("training images", words), caption="mean of the held-out pairs"))
    return tuple(charts)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as text."""
    lines = [f"{'images':>8} {'NRMSE':>8} {'PSNR':>8} {'SSIM':>8} {'steps':>8}"]
    for row in rows:
        name = row["candidate"] if row["images"] is None else str(row["images"])
        steps = row["steps"]
        lines.append(
            f"{name:>8} {row['NRMSE']:8.4f} {row['PSNR']:8.2f} {row['SSIM']:8.4f} {'' if steps is None else steps:>8}"
        )
    return "\n".join(lines)
