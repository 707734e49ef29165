"""Install into a Fiji folder, or take out what was installed; a failure leaves Fiji as it was.

All files are first laid into a folder beside their places, then renamed; an error puts the old ones back. The
manifest is written before the first rename, so that even a killed installation can be repeated or taken out.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import zooferry
from zooferry.errors import ZooferryError
from zooferry.fiji import jars, manifest
from zooferry.fiji.contents import Piece, missing_jars, own_pieces
from zooferry.fiji.folders import Fiji, find_fiji
from zooferry.fiji.lock import only_one
from zooferry.fiji.manifest import Entry, Manifest
from zooferry.fiji.swap import STAGE, Swap, remove_compiled, remove_folders, remove_leftovers
from zooferry.files import sha256

Say = Callable[[str], None]


@dataclass(frozen=True)
class Status:
    """What a Fiji has: `version` is "" if nothing is installed; paths are within Fiji."""

    fiji: Fiji
    version: str = ""
    count: int = 0
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()  # would be added, replaced or removed by an installation

    @property
    def up_to_date(self) -> bool:
        """Whether an installation would change nothing."""
        return bool(self.version) and not (self.missing or self.changed or self.outdated)

    def lines(self) -> list[str]:
        """For people."""
        head = [f"Fiji      {self.fiji.describe()}"]
        if not self.version:
            return [*head, f"zooferry  not installed; run: zooferry fiji install {self.fiji.root}"]
        state = "up to date" if self.up_to_date else "needs: zooferry fiji install"
        rows = [("missing", self.missing), ("changed", self.changed), ("outdated", self.outdated)]
        details = [f"{name:<8}  {path}" for name, paths in rows for path in paths]
        return [*head, f"zooferry  {self.version}, {self.count} files, {state}", *details]


def install(given: Path, *, torchscript: bool = False, say: Say) -> Status:
    """Install, upgrade or repair Zooferry in a Fiji folder.

    Parameters
    ----------
    given : Path
        Fiji's folder, or the one that holds it.
    torchscript : bool
        LibTorch (ai.djl.pytorch) as well; once installed it stays with later upgrades.
    say : callable
        Is told what happens, line by line.

    Raises
    ------
    ZooferryError
        No Fiji, one that cannot be written to, a jar that would be shadowed, a failed download, a full disk, another
        installation at the same time; Fiji is then as it was.
    """
    fiji = find_fiji(given)
    with words(fiji.root), only_one(fiji.root):
        remove_leftovers(fiji.root)
        old = manifest.read(fiji.root)
        torchscript = torchscript or bool(old and old.torchscript)
        added = missing_jars(fiji, {e.path for e in old.files} if old else set(), torchscript=torchscript, say=say)
        pieces = own_pieces() + [Piece(jar.place, jars.fetch(jar, say), jar.version) for jar in added]
        _put(fiji.root, pieces, old, torchscript=torchscript, say=say)
    return status(given)


def status(given: Path) -> Status:
    """What is installed in a Fiji folder, and whether an installation would change anything."""
    fiji = find_fiji(given)
    old = manifest.read(fiji.root)
    if old is None:
        return Status(fiji)
    missing = tuple(e.path for e in old.files if not (fiji.root / e.path).is_file())
    changed = tuple(e.path for e in old.files if e.path not in missing and not e.is_ours(fiji.root))
    known = {e.path: e.sha256 for e in old.files}
    fresh = {piece.place: sha256(piece.source) for piece in own_pieces()}
    ours = set(known)
    for jar in missing_jars(fiji, ours, torchscript=old.torchscript, say=lambda _line: None):
        fresh[jar.place] = jars.SHA256.get(jar.coordinate, "")
    outdated = tuple(sorted({p for p in ours | set(fresh) if known.get(p) != fresh.get(p)}))
    return Status(fiji, old.zooferry, len(old.files), missing, changed, outdated)


def uninstall(given: Path, *, say: Say) -> None:
    """Remove exactly what was installed; a file that the user has changed stays, with a line. Models stay.

    Raises
    ------
    ZooferryError
        No Fiji, nothing installed, a folder that cannot be written to, or an installation at the same time.
    """
    fiji = find_fiji(given)
    with words(fiji.root), only_one(fiji.root):
        remove_leftovers(fiji.root)
        old = manifest.read(fiji.root)
        if old is None:
            raise ZooferryError(f"{fiji.root}: Zooferry is not installed there; nothing to remove")
        _require_writable(fiji.root, [entry.path for entry in old.files])
        removed = 0
        for entry in old.files:
            if entry.is_ours(fiji.root):
                (fiji.root / entry.path).unlink()
                remove_compiled(fiji.root / entry.path)
                removed += 1
            elif (fiji.root / entry.path).exists():
                say(f"left: {entry.path}, which was changed after it was installed")
        (fiji.root / manifest.PLACE).unlink()
        remove_folders(fiji.root, old.folders)
    say(f"removed {removed} files of zooferry {old.zooferry} from {fiji.root}; models/ stays as it is")


def entries(pieces: Sequence[Piece]) -> tuple[Entry, ...]:
    """Each piece's place, size, hash and version."""
    return tuple(Entry(p.place, p.source.stat().st_size, sha256(p.source), p.version) for p in pieces)


