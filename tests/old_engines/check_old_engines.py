"""Run a package's weights in the engines that deepImageJ's correspond to: ONNX Runtime 1.15 and torch 2.0.

    python tests/old_engines/check_old_engines.py care.zip [n2v.zip ...]

It makes an environment of its own (Python 3.8-3.11, some minutes, 3 GB), so it is no part of `make test`. The same
normalised random batches go through today's engines here and the old ones there; the largest difference is printed.
Exit code 1 if one exceeds 1e-4 + 1e-4 |expected|.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np

from zooferry.comparison import compare
from zooferry.engines import load_torchscript
from zooferry.package import OpenPackage, open_package

OLD = ("onnxruntime==1.15.1", "torch==2.0.1", "numpy<2")
CHILD = """
import sys, numpy, onnxruntime, torch
folder, onnx, script, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
module = torch.jit.load(script)
for i in range(count):
    batch = numpy.load("%s/in%d.npy" % (folder, i))
    numpy.save("%s/onnx%d.npy" % (folder, i), session.run(None, {session.get_inputs()[0].name: batch})[0])
    with torch.no_grad():
        numpy.save("%s/torchscript%d.npy" % (folder, i), module(torch.from_numpy(batch)).numpy())
print(onnxruntime.__version__, torch.__version__)
"""


def make_environment(folder: Path) -> Path:
    """An environment with the old engines; its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *OLD], check=True)
    return python


def check(package: OpenPackage, python: Path, scratch: Path) -> bool:
    """Compare on three sizes and two batches; prints one line per engine."""
    raw = package.inputs[0]
    sizes = [tuple(s["min"] + n * s["step"] for s in raw.sizes[2:]) for n in (0, 1, 4)]
    shapes = [(batch, raw.sizes[1], *size) for batch in (1, 2) for size in sizes]
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    for number, batch in enumerate(batches):
        np.save(scratch / f"in{number}.npy", batch)
    files = [str(package.weights[kind]) for kind in ("onnx", "torchscript")]
    command = [str(python), "-c", CHILD, str(scratch), *files, str(len(batches))]
    versions = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    today = load_torchscript(package.weights["torchscript"])
    good = True
    for engine, version in zip(("onnx", "torchscript"), versions.split(), strict=True):
        verdicts = [
            compare(np.load(scratch / f"{engine}{i}.npy"), today([batch])[0], name=engine)
            for i, batch in enumerate(batches)
        ]
        good &= all(v.passed for v in verdicts)
        worst = max(v.max_abs for v in verdicts)
        print(
            f"{package.name}: {engine} in {version}: {'passed' if good else 'FAILED'}, largest difference {worst:.1e}"
        )
    return good


def main() -> int:
    """Make the environment and check every package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        python = make_environment(Path(folder) / "old")
        good = True
        for path in options.packages:
            scratch = Path(folder) / path.stem
            scratch.mkdir()
            with open_package(path) as package:
                good &= check(package, python, scratch)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
