"""Recognise a Fiji folder, in either of its two layouts, and say which jars it has."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zooferry.errors import ZooferryError

NAMES = ("Fiji", "Fiji.app", "ImageJ.app")
NEW_LAUNCHERS = ("fiji-*", "config/jaunch")
OLD_LAUNCHERS = ("ImageJ-*", "Contents/MacOS/ImageJ-*")
JAR = re.compile(r"(?P<name>.+?)-(?P<version>\d[\w.]*?(?:-(?:SNAPSHOT|STUB|GA|M\d+|RC\d+|beta\d*))?)(?:-[\w-]+)?\.jar")


@dataclass(frozen=True)
class Fiji:
    """A Fiji folder: `root` holds jars/ and plugins/."""

    root: Path

    @property
    def launcher(self) -> str:
        """Which of the two launchers it has: "new", "old", or "none"."""
        for kind, patterns in (("new", NEW_LAUNCHERS), ("old", OLD_LAUNCHERS)):
            if any(True for pattern in patterns for _ in self.root.glob(pattern)):
                return kind
        return "none"

    def version(self, jar: str) -> str:
        """The version of a jar, e.g. "1.54p" of ``ij``; "" if it is not there."""
        found = self.jars().get(jar)
        return found[0] if found else ""

    def jars(self) -> dict[str, tuple[str, str]]:
        """Artefact -> (version, path within Fiji) of every jar on Fiji's class path."""
        found: dict[str, tuple[str, str]] = {}
        for path in _jar_files(self.root):
            match = JAR.fullmatch(path.name)
            place = path.relative_to(self.root).as_posix()
            if match:
                found.setdefault(match["name"], (match["version"], place))
        return found

    def describe(self) -> str:
        """One line for people."""
        facts = [f"Fiji {self.version('fiji') or 'of unknown version'}", f"ImageJ {self.version('ij') or '?'}"]
        return f"{self.root} ({', '.join([*facts, f'{self.launcher} launcher'])})"


def find_fiji(given: Path) -> Fiji:
    """The Fiji that a user means by a folder: Fiji's own, or the one that holds it.

    Raises
    ------
    ZooferryError
        There is none, or more than one.
    """
    if not given.is_dir():
        raise ZooferryError(f"{given}: no such folder; give Fiji's own folder, for example Fiji.app or Fiji")
    # on a Mac the new layout has Fiji/Fiji.app beside Fiji/jars
    candidates = [given, *(given / name for name in NAMES), *([given.parent] if given.name in NAMES else [])]
    found = list(dict.fromkeys(path.resolve() for path in candidates if _is_fiji(path)))
    if found and (found[0] == given.resolve() or len(found) == 1):
        return Fiji(found[0])
    if found:
        raise ZooferryError(f"{given}: holds {' and '.join(p.name for p in found)}; give the one that is meant")
    raise ZooferryError(
        f"{given}: no Fiji in it (jars/ with ij-*.jar and plugins/ are missing); give Fiji's own folder, for example "
        "Fiji.app or Fiji"
    )


def _is_fiji(folder: Path) -> bool:
    jars = folder / "jars"
    return (folder / "plugins").is_dir() and jars.is_dir() and any(True for _ in jars.glob("ij-*.jar"))


def _jar_files(root: Path) -> Iterator[Path]:
    for top in ("jars", "plugins"):
        for folder, below, files in sorted(os.walk(root / top)):
            below[:] = [name for name in below if name != "Lib"]
            yield from (Path(folder, name) for name in sorted(files) if name.endswith(".jar"))
