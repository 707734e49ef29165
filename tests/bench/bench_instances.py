"""Decoding 1024 x 1024 pixels with 900 objects: processor seconds of ImageJ, Python, stardist and cellpose.

python tests/bench/bench_instances.py [--size 1024] [--objects 900] [--runs 2]

The best of the runs counts; ImageJ's kernels are compiled before. stardist (0.9.2) and cellpose (3.1) are measured
where they can be imported. Exits 1 where ImageJ takes more than 3 s, or its labels are not those of Python.
"""

from __future__ import annotations

import argparse
import importlib.util
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


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--objects", type=int, default=900)
    parser.add_argument("--runs", type=int, default=2)
    options = parser.parse_args()
    cases = make_cases(options.size, options.objects)
    seconds, in_imagej = run_imagej(cases, options.runs)
    worst, same = 0.0, True
    print(f"{'':24}{'objects':>9}{'ImageJ':>9}{'Python':>9}{'theirs':>9}  CPU s")
    for name, (declaration, heads) in cases.items():
        parameters = {key: value for key, value in declaration.items() if key != "method"}
        said = Declaration(declaration["method"], ("heads",), parameters)
        ours, labels = timed(lambda said=said, heads=heads: decode(said, heads), options.runs)  # type: ignore[misc]
        theirs = timed_theirs(declaration, heads, options.runs)
        same &= np.array_equal(labels, in_imagej[name])
        others = 0 if theirs is None else int((labels != theirs[1]).sum())
        words = "-" if theirs is None else f"{theirs[0]:.2f}"
        note = f"  {others} pixels differ from theirs" if others else ""
        print(f"{name:24}{len(np.unique(labels)) - 1:9}{seconds[name]:9.2f}{ours:9.2f}{words:>9}{note}")
        worst = max(worst, seconds[name])
    print(f"labels of ImageJ and Python {'identical' if same else 'DIFFER'}")
    print(f"slowest in ImageJ {worst:.2f} s, allowed are {BAR:g}")
    return 0 if same and worst <= BAR else 1


def make_cases(size: int, objects: int) -> dict[str, tuple[dict[str, Any], np.ndarray]]:
    """Declarations and heads (C Y X)."""
    scale = size / np.sqrt(objects)
    case = Case(1, (size, size), objects, (0.26 * scale, 0.44 * scale), prob_thresh=0.4, noise=0.1)
    found = {}
    for grid in (1, 2):
        prob, distances = star_heads(Case(**{**vars(case), "grid": (grid, grid)}))
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


def timed(action: Callable[[], Any], runs: int) -> tuple[float, Any]:
    """The best processor time, and what the action returns."""
    best, result = float("inf"), None
    for _ in range(runs):
        begin = time.process_time()
        result = action()
        best = min(best, time.process_time() - begin)
    return best, result


def timed_theirs(declaration: dict[str, Any], heads: np.ndarray, runs: int) -> tuple[float, np.ndarray] | None:
    """stardist's or cellpose's time and labels; None where they are not installed."""
    library = {"star_convex": "stardist", "flows": "cellpose"}.get(declaration["method"], "")
    if not library or importlib.util.find_spec(library) is None:
        return None
    action = stardist_labels if library == "stardist" else cellpose_labels
    action(declaration, heads[:, :64, :64])  # compiles
    return timed(lambda: action(declaration, heads), runs)


def stardist_labels(declaration: dict[str, Any], heads: np.ndarray) -> np.ndarray:
    """Labels of stardist."""
    from stardist.geometry import polygons_to_label
    from stardist.nms import non_maximum_suppression

    grid = tuple(declaration["grid"])
    points, scores, rays = non_maximum_suppression(
        heads[1:].transpose(1, 2, 0), heads[0], grid=grid, prob_thresh=0.4, nms_thresh=0.4, b=2
    )
    shape = tuple(n * g for n, g in zip(heads.shape[1:], grid, strict=True))
    return np.asarray(polygons_to_label(rays, points, prob=scores, shape=shape))


def cellpose_labels(declaration: dict[str, Any], heads: np.ndarray) -> np.ndarray:
    """Labels of cellpose."""
    from cellpose.dynamics import compute_masks
    from cellpose.utils import fill_holes_and_remove_small_masks

    labels = compute_masks(heads[:2], heads[2], flow_threshold=declaration["flow_thresh"], cellprob_threshold=0.0)
    return np.asarray(fill_holes_and_remove_small_masks(labels, min_size=15).astype(np.int32))


def run_imagej(cases: dict[str, Any], runs: int) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """The best processor time and the labels of each case, from one JVM."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        job = []
        for n, (declaration, heads) in enumerate(cases.values()):
            np.save(folder / f"heads{n}.npy", heads)
            job += [[declaration, str(folder / f"heads{n}.npy"), str(folder / f"labels{n}.npy")]] * (runs + 1)
        (folder / "job.json").write_text(json.dumps({"cases": job}))
        command = [sys.executable, str(TESTS / "hosts" / "instances_probe.py"), str(folder / "job.json")]
        printed = subprocess.run(command, check=True, capture_output=True, text=True, env=_environment()).stdout
        taken = json.loads(printed.splitlines()[-1])["seconds"]
        labels = {name: np.load(folder / f"labels{n}.npy") for n, name in enumerate(cases)}
        best = {name: min(taken[n * (runs + 1) + 1 : (n + 1) * (runs + 1)]) for n, name in enumerate(cases)}
    return best, labels


if __name__ == "__main__":
    sys.exit(main())
