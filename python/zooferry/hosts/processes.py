"""Run hosts in child processes: a host that crashes, hangs or fills the screen is a result in words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import zooferry
from zooferry.hosts.worker import RESULT, SPEC

# hosts that share one process: the imports of torch and bioimageio.core take longer than a small model's test
TOGETHER = (
    (SPEC, "core-pytorch", "core-torchscript", "core-onnx"),
    ("onnx",),
    ("torchscript",),
    ("imagej",),
    ("fiji", "deepimagej"),
)
POLL_SECONDS = 0.05


def run_hosts(
    package: Path, scratch: Path, names: Sequence[str], *, seconds: float
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run the named hosts, and the format's own validation under the name ``spec``.

    Parameters
    ----------
    package : Path
        Unpacked package.
    scratch : Path
        Empty folder for what the hosts leave.
    names : sequence of str
        Hosts; those of `TOGETHER` share a process until one of them takes it down.
    seconds : float
        Wall time that one host may take, including the start of its process.

    Yields
    ------
    name, result
        In the order of `TOGETHER`. `result` is what `zooferry.hosts.worker` wrote, or a failure with the reason.
    """
    for group in TOGETHER:
        pending = [name for name in group if name == SPEC or name in names]
        while pending:
            ending, took = _run_process(package, scratch, pending, seconds)
            while pending and (result := _result(scratch, pending[0])) is not None:
                yield pending.pop(0), result
            if pending:  # this one took the process down; the others get a new one
                name = pending.pop(0)
                yield name, _failure(name, f"{ending}; {_last_line(scratch)}", took)


def _run_process(package: Path, scratch: Path, names: list[str], seconds: float) -> tuple[str, float]:
    """Start one child for `names` and wait for it; how it ended in words, and seconds since its last result."""
    command = [sys.executable, "-m", "zooferry.hosts.worker", str(package), str(scratch), *names]
    with (scratch / "log.txt").open("wb") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(), start_new_session=True
        )
        try:
            return _wait(child, scratch, names, seconds)
        finally:
            _end(child)


def _wait(child: subprocess.Popen[bytes], scratch: Path, names: list[str], seconds: float) -> tuple[str, float]:
    done, since = 0, time.monotonic()
    while child.poll() is None:
        now_done = sum((scratch / name / RESULT).exists() for name in names)
        if now_done > done:
            done, since = now_done, time.monotonic()
        if time.monotonic() - since > seconds:
            return f"the host was ended after {seconds:g} s without a result", time.monotonic() - since
        time.sleep(POLL_SECONDS)
    code, took = child.returncode, time.monotonic() - since
    how = f"was ended by {_signal_name(-code)}" if code < 0 else f"ended with code {code} before there was a result"
    return f"the host's process {how}", took


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _end(child: subprocess.Popen[bytes]) -> None:
    """End what is left of the child, with its own children (a JVM)."""
    if child.poll() is not None:
        return
    if os.name == "posix":
        os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()
    child.wait()


def _environment() -> dict[str, str]:
    root = str(Path(zooferry.__file__).resolve().parent.parent)
    search = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
    return os.environ | {"PYTHONPATH": search, "PYTHONIOENCODING": "utf-8"}


def _result(scratch: Path, name: str) -> dict[str, Any] | None:
    file = scratch / name / RESULT
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def _failure(name: str, reason: str, seconds: float) -> dict[str, Any]:
    if name == SPEC:
        message = {"severity": "error", "where": "", "message": reason}
        return {"status": "failed", "version": "", "messages": [message]}
    return {"status": "failed", "reason": reason, "version": "", "seconds": seconds, "outputs": []}


def _last_line(scratch: Path) -> str:
    lines = (scratch / "log.txt").read_text(encoding="utf-8", errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip() and not line.startswith("---")]
    return f"last words: {said[-1][:300]}" if said else "it said nothing"
