"""One file per published method: what it needs, its targets, its loss. This file is the plain list of them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from zooferry.errors import ZooferryError
from zooferry.methods.outputs import RESTORED, Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import torch

    from zooferry.normalization import Operation
    from zooferry.settings import Settings


@dataclass(frozen=True)
class MethodFacts:
    """What a user chooses a method by."""

    name: str
    title: str
    dims: tuple[int, ...]
    needs_targets: bool
    data: str
    paper: str
    needs_labels: bool = False
    some_labels: bool = False  # it learns from images without label image as well


METHODS = (
    MethodFacts(
        "n2v", "Noise2Void: denoising learnt from the noisy images alone", (2, 3), False, "noisy images",
        "Krull, Buchholz and Jug, CVPR 2019, doi:10.1109/CVPR.2019.00223",
    ),
    MethodFacts(
        "care", "CARE: content-aware restoration learnt from registered pairs", (2, 3), True,
        "noisy images and their clean partners",
        "Weigert et al., Nature Methods 15:1090 (2018), doi:10.1038/s41592-018-0216-7",
    ),
    MethodFacts(
        "rcan", "RCAN: residual channel attention, learnt from registered pairs", (2, 3), True,
        "noisy images and their clean partners",
        "Chen et al., Nature Methods 18:678 (2021), doi:10.1038/s41592-021-01155-x",
    ),
    MethodFacts(
        "n2n", "Noise2Noise: denoising learnt from pairs of noisy images", (2, 3), True,
        "noisy images and second takes of the same fields (as targets)",
        "Lehtinen et al., ICML 2018, doi:10.48550/arXiv.1803.04189",
    ),
    MethodFacts(
        "projection", "Projection: the surface in a stack as a clean image, learnt from pairs", (3,), True,
        "noisy stacks and clean images of the surface in them",
        "Weigert et al., Nature Methods 15:1090 (2018), doi:10.1038/s41592-018-0216-7",
    ),
    MethodFacts(
        "isotropic", "Isotropic CARE: z as sharp as y and x, learnt from the volumes' lateral slices", (3,), False,
        "volumes with coarse or blurred z",
        "Weigert et al., Nature Methods 15:1090 (2018), doi:10.1038/s41592-018-0216-7",
    ),
    MethodFacts(
        "unet", "U-Net with three classes: objects, their borders, background", (2, 3), False,
        "images and label images", "Prakash et al., ISBI 2020, doi:10.48550/arXiv.1911.12239", needs_labels=True,
    ),
    MethodFacts(
        "denoiseg", "DenoiSeg: one network that denoises and segments, from few labels", (2, 3), False,
        "noisy images, and label images of some of them",
        "Buchholz et al., ECCV workshops 2020, doi:10.48550/arXiv.2005.02987", needs_labels=True, some_labels=True,
    ),
    MethodFacts(
        "stardist", "StarDist: star-convex objects", (2, 3), False,
        "images and label images", "Schmidt et al., MICCAI 2018, doi:10.1007/978-3-030-00934-2_30", needs_labels=True,
    ),
    MethodFacts(
        "flows", "Flows: objects whose pixels flow to their centre, as in Cellpose", (2,), False,
        "images and label images", "Stringer et al., Nature Methods 18:100 (2021), doi:10.1038/s41592-020-01018-x",
        needs_labels=True,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Scalings:
    """The operations around the network.

    Attributes
    ----------
    preprocessing, postprocessing : tuple of Operation
        Of the network's input and its grey values; they go into the package.
    target : tuple of Operation
        Applied to training targets only.
    outputs : tuple of Output
        What the network emits, in its order; one restored image by default.
    """

    preprocessing: tuple[Operation, ...]
    postprocessing: tuple[Operation, ...]
    target: tuple[Operation, ...] = ()
    outputs: tuple[Output, ...] = RESTORED


class Method(Protocol):
    """What a method's module holds; :mod:`zooferry.methods.care` is the shortest example."""

    SETTINGS: type[Settings]

    def scalings(self, settings: Settings, images: Sequence[np.ndarray], axes: tuple[str, ...]) -> Scalings:
        """Operations from the raw training images, each C (Z) Y X."""

    def build_network(self, settings: Settings, dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
        """A fresh network."""

    def network_arguments(
        self, settings: Settings, dims: int, in_channels: int, out_channels: int
    ) -> dict[str, object]:
        """The architecture's keyword arguments, as the package stores them."""

    def loss(
        self, network: torch.nn.Module, arrays: tuple[np.ndarray, ...], settings: Settings, rng: np.random.Generator
    ) -> torch.Tensor:
        """Loss of one batch of normalised patches, each B C (Z) Y X."""

    # A method may also have ``augment(arrays, settings, rng)``, in the place of `augmentation.augmented`. One that
    # learns from labels has ``targets(labels, settings)``: what labels (Z) Y X become before patches are drawn, float32
    # C (Z) Y X; and ``decoding(settings, dims)``, see `zooferry.methods.segmentation.Decoding`.

    def foreground(self, settings: Settings) -> float:
        """Patches whose brightest target pixel is below this (normalised units) are drawn again."""


def facts(name: str) -> MethodFacts:
    """Facts of a method.

    Raises
    ------
    ZooferryError
        There is no such method; the message lists those that exist.
    """
    for method in METHODS:
        if method.name == name:
            return method
    raise ZooferryError(f"unknown method {name!r}; allowed: {', '.join(m.name for m in METHODS)}")


def load(name: str) -> Method:
    """The module of a method (this imports torch)."""
    module: Method = importlib.import_module(f"zooferry.methods.{facts(name).name}")
    return module
