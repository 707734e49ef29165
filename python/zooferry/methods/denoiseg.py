"""DenoiSeg: one network that denoises and segments (Buchholz et al., ECCV workshops 2020).

It learns both at once: Noise2Void from every image, and three classes, background, object and border, from those that
are annotated. An image whose label image is empty counts as not annotated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from zooferry.methods import Scalings, n2v, unet
from zooferry.methods.n2v import N2VSettings, mask_pixels
from zooferry.methods.outputs import Output
from zooferry.methods.segmentation import Decoding, SegmentationSettings, network_arguments
from zooferry.methods.segmentation import augment as augment
from zooferry.methods.tensors import as_tensor, fitting_layout
from zooferry.networks.segmentation import DenoiSegUNet

UNKNOWN = -1  # class of the pixels of images that are not annotated


@dataclass(frozen=True)
class DenoiSegSettings(SegmentationSettings):
    """Settings of DenoiSeg; greys and noise of the patches are never varied, which would spoil the denoising.

    Attributes
    ----------
    alpha : float
        Weight of the denoising in the loss, from 0; the segmentation has the rest to 1.
    annotated : float
        Least part of the patches that come from annotated images; 0 draws from all alike, as the paper does. With few
        label images most steps would otherwise teach nothing about objects.
    border_weight : float
        Of the border's pixels in the cross-entropy; others have 1.
    grow : int
        See `zooferry.methods.unet.UNetSettings`.
    box, window : int
        See `zooferry.methods.n2v.N2VSettings`.
    """

    width: int = 16
    intensity: float = 0.0
    noise: float = 0.0
    zoom: float = 1.0
    alpha: float = 0.5
    annotated: float = 0.5
    border_weight: float = 5.0
    grow: int = 1
    box: int = 5
    window: int = 5

    def __post_init__(self) -> None:
        """See :class:`SegmentationSettings`."""
        super().__post_init__()
        self._require("alpha", 0 <= self.alpha < 1, "0 to less than 1")
        self._require("annotated", 0 <= self.annotated < 1, "0 to less than 1")
        self._require("border_weight", 0 < self.border_weight <= 1000, "above 0, to 1000")
        self._require("grow", 0 <= self.grow <= 10, "0 to 10")
        self._require("box", 2 <= self.box <= self.patch, "2 to the patch's side")
        self._require("window", self.window % 2 == 1 and 3 <= self.window < self.patch, "an odd number, 3 or more")
        for name in ("intensity", "noise", "zoom"):
            plain = type(self).__dataclass_fields__[name].default
            self._require(name, getattr(self, name) == plain, f"{plain:g}: it would spoil the denoising")


SETTINGS = DenoiSegSettings


def scalings(settings: DenoiSegSettings, images: Sequence[np.ndarray], axes: tuple[str, ...]) -> Scalings:  # noqa: ARG001
    """Mean and standard deviation of all training images; the denoised image has the raw grey values."""
    found = n2v.scalings(N2VSettings(), images, axes)
    return replace(found, outputs=(Output("denoised", "denoised image"), *unet.OUTPUTS))


def targets(labels: np.ndarray, settings: DenoiSegSettings) -> np.ndarray:  # noqa: ARG001
    """Class 0, 1 or 2 of each pixel, float32 1 (Z) Y X, from labels (Z) Y X; -1 without any object."""
    if not labels.any():
        return np.full((1, *labels.shape), UNKNOWN, np.float32)
    return unet.targets(labels, unet.UNetSettings())


def build_network(settings: DenoiSegSettings, dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
    """A fresh network."""
    network = DenoiSegUNet(**network_arguments(settings, dims, in_channels, out_channels))  # type: ignore[arg-type]
    return fitting_layout(network, dims)


def loss(
    network: torch.nn.Module, arrays: tuple[np.ndarray, ...], settings: DenoiSegSettings, rng: np.random.Generator
) -> torch.Tensor:
    """``alpha`` times the squared error at masked pixels plus the rest to 1 times the cross-entropy (equation 1).

    The cross-entropy is a mean over annotated pixels alone: those of other images neither add to it nor water it down.
    """
    patches, classes = arrays
    masked, places = mask_pixels(patches, settings.box, settings.window, rng)
    denoised, logits = network(as_tensor(masked, network), bare=True)
    at = tuple(torch.from_numpy(place).to(denoised.device) for place in places)
    wanted = as_tensor(patches, network).movedim(1, -1)
    error = torch.nn.functional.mse_loss(denoised.movedim(1, -1)[at], wanted[at])
    if (classes == UNKNOWN).all():
        nothing: torch.Tensor = settings.alpha * error + 0.0 * logits.sum()
        return nothing
    weight = torch.tensor([1.0, 1.0, settings.border_weight], device=denoised.device)
    known = as_tensor(classes, network)[:, 0].long()
    entropy = torch.nn.functional.cross_entropy(logits, known, weight=weight, ignore_index=UNKNOWN)
    total: torch.Tensor = settings.alpha * error + (1 - settings.alpha) * entropy
    return total


def foreground(settings: DenoiSegSettings) -> float:  # noqa: ARG001
    """Every patch is taken: the background's noise teaches too."""
    return -np.inf


def decoding(settings: DenoiSegSettings, dims: int) -> Decoding:
    """See :func:`zooferry.methods.unet.decoding`."""
    return unet.decoding(unet.UNetSettings(grow=settings.grow), dims)
