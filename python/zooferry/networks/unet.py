"""U-Net for restoration in two or three dimensions, without normalisation layers; what it makes of uncertainty.

This file imports torch and the standard library only, because it is shipped inside every package as the source of
its architecture.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import nn

SMALLEST_SCALE = 1e-3  # of a Laplace distribution, in the network's units
FIRST_SCALE = 0.05  # what a fresh network predicts everywhere
# nodes and weights on 0 ... 1 of Gauss-Legendre with 6 points, for the upper half of a distribution; worst error of the
# disagreement in 400 random mixtures of 2 to 5 members: 0.03, root mean square 0.003
_NODES = (
    (0.033765242898424, 0.085662246189585), (0.169395306766868, 0.180380786524069),
    (0.380690406958402, 0.233956967286346), (0.619309593041598, 0.233956967286346),
    (0.830604693233132, 0.180380786524069), (0.966234757101576, 0.085662246189585),
)  # fmt: skip
# deviations from a member's mean in its scales, -log(node) on either side, each with half the weight
QUADRATURE = tuple((side * -math.log(node), weight / 2) for node, weight in _NODES for side in (-1, 1))


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
        restored: torch.Tensor = self.last(self.features(image))
        return image + restored if self.residual else restored

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """What the last convolution sees: `width` channels of the image's size."""
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
        found: torch.Tensor = features
        return found


