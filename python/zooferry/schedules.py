"""How a segmentation makes use of many noisy images of which few are annotated (Prakash et al., VoidSeg, ISBI 2020).

===================  ========================================  ==============================
schedule             what the segmentation is given            what its weights start from
===================  ========================================  ==============================
baseline             the noisy image                           chance
sequential           the denoised image                        chance
finetune             the noisy image                           the denoiser's
finetune-sequential  the denoised image                        the denoiser's
===================  ========================================  ==============================

The denoiser is one of Noise2Void that learns from all images, or any other plain U-Net that restores. The result of the
sequential ones is a single network, see `zooferry.networks.sequential`.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zooferry import methods, run_folder
from zooferry.denoisers import fitting
from zooferry.errors import ZooferryError
from zooferry.methods.n2v import N2VSettings
from zooferry.runs import Task, carry_out
from zooferry.settings import Settings, build_settings
from zooferry.training import Progress
from zooferry.transfer import Parent, open_parent

Say = Callable[[str], None]
SCHEDULES = {  # name -> whether the denoised image is the input, whether the denoiser's weights are the start
    "baseline": (False, False),
    "sequential": (True, False),
    "finetune": (False, True),
    "finetune-sequential": (True, True),
}
ALLOWED = {"unet": tuple(SCHEDULES), "stardist": tuple(SCHEDULES), "denoiseg": ("baseline", "finetune")}


@dataclass(frozen=True)
class Plan:
    """A schedule, and where its denoiser comes from.

    Attributes
    ----------
    schedule : str
        A key of `SCHEDULES`.
    denoiser : Path, optional
        Run or package; by default Noise2Void is trained first, into the folder that :func:`denoiser_folder` names.
    values : mapping
        Settings of that Noise2Void that differ from its defaults; its U-Net is of the size of the segmentation's.
    """

    schedule: str
    denoiser: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


def train_schedule(task: Task, plan: Plan, *, seconds: float | None, resume: bool, say: Say) -> Progress:
    """Train a denoiser where one is needed and none is given, then the segmentation; see ``zooferry train --schedule``.

    Parameters
    ----------
    task : Task
        Of the segmentation, without parent. All its images teach the denoiser; those whose label image is missing or
        empty teach nothing else.
    plan : Plan
    seconds : float, optional
        Wall-time budget of each of the two trainings.
    resume : bool
        Go on with what was interrupted.
    say : callable
        Gets the progress line by line.

    Raises
    ------
    ZooferryError
        The schedule is not for this method, or what training refuses.
    """
    in_front, start = _chosen(task, plan)
    task = dataclasses.replace(task, partly=True)
    denoiser = None
    if in_front or start:
        run = plan.denoiser or denoiser_folder(task.out)
        if plan.denoiser is None:
            progress = train_denoiser(task, plan.values, run, seconds=seconds, resume=resume, say=say)
            if not progress.finished:
                return progress
        denoiser = _usable(open_parent(run))
    task = dataclasses.replace(task, parent=denoiser if start else None, denoiser=denoiser if in_front else None)
    going = resume and is_started(task.out)
    if going:
        task = dataclasses.replace(task, values={})
    return carry_out(task, seconds=seconds, resume=going, say=say)


def _chosen(task: Task, plan: Plan) -> tuple[bool, bool]:
    method = task.name
    if plan.schedule not in SCHEDULES:
        raise ZooferryError(f"--schedule {plan.schedule}: allowed are {', '.join(SCHEDULES)}")
    if method not in ALLOWED:
        raise ZooferryError(f"{method} has no schedules; methods that have are {', '.join(ALLOWED)}")
    if plan.schedule not in ALLOWED[method]:
        raise ZooferryError(f"{method} denoises by itself; its schedules are {' and '.join(ALLOWED[method])}")
    in_front, start = SCHEDULES[plan.schedule]
    if in_front and getattr(build_settings(methods.load(method).SETTINGS, task.values), "mirrored", False):
        raise ZooferryError("mirror images are for networks without a denoiser; leave --set mirrored=true away")
    return in_front, start


def _usable(denoiser: Parent) -> Parent:
    if not denoiser.restores:
        raise ZooferryError(
            f"{denoiser.name} is no denoiser for a schedule; give a run or package of n2v, n2n or care (not "
            "probabilistic, not baked), or leave --denoiser away"
        )
    return denoiser


def denoiser_folder(out: Path) -> Path:
    """Where the denoiser of a run is trained: beside it, so that other runs can use it as well."""
    return out.with_name(f"{out.name}-denoiser")


def train_denoiser(
    task: Task, values: Mapping[str, Any], run: Path, *, seconds: float | None, resume: bool, say: Say
) -> Progress:
    """Train Noise2Void on all images of a segmentation; a finished run is left as it is when resuming.

    `values` are its settings; width, depth, kernel, precision and seed follow from those of the segmentation.
    """
    if resume and is_started(run):
        if run_folder.read_run(run)["status"] == "finished":
            say(f"{run}: trained before")
            return Progress(finished="trained before")
        return carry_out(Task("n2v", run, task.images, None, {}), seconds=seconds, resume=True, say=say)
    if resume and run.exists():
        shutil.rmtree(run)  # killed before its first step was kept
    segmentation = build_settings(methods.load(task.name).SETTINGS, task.values)
    chosen = {**_denoiser_values(segmentation), **values}
    say(f"denoiser {run}: Noise2Void learns from all images")
    return carry_out(Task("n2v", run, task.images, None, chosen), seconds=seconds, resume=False, say=say)


def _denoiser_values(segmentation: Settings) -> dict[str, Any]:
    """Settings of a denoiser whose weights fit the segmentation: the inverse of `zooferry.denoisers.fitting`."""
    grid = int(getattr(segmentation, "grid", 1))
    arguments = {"depth": segmentation.depth + grid.bit_length() - 1, "kernel": segmentation.kernel}
    arguments["width"] = max(1, segmentation.width // grid)
    assert fitting(arguments, segmentation)["depth"] == segmentation.depth
    side = 2 ** arguments["depth"]
    patch, patch_z = (-(-length // side) * side for length in (N2VSettings().patch, segmentation.patch_z))
    shared = {"dims": segmentation.dims, "precision": segmentation.precision, "seed": segmentation.seed}
    return {**arguments, "patch": min(patch, segmentation.patch), "patch_z": patch_z, **shared}


def is_started(run: Path) -> bool:
    """Whether a run can go on."""
    return (run / run_folder.RUN_FILE).is_file() and (run / "last.pt").is_file()
