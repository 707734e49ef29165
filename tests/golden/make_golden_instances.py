"""Make tests/golden/instances.npz: what stardist 0.9.2 and cellpose 3.1.1.2 make of simulated heads.

    python -m venv scratch && scratch/bin/pip install stardist==0.9.2 cellpose==3.1.1.2
    OMP_NUM_THREADS=1 scratch/bin/python tests/golden/make_golden_instances.py

The heads are computed from seeds by tests/simulated_heads.py, so that only labels are stored. Made with numpy 2.4.6,
scikit-image 0.26.0 and torch 2.15.0 on 21 November 2026.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np
from cellpose.dynamics import compute_masks
from cellpose.utils import fill_holes_and_remove_small_masks
from stardist.geometry import polygons_to_label
from stardist.nms import non_maximum_suppression

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from simulated_heads import FLOW_CASES, STAR_CASES, flow_heads, star_heads  # noqa: E402


def main() -> None:
    """Compute and store."""
    logging.disable(logging.CRITICAL)
    found = {}
    for name, case in STAR_CASES.items():
        prob, distances = star_heads(case)
        options = {"grid": case.grid, "prob_thresh": case.prob_thresh, "nms_thresh": case.nms_thresh, "b": case.border}
        points, scores, rays = non_maximum_suppression(distances.transpose(1, 2, 0), prob, **options)
        shape = tuple(n * g for n, g in zip(prob.shape, case.grid, strict=True))
        found[f"star_{name}"] = polygons_to_label(rays, points, prob=scores, shape=shape).astype(np.uint16)
    for name, case in FLOW_CASES.items():
        cellprob, flows = flow_heads(case)
        options = {"flow_threshold": case.flow_thresh, "cellprob_threshold": case.prob_thresh}
        labels = compute_masks(flows, cellprob, **options)
        found[f"flow_{name}"] = fill_holes_and_remove_small_masks(labels, min_size=case.min_size).astype(np.uint16)
    np.savez_compressed(HERE / "instances.npz", **found)
    print({key: int(labels.max()) for key, labels in found.items()}, (HERE / "instances.npz").stat().st_size)


if __name__ == "__main__":
    main()
