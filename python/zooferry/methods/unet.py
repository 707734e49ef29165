"""U-Net with three classes, background, object and border (Prakash et al., VoidSeg, ISBI 2020).

The border is what surrounds an object, and all pixels of two objects at which they touch; it weighs more in the
cross-entropy, so that touching objects come apart. Connected pixels of the object class become objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from zooferry.instances.borders import classes_of_labels
from zooferry.methods import Scalings
from zooferry.methods.segmentation import (
    Decoding,
    SegmentationSettings,
    head,
    image_operations,
    network_arguments,
)
from zooferry.methods.segmentation import augment as augment
from zooferry.methods.segmentation import foreground as foreground
from zooferry.methods.tensors import as_tensor, fitting_layout
from zooferry.networks.segmentation import BorderUNet

THRESHOLDS = tuple(round(0.2 + 0.05 * k, 2) for k in range(15))


@dataclass(frozen=True)
class UNetSettings(SegmentationSettings):
    """Settings of the U-Net with three classes.

    Attributes
    ----------
    border_weight : float
        Of the border's pixels in the loss; others have 1.
    grow : int
        Most steps by which objects grow over pixels that are most probably border, which are objects' own outermost
        pixels; how many is chosen with the threshold.
    """

    width: int = 16
    border_weight: float = 5.0
    grow: int = 1

    def __post_init__(self) -> None:
        """See :class:`SegmentationSettings`."""
        super().__post_init__()
        self._require("border_weight", 0 < self.border_weight <= 1000, "above 0, to 1000")
        self._require("grow", 0 <= self.grow <= 10, "0 to 10")


SETTINGS = UNetSettings
OUTPUTS = (head("classes", "probabilities of background, object and border", "probability"),)


def scalings(settings: UNetSettings, images: Sequence[np.ndarray], axes: tuple[str, ...]) -> Scalings:  # noqa: ARG001
    """Percentiles of each image."""
    return Scalings(image_operations(settings, axes), (), outputs=OUTPUTS)


def targets(labels: np.ndarray, settings: UNetSettings) -> np.ndarray:  # noqa: ARG001
    """Class 0, 1 or 2 of each pixel, float32 1 (Z) Y X, from labels (Z) Y X."""
    return classes_of_labels(labels)[np.newaxis].astype(np.float32)


def build_network(settings: UNetSettings, dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
    """A fresh network."""
    return fitting_layout(BorderUNet(**network_arguments(settings, dims, in_channels, out_channels)), dims)


def loss(
    network: torch.nn.Module,
    arrays: tuple[np.ndarray, ...],
    settings: UNetSettings,
    rng: np.random.Generator,  # noqa: ARG001
) -> torch.Tensor:
    """Cross-entropy of images and classes, both B C (Z) Y X; a weighted mean over all pixels."""
    images, classes = (as_tensor(a, network) for a in arrays)
    weight = torch.tensor([1.0, 1.0, settings.border_weight], device=images.device)
    return torch.nn.functional.cross_entropy(network(images, bare=True), classes[:, 0].long(), weight=weight)


def decoding(settings: UNetSettings, dims: int) -> Decoding:  # noqa: ARG001
    """Connected pixels above a threshold."""
    tuned = {"threshold": THRESHOLDS, "grow": tuple(range(settings.grow + 1))}
    return Decoding("borders", ("classes",), {"min_size": 4}, tuned)
