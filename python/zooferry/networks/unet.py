"""U-Net for restoration in two or three dimensions, without normalisation layers.

This file imports torch and the standard library only, because it is shipped inside every package as the source of
its architecture.
"""

from __future__ import annotations

import itertools

import torch
from torch import nn


class UNet(nn.Module):
    """A residual U-Net (Ronneberger 2015; as used by Weigert 2018 for CARE and Krull 2019 for Noise2Void).

    Every level has two convolutions with leaky rectifiers, maximum pooling by 2 goes down, nearest-neighbour
    up-sampling goes up. Nothing in it depends on statistics of the image, so a tile with enough halo gives the
    same values as the whole image.

    Parameters
    ----------
    dims : int
        Spatial axes: 2 (y, x) or 3 (z, y, x).
    in_channels, out_channels : int
        Channels of the input and the output.
    width : int
        Feature channels of the first level; doubled at each level.
    depth : int
        How often the image is halved.
    kernel : int
        Odd side of the convolutions' kernel in pixels.
    residual : bool
        Add the input to the output (needs as many output as input channels).
    """

    def __init__(
        self,
        dims: int = 2,
        in_channels: int = 1,
        out_channels: int = 1,
        width: int = 32,
        depth: int = 2,
        kernel: int = 3,
        residual: bool = True,
    ) -> None:
        super().__init__()
        if residual and in_channels != out_channels:
            raise ValueError(f"residual needs equal channels, got {in_channels} in and {out_channels} out")
        self.residual = residual
        widths = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList()
        channels = in_channels
        for wide in widths[:-1]:
            self.down.append(_block(dims, (channels, wide, wide), kernel))
            channels = wide
        self.bottom = _block(dims, (channels, widths[-1], channels), kernel)
        self.up = nn.ModuleList()
        for level, wide in reversed(list(enumerate(widths[:-1]))):
            self.up.append(_block(dims, (2 * wide, wide, widths[max(level - 1, 0)]), kernel))
        self.pool = (nn.MaxPool2d if dims == 2 else nn.MaxPool3d)(2)
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        self.last = _convolution(dims)(widths[0], out_channels, 1)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        if residual:
            nn.init.zeros_(self.last.weight)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Restore a batch B C (Z) Y X whose spatial sizes are multiples of 2**depth."""
        features = image
        skipped = []
        for block in self.down:
            features = block(features)
            skipped.append(features)
            features = self.pool(features)
        features = self.bottom(features)
        for block in self.up:
            features = torch.cat((self.grow(features), skipped.pop()), dim=1)
            features = block(features)
        restored: torch.Tensor = self.last(features)
        return image + restored if self.residual else restored


class PercentileUNet(UNet):
    """A U-Net that scales its raw input by percentiles of the whole image itself.

    For hosts whose own percentiles differ (JDLL takes them without interpolation). A tile has other percentiles than
    its image, so it must see whole images.

    Parameters
    ----------
    low, high : float
        Percentiles (0-100) over channels and space that become 0 and 1, linearly interpolated as numpy does.
    eps : float
        Added to their difference.
    **arguments
        Of :class:`UNet`.
    """

    def __init__(self, low: float, high: float, eps: float = 1e-6, **arguments: int) -> None:
        super().__init__(**arguments)  # type: ignore[arg-type]
        self.low, self.high, self.eps = low, high, eps

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Restore a batch B C (Z) Y X of raw grey values; each image is scaled by itself."""
        values = torch.sort(image.flatten(1), dim=1)[0]
        low, high = (_percentile(values, q).reshape([-1] + [1] * (image.dim() - 1)) for q in (self.low, self.high))
        return super().forward((image - low) / (high - low + self.eps))


def _percentile(values: torch.Tensor, percent: float) -> torch.Tensor:
    """Percentile of sorted rows B N; the rank is computed in float64, as float32 cannot count beyond 16 million."""
    last = torch.as_tensor(values.shape[1]) - 1
    rank = last.to(torch.float64) * (percent / 100)
    below = torch.floor(rank)
    part = (rank - below).to(values.dtype)
    lower = values.index_select(1, below.to(torch.int64).reshape(1))
    upper = values.index_select(1, torch.ceil(rank).to(torch.int64).reshape(1))
    return lower + (upper - lower) * part


def _convolution(dims: int) -> type[nn.Conv2d] | type[nn.Conv3d]:
    return nn.Conv2d if dims == 2 else nn.Conv3d


def _block(dims: int, widths: tuple[int, int, int], kernel: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        convolution = _convolution(dims)(before, after, kernel, padding=kernel // 2)
        nn.init.kaiming_normal_(convolution.weight, a=0.1)
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        layers += [convolution, nn.LeakyReLU(0.1, inplace=True)]
    return nn.Sequential(*layers)


def step(depth: int) -> int:
    """Spatial sizes must be multiples of this many pixels."""
    return int(2**depth)


def halo(depth: int, kernel: int) -> int:
    """Pixels around a pixel that can change it, rounded up to a multiple of the step.

    Two convolutions per level and direction reach ``2 * (kernel // 2)`` pixels of that level each, pooling reaches
    one pixel more per level.
    """
    reach = 2 * (kernel // 2)
    down = sum((reach + 1) * 2**level for level in range(depth))
    up = sum(reach * 2**level for level in range(depth))
    return int(-(-(down + reach * 2**depth + up) // step(depth)) * step(depth))
