"""Decoding 1024 x 1024 pixels with 900 objects: processor seconds of ImageJ, Python, stardist and cellpose.

python tests/bench/bench_instances.py [--size 1024] [--objects 900] [--runs 3] [--stardist PYTHON] [--cellpose PYTHON]

The best of the runs counts, the first one of each program apart: "cold" holds what it compiles (ImageJ its kernels,
cellpose its functions by numba, unless a cache holds them). stardist 0.9.2 and cellpose 3.1 are measured by the
interpreters that are named, in the same run. Exits 1 where ImageJ takes more than 3 s, Python more than the bars of
`BARS`, or where the labels are not the same.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from simulated_heads import Case, flow_heads, smooth, star_heads  # noqa: E402

from zooferry.hosts.imagej import _environment  # noqa: E402
from zooferry.instances.declaration import Declaration, decode  # noqa: E402

BAR = 3.0  # processor seconds in ImageJ
BARS = {
    "star-convex, grid 2": 0.6,
    "flows, no check": 1.4,
    "flows, checked": 2.7,
}  # in Python, 1024 x 1024, 900 objects
LIBRARIES = {"star_convex": "stardist", "flows": "cellpose"}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--objects", type=int, default=900)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--stardist", help="a Python that has stardist 0.9.2")
    parser.add_argument("--cellpose", help="a Python that has cellpose 3.1")
    options = parser.parse_args()
    cases = make_cases(options.size, options.objects)
    imagej = run_elsewhere(cases, options.runs, [sys.executable, str(TESTS / "hosts" / "instances_probe.py")])
    theirs = {}
    for library in ("stardist", "cellpose"):
        python, mine = getattr(options, library), {}
        if python:
            mine = {name: case for name, case in cases.items() if LIBRARIES.get(case[0]["method"]) == library}
            theirs |= run_elsewhere(mine, options.runs, [python, str(TESTS / "bench" / "peer_decoding.py")])
    print(f"{'CPU s, warm (cold)':24}{'objects':>9}{'ImageJ':>16}{'Python':>16}{'theirs':>16}{'ours/theirs':>13}")
    failed = [
        one for name in cases if (one := compare(name, cases[name], imagej[name], theirs.get(name), options.runs))
    ]
    print("\n".join(failed) or "all labels are the same, all times within the bars")
    return 1 if failed else 0


Times = tuple[float, float, np.ndarray]  # processor seconds warm, cold, and the labels


def compare(name: str, case: Any, imagej: Times, theirs: Times | None, runs: int) -> str:
    """Print a line; what is wrong, or nothing."""
    declaration, heads = case
    said = Declaration(declaration["method"], ("heads",), {k: v for k, v in declaration.items() if k != "method"})
    ours = timed(lambda: decode(said, heads), runs)
    columns = "".join("{:>16}".format(f"{one[0]:.2f} ({one[1]:.2f})" if one else "-") for one in (imagej, ours, theirs))
    ratio = f"{ours[0] / theirs[0]:13.2f}" if theirs else ""
    print(f"{name:24}{len(np.unique(ours[2])) - 1:9}{columns}{ratio}")
    wrong = [f"{name}: {(ours[2] != imagej[2]).sum()} pixels of ImageJ differ"] * bool((ours[2] != imagej[2]).any())
    if theirs and (ours[2] != theirs[2]).any():
        wrong.append(f"{name}: {(ours[2] != theirs[2]).sum()} pixels of {LIBRARIES[declaration['method']]} differ")
    if imagej[0] > BAR:
        wrong.append(f"{name}: ImageJ took {imagej[0]:.2f} s, allowed are {BAR:g}")
    if heads.shape[-1] <= 1024 and ours[0] > BARS.get(name, np.inf):
        wrong.append(f"{name}: Python took {ours[0]:.2f} s, allowed are {BARS[name]:g}")
    return "; ".join(wrong)


def make_cases(size: int, objects: int) -> dict[str, tuple[dict[str, Any], np.ndarray]]:
    """Declarations and heads (C Y X)."""
    scale = size / np.sqrt(objects)
    case = Case(1, (size, size), objects, (0.26 * scale, 0.44 * scale), prob_thresh=0.4, noise=0.1)
    found = {}
    for grid in (1, 2):
        prob, distances = star_heads(Case(**{**vars(case), "grid": (grid, grid)}))
        prob = without_ties(prob)
        declaration = {
            "method": "star_convex",
            "grid": [grid, grid],
            "prob_thresh": 0.4,
            "nms_thresh": 0.4,
            "border": 2,
        }
        found[f"star-convex, grid {grid}"] = (declaration, np.concatenate([prob[None], distances]))
    logit, flows = flow_heads(Case(**{**vars(case), "noise": 0.3}))
    heads = np.concatenate([flows, logit[None]])
    common = {"method": "flows", "prob_thresh": 0.0, "min_size": 15, "steps": 200, "largest": 0.4, "renumber": False}
    found["flows, no check"] = ({**common, "flow_thresh": 0.0}, heads)
    found["flows, checked"] = ({**common, "flow_thresh": 0.4}, heads)
    classes = np.exp(3 * smooth(np.random.default_rng(0), (3, size, size), scale / 6)).astype(np.float32)
    borders = {"method": "borders", "threshold": 0.5, "min_size": 9, "grow": 3}
    found["border classes"] = (borders, classes / classes.sum(axis=0))
    return found


def without_ties(values: np.ndarray) -> np.ndarray:
    """No two alike, in the same order: which one of several goes first stardist leaves to an unstable sort."""
    order = np.argsort(values, axis=None, kind="stable")
    rising = values.ravel()[order]
    while (rising[1:] <= rising[:-1]).any():
        rising[1:] = np.maximum(rising[1:], np.nextafter(rising[:-1], np.float32(np.inf)))
    result = np.empty_like(rising)
    result[order] = rising
    return result.reshape(values.shape)


def timed(action: Callable[[], np.ndarray], runs: int) -> Times:
    """The best of the later calls, the first one, and what the action returns."""
    seconds = []
    for _ in range(runs + 1):
        begin = time.process_time()
        labels = action()
        seconds.append(time.process_time() - begin)
    return min(seconds[1:]), seconds[0], labels


def run_elsewhere(cases: dict[str, Any], runs: int, command: list[str]) -> dict[str, Times]:
    """The same by another process, which gets a job as `hosts/instances_probe.py` takes it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        job = []
        for n, (declaration, heads) in enumerate(cases.values()):
            np.save(folder / f"heads{n}.npy", heads)
            job += [[declaration, str(folder / f"heads{n}.npy"), str(folder / f"labels{n}.npy")]] * (runs + 1)
        (folder / "job.json").write_text(json.dumps({"cases": job}))
        command = [*command, str(folder / "job.json")]
        printed = subprocess.run(command, check=True, capture_output=True, text=True, env=_environment()).stdout
        taken = json.loads(printed.splitlines()[-1])["seconds"]
        labels = [np.load(folder / f"labels{n}.npy") for n in range(len(cases))]
    each = [taken[n * (runs + 1) : (n + 1) * (runs + 1)] for n in range(len(cases))]
    return {name: (min(some[1:]), some[0], found) for name, some, found in zip(cases, each, labels, strict=True)}


if __name__ == "__main__":
    sys.exit(main())
