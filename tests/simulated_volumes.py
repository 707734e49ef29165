"""Heads as networks give them for volumes, of simulated touching blobs; numpy and scipy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class VolumeCase:
    """A scene and how it is decoded; `noise` is a part of the distances or flows, `radii` are in pixels of y and x."""

    seed: int
    shape: tuple[int, int, int] = (20, 40, 44)
    objects: int = 10
    radii: tuple[float, float] = (6, 10)
    noise: float = 0.1
    rays: int = 32
    grid: tuple[int, int, int] = (1, 2, 2)
    anisotropy: tuple[float, float, float] = (2.0, 1.0, 1.0)
    prob_thresh: float = 0.5
    nms_thresh: float = 0.3
    border: int = 2


VOLUME_CASES = {
    "anisotropic": VolumeCase(1),
    "isotropic": VolumeCase(2, (36, 36, 40), 20, (5, 8), grid=(2, 2, 2), anisotropy=(1, 1, 1), rays=24),
    "noisy": VolumeCase(3, noise=0.4, nms_thresh=0.2),
    "96_rays": VolumeCase(4, (24, 44, 44), 8, (8, 12), rays=96, noise=0.2),
    "uneven": VolumeCase(5, (20, 40, 40), 12, rays=17, grid=(1, 2, 4), anisotropy=(1.5, 1, 1.25), nms_thresh=0.5),
    "fine_grid": VolumeCase(6, (12, 24, 24), 4, (5, 7), grid=(1, 1, 1), border=0, prob_thresh=0.7),
    "small": VolumeCase(7, objects=60, radii=(2, 4), noise=0.3, border=0, prob_thresh=0.3),
    "none": VolumeCase(8, (8, 16, 16), 2, prob_thresh=2.0),
}


def blob_volume(case: VolumeCase) -> np.ndarray:
    """Labels, int32, Z Y X, of ellipsoids that touch each other; the first one lies on top."""
    rng = np.random.default_rng(case.seed)
    labels = np.zeros(case.shape, np.int32)
    places = np.stack(np.indices(case.shape)).astype(float)
    for n in range(case.objects):
        centre, radius, stretch = rng.uniform(0, 1, 3) * case.shape, rng.uniform(*case.radii), rng.uniform(0.8, 1.25, 3)
        away = (places - centre[:, None, None, None]) * (np.array(case.anisotropy) * stretch)[:, None, None, None]
        labels[((away**2).sum(axis=0) < radius**2) & (labels == 0)] = n + 1
    return labels


def smooth_volume(rng: np.random.Generator, shape: tuple[int, ...], width: float) -> np.ndarray:
    """Noise of standard deviation 1 that is smooth along the last three axes."""
    noise = ndimage.gaussian_filter(rng.normal(0, 1, shape), (0,) * (len(shape) - 3) + (width,) * 3)
    return np.asarray(noise / noise.std())


def star_volume(case: VolumeCase) -> tuple[np.ndarray, np.ndarray]:
    """Probability (Z Y X) and distances (rays Z Y X) of the case's blobs, float32, no two probabilities alike."""
    labels = blob_volume(case)
    rng = np.random.default_rng(case.seed + 1000)
    prob = np.zeros(labels.shape)
    for n in np.unique(labels[labels > 0]):
        depth = ndimage.distance_transform_edt(np.pad(labels == n, 1), sampling=case.anisotropy)[1:-1, 1:-1, 1:-1]
        prob += depth / depth.max()
    on_grid = tuple(slice(None, None, g) for g in case.grid)
    starts = np.stack(np.indices(labels.shape))[(slice(None), *on_grid)]
    own = labels[on_grid]
    distances = np.zeros((case.rays, *own.shape))
    for ray, direction in enumerate(_directions(case)):
        there = own > 0
        for step in np.arange(0.5, 3 * case.radii[1], 0.5):
            at = np.rint(starts + step * direction[:, None, None, None]).astype(int)
            inside = np.logical_and.reduce([(a >= 0) & (a < n) for a, n in zip(at, labels.shape, strict=True)])
            at = [np.clip(a, 0, n - 1) for a, n in zip(at, labels.shape, strict=True)]
            there &= inside & (labels[tuple(at)] == own)
            distances[ray][there] = step
            if not there.any():
                break
    distances = np.maximum((distances + 0.5) * (1 + case.noise * smooth_volume(rng, distances.shape, 1)), 1e-3)
    prob = 0.9 * prob[on_grid] + rng.normal(0, 0.02, own.shape)
    return prob.astype(np.float32), distances.astype(np.float32)


def _directions(case: VolumeCase) -> np.ndarray:
    turn = (3 - np.sqrt(5)) * np.pi * np.arange(case.rays)
    height = np.linspace(-1, 1, case.rays)
    radius = np.sqrt(1 - height**2)
    found = np.stack([height, radius * np.sin(turn), radius * np.cos(turn)], axis=1) / case.anisotropy
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


FLOW_VOLUMES = {
    "plain": VolumeCase(11, (16, 30, 34), 8, (5, 8), prob_thresh=0.0, anisotropy=(1.5, 1, 1)),
    "noisy": VolumeCase(12, (16, 30, 34), 8, (5, 8), prob_thresh=0.0, noise=0.4),
    "small": VolumeCase(13, (14, 28, 30), 30, (2, 5), prob_thresh=0.5, noise=0.2),
    "flat": VolumeCase(14, (2, 30, 34), 6, (5, 8), prob_thresh=0.0),
    "none": VolumeCase(15, (6, 12, 12), 2, prob_thresh=99.0),
}


def flow_volume(case: VolumeCase) -> tuple[np.ndarray, np.ndarray]:
    """Logit (Z Y X) and flows (3 Z Y X, five times unit vectors to the middle of each blob), float32."""
    labels = blob_volume(case)
    rng = np.random.default_rng(case.seed + 2000)
    places = np.indices(labels.shape)
    sizes = np.maximum(np.bincount(labels.ravel()), 1)
    centres = [np.bincount(labels.ravel(), axis.ravel()) / sizes for axis in places]
    towards = np.stack([centre[labels] - axis for centre, axis in zip(centres, places, strict=True)])
    length = np.sqrt((towards**2).sum(axis=0))
    flows = np.where(labels > 0, towards / np.maximum(length, 1), 0)
    flows = 5 * (flows + case.noise * smooth_volume(rng, flows.shape, 1.5))
    logit = np.where(labels > 0, 4.0, -4.0) + 1.5 * smooth_volume(rng, labels.shape, 1)
    return logit.astype(np.float32), flows.astype(np.float32)
