"""What all methods of segmentation share: their settings, the scaling of images, the variation of patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zooferry.methods.outputs import Output
from zooferry.normalization import Operation, percentile_operations
from zooferry.segmentation_augmentation import draw_symmetry, enlarge_some, vary_greys
from zooferry.settings import Settings

SCORED = (0.5, 0.6, 0.7)  # IoU at which the mean average precision chooses thresholds


@dataclass(frozen=True)
class SegmentationSettings(Settings):
    """Settings of all methods of segmentation.

    Attributes
    ----------
    low, high : float
        Percentiles (0-100) of every image that become 0 and 1.
    intensity : float
        With `augment`: spread of the logarithms of gain and gamma, see `segmentation_augmentation.vary_greys`.
    noise : float
        With `augment`: largest standard deviation of the noise that is added to patches, in normalised units.
    zoom : float
        With `augment`: half of the batches are enlarged by a factor from 1 to this in y and x.
    widest : int
        Most feature channels of a level, for small packages; 0 is no limit.
    averaging : float
        The weights are averaged over about this last part of the steps (`zooferry.averaging`), and the average is used
        where it segments the validation images better than the best and the last weights; 0 averages nothing.
    evenly : bool
        Patches come from all images alike; otherwise from each in proportion to its size.
    """

    patch: int = 128
    batch: int = 0
    width: int = 32
    depth: int = 3
    learning_rate: float = 1e-3
    intensity: float = 0.3
    validate_every: int = 100
    low: float = 1.0
    high: float = 99.8
    noise: float = 0.05
    zoom: float = 1.25
    widest: int = 0
    averaging: float = 0.1
    evenly: bool = False

    def __post_init__(self) -> None:
        """See :class:`Settings`."""
        super().__post_init__()
        self._require("low", 0 <= self.low < self.high, "0 to less than high")
        self._require("high", self.high <= 100, "more than low, up to 100")
        self._require("noise", 0 <= self.noise <= 10, "0 to 10")
        self._require("zoom", 1 <= self.zoom <= 4, "1 to 4")
        self._require("averaging", 0 <= self.averaging <= 1, "0 to 1")
        self._require("widest", 0 <= self.widest <= 4096, "0 to 4096")


@dataclass(frozen=True)
class Decoding:
    """How a network's outputs become labels, for ``run.json``.

    Attributes
    ----------
    method : str
        A key of `zooferry.instances.declaration.PARAMETERS`.
    outputs : tuple of str
    parameters : mapping
        Those that are not tuned.
    tuned : mapping
        Parameter -> values that are tried on the validation images.
    """

    method: str
    outputs: tuple[str, ...]
    parameters: dict[str, Any]
    tuned: dict[str, tuple[float, ...]]


def image_operations(settings: SegmentationSettings, axes: tuple[str, ...]) -> tuple[Operation, ...]:
    """Percentiles of each image become 0 and 1."""
    return percentile_operations(settings.low, settings.high, axes)


def head(name: str, description: str, kind: str) -> Output:
    """An output of a network that is no image in grey values; its numbers stay as they are."""
    return Output(name, description, kind, postprocessing=())


def network_arguments(
    settings: SegmentationSettings,
    dims: int,
    in_channels: int,
    out_channels: int,  # noqa: ARG001
) -> dict[str, object]:
    """Arguments of the U-Nets of :mod:`zooferry.networks.segmentation` on the image's own grid."""
    return {
        "dims": dims, "in_channels": in_channels, "width": settings.width, "depth": settings.depth,
        "kernel": settings.kernel, "widest": settings.widest,
    }  # fmt: skip


def augment(
    arrays: Sequence[np.ndarray],
    settings: SegmentationSettings,
    rng: np.random.Generator,
) -> tuple[np.ndarray, ...]:
    """Patches and targets, both B C (Z) Y X, enlarged, turned, flipped, and the patches in other intensities."""
    if not settings.augment:
        return tuple(arrays)
    images, targets = enlarge_some(arrays, rng, zoom=settings.zoom, nearest=(False, True))
    symmetry = draw_symmetry(rng)
    images = symmetry.of(images)
    return vary_greys(images, rng, spread=settings.intensity, noise=settings.noise), symmetry.of(targets)


def foreground(settings: SegmentationSettings) -> float:  # noqa: ARG001
    """Patches without any object are drawn again."""
    return 0.5


def targets(labels: np.ndarray, settings: SegmentationSettings) -> np.ndarray:  # noqa: ARG001
    """The labels themselves, float32 1 (Z) Y X: an object that a patch cuts off is learnt like one at an edge."""
    return labels[np.newaxis].astype(np.float32)
