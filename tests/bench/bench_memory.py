"""Large images and many runs in a Java virtual machine of 2 GB: peak memory, and whether the numbers stay the same.

python tests/bench/bench_memory.py [--only large|stack|runs] [--side 8192] [--depth 100] [--runs 200]

`large` is one plane of 8192 x 8192 (2D network), `stack` 100 x 1024 x 1024 (3D network), 16 bit: each is restored with
the automatic tile and with small tiles, in processes of their own. `runs` restores one small image again and again in
one process and compares the memory in use after 20, 220 and 420 runs (needs a JDK's jcmd).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "hosts"))
from make_packages import make_package

from zooferry.hosts.imagej import Run, run_packages

HEAP = "-Xmx2g"
TOLERANCE = 1e-4
GROWTH_BAR = 20.0  # MB after 200 runs
FIRST = 20  # runs after which everything is loaded
LAST = 100  # further runs, during which the process is looked at
FIXED_HEAP = 512  # MB
STEPS = {
    "pre": [
        {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
        {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["channel", "y", "x"]}},
    ],
    "post": [{"id": "scale_linear", "kwargs": {"gain": 100.0, "offset": 100.0}}],
}


class Memory:
    """Resident memory of this process's children, sampled while they run (MB)."""

    def __init__(self) -> None:
        self.samples: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            self.samples.append((time.monotonic(), sum(_resident(child) for child in _children(os.getpid()))))

    def peak(self) -> float:
        """The highest sample."""
        return max(megabytes for _, megabytes in self.samples)


def _children(parent: int) -> list[int]:
    path = Path(f"/proc/{parent}/task")
    return [int(child) for task in path.glob("*/children") for child in task.read_text().split()]


def _resident(process: int) -> float:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, IndexError):
        return 0.0  # it has just ended


def restore(package: Path, image: Path, out: Path, *, tile: int | None = None, times: int = 1) -> dict[str, Any]:
    """Seconds, peak MB and the result's path of one JVM that restores an image once or several times."""
    runs = [Run(package, (image,), out / str(i), tile) for i in range(times)]
    ends: list[float] = []
    os.environ.setdefault("JAVA_TOOL_OPTIONS", HEAP)
    begin = time.monotonic()
    with Memory() as memory:
        results = run_packages(runs, on_line=lambda _: ends.append(time.monotonic()))
    problems = [result.message for result in results if result.message]
    if problems:
        raise SystemExit(problems[0])
    return {"seconds": time.monotonic() - begin, "memory": memory, "result": results[-1].result}


def large(folder: Path, dims: int, shape: tuple[int, ...], small_tile: int) -> dict[str, Any]:
    """One image with automatic and with small tiles."""
    package = make_package(folder / "package", dims=dims, steps=_steps(dims))
    rows = np.random.default_rng(0).poisson(200, shape).astype(np.uint16)
    axes = "YX" if dims == 2 else "ZYX"
    tifffile.imwrite(folder / "image.tif", rows, imagej=True, metadata={"axes": axes})
    automatic = restore(package, folder / "image.tif", folder / "automatic")
    small = restore(package, folder / "image.tif", folder / "small", tile=small_tile)
    one, other = (tifffile.memmap(side["result"], mode="r") for side in (automatic, small))
    worst = max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))
    span = float(one.max()) - float(one.min())
    return {
        "shape": shape,
        "seconds": [automatic["seconds"], small["seconds"]],
        "peak_mb": [automatic["memory"].peak(), small["memory"].peak()],
        "worst_difference": worst,
        "range": span,
        "passed": worst <= TOLERANCE * span,
    }


def _steps(dims: int) -> dict[str, list[Any]]:
    if dims == 2:
        return STEPS
    steps = json.loads(json.dumps(STEPS))
    steps["pre"][1]["kwargs"]["axes"] = ["channel", "z", "y", "x"]
    return steps  # type: ignore[no-any-return]


def runs(folder: Path, times: int) -> dict[str, Any]:
    """The same small image again and again: in use after FIRST runs, `times` runs later, and twice as many later.

    In use are the objects that a garbage collection leaves in Java's heap (jcmd) and what is resident outside of the
    heap, whose pages are all touched at the start.
    """
    package = make_package(folder / "package", steps=STEPS)
    image = folder / "image.tif"
    tifffile.imwrite(image, np.random.default_rng(0).poisson(200, (512, 512)).astype(np.uint16), imagej=True)
    found: dict[int, float] = {}
    watcher = threading.Thread(
        target=lambda: found.update(_watch_runs(folder / "out", (FIRST, FIRST + times, FIRST + 2 * times))), daemon=True
    )
    watcher.start()
    os.environ["JAVA_TOOL_OPTIONS"] = f"-Xms{FIXED_HEAP}m -Xmx{FIXED_HEAP}m -XX:+AlwaysPreTouch"
    restore(package, image, folder / "out", times=FIRST + 2 * times + LAST)
    watcher.join(10)
    growth = [found[FIRST + (i + 1) * times] - found[FIRST + i * times] for i in range(2)]
    # the first ones still compile and load classes; a leak would show in the others as well
    return {"runs": times, "in_use_mb": found, "growth_mb": growth, "passed": growth[1] < GROWTH_BAR}


def _watch_runs(out: Path, numbers: tuple[int, ...]) -> dict[int, float]:
    found = {}
    for number in numbers:
        while not any((out / str(number)).glob("image.tif")):
            time.sleep(0.02)
        found[number] = _in_use(_children(os.getpid())[0])
    return found


def _in_use(process: int) -> float:
    for command in ("GC.run", "GC.heap_info"):
        words = subprocess.run(["jcmd", str(process), command], capture_output=True, text=True, check=True).stdout
    used = re.search(r"used (\d+)K", words)
    assert used, words
    return _resident(process) - FIXED_HEAP + int(used[1]) / 1024


def main() -> int:
    """Print JSON; exit code 1 if a bar is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=("large", "stack", "runs"))
    parser.add_argument("--side", type=int, default=8192)
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--runs", type=int, default=200)
    options = parser.parse_args()
    plane = (options.side, options.side)
    stack = (options.depth, options.side // 8, options.side // 8)
    tests: dict[str, Callable[[Path], dict[str, Any]]] = {
        "large": lambda folder: large(folder, 2, plane, 512),
        "stack": lambda folder: large(folder, 3, stack, 64),
        "runs": lambda folder: runs(folder, options.runs),
    }
    report = {}
    for name, measure in tests.items():
        if options.only in (None, name):
            with tempfile.TemporaryDirectory() as scratch:
                report[name] = measure(Path(scratch))
    print(json.dumps({"heap": HEAP, **report}, indent=1))
    return 0 if all(part["passed"] for part in report.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
