"""Child process of bench_instances.py: stardist's and cellpose's labels of stored heads, where they are installed.

PYTHON tests/bench/peer_decoding.py job.json: as tests/hosts/instances_probe.py. Needs nothing of ours.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def stardist_labels(declaration: dict[str, Any], heads: np.ndarray) -> np.ndarray:
    """Labels of stardist."""
    from stardist.geometry import polygons_to_label
    from stardist.nms import non_maximum_suppression

    grid = tuple(declaration["grid"])
    thresholds = {"prob_thresh": declaration["prob_thresh"], "nms_thresh": declaration["nms_thresh"]}
    distances = heads[1:].transpose(1, 2, 0)
    points, scores, rays = non_maximum_suppression(
        distances, heads[0], grid=grid, b=declaration["border"], **thresholds
    )
    shape = tuple(n * g for n, g in zip(heads.shape[1:], grid, strict=True))
    return np.asarray(polygons_to_label(rays, points, prob=scores, shape=shape))


def cellpose_labels(declaration: dict[str, Any], heads: np.ndarray) -> np.ndarray:
    """Labels of cellpose."""
    from cellpose.dynamics import compute_masks
    from cellpose.utils import fill_holes_and_remove_small_masks

    labels = compute_masks(heads[:2], heads[2], flow_threshold=declaration["flow_thresh"], cellprob_threshold=0.0)
    return np.asarray(fill_holes_and_remove_small_masks(labels, min_size=15).astype(np.int32))


def main() -> None:
    """Run the job."""
    seconds = []
    for declaration, heads_file, labels_file in json.loads(Path(sys.argv[1]).read_text())["cases"]:
        heads = np.load(heads_file)
        if declaration["method"] == "star_convex":
            import stardist.nms  # noqa: F401, its import is not what is measured

            action = stardist_labels
        else:
            import cellpose.dynamics  # noqa: F401

            action = cellpose_labels
        begin = time.process_time()
        labels = action(declaration, heads)
        seconds.append(time.process_time() - begin)
        np.save(labels_file, labels)
    print("\n" + json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
