"""Files on disk: nothing half-written is ever left behind."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from zooferry.errors import ZooferryError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it.

    Raises
    ------
    ZooferryError
        The folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise ZooferryError(f"{path}: cannot be written ({error.strerror or error}); choose another folder") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A new folder beside `out` to fill, renamed to `out` at the end; after an error nothing of it stays.

    Raises
    ------
    ZooferryError
        `out` holds something, or cannot be written.
    """
    unfinished = out.absolute().with_name(f".{out.absolute().name}.part-{os.getpid()}")
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ZooferryError(f"{out} exists and is not an empty folder; choose another, or remove it first")
        unfinished.mkdir(parents=True)
        yield unfinished
        if out.exists():
            out.rmdir()
        unfinished.rename(out)
    except OSError as error:
        raise ZooferryError(
            f"{out}: cannot be written ({error.strerror or error}); choose a folder that you may write to"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_yaml(path: Path, example: str) -> dict[str, Any]:
    """The fields of a YAML file of the user's.

    Raises
    ------
    ZooferryError
        It cannot be read, or holds no fields; `example` is a line as it should look.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ZooferryError(f"{path}: cannot be read as YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(content, dict):
        raise ZooferryError(f"{path}: holds no fields; write lines of the form '{example}'")
    return {str(key): value for key, value in content.items()}


def make_folder(folder: Path) -> None:
    """Make a folder and show that it can be written to.

    Raises
    ------
    ZooferryError
        It cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ZooferryError(
            f"{folder}: cannot be written ({error.strerror or error}); choose another folder"
        ) from error


def sha256(path: Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
