"""A training run on disk: every file atomic, the state resumable.

run.json          method, versions, what the network takes, where it stands
settings.yaml     all settings, the changed ones marked
data.json         every image with its SHA-256, and whether it trained or validated
environment.json  versions and machine
history.csv       one line per validation
loss.png          the same as a picture
best.pt           weights of the best validation
last.pt           all that is needed to go on: weights, optimiser, random state
example_*.tif     a raw validation image (and its target), for the package's test tensors and cover
"""

from __future__ import annotations

import csv
import dataclasses
import importlib.metadata
import io
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from zooferry import __version__
from zooferry.errors import ZooferryError
from zooferry.files import make_folder, write_atomically, write_text
from zooferry.settings import Settings, build_settings, changed_settings

RUN_FILE = "run.json"


def require_new(folder: Path) -> None:
    """Refuse a folder that holds anything, or that cannot be made.

    Raises
    ------
    ZooferryError
        See above; nothing is left behind.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ZooferryError(f"{folder} exists already; choose another --out, or --resume if it is a run to go on with")
    make_folder(folder)


def environment() -> dict[str, str]:
    """Versions of everything that can change the numbers."""
    packages = (
        "torch",
        "lightning-fabric",
        "numpy",
        "scipy",
        "scikit-image",
        "bioimageio.core",
        "bioimageio.spec",
        "onnx",
    )
    found = {"zooferry": __version__, "python": platform.python_version(), "machine": platform.platform()}
    return found | {name: importlib.metadata.version(name) for name in packages}


def write_settings(folder: Path, settings: Settings) -> None:
    """Write settings.yaml; changed values are marked with their default."""
    changed = changed_settings(settings)
    lines = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        automatic = " (automatic)" if field.name == "batch" else ""
        mark = f"  # changed, the default is {field.default}{automatic}" if field.name in changed else ""
        lines.append(yaml.safe_dump({field.name: value}).strip() + mark)
    write_text(folder / "settings.yaml", "\n".join(lines) + "\n")


def read_run(folder: Path) -> dict[str, Any]:
    """The content of run.json.

    Raises
    ------
    ZooferryError
        The folder is no run.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        raise ZooferryError(
            f"{folder}: no {RUN_FILE} in it, so it is no training run; give the --out of 'zooferry train'"
        )
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ZooferryError(f"{path}: damaged ({error}); train again") from error
    return content


def read_run_settings(folder: Path, kind: type[Settings]) -> Settings:
    """The settings of a run."""
    return build_settings(kind, yaml.safe_load((folder / "settings.yaml").read_text(encoding="utf-8")))


def write_history(folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write history.csv, one row per validation."""
    if not history:
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(folder / "history.csv", text.getvalue())


def write_loss_plot(folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Draw loss.png; it takes as long as a dozen training steps, so this is for the end of a run."""
    if history:
        write_atomically(folder / "loss.png", lambda path: _plot_loss(path, history))


def _plot_loss(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    best = min(history, key=lambda row: row["validation_loss"])
    # a likelihood's loss may be negative and has no logarithm: then its last half is drawn larger
    positive = all(row[key] > 0 for row in history for key in ("training_loss", "validation_loss"))
    late = ("log", history) if positive else ("linear", history[len(history) // 2 :])
    for axes, (scale, rows) in zip(figure.subplots(1, 2), (("linear", history), late), strict=True):
        steps = [row["step"] for row in rows]
        axes.plot(steps, [row["training_loss"] for row in rows], label="training", color="#3b6fb6")
        axes.plot(steps, [row["validation_loss"] for row in rows], label="validation", color="#d1603d")
        axes.axvline(best["step"], color="0.6", linewidth=0.8, linestyle=":", label=f"best: step {best['step']:.0f}")
        axes.set(xlabel="training step", ylabel=f"loss ({scale})", yscale=scale)
        axes.legend(frameon=False)
    figure.savefig(path, format="png")
