"""Heads as networks give them, of simulated touching blobs: for tests and golden files; numpy and scipy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Case:
    """A scene and how it is decoded; `noise` is a part of the distances or flows."""

    seed: int
    shape: tuple[int, int] = (160, 192)
    objects: int = 40
    radii: tuple[float, float] = (5, 12)
    noise: float = 0.05
    rays: int = 32
    grid: tuple[int, int] = (1, 1)
    prob_thresh: float = 0.4
    nms_thresh: float = 0.4
    border: int = 2
    flow_thresh: float = 0.4
    min_size: int = 15


STAR_CASES = {
    "grid_1": Case(1, (96, 112), 16),
    "grid_2": Case(2, grid=(2, 2)),
    "grid_uneven": Case(3, grid=(2, 4), noise=0.1),
    "8_rays": Case(4, grid=(2, 2), rays=8, nms_thresh=0.3),
    "64_rays": Case(5, grid=(2, 2), rays=64, noise=0.2),
    "crowded": Case(6, grid=(2, 2), objects=90, nms_thresh=0.6, noise=0.2),
    "no_frame": Case(7, grid=(2, 2), border=0, prob_thresh=0.1),
    "one": Case(8, (64, 80), 1, (20, 25), grid=(2, 2)),
    "none": Case(9, (32, 32), 4, prob_thresh=2.0),
}
FLOW_CASES = {
    "plain": Case(1, prob_thresh=0.0),
    "noisy": Case(2, prob_thresh=0.0, noise=0.3),
    "exact": Case(3, prob_thresh=0.0, noise=0.0),
    "unchecked": Case(4, prob_thresh=0.0, noise=1.0, flow_thresh=0.0),
    "strict": Case(5, prob_thresh=0.0, noise=0.1, flow_thresh=0.12),
    "small_objects": Case(6, prob_thresh=0.0, noise=0.3, objects=80, radii=(2, 6)),
    "small_kept": Case(7, prob_thresh=0.0, noise=0.3, objects=80, radii=(2, 6), min_size=0),
    "giant": Case(8, (96, 96), 1, (30, 31), prob_thresh=0.0, noise=0.1, flow_thresh=1.0),
    "too_large": Case(9, (96, 96), 1, (42, 43), prob_thresh=0.0, noise=0.0, flow_thresh=0.0),
    "high_threshold": Case(10, prob_thresh=2.5),
    "none": Case(11, (32, 32), 4, prob_thresh=90.0),
}

TARGET_RAYS = 7
# case, grid: for what a network learns from labels
TARGET_CASES = {
    "every_pixel": (Case(1, (40, 48), 9, (5, 8)), (1, 1)),
    "grid_2": (Case(2, (47, 56), 12, (4, 7)), (2, 2)),
    "grid_uneven": (Case(3, (48, 64), 9, (5, 9)), (2, 4)),
    "full": (Case(4, (20, 24), 0), (2, 2)),  # one object fills the image
}


def target_labels(name: str) -> np.ndarray:
    """Labels of one of `TARGET_CASES`, int32, Y X."""
    case = TARGET_CASES[name][0]
    return blobs(case) if case.objects else np.ones(case.shape, np.int32)


def label_volume() -> np.ndarray:
    """Labels Z Y X whose objects move and end from slice to slice, int32."""
    plane = blobs(Case(5, (28, 32), 6, (4, 7)))
    return np.stack([np.where(plane % 3 == z % 3, 0, np.roll(plane, z, 1)) for z in range(8)])


def blobs(case: Case) -> np.ndarray:
    """Labels (int32, Y X) of bumpy blobs that touch each other; the first one lies on top."""
    rng = np.random.default_rng(case.seed)
    labels = np.zeros(case.shape, np.int32)
    side = int(np.ceil(np.sqrt(case.objects)))
    y, x = np.mgrid[: case.shape[0], : case.shape[1]]
    for n in range(case.objects):
        cell_y, cell_x = (np.array(divmod(n, side)) + 0.5) / side * case.shape + rng.normal(0, 2.5, 2)
        radius, stretch, turn = rng.uniform(*case.radii), rng.uniform(0.7, 1.3), rng.uniform(0, 7)
        reach = 2 * radius  # more than the stretched, bumpy outline
        top, left = max(0, int(cell_y - reach)), max(0, int(cell_x - reach))
        window = (slice(top, int(cell_y + reach) + 2), slice(left, int(cell_x + reach) + 2))
        dy, dx = y[window] - cell_y, x[window] - cell_x
        outline = radius * (1 + 0.15 * np.sin(rng.integers(2, 5) * np.arctan2(dy, dx) + turn))
        part = labels[window]
        part[(np.hypot(dy * stretch, dx / stretch) < outline) & (part == 0)] = n + 1
    return labels


def smooth(rng: np.random.Generator, shape: tuple[int, ...], width: float) -> np.ndarray:
    """Noise of standard deviation 1 that is smooth along the last two axes."""
    noise = ndimage.gaussian_filter(rng.normal(0, 1, shape), (0,) * (len(shape) - 2) + (width, width))
    return noise / noise.std()


def star_heads(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Probability (Y X) and distances (rays Y X) of the case's blobs, float32, no two probabilities alike."""
    labels = blobs(case)
    rng = np.random.default_rng(case.seed + 1000)
    padded = np.pad(labels, 1)
    prob = np.zeros(labels.shape)
    for n, window in enumerate(ndimage.find_objects(labels), 1):
        if window is not None:
            inside = np.pad(labels[window] == n, 1)
            depth = ndimage.distance_transform_edt(inside)[1:-1, 1:-1]
            prob[window] += depth / depth.max()
    steps = np.arange(0.5, 2 * case.radii[1], 0.5)
    angles = 2 * np.pi * np.arange(case.rays) / case.rays
    y, x = np.mgrid[: labels.shape[0] : case.grid[0], : labels.shape[1] : case.grid[1]]
    distances = np.zeros((case.rays, *y.shape))
    for ray, angle in enumerate(angles):
        there = np.ones(y.shape, bool)
        for step in steps:
            row = np.clip(np.rint(y + step * np.sin(angle)).astype(int) + 1, 0, padded.shape[0] - 1)
            column = np.clip(np.rint(x + step * np.cos(angle)).astype(int) + 1, 0, padded.shape[1] - 1)
            there &= padded[row, column] == labels[y, x]
            distances[ray][there & (labels[y, x] > 0)] = step
    distances = np.maximum(distances * (1 + case.noise * smooth(rng, distances.shape, 1)), 1e-3)
    prob = 0.9 * prob[:: case.grid[0], :: case.grid[1]] + rng.normal(0, 0.02, y.shape)
    return prob.astype(np.float32), distances.astype(np.float32)


def flow_heads(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Logit (Y X) and flows (2 Y X, five times unit vectors to the middle of each blob), float32."""
    labels = blobs(case)
    rng = np.random.default_rng(case.seed + 2000)
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    sizes = np.maximum(np.bincount(labels.ravel()), 1)
    centres = [np.bincount(labels.ravel(), axis.ravel()) / sizes for axis in (y, x)]
    towards = np.stack([centres[0][labels] - y, centres[1][labels] - x])
    length = np.hypot(*towards)
    flows = np.where(labels > 0, towards / np.maximum(length, 1), 0)
    flows = 5 * (flows + case.noise * smooth(rng, flows.shape, 1.5))
    logit = np.where(labels > 0, 4.0, -4.0) + 1.5 * smooth(rng, labels.shape, 1)
    return logit.astype(np.float32), flows.astype(np.float32)
