"""The command ``zooferry benchmark``; importing this loads nothing heavy."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from zooferry.errors import ZooferryError

if TYPE_CHECKING:
    from zooferry.cli import Commands


def add_benchmark(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser("benchmark", help="noisy images, few annotated: which schedule, and how many are needed?")
    kinds = p.add_subparsers(required=True, metavar="NAME")
    b = kinds.add_parser("voidseg", help="schedules by fraction of annotation, noise and repeat; goes on when killed")
    for name, what in (("images", "clean training images"), ("labels", "their label images")):
        b.add_argument(f"--{name}", type=Path, required=True, metavar="DIR", help=what)
        b.add_argument(f"--val-{name}", type=Path, required=True, metavar="DIR", help=f"{what}: those that are scored")
    b.add_argument("--out", type=Path, required=True, metavar="DIR", help="goes on where it stopped")
    b.add_argument("--method", default="unet,stardist", metavar="unet,stardist")
    b.add_argument("--schemes", metavar="baseline,sequential", help="(default: all four)")
    b.add_argument("--fractions", default="P1,P4,P10", metavar="P1,P4", help="P1 to P10: 10 to 3800 patches")
    b.add_argument("--noise", default="40", metavar="0,40", help="standard deviations, grey values")
    b.add_argument("--repeats", type=int, default=3, metavar="N")
    b.add_argument("--seconds", type=float, metavar="N", help="wall time of each training (default: 1000 steps)")
    b.add_argument("--set", action="append", default=[], metavar="key=value", dest="assignments")
    b.add_argument("--denoiser-set", action="append", default=[], metavar="key=value", dest="denoiser_assignments")
    b.set_defaults(run=_benchmark)


def _benchmark(options: argparse.Namespace) -> int:
    from zooferry.benchmark import BenchmarkPlan, run_benchmark
    from zooferry.benchmark_table import markdown, means
    from zooferry.schedules import SCHEDULES
    from zooferry.settings import read_settings

    plan = BenchmarkPlan(
        images=options.images,
        labels=options.labels,
        val_images=options.val_images,
        val_labels=options.val_labels,
        methods=_names(options.method),
        schedules=_names(options.schemes) if options.schemes else tuple(SCHEDULES),
        fractions=_names(options.fractions),
        noises=_numbers(options.noise),
        repeats=options.repeats,
        seconds=options.seconds,
        values=read_settings(None, options.assignments),
        denoiser=read_settings(None, options.denoiser_assignments),
    )
    rows = run_benchmark(plan, options.out, say=lambda line: print(line, file=sys.stderr, flush=True))
    print(markdown(means(rows)), end="")
    return 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(dict.fromkeys(float(part.strip().removeprefix("n")) for part in text.split(",")))
    except ValueError:
        raise ZooferryError(f"--noise {text}: allowed are numbers, as in --noise 0,40") from None
