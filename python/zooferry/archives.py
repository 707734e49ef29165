"""Unpack a zip from a stranger: every entry is looked at first, and bytes are counted while they come.

Limits: 10,000 entries, 4 GiB unpacked, 200 times the size of the zip once that is more than 64 MiB, names of 1,024
bytes (255 for each part) and 32 folders. Memory stays at one block of 1 MiB beside the zip's own list of entries.
Refused are names that lead outside (absolute, ``..``, drive letters, NUL), links and devices, two entries of one
name (also on systems that ignore case, or dots and spaces at the end), encryption, and compression other than deflate.
"""

from __future__ import annotations

import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from zooferry.errors import ZooferryError

MAX_ENTRIES = 10_000
MAX_UNPACKED_BYTES = 4 << 30
MAX_RATIO = 200
ALWAYS_ALLOWED_BYTES = 64 << 20
MAX_NAME_BYTES, MAX_PART_BYTES, MAX_DEPTH = 1024, 255, 32
BLOCK_BYTES = 1 << 20
ENCRYPTED = 0x1
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError,
    IndexError, KeyError, OverflowError,
)  # fmt: skip  # what zipfile raises on damaged files


def unpack(path: Path, into: Path) -> None:
    """Unpack the zip `path` into the empty folder `into`.

    Raises
    ------
    ZooferryError
        It is no zip, it is damaged, or it holds something that the limits above refuse; `into` may then hold a part.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            limit = require_small(path, archive)
            targets = list(_targets(path, entries))
            for entry, name in zip(entries, targets, strict=True):
                limit -= 0 if entry.is_dir() else _write(archive, entry, into / name, limit)
                if limit < 0:
                    raise ZooferryError(f"{path}: {entry.filename!r} unpacks to more than the zip says; refused")
    except DAMAGED as error:
        said = " ".join(str(error).split())[:200]
        raise ZooferryError(f"{path}: not a readable zip ({said}); a package is a zip with rdf.yaml in it") from error


def require_small(path: Path, archive: zipfile.ZipFile) -> int:
    """The bytes that the zip says it unpacks to, if that is allowed.

    Raises
    ------
    ZooferryError
        Too many entries or bytes, or a ratio that only bombs have.
    """
    entries = archive.infolist()
    total = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_ENTRIES or total > MAX_UNPACKED_BYTES:
        raise ZooferryError(
            f"{path}: unpacks to {len(entries)} files and {total:,} bytes; allowed are {MAX_ENTRIES:,} files and "
            f"{MAX_UNPACKED_BYTES >> 30} GiB; refused"
        )
    packed = max(1, path.stat().st_size)
    if total > max(ALWAYS_ALLOWED_BYTES, MAX_RATIO * packed):
        raise ZooferryError(
            f"{path}: {packed:,} bytes unpack to {total:,}, as in a zip bomb; allowed is {MAX_RATIO} times; refused"
        )
    return total


def _targets(path: Path, entries: list[zipfile.ZipInfo]) -> Iterator[PurePosixPath]:
    """Where each entry goes, below the folder."""
    seen: set[str] = set()
    for entry in entries:
        said = repr(entry.filename[:80])
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        problem = _wrong_name(name, entry) or _wrong_kind(entry)
        if problem:
            raise ZooferryError(f"{path}: holds the entry {said}, {problem}; refused")
        parts = [part.rstrip(". ") for part in name.parts]  # Windows drops them
        key = unicodedata.normalize("NFC", "/".join(parts)).casefold()
        if key in seen:
            raise ZooferryError(f"{path}: holds two entries named {said} (upper and lower case are one); refused")
        seen.add(key)
        yield name


def _wrong_name(name: PurePosixPath, entry: zipfile.ZipInfo) -> str:
    if name.is_absolute() or not name.parts or ".." in name.parts or any(":" in part for part in name.parts):
        return "which leads outside the package"
    if any(ord(letter) < 32 for letter in entry.orig_filename):  # zipfile itself cuts names at NUL
        return "whose name has control characters"
    sizes = [len(part.encode("utf-8", "surrogatepass")) for part in name.parts]
    if sum(sizes) > MAX_NAME_BYTES or max(sizes) > MAX_PART_BYTES or len(sizes) > MAX_DEPTH:
        return f"whose name is too long (allowed are {MAX_PART_BYTES} bytes and {MAX_DEPTH} folders)"
    return ""


def _wrong_kind(entry: zipfile.ZipInfo) -> str:
    mode = entry.external_attr >> 16
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "neither a file nor a folder"
    if entry.flag_bits & ENCRYPTED:
        return "which is encrypted"
    if entry.compress_type not in COMPRESSIONS:
        return f"compressed by method {entry.compress_type} (allowed are 0, stored, and 8, deflated)"
    return ""


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, limit: int) -> int:
    """Copy one entry and count its bytes; ends early once they exceed `limit`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with archive.open(entry) as source, target.open("xb") as file:
        while count <= limit and (block := source.read(BLOCK_BYTES)):
            count += len(block)
            file.write(block)
    return count
