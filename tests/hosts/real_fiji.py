"""A real Fiji for the tests marked `fiji`: a copy of FIJI_HOME or ~/Fiji.app with zooferry in it, and its launchers."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from zooferry.cli import main
from zooferry.hosts import fiji, imagej


def copy_fiji(folder: Path) -> Path:
    """Fiji's files as hard links, zooferry installed as users do it; skips where there is no Fiji."""
    try:
        found = fiji.find()
    except fiji.HostAbsentError as absence:
        pytest.skip(str(absence))
    home = folder / "Fiji.app"

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copy2(source, target)

    shutil.copytree(found.root, home, symlinks=True, copy_function=link)
    assert main(["fiji", "install", str(home)]) == 0
    return home


def launcher(home: Path) -> Path:
    """The program that starts Fiji: of the new track, else of the old one."""
    names = ("fiji", "ImageJ-linux64", "ImageJ-linux32", "ImageJ-macosx")
    return next(home / name for name in names if (home / name).is_file())


def headless(home: Path, arguments: Sequence[str], *, seconds: float = 600) -> tuple[int, str]:
    """Exit code and output of one start without a window."""
    command = [str(launcher(home)), "--headless", *arguments]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds,
        encoding="utf-8",
        errors="replace",
        env=imagej._environment(),
    )
    return done.returncode, done.stdout


@contextlib.contextmanager
def display() -> Iterator[str]:
    """A virtual display of its own; skips where there is no Xvfb."""
    if shutil.which("Xvfb") is None:
        pytest.skip("there is no Xvfb")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x900x24"], pass_fds=[write], stderr=subprocess.DEVNULL
    )
    os.close(write)
    try:
        with os.fdopen(read) as stream:
            yield f":{stream.readline().strip()}"
    finally:
        server.kill()
        server.wait()


def with_window(
    home: Path, what: Path | Sequence[str], screen: str, *, done: Callable[[], bool], seconds: float = 600
) -> str:
    """Start Fiji with its window and a macro or other arguments, wait until `done`, and end it; what it printed."""
    arguments = ["-macro", str(what)] if isinstance(what, Path) else what
    output = home.parent / "window.log"
    scratch = home.parent / "scratch"  # else this Fiji sends its arguments to another one that had this display
    scratch.mkdir(exist_ok=True)
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [str(launcher(home)), "--no-splash", *arguments],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={
                **imagej._environment(),
                "DISPLAY": screen,
                "JAVA_TOOL_OPTIONS": f"{os.environ.get('JAVA_TOOL_OPTIONS', '')} -Djava.io.tmpdir={scratch}",
            },
            start_new_session=True,
        )
        try:
            until = time.monotonic() + seconds
            while not done() and process.poll() is None and time.monotonic() < until:
                time.sleep(0.5)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()
    return output.read_text(encoding="utf-8", errors="replace")
