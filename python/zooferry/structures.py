"""Draw what CARE was shown on synthetic data: tubes and granules, and the curved surface of a tissue.

Lengths in um, densities per 100 um2 of the coverslip, brightness relative; tubes and granules for N spatial axes,
Y X or Z Y X, in one code path. No optics here, see `optics` and `degradation`.

Sources: Weigert et al. 2018, Supplementary Note 2 (tubes and granules) and Supplementary Note 4 (projection); Doi and
Edwards 1986, 8.8 (persistent walks, see `specimen`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from zooferry.errors import ZooferryError
from zooferry.specimen import STEP_UM, Floats, Grid, bent, deposit, smooth_noise, unit_vectors

PARTS = 8  # points of dye on the wall of a tube per step of its walk
GRANULE_POINTS = 96


class _Checked:
    """Lengths are above 0, everything else is 0 or more, shares are at most 1."""

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            least = "above 0" if field.name.endswith("_um") else "of 0 or more"
            fine = math.isfinite(value) and (value > 0 if least == "above 0" else value >= 0)
            if field.name.endswith("share"):
                least, fine = "from 0 to 1", 0 <= value <= 1
            if not fine:
                raise ZooferryError(f"specimen: {field.name} is {value}: it must be a number {least}")


@dataclass(frozen=True)
class TubeSettings(_Checked):
    """Polymer-like tubules whose wall carries the dye.

    Attributes
    ----------
    density : float
        Mean number per 100 um2.
    length_um, persistence_um : float
        Mean contour length, and P of the mean cosine exp(-s (N - 1) / (2 P)) between two directions a length s apart.
    radius_um : float
        Of the wall.
    flat_share : float
        3D only: 1 keeps tubes in planes, 0 lets them run in all directions.
    """

    density: float = 12.0
    length_um: float = 18.0
    persistence_um: float = 12.0
    radius_um: float = 0.05
    flat_share: float = 0.7


@dataclass(frozen=True)
class GranuleSettings(_Checked):
    """Secretory granules: discs, and rings where only the membrane carries the dye (balls and shells in 3D).

    Attributes
    ----------
    density : float
        Mean number per 100 um2.
    radius_um, spread : float
        Median radius, and the standard deviation of its logarithm.
    hollow_share : float
        Rings among them, 0 to 1.
    cluster_um : float
        Size of the regions in which they crowd.
    """

    density: float = 45.0
    radius_um: float = 0.17
    spread: float = 0.3
    hollow_share: float = 0.4
    cluster_um: float = 2.5


@dataclass(frozen=True)
class SurfaceSettings(_Checked):
    """The membranes of an epithelium that is no plane, and clutter above and below it.

    Attributes
    ----------
    cell_um, membrane_um, thickness_um : float
        Mean distance of the cells' centres, width of their membranes, and that of the sheet along z.
    relief_um : float
        Size of its hills and valleys along y and x.
    relief_share : float
        Their height, as a part of the stack's depth.
    clutter : float
        Mean number of blobs off the surface per 100 um2.
    clutter_um : float
        Their radius.
    """

    cell_um: float = 2.2
    membrane_um: float = 0.12
    thickness_um: float = 0.4
    relief_um: float = 5.0
    relief_share: float = 0.6
    clutter: float = 35.0
    clutter_um: float = 0.25


def draw_tubes(grid: Grid, tubes: TubeSettings, *, rng: np.random.Generator) -> Floats:
    """Light of one field of tubes, the grid's shape; walks start anywhere and end at the border or at their length."""
    dims, count = len(grid.shape), int(rng.poisson(tubes.density * grid.area_um2 / 100))
    lengths = tubes.length_um * rng.gamma(4, 0.25, count)
    brightness = rng.lognormal(-0.08, 0.4, count)
    points = rng.uniform(0, 1, (count, dims)) * grid.extent_um
    directions = rng.standard_normal((count, dims))
    directions[:, :-2] *= 1 - tubes.flat_share
    steps = math.ceil(lengths.max(initial=0) / STEP_UM)
    places, along = persistent_walks(points, unit_vectors(directions), steps=steps, tubes=tubes, rng=rng)
    growing = lengths > STEP_UM * np.arange(steps)[:, None]  # (steps, P)
    wall = _on_walls(places[growing], along[growing], tubes.radius_um, rng=rng)
    dye = np.broadcast_to(brightness / PARTS, growing.shape)[growing]
    light = np.zeros(grid.shape)
    deposit(light, grid, points=wall.reshape(-1, dims), dye=np.repeat(dye, PARTS))
    return light


