"""Simulated acquisitions: specimens with known truth, through a theoretical PSF, on a camera.

The chain of one field: `specimen` or `structures` on a canvas wider than the field -> convolution with the PSF ->
crop -> photons and background -> camera. 2D (Y, X) and 3D (Z, Y, X) are one code path. A seed gives the same
bytes: field number i draws from ``numpy.random.default_rng([seed, i])``, whatever the number of fields.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from zooferry.axes import spatial_axes
from zooferry.degradation import Camera, convolve, expected_counts, expose, uneven_background
from zooferry.errors import ZooferryError
from zooferry.files import whole_folder
from zooferry.images import write_image
from zooferry.optics import Optics, point_spread_function, psf_planes
from zooferry.specimen import CellSettings, Grid, draw_cells
from zooferry.structures import (
    GranuleSettings,
    Surface,
    SurfaceSettings,
    TubeSettings,
    draw_granules,
    draw_surface,
    draw_tubes,
)

Floats = NDArray[np.float64]

MARGIN_UM = 2.0  # cells and light beyond the field on each side: lateral, and half of it axial
HAZE_DEPTHS_UM = (0.6, 1.2, 1.8, 2.4, 3.0)  # where the out-of-focus light of a 2D field comes from
SMALLEST_AXIS = 8
KINDS = ("cells", "tubes", "granules", "surface")


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
    optics, camera
        Objective and detector.
    kind : str
        The specimen, one of `KINDS`; a surface needs 3D.
    cells, tubes, granules, surface
        What each kind looks like.
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
    kind: str = "cells"
    cells: CellSettings = field(default_factory=CellSettings)
    tubes: TubeSettings = field(default_factory=TubeSettings)
    granules: GranuleSettings = field(default_factory=GranuleSettings)
    surface: SurfaceSettings = field(default_factory=SurfaceSettings)

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
            "kind": (self.kind in KINDS, ", ".join(KINDS)),
        }  # fmt: skip
        for name, (good, words) in allowed.items():
            if not good:
                raise ZooferryError(f"simulation: {name} is {getattr(self, name)}: it must be {words}")

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of `shape`, ("y", "x") or ("z", "y", "x")."""
        return spatial_axes(len(self.shape))


def default_settings(dims: int = 2, *, photons: float = 30.0, kind: str = "cells") -> AcquisitionSettings:
    """The series that `zooferry simulate` makes: 2D wide-field fields or 3D confocal stacks.

    Parameters
    ----------
    dims : 2 or 3
    photons : float
        Light of the brightest structures, photons per pixel.
    kind : str
        One of `KINDS`.

    Raises
    ------
    ZooferryError
        If `dims` is neither 2 nor 3, `photons` is not positive, or a surface is asked for in 2D.
    """
    if kind == "surface" and dims == 2:
        raise ZooferryError("simulation: a surface lies in a volume; leave --dims away, or say 3")
    if len(spatial_axes(dims)) == 2:
        return AcquisitionSettings(photons=photons, kind=kind)
    return AcquisitionSettings(
        kind=kind,
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
        The mean of endlessly many such pictures: blurred, with background and offset, without noise. Of a surface its
        image (Y, X) in focus, without the clutter around it.
    pixel_size : axis -> um
    labels : ndarray of uint16 or None
        Of cells: 0 background, 1..K the nuclei.
    height : ndarray of float32 or None
        Of a surface: where it lies, (Y, X), in slices from 0.
    specimen : ndarray of float32 or None
        Of tubes and granules: their light before any optics, for `zooferry degrade` and to judge deconvolution by.
    """

    noisy: NDArray[np.uint16]
    clean: NDArray[np.float32]
    pixel_size: dict[str, float]
    labels: NDArray[np.uint16] | None = None
    height: NDArray[np.float32] | None = None
    specimen: NDArray[np.float32] | None = None

    @property
    def images(self) -> dict[str, NDArray[Any]]:
        """What there is, by the name of its folder."""
        found = {name: getattr(self, name) for name in ("noisy", "clean", "labels", "height", "specimen")}
        return {name: array for name, array in found.items() if array is not None}


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
    light, truth = _draw(Grid(canvas, settings.pixel_size), settings, rng=rng)
    seen = convolve(light, kernel)[field_of_view]
    brightest = max(float(np.percentile(seen, 99.9)), 1e-12)
    gain = settings.photons * rng.uniform(0.8, 1.2) / brightest
    background = uneven_background(settings.shape, level=settings.background_photons, unevenness=0.3, rng=rng)
    photons = seen * gain + background
    pixel_size = dict(zip(settings.axes, settings.pixel_size, strict=True))
    noisy = expose(photons, settings.camera, rng=rng)
    if isinstance(truth, Surface):
        height = truth.height[field_of_view[1:]] - field_of_view[0].start
        sheet = _at_height(convolve(truth.light, kernel)[field_of_view] * gain + background, height)
        return Acquisition(noisy, expected_counts(sheet, settings.camera), pixel_size, height=height)
    clean = expected_counts(photons, settings.camera)
    if truth is None:
        return Acquisition(noisy, clean, pixel_size, specimen=light[field_of_view].astype(np.float32))
    return Acquisition(noisy, clean, pixel_size, labels=_renumber(truth[field_of_view]))


def _draw(
    grid: Grid, settings: AcquisitionSettings, *, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.uint16] | Surface | None]:
    """Light of a specimen, and what else is known of it."""
    if settings.kind == "cells":
        return draw_cells(grid, settings.cells, rng=rng)
    if settings.kind == "surface":
        surface = draw_surface(grid, settings.surface, rng=rng)
        return surface.light + surface.clutter, surface
    if settings.kind == "tubes":
        return draw_tubes(grid, settings.tubes, rng=rng), None
    return draw_granules(grid, settings.granules, rng=rng), None


def _at_height(volume: Floats, height: NDArray[np.float32]) -> Floats:
    """The volume Z Y X at one z for every pixel, (Y, X), linearly interpolated."""
    rows, columns = np.indices(height.shape)
    found: Floats = ndimage.map_coordinates(volume, [height, rows, columns], order=1, mode="nearest")
    return found


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

    Instead of ``labels`` a surface has ``height``, tubes and granules have ``specimen``.

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
    for kind, pixels in acquisition.images.items():
        size = {a: n for a, n in acquisition.pixel_size.items() if a in spatial_axes(pixels.ndim)}
        image = xr.DataArray(pixels, dims=tuple(size), attrs={"pixel_size": size, "unit": "micrometer"})
        write_image(folder / part / kind / f"sample_{number:03d}.tif", image)
