"""A U-Net for star-convex polyhedra, with a grid of its own along z: probability and distances of volumes.

This file imports torch and the standard library only, because it is shipped inside every package as the source of
its architecture.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn

LEAST_DISTANCE = 1e-3  # pixels
DISTANCE = 8.0  # pixels: what a fresh network predicts, and the unit of its last convolution


class StarVolumeUNet(nn.Module):
    """Object probability and distances to the object's border along rays (Weigert 2020, StarDist in three dimensions).

    Every level has two convolutions with leaky rectifiers, maximum pooling goes down, nearest-neighbour up-sampling
    goes up. The levels above the output's grid come first and are left out on the way up; they halve an axis only as
    often as its grid says. Nothing depends on statistics of the volume.

    Parameters
    ----------
    rays : int
        How many distances.
    in_channels : int
    width : int
        Feature channels of the first level on the grid; doubled at each level, halved at each level above.
    depth : int
        How often the grid is halved.
    kernel : int
        Odd side of the convolutions' kernel in pixels.
    grid : sequence of int
        Pixels of the volume between neighbours of the output along z, y, x: powers of 2.
    widest : int
        Most feature channels of a level; 0 is no limit.
    repeated : bool
        Every voxel of the volume gets the values of its place on the grid, for hosts that know no grid.
    """

    def __init__(
        self,
        rays: int = 96,
        in_channels: int = 1,
        width: int = 32,
        depth: int = 2,
        kernel: int = 3,
        grid: Sequence[int] = (1, 2, 2),
        widest: int = 0,
        repeated: bool = False,
    ) -> None:
        super().__init__()
        halvings = [side.bit_length() - 1 for side in grid]
        levels = max(halvings)
        self.pool = nn.MaxPool3d(2)
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        before = in_channels
        self.coarser = nn.ModuleList()
        self.thin = nn.ModuleList()
        for level in range(levels):
            wide = max(1, width // 2 ** (levels - level))
            self.coarser.append(_block((before, wide, wide), kernel))
            self.thin.append(nn.MaxPool3d(tuple(2 if level < times else 1 for times in halvings)))
            before = wide
        widths = [min(width * 2**level, widest or width * 2**level) for level in range(depth + 1)]
        self.down = nn.ModuleList()
        for wide in widths[:-1]:
            self.down.append(_block((before, wide, wide), kernel))
            before = wide
        self.bottom = _block((before, widths[-1], before), kernel)
        self.up = nn.ModuleList()
        for level, wide in reversed(list(enumerate(widths[:-1]))):
            self.up.append(_block((2 * wide, wide, widths[max(level - 1, 0)]), kernel))
        self.last = nn.Conv3d(width, 1 + rays, 1)
        self.repeat = nn.Upsample(scale_factor=tuple(grid), mode="nearest") if repeated else nn.Identity()
        with torch.no_grad():
            self.last.bias.zero_()  # type: ignore[union-attr]
            self.last.bias[1:] = 1.0  # type: ignore[index]
            self.last.weight[1:] /= 4

    def forward(self, image: torch.Tensor, bare: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Probability B 1 Z Y X and distances B rays Z Y X in pixels of the volume, on the grid, of a batch B C Z Y X.

        `bare` gives the logit of the probability, and distances that may be negative, for training. Sizes of the
        volume are multiples of grid * 2**depth.
        """
        features = image
        for block, pool in zip(self.coarser, self.thin, strict=True):
            features = pool(block(features))
        skipped = []
        for block in self.down:
            features = block(features)
            skipped.append(features)
            features = self.pool(features)
        features = self.bottom(features)
        for block in self.up:
            features = block(torch.cat((self.grow(features), skipped.pop()), dim=1))
        found = self.last(features)
        found = found if bare else self.repeat(found)
        prob, distances = found[:, :1], DISTANCE * found[:, 1:]
        return (prob, distances) if bare else (torch.sigmoid(prob), distances.clamp(min=LEAST_DISTANCE))


class OneHeadStarVolumeUNet(StarVolumeUNet):
    """A :class:`StarVolumeUNet` whose probability and distances are the channels of one output, B 1 + rays Z Y X."""

    def forward(self, image: torch.Tensor, bare: bool = False) -> torch.Tensor:  # type: ignore[override]
        """See :class:`StarVolumeUNet`."""
        return torch.cat(super().forward(image, bare), dim=1)


def _block(widths: tuple[int, ...], kernel: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        convolution = nn.Conv3d(before, after, kernel, padding=kernel // 2)
        nn.init.kaiming_normal_(convolution.weight, a=0.1)
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        layers += [convolution, nn.LeakyReLU(0.1, inplace=True)]
    return nn.Sequential(*layers)
