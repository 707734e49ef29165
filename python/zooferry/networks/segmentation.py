"""U-Nets for segmentation in two or three dimensions: border classes, star-convex distances, flows.

This file imports torch and the standard library only, because it is shipped inside every package as the source of
its architecture.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import nn

LEAST_DISTANCE = 1e-3  # pixels
DISTANCE = 8.0  # pixels: what a fresh network predicts, and the unit of its last convolution


class SegmentationUNet(nn.Module):
    """A U-Net (Ronneberger 2015) whose last features have a coarser grid than the image, or the same.

    Every level has two convolutions with leaky rectifiers, maximum pooling by 2 goes down, nearest-neighbour
    up-sampling goes up. Nothing depends on statistics of the image, so tiles with enough halo give its values.

    Parameters
    ----------
    dims : int
        Spatial axes: 2 (y, x) or 3 (z, y, x).
    in_channels, channels : int
        Channels of the input and of the last convolution.
    width : int
        Feature channels of the first level; doubled at each level.
    depth : int
        How often the grid is halved.
    kernel : int
        Odd side of the convolutions' kernel in pixels.
    grid : int
        Pixels of the image between neighbours of the output, a power of 2: as many levels come first, with half as
        many channels each, and are left out on the way up.
    widest : int
        Most feature channels of a level; 0 is no limit.
    """

    def __init__(
        self,
        dims: int = 2,
        in_channels: int = 1,
        channels: int = 3,
        width: int = 32,
        depth: int = 3,
        kernel: int = 3,
        grid: int = 1,
        widest: int = 0,
    ) -> None:
        super().__init__()
        self.pool = (nn.MaxPool2d if dims == 2 else nn.MaxPool3d)(2)
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        widths = _widths(width, depth, widest)
        self.coarser = nn.ModuleList()
        before = in_channels
        for level in reversed(range(grid.bit_length() - 1)):
            wide = max(1, width // 2 ** (level + 1))
            self.coarser.append(_block(dims, (before, wide, wide), kernel))
            before = wide
        self.down = nn.ModuleList()
        for wide in widths[:-1]:
            self.down.append(_block(dims, (before, wide, wide), kernel))
            before = wide
        self.bottom = _block(dims, (before, widths[-1], before), kernel)
        self.up = nn.ModuleList()
        for level, wide in reversed(list(enumerate(widths[:-1]))):
            self.up.append(_block(dims, (2 * wide, wide, widths[max(level - 1, 0)]), kernel))
        self.last = _convolution(dims)(width, channels, 1)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def heads(self, image: torch.Tensor) -> torch.Tensor:
        """The last convolution's channels for a batch B C (Z) Y X; sizes are multiples of grid * 2**depth."""
        features = image
        for block in self.coarser:
            features = self.pool(block(features))
        skipped = []
        for block in self.down:
            features = block(features)
            skipped.append(features)
            features = self.pool(features)
        features = self.bottom(features)
        for block in self.up:
            features = block(torch.cat((self.grow(features), skipped.pop()), dim=1))
        found: torch.Tensor = self.last(features)
        return found


class BorderUNet(SegmentationUNet):
    """Probabilities of background, object and border (Prakash 2020, VoidSeg).

    Parameters
    ----------
    **arguments
        Of :class:`SegmentationUNet`, without `channels` and `grid`.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments, channels=3)

    def forward(self, image: torch.Tensor, bare: bool = False) -> torch.Tensor:
        """Probabilities B 3 (Z) Y X of a batch B C (Z) Y X; `bare` gives logits, for training."""
        logits = self.heads(image)
        return logits if bare else torch.softmax(logits, dim=1)


class DenoiSegUNet(SegmentationUNet):
    """A denoised image, and probabilities of background, object and border (Buchholz 2020, DenoiSeg).

    Parameters
    ----------
    **arguments
        Of :class:`SegmentationUNet`, without `channels` and `grid`.
    """

    def __init__(self, in_channels: int = 1, **arguments: Any) -> None:
        super().__init__(in_channels=in_channels, channels=in_channels + 3, **arguments)
        self.images = in_channels

    def forward(self, image: torch.Tensor, bare: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Image B C (Z) Y X and probabilities B 3 (Z) Y X of a batch B C (Z) Y X; `bare` gives logits, for training."""
        found = self.heads(image)
        denoised, logits = found[:, : self.images], found[:, self.images :]
        return denoised, (logits if bare else torch.softmax(logits, dim=1))


