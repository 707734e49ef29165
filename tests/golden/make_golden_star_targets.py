"""Make tests/golden/star_targets.npz: what stardist 0.9.2 wants a network to learn from simulated labels.

    python -m venv scratch && scratch/bin/pip install stardist==0.9.2
    scratch/bin/python tests/golden/make_golden_star_targets.py

The labels are computed from seeds by tests/simulated_heads.py. Made with numpy 2.4.6, without the package edt (then
stardist takes scipy's distance transform), on 21 November 2026.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from stardist import Rays_GoldenSpiral
from stardist.geometry import star_dist, star_dist3D
from stardist.utils import edt_prob

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from simulated_heads import TARGET_CASES, TARGET_RAYS, label_volume, target_labels  # noqa: E402


def main() -> None:
    """Compute and store."""
    found = {}
    for name, (_, grid) in TARGET_CASES.items():
        labels = target_labels(name).astype(np.uint16)
        found[f"{name}_distances"] = np.moveaxis(star_dist(labels, TARGET_RAYS, grid=grid), -1, 0)
        found[f"{name}_prob"] = edt_prob(labels)
    volume = label_volume().astype(np.uint16)
    rays = Rays_GoldenSpiral(TARGET_RAYS, anisotropy=(2, 1, 1))
    found["volume_rays"] = rays.vertices
    found["volume_distances"] = np.moveaxis(star_dist3D(volume, rays, grid=(1, 2, 2)), -1, 0)
    found["volume_prob"] = edt_prob(volume, anisotropy=(2, 1, 1))
    np.savez_compressed(HERE / "star_targets.npz", **found)
    print({key: array.shape for key, array in found.items()}, (HERE / "star_targets.npz").stat().st_size)


if __name__ == "__main__":
    main()
