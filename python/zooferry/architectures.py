"""The networks by name: class, file that is shipped, and how far a pixel reaches."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from zooferry import foreign
from zooferry.networks import rcan, segmentation, sequential, star_volumes, unet

ARCHITECTURES: dict[str, type[torch.nn.Module]] = {
    "unet.UNet": unet.UNet,
    "unet.LaplaceUNet": unet.LaplaceUNet,
    "unet.LaplaceEnsemble": unet.LaplaceEnsemble,
    "unet.ProjectionUNet": unet.ProjectionUNet,
    "unet.IsotropicUNet": unet.IsotropicUNet,
    "unet.PercentileUNet": unet.PercentileUNet,
    "unet.PercentileLaplaceUNet": unet.PercentileLaplaceUNet,
    "unet.PercentileLaplaceEnsemble": unet.PercentileLaplaceEnsemble,
    "unet.PercentileProjectionUNet": unet.PercentileProjectionUNet,
    "unet.PercentileIsotropicUNet": unet.PercentileIsotropicUNet,
    "rcan.RCAN": rcan.RCAN,
    "segmentation.BorderUNet": segmentation.BorderUNet,
    "segmentation.DenoiSegUNet": segmentation.DenoiSegUNet,
    "segmentation.StarUNet": segmentation.StarUNet,
    "segmentation.FlowUNet": segmentation.FlowUNet,
    "segmentation.OneHeadStarUNet": segmentation.OneHeadStarUNet,
    "segmentation.OneHeadFlowUNet": segmentation.OneHeadFlowUNet,
    "star_volumes.StarVolumeUNet": star_volumes.StarVolumeUNet,
    "star_volumes.OneHeadStarVolumeUNet": star_volumes.OneHeadStarVolumeUNet,
    "sequential.SequentialBorderUNet": sequential.SequentialBorderUNet,
    "sequential.SequentialStarUNet": sequential.SequentialStarUNet,
    "sequential.OneHeadSequentialStarUNet": sequential.OneHeadSequentialStarUNet,
}


@dataclass(frozen=True)
class Reach:
    """Pixels per spatial axis, (z), y, x; of a z that is projected away, step is 1 and halo 0.

    Attributes
    ----------
    step : tuple of int
        Sizes must be multiples of it.
    halo : tuple of int
        Pixels around a pixel that can change it.
    factors : tuple of int
        Output over input pixels, less than 1 for a grid; 0: the output has no such axis.
    exact : bool
        Whether tiles with that halo give the values of the whole image.
    """

    step: tuple[int, ...]
    halo: tuple[int, ...]
    factors: tuple[float, ...]
    exact: bool


def name_of(network: torch.nn.Module) -> str:
    """The key of `ARCHITECTURES` for a network: file and class, such as "unet.UNet"."""
    return f"{type(network).__module__.rpartition('.')[2]}.{type(network).__name__}"


def build(network: Mapping[str, Any], run: Path) -> torch.nn.Module:
    """A network as run.json's entry describes it, with fresh weights; `run` is its folder."""
    if foreign.is_foreign(network):
        return foreign.build(network, run)
    return ARCHITECTURES[network["architecture"]](**network["arguments"])


def source_file(network: Mapping[str, Any], run: Path) -> Path:
    """The file that holds the architecture; `network` is run.json's entry, `run` its folder."""
    if foreign.is_foreign(network):
        return foreign.source_file(network, run)
    return Path(str(sys.modules[ARCHITECTURES[network["architecture"]].__module__].__file__))


