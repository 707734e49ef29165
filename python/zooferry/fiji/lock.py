"""One installation at a time in a Fiji folder."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from zooferry.errors import ZooferryError

LOCK = ".zooferry-installing.lock"
BEHIND = 1 << 20  # byte that is locked; Windows lets nobody read a locked byte, and the process is named before it


@contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Keep other installations out of a Fiji folder; the system lets go of the lock of a process that was killed.

    Parameters
    ----------
    root : Path
        A folder in which nothing can be written needs no lock: no installation gets far there.

    Raises
    ------
    ZooferryError
        Another process is at work there; the message names it.
    OSError
        The disk is full.
    """
    path = root / LOCK
    try:
        stream = _taken(path)
    except PermissionError:
        stream = None
    if stream is None:
        yield
        return
    try:
        stream.write(f"{os.getpid()}\n".encode())
        stream.flush()
        yield
    finally:
        if sys.platform != "win32":
            path.unlink(missing_ok=True)
        stream.close()
        if sys.platform == "win32":
            with contextlib.suppress(OSError):  # the next one has opened it already
                path.unlink()


def _taken(path: Path) -> BinaryIO:
    while True:
        stream = path.open("a+b")
        try:
            _lock(stream)
        except OSError as error:
            stream.seek(0)
            pid = stream.read(20).decode("ascii", "replace").strip() or "unknown"
            stream.close()
            raise ZooferryError(
                f"{path.parent}: another zooferry (process {pid}) is installing or uninstalling there; wait until it "
                "has ended, then try again"
            ) from error
        if _is_there(stream, path):
            stream.truncate(0)
            return stream
        stream.close()  # the one before took it away between our opening and our lock


def _is_there(stream: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _lock(stream: BinaryIO) -> None:
    if sys.platform == "win32":
        import msvcrt

        stream.seek(BEHIND)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
