"""Draw fluorescent cells: nuclei, cytoplasm, a cytoskeleton of filaments, and granules.

Everything is drawn in micrometres for N spatial axes, Y X or Z Y X, in one code path. The light of a structure is
relative: 1 per voxel is the typical brightness of a nucleus. No optics here, see `optics` and `degradation`.

The filaments are persistent random walks, as the tubes in Weigert et al. 2018 (Supplementary Note 2): their direction
loses its memory over the persistence length P, <cos angle(s)> = exp(-s (N - 1) / (2 P)) (Doi & Edwards 1986, 8.8).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from zooferry.errors import ZooferryError

Floats = NDArray[np.float64]

STEP_UM = 0.05  # of the random walks
NUCLEUS_HEIGHT = 0.75  # axial over lateral radius of an adherent cell's nucleus
CELL_SPREAD = 2.3  # reach of the cytoplasm, in radii of the nucleus
PLACEMENT_TRIALS = 60


@dataclass(frozen=True)
class CellSettings:
    """What grows on the coverslip; densities are per 100 um2 of its area, lengths in um, brightness relative.

    Attributes
    ----------
    nuclei, filaments, granules : float
        Mean number per 100 um2.
    nucleus_radius_um : float
        Mean lateral radius; single nuclei differ by a third.
    filament_length_um, persistence_um : float
        Mean contour length, and the length over which a filament keeps its direction.
    filament_width_um, granule_width_um : float
        How much dye they carry: that of a nucleus-bright rod or ball of this width.
    cytoplasm : float
        Brightness of the diffuse light in the cell body.
    """

    nuclei: float = 1.0
    filaments: float = 9.0
    granules: float = 14.0
    nucleus_radius_um: float = 2.9
    filament_length_um: float = 11.0
    persistence_um: float = 18.0
    filament_width_um: float = 0.22
    granule_width_um: float = 0.38
    cytoplasm: float = 0.14

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            positive = field.name.endswith("_um")
            if not (math.isfinite(value) and (value > 0 if positive else value >= 0)):
                raise ZooferryError(
                    f"cells: {field.name} is {value}: it must be a number {'above 0' if positive else 'of 0 or more'}"
                )


@dataclass(frozen=True)
class Grid:
    """The voxels to draw on.

    Attributes
    ----------
    shape : tuple of int, (Y, X) or (Z, Y, X)
    pixel_size : tuple of float, um
    """

    shape: tuple[int, ...]
    pixel_size: tuple[float, ...]

    @property
    def extent_um(self) -> Floats:
        """Edge lengths, (N,) um."""
        extent: Floats = np.array(self.shape) * np.array(self.pixel_size)
        return extent

    @property
    def area_um2(self) -> float:
        """Of the coverslip: Y times X."""
        return float(np.prod(self.extent_um[-2:]))

    @property
    def voxel_um(self) -> float:
        """Volume of a voxel in um3, area of a pixel in um2."""
        return math.prod(self.pixel_size)

    def coordinates(self) -> list[Floats]:
        """Voxel centres in um, one array per axis that broadcasts to `shape`."""
        axes = [(np.arange(n) + 0.5) * size for n, size in zip(self.shape, self.pixel_size, strict=True)]
        return list(np.meshgrid(*axes, indexing="ij", sparse=True))


@dataclass(frozen=True, eq=False)
class Nuclei:
    """K ellipsoids, turned in the plane of the coverslip.

    Attributes
    ----------
    centres, radii : ndarray (K, N), um
    rotations : ndarray (K, N, N)
        Rows are the unit vectors of the ellipsoid's own axes.
    """

    centres: Floats
    radii: Floats
    rotations: Floats

    def __len__(self) -> int:
        return len(self.centres)

    def own_coordinates(self, points: Floats) -> Floats:
        """(P, N) um -> (K, P, N) in radii of each nucleus: length 1 is its surface."""
        away = points[None] - self.centres[:, None]  # (K, P, N)
        turned: Floats = np.einsum("kij,kpj->kpi", self.rotations, away)
        return turned / self.radii[:, None]

    def distance_to(self, index: int, coordinates: list[Floats]) -> Floats:
        """Distance of every voxel from nucleus `index` in units of its radii: 0 centre, 1 surface; the grid's shape."""
        away = [x - c for x, c in zip(coordinates, self.centres[index], strict=True)]
        squares = np.zeros(np.broadcast_shapes(*[x.shape for x in coordinates]))
        for row, radius in zip(self.rotations[index], self.radii[index], strict=True):
            squares += (sum(r * d for r, d in zip(row, away, strict=True)) / radius) ** 2
        distance: Floats = np.sqrt(squares)
        return distance


