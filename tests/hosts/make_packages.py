"""Small bioimage.io packages for the host tests: random but fixed weights, real descriptions."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

HALO = 8
STEP = 4


class TinyNet(nn.Module):
    """Conv, pooled branch and skip: needs sizes that are multiples of 4; receptive field +- 7 pixels."""

    def __init__(self, dims: int, channels: int = 1, features: int = 8) -> None:
        super().__init__()
        conv: Any = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
        pool: Any = {2: nn.AvgPool2d, 3: nn.AvgPool3d}[dims]
        self.first = conv(channels, features, 3, padding=1)
        self.down = pool(4)
        self.inner = conv(features, features, 3, padding=1)
        self.up = nn.Upsample(scale_factor=4, mode="nearest")
        self.last = conv(2 * features, 1, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """B C (Z) Y X -> B 1 (Z) Y X."""
        first = torch.relu(self.first(image))
        inner = torch.relu(self.inner(self.down(first)))
        return self.last(torch.cat([first, self.up(inner)], 1))


def make_package(
    folder: Path,
    *,
    dims: int = 2,
    channels: int = 1,
    steps: dict[str, list[Any]] | None = None,
    network: nn.Module | None = None,
    **grid: Any,
) -> Path:
    """Write rdf.yaml and weights.onnx; `steps` are "pre" and "post", `grid` may give "halo" and "step"."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(3)
    network = (network or TinyNet(dims, channels)).eval()
    export(network, folder / "weights.onnx", shape=(1, channels, *[16] * dims))
    description = rdf(
        ["z", "y", "x"][-dims:], channels, steps or {}, step=grid.get("step", STEP), halo=grid.get("halo", HALO)
    )
    digest = hashlib.sha256((folder / "weights.onnx").read_bytes()).hexdigest()
    description["weights"] = {"onnx": {"source": "weights.onnx", "sha256": digest, "opset_version": 17}}
    write_rdf(folder, description)
    return folder


def write_rdf(folder: Path, description: dict[str, Any]) -> None:
    """As rdf.yaml."""
    (folder / "rdf.yaml").write_text(yaml.safe_dump(description, sort_keys=False), encoding="utf-8")


def rdf(
    axes: list[str],
    channels: int,
    steps: dict[str, list[Any]],
    *,
    step: int = STEP,
    halo: int | dict[str, int] = HALO,
) -> dict[str, Any]:
    """The description without its weights; `axes` are (z) y x."""
    halos = halo if isinstance(halo, dict) else dict.fromkeys(axes, halo)
    source = [
        {"type": "batch"},
        {"type": "channel", "channel_names": [f"c{i}" for i in range(channels)]},
        *[{"type": "space", "id": axis, "size": {"min": 16, "step": step}} for axis in axes],
    ]
    result = [
        {"type": "batch"},
        {"type": "channel", "channel_names": ["restored"]},
        *[
            {"type": "space", "id": axis, "size": {"tensor_id": "raw", "axis_id": axis}}
            | ({"halo": halos[axis]} if halos[axis] else {})
            for axis in axes
        ],
    ]
    data = {"type": "float32"}
    return {
        "type": "model",
        "format_version": "0.5.3",
        "name": "Tiny test network",
        "inputs": [{"id": "raw", "axes": source, "data": data, "preprocessing": steps.get("pre", [])}],
        "outputs": [{"id": "restored", "axes": result, "data": data, "postprocessing": steps.get("post", [])}],
    }


def export(network: nn.Module, path: Path, *, shape: tuple[int, ...]) -> None:
    """ONNX with dynamic batch and spatial sizes."""
    dynamic = {0: "batch"} | {axis: f"size{axis}" for axis in range(2, len(shape))}
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the legacy exporter announces its end
        torch.onnx.export(
            network,
            (torch.zeros(shape),),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=["in"],
            output_names=["out"],
            dynamic_axes={"in": dynamic, "out": dynamic},
        )


def reference(folder: Path, image: np.ndarray) -> np.ndarray:
    """Python ONNX Runtime on a pre-processed image (C (Z) Y X), padded at the high end to multiples of STEP."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "weights.onnx"), providers=["CPUExecutionProvider"])
    spatial = image.shape[1:]
    padded = image
    for axis, length in enumerate(spatial, start=1):
        more = max(16, -(-length // STEP) * STEP) - length
        width = [(0, 0)] * image.ndim
        width[axis] = (0, more)
        padded = np.pad(padded, width, mode="reflect" if length > 1 else "edge")
    result = session.run(None, {"in": padded[None].astype(np.float32)})[0][0]
    return result[(slice(None), *[slice(0, n) for n in spatial])]
