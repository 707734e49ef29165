"""Residual channel attention network in two or three dimensions.

This file imports torch and the standard library only, because it is shipped inside every package as the source of
its architecture.

Sources: Zhang et al., ECCV 2018, doi:10.1007/978-3-030-01234-2_18 (the network); Chen et al., Nature Methods 18:678
(2021), doi:10.1038/s41592-021-01155-x (3D-RCAN: its form for volumes, whose names the arguments have).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

LARGEST_HALO = 24


class RCAN(nn.Module):
    """Residual groups of residual blocks with channel attention, without pooling and without normalisation layers.

    A block weighs its feature channels by a gate that looks at their means over the whole input (equations 9 and 10
    of Zhang 2018). So a tile does not give exactly the values of the whole image, whatever its halo.

    Parameters
    ----------
    dims : int
        Spatial axes: 2 (y, x) or 3 (z, y, x).
    in_channels, out_channels : int
        Channels of the input and the output.
    num_channels : int
        Feature channels, the same everywhere.
    num_residual_blocks : int
        Blocks in each group.
    num_residual_groups : int
        Groups.
    channel_reduction_ratio : int
        Feature channels per channel of the gate's hidden layer.
    kernel : int
        Odd side of the convolutions' kernel in pixels.
    residual : bool
        Add the input (linearly interpolated, if `upscale`) to the output; needs as many output as input channels.
    upscale, upscale_z : int
        How many times larger the output is along y and x, and along z: 1 keeps the size.
    """

    def __init__(  # noqa: PLR0913  the names are those of the package's kwargs
        self,
        dims: int = 2,
        in_channels: int = 1,
        out_channels: int = 1,
        num_channels: int = 32,
        num_residual_blocks: int = 3,
        num_residual_groups: int = 5,
        channel_reduction_ratio: int = 8,
        kernel: int = 3,
        residual: bool = True,
        upscale: int = 1,
        upscale_z: int = 1,
    ) -> None:
        super().__init__()
        if residual and in_channels != out_channels:
            raise ValueError(f"residual needs equal channels, got {in_channels} in and {out_channels} out")
        self.residual = residual
        hidden = max(1, num_channels // channel_reduction_ratio)
        self.first = _convolution(dims, in_channels, num_channels, kernel)
        groups = [_Group(dims, num_channels, num_residual_blocks, hidden, kernel) for _ in range(num_residual_groups)]
        self.groups = nn.Sequential(*groups)
        self.join = _convolution(dims, num_channels, num_channels, kernel)
        factors = (upscale_z, upscale, upscale)[-dims:]
        self.enlarges = max(factors) > 1
        if self.enlarges:
            scale = tuple(float(f) for f in factors)
            self.grow = nn.Upsample(scale_factor=scale, mode="nearest")
            self.interpolate = nn.Upsample(scale_factor=scale, mode="bilinear" if dims == 2 else "trilinear")
            self.sharpen = nn.Sequential(_convolution(dims, num_channels, num_channels, kernel), nn.ReLU())
        self.last = _convolution(dims, num_channels, out_channels, kernel)
        if residual:
            nn.init.zeros_(self.last.weight)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Restore a batch B C (Z) Y X of any spatial size."""
        shallow = self.first(image)
        features = shallow + self.join(self.groups(shallow))
        if self.enlarges:
            features = self.sharpen(self.grow(features))
            image = self.interpolate(image)
        restored: torch.Tensor = self.last(features)
        return image + restored if self.residual else restored


class _Group(nn.Module):
    """Blocks and a convolution, with a skip around them."""

    def __init__(self, dims: int, channels: int, blocks: int, hidden: int, kernel: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [_Block(dims, channels, hidden, kernel) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers, _convolution(dims, channels, channels, kernel))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        added: torch.Tensor = features + self.layers(features)
        return added


class _Block(nn.Module):
    """Two convolutions, a gate on the channels, a skip around all."""

    def __init__(self, dims: int, channels: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.space = tuple(range(2, 2 + dims))
        convolutions = [_convolution(dims, channels, channels, kernel) for _ in range(2)]
        self.layers = nn.Sequential(convolutions[0], nn.ReLU(), convolutions[1])
        self.gate = nn.Sequential(
            _convolution(dims, channels, hidden, 1), nn.ReLU(), _convolution(dims, hidden, channels, 1), nn.Sigmoid()
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        deep = self.layers(features)
        weights = self.gate(deep.mean(dim=self.space, keepdim=True))  # B C (1) 1 1
        added: torch.Tensor = features + deep * weights
        return added


def _convolution(dims: int, before: int, after: int, kernel: int) -> nn.Conv2d | nn.Conv3d:
    convolution = (nn.Conv2d if dims == 2 else nn.Conv3d)(before, after, kernel, padding=kernel // 2)
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return convolution


def step(arguments: Mapping[str, Any]) -> int:  # noqa: ARG001
    """Spatial sizes must be multiples of this many pixels: any size will do."""
    return 1


def halo(arguments: Mapping[str, Any]) -> int:
    """Input pixels to throw away at the inner borders of a tile: the reach of the convolutions, at most `LARGEST_HALO`.

    No halo makes tiles exact, as the gates see the whole input. And the far ends of the reach hardly matter: with the
    default network, trained on real and on simulated pairs, tiles of 128 pixels differed from the whole image by at
    most 0.00013 of the image's range with a halo of 8, and by 0.00010 to 0.00014 with 16, 24 and 38.

    Parameters
    ----------
    arguments : mapping
        Of :class:`RCAN`.
    """
    blocks, groups = (int(arguments[f"num_residual_{what}"]) for what in ("blocks", "groups"))
    convolutions = 3 + groups * (2 * blocks + 1)
    enlarges = max(int(arguments.get(name, 1)) for name in ("upscale", "upscale_z")) > 1
    return min(LARGEST_HALO, (convolutions + enlarges) * (int(arguments["kernel"]) // 2))


def factors(arguments: Mapping[str, Any]) -> tuple[int, ...]:
    """Output over input pixels per spatial axis, (z), y, x."""
    lateral = int(arguments.get("upscale", 1))
    return (int(arguments.get("upscale_z", 1)), lateral, lateral)[-int(arguments["dims"]) :]
