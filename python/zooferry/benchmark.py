"""``zooferry benchmark voidseg``: schedules by fraction of annotation, noise and repeat (Prakash et al., ISBI 2020).

In the folder: ``data`` (noisy images and patches), ``denoisers`` (one for each noise), ``runs`` (one for each cell of
the table), ``cells`` (a JSON file for each, written when it is finished), and the table. A second call keeps the cells
that are there and goes on with the others.
"""

from __future__ import annotations

import dataclasses
import itertools
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zooferry.benchmark_data import FRACTIONS, SIDE, link_fraction, write_noisy, write_patches
from zooferry.benchmark_table import write_table
from zooferry.errors import ZooferryError
from zooferry.files import make_folder, read_json, write_json
from zooferry.instances.declaration import LABELS
from zooferry.restoring import open_restorer
from zooferry.run_folder import read_run
from zooferry.runs import Task
from zooferry.schedules import ALLOWED, SCHEDULES, Plan, is_started, train_denoiser, train_schedule
from zooferry.segmentation_evaluation import LabelledImage, read_labelled
from zooferry.segmentation_metrics import score_labels, summary
from zooferry.training import clock

Say = Callable[[str], None]
METHODS = ("unet", "stardist")
NOISES = (0.0, 10.0, 20.0, 40.0)  # grey values of 8-bit images
GRID = 2  # of stardist, whose U-Net so is that of the denoiser without its last level
VALUES: dict[str, Any] = {"patch": SIDE, "batch": 4, "width": 16, "depth": 3, "steps": 1000, "learning_rate": 2e-3}
DENOISER: dict[str, Any] = {"patch": SIDE, "batch": 4, "steps": 2500, "learning_rate": 2e-3, "validate_every": 100}


