"""Make tests/golden/flow_volumes.npz: what cellpose 3.1.1.2 makes of simulated flows of volumes.

    python -m venv scratch && scratch/bin/pip install cellpose==3.1.1.2
    OMP_NUM_THREADS=1 scratch/bin/python tests/golden/make_golden_flow_volumes.py

The heads are computed from seeds by tests/simulated_volumes.py, so that only labels are stored. Made on 22 November
2026.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np
from cellpose.dynamics import compute_masks
from cellpose.utils import fill_holes_and_remove_small_masks

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from simulated_volumes import FLOW_VOLUMES, flow_volume  # noqa: E402


def main() -> None:
    """Compute and store."""
    logging.disable(logging.CRITICAL)
    found = {}
    for name, case in FLOW_VOLUMES.items():
        cellprob, flows = flow_volume(case)
        labels = compute_masks(flows, cellprob, cellprob_threshold=case.prob_thresh, do_3D=True)
        found[name] = fill_holes_and_remove_small_masks(labels, min_size=15).astype(np.uint8)
    np.savez_compressed(HERE / "flow_volumes.npz", **found)
    print({key: int(labels.max()) for key, labels in found.items()}, (HERE / "flow_volumes.npz").stat().st_size)


if __name__ == "__main__":
    main()
