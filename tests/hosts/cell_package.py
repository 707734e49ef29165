"""A package that segments cells of one channel by a network that nobody trained: flows are the slope of a blur."""

from __future__ import annotations

import warnings
from pathlib import Path

import any_package
import numpy as np
import torch
from scipy import ndimage
from simulated_heads import Case, blobs
from torch import nn

from zooferry.axes import label_axes
from zooferry.images import write_image

SIGMA, REACH = 3.0, 10  # of the blur, in pixels
HALO = 16
PIXEL = 0.25  # um
STEPS = [
    {
        "id": "scale_range",
        "kwargs": {"axes": ["channel", "y", "x"], "min_percentile": 1.0, "max_percentile": 99.8},
    }
]
INSTANCES = {"method": "flows", "outputs": ["flow", "prob"], "flow_thresh": 0.0, "min_size": 30}


class GradientFlows(nn.Module):
    """B 1 Y X of bright cells, brightest in the middle -> flows to the middle (B 2 Y X) and logit (B 1 Y X)."""

    def __init__(self) -> None:
        super().__init__()
        spot = np.zeros((2 * REACH + 1, 2 * REACH + 1))
        spot[REACH, REACH] = 1
        blur = ndimage.gaussian_filter(spot, SIGMA)
        slopes = [-ndimage.gaussian_filter(spot, SIGMA, order=order) for order in ((1, 0), (0, 1))]  # torch correlates
        kernels = torch.tensor(np.stack([*slopes, blur])[:, None], dtype=torch.float32)
        self.conv = nn.Conv2d(1, 3, 2 * REACH + 1, padding=REACH, bias=False)
        self.conv.weight = nn.Parameter(kernels)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.conv(image)
        slope = found[:, :2]
        return 5 * slope / torch.sqrt((slope**2).sum(1, keepdim=True) + 1e-8), 20 * (found[:, 2:] - 0.25)


def cells(seed: int = 0, shape: tuple[int, int] = (256, 320), objects: int = 70) -> np.ndarray:
    """Y X uint16: touching cells on a noisy background."""
    labels = blobs(Case(seed, shape, objects, (9, 14)))
    image = np.zeros(shape)
    for n, window in enumerate(ndimage.find_objects(labels), 1):
        if window is not None:
            y, x = np.nonzero(labels[window] == n)
            away = np.hypot(y - y.mean(), x - x.mean())
            image[window][y, x] = 1 - 0.7 * (away / away.max()) ** 2
    return np.random.default_rng(seed).poisson(80 + 400 * image).astype(np.uint16)


def cell_package(folder: Path) -> Path:
    """The unpacked package, with a sample_input.tif."""
    folder.mkdir(parents=True)
    names = ["raw", "flow", "prob"]
    dynamic = {name: {0: "batch", 2: f"{name}y", 3: f"{name}x"} for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the legacy exporter announces its end
        torch.onnx.export(
            GradientFlows().eval(),
            (torch.zeros(1, 1, 32, 32),),
            str(folder / "net.onnx"),
            dynamo=False,
            opset_version=17,
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes=dynamic,
        )
    outputs = [
        any_package.tensor("flow", any_package.like("raw", channels=2, halo=HALO)),
        any_package.tensor("prob", any_package.like("raw", halo=HALO)),
    ]
    raw = any_package.tensor("raw", any_package.space({"min": 32, "step": 8}), STEPS)
    image = cells()
    labelled = label_axes(image, "yx")
    labelled.attrs.update(pixel_size={"y": PIXEL, "x": PIXEL}, unit="micrometer")
    write_image(folder / "sample_input.tif", labelled)
    config = {"zooferry": {"instances": INSTANCES}}
    arrays = {"raw": image[None, None].astype(np.float32)}
    return any_package.write_package(folder, folder / "net.onnx", [raw], outputs, arrays=arrays, config=config)
