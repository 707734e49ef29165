"""Projection: the surface in a noisy volume as a clean image (Weigert et al. 2018, surface projection).

Pairs of a noisy stack and a clean image of the surface that runs through it, such as a developing epithelium. The
network finds the surface, projects the stack along z and restores the image, all trained jointly with the mean
absolute error. Both are percentile-normalised as in CARE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from zooferry import axes as axes_
from zooferry.methods import Scalings
from zooferry.methods.tensors import as_tensor, fitting_layout
from zooferry.networks.unet import ProjectionUNet
from zooferry.normalization import have_channels, percentile_operations
from zooferry.settings import Settings


@dataclass(frozen=True)
class ProjectionSettings(Settings):
    """Settings of the projection; patches have the depth of the deepest stack, whatever `patch_z` says.

    Attributes
    ----------
    projection_width, projection_depth : int
        Of the U-Net that finds the surface: feature channels of its first level, halvings of y and x.
    low, high : float
        Percentiles (0-100) of every stack and target that become 0 and 1.
    foreground : float
        Patches whose brightest target pixel is below this (in normalised units) are drawn again.
    """

    batch: int = 4
    projection_width: int = 4
    projection_depth: int = 3
    low: float = 2.0
    high: float = 99.8
    foreground: float = 0.2

    def __post_init__(self) -> None:
        """See :class:`Settings`."""
        super().__post_init__()
        self._require("projection_width", 1 <= self.projection_width <= 1024, "1 to 1024")
        self._require("projection_depth", 1 <= self.projection_depth <= 6, "1 to 6")
        step = 2**self.projection_depth
        self._require("patch", self.patch % step == 0, f"a multiple of {step} (2 to the power of projection_depth)")
        self._require("low", 0 <= self.low < self.high, "0 to less than high")
        self._require("high", self.high <= 100, "more than low, up to 100")

    @property
    def upscale_z(self) -> int:
        """How many slices a target has for each slice of its stack: it has no z axis."""
        return 0


SETTINGS = ProjectionSettings


def scalings(settings: ProjectionSettings, images: Sequence[np.ndarray], axes: tuple[str, ...]) -> Scalings:
    """Percentiles of each channel of a stack and of a target; the output has the target's units (0 dark, 1 bright)."""
    return Scalings(
        preprocessing=percentile_operations(settings.low, settings.high, axes, each=have_channels(images)),
        postprocessing=(),
        target=percentile_operations(settings.low, settings.high, axes_.network_axes(2), each=True),
    )


def network_arguments(
    settings: ProjectionSettings,
    dims: int,  # noqa: ARG001  stacks only
    in_channels: int,
    out_channels: int,
) -> dict[str, object]:
    """Arguments of :class:`~zooferry.networks.unet.ProjectionUNet`."""
    return {
        "projection_width": settings.projection_width, "projection_depth": settings.projection_depth,
        "in_channels": in_channels, "out_channels": out_channels, "width": settings.width, "depth": settings.depth,
        "kernel": settings.kernel, "residual": in_channels == out_channels,
    }  # fmt: skip


def build_network(settings: ProjectionSettings, dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
    """A fresh network."""
    network = ProjectionUNet(**network_arguments(settings, dims, in_channels, out_channels))  # type: ignore[arg-type]
    return fitting_layout(network, dims)


def loss(
    network: torch.nn.Module,
    arrays: tuple[np.ndarray, ...],
    settings: ProjectionSettings,  # noqa: ARG001
    rng: np.random.Generator,  # noqa: ARG001
) -> torch.Tensor:
    """Mean absolute error between the restored projection of B C Z Y X and the target B C Y X."""
    stacks, targets = (as_tensor(a, network) for a in arrays)
    return torch.nn.functional.l1_loss(network(stacks), targets)


def foreground(settings: ProjectionSettings) -> float:
    """See :class:`ProjectionSettings`."""
    return settings.foreground
