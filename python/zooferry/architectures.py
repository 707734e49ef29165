"""The networks by name: class, file that is shipped, and how far a pixel reaches."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from zooferry.networks import rcan, unet

ARCHITECTURES: dict[str, type[torch.nn.Module]] = {
    "unet.UNet": unet.UNet,
    "unet.LaplaceUNet": unet.LaplaceUNet,
    "unet.LaplaceEnsemble": unet.LaplaceEnsemble,
    "unet.ProjectionUNet": unet.ProjectionUNet,
    "unet.PercentileUNet": unet.PercentileUNet,
    "unet.PercentileLaplaceUNet": unet.PercentileLaplaceUNet,
    "unet.PercentileLaplaceEnsemble": unet.PercentileLaplaceEnsemble,
    "unet.PercentileProjectionUNet": unet.PercentileProjectionUNet,
    "rcan.RCAN": rcan.RCAN,
}


@dataclass(frozen=True)
class Reach:
    """Pixels per spatial axis, the same for y and x; of a z that is projected away, step is 1 and halo 0.

    Attributes
    ----------
    step : int
        Spatial sizes must be multiples of it.
    halo : int
        Pixels around a pixel that can change it.
    factors : tuple of int
        Output over input pixels of each spatial axis, (z), y, x; 0: the output has no such axis.
    exact : bool
        Whether tiles with that halo give the values of the whole image.
    """

    step: int
    halo: int
    factors: tuple[int, ...]
    exact: bool


def name_of(network: torch.nn.Module) -> str:
    """The key of `ARCHITECTURES` for a network: file and class, such as "unet.UNet"."""
    return f"{type(network).__module__.rpartition('.')[2]}.{type(network).__name__}"


def source_file(network: Mapping[str, Any]) -> Path:
    """The file that holds the architecture; `network` is run.json's entry."""
    return Path(str(sys.modules[ARCHITECTURES[network["architecture"]].__module__].__file__))


def reach(network: Mapping[str, Any], dims: int) -> Reach:
    """Of a network as run.json describes it: ``{"architecture": ..., "arguments": ...}``."""
    arguments = network["arguments"]
    if network["architecture"].startswith("rcan."):
        return Reach(rcan.step(arguments), rcan.halo(arguments), rcan.factors(arguments), exact=False)
    depth, kernel = int(arguments["depth"]), int(arguments["kernel"])
    halo, factors = unet.halo(depth, kernel), (1,) * dims
    if "projection_depth" in arguments:
        depth = max(depth, int(arguments["projection_depth"]))
        halo += unet.halo(int(arguments["projection_depth"]), kernel)
        halo, factors = -(-halo // unet.step(depth)) * unet.step(depth), (0, 1, 1)
    return Reach(unet.step(depth), halo, factors, exact=True)