class StarUNet(SegmentationUNet):
    """Object probability and distances to the object's border along rays (Schmidt 2018, StarDist).

    Parameters
    ----------
    rays : int
        How many; the first one goes along x, the others follow in equal angles.
    repeated : bool
        Every pixel of the image gets the values of its place on the grid, for hosts that know no grid.
    mirrored : bool
        The values are the means of those of the image and of its three mirror images, along y, x and both (2D, an even
        number of rays); not for `bare`.
    **arguments
        Of :class:`SegmentationUNet`, without `channels`.
    """

    def __init__(self, rays: int = 32, repeated: bool = False, mirrored: bool = False, **arguments: Any) -> None:
        super().__init__(**arguments, channels=1 + rays)
        grid, depth = arguments.get("grid", 1), arguments.get("depth", 3)
        self.repeat = nn.Upsample(scale_factor=grid, mode="nearest") if repeated else nn.Identity()
        self.rays, self.mirrored = rays, mirrored
        # the grid has the first pixel of every `grid`: a mirror image is shifted by one pixel, so that it has the same
        self.shift = (1, grid * 2**depth - 1, 2**depth - 1) if grid > 1 else (0, 0, 0)
        with torch.no_grad():
            self.last.bias[1:] = 1.0  # type: ignore[index]
            self.last.weight[1:] /= 4

    def forward(self, image: torch.Tensor, bare: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Probability B 1 (Z) Y X and distances B rays (Z) Y X in pixels of the image, on the grid.

        `bare` gives the logit of the probability, and distances that may be negative, for training, on the grid always.
        """
        if bare:
            found = self.heads(image)
            return found[:, :1], DISTANCE * found[:, 1:]
        means = self._seen(image)
        if self.mirrored:
            for axes in ((2,), (3,), (2, 3)):
                means = means + self._unmirrored(self._seen(self._mirrored(image, axes)), axes)
            means = means / 4
        means = self.repeat(means)
        return means[:, :1], means[:, 1:]

    def _seen(self, image: torch.Tensor) -> torch.Tensor:
        """Probability and distances as channels, B 1 + rays (Z) Y X."""
        found = self.heads(image)
        distances = (DISTANCE * found[:, 1:]).clamp(min=LEAST_DISTANCE)
        return torch.cat((torch.sigmoid(found[:, :1]), distances), dim=1)

    def _mirrored(self, image: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
        """B C Y X turned round along the axes, with background around where it must be shifted."""
        before, after, _ = self.shift
        pads = [side for axis in (3, 2) for side in ((before, after) if axis in axes else (0, 0))]
        return nn.functional.pad(torch.flip(image, axes), pads)

    def _unmirrored(self, found: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
        """B 1 + rays Y X of a mirror image as the image has them."""
        before, _, after = self.shift
        if before:
            rows, columns = (slice(1, -after) if axis in axes else slice(None) for axis in (2, 3))
            found = found[:, :, rows, columns]
        found = torch.flip(found, axes)
        prob, rays = found[:, :1], found[:, 1:]
        for axis in axes:  # an angle becomes its negative along y, and half a turn less it along x
            turned = torch.flip(rays, (1,))
            first = self.rays // 2 - 1 if axis == 3 else self.rays - 1
            rays = torch.cat((turned[:, first:], turned[:, :first]), dim=1)
        return torch.cat((prob, rays), dim=1)


class FlowUNet(nn.Module):
    """Flows and the logit of the object probability by a residual U-Net with style (Stringer 2021, Cellpose).

    Every level has four convolutions, each after batch normalisation and a rectifier, with two residual connections.
    The mean of the deepest features over the image, scaled to length 1, is the style; it is added to the features of
    every level on the way up by a linear map. So a tile has another style than its image; without style it has the same
    flows.

    Parameters
    ----------
    dims : int
        Spatial axes; there is one flow along each.
    in_channels : int
    width, depth, kernel, widest : int
        See :class:`SegmentationUNet`; here the deepest level has `width` * 2**`depth` channels, or `widest`.
    style : bool
        Whether there is one.
    """

    def __init__(
        self,
        dims: int = 2,
        in_channels: int = 1,
        width: int = 32,
        depth: int = 3,
        kernel: int = 3,
        widest: int = 0,
        style: bool = True,
    ) -> None:
        super().__init__()
        widths = _widths(width, depth, widest)
        self.styled = style
        self.flows = dims
        self.pool = (nn.MaxPool2d if dims == 2 else nn.MaxPool3d)(2)
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        pairs = itertools.pairwise((in_channels, *widths))
        self.down = nn.ModuleList([_Residual(dims, pair, kernel) for pair in pairs])
        ups = [(widths[-1], widths[-1]), *itertools.pairwise(reversed(widths))]
        self.up = nn.ModuleList([_Residual(dims, pair, kernel, style=widths[-1] if style else 0) for pair in ups])
        self.last = _normalised(dims, (width, dims + 1), 1)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Flows along (z), y, x, B dims (Z) Y X, five times unit vectors, and the logit, B 1 (Z) Y X."""
        features = image
        skipped: list[torch.Tensor] = []
        for block in self.down:
            features = block(self.pool(features) if skipped else features)
            skipped.append(features)
        style = self.style_of(features) if self.styled else None
        for number, block in enumerate(self.up):
            features = block(self.grow(features) if number else features, skipped.pop(), style)
        found = self.last(features)
        return found[:, : self.flows], found[:, self.flows :]

    def style_of(self, features: torch.Tensor) -> torch.Tensor:
        """B C of length 1, from the deepest features B C (Z) Y X."""
        means = features.flatten(2).mean(dim=2)
        return means / (means.square().sum(dim=1, keepdim=True) + 1e-12).sqrt()


class OneHeadStarUNet(StarUNet):
    """A :class:`StarUNet` whose probability and distances are the channels of one output, B 1 + rays (Z) Y X."""

    def forward(self, image: torch.Tensor, bare: bool = False) -> torch.Tensor:  # type: ignore[override]
        """See :class:`StarUNet`."""
        return torch.cat(super().forward(image, bare), dim=1)


class OneHeadFlowUNet(FlowUNet):
    """A :class:`FlowUNet` whose flows and logit are the channels of one output, B dims + 1 (Z) Y X."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """See :class:`FlowUNet`."""
        return torch.cat(super().forward(image), dim=1)


class _Residual(nn.Module):
    """Four convolutions with two residual connections; on the way up with a skip connection and the style."""

    def __init__(self, dims: int, channels: tuple[int, int], kernel: int, style: int = 0) -> None:
        super().__init__()
        before, after = channels
        self.project = _normalised(dims, channels, 1, rectified=False)
        pairs = [(before, after), *[(after, after)] * 3]
        self.convolutions = nn.ModuleList([_normalised(dims, pair, kernel) for pair in pairs])
        self.styles = nn.ModuleList([nn.Linear(style, after) for _ in range(3)] if style else [])

    def forward(
        self, features: torch.Tensor, skipped: torch.Tensor | None = None, style: torch.Tensor | None = None
    ) -> torch.Tensor:
        first, second, third, fourth = self.convolutions
        inner = first(features)
        if skipped is not None:
            inner = inner + skipped
        found: torch.Tensor = self.project(features) + second(self._styled(inner, style, 0))
        found = found + fourth(self._styled(third(self._styled(found, style, 1)), style, 2))
        return found

    def _styled(self, features: torch.Tensor, style: torch.Tensor | None, number: int) -> torch.Tensor:
        if style is None:
            return features
        shift: torch.Tensor = self.styles[number](style)
        for _ in range(features.dim() - 2):
            shift = shift.unsqueeze(-1)
        return features + shift


def _widths(width: int, depth: int, widest: int) -> list[int]:
    return [min(width * 2**level, widest or width * 2**level) for level in range(depth + 1)]


def _normalised(dims: int, channels: tuple[int, int], kernel: int, rectified: bool = True) -> nn.Sequential:
    norm = (nn.BatchNorm2d if dims == 2 else nn.BatchNorm3d)(channels[0], momentum=0.05)
    convolution = _convolution(dims)(*channels, kernel, padding=kernel // 2)
    return nn.Sequential(norm, *([nn.ReLU()] if rectified else []), convolution)


def _convolution(dims: int) -> type[nn.Conv2d] | type[nn.Conv3d]:
    return nn.Conv2d if dims == 2 else nn.Conv3d


def _block(dims: int, widths: tuple[int, ...], kernel: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        convolution = _convolution(dims)(before, after, kernel, padding=kernel // 2)
        nn.init.kaiming_normal_(convolution.weight, a=0.1)
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        layers += [convolution, nn.LeakyReLU(0.1, inplace=True)]
    return nn.Sequential(*layers)