def draw_cells(grid: Grid, cells: CellSettings, *, rng: np.random.Generator) -> tuple[Floats, NDArray[np.uint16]]:
    """Draw one field of cells.

    Parameters
    ----------
    grid : Grid
        N axes, (Y, X) or (Z, Y, X).
    cells : CellSettings
    rng : numpy.random.Generator

    Returns
    -------
    light : ndarray of float64, the grid's shape
        Relative emission per voxel, none below 0.
    labels : ndarray of uint16, the grid's shape
        0 is background, 1..K the nuclei; they never overlap.
    """
    nuclei = place_nuclei(grid, cells, rng=rng)
    light, labels = _draw_bodies(grid, nuclei, cells=cells, rng=rng)
    stain_filaments, stain_granules = rng.lognormal(0, 0.25, 2)  # labelling differs from dish to dish
    light += stain_filaments * draw_filaments(grid, nuclei, cells=cells, rng=rng)
    light += stain_granules * draw_granules(grid, nuclei, cells=cells, rng=rng)
    return light, labels


def place_nuclei(grid: Grid, cells: CellSettings, *, rng: np.random.Generator) -> Nuclei:
    """Scatter nuclei that keep apart; crowded fields hold fewer than asked for, no field that asks is empty."""
    wanted = max(1, int(rng.poisson(cells.nuclei * grid.area_um2 / 100))) if cells.nuclei else 0
    dims = len(grid.shape)
    centres: list[Floats] = []
    radii: list[Floats] = []
    for _ in range(wanted * PLACEMENT_TRIALS):
        centre = rng.uniform(0, 1, dims)
        centre[:-2] = 0.5 + 0.15 * (centre[:-2] - 0.5)  # cells sit side by side on the glass
        centre *= grid.extent_um
        radius = cells.nucleus_radius_um * rng.uniform(0.67, 1.33) * rng.uniform(0.8, 1.2, dims)
        radius[:-2] *= NUCLEUS_HEIGHT
        reach = 1.15 * radius.max()
        if all(np.linalg.norm(centre - c) > reach + 1.15 * r.max() for c, r in zip(centres, radii, strict=True)):
            centres.append(centre)
            radii.append(radius)
        if len(centres) == wanted:
            break
    rotations = np.tile(np.eye(dims), (len(centres), 1, 1))
    for rotation, angle in zip(rotations, rng.uniform(0, np.pi, len(centres)), strict=True):
        cos, sin = np.cos(angle), np.sin(angle)
        rotation[-2:, -2:] = [[cos, -sin], [sin, cos]]
    return Nuclei(np.reshape(centres, (-1, dims)), np.reshape(radii, (-1, dims)), rotations)


def _draw_bodies(
    grid: Grid, nuclei: Nuclei, *, cells: CellSettings, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.uint16]]:
    """Nuclei with chromatin, their labels, and the cytoplasm around them."""
    coordinates = grid.coordinates()
    chromatin = _chromatin(grid, rng=rng)
    outline = 0.05 * smooth_noise(grid, 1.0, rng=rng)
    patchy = np.exp(0.35 * smooth_noise(grid, 0.6, rng=rng))
    light, body = np.zeros(grid.shape), np.zeros(grid.shape)
    labels, nearest = np.zeros(grid.shape, np.uint16), np.ones(grid.shape)
    for k in range(len(nuclei)):
        distance = nuclei.distance_to(k, coordinates)
        mine = distance + outline < nearest
        dome = np.sqrt(np.clip(1.1 - 0.75 * distance**2, 0, None))
        holes = _nucleoli(grid, nuclei, index=k, rng=rng)
        light = np.where(mine, rng.lognormal(0, 0.3) * dome * chromatin * holes, light)
        labels[mine] = k + 1
        nearest = np.where(mine, distance + outline, nearest)
        reach = np.exp(-((distance / CELL_SPREAD) ** 2)) * rng.lognormal(0, 0.3)
        body = np.maximum(body, reach)
    return light + cells.cytoplasm * patchy * body, labels


