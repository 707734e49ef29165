"""TorchScript inside ImageJ by way of DJL: only where ZOOFERRY_TEST_DJL is set, for LibTorch takes 550 MB of disk."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from make_packages import TinyNet, rdf, write_rdf

from zooferry.hosts import imagej

pytestmark = [
    pytest.mark.jvm,
    pytest.mark.skipif(not os.environ.get("ZOOFERRY_TEST_DJL"), reason="set ZOOFERRY_TEST_DJL to fetch LibTorch"),
]


class Twice(torch.nn.Module):
    """The tiny network's result, and the same at twice the size."""

    def __init__(self) -> None:
        super().__init__()
        self.network = TinyNet(2)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """B 1 Y X -> B 1 Y X, B 1 2Y 2X."""
        restored = self.network(image)
        return restored, torch.nn.functional.interpolate(restored, scale_factor=2.0, mode="nearest")


def test_torchscript_is_what_torch_says(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = Twice().eval()
    content = rdf(["y", "x"], 1, {"pre": [{"id": "scale_linear", "kwargs": {"gain": 0.01}}]})
    large = rdf(["y", "x"], 1, {})["outputs"][0] | {"id": "large"}
    for axis in large["axes"][2:]:
        axis |= {"scale": 0.5, "halo": 16}
    content["outputs"].append(large)
    content["weights"] = {"torchscript": {"source": "weights.pt", "pytorch_version": "2.4"}}
    package = tmp_path / "package"
    package.mkdir()
    write_rdf(package, content)
    image = np.random.default_rng(0).poisson(100, (61, 83)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "image.tif", image)
    padded = np.pad(image, ((0, 3), (0, 1)), mode="reflect")[None, None].astype(np.float32) * 0.01
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch wants to retire TorchScript
        torch.jit.trace(network, torch.zeros(1, 1, 16, 16)).save(package / "weights.pt")
    with torch.inference_mode():
        expected = [one.numpy()[0, 0] for one in network(torch.from_numpy(padded))]
    for tile in (None, 32):
        run = imagej.Run(package, (tmp_path / "image.tif",), tmp_path / f"out_{tile}", tile)
        (result,) = imagej.run_packages([run], threads=1)
        assert result.message == ""
        assert "LibTorch 2.7.1" in result.engine
        for (name, file), whole, scale in zip(result.results.items(), expected, (1, 2), strict=True):
            wanted = whole[: 61 * scale, : 83 * scale]
            actual = tifffile.imread(file)
            np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-5, err_msg=f"{name} {tile}")
