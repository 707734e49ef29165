"""The manifest: which files were put into a Fiji, kept there as jars/Lib/zooferry_fiji/manifest.json.

``{"zooferry": version, "torchscript": bool, "folders": [made for them], "files": [{"path", "size", "sha256",
"version"}]}``; the library reads it for Check Zooferry Installation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zooferry.errors import ZooferryError
from zooferry.fiji.contents import LIBRARY
from zooferry.files import sha256, write_json

PLACE = f"{LIBRARY}/manifest.json"


@dataclass(frozen=True)
class Entry:
    """One file: path within Fiji, bytes, SHA-256, version; `before` is what an interrupted upgrade may still have."""

    path: str
    size: int
    sha256: str
    version: str
    before: str = ""

    def is_ours(self, root: Path) -> bool:
        """Whether the file is there as it was put there."""
        file = root / self.path
        return file.is_file() and sha256(file) in (self.sha256, self.before)


@dataclass(frozen=True)
class Manifest:
    """See the module."""

    zooferry: str
    torchscript: bool = False
    folders: tuple[str, ...] = ()
    files: tuple[Entry, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """As it is written."""
        files = []
        for entry in self.files:
            row = {"path": entry.path, "size": entry.size, "sha256": entry.sha256, "version": entry.version}
            files.append(row | ({"before": entry.before} if entry.before else {}))
        return {
            "zooferry": self.zooferry,
            "torchscript": self.torchscript,
            "folders": list(self.folders),
            "files": files,
        }


def read(root: Path) -> Manifest | None:
    """The manifest of a Fiji folder, None if Zooferry is not installed there.

    Raises
    ------
    ZooferryError
        It is damaged, or names a file outside Fiji.
    """
    path = root / PLACE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(
            Entry(str(f["path"]), int(f["size"]), str(f["sha256"]), str(f["version"]), str(f.get("before", "")))
            for f in content["files"]
        )
        folders = tuple(str(folder) for folder in content["folders"])
        result = Manifest(str(content["zooferry"]), bool(content["torchscript"]), folders, files)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ZooferryError(f"{path}: damaged ({type(error).__name__}); delete this file and install again") from error
    for place in (*folders, *(entry.path for entry in files)):
        if place.startswith(("/", "\\")) or ".." in place.split("/") or ":" in place:
            raise ZooferryError(f"{path}: names {place[:80]!r}, which is not inside Fiji; delete it and install again")
    return result


def write(root: Path, content: Manifest) -> None:
    """Write it, atomically."""
    path = root / PLACE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, content.to_json())