def _chromatin(grid: Grid, *, rng: np.random.Generator) -> Floats:
    """Texture of DNA: fine and coarse domains, and a few bright foci; mean near 1."""
    fine, coarse, focus = (smooth_noise(grid, sigma, rng=rng) for sigma in (0.09, 0.28, 0.2))
    foci = 0.9 / (1 + np.exp(-8 * (focus - 2.0)))
    texture: Floats = np.exp(0.22 * fine + 0.34 * coarse - 0.08) + foci
    return texture


def _nucleoli(grid: Grid, nuclei: Nuclei, *, index: int, rng: np.random.Generator) -> Floats:
    """Factor on the light of one nucleus: 1, and down to a quarter in its one to four nucleoli."""
    factor: Floats = np.ones(grid.shape)
    smallest = float(nuclei.radii[index].min())
    for _ in range(rng.integers(1, 5)):
        offset = rng.uniform(-0.5, 0.5, len(grid.shape)) * nuclei.radii[index]
        centre = nuclei.centres[index] + nuclei.rotations[index].T @ offset
        away = [x - c for x, c in zip(grid.coordinates(), centre, strict=True)]
        distance = np.sqrt(sum(d**2 for d in away))
        radius = smallest * rng.uniform(0.12, 0.28)
        factor = factor * (1 - 0.75 / (1 + np.exp(12 * (distance / radius - 1).clip(max=50))))
    return factor


def draw_filaments(grid: Grid, nuclei: Nuclei, *, cells: CellSettings, rng: np.random.Generator) -> Floats:
    """A cytoskeleton: persistent random walks, most of them from beside a nucleus, that bend around the nuclei."""
    count = int(rng.poisson(cells.filaments * grid.area_um2 / 100))
    points, directions = _filament_starts(grid, nuclei, count=count, rng=rng)
    lengths = cells.filament_length_um * rng.gamma(4, 0.25, count)
    brightness = rng.lognormal(-0.15, 0.55, count)
    dye = STEP_UM * cells.filament_width_um ** (len(grid.shape) - 1) / grid.voxel_um
    light = np.zeros(grid.shape)
    for step in range(math.ceil(lengths.max(initial=0) / STEP_UM)):
        growing = lengths > step * STEP_UM
        deposit(light, grid, points=points[growing], dye=dye * brightness[growing])
        directions = bent(directions, cells.persistence_um, rng=rng, push=_away_from_nuclei(nuclei, points))
        points = points + STEP_UM * directions
    return light


def bent(
    directions: Floats,
    persistence_um: float,
    *,
    rng: np.random.Generator,
    push: Floats | float = 0.0,
    easy: Floats | float = 1.0,
) -> Floats:
    """Directions (P, N) of persistent walks one step of `STEP_UM` further on.

    Parameters
    ----------
    directions : ndarray (P, N)
        Unit vectors.
    persistence_um : float
    rng : numpy.random.Generator
    push : ndarray (P, N)
        Added to the directions.
    easy : ndarray (N,)
        How much of the bending each axis takes, 1 for all of it.
    """
    bending = math.sqrt(STEP_UM / persistence_um)  # per step and transverse axis
    return unit_vectors(directions + easy * bending * rng.standard_normal(directions.shape) + push)


