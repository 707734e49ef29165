"""Simulated acquisitions: cells with known truth, through a theoretical PSF, on a camera.

The chain of one field: `specimen.draw_cells` on a canvas wider than the field -> convolution with the PSF ->
crop -> photons and background -> camera. 2D (Y, X) and 3D (Z, Y, X) are one code path. A seed gives the same
bytes: field number i draws from ``numpy.random.default_rng([seed, i])``, whatever the number of fields.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from zooferry.axes import spatial_axes
from zooferry.degradation import Camera, convolve, expected_counts, expose, uneven_background
from zooferry.errors import ZooferryError
from zooferry.files import whole_folder
from zooferry.images import write_image
from zooferry.optics import Optics, point_spread_function, psf_planes
from zooferry.specimen import CellSettings, Grid, draw_cells

Floats = NDArray[np.float64]

MARGIN_UM = 2.0  # cells and light beyond the field on each side: lateral, and half of it axial
HAZE_DEPTHS_UM = (0.6, 1.2, 1.8, 2.4, 3.0)  # where the out-of-focus light of a 2D field comes from
SMALLEST_AXIS = 8


@dataclass(frozen=True)
class AcquisitionSettings:
    """One series of fields, all taken in the same way.

    Attributes
    ----------
    shape : (Y, X) or (Z, Y, X), pixels
    pixel_size : um per pixel, one per axis of `shape`
    train, validation : int
        Number of fields of each.
    photons : float
        Light of the brightest structures: the 99.9 percentile of a field without background, in photons per
        pixel, on average over the fields (single ones differ by up to a fifth).
    background_photons : float
        Mean light where nothing is, photons per pixel.
    haze : float
        2D only: share of the light, 0 to 1, that comes from 0.6-3 um above and below the focus. A 3D stack
        has the haze of its own planes.
    optics, camera, cells
        Objective, detector and specimen.
    """

    shape: tuple[int, ...] = (320, 320)
    pixel_size: tuple[float, ...] = (0.1, 0.1)
    train: int = 16
    validation: int = 4
    photons: float = 30.0
    background_photons: float = 1.5
    haze: float = 0.4
    optics: Optics = field(default_factory=Optics)
    camera: Camera = field(default_factory=Camera)
    cells: CellSettings = field(default_factory=CellSettings)

    def __post_init__(self) -> None:
        allowed = {
            "shape": (len(self.shape) in (2, 3) and min(self.shape) >= SMALLEST_AXIS,
                      f"(Y, X) or (Z, Y, X), {SMALLEST_AXIS} pixels or more each"),
            "pixel_size": (len(self.pixel_size) == len(self.shape) and all(0 < p <= 2 for p in self.pixel_size),
                           "one number of um per axis of shape, above 0 and at most 2"),
            "train": (self.train >= 0, "a number of fields, 0 or more"),
            "validation": (self.validation >= 0, "a number of fields, 0 or more"),
            "photons": (0 < self.photons <= 1e6, "a number of photons per pixel, above 0 and at most 1e6"),
            "background_photons": (0 <= self.background_photons <= 1e6, "0 to 1e6 photons per pixel"),
            "haze": (0 <= self.haze <= 1, "a share, 0 to 1"),
        }  # fmt: skip
        for name, (good, words) in allowed.items():
            if not good:
                raise ZooferryError(f"simulation: {name} is {getattr(self, name)}: it must be {words}")

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of `shape`, ("y", "x") or ("z", "y", "x")."""
        return spatial_axes(len(self.shape))


def default_settings(dims: int = 2, *, photons: float = 30.0) -> AcquisitionSettings:
    """The series that `zooferry simulate` makes: 2D wide-field fields or 3D confocal stacks.

    Parameters
    ----------
    dims : 2 or 3
    photons : float
        Light of the brightest structures, photons per pixel.

    Raises
    ------
    ZooferryError
        If `dims` is neither 2 nor 3, or `photons` is not positive.
    """
    if len(spatial_axes(dims)) == 2:
        return AcquisitionSettings(photons=photons)
    return AcquisitionSettings(
        shape=(24, 128, 128),
        pixel_size=(0.3, 0.1, 0.1),
        train=6,
        validation=2,
        photons=photons,
        optics=Optics("confocal"),
        cells=CellSettings(
            nuclei=1.9,
            nucleus_radius_um=2.3,
            filaments=85,
            filament_width_um=0.32,
            granules=60,
            granule_width_um=0.4,
            cytoplasm=0.2,
        ),
    )


@dataclass(frozen=True, eq=False)
class Acquisition:
    """One simulated field, axes (Y, X) or (Z, Y, X).

    Attributes
    ----------
    noisy : ndarray of uint16, ADU
        The picture the camera took.
    clean : ndarray of float32, ADU
        The mean of endlessly many such pictures: blurred, with background and offset, without noise.
    labels : ndarray of uint16
        0 background, 1..K the nuclei.
    pixel_size : axis -> um
    """

    noisy: NDArray[np.uint16]
    clean: NDArray[np.float32]
    labels: NDArray[np.uint16]
    pixel_size: dict[str, float]


