"""ImageJ against Python ONNX Runtime: same model, same threads, 2048 x 2048 pixels.

python tests/bench/bench_imagej.py [--size 2048] [--threads 2] [--runs 3]

ImageJ's time is that of one image from file to file in the running worker (opening, statistics, tiling, network,
writing), after a small image has loaded the library and the session; Python's is that of `session.run` alone on the
image that is already normalised, whole and in ImageJ's tiles. The best of the runs counts; the sides take turns.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "hosts"))
import itertools

from make_packages import make_package

from zooferry.hosts.imagej import run_images
from zooferry.prediction import plan_tiles

BAR = 1.10
HALO = 48  # pixels
AUTOMATIC = 1072  # what ImageJ chooses for 2048 pixels and this halo
STEPS = {
    "pre": [
        {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
        {
            "id": "scale_range",
            "kwargs": {"axes": ["channel", "y", "x"], "min_percentile": 3.0, "max_percentile": 99.8},
        },
    ],
    "post": [{"id": "scale_linear", "kwargs": {"gain": 1000.0, "offset": 100.0}}],
}


class UNet(nn.Module):
    """Four levels, 24 to 192 features, 1.08 M parameters: the size of a usual restoration network."""

    def __init__(self, features: tuple[int, ...] = (24, 48, 96, 192)) -> None:
        super().__init__()
        widths = [1, *features]
        self.down = nn.ModuleList(_twice(a, b) for a, b in itertools.pairwise(widths))
        pairs = list(itertools.pairwise(features))
        self.up = nn.ModuleList(_twice(a + b, a) for a, b in pairs)
        self.last = nn.Conv2d(features[0], 1, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """B 1 Y X -> B 1 Y X."""
        skips = []
        for level, block in enumerate(self.down):
            image = block(nn.functional.max_pool2d(image, 2) if level else image)
            skips.append(image)
        for level in reversed(range(len(self.up))):
            larger = nn.functional.interpolate(image, scale_factor=2.0, mode="nearest")
            image = self.up[level](torch.cat([skips[level], larger], 1))
        return self.last(image)


def _twice(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.Conv2d(after, after, 3, padding=1), nn.ReLU()
    )


def python_run(package: Path, image: np.ndarray, *, threads: int, tile: int | None = None) -> dict[str, float]:
    """Wall and CPU seconds of `session.run` on Y X float32: once, or once for each tile."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(package / "weights.onnx"), options, providers=["CPUExecutionProvider"])
    session.run(None, {"in": image[None, None, :64, :64]})
    begin, cpu = time.perf_counter(), time.process_time()
    side = tile or image.shape[0]
    starts = [start for start, _, _ in plan_tiles(image.shape[0], side, HALO, 8)]
    for y, x in itertools.product(starts, starts):
        session.run(None, {"in": np.ascontiguousarray(image[None, None, y : y + side, x : x + side])})
    return {"seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - cpu}


def imagej_run(package: Path, folder: Path, *, threads: int, tile: int | None) -> dict[str, float]:
    """Wall, CPU and inference seconds of one image in headless ImageJ."""
    results = run_images(
        package, [folder / "small.tif", folder / "image.tif"], folder / "out", tile=tile, threads=threads
    )
    if results[1].message:
        raise SystemExit(results[1].message)
    return {
        "seconds": results[1].seconds,
        "cpu_seconds": results[1].cpu_seconds,
        "inference_seconds": results[1].inference_seconds,
    }


def best(runs: list[dict[str, float]]) -> dict[str, float]:
    """The smallest of each number."""
    return {key: min(run[key] for run in runs) for key in runs[0]}


def main() -> int:
    """Print JSON; exit code 1 if the wall ratio is above the bar."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tile", type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        package = make_package(folder / "package", steps=STEPS, network=UNet(), halo=HALO, step=8)
        image = np.random.default_rng(0).poisson(200, (options.size, options.size)).astype(np.uint16)
        tifffile.imwrite(folder / "image.tif", image, imagej=True)
        tifffile.imwrite(folder / "small.tif", image[:64, :64], imagej=True)
        normalised = (image / 200.0).astype(np.float32)
        python, tiled, imagej = [], [], []
        for _ in range(options.runs):
            python.append(python_run(package, normalised, threads=options.threads))
            tiled.append(python_run(package, normalised, threads=options.threads, tile=options.tile or AUTOMATIC))
            imagej.append(imagej_run(package, folder, threads=options.threads, tile=options.tile))
    best_python, best_tiled, best_imagej = best(python), best(tiled), best(imagej)
    ratio = best_imagej["seconds"] / best_python["seconds"]
    report = {
        "size": options.size,
        "threads": options.threads,
        "python": best_python,
        "python_same_tiles": best_tiled,
        "imagej": best_imagej,
        "wall_ratio": ratio,
        "cpu_ratio": best_imagej["cpu_seconds"] / best_python["cpu_seconds"],
        "wall_ratio_same_tiles": best_imagej["seconds"] / best_tiled["seconds"],
        "cpu_ratio_same_tiles": best_imagej["cpu_seconds"] / best_tiled["cpu_seconds"],
        "not_inference": 1 - best_imagej["inference_seconds"] / best_imagej["seconds"],
        "bar": BAR,
        "passed": ratio <= BAR,
    }
    print(json.dumps(report, indent=1))
    return 0 if report["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
