"""A denoiser and a segmentation as one network: the denoised image, rescaled, is what the second U-Net takes.

This file imports torch and the standard library only, because it is shipped inside every package as the source of
its architecture.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

LEAST_DISTANCE = 1e-3  # pixels
DISTANCE = 8.0  # pixels: the unit of a star network's last convolution


class Part(nn.Module):
    """One of the two U-Nets; its weights have the names of those of `unet.UNet` and of `segmentation.SegmentationUNet`.

    Parameters
    ----------
    dims : int
        Spatial axes: 2 (y, x) or 3 (z, y, x).
    channels : (int, int)
        Of input and output.
    width, depth, kernel : int
        Feature channels of the first level of the output's grid, number of halvings from there, side of the kernels.
    grid : int
        Pixels of the input between neighbours of the output, a power of 2.
    widest : int
        Most feature channels of a level; 0 is no limit.
    residual : bool
        Add the input to the output.
    """

    def __init__(
        self,
        dims: int,
        channels: tuple[int, int],
        *,
        width: int,
        depth: int,
        kernel: int,
        grid: int = 1,
        widest: int = 0,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.residual = residual
        self.pool = (nn.MaxPool2d if dims == 2 else nn.MaxPool3d)(2)
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        coarser = [channels[0], *[max(1, width >> level) for level in range(grid.bit_length() - 1, 0, -1)]]
        wide = [min(width << level, widest or width << level) for level in range(depth + 1)]
        self.coarser = nn.ModuleList([_block(dims, (a, b, b), kernel) for a, b in itertools.pairwise(coarser)])
        down = itertools.pairwise((coarser[-1], *wide[:-1]))
        self.down = nn.ModuleList([_block(dims, (a, b, b), kernel) for a, b in down])
        self.bottom = _block(dims, (wide[-2], wide[-1], wide[-2]), kernel)
        up = itertools.pairwise((*wide[-2::-1], width))
        self.up = nn.ModuleList([_block(dims, (2 * a, a, b), kernel) for a, b in up])
        self.last = (nn.Conv2d if dims == 2 else nn.Conv3d)(width, channels[1], 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The last convolution's channels for a batch B C (Z) Y X; sizes are multiples of grid * 2**depth."""
        features = image
        for block in self.coarser:
            features = self.pool(block(features))
        skipped = []
        for block in self.down:
            skipped.append(block(features))
            features = self.pool(skipped[-1])
        features = self.bottom(features)
        for block in self.up:
            features = block(torch.cat((self.grow(features), skipped.pop()), dim=1))
        found: torch.Tensor = self.last(features)
        return image + found if self.residual else found


class SequentialUNet(nn.Module):
    """A denoiser that never learns, fixed numbers that rescale its image, and a U-Net for segmentation.

    The numbers are learnt once from all training images and belong to no image, so that tiles equal whole images.

    Parameters
    ----------
    denoiser : mapping
        `width`, `depth`, `kernel` and `residual` of the denoiser, see :class:`Part`.
    gain, offset : sequence of float
        What the denoised image is multiplied by, and then added, one number for each channel.
    dims, in_channels : int
    channels : int
        Of the last convolution.
    width, depth, kernel, grid, widest : int
        Of the segmentation, see :class:`Part`.
    """

    def __init__(
        self,
        denoiser: Mapping[str, Any],
        gain: Sequence[float],
        offset: Sequence[float],
        *,
        dims: int = 2,
        in_channels: int = 1,
        channels: int = 3,
        **arguments: Any,
    ) -> None:
        super().__init__()
        self.denoiser = Part(dims, (in_channels, in_channels), **denoiser).requires_grad_(False)
        self.segmenter = Part(dims, (in_channels, channels), **arguments)
        shape = (1, in_channels, *[1] * dims)
        self.register_buffer("gain", torch.tensor(gain).reshape(shape), persistent=False)
        self.register_buffer("offset", torch.tensor(offset).reshape(shape), persistent=False)

    def denoised(self, image: torch.Tensor) -> torch.Tensor:
        """What the segmentation is given for a batch B C (Z) Y X."""
        found: torch.Tensor = self.denoiser(image) * self.gain + self.offset
        return found


class SequentialBorderUNet(SequentialUNet):
    """Probabilities of background, object and border (Prakash 2020, VoidSeg, "sequential").

    Parameters
    ----------
    **arguments
        Of :class:`SequentialUNet`, without `channels` and `grid`.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments, channels=3)

    def forward(self, image: torch.Tensor, bare: bool = False) -> torch.Tensor:
        """Probabilities B 3 (Z) Y X of a batch B C (Z) Y X.

        `bare`, for training, takes denoised images (see :meth:`SequentialUNet.denoised`) and gives logits.
        """
        found: torch.Tensor = self.segmenter(image if bare else self.denoised(image))
        return found if bare else torch.softmax(found, dim=1)


class SequentialStarUNet(SequentialUNet):
    """Object probability and distances to the object's border along rays (Schmidt 2018, StarDist), after a denoiser.

    Parameters
    ----------
    rays : int
        How many.
    repeated : bool
        Every pixel of the image gets the values of its place on the grid, for hosts that know no grid.
    **arguments
        Of :class:`SequentialUNet`, without `channels`.
    """

    def __init__(self, rays: int = 32, repeated: bool = False, **arguments: Any) -> None:
        super().__init__(**arguments, channels=1 + rays)
        self.repeat = nn.Upsample(scale_factor=arguments.get("grid", 1), mode="nearest") if repeated else nn.Identity()

    def forward(self, image: torch.Tensor, bare: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Probability B 1 (Z) Y X and distances B rays (Z) Y X in pixels of the image, on the grid.

        `bare`, for training, takes denoised images and gives the probability's logit and distances of any sign.
        """
        found = self.segmenter(image if bare else self.denoised(image))
        found = found if bare else self.repeat(found)
        prob, distances = found[:, :1], DISTANCE * found[:, 1:]
        return (prob, distances) if bare else (torch.sigmoid(prob), distances.clamp(min=LEAST_DISTANCE))


class OneHeadSequentialStarUNet(SequentialStarUNet):
    """Probability and distances as the channels of one output, B 1 + rays (Z) Y X."""

    def forward(self, image: torch.Tensor, bare: bool = False) -> torch.Tensor:  # type: ignore[override]
        """See :class:`SequentialStarUNet`."""
        return torch.cat(super().forward(image, bare), dim=1)


def _block(dims: int, widths: tuple[int, ...], kernel: int) -> nn.Sequential:
    convolution = nn.Conv2d if dims == 2 else nn.Conv3d
    pairs = itertools.pairwise(widths)
    layers = [(convolution(a, b, kernel, padding=kernel // 2), nn.LeakyReLU(0.1, inplace=True)) for a, b in pairs]
    return nn.Sequential(*itertools.chain.from_iterable(layers))