@dataclass(frozen=True)
class BenchmarkPlan:
    """What is asked for.

    Attributes
    ----------
    images, labels, val_images, val_labels : Path
        Folders of clean images and their label images: what patches are cut from, and what is scored.
    methods, schedules, fractions : tuple of str
        Of `METHODS`, `SCHEDULES` and `FRACTIONS`.
    noises : tuple of float
        Standard deviations of the noise, grey values.
    repeats : int
        Each with patches, and weights to begin with, of its own.
    seconds : float, optional
        Wall-time budget of each training.
    values, denoiser : mapping
        Settings of all segmentations (width and depth are those of the U-Net, stardist follows) and of the denoisers
        that differ from `VALUES` and `DENOISER`.
    """

    images: Path
    labels: Path
    val_images: Path
    val_labels: Path
    methods: tuple[str, ...] = METHODS
    schedules: tuple[str, ...] = tuple(SCHEDULES)
    fractions: tuple[str, ...] = tuple(FRACTIONS)
    noises: tuple[float, ...] = NOISES
    repeats: int = 3
    seconds: float | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    denoiser: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse names that there are not.

        Raises
        ------
        ZooferryError
            The first of them.
        """
        known = {"methods": METHODS, "schedules": tuple(SCHEDULES), "fractions": tuple(FRACTIONS)}
        for name, allowed in known.items():
            wrong = [value for value in getattr(self, name) if value not in allowed]
            if wrong or not getattr(self, name):
                raise ZooferryError(f"{name} {', '.join(wrong) or 'are missing'}; allowed are {', '.join(allowed)}")
        if not self.noises or min(self.noises) < 0:
            raise ZooferryError("--noise: allowed are standard deviations from 0, such as --noise 0,40")
        if self.repeats < 1:
            raise ZooferryError(f"--repeats is {self.repeats}; allowed: 1 or more")

    @property
    def cells(self) -> list[Cell]:
        """In the order of training: one repeat is whole before the next begins, its small fractions first."""
        order = itertools.product(range(self.repeats), self.noises, self.fractions, self.methods, self.schedules)
        return [Cell(m, s, f, n, r) for r, n, f, m, s in order if s in ALLOWED[m]]

    def settings(self, method: str, repeat: int = 0) -> dict[str, Any]:
        """Settings of a segmentation."""
        values = {**VALUES, "seed": repeat, **self.values}
        if method == "stardist":  # the image's own grid has half of its channels
            halvings = GRID.bit_length() - 1
            values |= {"grid": GRID, "width": values["width"] * GRID, "depth": values["depth"] - halvings}
        return values

    def to_json(self) -> dict[str, Any]:
        """What must be equal for a benchmark to go on."""
        return {
            "images": [str(p) for p in (self.images, self.labels, self.val_images, self.val_labels)],
            "values": {**VALUES, **self.values},
            "denoiser": {**DENOISER, **self.denoiser},
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Cell:
    """One training and its scores."""

    method: str
    schedule: str
    fraction: str
    noise: float
    repeat: int

    @property
    def name(self) -> str:
        """Of its folder and file."""
        return f"{self.method}-{self.schedule}-{self.fraction}-n{self.noise:g}-r{self.repeat}"


def run_benchmark(plan: BenchmarkPlan, out: Path, *, say: Say) -> list[dict[str, Any]]:
    """Train and score every cell that is not there yet; see the module.

    Returns
    -------
    list of dict
        What the cells' files say.

    Raises
    ------
    ZooferryError
        The folder holds a benchmark of other images or settings; the images cannot be used.
    KeyboardInterrupt
        Training was stopped by Ctrl-C.
    """
    make_folder(out / "cells")
    said = out / "plan.json"
    if said.is_file() and read_json(said) != plan.to_json():
        raise ZooferryError(f"{out} holds a benchmark of other images or settings; choose another --out")
    write_json(said, plan.to_json())
    missing = [cell for cell in plan.cells if not _file(out, cell).is_file()]
    say(f"{len(plan.cells)} cells, {len(plan.cells) - len(missing)} of them done before")
    started = time.monotonic()
    for number, cell in enumerate(missing, start=1):
        row = _train_and_score(plan, out, cell, say)
        write_json(_file(out, cell), row)
        write_table(out, _rows(out), plan.to_json())
        left = (time.monotonic() - started) / number * (len(missing) - number)
        say(f"{cell.name}: AP {row['AP']:.3f}, SEG {row['SEG']:.3f}  {number} of {len(missing)}, {clock(left)} left")
    rows = _rows(out)
    write_table(out, rows, plan.to_json())
    return rows


def _file(out: Path, cell: Cell) -> Path:
    return out / "cells" / f"{cell.name}.json"


def _rows(out: Path) -> list[dict[str, Any]]:
    """Of earlier calls as well, which may have asked for other cells."""
    return [read_json(path) for path in sorted((out / "cells").iterdir()) if path.suffix == ".json"]


def _train_and_score(plan: BenchmarkPlan, out: Path, cell: Cell, say: Say) -> dict[str, Any]:
    folder, most = out / "data" / f"n{cell.noise:g}", max(FRACTIONS[f] for f in plan.fractions)
    patches = folder / f"r{cell.repeat}-{most}"
    if not patches.exists():
        say(f"cutting {most} patches with noise of standard deviation {cell.noise:g}, repeat {cell.repeat}")
        write_patches(write_noisy(plan.images, plan.labels, cell.noise, folder / "all"), most, cell.repeat, patches)
    chosen = folder / f"r{cell.repeat}-{cell.fraction}"
    held = link_fraction(patches, FRACTIONS[cell.fraction], chosen)
    denoiser = None if cell.schedule == "baseline" else _denoiser(plan, out, cell, say)
    run = out / "runs" / cell.name
    if run.exists() and not is_started(run):
        shutil.rmtree(run)  # killed before its first step was kept
    values = plan.settings(cell.method, cell.repeat)
    task = Task(cell.method, run, chosen / "images", chosen / "labels", values, held=held)
    say(f"{cell.name}: {FRACTIONS[cell.fraction]} annotated patches")
    began = time.process_time()
    progress = train_schedule(task, Plan(cell.schedule, denoiser), seconds=plan.seconds, resume=True, say=say)
    if not progress.finished:
        raise KeyboardInterrupt
    trained = time.process_time()
    scores = _scores(run, read_labelled(plan.val_images, plan.val_labels, noise=cell.noise))
    said = read_run(run)
    return {
        **dataclasses.asdict(cell), "patches": FRACTIONS[cell.fraction], **scores, "steps": said["steps"],
        "seconds": said["seconds"], "cpu_seconds": round(trained - began, 1), "instances": said["instances"],
    }  # fmt: skip


def _denoiser(plan: BenchmarkPlan, out: Path, cell: Cell, say: Say) -> Path:
    """Noise2Void for all cells of a noise; it learns from whole images, and from none of those that are scored."""
    run = out / "denoisers" / f"n{cell.noise:g}"
    method = plan.methods[0]
    task = Task(method, run, out / "data" / f"n{cell.noise:g}" / "all", None, plan.settings(method))
    values = {**DENOISER, **plan.denoiser}
    if not train_denoiser(task, values, run, seconds=plan.seconds, resume=True, say=say).finished:
        raise KeyboardInterrupt
    return run


def _scores(run: Path, images: Sequence[LabelledImage]) -> dict[str, Any]:
    found = []
    with open_restorer(run) as restorer:
        for item in images:
            labels = restorer.restore([item.image])[LABELS]
            found.append(score_labels(np.asarray(item.labels.values, np.int64), np.asarray(labels.values, np.int64)))
    mean = summary(found)
    return {"AP": mean["AP"]["0.5"], "SEG": mean["SEG"], "AP_by_IoU": mean["AP"]}
