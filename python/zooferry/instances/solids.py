"""Geometry of star-convex polyhedra: faces, corners, volumes, and which pixels lie inside, in the 32 bit of stardist.

Coordinates are Z Y X in pixels of the image. A polyhedron has a corner on each ray; its faces are those of the convex
hull of the rays' directions on a sphere.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, HalfspaceIntersection, QhullError

from zooferry.instances.star_targets import volume_rays

CLOSE = 3e-4  # radians: that near to the border of two cones both are looked at
SHORT = 0.5  # pixels: the cones of shorter distances lie elsewhere in 32 bit
BLOCK = 1 << 12  # offsets whose cones are found together
MOST = 100  # pixels: 32 MB
UNKNOWN, BORDER = -2, -1


@functools.cache
def ray_faces(count: int) -> np.ndarray:
    """Corners of the triangles between neighbouring rays, int64 (2 count - 4, 3).

    Seen from outside they turn in one sense; the smallest number of each comes first, and they are sorted. Other
    pixel sizes change no triangle.
    """
    rays = volume_rays(count)
    faces = np.sort(ConvexHull(rays).simplices, axis=1).astype(np.int64)
    wrong = np.linalg.det(rays[faces]) > 0
    faces[wrong] = faces[wrong][:, [0, 2, 1]]
    found: np.ndarray = faces[np.lexsort(faces.T[::-1])]
    return found


def boxes_of(corners: np.ndarray) -> np.ndarray:
    """int64, N 3 2: first and last pixel along each axis."""
    whole = np.rint(corners).astype(np.int64)
    return np.stack([whole.min(axis=1), whole.max(axis=1)], axis=2)


def triangles(corners: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three corners of every face, each ... faces 3."""
    return corners[..., faces[:, 0], :], corners[..., faces[:, 1], :], corners[..., faces[:, 2], :]


