"""Decoding of flows of volumes: labels of cellpose 3.1.1.2 (golden file), and small cases by head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simulated_volumes import FLOW_VOLUMES, flow_volume

from zooferry.instances.flows_volume import labels_from_flows

GOLDEN = Path(__file__).parent / "golden" / "flow_volumes.npz"


@pytest.mark.parametrize("name", FLOW_VOLUMES)
def test_labels_are_those_of_cellpose(name: str) -> None:
    case = FLOW_VOLUMES[name]
    labels = labels_from_flows(*flow_volume(case), prob_thresh=case.prob_thresh)
    assert labels.dtype == np.int32
    with np.load(GOLDEN) as golden:
        np.testing.assert_array_equal(labels, golden[name])
        assert (golden[name].max() > 2) == (name != "none")
