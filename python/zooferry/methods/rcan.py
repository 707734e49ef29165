"""3D-RCAN: restoration from registered pairs by residual channel attention (Chen et al. 2021), in 2D and 3D.

The mean absolute error on percentile-normalised patches, as in the paper's code; the output may be larger than the
input. Recipes for the paper's four tasks are in ``zooferry/recipes``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from zooferry.methods import Scalings
from zooferry.methods.tensors import as_tensor, fitting_layout
from zooferry.networks.rcan import RCAN
from zooferry.normalization import have_channels, percentile_operations
from zooferry.settings import Settings


@dataclass(frozen=True)
class RcanSettings(Settings):
    """Settings of RCAN; `width` and `depth` are the U-Net's and mean nothing here.

    Attributes
    ----------
    num_channels, num_residual_blocks, num_residual_groups, channel_reduction_ratio : int
        Of :class:`~zooferry.networks.rcan.RCAN`.
    upscale, upscale_z : int
        How many times more pixels the targets have than the images along y and x, and along z.
    whole_images : bool
        Forbid tiles in the package. The gates average over what they see, so that a tile gives slightly other
        values than the whole image; on the other hand the whole image must then fit into memory.
    low, high : float
        Percentiles (0-100) of every image and target that become 0 and 1.
    foreground : float
        Patches whose brightest target pixel is below this (in normalised units) are drawn again.
    degrade : mapping, optional
        Make the noisy images from clean ones while training, see `zooferry.degrading.read_degradation`.
    specimen : mapping, optional
        Draw the clean images while training instead of reading them, see `zooferry.synthetic.read_specimen`.
    """

    learning_rate: float = 1e-3
    num_channels: int = 32
    num_residual_blocks: int = 3
    num_residual_groups: int = 5
    channel_reduction_ratio: int = 8
    upscale: int = 1
    upscale_z: int = 1
    whole_images: bool = False
    low: float = 2.0
    high: float = 99.8
    foreground: float = 0.2
    degrade: Mapping[str, Any] | None = None
    specimen: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """See :class:`Settings`."""
        super().__post_init__()
        for name in ("num_channels", "num_residual_blocks", "num_residual_groups"):
            self._require(name, 1 <= getattr(self, name) <= 1024, "1 to 1024")
        self._require(
            "channel_reduction_ratio", 1 <= self.channel_reduction_ratio <= self.num_channels, "1 to num_channels"
        )
        for name in ("upscale", "upscale_z"):
            self._require(name, 1 <= getattr(self, name) <= 16, "1 to 16")
        self._require("low", 0 <= self.low < self.high, "0 to less than high")
        self._require("high", self.high <= 100, "more than low, up to 100")


SETTINGS = RcanSettings


def scalings(settings: RcanSettings, images: Sequence[np.ndarray], axes: tuple[str, ...]) -> Scalings:
    """Percentiles of each channel of an image; the output stays in the target's normalised units (0 dark, 1 bright)."""
    scale = percentile_operations(settings.low, settings.high, axes, each=have_channels(images))
    target = percentile_operations(settings.low, settings.high, axes, each=True)
    return Scalings(preprocessing=scale, postprocessing=(), target=target)


def network_arguments(settings: RcanSettings, dims: int, in_channels: int, out_channels: int) -> dict[str, object]:
    """Arguments of :class:`~zooferry.networks.rcan.RCAN`."""
    names = ("num_channels", "num_residual_blocks", "num_residual_groups", "channel_reduction_ratio", "kernel")
    return {
        "dims": dims, "in_channels": in_channels, "out_channels": out_channels,
        **{name: getattr(settings, name) for name in names}, "residual": in_channels == out_channels,
        "upscale": settings.upscale, "upscale_z": settings.upscale_z if dims == 3 else 1,
    }  # fmt: skip


def build_network(settings: RcanSettings, dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
    """A fresh network."""
    network = RCAN(**network_arguments(settings, dims, in_channels, out_channels))  # type: ignore[arg-type]
    return fitting_layout(network, dims)


def loss(
    network: torch.nn.Module,
    arrays: tuple[np.ndarray, ...],
    settings: RcanSettings,  # noqa: ARG001
    rng: np.random.Generator,  # noqa: ARG001
) -> torch.Tensor:
    """Mean absolute error between restoration and target, both B C (Z) Y X."""
    images, targets = (as_tensor(a, network) for a in arrays)
    return torch.nn.functional.l1_loss(network(images), targets)


def foreground(settings: RcanSettings) -> float:
    """See :class:`RcanSettings`."""
    return settings.foreground
