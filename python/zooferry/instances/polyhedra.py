"""Star-convex polyhedra: from object probability and distances along rays in space to labels, by StarDist's rule.

Weigert et al., Star-convex Polyhedra for 3D Object Detection and Segmentation in Microscopy, WACV 2020, section 2.
What the paper leaves open is as in stardist 0.9.2: how the overlap of two polyhedra is bounded before their pixels are
counted (see `_Suppression`), and that the more probable one lies on top. Ours alone: of two candidates of the same
probability the later one (in Z, then Y, then X) goes first, and sums of volumes have 64 bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zooferry.errors import ZooferryError
from zooferry.instances import solids
from zooferry.instances.star_convex import Polygons, find_candidates
from zooferry.instances.star_targets import volume_rays

LEAST = 1e-3  # pixels: shorter distances count as this
TOGETHER = 1 << 10  # candidates whose volumes are computed together
TINY = 1e-10
FEW, MANY = 8.0, 64.0  # pixels
PAIRS = 64  # polyhedra whose pixels are counted together


def labels_from_distances(
    prob: np.ndarray,
    distances: np.ndarray,
    *,
    grid: Sequence[int] = (1, 1, 1),
    anisotropy: Sequence[float] = (1.0, 1.0, 1.0),
    prob_thresh: float = 0.5,
    nms_thresh: float = 0.4,
    border: int | Sequence[Sequence[int]] = 2,
    shape: Sequence[int] | None = None,
) -> np.ndarray:
    """Labels of the polyhedra that no more probable one suppresses.

    Parameters
    ----------
    prob : ndarray
        Z Y X, probability that a pixel is inside an object.
    distances : ndarray
        rays Z Y X, pixels of the image from there to the object's border, along `star_targets.volume_rays`.
    grid : sequence of int
        Pixels of the image between neighbours of `prob` along Z Y X.
    anisotropy : sequence of float
        Of the rays: pixel sizes along Z Y X, in any unit.
    prob_thresh, nms_thresh : float
        Candidates have more than the first, are suppressed if they share more than the second with a better one.
    border : int or sequence of pairs
        How many of prob's outermost pixels are no candidates: everywhere, or (low, high) along Z, Y and X.
    shape : sequence of int, optional
        Of the label image, Z Y X; by default that of `prob` times `grid`.

    Returns
    -------
    ndarray
        int32, Z Y X, numbered by falling probability.
    """
    if prob.ndim != 3 or distances.ndim != 4 or distances.shape[1:] != prob.shape or distances.shape[0] < 4:
        raise ZooferryError(
            f"star-convex decoding of volumes takes probabilities (Z Y X) and at least 4 distances (rays Z Y X); "
            f"these have shapes {prob.shape} and {distances.shape}"
        )
    found = find_candidates(prob, distances, grid=grid, prob_thresh=prob_thresh, border=border)
    kept = found.chosen(suppress(found, anisotropy=anisotropy, nms_thresh=nms_thresh))
    return draw(kept, tuple(shape) if shape else [n * g for n, g in zip(prob.shape, grid, strict=True)], anisotropy)


def suppress(candidates: Polygons, *, anisotropy: Sequence[float], nms_thresh: float) -> np.ndarray:
    """Indices of the candidates (by falling probability) that stay.

    Going through them, each one that is still there suppresses all later ones whose intersection with it, divided by
    the smaller volume, is more than `nms_thresh`.
    """
    if not len(candidates.points):
        return np.zeros(0, np.intp)
    one = _Suppression(candidates, anisotropy, nms_thresh)
    there = np.ones(len(candidates.points), bool)
    for n in range(len(there)):
        if there[n]:
            there[one.suppressed(n, np.flatnonzero(there[n + 1 :]) + n + 1)] = False
    return np.flatnonzero(there)


def draw(polyhedra: Polygons, shape: Sequence[int], anisotropy: Sequence[float]) -> np.ndarray:
    """int32, Z Y X: the most probable ones on top, numbered by falling probability without those that are hidden.

    A pixel is inside where it lies in the kernel (behind all planes of faces), or in the convex hull and in one of
    the tetrahedra between the point and a face.
    """
    return draw_in_turn(polyhedra, shape, anisotropy)[0]


def draw_in_turn(
    polyhedra: Polygons, shape: Sequence[int], anisotropy: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Labels as of `draw`, and the highest number after each polyhedron, int64, N: the first n alone have up to it."""
    labels, highest = np.zeros(tuple(shape), np.int32), np.zeros(len(polyhedra.points), np.int64)
    if not len(polyhedra.points):
        return labels, highest
    shapes = _Shapes(polyhedra, anisotropy)
    number = 0
    for n in range(len(polyhedra.points)):
        first = np.maximum(shapes.boxes[n, :, 0], 0)
        last = np.minimum(shapes.boxes[n, :, 1], np.array(shape) - 1)
        window = tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))
        pixels = np.argwhere(labels[window] == 0) + first
        pixels = pixels[shapes.holds(n, pixels)]
        number += len(pixels) > 0
        labels[tuple(pixels.T)] = number
        highest[n] = number
    return labels, highest


