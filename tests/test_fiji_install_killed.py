"""`zooferry fiji install` killed with -9: the next command clears away what it left; two at a time: one is refused."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_fiji_install import RUNTIME, STAGED, fake_fiji, quiet, runtime, tree

from zooferry.errors import ZooferryError
from zooferry.fiji import jars, manifest
from zooferry.fiji.install import install, uninstall
from zooferry.fiji.lock import LOCK

__all__ = ["runtime"]  # a fixture

KILLED = """
import os, shutil, sys
from pathlib import Path
from zooferry.fiji import install, jars

fiji, coordinate, digest, call, count = Path(sys.argv[1]), *sys.argv[2:5], int(sys.argv[5])
jars.SHA256[coordinate] = digest
where = {"copyfile": shutil, "replace": os}[call]
real, calls = getattr(where, call), []

def counted(source, target):
    calls.append(target)
    if len(calls) == count:
        os.kill(os.getpid(), 9)
    return real(source, target)

setattr(where, call, counted)
install.install(fiji, say=print)
"""


@pytest.mark.parametrize(("call", "count"), [("copyfile", 1), ("copyfile", 9), ("replace", 1), ("replace", 9)])
def test_after_a_kill_nothing_is_left_over(call: str, count: int, tmp_path: Path) -> None:
    """A new installation, an upgrade and an uninstallation clear away what the killed one had laid out."""
    fiji = fake_fiji(tmp_path / "Fiji")
    empty = tree(fiji)
    arguments = [str(fiji), RUNTIME.coordinate, jars.SHA256[RUNTIME.coordinate], call, str(count)]

    def kill() -> None:
        done = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True)
        assert done.returncode == -9, done.stderr
        assert list(fiji.glob(f"{STAGED}*"))

    kill()
    if manifest.read(fiji) is None:
        with pytest.raises(ZooferryError, match="not installed there"):
            uninstall(fiji, say=quiet)
    else:
        uninstall(fiji, say=quiet)
    assert tree(fiji) == empty
    kill()
    assert install(fiji, say=quiet).up_to_date
    assert not list(fiji.glob(f"{STAGED}*"))
    (fiji / "jars/Lib/zooferry_fiji/run.py").write_text("# older")
    uninstall(fiji, say=quiet)
    assert set(tree(fiji)) - set(empty) == {"jars/Lib", "jars/Lib/zooferry_fiji", "jars/Lib/zooferry_fiji/run.py"}


WAITING = """
import shutil, sys, time
from pathlib import Path
from zooferry.fiji import install, jars

fiji, coordinate, digest, go = Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])
jars.SHA256[coordinate] = digest
real = shutil.copyfile

def waiting(source, target):
    while not go.exists():
        time.sleep(0.01)
    return real(source, target)

shutil.copyfile = waiting
install.install(fiji, say=print)
"""


def test_the_second_of_two_is_refused_and_a_killed_one_is_taken_over(tmp_path: Path) -> None:
    fiji, go = fake_fiji(tmp_path / "Fiji"), tmp_path / "go"
    empty = tree(fiji)
    words = [sys.executable, "-c", WAITING, str(fiji), RUNTIME.coordinate, jars.SHA256[RUNTIME.coordinate], str(go)]

    def begin() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while not list(fiji.glob(f"{STAGED}-*")) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        return process

    with begin() as first:
        for action in (install, uninstall):
            with pytest.raises(ZooferryError, match=rf"another zooferry \(process {first.pid}\) is installing.* wait"):
                action(fiji, say=quiet)
        assert (fiji / LOCK).is_file()
        go.touch()
    assert first.returncode == 0
    assert not (fiji / LOCK).exists()
    uninstall(fiji, say=quiet)
    assert tree(fiji) == empty
    go.unlink()
    with begin() as killed:
        killed.kill()
    assert (fiji / LOCK).read_text() == f"{killed.pid}\n"
    assert install(fiji, say=quiet).up_to_date
    assert not (fiji / LOCK).exists()
