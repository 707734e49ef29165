"""Replace files by renaming, so that an error can put all of them back without needing space."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from zooferry.errors import ZooferryError
from zooferry.fiji import manifest
from zooferry.fiji.manifest import Entry
from zooferry.files import sha256

STAGE = ".zooferry-installing-"
KEPT = ".yours"  # ending of a file that the user had changed, kept beside ours


class Swap:
    """Files of `root` and the folder `stage` on the same disk, where new files wait and old ones are kept."""

    def __init__(self, root: Path, stage: Path) -> None:
        self.root, self.stage = root, stage
        self._saved: list[tuple[Path, Path | None]] = []  # file, where the one before it is

    def lay(self, source: Path, entry: Entry) -> None:
        """Copy a file to the stage.

        Raises
        ------
        ZooferryError
            It is not what `entry` says.
        """
        waiting = self._waiting(entry)
        waiting.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, waiting)
        if sha256(waiting) != entry.sha256:
            raise ZooferryError(f"{source}: changed while it was copied; try again")

    def replace(self, entry: Entry, *, by_user: bool) -> str:
        """Put the waiting file into its place; the name under which a file of the user's is kept, or ""."""
        file = self.root / entry.path
        kept = by_user and file.is_file()
        self._save(file, file.with_name(file.name + KEPT) if kept else None)
        file.parent.mkdir(parents=True, exist_ok=True)
        os.replace(self._waiting(entry), file)
        remove_compiled(file)
        return file.name + KEPT if kept else ""

    def take_out(self, entry: Entry) -> None:
        """Remove a file."""
        self._save(self.root / entry.path, None)
        remove_compiled(self.root / entry.path)

    @contextmanager
    def undone_on_error(self, folders: Sequence[str]) -> Iterator[None]:
        """An error inside puts all files and the manifest back, and removes `folders` that are empty then."""
        note = self.root / manifest.PLACE
        old = self.stage / "manifest.json"
        if note.is_file():
            shutil.copyfile(note, old)
        try:
            yield
        except BaseException:
            for file, previous in reversed(self._saved):
                file.unlink(missing_ok=True)
                if previous is not None:
                    os.replace(previous, file)
            note.unlink(missing_ok=True)
            if old.is_file():
                os.replace(old, note)
            remove_folders(self.root, folders)
            raise

    def _waiting(self, entry: Entry) -> Path:
        return self.stage / "new" / entry.path

    def _save(self, file: Path, place: Path | None) -> None:
        if not file.exists():
            self._saved.append((file, None))
            return
        place = place or self.stage / f"old-{len(self._saved)}"
        os.replace(file, place)
        self._saved.append((file, place))


def remove_leftovers(root: Path) -> None:
    """Remove what killed installations left: stages, which hold nothing of the user's, and a part of a manifest."""
    for left in root.glob(f"{STAGE}*"):
        shutil.rmtree(left)
    note = root / manifest.PLACE
    for part in note.parent.glob(f".{note.name}.*.part"):
        part.unlink()
        if not note.exists():
            remove_folders(root, [str(folder) for folder in list(Path(manifest.PLACE).parents)[:2]])


def remove_folders(root: Path, folders: Sequence[str]) -> None:
    """Remove those that are empty, the inner ones first."""
    for folder in sorted(folders, key=len, reverse=True):
        with contextlib.suppress(OSError):  # not empty, or not there
            (root / folder).rmdir()


def remove_compiled(file: Path) -> None:
    """Remove what Jython or CPython has compiled of a script, so that no old code outlives it."""
    if file.suffix != ".py":
        return
    for compiled in (file.with_name(f"{file.stem}$py.class"), file.with_suffix(".pyc")):
        compiled.unlink(missing_ok=True)
    cache = file.parent / "__pycache__"
    for compiled in cache.glob(f"{file.stem}.*.pyc"):
        compiled.unlink()
    with contextlib.suppress(OSError):
        cache.rmdir()
