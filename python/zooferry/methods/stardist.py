"""StarDist: object probability and star-convex distances (Schmidt et al. 2018, Weigert et al. 2020).

The probability is the distance to the object's border, divided by its largest value in the object. The loss is the
binary cross-entropy of the probability, and the mean absolute error of the distances weighted with the true
probability, so that rays count that begin deep inside. In the background distances are kept small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from zooferry.errors import ZooferryError
from zooferry.instances.star_targets import (
    label_anisotropy,
    object_probability,
    plane_rays,
    star_distances,
    volume_rays,
)
from zooferry.methods import Scalings
from zooferry.methods.segmentation import Decoding, SegmentationSettings, head, image_operations
from zooferry.methods.segmentation import augment as augment
from zooferry.methods.segmentation import foreground as foreground
from zooferry.methods.segmentation import targets as targets
from zooferry.methods.tensors import as_tensor, fitting_layout
from zooferry.networks.segmentation import StarUNet
from zooferry.networks.star_volumes import StarVolumeUNet
from zooferry.training_data import RawData

RAYS = {2: 32, 3: 96}
THICK = 1.5  # pixels
LEAST_RAYS = 12  # of a polyhedron: fewer do not surely lie around its point
PROBABILITIES = tuple(round(0.2 + 0.05 * k, 2) for k in range(13))
OVERLAPS = (0.3, 0.4, 0.5)
TINY = 1e-7


@dataclass(frozen=True)
class StarDistSettings(SegmentationSettings):
    """Settings of StarDist.

    Attributes
    ----------
    rays : int
        Rays of a polygon or polyhedron; 0 chooses 32 in 2D and 96 in 3D.
    grid : int
        Pixels of the image between neighbours of the output in y and x: 1, 2, 4 or 8.
    grid_z : int
        The same along z (3D only); 0 chooses `grid`, or half of it where slices are more than 1.5 pixels thick.
    anisotropy : float
        Thickness of a slice in pixels of y and x (3D only); 0 measures on the labels how much flatter objects look
        than wide.
    distance_weight : float
        Of the distances' error, pixels, beside the cross-entropy.
    background_weight : float
        Of the distances in the background, pixels, beside their error.
    mirrored : bool
        Predict the mean over the image and its mirror images: nearer to the truth, and four times as slow (2D only).
    """

    patch: int = 128
    clip: float = 1.0
    rays: int = 0
    grid: int = 2
    grid_z: int = 0
    anisotropy: float = 0.0
    distance_weight: float = 0.2
    background_weight: float = 1e-4
    mirrored: bool = False

    def __post_init__(self) -> None:
        """See :class:`SegmentationSettings`."""
        super().__post_init__()
        self._require("rays", self.rays == 0 or 3 <= self.rays <= 256, "3 to 256, or 0 to choose")
        self._require("grid", self.grid in (1, 2, 4, 8), "1, 2, 4 or 8")
        self._require("grid_z", self.grid_z in (0, 1, 2, 4, 8), "1, 2, 4 or 8, or 0 to choose")
        self._require("anisotropy", 0 <= self.anisotropy <= 100, "above 0, to 100, or 0 to measure it")
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


def fitted_settings(settings: StarDistSettings, raw: RawData, say: Callable[[str], None]) -> StarDistSettings:
    """The settings with rays chosen, and for volumes anisotropy and grid along z.

    Raises
    ------
    ZooferryError
        The depth of the patches does not fit to the grid, there are too few rays for a polyhedron, or none that mirror
        each other.
    """
    settings = replace(settings, rays=_rays(settings, raw.dims))
    if settings.mirrored and (raw.dims == 3 or settings.rays % 2):
        raise ZooferryError(
            f"mirror images need planes and an even number of rays, here are {raw.dims}D images and {settings.rays} "
            "rays; leave --set mirrored=true away"
        )
    if raw.dims == 2:
        return settings
    if settings.rays < LEAST_RAYS:
        raise ZooferryError(
            f"setting rays is {settings.rays}; allowed for volumes: {LEAST_RAYS} to 256, or 0 to choose"
        )
    found = settings.anisotropy
    if not found:
        labels = [sample.target[0].astype(np.int64) for sample in raw.samples if sample.target is not None]
        found = round(label_anisotropy(labels), 2)
        say(f"anisotropy {found:g}: objects have so many times fewer slices than rows (--set anisotropy=...)")
    grid_z = settings.grid_z or max(1, settings.grid // 2 if found > THICK else settings.grid)
    step = grid_z * 2**settings.depth
    if settings.patch_z % step:
        raise ZooferryError(
            f"setting patch_z is {settings.patch_z}; allowed: a multiple of {step} (grid along z, which is {grid_z}, "
            f"times 2 to the power of depth)"
        )
    return replace(settings, anisotropy=found, grid_z=grid_z)


def network_arguments(
    settings: StarDistSettings,
    dims: int,
    in_channels: int,
    out_channels: int,  # noqa: ARG001
) -> dict[str, object]:
    """Arguments of :class:`~zooferry.networks.segmentation.StarUNet`, for volumes of `StarVolumeUNet`."""
    if dims == 3:
        return {
            "rays": _rays(settings, dims), "in_channels": in_channels, "width": settings.width, "depth": settings.depth,
            "kernel": settings.kernel, "grid": list(_grid(settings, dims)), "widest": settings.widest,
        }  # fmt: skip
    return {
        "rays": _rays(settings, dims), "dims": dims, "in_channels": in_channels, "width": settings.width,
        "depth": settings.depth, "kernel": settings.kernel, "grid": settings.grid, "widest": settings.widest,
        **({"mirrored": True} if settings.mirrored else {}),
    }  # fmt: skip


def build_network(settings: StarDistSettings, dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
    """A fresh network."""
    kind: type[torch.nn.Module] = StarVolumeUNet if dims == 3 else StarUNet
    network = kind(**network_arguments(settings, dims, in_channels, out_channels))
    return fitting_layout(network, dims)


def loss(
    network: torch.nn.Module,
    arrays: tuple[np.ndarray, ...],
    settings: StarDistSettings,
    rng: np.random.Generator,  # noqa: ARG001
) -> torch.Tensor:
    """Cross-entropy of the probability and error of the distances (Schmidt 2018, equation 1)."""
    images, labels = arrays
    grid = _grid(settings, images.ndim - 2)
    on_grid = tuple(slice(None, None, g) for g in grid)
    sizes = _sizes(settings) if len(grid) == 3 else None
    count = _rays(settings, len(grid))
    rays = volume_rays(count, sizes) if sizes else plane_rays(count)
    objects = labels[:, 0].astype(np.int64)
    depths = np.stack([object_probability(sample, sizes)[on_grid] for sample in objects])
    prob = as_tensor(depths[:, np.newaxis], network)
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
    """Greedy suppression of polygons or polyhedra."""
    tuned = {"prob_thresh": PROBABILITIES, "nms_thresh": OVERLAPS}
    parameters: dict[str, object] = {"grid": list(_grid(settings, dims)), "border": 0}
    if dims == 3:
        parameters["anisotropy"] = list(_sizes(settings))
    return Decoding("star_convex", ("prob", "dist"), parameters, tuned)


def _grid(settings: StarDistSettings, dims: int) -> tuple[int, ...]:
    return (settings.grid,) * 2 if dims == 2 else (settings.grid_z or settings.grid, settings.grid, settings.grid)


def _sizes(settings: StarDistSettings) -> tuple[float, float, float]:
    return (settings.anisotropy or 1.0, 1.0, 1.0)


def _rays(settings: StarDistSettings, dims: int) -> int:
    return settings.rays or RAYS[dims]
