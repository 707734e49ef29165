"""CARE on real pairs within 360 CPU seconds: NRMSE and SSIM of every held-out image, beside the classical filters.

    python tests/bench/bench_care.py --data restoration_gigadb [--steps 5000] [--set key=value ...]

The folder holds train and val, each with noisy and clean (GigaDB 100888, Hagen et al. 2021). Trains with the settings
below, scores with `zooferry evaluate --baselines`, prints a table and JSON; exit code 1 where a bar is missed: mean
NRMSE at most 0.0280, mean SSIM at least 0.82, at most 360 CPU seconds of training.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from zooferry.baselines import BaselineChoice
from zooferry.evaluation import evaluate_model
from zooferry.evaluation_tables import metrics, score_table
from zooferry.runs import train_method
from zooferry.settings import read_settings

BARS = {"NRMSE": 0.0280, "SSIM": 0.82, "CPU seconds": 360.0}
SETTINGS = {"match": "gain", "low": 20.0, "width": 24, "batch": 8, "validate_every": 250, "precision": "bf16-mixed"}


def main() -> int:
    """Train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4700)
    parser.add_argument("--set", action="append", default=[], dest="assignments")
    options = parser.parse_args()
    train, val = (options.data / part for part in ("train", "val"))
    values = SETTINGS | {"steps": options.steps} | read_settings(None, options.assignments)
    with tempfile.TemporaryDirectory() as folder:
        before = time.process_time()
        train_method(
            "care", Path(folder) / "run", images=train / "noisy", targets=train / "clean", values=values,
            seconds=None, resume=False, say=lambda line: print(line, file=sys.stderr),
        )  # fmt: skip
        seconds = time.process_time() - before
        report = evaluate_model(
            Path(folder) / "run", val / "noisy", val / "clean", Path(folder) / "scores",
            say=lambda _: None, baselines=BaselineChoice(),
        )  # fmt: skip
    found = metrics(report)
    print(score_table(report))
    for name, scores in found["images"].items():
        print(f"{name:36} {scores['restored']['NRMSE']:.4f} {scores['restored']['SSIM']:.4f}")
    mean = found["mean"]["restored"]
    print(json.dumps({"NRMSE": mean["NRMSE"], "SSIM": mean["SSIM"], "CPU seconds": seconds, "bars": BARS}))
    passed = mean["NRMSE"] <= BARS["NRMSE"] and mean["SSIM"] >= BARS["SSIM"] and seconds <= BARS["CPU seconds"]
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