def _filament_starts(grid: Grid, nuclei: Nuclei, *, count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Start points (count, N) in um and unit directions (count, N), flat along Z."""
    dims = len(grid.shape)
    points = rng.uniform(0, 1, (count, dims)) * grid.extent_um
    directions = rng.standard_normal((count, dims))
    directions[:, :-2] *= 0.25
    if len(nuclei):
        centrosomes = nuclei.centres + 1.25 * nuclei.radii * unit_vectors(rng.standard_normal(nuclei.centres.shape))
        home = rng.integers(0, len(nuclei), count)
        anchored = rng.uniform(size=count) < 0.7
        beside = centrosomes[home] + 0.6 * rng.standard_normal((count, dims))
        points = np.where(anchored[:, None], beside, points)
    return points, unit_vectors(directions)


def _away_from_nuclei(nuclei: Nuclei, points: Floats) -> Floats:
    """Push on the direction of each walk, (P, N): outwards where it touches a nucleus, 0 elsewhere."""
    own = nuclei.own_coordinates(points)  # (K, P, N)
    outward = np.einsum("kij,kpi->kpj", nuclei.rotations, own / nuclei.radii[:, None])
    touching = np.linalg.norm(own, axis=2) < 1.15
    push: Floats = np.where(touching[..., None], 0.05 * unit_vectors(outward), 0).sum(axis=0)
    return push


def draw_granules(grid: Grid, nuclei: Nuclei, *, cells: CellSettings, rng: np.random.Generator) -> Floats:
    """Granules near the resolution limit, crowded around the nuclei, some of them larger than a point."""
    dims, count = len(grid.shape), int(rng.poisson(cells.granules * grid.area_um2 / 100))
    points = rng.uniform(0, 1, (count, dims)) * grid.extent_um
    if len(nuclei):
        home = rng.integers(0, len(nuclei), count)
        shell = 1.15 + rng.gamma(1.5, 0.45, (count, 1))
        around = nuclei.centres[home] + shell * nuclei.radii[home] * unit_vectors(rng.standard_normal((count, dims)))
        points = np.where(rng.uniform(size=(count, 1)) < 0.75, around, points)
        inside = (np.linalg.norm(nuclei.own_coordinates(points), axis=2) < 1).any(axis=0)
        points = points[~inside]
    parts = 24  # points of dye per granule
    size = rng.gamma(2, 0.035, (len(points), 1, 1))
    cloud = points[:, None] + size * rng.standard_normal((len(points), parts, dims))
    dye = cells.granule_width_um**dims / grid.voxel_um / parts * rng.lognormal(-0.1, 0.6, len(points))
    light = np.zeros(grid.shape)
    deposit(light, grid, points=cloud.reshape(-1, dims), dye=np.repeat(dye, parts))
    return light


def deposit(light: Floats, grid: Grid, *, points: Floats, dye: Floats) -> None:
    """Add dye at points (P, N) in um to `light`, in place, shared linearly among the 2^N nearest voxels.

    What falls outside the grid is lost.
    """
    position = points / np.array(grid.pixel_size) - 0.5
    base = np.floor(position).astype(np.int64)
    part = position - base
    for corner in np.ndindex(*(2,) * len(grid.shape)):
        index = base + np.array(corner)
        weight = dye * np.where(corner, part, 1 - part).prod(axis=1)
        inside = ((index >= 0) & (index < np.array(grid.shape))).all(axis=1)
        np.add.at(light, tuple(index[inside].T), weight[inside])


def smooth_noise(grid: Grid, sigma_um: float, *, rng: np.random.Generator) -> Floats:
    """White noise through a Gaussian of `sigma_um`; mean 0, standard deviation 1, periodic at the borders."""
    spectrum = fft.rfftn(rng.standard_normal(grid.shape))
    axes = [fft.fftfreq(n, size) for n, size in zip(grid.shape, grid.pixel_size, strict=True)]
    axes[-1] = fft.rfftfreq(grid.shape[-1], grid.pixel_size[-1])
    square = sum(f**2 for f in np.meshgrid(*axes, indexing="ij", sparse=True))
    noise: Floats = fft.irfftn(spectrum * np.exp(-2 * (np.pi * sigma_um) ** 2 * square), grid.shape)
    noise -= noise.mean()
    scaled: Floats = noise / max(float(noise.std()), 1e-12)
    return scaled


def unit_vectors(vectors: Floats) -> Floats:
    """The vectors along the last axis, scaled to length 1; those of length 0 stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Floats = vectors / np.maximum(lengths, 1e-12)
    return unit
