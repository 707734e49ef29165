"""CARE: content-aware restoration from registered pairs (Weigert et al. 2018).

A residual U-Net is trained with the mean absolute error on percentile-normalised patches that hold foreground.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from zooferry.methods import Scalings
from zooferry.methods.tensors import as_tensor, fitting_layout
from zooferry.networks.unet import UNet
from zooferry.normalization import percentile_operations
from zooferry.settings import Settings


@dataclass(frozen=True)
class CareSettings(Settings):
    """Settings of CARE.

    Attributes
    ----------
    low, high : float
        Percentiles (0-100) of every image and target that become 0 and 1.
    foreground : float
        Patches whose brightest target pixel is below this (in normalised units) are drawn again.
    degrade : mapping, optional
        Make the noisy images from clean ones while training, see `zooferry.degrading.read_degradation`.
    """

    width: int = 16
    learning_rate: float = 2e-3
    low: float = 2.0
    high: float = 99.8
    foreground: float = 0.2
    degrade: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """See :class:`Settings`."""
        super().__post_init__()
        self._require("low", 0 <= self.low < self.high, "0 to less than high")
        self._require("high", self.high <= 100, "more than low, up to 100")


SETTINGS = CareSettings


def scalings(settings: CareSettings, images: Sequence[np.ndarray], axes: tuple[str, ...]) -> Scalings:  # noqa: ARG001
    """Percentiles of each image; the output stays in the target's normalised units (0 dark, 1 bright)."""
    scale = percentile_operations(settings.low, settings.high, axes)
    return Scalings(preprocessing=scale, postprocessing=(), target=scale)


def network_arguments(settings: CareSettings, dims: int, in_channels: int, out_channels: int) -> dict[str, object]:
    """Arguments of :class:`~zooferry.networks.unet.UNet`."""
    return {
        "dims": dims, "in_channels": in_channels, "out_channels": out_channels, "width": settings.width,
        "depth": settings.depth, "kernel": settings.kernel, "residual": in_channels == out_channels,
    }  # fmt: skip


def build_network(settings: CareSettings, dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
    """A fresh residual U-Net."""
    network = UNet(**network_arguments(settings, dims, in_channels, out_channels))  # type: ignore[arg-type]
    return fitting_layout(network, dims)


def loss(
    network: torch.nn.Module,
    arrays: tuple[np.ndarray, ...],
    settings: CareSettings,  # noqa: ARG001
    rng: np.random.Generator,  # noqa: ARG001
) -> torch.Tensor:
    """Mean absolute error between restoration and target, both B C (Z) Y X."""
    images, targets = (as_tensor(a, network) for a in arrays)
    return torch.nn.functional.l1_loss(network(images), targets)


def foreground(settings: CareSettings) -> float:
    """See :class:`CareSettings`."""
    return settings.foreground
