"""Isotropic restoration against interpolation and Richardson-Lucy, on volumes that were isotropic before.

    python tests/bench/bench_isotropic.py [--data DIR] [--seconds 120]

Every volume (TIFFs in DIR, all voxels taken for cubic; without DIR simulated ones) is blurred along z, loses three of
four slices and gets camera noise (`zooferry degrade`). The network is trained on what is left of them, without targets.
Richardson-Lucy gets the true kernel, the cubic interpolation, and the number of iterations that is best for the very
volume. Prints a table of means: SSIM over the slices and over the sections z-x, NRMSE, isotropy ratio. Exit code 1 if
ours is not the best in SSIM, or its isotropy ratio is not nearer to the truth's than that of the others.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

import numpy as np
from scipy import ndimage

from zooferry import axes
from zooferry.axial import gaussian_kernel
from zooferry.degraded_pairs import write_degraded
from zooferry.images import list_images, read_image, write_image
from zooferry.methods.classical import richardson_lucy
from zooferry.metrics import score
from zooferry.optics import Optics
from zooferry.prediction import predict
from zooferry.runs import train_method
from zooferry.simulation import AcquisitionSettings, default_settings, simulate
from zooferry.spectrum import isotropy_ratio
from zooferry.trained import open_run

PIXEL_UM = 0.1
ITERATIONS = (1, 2, 3, 5, 8, 12, 20, 35, 60)
COLUMNS = ("SSIM", "SSIM z-x", "NRMSE", "isotropy")


def write_truth(data: Path | None, folder: Path) -> None:
    """Volumes with cubic voxels of 0.1 um."""
    if data is None:
        cells = default_settings(3).cells
        settings = AcquisitionSettings(
            (64, 128, 128), (PIXEL_UM,) * 3, train=3, validation=0, photons=1000, cells=cells,
            optics=Optics("confocal", pinhole_airy=0.5),
        )  # fmt: skip
        volumes = {f"simulated_{i}": found.clean for i, found in enumerate(simulate(settings, seed=0))}
    else:
        volumes = {path.stem: read_image(path).squeeze(drop=True).values for path in list_images(data)}
    for name, volume in volumes.items():
        image = axes.label_axes(volume.astype(np.float32), "zyx")
        image.attrs.update(pixel_size=dict.fromkeys("zyx", PIXEL_UM), unit="micrometer")
        write_image(folder / f"{name}.tif", image)


def cubic(coarse: np.ndarray, factor: int) -> np.ndarray:
    """Cubic interpolation along z (scipy), slice i at ``i * factor + factor // 2``."""
    shape = (len(coarse) * factor, *coarse.shape[1:])
    offset = (-(factor // 2) / factor, 0, 0)
    scale = [1 / factor, 1, 1]
    found = ndimage.affine_transform(coarse.astype(np.float64), scale, offset, shape, order=3, mode="nearest")
    return np.asarray(found, np.float32)


def best_richardson_lucy(interpolated: np.ndarray, clean: np.ndarray, sigma: float) -> tuple[np.ndarray, int]:
    """The one whose SSIM is best for this very volume, and its iterations."""
    kernel = gaussian_kernel(sigma)[:, None, None]
    found = [(richardson_lucy(interpolated, kernel, n), n) for n in ITERATIONS]
    return max(found, key=lambda one: score(one[0], clean).ssim)


def scores(found: np.ndarray, clean: np.ndarray) -> tuple[float, ...]:
    """In the order of `COLUMNS`."""
    whole, sections = score(found, clean), score(found.swapaxes(0, 1), clean.swapaxes(0, 1))
    return whole.ssim, sections.ssim, whole.nrmse, isotropy_ratio(found)


def main() -> int:
    """Make the volumes, train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, help="keep the run and the volumes there")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--sigma", type=float, default=2.0, help="of the blur along z, in voxels")
    parser.add_argument("--factor", type=int, default=4)
    parser.add_argument("--photons", type=float, default=300.0)
    parser.add_argument("--set", action="append", default=[], help="of the training, such as noise=1")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        return bench(options.out or Path(scratch), options)


def bench(folder: Path, options: argparse.Namespace) -> int:
    """All of it, in a folder."""
    from zooferry.settings import read_settings

    write_truth(options.data, folder / "truth")
    psf = {"kind": "gaussian", "sigma_um": {"z": options.sigma * PIXEL_UM, "y": 0.0, "x": 0.0}}
    degradation = {"photons": options.photons, "psf": psf, "downsample": {"z": options.factor}, "same_size": False}
    write_degraded(folder / "truth", folder / "pairs", degradation, seed=0, say=lambda _: None)
    values = {"psf": psf, "steps": 0, "patch": 64} | read_settings(None, options.set)
    before = time.process_time()
    train_method(
        "isotropic", folder / "run", images=folder / "pairs" / "noisy", targets=None, values=values,
        seconds=options.seconds, resume=False, say=print,
    )  # fmt: skip
    print(f"trained for {time.process_time() - before:.0f} CPU s")
    model = open_run(folder / "run")
    rows: dict[str, list[tuple[float, ...]]] = {}
    for path in list_images(folder / "pairs" / "noisy"):
        coarse, clean = (read_image(folder / "pairs" / role / path.name).values for role in ("noisy", "clean"))
        smooth = cubic(coarse, options.factor)
        deconvolved, iterations = best_richardson_lucy(smooth, clean, options.sigma)
        ours = predict(model, coarse[np.newaxis])[0]
        print(f"{path.name}: Richardson-Lucy of {iterations} iterations")
        candidates = {"cubic": smooth, "Richardson-Lucy": deconvolved, "isotropic": ours, "truth": clean}
        for name, volume in candidates.items():
            rows.setdefault(name, []).append(scores(volume, clean))
            write_image(folder / "candidates" / f"{path.stem}_{name}.tif", axes.label_axes(volume, "zyx"))
    means = {name: np.mean(found, axis=0) for name, found in rows.items()}
    print(f"{'mean of ' + str(len(rows['truth'])):16} " + " ".join(f"{c:>9}" for c in COLUMNS))
    for name, found in means.items():
        print(f"{name:16} " + " ".join(f"{value:9.4f}" for value in found))
    others = [means[name] for name in ("cubic", "Richardson-Lucy")]
    ours = means["isotropic"]
    sharper = [abs(math.log(row[3] / means["truth"][3])) for row in (ours, *others)]
    return 0 if all(ours[0] > row[0] for row in others) and sharper[0] < min(sharper[1:]) else 1


if __name__ == "__main__":
    sys.exit(main())
