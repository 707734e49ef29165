"""Isotropic restoration: z as fine and as sharp as y and x, learnt from the volumes alone (Weigert et al. 2018).

Lateral slices are what axial sections should look like. One axis of them, z's stand-in, is blurred, sampled as coarsely
as the volume is along z, and interpolated again; a residual U-Net learns the slice as it was, with the mean absolute
error. It then restores the sections z-x and z-y of the interpolated volume, and the mean of the two is the result.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from zooferry import axial
from zooferry.degrading import UNITS_UM
from zooferry.errors import ZooferryError
from zooferry.methods import Scalings
from zooferry.methods.classical import noise_level
from zooferry.methods.outputs import Output
from zooferry.methods.tensors import as_tensor, fitting_layout
from zooferry.networks.unet import IsotropicUNet
from zooferry.normalization import percentile_operations
from zooferry.settings import Settings

if TYPE_CHECKING:
    from zooferry.training_data import RawData

WHOLE = 0.03  # a ratio of pixel sizes that is this near to a whole number is one
LEAST_ROWS = 16  # of a section that the network learns from


@dataclass(frozen=True)
class IsotropicSettings(Settings):
    """Settings of the isotropic restoration.

    Attributes
    ----------
    patch : int
        Side of the lateral windows; the blurred axis of a section is shorter by the reach of the blur.
    patch_z : int
        Neighbouring slices in a window.
    factor : float
        How many times the slices are further apart than pixels; 0 takes it from the images' pixel sizes. A whole
        number, unless `same_size`.
    same_size : bool
        The network does not interpolate, and takes volumes that were interpolated along z beforehand to cubic voxels:
        for hosts that cannot run networks whose output is larger, and for factors that are no whole numbers.
    psf : mapping, optional
        What blurs z, as `zooferry.degrading.read_degradation` takes it; left out, a Gaussian is estimated from the
        volumes' own spectra. No blur is ``{kind: gaussian, sigma_um: 0}``.
    pixel_um : float
        Lateral pixel size in um, of images that carry none; 0 takes theirs.
    noise : float
        Noise added to the made sections, in multiples of the images' own.
    low, high : float
        Percentiles (0-100) of every volume that become 0 and 1.
    foreground : float
        Windows whose brightest pixel is below this (in normalised units) are drawn again.
    """

    patch: int = 96
    patch_z: int = 1
    batch: int = 4
    factor: float = 0.0
    same_size: bool = False
    psf: Mapping[str, Any] | None = None
    pixel_um: float = 0.0
    noise: float = 1.0
    low: float = 2.0
    high: float = 99.8
    foreground: float = 0.2

    def __post_init__(self) -> None:
        """See :class:`Settings`."""
        super().__post_init__()
        self._require("factor", self.factor == 0 or 1 <= self.factor <= 16, "1 to 16, or 0 for the pixel sizes' ratio")
        whole = self.same_size or self.factor == int(self.factor)
        self._require("factor", whole, "a whole number; others need volumes interpolated beforehand (same_size=true)")
        self._require("pixel_um", 0 <= self.pixel_um <= 1000, "0 to 1000")
        self._require("noise", 0 <= self.noise <= 10, "0 to 10")
        self._require("low", 0 <= self.low < self.high, "0 to less than high")
        self._require("high", self.high <= 100, "more than low, up to 100")

    @property
    def halved(self) -> tuple[str, ...]:
        """See :class:`Settings`."""
        return ("patch",)


SETTINGS = IsotropicSettings


def fitted_settings(settings: IsotropicSettings, raw: RawData, say: Callable[[str], None]) -> IsotropicSettings:
    """The settings with factor, pixel size and PSF filled in from the images.

    Raises
    ------
    ZooferryError
        The factor is not given and follows from no pixel size, or is no whole number; the patch is too small.
    """
    sizes: Mapping[str, float] = raw.calibration.get("pixel_size", {})
    unit = UNITS_UM.get(str(raw.calibration.get("unit", "")), 0.0)
    factor = settings.factor or _ratio(sizes, settings)
    pixel = settings.pixel_um or sizes.get("x", 0.0) * unit
    if settings.psf and not pixel:
        raise ZooferryError("isotropic: the psf is in um, and the images carry no pixel size; give --set pixel_um=...")
    psf, pixel = settings.psf, pixel or 1.0
    if not psf:
        spacing = sizes["z"] * unit if "z" in sizes and unit and not settings.pixel_um else factor * pixel
        volumes = [channel for sample in raw.samples for channel in sample.image]
        width = round(axial.estimated_sigma(volumes, spacing=spacing, pixel=pixel), 4)
        psf = {"kind": "gaussian", "sigma_um": {"z": width, "y": 0.0, "x": 0.0}}
        words = f"Gaussian of {width / pixel:.2f} pixels" if width else "none could be told"
        say(f"blur along z, estimated from the volumes: {words} (or give --set psf=...)")
    found = dataclasses.replace(settings, factor=float(factor), psf=psf, pixel_um=float(pixel))
    reach = len(_kernel(found)) // 2
    least = 2 * reach + LEAST_ROWS + math.ceil(factor)
    if found.patch < least:
        raise ZooferryError(
            f"setting patch is {found.patch}; the blur along z reaches {reach} pixels each way; use at least {least}"
        )
    say(f"slices are {factor:g} times as far apart as pixels")
    return found


def _ratio(sizes: Mapping[str, float], settings: IsotropicSettings) -> float:
    if not {"z", "y", "x"} <= set(sizes):
        raise ZooferryError("isotropic: the images carry no pixel size along z, y and x; give --set factor=...")
    if abs(sizes["y"] / sizes["x"] - 1) > WHOLE:
        raise ZooferryError(f"isotropic: pixels are {sizes['y']:g} x {sizes['x']:g}; allowed are square ones")
    ratio = sizes["z"] / sizes["x"]
    nearest = max(1, round(ratio))
    if settings.same_size or abs(ratio / nearest - 1) <= WHOLE:
        return float(ratio if settings.same_size else nearest)
    raise ZooferryError(
        f"isotropic: slices are {ratio:.3g} times as far apart as pixels, which is no whole number; give --set "
        f"factor={nearest} (voxels stay {ratio / nearest:.2g} times as long along z), or --set same_size=true for "
        "volumes that are interpolated beforehand"
    )


def given_volumes(settings: IsotropicSettings, raw: RawData) -> RawData:
    """The volumes as the network will be given them: interpolated, for one that does not interpolate itself."""
    if not settings.same_size or settings.factor == 1:
        return raw
    samples = []
    for sample in raw.samples:
        count = sample.image.shape[1]
        places = np.arange(round((count - 1) * settings.factor) + 1) / settings.factor
        image = np.einsum("fz,czyx->cfyx", axial.interpolation(count, places), sample.image)  # type: ignore[arg-type]
        samples.append(dataclasses.replace(sample, image=image.astype(np.float32)))
    calibration = dict(raw.calibration)
    if "pixel_size" in calibration:
        calibration["pixel_size"] = {**calibration["pixel_size"], "z": calibration["pixel_size"]["x"]}
    return dataclasses.replace(raw, samples=samples, calibration=calibration)


def scalings(settings: IsotropicSettings, images: Sequence[np.ndarray], axes: tuple[str, ...]) -> Scalings:  # noqa: ARG001
    """Percentiles of each volume; the output stays in these units (0 dark, 1 bright)."""
    outputs = (Output(description="restored volume, as fine along z as along y and x"),)
    return Scalings(percentile_operations(settings.low, settings.high, axes), postprocessing=(), outputs=outputs)


def network_arguments(
    settings: IsotropicSettings,
    dims: int,  # noqa: ARG001  volumes only
    in_channels: int,
    out_channels: int,
) -> dict[str, object]:
    """Arguments of :class:`~zooferry.networks.unet.IsotropicUNet`."""
    return {
        "factor": 1 if settings.same_size else int(settings.factor), "in_channels": in_channels,
        "out_channels": out_channels, "width": settings.width, "depth": settings.depth, "kernel": settings.kernel,
        "residual": True,
    }  # fmt: skip


def build_network(settings: IsotropicSettings, dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
    """A fresh network, which does no more than interpolate."""
    network = IsotropicUNet(**network_arguments(settings, dims, in_channels, out_channels))  # type: ignore[arg-type]
    return fitting_layout(network, dims)


def loss(
    network: torch.nn.Module, arrays: tuple[np.ndarray, ...], settings: IsotropicSettings, rng: np.random.Generator
) -> torch.Tensor:
    """Mean absolute error between restored sections and the lateral windows B C Z Y X that they were made of."""
    (windows,) = arrays
    slices = windows.swapaxes(1, 2).reshape(-1, windows.shape[1], *windows.shape[3:])  # (B Z) C Y X
    seen, wanted = made_sections(slices, settings, rng)
    return torch.nn.functional.l1_loss(network(as_tensor(seen, network)), as_tensor(wanted, network))


def made_sections(
    slices: np.ndarray, settings: IsotropicSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Axial sections made of lateral slices, and what they should become.

    Parameters
    ----------
    slices : ndarray
        B C Y X, normalised; never changed. By chance x instead of y becomes z.
    settings : IsotropicSettings
        With factor, PSF and pixel size.
    rng : Generator
        For the choice of the axis, for noise and, of `same_size`, for where the first slice lies.

    Returns
    -------
    seen : ndarray
        B C Z X: coarse along z, or interpolated to the pixels of `wanted` where the network does not interpolate.
    wanted : ndarray
        B C (factor Z) X.
    """
    if rng.random() < 0.5:
        slices = slices.swapaxes(-1, -2)
    kernel, factor, length = _kernel(settings), settings.factor, slices.shape[-2]
    reach, step = len(kernel) // 2, 2**settings.depth
    rows = length - 2 * reach
    if not settings.same_size:
        step = math.lcm(step, int(factor))
    rows -= rows % step
    first = rng.uniform(0, factor) if settings.same_size else factor // 2
    places = np.arange(first, rows, factor)
    coarse = axial.sampling(length, kernel, list(reach + places)) @ slices  # B C Z X
    if settings.noise:
        levels = [[[[noise_level(channel)]] for channel in one] for one in slices]
        coarse = coarse + settings.noise * np.asarray(levels) * rng.standard_normal(coarse.shape)
    if settings.same_size:
        coarse = axial.interpolation(len(places), list((np.arange(rows) - first) / factor)) @ coarse
    return coarse, slices[:, :, reach : reach + rows]


def _kernel(settings: IsotropicSettings) -> np.ndarray:
    return _added_blur(json.dumps(settings.psf, sort_keys=True), settings.pixel_um)


@functools.lru_cache(maxsize=4)
def _added_blur(psf: str, pixel_um: float) -> np.ndarray:
    return axial.added_blur(json.loads(psf) or {}, pixel_um)


def foreground(settings: IsotropicSettings) -> float:
    """See :class:`IsotropicSettings`."""
    return settings.foreground