class _Shapes:
    """The corners of polyhedra, and which pixels they hold."""

    def __init__(self, polyhedra: Polygons, anisotropy: Sequence[float]) -> None:
        count = polyhedra.distances.shape[1]
        rays = volume_rays(count, anisotropy).astype(np.float32)
        self.points = polyhedra.points
        self.offsets = np.maximum(polyhedra.distances, np.float32(LEAST))[..., None] * rays
        self.corners = self.points[:, None] + self.offsets
        self.boxes = solids.boxes_of(self.corners)
        self.reach = np.abs(self.boxes - self.points[..., None].astype(np.int64)).max(axis=(0, 2))
        short = polyhedra.distances.min(axis=1) < solids.SHORT
        cones = solids.cones_of(count, tuple(anisotropy), tuple(int(n) for n in self.reach))
        self.solids = solids.Solids(self.points, self.corners, solids.ray_faces(count), cones, short)

    def holds(self, n: int, pixels: np.ndarray) -> np.ndarray:
        """Which pixels (N 3) belong to the object."""
        found = self.solids.hold(np.full(len(pixels), n), pixels)
        hull = solids.hull_planes(self.corners[n])
        if hull is not None:
            found[found] = _behind(hull, pixels[found])
        found[~found] = _behind(solids.face_planes(self.corners[n], self.solids.faces), pixels[~found])
        return found


