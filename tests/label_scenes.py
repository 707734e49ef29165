"""Scenes that labels have to survive, and the heads that say them: for tests of decoding in every host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from label_packages import DECLARED, RAYS, declared_package

from zooferry.instances.borders import classes_of_labels
from zooferry.instances.heat import flows_of_labels
from zooferry.instances.star_targets import object_probability, plane_rays, star_distances

METHODS = ("star_convex", "flows", "borders")
SIDE = 265
MANY = SIDE**2  # 70,225: more than 16 bit hold
# what an image holds -> whether `flows`, which take objects above 0.4 of the image for background, keep it
SCENES = {"empty": True, "giant": False, "at_the_border": True, "touching": True}
MANY_PARAMETERS: dict[str, dict[str, Any]] = {
    "star_convex": {"border": 0},
    "flows": {"flow_thresh": 0.0},  # they jump to their centre: no unit vectors
    "borders": {"min_size": 0, "grow": 0},
}


def parameters(method: str, **more: Any) -> dict[str, Any]:
    """Parameters of decoding, as the packages of `label_packages` declare them."""
    return {key: value for key, value in DECLARED[method].items() if key != "outputs"} | more


def scene(name: str) -> np.ndarray:
    """True labels, int32, 64 x 80."""
    labels = np.zeros((64, 80), np.int32)
    if name == "giant":
        labels[2:62, 2:78] = 1
    if name == "at_the_border":
        for number, (y, x) in enumerate([(0, 0), (0, 34), (0, 66), (25, 0), (25, 66), (50, 0), (50, 34), (50, 66)], 1):
            labels[y : y + 14, x : x + 14] = number
    if name == "touching":
        for number in range(12):
            y, x = divmod(number, 4)
            labels[8 + 16 * y : 24 + 16 * y, 8 + 16 * x : 24 + 16 * x] = number + 1
    return labels


def heads_of(method: str, labels: np.ndarray) -> np.ndarray:
    """What a perfect network says, C Y X float32, at every pixel."""
    inside = labels > 0
    if method == "flows":
        return np.concatenate([5 * flows_of_labels(labels), np.where(inside, 5, -5)[None]]).astype(np.float32)
    if method == "borders":
        return (classes_of_labels(labels) == np.arange(3)[:, None, None]).astype(np.float32)
    distances = np.maximum(star_distances(labels, plane_rays(RAYS), grid=(1, 1)), 1e-3)
    return np.concatenate([object_probability(labels)[None], distances]).astype(np.float32)


def many(method: str) -> tuple[np.ndarray, np.ndarray]:
    """Heads (C Y X) of 70,225 objects, and the labels, number by number."""
    pitch = 5 if method == "flows" else 2
    numbers = np.arange(1, MANY + 1, dtype=np.int32).reshape(SIDE, SIDE)
    labels = np.zeros((SIDE * pitch, SIDE * pitch), np.int32)
    if method == "star_convex":  # of equally probable ones the last in Y, X is the first; none at the image's frame
        heads = np.zeros((RAYS + 1, *labels.shape), np.float32)
        heads[0, ::2, ::2], heads[1:] = 0.9, 0.6
        labels[::2, ::2] = numbers[::-1, ::-1]
        return heads, labels
    if method == "borders":
        labels[::2, ::2] = numbers
        return np.stack([labels == 0, labels > 0, np.zeros_like(labels)]).astype(np.float32), labels
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]] % 5
    inside = (y < 4) & (x < 4)
    labels[inside] = np.repeat(np.repeat(numbers, 4, axis=0), 4, axis=1).ravel()
    return 5 * np.stack([(1 - y) * inside, (1 - x) * inside, inside - 0.5]).astype(np.float32), labels


def package(folder: Path, method: str, **more: Any) -> Path:
    """A package whose network hands through heads; `more` are other parameters of decoding."""
    said = {"method": method, **DECLARED[method], **more}
    heads = heads_of(method, scene("touching"))
    return declared_package(folder, method, heads, config={"zooferry": {"instances": said}})