def reach(network: Mapping[str, Any], dims: int) -> Reach:
    """Of a network as run.json describes it: ``{"architecture": ..., "arguments": ...}``."""
    arguments = network["arguments"]
    if foreign.is_foreign(network):
        code = network["code"]
        return Reach(tuple(code["step"]), tuple(code["halo"]), (1,) * dims, exact=False)
    if network["architecture"].startswith("rcan."):
        pixels = (rcan.step(arguments),) * dims, (rcan.halo(arguments),) * dims
        return Reach(*pixels, rcan.factors(arguments), exact=False)
    if "denoiser" in arguments:
        return _of_both(arguments, dims)
    depth, kernel = int(arguments["depth"]), int(arguments["kernel"])
    step, halo = unet_step(depth), unet_halo(depth, kernel)
    if "style" in arguments:  # a residual U-Net
        halo = unet_halo(depth, kernel, blocks=2)
    if "grid" in arguments:
        grid = arguments["grid"]
        found = _on_grid([grid] * dims if isinstance(grid, int) else list(grid), kernel, (step, halo))
        if arguments.get("mirrored"):  # mirror images lie a pixel beside it on the grid
            found = replace(found, halo=tuple(h + s for h, s in zip(found.halo, found.step, strict=True)))
        return replace(found, factors=(1,) * dims) if arguments.get("repeated") else found
    if "projection_depth" in arguments:
        halo += unet_halo(int(arguments["projection_depth"]), kernel)
        step = max(step, unet_step(int(arguments["projection_depth"])))
        halo = _rounded_up(halo, step)
        return Reach((1, step, step), (0, halo, halo), (0, 1, 1), exact=True)
    factor = int(arguments.get("factor", 1))
    if factor == 1:
        return Reach((step,) * dims, (halo,) * dims, (1,) * dims, exact=True)
    deep = step // math.gcd(step, factor)
    far = -(-(halo + factor - factor // 2) // factor)  # in slices; the interpolation reaches the next one
    return Reach((deep, step, step), (_rounded_up(far, deep), halo, halo), (factor, 1, 1), exact=True)


def _on_grid(grid: Sequence[int], kernel: int, inner: tuple[int, int]) -> Reach:
    """Of a network whose first levels halve each axis as often as its grid says; `inner` are step and halo behind."""
    levels, halos = max(grid).bit_length() - 1, []
    for side in grid:
        halved = [min(2**level, side) for level in range(levels + 1)]  # pixels between neighbours of each level
        before = sum(2 * (kernel // 2) * here + there - here for here, there in itertools.pairwise(halved))
        halos.append(_rounded_up(before + side * inner[1], side * inner[0]))
    return Reach(tuple(side * inner[0] for side in grid), tuple(halos), tuple(1 / side for side in grid), exact=True)


def _of_both(arguments: Mapping[str, Any], dims: int) -> Reach:
    """Of a denoiser and what follows it: see `zooferry.networks.sequential`."""
    rest = {key: value for key, value in arguments.items() if key != "denoiser"}
    first, second = (
        reach({"architecture": "segmentation.SegmentationUNet", "arguments": part}, dims)
        for part in (arguments["denoiser"], rest)
    )
    step = max(first.step[-1], second.step[-1])  # both are powers of 2
    halo = _rounded_up(first.halo[-1] + second.halo[-1], step)
    return Reach((step,) * dims, (halo,) * dims, second.factors, exact=True)


def unet_step(depth: int) -> int:
    """Spatial sizes of a U-Net's input must be multiples of this many pixels."""
    return int(2**depth)


def unet_halo(depth: int, kernel: int, blocks: int = 1) -> int:
    """Pixels around a pixel that can change it in a U-Net, rounded up to a multiple of the step.

    Two convolutions per level and direction reach ``2 * (kernel // 2)`` pixels of that level each, pooling reaches
    one pixel more per level. Residual U-Nets have two such `blocks`, and both directions at the bottom.
    """
    reach = 2 * (kernel // 2) * blocks
    down = sum((reach + 1) * 2**level for level in range(depth))
    up = sum(reach * 2**level for level in range(depth))
    return _rounded_up(down + blocks * reach * 2**depth + up, unet_step(depth))


def _rounded_up(pixels: int, step: int) -> int:
    return int(-(-pixels // step) * step)