def simulate(settings: AcquisitionSettings, *, seed: int) -> Iterator[Acquisition]:
    """Take ``train + validation`` pictures, each of another field.

    Parameters
    ----------
    settings : AcquisitionSettings
    seed : int
        0 or more; the same seed gives the same pictures.

    Yields
    ------
    Acquisition

    Raises
    ------
    ZooferryError
        If the seed is negative.
    """
    if seed < 0:
        raise ZooferryError(f"seed is {seed}: it must be a whole number, 0 or more")
    kernel = imaging_kernel(settings)
    for index in range(settings.train + settings.validation):
        yield _acquire(settings, kernel, rng=np.random.default_rng([seed, index]))


def imaging_kernel(settings: AcquisitionSettings) -> Floats:
    """What one point of the specimen looks like, summed to 1; axes as `settings.shape`, odd sizes.

    In 3D the PSF itself. In 2D its focal plane, plus `haze` times the mean of planes out of focus.
    """
    reach = _margins(settings)
    shape = tuple(2 * r + 1 for r in reach)
    psf = point_spread_function(settings.optics, shape, pixel_size=settings.pixel_size)
    if len(shape) == 3:
        return psf
    blurred = psf_planes(settings.optics, shape, pixel_size=settings.pixel_size, depths_um=HAZE_DEPTHS_UM).mean(axis=0)
    kernel: Floats = (1 - settings.haze) * psf + settings.haze * blurred / blurred.sum()
    return kernel


def _margins(settings: AcquisitionSettings) -> list[int]:
    """Pixels of canvas on each side of the field, per axis."""
    lengths = [MARGIN_UM if axis in "yx" else MARGIN_UM / 2 for axis in settings.axes]
    return [math.ceil(length / size) for length, size in zip(lengths, settings.pixel_size, strict=True)]


def _acquire(settings: AcquisitionSettings, kernel: Floats, *, rng: np.random.Generator) -> Acquisition:
    margins = _margins(settings)
    canvas = tuple(n + 2 * m for n, m in zip(settings.shape, margins, strict=True))
    field_of_view = tuple(slice(m, m + n) for n, m in zip(settings.shape, margins, strict=True))
    light, labels = draw_cells(Grid(canvas, settings.pixel_size), settings.cells, rng=rng)
    seen = convolve(light, kernel)[field_of_view]
    brightest = max(float(np.percentile(seen, 99.9)), 1e-12)
    photons = seen * settings.photons * rng.uniform(0.8, 1.2) / brightest
    photons += uneven_background(settings.shape, level=settings.background_photons, unevenness=0.3, rng=rng)
    return Acquisition(
        noisy=expose(photons, settings.camera, rng=rng),
        clean=expected_counts(photons, settings.camera),
        labels=_renumber(labels[field_of_view]),
        pixel_size=dict(zip(settings.axes, settings.pixel_size, strict=True)),
    )


def _renumber(labels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Number the nuclei that are left 1..K without gaps; 0 stays."""
    present = np.unique(labels)
    present = present[present > 0]
    numbers = np.zeros(int(labels.max()) + 1, np.uint16)
    numbers[present] = np.arange(1, len(present) + 1)
    return numbers[labels]


def write_simulation(
    out: Path,
    settings: AcquisitionSettings,
    *,
    seed: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a series as ImageJ TIFFs: ``out/{train,val}/{noisy,clean,labels}/sample_000.tif``, and simulation.json.

    Everything goes to a folder beside `out` that is renamed at the end, so that nothing half-written stays.

    Parameters
    ----------
    out : Path
        Must not exist, or be an empty folder.
    settings : AcquisitionSettings
    seed : int
    on_progress : callable, optional
        Called after each field with (fields done, fields in all).

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    ZooferryError
        If `out` holds something or cannot be written, if there is no field to take, or the seed is negative.
    """
    total = settings.train + settings.validation
    if total == 0:
        raise ZooferryError("simulation: train and validation are both 0; ask for one field or more")
    with whole_folder(out) as unfinished:
        for index, acquisition in enumerate(simulate(settings, seed=seed)):
            _write_acquisition(unfinished, index, acquisition, train=settings.train)
            if on_progress is not None:
                on_progress(index + 1, total)
        document = {"seed": seed, "settings": asdict(settings)}
        (unfinished / "simulation.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return out


def _write_acquisition(folder: Path, index: int, acquisition: Acquisition, *, train: int) -> None:
    part, number = ("train", index) if index < train else ("val", index - train)
    for kind in ("noisy", "clean", "labels"):
        pixels = getattr(acquisition, kind)
        attrs = {"pixel_size": acquisition.pixel_size, "unit": "micrometer"}
        image = xr.DataArray(pixels, dims=tuple(acquisition.pixel_size), attrs=attrs)
        write_image(folder / part / kind / f"sample_{number:03d}.tif", image)
