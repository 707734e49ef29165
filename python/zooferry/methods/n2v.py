"""Noise2Void: denoising from noisy images alone, by a blind spot (Krull, Buchholz and Jug 2019).

Some pixels of a patch are replaced by a neighbour's value and the network must tell what they were; as the noise of
a pixel cannot be told from its surroundings, the network learns the signal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from zooferry.methods import Scalings
from zooferry.methods.tensors import as_tensor, fitting_layout
from zooferry.networks.unet import UNet
from zooferry.normalization import linear_operations, standardising_operations
from zooferry.settings import Settings


@dataclass(frozen=True)
class N2VSettings(Settings):
    """Settings of Noise2Void.

    Attributes
    ----------
    box : int
        One pixel in each box of this side is masked (stratified sampling, section 3.3): 5 masks 4 % in 2D.
    window : int
        Odd side of the square around a masked pixel from which its replacement is drawn, never itself.
    """

    learning_rate: float = 4e-3
    box: int = 5
    window: int = 5

    def __post_init__(self) -> None:
        """See :class:`Settings`."""
        super().__post_init__()
        self._require("box", 2 <= self.box <= self.patch, "2 to the patch's side")
        self._require("window", self.window % 2 == 1 and 3 <= self.window < self.patch, "an odd number, 3 or more")


SETTINGS = N2VSettings


def scalings(settings: N2VSettings, images: Sequence[np.ndarray], axes: tuple[str, ...]) -> Scalings:  # noqa: ARG001
    """Mean and standard deviation of all training images, and back: the restored image has the raw grey values.

    Every channel has numbers of its own.
    """
    found = [_moments([image[c] for image in images]) for c in range(len(images[0]))]
    if len(found) == 1:
        mean, std = found[0]
        return Scalings(standardising_operations(mean, std), linear_operations(std, mean))
    means, stds = ([one[i] for one in found] for i in (0, 1))
    return Scalings(standardising_operations(means, stds), linear_operations(stds, means))


def _moments(channels: Sequence[np.ndarray]) -> tuple[float, float]:
    count = sum(channel.size for channel in channels)
    mean = sum(float(channel.sum(dtype=np.float64)) for channel in channels) / count
    variance = sum(float(((channel - mean) ** 2).sum(dtype=np.float64)) for channel in channels) / count
    return mean, variance**0.5


def network_arguments(settings: N2VSettings, dims: int, in_channels: int, out_channels: int) -> dict[str, object]:
    """Arguments of :class:`~zooferry.networks.unet.UNet`; not residual, which is slower to learn (tests/bench)."""
    return {
        "dims": dims, "in_channels": in_channels, "out_channels": out_channels, "width": settings.width,
        "depth": settings.depth, "kernel": settings.kernel, "residual": False,
    }  # fmt: skip


def build_network(settings: N2VSettings, dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
    """A fresh U-Net."""
    network = UNet(**network_arguments(settings, dims, in_channels, out_channels))  # type: ignore[arg-type]
    return fitting_layout(network, dims)


def loss(
    network: torch.nn.Module, arrays: tuple[np.ndarray, ...], settings: N2VSettings, rng: np.random.Generator
) -> torch.Tensor:
    """Mean squared error at the masked pixels (equation 9)."""
    (patches,) = arrays
    masked, places = mask_pixels(patches, settings.box, settings.window, rng)
    predicted = network(as_tensor(masked, network)).movedim(1, -1)  # B (Z) Y X C
    at = tuple(torch.from_numpy(p).to(predicted.device) for p in places)
    wanted = as_tensor(patches, network).movedim(1, -1)
    return torch.nn.functional.mse_loss(predicted[at], wanted[at])


def mask_pixels(
    patches: np.ndarray, box: int, window: int, rng: np.random.Generator
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Replace one pixel per box by a random neighbour (uniform pixel selection, section 4.1).

    Parameters
    ----------
    patches : ndarray
        B C (Z) Y X; never changed. All channels are masked at the same places.
    box, window : int
        See :class:`N2VSettings`; along z both are at most the patch's depth.

    Returns
    -------
    masked : ndarray
        The patches with the pixels replaced.
    places : tuple of ndarray
        Index arrays for B, (Z), Y, X of the masked pixels.
    """
    sizes = patches.shape[2:]
    boxes = [max(1, n // box) for n in sizes]
    grid = np.meshgrid(np.arange(patches.shape[0]), *[np.arange(b) for b in boxes], indexing="ij")
    batch = grid[0].ravel()
    dims = len(sizes)
    places = [
        np.minimum(corner.ravel() * box + rng.integers(0, box, batch.size), n - 1)
        for corner, n in zip(grid[1:], sizes, strict=True)
    ]
    middle = window**dims // 2
    steps = rng.integers(0, window**dims - 1, batch.size)
    steps += steps >= middle  # never the pixel itself
    moved = np.unravel_index(steps, (window,) * dims)
    neighbours = [_mirror(p + m - window // 2, n) for p, m, n in zip(places, moved, sizes, strict=True)]
    masked = patches.copy()
    last = np.moveaxis(masked, 1, -1)  # a view, B (Z) Y X C
    last[(batch, *places)] = np.moveaxis(patches, 1, -1)[(batch, *neighbours)]
    return masked, (batch, *places)


def _mirror(index: np.ndarray, size: int) -> np.ndarray:
    """Indices outside 0 ... size - 1 mirrored inwards without repeating the border."""
    index = np.abs(index)
    return np.clip(np.where(index >= size, 2 * size - 2 - index, index), 0, size - 1)


def foreground(settings: N2VSettings) -> float:  # noqa: ARG001
    """Every patch is taken: background noise teaches as much as signal."""
    return -np.inf
