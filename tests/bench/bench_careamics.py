"""CARE against CAREamics, the same network size: training patches and predicted megapixels per CPU second.

    python tests/bench/bench_careamics.py --python PYTHON_WITH_CAREAMICS [--steps 60] [--threads 2]

Both train on the same simulated pair of 2048 x 2048 pixels with batches of 8 patches of 64 x 64 and a U-Net of two
halvings and 32 features (parameters are printed), in turns, two times each. A step's CPU seconds are those of a long
run less those of a short one, so that start and building do not count; CAREamics loads its data without further
processes, so that all of its CPU seconds are seen. Prediction is of 1024 x 1024 pixels, by each program's public
call; for CAREamics the better one of tiles of 256 with an overlap of 48 and the untiled image counts. Prints JSON;
exit code 1 where a bar (training 1.0, prediction 1.2) is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

import numpy as np
import torch

BATCH, PATCH, SIDE, PREDICTED = 8, 64, 2048, 1024  # CAREamics' epochs end when all patches of the image were seen
BARS = {"training": 1.0, "prediction": 1.2}


def cpu(call: Callable[[], object]) -> float:
    """Process CPU seconds of a call."""
    before = time.process_time()
    call()
    return time.process_time() - before


def ours(folder: Path, steps: int) -> dict[str, float]:
    """Patches and megapixels per CPU second of zooferry."""
    from zooferry.prediction import predict
    from zooferry.runs import train_method
    from zooferry.trained import open_run

    values = {"batch": BATCH, "patch": PATCH, "width": 32, "depth": 2, "validate_every": 10**6}

    def train(count: int) -> None:
        train_method(
            "care", folder / f"run{count}", images=folder / "noisy", targets=folder / "clean",
            values=values | {"steps": count}, seconds=None, resume=False, say=lambda _: None,
        )  # fmt: skip

    short, long = (cpu(lambda count=count: train(count)) for count in (steps // 3, steps))
    model = open_run(folder / f"run{steps}")
    image = np.load(folder / "noisy.npy")[np.newaxis, :PREDICTED, :PREDICTED]
    predict(model, image)
    weights = torch.load(folder / f"run{steps}" / "best.pt", weights_only=True)
    return {
        "parameters": sum(w.numel() for w in weights.values()),
        "patches_per_cpu_s": BATCH * (steps - steps // 3) / (long - short),
        "mpx_per_cpu_s": image.size / 1e6 / min(cpu(lambda: predict(model, image)) for _ in range(3)),
    }


def theirs(folder: Path, steps: int) -> dict[str, float]:
    """Patches and megapixels per CPU second of CAREamics."""
    from careamics.careamist import CAREamist
    from careamics.config.factories import create_care_config
    from lightning.pytorch.callbacks import Callback

    noisy, clean = np.load(folder / "noisy.npy"), np.load(folder / "clean.npy")

    def build(count: int, counted: Callback) -> CAREamist:
        config = create_care_config(
            experiment_name="bench", data_type="array", axes="YX", patch_size=[PATCH, PATCH], batch_size=BATCH,
            num_epochs=1, num_steps=count,
        )  # fmt: skip
        for name in ("train_dataloader_params", "val_dataloader_params", "pred_dataloader_params"):
            parameters = {**getattr(config.data_config, name), "num_workers": 0}
            parameters.pop("persistent_workers", None)
            setattr(config.data_config, name, parameters)
        config.training_config.trainer_params["accelerator"] = "cpu"
        return CAREamist(config, work_dir=folder / f"theirs{count}", callbacks=[counted], enable_progress_bar=False)

    class Count(Callback):
        steps = 0

        def on_train_batch_end(self, *_: object) -> None:
            self.steps += 1

    found = []
    for count in (steps // 3, steps):
        counted = Count()
        model = build(count, counted)
        found.append(cpu(lambda model=model: model.train(train_data=noisy, train_data_target=clean)))
        if counted.steps != count:
            raise SystemExit(f"CAREamics made {counted.steps} steps instead of {count}")
    image = noisy[:PREDICTED, :PREDICTED]

    def predict(**tiles: tuple[int, int]) -> float:
        return min(cpu(lambda: model.predict(image, batch_size=1, **tiles)) for _ in range(3))

    return {
        "parameters": sum(p.numel() for p in model.model.parameters()),
        "patches_per_cpu_s": BATCH * (steps - steps // 3) / (found[1] - found[0]),
        "mpx_per_cpu_s": image.size / 1e6 / predict(),
        "mpx_per_cpu_s_tiled": image.size / 1e6 / predict(tile_size=(256, 256), tile_overlap=(48, 48)),
    }


def make_pair(folder: Path) -> None:
    """A clean field and a noisy one, as arrays and as TIFFs."""
    import tifffile

    rng = np.random.default_rng(0)
    from scipy.ndimage import gaussian_filter

    clean = gaussian_filter(rng.random((SIDE, SIDE)) ** 8, 2.5)
    clean = (100 + 900 * clean / clean.max()).astype(np.float32)
    noisy = rng.poisson(clean / 20).astype(np.float32) * 20
    for name, image in (("noisy", noisy), ("clean", clean)):
        np.save(folder / f"{name}.npy", image)
        (folder / name).mkdir()
        tifffile.imwrite(folder / name / "a.tif", image, imagej=True)


def one(side: str, interpreter: str, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """One side's figures, in a process of its own."""
    words = [interpreter, __file__, "--side", side, "--folder", str(folder)]
    words += ["--steps", str(options.steps), "--threads", str(options.threads)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Run both sides in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="interpreter with CAREamics")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.side:
        print(json.dumps({"ours": ours, "theirs": theirs}[options.side](options.folder, options.steps)))
        return 0
    rounds: dict[str, list[dict[str, float]]] = {"ours": [], "theirs": []}
    for _ in range(2):
        for side, interpreter in (("ours", sys.executable), ("theirs", options.python)):
            with tempfile.TemporaryDirectory() as scratch:
                make_pair(Path(scratch))
                rounds[side].append(one(side, interpreter, Path(scratch), options))
    best = {side: {key: max(found[key] for found in rounds[side]) for key in rounds[side][0]} for side in rounds}
    predicted = max(best["theirs"]["mpx_per_cpu_s"], best["theirs"]["mpx_per_cpu_s_tiled"])
    ratios = {
        "training": best["ours"]["patches_per_cpu_s"] / best["theirs"]["patches_per_cpu_s"],
        "prediction": best["ours"]["mpx_per_cpu_s"] / predicted,
    }
    print(json.dumps(best | {"ratios": ratios, "bars": BARS}, indent=1))
    return 0 if all(ratios[key] >= bar for key, bar in BARS.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
