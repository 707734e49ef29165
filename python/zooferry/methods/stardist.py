"""StarDist: object probability and star-convex distances (Schmidt et al. 2018, Weigert et al. 2020).

The probability is the distance to the object's border, divided by its largest value in the object. The loss is the
binary cross-entropy of the probability, and the mean absolute error of the distances weighted with the true
probability, so that rays count that begin deep inside. In the background distances are kept small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from zooferry.instances.star_targets import object_probability, plane_rays, star_distances
from zooferry.methods import Scalings
from zooferry.methods.segmentation import Decoding, SegmentationSettings, head, image_operations, varied
from zooferry.methods.segmentation import foreground as foreground
from zooferry.methods.tensors import as_tensor, fitting_layout
from zooferry.networks.segmentation import StarUNet

PROBABILITIES = tuple(round(0.3 + 0.05 * k, 2) for k in range(11))
OVERLAPS = (0.3, 0.4, 0.5)
TINY = 1e-7


@dataclass(frozen=True)
class StarDistSettings(SegmentationSettings):
    """Settings of StarDist.

    Attributes
    ----------
    rays : int
        Rays of a polygon.
    grid : int
        Pixels of the image between neighbours of the output: 1, 2, 4 or 8.
    distance_weight : float
        Of the distances' error, pixels, beside the cross-entropy.
    background_weight : float
        Of the distances in the background, pixels, beside their error.
    """

    patch: int = 128
    clip: float = 1.0
    rays: int = 32
    grid: int = 2
    distance_weight: float = 0.2
    background_weight: float = 1e-4

    def __post_init__(self) -> None:
        """See :class:`SegmentationSettings`."""
        super().__post_init__()
        self._require("rays", 3 <= self.rays <= 256, "3 to 256")
        self._require("grid", self.grid in (1, 2, 4, 8), "1, 2, 4 or 8")
        step = self.grid * 2**self.depth
        self._require("patch", self.patch % step == 0, f"a multiple of {step} (grid times 2 to the power of depth)")
        self._require("distance_weight", 0 <= self.distance_weight <= 1000, "0 to 1000")
        self._require("background_weight", 0 <= self.background_weight <= 1, "0 to 1")


SETTINGS = StarDistSettings
OUTPUTS = (
    head("prob", "probability that a pixel is inside an object, highest in its middle", "probability"),
    head("dist", "distances in pixels of the image along the rays", "grey values"),
)


def scalings(settings: StarDistSettings, images: Sequence[np.ndarray], axes: tuple[str, ...]) -> Scalings:  # noqa: ARG001
    """Percentiles of each image."""
    return Scalings(image_operations(settings, axes), (), outputs=OUTPUTS)


def targets(labels: np.ndarray, settings: StarDistSettings) -> np.ndarray:  # noqa: ARG001
    """The labels themselves, float32 1 Y X: an object that a patch cuts off is learnt like one at an image's edge."""
    return labels[np.newaxis].astype(np.float32)


def augment(
    arrays: Sequence[np.ndarray], settings: StarDistSettings, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """See :func:`zooferry.methods.segmentation.varied`."""
    return varied(arrays, settings, rng)


def network_arguments(
    settings: StarDistSettings,
    dims: int,
    in_channels: int,
    out_channels: int,  # noqa: ARG001
) -> dict[str, object]:
    """Arguments of :class:`~zooferry.networks.segmentation.StarUNet`."""
    return {
        "rays": settings.rays, "dims": dims, "in_channels": in_channels, "width": settings.width,
        "depth": settings.depth, "kernel": settings.kernel, "grid": settings.grid, "widest": settings.widest,
    }  # fmt: skip


def build_network(settings: StarDistSettings, dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
    """A fresh network."""
    network = StarUNet(**network_arguments(settings, dims, in_channels, out_channels))  # type: ignore[arg-type]
    return fitting_layout(network, dims)


def loss(
    network: torch.nn.Module,
    arrays: tuple[np.ndarray, ...],
    settings: StarDistSettings,
    rng: np.random.Generator,  # noqa: ARG001
) -> torch.Tensor:
    """Cross-entropy of the probability and error of the distances (Schmidt 2018, equation 1)."""
    images, labels = arrays
    grid = (settings.grid,) * (images.ndim - 2)
    rays, on_grid = plane_rays(settings.rays), tuple(slice(None, None, g) for g in grid)
    objects = labels[:, 0].astype(np.int64)
    prob = as_tensor(np.stack([object_probability(sample)[on_grid] for sample in objects])[:, np.newaxis], network)
    distances = as_tensor(np.stack([star_distances(sample, rays, grid=grid) for sample in objects]), network)
    logit, found = network(as_tensor(images, network), bare=True)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logit, prob)
    return entropy + settings.distance_weight * distance_error(found, distances, prob, settings.background_weight)


def distance_error(
    found: torch.Tensor, distances: torch.Tensor, prob: torch.Tensor, background_weight: float
) -> torch.Tensor:
    """Mean absolute error weighted with the probability, and the mean absolute distance in the background.

    Parameters
    ----------
    found, distances : Tensor
        B rays (Z) Y X, pixels.
    prob : Tensor
        B 1 (Z) Y X; it is 0 in the background.
    background_weight : float
    """
    error = (prob * (found - distances).abs()).mean() / (prob.mean() + TINY)
    return error + background_weight * ((prob == 0) * found.abs()).mean()


def decoding(settings: StarDistSettings, dims: int) -> Decoding:
    """Greedy suppression of polygons."""
    tuned = {"prob_thresh": PROBABILITIES, "nms_thresh": OVERLAPS}
    return Decoding("star_convex", ("prob", "dist"), {"grid": [settings.grid] * dims, "border": 0}, tuned)
