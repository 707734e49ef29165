"""Noise2Noise: denoising from pairs of noisy images of the same field (Lehtinen et al. 2018).

The mean squared error is least for the mean of all takes of a field, and the noise of a take cannot be told from the
other one, so the network learns the noise-free image from targets that are as noisy as its inputs. The takes must be
registered and their noise independent; half exposures, or the odd and the even frames of a film, will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from zooferry.methods import Scalings, n2v
from zooferry.methods.tensors import as_tensor, fitting_layout
from zooferry.networks.unet import UNet
from zooferry.settings import Settings


@dataclass(frozen=True)
class N2NSettings(Settings):
    """Settings of Noise2Noise.

    Attributes
    ----------
    swap : bool
        Let either take of a pair be the input, by chance; right where both were taken in the same way.
    """

    swap: bool = True


SETTINGS = N2NSettings


def scalings(settings: N2NSettings, images: Sequence[np.ndarray], axes: tuple[str, ...]) -> Scalings:  # noqa: ARG001
    """Mean and standard deviation of all training images, for both takes, and back to raw grey values.

    No percentiles: those of an image are pulled apart by its noise, and the mean of the takes would be lost.
    """
    fixed = n2v.scalings(n2v.N2VSettings(), images, axes)
    return Scalings(fixed.preprocessing, fixed.postprocessing, target=fixed.preprocessing)


def network_arguments(settings: N2NSettings, dims: int, in_channels: int, out_channels: int) -> dict[str, object]:
    """Arguments of :class:`~zooferry.networks.unet.UNet`."""
    return {
        "dims": dims, "in_channels": in_channels, "out_channels": out_channels, "width": settings.width,
        "depth": settings.depth, "kernel": settings.kernel, "residual": in_channels == out_channels,
    }  # fmt: skip


def build_network(settings: N2NSettings, dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
    """A fresh U-Net."""
    network = UNet(**network_arguments(settings, dims, in_channels, out_channels))  # type: ignore[arg-type]
    return fitting_layout(network, dims)


def loss(
    network: torch.nn.Module, arrays: tuple[np.ndarray, ...], settings: N2NSettings, rng: np.random.Generator
) -> torch.Tensor:
    """Mean squared error between the restoration of one take and the other take (equation 6), both B C (Z) Y X."""
    first, second = arrays
    if settings.swap and first.shape == second.shape and rng.random() < 0.5:
        first, second = second, first
    return torch.nn.functional.mse_loss(network(as_tensor(first, network)), as_tensor(second, network))


def foreground(settings: N2NSettings) -> float:  # noqa: ARG001
    """Every patch is taken: background noise teaches as much as signal."""
    return -np.inf