class LaplaceUNet(UNet):
    """A U-Net that predicts a Laplace distribution for every pixel (Weigert 2018, probabilistic CARE).

    Its last convolution has twice the output's channels: those of the mean, then those of the scale.

    Parameters
    ----------
    **arguments
        Of :class:`UNet`.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        channels, width = self.last.out_channels, self.last.in_channels
        self.last = type(self.last)(width, 2 * channels, 1)
        with torch.no_grad():  # else the features are first spent on making all scales small
            self.last.bias.zero_()  # type: ignore[union-attr]
            self.last.bias[channels:] = math.log(math.expm1(FIRST_SCALE))  # type: ignore[index]
            self.last.weight[0 if self.residual else channels :] = 0.0

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        """Mean and scale (above 0), each B C (Z) Y X, of a batch as :class:`UNet` takes it."""
        mean, scale = torch.chunk(self.last(self.features(image)), 2, dim=1)
        scale = nn.functional.softplus(scale) + SMALLEST_SCALE
        return (image + mean if self.residual else mean), scale


class LaplaceEnsemble(nn.Module):
    """Several :class:`LaplaceUNet` as one network, whose prediction is the mixture of theirs (Weigert 2018).

    Parameters
    ----------
    members : int
        How many, 2 or more.
    **arguments
        Of each, see :class:`UNet`.
    """

    def __init__(self, members: int = 4, **arguments: Any) -> None:
        super().__init__()
        if members < 2:
            raise ValueError(f"members is {members}; an ensemble has 2 or more")
        self.members = nn.ModuleList([LaplaceUNet(**arguments) for _ in range(members)])

    def forward(self, image: torch.Tensor, apart: bool = False) -> tuple[torch.Tensor, ...]:
        """Mean, scale and disagreement (see :func:`mixture`), each B C (Z) Y X.

        With `apart`, each member sees a part of the batch of its own, and mean and scale are theirs, B C (Z) Y X: for
        training.
        """
        count = len(self.members)
        parts = image.chunk(count) if apart else [image] * count
        found = [member(part) for member, part in zip(self.members, parts, strict=True)]
        means, scales = [mean for mean, _ in found], [scale for _, scale in found]
        if apart:
            return torch.cat(means), torch.cat(scales)
        return mixture(torch.stack(means), torch.stack(scales))


class ProjectionUNet(nn.Module):
    """A volume to the image of the surface in it, denoised (Weigert 2018, joint surface projection and denoising).

    A U-Net in three dimensions that halves y and x only gives every voxel a score. The softmax of the scores along z
    are weights, the weighted sum of any number of slices is the projected image, and a U-Net in 2D restores it.

    Parameters
    ----------
    projection_width, projection_depth : int
        `width` and `depth` of the U-Net that finds the surface.
    in_channels, kernel : int
        Of both; all channels are projected with the same weights.
    **others
        Of the :class:`UNet` that restores.
    """

    def __init__(
        self, projection_width: int = 4, projection_depth: int = 3, in_channels: int = 1, kernel: int = 3, **others: Any
    ) -> None:
        super().__init__()
        shared: dict[str, Any] = {"in_channels": in_channels, "kernel": kernel}
        self.surface = UNet(dims=3, width=projection_width, depth=projection_depth, residual=False, **shared)
        self.surface.pool = nn.MaxPool3d((1, 2, 2))
        self.surface.grow = nn.Upsample(scale_factor=(1.0, 2.0, 2.0), mode="nearest")
        self.flat = UNet(dims=2, **shared, **others)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """A batch B C Z Y X -> B C Y X; Y and X are multiples of 2 to the power of the larger depth."""
        restored: torch.Tensor = self.flat(self.project(image))
        return restored

    def project(self, image: torch.Tensor) -> torch.Tensor:
        """The weighted sum along z, B C Y X."""
        weights = torch.softmax(self.surface(image), dim=2)  # B 1 Z Y X
        projected: torch.Tensor = (image * weights).sum(dim=2)
        return projected


class IsotropicUNet(nn.Module):
    """A volume with coarse z to one whose z is as fine and sharp as y and x (Weigert 2018, isotropic restoration).

    Slices are linearly interpolated, a U-Net restores all sections z-x and all sections z-y; their mean counts.

    Parameters
    ----------
    factor : int
        Slices of the output per slice of the input; slice i comes to lie at ``i * factor + factor // 2``.
    **arguments
        Of the :class:`UNet` in two dimensions.
    """

    def __init__(self, factor: int = 4, **arguments: Any) -> None:
        super().__init__()
        self.factor = factor
        self.section = UNet(**{**arguments, "dims": 2})
        places = [(fine - factor // 2) / factor for fine in range(factor)]  # of the fine slices around slice 0
        weights = torch.tensor([[max(0.0, 1 - abs(place - near)) for near in (-1, 0, 1)] for place in places])
        self.between = nn.Conv2d(1, factor, (3, 1), padding=(1, 0), padding_mode="replicate", bias=False)
        self.between.weight = nn.Parameter(weights.reshape(factor, 1, 3, 1), requires_grad=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """A batch B C Z Y X -> B C (factor Z) Y X; sections B C Z X likewise."""
        fine = self.interpolated(image) if self.factor > 1 else image
        if image.dim() == 4:
            return self.section(fine)  # type: ignore[no-any-return]
        return (self._sections(fine, 3) + self._sections(fine, 4)) / 2

    def _sections(self, fine: torch.Tensor, axis: int) -> torch.Tensor:
        first = fine.movedim(axis, 1)  # B (Y or X) C Z (X or Y)
        found: torch.Tensor = self.section(first.flatten(0, 1))
        return found.reshape([first.shape[0], first.shape[1], *found.shape[1:]]).movedim(1, axis)

    def interpolated(self, image: torch.Tensor) -> torch.Tensor:
        """B C Z ... -> B C (factor Z) ...; the outermost slices are repeated."""
        rows = image.flatten(3).flatten(0, 1).unsqueeze(1)  # (B C) 1 Z (Y X)
        fine: torch.Tensor = self.between(rows).transpose(1, 2)  # (B C) Z factor (Y X)
        return fine.reshape([*image.shape[:2], -1, *image.shape[3:]])


def mixture(means: torch.Tensor, scales: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The equal mixture of M Laplace distributions p_1 ... p_M for every pixel.

    Parameters
    ----------
    means, scales : Tensor
        M B C (Z) Y X.

    Returns
    -------
    mean : Tensor
        Of the mixture.
    scale : Tensor
        The mixture's mean absolute deviation from that mean; a single Laplace distribution's is its scale, and of
        all Laplace distributions at that mean the one with this scale is the closest (in the Kullback-Leibler sense).
    disagreement : Tensor
        ``sum_m KL(p_m || mixture) / (M log M)``, 0 to 1. It equals 1 - E[H] / log M, where H is the entropy of
        p_m(x) / sum_j p_j(x) and x is drawn from the mixture; that form keeps its limits under any quadrature. Here:
        Gauss-Legendre in the distribution function of each member.
    """
    count = means.shape[0]
    mean = means.mean(0)
    away = (means - mean).abs()
    scale = (away + scales * torch.exp(-away / scales)).mean(0)
    logs = torch.log(scales)
    entropy = torch.zeros_like(mean)
    for m in range(count):
        for deviation, weight in QUADRATURE:
            x = means[m] + deviation * scales[m]
            # logarithm of p_j(x) / p_m(x), so that nothing overflows and one of them is 0
            ratio = logs[m] + abs(deviation) - logs - (x - means).abs() / scales
            parts = torch.exp(ratio)
            total = parts.sum(0)
            entropy = entropy + weight * (torch.log(total) - (parts * ratio).sum(0) / total)
    disagreement = 1 - entropy / (count * math.log(count))
    return mean, scale, disagreement.clamp(0, 1)


