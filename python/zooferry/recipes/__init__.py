"""Settings that answer a task, as YAML files beside this one; the first comment line of each says which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zooferry.errors import ZooferryError
from zooferry.files import read_yaml

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Names of all recipes."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def title(name: str) -> str:
    """What a recipe is for, in one line."""
    return _file(name).read_text(encoding="utf-8").partition("\n")[0].lstrip("# ").strip()


def read_recipe(name: str) -> dict[str, Any]:
    """The settings of a recipe.

    Raises
    ------
    ZooferryError
        There is none of that name; the message lists those that exist.
    """
    return read_yaml(_file(name), "steps: 1000")


def _file(name: str) -> Path:
    if name not in names():
        raise ZooferryError(f"unknown recipe {name!r}; allowed: {', '.join(names())}")
    return FOLDER / f"{name}.yaml"
