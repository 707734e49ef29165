"""The commands ``zooferry train`` and ``zooferry learning-curve``; importing this loads nothing heavy."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from zooferry.errors import ZooferryError

if TYPE_CHECKING:
    from zooferry.cli import Commands


def say(line: str) -> None:
    """Progress goes to standard error."""
    print(line, file=sys.stderr, flush=True)


def _common(p: argparse.ArgumentParser) -> None:
    p.add_argument("method", metavar="METHOD", help="see 'zooferry methods'")
    p.add_argument("--targets", type=Path, metavar="DIR", help="their clean partners, of the same names")
    p.add_argument("--from", type=Path, metavar="MODEL", dest="parent", help="start from this run or package")
    p.add_argument("--settings", type=Path, metavar="FILE.yaml")
    p.add_argument("--set", action="append", default=[], metavar="key=value", dest="assignments")
    p.add_argument("--recipe", metavar="NAME", help="settings for a task, see 'zooferry methods'")


def add_train(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser("train", help="train a method on a folder of images")
    _common(p)
    p.add_argument("--images", type=Path, metavar="DIR", help="noisy images; none where a recipe draws them")
    p.add_argument("--labels", type=Path, metavar="DIR", help="label images of the same names, for segmentation")
    p.add_argument("--out", type=Path, required=True, metavar="RUN", help="run folder to make")
    p.add_argument("--seconds", type=float, metavar="N", help="wall-time budget (of each training of a schedule)")
    _schedule(p)
    p.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    p.add_argument("--trust-code", action="store_true", help="let the code of another lab's network run, with --from")
    p.set_defaults(run=_train)


def _schedule(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--schedule", metavar="NAME",
        help="few label images, many noisy ones: baseline, sequential, finetune or finetune-sequential",
    )  # fmt: skip
    p.add_argument(
        "--denoiser", type=Path, metavar="MODEL",
        help="of the schedule: run or package (default: Noise2Void learns from all images first)",
    )  # fmt: skip
    p.add_argument(
        "--denoiser-set", action="append", default=[], metavar="key=value", dest="denoiser_assignments",
        help="a setting of that Noise2Void",
    )  # fmt: skip


def _train(options: argparse.Namespace) -> int:
    from zooferry.methods import facts
    from zooferry.settings import read_settings

    targets = _partners(options, needs_labels=facts(options.method).needs_labels)
    values = read_settings(options.settings, options.assignments, recipe=options.recipe)
    from zooferry.runs import Task, carry_out
    from zooferry.transfer import open_parent

    _refuse_without_schedule(options)
    parent = open_parent(options.parent, trust_code=options.trust_code) if options.parent else None
    task = Task(options.method, options.out, options.images, targets, values, parent)
    if options.schedule:
        from zooferry.schedules import Plan, train_schedule

        plan = Plan(options.schedule, options.denoiser, read_settings(None, options.denoiser_assignments))
        progress = train_schedule(task, plan, seconds=options.seconds, resume=options.resume, say=say)
    else:
        progress = carry_out(task, seconds=options.seconds, resume=options.resume, say=say)
    if not progress.finished:
        say(f"stopped at step {progress.step}; go on with the same command and --resume")
        return 130
    say(f"finished: {progress.finished}; best validation loss {progress.best_loss:.4f} at step {progress.best_step}")
    print(options.out)
    return 0


def _refuse_without_schedule(options: argparse.Namespace) -> None:
    if options.schedule and options.parent:
        raise ZooferryError("a schedule starts from its denoiser; give that with --denoiser, and leave --from away")
    if not options.schedule and (options.denoiser or options.denoiser_assignments):
        raise ZooferryError("--denoiser is for a schedule; say which with --schedule NAME")
    if options.denoiser and options.denoiser_assignments:
        raise ZooferryError("--denoiser-set is for a denoiser that is trained; leave it or --denoiser away")


def _partners(options: argparse.Namespace, *, needs_labels: bool) -> Path | None:
    """The folder of what the method learns: label images, or clean partners."""
    wrong, right = ("targets", "labels") if needs_labels else ("labels", "targets")
    if getattr(options, wrong) is not None:
        what = "label images; give them with --labels" if needs_labels else "no label images; leave --labels away"
        raise ZooferryError(f"{options.method} learns from {what}, and --{wrong} was given")
    found: Path | None = getattr(options, right)
    return found


def add_learning_curve(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser("learning-curve", help="train on 2, 5, 10 ... images: how many are needed?")
    _common(p)
    p.add_argument("--images", type=Path, required=True, metavar="DIR", help="noisy images")
    p.add_argument("--counts", required=True, metavar="2,5,10", help="numbers of training images")
    p.add_argument("--test-images", type=Path, metavar="DIR", help="pairs that are scored")
    p.add_argument("--test-targets", type=Path, metavar="DIR", help="(default: a fifth of the pairs, held out)")
    p.add_argument("--seconds", type=float, metavar="N", help="training time of each number")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="goes on where it stopped")
    p.set_defaults(run=_learning_curve)


def _learning_curve(options: argparse.Namespace) -> int:
    from zooferry.learning_curve import CurvePlan, learning_curve, table
    from zooferry.methods import facts
    from zooferry.settings import read_settings

    facts(options.method)
    if options.targets is None:
        raise ZooferryError("a learning curve scores every run against clean images; give them with --targets DIR")
    plan = CurvePlan(
        method=options.method,
        images=options.images,
        targets=options.targets,
        counts=_counts(options.counts),
        values=read_settings(options.settings, options.assignments, recipe=options.recipe),
        seconds=options.seconds,
        parent=options.parent,
        test=_test_folders(options.test_images, options.test_targets),
    )
    rows = learning_curve(plan, options.out, say=say)
    print(table(rows))
    say(f"report: {options.out / 'report.html'}")
    return 0


def _counts(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not parts or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise ZooferryError(f"--counts {text}: allowed are whole numbers above 0, as in --counts 2,5,10")
    return tuple(sorted({int(part) for part in parts}))


def _test_folders(images: Path | None, targets: Path | None) -> tuple[Path, Path] | None:
    if images is None and targets is None:
        return None
    if images is None or targets is None:
        raise ZooferryError("--test-images and --test-targets go together; give both folders, or neither")
    return images, targets
