"""Make tests/golden/polyhedra.npz: what stardist 0.9.2 makes of simulated heads of volumes.

    python -m venv scratch && scratch/bin/pip install stardist==0.9.2
    OMP_NUM_THREADS=1 scratch/bin/python tests/golden/make_golden_polyhedra.py

The heads are computed from seeds by tests/simulated_volumes.py, so that only labels and the points of the objects that
were kept are stored. One thread: with several, stardist's mean box of the candidates depends on their order. Made with
numpy 2.4.6 and scipy 1.17.1 on 21 November 2026.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from stardist import Rays_GoldenSpiral
from stardist.geometry import polyhedron_to_label
from stardist.matching import relabel_sequential
from stardist.nms import non_maximum_suppression_3d

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from simulated_volumes import VOLUME_CASES, star_volume  # noqa: E402


def main() -> None:
    """Compute and store."""
    found = {}
    for name, case in VOLUME_CASES.items():
        prob, distances = star_volume(case)
        rays = Rays_GoldenSpiral(case.rays, anisotropy=case.anisotropy)
        options = {"grid": case.grid, "prob_thresh": case.prob_thresh, "nms_thresh": case.nms_thresh, "b": case.border}
        points, scores, kept = non_maximum_suppression_3d(distances.transpose(1, 2, 3, 0), prob, rays, **options)
        shape = tuple(n * g for n, g in zip(prob.shape, case.grid, strict=True))
        labels = polyhedron_to_label(kept, points, rays, shape, prob=scores, verbose=False)
        found[f"labels_{name}"] = relabel_sequential(labels)[0].astype(np.uint8)
        found[f"points_{name}"] = points.astype(np.uint8)
    np.savez_compressed(HERE / "polyhedra.npz", **found)
    size = (HERE / "polyhedra.npz").stat().st_size
    print({key: int(labels.max()) for key, labels in found.items() if key.startswith("labels")}, size)


if __name__ == "__main__":
    main()