class _Percentiles(nn.Module):
    """A network that scales its raw input by percentiles of the whole image itself.

    For hosts whose own percentiles differ (JDLL takes them without interpolation). A tile has other percentiles than
    its image, so it must see whole images.

    Parameters
    ----------
    low, high, eps : float
        Percentiles (0-100) that become 0 and 1, linearly interpolated as numpy does; eps is added to their difference.
    each : bool
        Whether each channel has its own.
    **arguments
        Of the network.
    """

    def __init__(self, low: float, high: float, eps: float = 1e-6, each: bool = False, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.low, self.high, self.eps, self.each = low, high, eps, each

    def forward(self, image: torch.Tensor) -> Any:
        """The network's outputs for a batch B C (Z) Y X of raw grey values; each image is scaled by itself."""
        values = torch.sort(image.flatten(2 if self.each else 1), dim=-1)[0]
        more = (..., *[None] * (image.dim() - values.dim()))
        low, high = (_percentile(values, q)[more] for q in (self.low, self.high))
        return super().forward((image - low) / (high - low + self.eps))


class PercentileUNet(_Percentiles, UNet):
    """See :class:`_Percentiles` and :class:`UNet`."""


class PercentileLaplaceUNet(_Percentiles, LaplaceUNet):
    """See :class:`_Percentiles` and :class:`LaplaceUNet`."""


class PercentileLaplaceEnsemble(_Percentiles, LaplaceEnsemble):  # type: ignore[misc]
    """See :class:`_Percentiles` and :class:`LaplaceEnsemble`."""


class PercentileProjectionUNet(_Percentiles, ProjectionUNet):
    """See :class:`_Percentiles` and :class:`ProjectionUNet`."""


class PercentileIsotropicUNet(_Percentiles, IsotropicUNet):
    """See :class:`_Percentiles` and :class:`IsotropicUNet`."""


def _percentile(values: torch.Tensor, percent: float) -> torch.Tensor:
    """Percentile of sorted rows B (C) N; the rank is computed in float64, as float32 cannot count beyond 16 million."""
    last = torch.as_tensor(values.shape[-1]) - 1
    rank = last.to(torch.float64) * (percent / 100)
    below = torch.floor(rank)
    part = (rank - below).to(values.dtype)
    lower = values.index_select(-1, below.to(torch.int64).reshape(1))
    upper = values.index_select(-1, torch.ceil(rank).to(torch.int64).reshape(1))
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
