"""The table of a benchmark, means over repeats with standard errors: as CSV, JSON, Markdown, page and figure."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zooferry import __version__
from zooferry.benchmark_data import FRACTIONS
from zooferry.files import write_atomically, write_json, write_text
from zooferry.report import write_page
from zooferry.schedules import SCHEDULES

Rows = Sequence[Mapping[str, Any]]
Key = tuple[str, str, str, float]  # method, schedule, fraction, noise
SCORES = ("AP", "SEG")
# what Prakash 2020 and its repository report for noise of 40: AP at an IoU of 0.5 and SEG on the test images of DSB2018
PAPER: dict[Key, tuple[float, float]] = {
    ("unet", "baseline", "P1", 40.0): (0.478, 0.522),
    ("unet", "baseline", "P10", 40.0): (0.720, 0.693),
    ("unet", "finetune-sequential", "P1", 40.0): (0.594, 0.593),
    ("unet", "finetune-sequential", "P4", 40.0): (0.665, 0.650),
    ("unet", "finetune-sequential", "P10", 40.0): (0.727, 0.687),
    ("stardist", "baseline", "P1", 40.0): (0.480, 0.479),
    ("stardist", "baseline", "P10", 40.0): (0.788, 0.715),
    ("stardist", "sequential", "P1", 40.0): (0.680, 0.600),
    ("stardist", "sequential", "P4", 40.0): (0.755, 0.673),
    ("stardist", "sequential", "P10", 40.0): (0.794, 0.714),
}
COLOURS = {"baseline": "#9aa3ad", "sequential": "#0072b2", "finetune": "#e69f00", "finetune-sequential": "#d55e00"}


def write_table(out: Path, rows: Rows, plan: Mapping[str, Any]) -> None:
    """Write table.csv, table.json, table.md, figure.svg, figure.png and report.html of the cells that are there."""
    entries = means(rows)
    write_json(out / "table.json", {"zooferry": __version__, "plan": plan, "table": entries, "cells": list(rows)})
    text = io.StringIO()
    writer = csv.DictWriter(text, list(entries[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else value for key, value in entry.items()} for entry in entries)
    write_text(out / "table.csv", text.getvalue())
    write_text(out / "table.md", markdown(entries))
    for kind in ("svg", "png"):
        write_atomically(out / f"figure.{kind}", lambda path, kind=kind: _draw(path, entries, kind))  # type: ignore[misc]
    drawn = (out / "figure.svg").read_text(encoding="utf-8")
    about = {"trainings": f"{len(rows)}, {sum(row['cpu_seconds'] for row in rows):.0f} CPU seconds", **_words(plan)}
    tables = {f"n{noise:g}": grid(entries, noise) for noise in _of(entries, "noise")}
    figure = drawn[drawn.index("<svg") :]
    write_page(out / "report.html", "benchmark.html", {"about": about, "tables": tables, "figure": figure})


def _words(plan: Mapping[str, Any]) -> dict[str, str]:
    """What a plan (plan.json) says, for people."""
    folders = {"images": ", ".join(plan.get("images", ()))}
    settings = {
        what: ", ".join(f"{key} {value}" for key, value in plan.get(key, {}).items())
        for what, key in (("settings", "values"), ("of the denoisers", "denoiser"))
    }
    limit = {"time limit": f"{plan['seconds']:g} s each"} if plan.get("seconds") else {}
    return {**folders, **settings, **limit}


def means(rows: Rows) -> list[dict[str, Any]]:
    """A row for each method, schedule, fraction and noise.

    Returns
    -------
    list of dict
        method, schedule, fraction, patches, noise, repeats; AP and SEG, means; AP_error and SEG_error, standard errors
        of the means (None for a single repeat); paper_AP and paper_SEG where the paper has them; cpu_seconds, the mean
        of a training.
    """
    cells: dict[Key, list[Mapping[str, Any]]] = {}
    for row in rows:
        cells.setdefault((row["method"], row["schedule"], row["fraction"], row["noise"]), []).append(row)
    found = []
    for (method, schedule, fraction, noise), same in cells.items():
        entry = {"method": method, "schedule": schedule, "fraction": fraction, "patches": FRACTIONS[fraction]}
        entry |= {"noise": noise, "repeats": len(same)}
        known = PAPER.get((method, schedule, fraction, noise), (None, None))
        for score, paper in zip(SCORES, known, strict=True):
            values = np.array([row[score] for row in same], np.float64)
            error = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None
            entry |= {score: float(values.mean()), f"{score}_error": error, f"paper_{score}": paper}
        entry["cpu_seconds"] = float(np.mean([row["cpu_seconds"] for row in same]))
        found.append(entry)
    schedules, fractions = list(SCHEDULES), list(FRACTIONS)
    order = {name: number for number, name in enumerate((*schedules, *fractions))}
    return sorted(found, key=lambda e: (e["noise"], e["method"] != "unet", order[e["schedule"]], order[e["fraction"]]))


def _of(entries: Rows, key: str) -> list[Any]:
    """Values that occur, in their order."""
    return list(dict.fromkeys(entry[key] for entry in entries))


def grid(entries: Rows, noise: float) -> dict[str, Any]:
    """The entries of one noise as a table: ``columns`` are fractions, ``lines`` have ``name`` and texts by fraction."""
    here = [entry for entry in entries if entry["noise"] == noise]
    columns = sorted(_of(here, "fraction"), key=list(FRACTIONS).index)
    lines: list[dict[str, Any]] = []
    for method, schedule in dict.fromkeys((entry["method"], entry["schedule"]) for entry in here):
        same = {e["fraction"]: e for e in here if (e["method"], e["schedule"]) == (method, schedule)}
        texts = [_scores(same[c]) if c in same else "" for c in columns]
        lines.append({"name": f"{method} {schedule}", "texts": texts})
        known = {c: PAPER[key] for c in columns if (key := (method, schedule, c, noise)) in PAPER}
        if known:
            texts = ["{:.3f} / {:.3f}".format(*known[c]) if c in known else "" for c in columns]
            lines.append({"name": "in the paper", "texts": texts})
    return {"columns": [f"{c} ({FRACTIONS[c]})" for c in columns], "lines": lines}


def _scores(entry: Mapping[str, Any]) -> str:
    parts = []
    for score in SCORES:
        error = entry[f"{score}_error"]
        parts.append(f"{entry[score]:.3f}" + ("" if error is None else f" ± {error:.3f}"))
    return " / ".join(parts)


def markdown(entries: Rows) -> str:
    """All tables, AP at an IoU of 0.5 / SEG, mean over the scored images ± standard error over the repeats."""
    parts = []
    for noise in _of(entries, "noise"):
        table = grid(entries, noise)
        lines = [f"AP / SEG, noise of standard deviation {noise:g}", ""]
        lines.append(f"| annotated patches | {' | '.join(table['columns'])} |")
        lines.append("|---" * (1 + len(table["columns"])) + "|")
        lines += [f"| {line['name']} | {' | '.join(line['texts'])} |" for line in table["lines"]]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _draw(path: Path, entries: Rows, kind: str) -> None:
    """AP and SEG over the number of annotated patches; a row of fields for each noise, hollow marks are the paper's."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    noises, methods = _of(entries, "noise"), _of(entries, "method")
    size = (5.2 * len(methods), 3.4 * 2 * len(noises))
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    fields = figure.subplots(2 * len(noises), len(methods), squeeze=False, sharex=True, sharey="row")
    for row, (noise, score) in enumerate((n, s) for n in noises for s in SCORES):
        for field, method in zip(fields[row], methods, strict=True):
            _draw_field(field, [e for e in entries if (e["noise"], e["method"]) == (noise, method)], score)
            field.set(title=f"{method}, n{noise:g}")
        fields[row][0].set_ylabel("AP at IoU 0.5" if score == "AP" else score)
    for field in fields[-1]:
        ticks = [FRACTIONS[name] for name in _of(entries, "fraction")]
        field.set_xticks(ticks, [str(tick) for tick in ticks])
        field.set_xticks([], minor=True)
        field.set_xlabel("annotated patches")
    fields[0][0].legend(frameon=False, fontsize=8)
    with matplotlib.rc_context({"svg.hashsalt": "zooferry"}):
        figure.savefig(path, format=kind, metadata={"Date": None} if kind == "svg" else None)


def _draw_field(field: Any, entries: Rows, score: str) -> None:
    for schedule in _of(entries, "schedule"):
        same = [e for e in entries if e["schedule"] == schedule]
        x = [e["patches"] for e in same]
        errors = [e[f"{score}_error"] or 0.0 for e in same]
        style = {"color": COLOURS[schedule], "label": schedule, "marker": "o", "markersize": 4, "capsize": 2}
        field.errorbar(x, [e[score] for e in same], yerr=errors, **style)
        known = [(e["patches"], e[f"paper_{score}"]) for e in same if e[f"paper_{score}"] is not None]
        if known:
            field.plot(*zip(*known, strict=True), "D", color=COLOURS[schedule], markersize=6, fillstyle="none")
    field.set_xscale("log")
    field.set_xlim(0.7 * min(e["patches"] for e in entries), 1.4 * max(e["patches"] for e in entries))
    field.grid(alpha=0.3)
