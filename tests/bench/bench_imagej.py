"""ImageJ against Python ONNX Runtime: same model, same threads, 2048 x 2048 pixels.

python tests/bench/bench_imagej.py [--size 2048] [--threads 2] [--runs 5] [--python OTHER_PYTHON]

ImageJ's time is that of one image from file to file in the running worker (opening, statistics, tiling, network,
writing), after a small image has loaded the library and the session; Python's is that of `session.run` alone on the
whole image that is already normalised. Both repeat it in one session: the first time the memory is touched (cold),
of the others the best counts (warm). `--python` names another interpreter for Python's side, for example one with the
onnxruntime of ImageJ's version.
"""

from __future__ import annotations

import argparse
import inspect
import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "hosts"))
from make_packages import make_package

from zooferry.hosts.imagej import Run, run_packages

BAR = 1.05  # of the CPU seconds
HALO = 48  # pixels
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


def python_run(package: Path, image: np.ndarray, *, threads: int, times: int) -> list[dict[str, float]]:
    """Wall and CPU seconds of each `session.run` on Y X float32."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(package / "weights.onnx"), options, providers=["CPUExecutionProvider"])
    session.run(None, {"in": image[None, None, :64, :64]})
    found = []
    for _ in range(times):
        begin, cpu = time.perf_counter(), time.process_time()
        session.run(None, {"in": image[None, None]})
        found.append({"seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - cpu})
    return found


def imagej_run(package: Path, folder: Path, *, threads: int, times: int) -> list[dict[str, float]]:
    """Wall, CPU and inference seconds of one image in headless ImageJ, again and again."""
    images = [folder / "small.tif", *[folder / "image.tif"] * times]
    results = run_packages(
        [Run(package, (image,), folder / f"out{i}") for i, image in enumerate(images)], threads=threads
    )
    if results[1].message:
        raise SystemExit(results[1].message)
    keys = ("seconds", "cpu_seconds", "inference_seconds")
    return [{key: getattr(result, key) for key in keys} for result in results[1:]]


def cold_and_warm(runs: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """The first run, and the best of each number of the others."""
    return {"cold": runs[0], "warm": {key: min(run[key] for run in runs[1:]) for key in runs[0]}}


def other_python(interpreter: str, package: Path, image: np.ndarray, *, threads: int, times: int) -> Any:
    """`python_run` by another interpreter, which needs numpy and onnxruntime only."""
    code = (
        "import json, sys, time\nfrom pathlib import Path\nimport numpy as np\n"
        f"{inspect.getsource(python_run).replace(': Path', '').replace(': np.ndarray', '')}\n"
        "package, image, threads, times = sys.argv[1:]\n"
        "print(json.dumps(python_run(Path(package), np.load(image), threads=int(threads), times=int(times))))"
    )
    np.save(package / "image.npy", image)
    words = [interpreter, "-c", code, str(package), str(package / "image.npy"), str(threads), str(times)]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def main() -> int:
    """Print JSON; exit code 1 if a CPU ratio is above the bar."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--python", metavar="OTHER_PYTHON", default=sys.executable)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        package = make_package(folder / "package", steps=STEPS, network=UNet(), halo=HALO, step=8)
        image = np.random.default_rng(0).poisson(200, (options.size, options.size)).astype(np.uint16)
        tifffile.imwrite(folder / "image.tif", image, imagej=True)
        tifffile.imwrite(folder / "small.tif", image[:64, :64], imagej=True)
        often = {"threads": options.threads, "times": options.runs}
        normalised = (image / 200.0).astype(np.float32)
        python = cold_and_warm(other_python(options.python, package, normalised, **often))
        imagej = cold_and_warm(imagej_run(package, folder, **often))
    report: dict[str, Any] = {"size": options.size, "threads": options.threads, "python": python, "imagej": imagej}
    for state in ("cold", "warm"):
        one, other = imagej[state], python[state]
        report[f"cpu_ratio_{state}"] = one["cpu_seconds"] / other["cpu_seconds"]
        report[f"wall_ratio_{state}"] = one["seconds"] / other["seconds"]
    warm = imagej["warm"]
    report["not_inference_warm"] = 1 - warm["inference_seconds"] / warm["seconds"]
    report |= {"bar": BAR, "passed": max(report["cpu_ratio_cold"], report["cpu_ratio_warm"]) <= BAR}
    print(json.dumps(report, indent=1))
    return 0 if report["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
