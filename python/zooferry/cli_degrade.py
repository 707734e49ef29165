"""The command ``zooferry degrade``; importing this loads nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_degrade(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser("degrade", help="make pairs from clean images: blur, coarser pixels, background, noise")
    p.add_argument("--images", type=Path, required=True, metavar="DIR", help="clean images")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets noisy/, clean/ and degradation.json")
    p.add_argument("--settings", type=Path, metavar="FILE.yaml", help="photons, background, psf, aberrations, ...")
    p.add_argument("--set", action="append", default=[], metavar="key=value", dest="assignments", help="psf.kind=...")
    p.add_argument("--recipe", metavar="NAME", help="start from the degradation of a recipe; see 'zooferry methods'")
    p.add_argument("--takes", type=int, default=1, metavar="N", help="2 adds second/, another take for Noise2Noise")
    p.add_argument("--seed", type=int, default=0)
    p.set_defaults(run=_degrade)


def _degrade(options: argparse.Namespace) -> int:
    from zooferry.recipes import read_recipe
    from zooferry.settings import nested, read_settings

    values = dict(read_recipe(options.recipe).get("degrade") or {}) if options.recipe else {}
    values = nested(values, read_settings(options.settings, options.assignments))
    from zooferry.degraded_pairs import write_degraded

    takes, seed = options.takes, options.seed
    print(write_degraded(options.images, options.out, values, seed=seed, takes=takes, say=_say))
    return 0


def _say(line: str) -> None:
    from zooferry.cli import say

    say(line)
