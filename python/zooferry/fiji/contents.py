"""What an installation consists of: scripts, library, macros and jars, each with its place in Fiji."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import zooferry
from zooferry.errors import ZooferryError
from zooferry.fiji import jars
from zooferry.fiji.folders import Fiji
from zooferry.hosts.imagej import fiji_scripts

# folder in fiji_scripts -> folder in Fiji
PLACES = {"scripts": "scripts", "lib": "jars/Lib", "macros": "macros/zooferry"}
SUFFIXES = (".py", ".groovy", ".ijm", ".txt", ".md")
LIBRARY = "jars/Lib/zooferry_fiji"


@dataclass(frozen=True)
class Piece:
    """One file: `place` is its path within Fiji with ``/``, `version` that of zooferry or of the jar."""

    place: str
    source: Path
    version: str


def own_pieces() -> list[Piece]:
    """Scripts, library and macros, sorted by place."""
    return sorted(_own_pieces(), key=lambda piece: piece.place)


def _own_pieces() -> Iterator[Piece]:
    home = fiji_scripts()
    for name, place in PLACES.items():
        for source in (home / name).rglob("*"):
            inner = source.relative_to(home / name)
            if source.is_file() and source.suffix in SUFFIXES and not source.name.startswith("."):
                yield Piece(f"{place}/{inner.as_posix()}", source, zooferry.__version__)


def missing_jars(fiji: Fiji, ours: set[str], *, torchscript: bool, say: Callable[[str], None]) -> list[jars.Jar]:
    """The jars that this Fiji lacks.

    Parameters
    ----------
    fiji : Fiji
    ours : set of str
        Places of the files that an earlier installation put there.
    torchscript : bool
        Whether LibTorch is wanted.
    say : callable
        Is told which of Fiji's own jars is used instead of ours.

    Raises
    ------
    ZooferryError
        Fiji has a jar with the same classes that is too old; a second one would shadow it.
    """
    present = {
        name: (version, place)
        for name, (version, place) in fiji.jars().items()
        if place not in ours and not jars.holds_other_classes(name, fiji.root / place)
    }
    result = []
    for jar in jars.wanted(torchscript=torchscript):
        rival = next((name for name in jar.rivals if name in present), None)
        if rival is None:
            result.append(jar)
            continue
        version, place = present[rival]
        problem = jars.why_unusable(jar, version)
        if problem:
            raise ZooferryError(
                f"{fiji.root} has {place} already ({problem}), and a second one would shadow it: update or remove that "
                "file, then install again"
            )
        if version != jar.version:
            say(f"Fiji has {rival} {version} ({place}): it is used, {jar.version} is not added")
    return result
