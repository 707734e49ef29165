"""Flows: vectors to each object's centre, from heat that spreads there (Stringer et al., Cellpose, 2021).

The loss is five times the mean squared error of the flows plus the binary cross-entropy of being inside an object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from zooferry.instances.flows import SCALE
from zooferry.instances.heat import flows_of_labels
from zooferry.methods import Scalings
from zooferry.methods.segmentation import (
    Decoding,
    SegmentationSettings,
    head,
    image_operations,
)
from zooferry.methods.segmentation import augment as augment
from zooferry.methods.segmentation import foreground as foreground
from zooferry.methods.segmentation import network_arguments as unet_arguments
from zooferry.methods.segmentation import targets as targets
from zooferry.methods.tensors import as_tensor, fitting_layout
from zooferry.networks.segmentation import FlowUNet
from zooferry.size_model import with_diameter
from zooferry.three_views import slice_thickness, with_side_views
from zooferry.training_data import RawData

LOGITS = (-2.0, -1.5, -1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class FlowSettings(SegmentationSettings):
    """Settings of flows.

    Attributes
    ----------
    flow_weight : float
        Of the flows' squared error (of vectors of length 5) beside the cross-entropy, as `flow_weight` / 5 of it.
    volumes : bool
        Stacks Z Y X are volumes: the network, which is 2D, learns from their planes along z, y and x, and objects of
        stacks go through slices, by flows averaged from the three views.
    anisotropy : float
        Thickness of a slice in pixels of y and x, for `volumes`; 0 takes it from the images' pixel sizes.
    diameter : float
        Median diameter of the objects in pixels to which each training image is rescaled, as are later the images that
        are segmented (17 suits nuclei, 30 cells); 0 leaves all images as they are.
    style : bool
        The network adds the style of the whole image to its features; then it is not run in tiles.
    """

    width: int = 16
    flow_weight: float = 5.0
    style: bool = True
    volumes: bool = False
    anisotropy: float = 0.0
    diameter: float = 0.0

    def __post_init__(self) -> None:
        """See :class:`SegmentationSettings`."""
        super().__post_init__()
        self._require("anisotropy", 0 <= self.anisotropy <= 100, "above 0, to 100, or 0 for that of the pixel sizes")
        self._require("volumes", not self.volumes or self.dims in (0, 2), "false with dims 3; the network is 2D")
        self._require(
            "diameter", self.diameter == 0 or 4 <= self.diameter <= 200, "4 to 200, or 0 for images as they are"
        )
        self._require("diameter", not (self.diameter and self.volumes), "0 with volumes")
        self._require("flow_weight", 0 < self.flow_weight <= 1000, "above 0, to 1000")

    @property
    def whole_images(self) -> bool:
        """Whether the network is run on whole images alone: a tile has another style."""
        return self.style


SETTINGS = FlowSettings
OUTPUTS = (
    head("flow", "flow along y and x, five times a unit vector", "grey values"),
    head("prob", "logit of the probability that a pixel is inside an object", "grey values"),
)


def scalings(settings: FlowSettings, images: Sequence[np.ndarray], axes: tuple[str, ...]) -> Scalings:  # noqa: ARG001
    """Percentiles of each image."""
    return Scalings(image_operations(settings, axes), (), outputs=OUTPUTS)


def build_network(settings: FlowSettings, dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
    """A fresh network."""
    network = FlowUNet(**network_arguments(settings, dims, in_channels, out_channels))  # type: ignore[arg-type]
    return fitting_layout(network, dims)


def network_arguments(settings: FlowSettings, dims: int, in_channels: int, out_channels: int) -> dict[str, object]:
    """Arguments of :class:`~zooferry.networks.segmentation.FlowUNet`."""
    return {**unet_arguments(settings, dims, in_channels, out_channels), "style": settings.style}


def loss(
    network: torch.nn.Module,
    arrays: tuple[np.ndarray, ...],
    settings: FlowSettings,
    rng: np.random.Generator,  # noqa: ARG001
) -> torch.Tensor:
    """Squared error of the flows (as vectors of length 5) and cross-entropy of being inside, as in cellpose 3.1."""
    images, labels = arrays
    wanted = SCALE * np.stack([flows_of_labels(sample[0].astype(np.int64)) for sample in labels])
    flow, logit = network(as_tensor(images, network))
    error = torch.nn.functional.mse_loss(flow, as_tensor(wanted.astype(np.float32), network))
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logit, as_tensor(np.sign(labels), network))
    return settings.flow_weight / (2 * SCALE) * error + entropy


def decoding(settings: FlowSettings, dims: int) -> Decoding:  # noqa: ARG001
    """Cellpose's dynamics with its check of flows."""
    return Decoding("flows", ("flow", "prob"), {"flow_thresh": 0.4}, {"prob_thresh": LOGITS})


def fitted_settings(settings: FlowSettings, raw: RawData, say: Callable[[str], None]) -> FlowSettings:
    """The settings with the thickness of slices filled in, for volumes."""
    if not settings.volumes or settings.anisotropy:
        return settings
    sizes = raw.calibration.get("pixel_size", {})
    known = all(axis in sizes for axis in ("z", "y", "x"))
    found = round(slice_thickness([sizes[axis] for axis in ("z", "y", "x")]), 3) if known else 1.0
    say(f"anisotropy {found:g}: slices are so many pixels thick (--set anisotropy=...)")
    return replace(settings, anisotropy=found)


def widened(settings: FlowSettings, raw: RawData) -> RawData:
    """For volumes the planes along y and x beside the slices; with `diameter` the images rescaled."""
    if settings.diameter:
        return with_diameter(
            raw, settings.diameter, zoom=settings.zoom if settings.augment else 1, smallest=settings.patch
        )
    if not settings.volumes:
        return raw
    return with_side_views(raw, thickness=settings.anisotropy, smallest=settings.patch)


def declared(settings: FlowSettings) -> dict[str, object]:
    """What the declaration says beside the decoding's parameters."""
    if settings.diameter:
        return {"diameter": settings.diameter}
    return {"volume": True, "anisotropy": [settings.anisotropy, 1.0, 1.0]} if settings.volumes else {}
