"""Noise2Void against CAREamics 0.3.5: CPU seconds to the quality at which its defaults level off, and tiled prediction.

    python tests/bench/bench_n2v.py --data DIR

DIR holds micro_{noisy,clean}_512.npy and micro_noisy_1024.npy (nuclei and filaments, 40 photons, read noise 3).
CAREamics' defaults, measured on two cores: 31.7 dB affine PSNR after about 60 process CPU seconds (from 22.2 dB).
Prints JSON; exit code 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

import numpy as np

from zooferry import axes
from zooferry.images import write_image
from zooferry.normalization import apply_operations
from zooferry.prediction import plan_tiles, predict
from zooferry.runs import train_method
from zooferry.trained import open_run

WANTED_DB, ALLOWED_CPU_SECONDS, ALLOWED_RATIO = 31.7, 60.0, 1.15


def affine_psnr(clean: np.ndarray, image: np.ndarray) -> float:
    """PSNR in dB after the least-squares line to the clean image; the data range is the clean image's."""
    clean, image = clean.astype(np.float64), image.astype(np.float64)
    slope, offset = np.polyfit(image.ravel(), clean.ravel(), 1)
    error = np.mean((clean - slope * image - offset) ** 2)
    return float(10 * np.log10(np.ptp(clean) ** 2 / error))


def train(data: Path, run: Path, steps: int) -> float:
    """Train on the one noisy image; process CPU seconds of it all, reading and writing included."""
    noisy = np.load(data / "micro_noisy_512.npy")
    write_image(run.parent / "images" / "micro.tif", axes.label_axes(noisy, "yx"))
    before = time.process_time()
    train_method(
        "n2v", run, images=run.parent / "images", targets=None, values={"steps": steps}, seconds=None, resume=False,
        say=lambda _: None,
    )  # fmt: skip
    return time.process_time() - before


def tiled_against_bare(data: Path, run: Path, repeats: int) -> dict[str, float]:
    """CPU seconds of predicting 1024 x 1024 pixels, raw to raw, over those of the bare forward passes.

    ``automatic`` is what a user gets, against one pass over the whole image; ``tiled`` is in tiles of 512, against
    bare passes over tiles of that size.
    """
    model = open_run(run)
    image = np.load(data / "micro_noisy_1024.npy")[np.newaxis]
    whole = apply_operations(model.preprocessing, image[np.newaxis], model.axes)
    plan = plan_tiles(1024, 512, model.halo[0], model.step[0])
    tiles = [np.ascontiguousarray(whole[..., y : y + 512, x : x + 512]) for y, _, _ in plan for x, _, _ in plan]
    predict(model, image)
    found: dict[str, list[float]] = {"automatic": [], "tiled": []}
    for _ in range(repeats):
        found["automatic"].append(cpu(lambda: predict(model, image)) / cpu(lambda: model.network(whole)))
        bare = cpu(lambda: [model.network(tile) for tile in tiles])
        found["tiled"].append(cpu(lambda: predict(model, image, tile=512)) / bare)
    return {name: round(float(np.median(ratios)), 3) for name, ratios in found.items()}


def cpu(call: Callable[[], object]) -> float:
    """Process CPU seconds of a call."""
    before = time.process_time()
    call()
    return time.process_time() - before


def main() -> int:
    """Run both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        seconds = train(options.data, run, options.steps)
        clean, noisy = (np.load(options.data / f"micro_{role}_512.npy") for role in ("clean", "noisy"))
        restored = predict(open_run(run), noisy[np.newaxis])[0]
        found = {
            "steps": options.steps,
            "train_cpu_s": round(seconds, 1),
            "psnr_noisy": round(affine_psnr(clean, noisy), 2),
            "psnr_restored": round(affine_psnr(clean, restored), 2),
            "prediction": tiled_against_bare(options.data, run, options.repeats),
        }
    print(json.dumps(found))
    good = found["psnr_restored"] >= WANTED_DB and seconds <= ALLOWED_CPU_SECONDS
    return 0 if good and max(found["prediction"].values()) <= ALLOWED_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