def cross(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Normal of two vectors Z Y X that points out of a face."""
    return np.stack(
        [
            p[..., 2] * q[..., 1] - p[..., 1] * q[..., 2],
            p[..., 0] * q[..., 2] - p[..., 2] * q[..., 0],
            p[..., 1] * q[..., 0] - p[..., 0] * q[..., 1],
        ],
        axis=-1,
    )


def volumes_of(offsets: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """float64, N: of polyhedra whose corners lie at `offsets` (N rays 3) from their point."""
    a, b, c = triangles(offsets.astype(np.float64), faces)
    return np.asarray((cross(b - a, c - a) * a).sum(axis=(1, 2)) / 6)


def inner_radii(offsets: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """float64, N: distance of the nearest plane of a face; below 0 for a point that lies outside of one."""
    a, b, c = triangles(offsets.astype(np.float64), faces)
    normals = cross(b - a, c - a)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True) + 1e-10
    return np.asarray((normals * a).sum(axis=2).min(axis=1))


def face_planes(corners: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Half-spaces of one polyhedron (corners float32, rays 3), float64, faces 4: normal and offset, <= 0 inside."""
    a, b, c = triangles(corners, faces)
    normals = cross(b - a, c - a)
    offsets = -(a[:, 0] * normals[:, 0] + a[:, 1] * normals[:, 1] + a[:, 2] * normals[:, 2])
    return np.concatenate([normals, offsets[:, None]], axis=1).astype(np.float64)


def hull_planes(corners: np.ndarray) -> np.ndarray | None:
    """Those of the convex hull; None where the corners have none."""
    try:
        return np.asarray(ConvexHull(corners.astype(np.float64)).equations)
    except QhullError:
        return None


def volume_between(planes: np.ndarray, inside: np.ndarray) -> float | None:
    """Volume of the intersection of half-spaces, None where `inside` does not lie in all of them."""
    if not (planes[:, :3] @ inside + planes[:, 3] < 0).all():
        return None
    try:
        return float(ConvexHull(HalfspaceIntersection(planes, inside).intersections).volume)
    except (QhullError, ValueError):
        return None


class Cones:
    """Between which rays the pixels around a point lie; what was asked once is kept.

    Parameters
    ----------
    rays : ndarray
        count 3.
    faces : ndarray
        See `ray_faces`.
    reach : ndarray
        Offsets along Z Y X up to which cones are kept, as far as memory allows.
    """

    def __init__(self, rays: np.ndarray, faces: np.ndarray, reach: np.ndarray) -> None:
        a, b, c = triangles(rays.astype(np.float64), faces)
        sides = np.stack([cross(b, a), cross(c, b), cross(a, c)])  # 3 faces 3
        sides /= np.linalg.norm(sides, axis=2, keepdims=True)
        self.sides = sides * np.sign((sides * np.stack([c, a, b])).sum(axis=2, keepdims=True))  # into the cone
        self.reach = np.minimum(reach, MOST)
        self.kept = np.full(2 * self.reach + 1, UNKNOWN, np.int32)

    def depths(self, offsets: np.ndarray) -> np.ndarray:
        """How far offsets (N 3) lie from the border of each cone, N faces: as a part of their length, > 0 inside."""
        lengths = np.linalg.norm(offsets, axis=1)
        directions = offsets / np.where(lengths > 0, lengths, 1)[:, None]
        return np.asarray(np.min([directions @ side.T for side in self.sides], axis=0))

    def faces_at(self, offsets: np.ndarray) -> np.ndarray:
        """The face in whose cone each offset (N 3, whole numbers) lies, `BORDER` where that is not clear."""
        near = (np.abs(offsets) <= self.reach).all(axis=1)
        places = tuple((offsets[near] + self.reach).T)
        found = np.full(len(offsets), UNKNOWN, np.int32)
        found[near] = self.kept[places]
        asked = np.flatnonzero(found == UNKNOWN)
        for begin in range(0, len(asked), BLOCK):
            part = asked[begin : begin + BLOCK]
            depth = self.depths(offsets[part])
            found[part] = np.where(depth.max(axis=1) > CLOSE, depth.argmax(axis=1), BORDER)
        self.kept[places] = found[near]
        return found


@functools.lru_cache(maxsize=4)
def cones_of(count: int, anisotropy: tuple[float, ...], reach: tuple[int, ...]) -> Cones:
    """The cones between `count` rays; those of the last few questions are kept."""
    return Cones(volume_rays(count, anisotropy).astype(np.float32), ray_faces(count), np.array(reach))


@dataclass(frozen=True)
class Solids:
    """Polyhedra: their points (N 3) and corners (N rays 3), both float32, faces, and which have a short distance."""

    points: np.ndarray
    corners: np.ndarray
    faces: np.ndarray
    cones: Cones
    short: np.ndarray

    def hold(self, which: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """Whether pixels (M 3, whole numbers) lie inside or on the border of the polyhedra `which` (M), bool, M.

        Inside of one of the tetrahedra between the point and a face, each by the signs of four determinants in 32 bit.
        """
        at = pixels.astype(np.float32)
        offsets = pixels - self.points[which].astype(np.int64)
        faces = self.cones.faces_at(offsets)
        corners = [self.corners[which, self.faces[faces, k]] for k in range(3)]
        found = _beyond(at, corners[0], corners[1], corners[2])
        close = np.flatnonzero((faces == BORDER) & ~self.short[which])
        rows, numbers = np.nonzero(self.cones.depths(offsets[close]) >= -CLOSE)
        found[close] = False
        self._mark(found, close[rows], (which, at), numbers)
        short = np.flatnonzero(self.short[which])
        found[short] = False
        for number in range(len(self.faces) if len(short) else 0):
            self._mark(found, short, (which, at), np.full(len(short), number))
        return found

    def _mark(
        self, found: np.ndarray, rows: np.ndarray, asked: tuple[np.ndarray, np.ndarray], numbers: np.ndarray
    ) -> None:
        which, at = asked[0][rows], asked[1][rows]
        point = self.points[which]
        a, b, c = (self.corners[which, self.faces[numbers, k]] for k in range(3))
        inside = _beyond(at, a, b, c) & _beyond(at, point, b, a) & _beyond(at, point, c, b) & _beyond(at, point, a, c)
        found[rows[inside]] = True


def _beyond(at: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Whether a plane's determinant is 0 or more, added up in 32 bit in the order of stardist 0.9.2."""
    (p0, p1, p2), (q0, q1, q2), (r0, r1, r2) = ((m[..., 0], m[..., 1], m[..., 2]) for m in (b - a, c - a, at - a))
    first = p0 * (q1 * r2 - r1 * q2) - p1 * (q0 * r2 - q2 * r0)
    return np.asarray(first + p2 * (q0 * r1 - q1 * r0) >= 0)
