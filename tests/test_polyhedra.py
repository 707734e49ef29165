"""Decoding of star-convex polyhedra: objects and labels of stardist 0.9.2 (golden file), and small cases by head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simulated_volumes import VOLUME_CASES, VolumeCase, star_volume

from zooferry.errors import ZooferryError
from zooferry.instances import solids
from zooferry.instances.declaration import Declaration, decode, read_declaration
from zooferry.instances.polyhedra import labels_from_distances, suppress
from zooferry.instances.star_convex import find_candidates
from zooferry.instances.star_targets import volume_rays

GOLDEN = Path(__file__).parent / "golden" / "polyhedra.npz"


def options(case: VolumeCase) -> dict[str, object]:
    return {"grid": case.grid, "prob_thresh": case.prob_thresh, "border": case.border}


@pytest.mark.parametrize("name", VOLUME_CASES)
def test_objects_and_labels_are_those_of_stardist(name: str) -> None:
    case = VOLUME_CASES[name]
    prob, distances = star_volume(case)
    found = find_candidates(prob, distances, **options(case))  # type: ignore[arg-type]
    kept = suppress(found, anisotropy=case.anisotropy, nms_thresh=case.nms_thresh)
    labels = labels_from_distances(
        prob,
        distances,
        anisotropy=case.anisotropy,
        nms_thresh=case.nms_thresh,
        **options(case),  # type: ignore[arg-type]
    )
    with np.load(GOLDEN) as golden:
        np.testing.assert_array_equal(found.points[kept].astype(int), golden[f"points_{name}"].reshape(-1, 3))
        np.testing.assert_array_equal(labels, golden[f"labels_{name}"])
    assert labels.dtype == np.int32


def test_the_golden_file_holds_objects_that_were_suppressed() -> None:
    with np.load(GOLDEN) as golden:
        counts = {name: int(golden[f"labels_{name}"].max()) for name in VOLUME_CASES}
    assert {name for name, count in counts.items() if not count} == {"none"}
    assert sum(counts.values()) > 100
    assert GOLDEN.stat().st_size < 100_000
