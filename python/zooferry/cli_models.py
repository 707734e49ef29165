"""`zooferry models`. Importing this loads nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from zooferry.errors import ZooferryError

if TYPE_CHECKING:
    from zooferry.cli import Commands


def add_models(commands: Commands) -> None:
    """Add ``models`` to the command line."""
    p = commands.add_parser("models", help="the shipped models: what they do, how good they are, where they lie")
    p.add_argument("name", nargs="?", metavar="NAME", help="print only the path of this one")
    p.add_argument("--folder", type=Path, metavar="DIR", help="of packages (default: model_packages of the repository)")
    p.set_defaults(run=_models)


def _models(options: argparse.Namespace) -> int:
    from zooferry.shipped import models_folder, shipped_models, table

    models = shipped_models(models_folder(options.folder))
    if options.name is None:
        print(table(models))
        return 1 if any(model.problem for model in models) else 0
    for model in models:
        if model.name == options.name:
            print(model.path)
            return 0
    raise ZooferryError(f"there is no model {options.name!r}; allowed: {', '.join(model.name for model in models)}")