def _put(root: Path, pieces: Sequence[Piece], old: Manifest | None, *, torchscript: bool, say: Say) -> None:
    """Lay all files beside their places, then rename."""
    new = entries(pieces)
    before = {entry.path: entry for entry in old.files} if old else {}
    places = {entry.path for entry in new}
    obsolete = [e for e in before.values() if e.path not in places and e.is_ours(root)]
    wrong = [(p, e) for p, e in zip(pieces, new, strict=True) if not e.is_ours(root)]
    folders = tuple(dict.fromkeys((*(old.folders if old else ()), *_new_folders(root, [e.path for e in new]))))
    final = Manifest(zooferry.__version__, torchscript, folders, new)
    if old == final and not wrong:
        say("nothing to do: all files are there as they should be")
        return
    _require_writable(root, [e.path for _, e in wrong] + [e.path for e in obsolete] + [manifest.PLACE])
    with tempfile.TemporaryDirectory(prefix=STAGE, dir=root) as scratch:
        swap = Swap(root, Path(scratch))
        for piece, entry in wrong:
            swap.lay(piece.source, entry)
        both = tuple(replace(e, before=before[e.path].sha256) if e.path in before else e for e in new)
        with swap.undone_on_error(folders):
            manifest.write(root, replace(final, files=(*both, *obsolete)))
            for _, entry in wrong:
                known = before.get(entry.path)
                kept = swap.replace(entry, by_user=not (known and known.is_ours(root)))
                if kept:
                    say(f"{entry.path} was changed: your file is kept beside it as {kept}")
            for entry in obsolete:
                swap.take_out(entry)
            manifest.write(root, final)
    say(f"installed zooferry {final.zooferry} in {root}: {len(new)} files, {len(wrong)} of them new or replaced")


def _new_folders(root: Path, paths: Sequence[str]) -> list[str]:
    """The folders that must be made for these files."""
    found = {parent.as_posix() for path in (*paths, manifest.PLACE) for parent in PurePosixPath(path).parents}
    return sorted(folder for folder in found if not (root / folder).is_dir())


def _require_writable(root: Path, paths: Sequence[str]) -> None:
    """Refuse before anything is changed."""
    for folder in sorted({(root / path).parent for path in paths}):
        while not folder.exists():
            folder = folder.parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "read-only", str(folder))


@contextmanager
def words(root: Path) -> Iterator[None]:
    """The system's refusals in one line."""
    try:
        yield
    except OSError as error:
        where = error.filename or root
        raise ZooferryError(
            f"{where}: cannot be written ({error.strerror or error}); Fiji is as it was: make it writable or free some "
            "space, close Fiji, and try again"
        ) from error