def _behind(planes: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Which pixels (N 3) lie behind all planes, or on them."""
    there = np.arange(len(pixels))
    for plane in planes:
        z, y, x = pixels[there].T
        there = there[plane[0] * z + plane[1] * y + plane[2] * x + plane[3] <= 0]
    found = np.zeros(len(pixels), bool)
    found[there] = True
    return found


class _Suppression(_Shapes):
    """Decides which candidates a better one suppresses, by bounds that cost more and more.

    The first that decides: (1) the volume that the smallest spheres around both share, or their boxes, is not more
    than the threshold: kept; (2) that of the largest spheres inside is: suppressed; (3) that of both kernels is:
    suppressed; (4) that of both convex hulls is not: kept; (5) the pixels that lie in both are counted. Spheres are
    taken after a scaling that makes the mean box a cube. As in stardist 0.9.2 a sphere inside another one is not
    scaled back, and (3) and (4) know nothing where the middle of both points does not lie in both.

    (5) goes before (3) and (4), of which then one is enough, and decides alone where the pixels are so far from the
    threshold that their volume is on the same side.
    """

    def __init__(self, candidates: Polygons, anisotropy: Sequence[float], nms_thresh: float) -> None:
        super().__init__(candidates, anisotropy)
        self.threshold = np.float32(nms_thresh)
        sides = (self.boxes[..., 1] - self.boxes[..., 0]).mean(axis=0)
        self.scale = sides.max() / np.where(sides > 0, sides, max(sides.max(), 1))
        volumes, inner, outer = [], [], []
        for n in range(0, len(self.points), TOGETHER):
            offsets = self.offsets[n : n + TOGETHER]
            volumes.append(solids.volumes_of(offsets, self.solids.faces))
            inner.append(solids.inner_radii(offsets * self.scale, self.solids.faces))
            outer.append(np.linalg.norm(offsets * self.scale, axis=2).max(axis=1))
        self.volumes, self.inner, self.outer = (np.concatenate(part) for part in (volumes, inner, outer))

    def suppressed(self, n: int, others: np.ndarray) -> np.ndarray:
        """Those of `others` that candidate n suppresses."""
        near: np.ndarray = others[(np.abs(self.points[others] - self.points[n]) <= 2 * self.reach).all(axis=1)]
        upper = np.minimum(self._shared_balls(self.outer, n, near), self._shared_boxes(n, near))
        near = near[(upper >= TINY) & self._above(upper, n, near)]
        surely = self._above(self._shared_balls(self.inner, n, near), n, near)
        open_ = near[~surely]
        if not len(open_):
            return np.asarray(near[surely])
        mesh = np.meshgrid(*[np.arange(low, high + 1) for low, high in self.boxes[n]], indexing="ij")
        pixels = np.stack([axis.ravel() for axis in mesh], axis=1)
        pixels = pixels[self.solids.hold(np.full(len(pixels), n), pixels)]
        counts = np.concatenate([self._counts(open_[k : k + PAIRS], pixels) for k in range(0, len(open_), PAIRS)])
        more = [self._overlaps(n, int(m), float(count)) for m, count in zip(open_, counts, strict=True)]
        return np.concatenate([near[surely], open_[np.array(more)]])

    def _counts(self, others: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """How many of the pixels (N 3) each of `others` holds."""
        boxes = self.boxes[others][:, None]
        rows, columns = np.nonzero(((pixels >= boxes[..., 0]) & (pixels <= boxes[..., 1])).all(axis=2))
        held = self.solids.hold(others[rows], pixels[columns])
        return np.bincount(rows[held], minlength=len(others))

    def _overlaps(self, n: int, m: int, count: float) -> bool:
        """Bounds 3 to 5; `count` is how many pixels lie in both."""
        wanted = float(self.threshold) * float(min(self.volumes[n], self.volumes[m]))
        sure = 1.3 if wanted >= MANY else 2.0
        if wanted >= FEW and not wanted / sure <= count <= wanted * sure:
            return bool(count > wanted)
        other = np.array([m])
        middle = 0.5 * (self.points[n] + self.points[m]).astype(np.float64)
        if not self._above(count, n, other)[0]:
            planes = [solids.face_planes(self.corners[k], self.solids.faces) for k in (n, m)]
            kernels = solids.volume_between(np.concatenate(planes), middle)
            return kernels is not None and bool(self._above(kernels, n, other)[0])
        one, two = (solids.hull_planes(self.corners[k]) for k in (n, m))
        hulls = None if one is None or two is None else solids.volume_between(np.concatenate([one, two]), middle)
        return hulls is None or bool(self._above(hulls, n, other)[0])

    def _above(self, shared: np.ndarray | float, n: int, others: np.ndarray) -> np.ndarray:
        smaller = np.minimum(self.volumes[n], self.volumes[others]).astype(np.float32)
        return np.asarray((shared / (smaller + TINY)).astype(np.float32) > self.threshold)

    def _shared_boxes(self, n: int, others: np.ndarray) -> np.ndarray:
        low = np.maximum(self.boxes[n, :, 0], self.boxes[others, :, 0])
        high = np.minimum(self.boxes[n, :, 1], self.boxes[others, :, 1])
        return np.asarray(np.maximum(high - low, 0).prod(axis=1), np.float64)

    def _shared_balls(self, radii: np.ndarray, n: int, others: np.ndarray) -> np.ndarray:
        one, two = radii[n], radii[others]
        between = (self.points[n].astype(np.float64) - self.points[others]) * self.scale
        distance = np.sqrt((between**2).sum(axis=1))
        smaller, larger = np.minimum(one, two), np.maximum(one, two)
        share = (one + two - distance) / 2 / np.where(distance > 0, distance, 1)
        first, second = (two - one + distance) * share, (one - two + distance) * share
        caps = np.pi / 3 * (first**2 * (3 * one - first) + second**2 * (3 * two - second)) / self.scale.prod()
        inside = larger >= distance + smaller - TINY
        return np.where(distance > one + two, 0, np.where(inside, np.pi * 4 / 3 * smaller**3, caps))
