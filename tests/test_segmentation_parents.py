"""Packages with a label step are parents too: their network's outputs are in one, its weights are the method's own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from zooferry import transfer
from zooferry.architectures import ARCHITECTURES, name_of
from zooferry.methods import stardist
from zooferry.settings import build_settings

STAR = {"in_channels": 1, "dims": 2, "width": 4, "depth": 2, "rays": 8, "grid": 2}
FLOW = {"in_channels": 1, "dims": 2, "width": 4, "depth": 2}


@pytest.mark.parametrize(("name", "arguments"), [("StarUNet", STAR), ("FlowUNet", FLOW)])
def test_a_package_with_a_label_step(
    name: str, arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = ARCHITECTURES[f"segmentation.OneHead{name}"](**arguments)
    torch.save(packed.state_dict(), tmp_path / "weights.pt")
    monkeypatch.setattr(transfer, "weights_file", lambda *_: tmp_path / "weights.pt")
    percentiles = {"id": "scale_range", "kwargs": {"min_percentile": 1.0, "max_percentile": 99.8}}
    package: Any = SimpleNamespace(
        name="m", content={"id": "my-model"}, sha256="0" * 64, weights={},
        inputs=[SimpleNamespace(operations=[percentiles])],
        architecture=SimpleNamespace(callable=f"OneHead{name}", source="segmentation.py", kwargs=arguments),
    )  # fmt: skip
    parent = transfer._of_package(package, trust_code=False)
    assert (parent.architecture, parent.percentiles) == (f"segmentation.{name}", (1.0, 99.8))
    fresh = ARCHITECTURES[f"segmentation.{name}"](**arguments)
    taken, entry = transfer.take_over(parent, fresh, arguments, ((1, 32, 32), (1, 32, 32)))
    assert (name_of(taken), entry["architecture"]) == (f"segmentation.{name}", f"segmentation.{name}")
    for key, value in packed.state_dict().items():
        assert torch.equal(value, taken.state_dict()[key]), key


# arguments of the parent and settings of the run -> whether the run predicts with mirror images
MIRRORED = [
    ({}, {}, False),
    ({}, {"mirrored": True}, True),
    ({"mirrored": True}, {}, True),
    ({"mirrored": True}, {"mirrored": False}, False),
]


@pytest.mark.parametrize(("more", "values", "mirrored"), MIRRORED)
def test_a_run_says_itself_whether_it_looks_at_mirror_images(
    more: dict[str, Any], values: dict[str, Any], mirrored: bool
) -> None:
    arguments = {**STAR, "kernel": 3, "widest": 0, **more}
    name = "segmentation.StarUNet"
    weights = ARCHITECTURES[name](**arguments).state_dict()
    parent = transfer.Parent("m", "", "0" * 64, name, arguments, dict(weights), (1.0, 99.8), ())
    own = {key: value for key, value in STAR.items() if key not in ("in_channels", "dims")}
    settings = build_settings(stardist.StarDistSettings, parent.settings(stardist.StarDistSettings, {**own, **values}))
    wanted = stardist.network_arguments(settings, 2, 1, 1)
    fresh = stardist.build_network(settings, 2, 1, 1)
    taken, entry = transfer.take_over(parent, fresh, wanted, ((1, 32, 32), (1, 32, 32)))
    assert settings.mirrored == entry["arguments"].get("mirrored", False) == taken.mirrored == mirrored