def persistent_walks(
    points: Floats, directions: Floats, *, steps: int, tubes: TubeSettings, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Places and directions of P walks, each (steps, P, N), `specimen.STEP_UM` um apart.

    Parameters
    ----------
    points, directions : ndarray (P, N)
        Where they start, um, and unit vectors.
    steps : int
    tubes : TubeSettings
    rng : numpy.random.Generator
    """
    places, along = np.empty((2, steps, *points.shape))
    easy = np.ones(points.shape[1])
    easy[:-2] = math.sqrt(1 - tubes.flat_share)
    for step in range(steps):
        places[step], along[step] = points, directions
        directions = bent(directions, tubes.persistence_um, rng=rng, easy=easy)
        points = points + STEP_UM * directions
    return places, along


def _on_walls(points: Floats, directions: Floats, radius: float, *, rng: np.random.Generator) -> Floats:
    """Points on the rings around each place of a tube, (P, PARTS, N); in 2D the rings are seen from the side."""
    away = rng.standard_normal((len(points), PARTS, max(3, points.shape[1])))
    along = np.zeros((len(points), 1, away.shape[2]))
    along[..., -points.shape[1] :] = directions[:, None]
    away -= (away * along).sum(axis=-1, keepdims=True) * along
    wall: Floats = points[:, None] + radius * unit_vectors(away)[..., -points.shape[1] :]
    return wall


def draw_granules(grid: Grid, granules: GranuleSettings, *, rng: np.random.Generator) -> Floats:
    """Light of one field of granules, the grid's shape: the same dye per area of membrane, or per volume, in each."""
    dims, count = len(grid.shape), int(rng.poisson(granules.density * grid.area_um2 / 100))
    chance = np.exp(1.2 * smooth_noise(grid, granules.cluster_um, rng=rng)).ravel()
    voxels = np.unravel_index(rng.choice(chance.size, count, p=chance / chance.sum()), grid.shape)
    centres = (np.stack(voxels, axis=1) + rng.uniform(0, 1, (count, dims))) * np.array(grid.pixel_size)
    radii = granules.radius_um * rng.lognormal(0, granules.spread, count)
    hollow = rng.uniform(size=count) < granules.hollow_share
    away = unit_vectors(rng.standard_normal((count, GRANULE_POINTS, dims)))
    filled = rng.uniform(0, 1, (count, GRANULE_POINTS, 1)) ** (1 / dims)
    cloud = centres[:, None] + radii[:, None, None] * away * np.where(hollow[:, None, None], 1.0, filled)
    dye = np.where(hollow, radii ** (dims - 1) * granules.radius_um, radii**dims) * rng.lognormal(-0.05, 0.3, count)
    light = np.zeros(grid.shape)
    dye = np.repeat(dye / granules.radius_um**dims / GRANULE_POINTS, GRANULE_POINTS)
    deposit(light, grid, points=cloud.reshape(-1, dims), dye=dye)
    return light


@dataclass(frozen=True, eq=False)
class Surface:
    """A curved sheet in a volume.

    Attributes
    ----------
    light, clutter : ndarray Z Y X
        Emission of the sheet, and of what lies off it.
    height : ndarray of float32, Y X
        Where the sheet is, in slices from 0.
    """

    light: Floats
    clutter: Floats
    height: NDArray[np.float32]


def draw_surface(grid: Grid, surface: SurfaceSettings, *, rng: np.random.Generator) -> Surface:
    """Draw the membranes of one field.

    Raises
    ------
    ZooferryError
        The grid has no z axis.
    """
    if len(grid.shape) != 3:
        raise ZooferryError("specimen: a surface lies in a volume; ask for 3 dimensions")
    plane = Grid(grid.shape[1:], grid.pixel_size[1:])
    depth = grid.extent_um[0]
    relief = smooth_noise(plane, surface.relief_um, rng=rng).clip(-2, 2) / 4  # -0.5 to 0.5
    height = depth * (0.5 + surface.relief_share * relief)  # um, Y X
    membranes = _membranes(plane, surface, rng=rng) * np.exp(0.25 * smooth_noise(plane, 1.5, rng=rng))
    z = grid.coordinates()[0]  # Z 1 1
    light: Floats = membranes * np.exp(-(((z - height) / surface.thickness_um) ** 2) / 2)
    clutter = _clutter(grid, surface, height, rng=rng)
    return Surface(light, clutter, (height / grid.pixel_size[0] - 0.5).astype(np.float32))


def _membranes(plane: Grid, surface: SurfaceSettings, *, rng: np.random.Generator) -> Floats:
    """Borders of the Voronoi cells of scattered centres, 1 on the border, Y X."""
    reach = 2 * surface.cell_um
    extent = plane.extent_um + 2 * reach
    count = max(4, int(np.prod(extent) / surface.cell_um**2))
    centres = rng.uniform(0, 1, (count, 2)) * extent - reach
    tissue = rng.uniform(0, 1, (40 * count, 2)) * extent - reach
    for _ in range(3):  # Lloyd's relaxation: cells of more even size
        owner = cKDTree(centres).query(tissue)[1]
        sizes = np.bincount(owner, minlength=count)
        middles = (
            np.stack([np.bincount(owner, tissue[:, a], count) for a in (0, 1)], axis=1) / np.maximum(sizes, 1)[:, None]
        )
        centres = np.where(sizes[:, None] > 0, middles, centres)
    y, x = plane.coordinates()
    points = np.stack(np.broadcast_arrays(y, x), axis=-1)
    nearest = cKDTree(centres).query(points, k=2)[0]  # Y X 2
    gap = (nearest[..., 1] - nearest[..., 0]) / 2
    borders: Floats = np.exp(-((gap / surface.membrane_um) ** 2) / 2)
    return borders


def _clutter(grid: Grid, surface: SurfaceSettings, height: Floats, *, rng: np.random.Generator) -> Floats:
    """Blobs, none of them in the sheet; Z Y X."""
    count = int(rng.poisson(surface.clutter * grid.area_um2 / 100))
    points = rng.uniform(0, 1, (count, 3)) * grid.extent_um
    y, x = (np.minimum((points[:, a] / grid.pixel_size[a]).astype(int), grid.shape[a] - 1) for a in (1, 2))
    off = np.abs(points[:, 0] - height[y, x]) > surface.thickness_um + 3 * surface.clutter_um
    light = np.zeros(grid.shape)
    deposit(light, grid, points=points[off], dye=rng.lognormal(0.5, 0.4, int(off.sum())))
    widths = [surface.clutter_um / size for size in grid.pixel_size]
    light *= (2 * math.pi) ** 1.5 * math.prod(widths)  # a single blob of dye 1 is 1 in its centre
    blurred: Floats = ndimage.gaussian_filter(light, widths)
    return blurred
