"""CARE: content-aware restoration from registered pairs (Weigert et al. 2018).

A residual U-Net is trained with the mean absolute error on percentile-normalised patches that hold foreground.
Probabilistic CARE predicts a Laplace distribution for every pixel and is trained with its negative log likelihood; of
an ensemble every member sees batches of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from zooferry.matching import MATCHINGS
from zooferry.methods import Scalings
from zooferry.methods.outputs import RESTORED, Output
from zooferry.methods.tensors import as_tensor, fitting_layout
from zooferry.networks.unet import LaplaceEnsemble, LaplaceUNet, UNet, mixture
from zooferry.normalization import have_channels, percentile_operations
from zooferry.settings import Settings


@dataclass(frozen=True)
class CareSettings(Settings):
    """Settings of CARE.

    Attributes
    ----------
    low, high : float
        Percentiles (0-100) of every image and target that become 0 and 1.
    foreground : float
        Patches whose brightest target pixel is below this (in normalised units) are drawn again.
    match : str
        "affine": every target gets gain and offset of its image (least squares). "gain": its gain alone, and its own
        lower percentile becomes 0. "none": targets are scaled by percentiles of their own, as also where they have
        other channels than the images.
    probabilistic : bool
        Predict a Laplace distribution: outputs `restored` (its mean) and `scale`.
    members : int
        Networks of an ensemble, trained in one run; 2 or more need `probabilistic` and add the output `disagreement`.
    beta : float
        Of a predicted distribution: weight every pixel's likelihood by its scale to this power. With 1 the mean learns
        as from the mean absolute error, with 0 dim pixels count more than bright ones (Seitzer 2022).
    diversity : float
        Of an ensemble: weight of its networks' disagreement on images unlike those they learn from (`unlike`), which is
        made larger in training, so that they disagree where they know nothing (Jain 2020).
    recalibrate : bool
        At the end, multiply the predicted scale by the factor of least expected calibration error on the validation
        images; the package holds it as a processing step.
    degrade : mapping, optional
        Make noisy images from clean ones while training, see `zooferry.degrading.read_degradation`: from the images,
        or, where there are targets, from these beside the pairs.
    specimen : mapping, optional
        Draw the clean images while training instead of reading them, see `zooferry.synthetic.read_specimen`.
    degraded : float
        Part of the patches that come from degraded images, where there are pairs too.
    clean : str
        Folder of further clean images to degrade.
    simulated : int
        Simulated fields of cells to degrade, each with a specimen of another kind.
    """

    width: int = 16
    learning_rate: float = 2e-3
    clip: float = 1.0
    low: float = 2.0
    high: float = 99.8
    foreground: float = 0.2
    probabilistic: bool = False
    members: int = 1
    match: str = "affine"
    beta: float = 1.0
    diversity: float = 0.0
    recalibrate: bool = True
    degrade: Mapping[str, Any] | None = None
    specimen: Mapping[str, Any] | None = None
    degraded: float = 0.5
    clean: str = ""
    simulated: int = 0

    def __post_init__(self) -> None:
        """See :class:`Settings`."""
        super().__post_init__()
        self._require("low", 0 <= self.low < self.high, "0 to less than high")
        self._require("high", self.high <= 100, "more than low, up to 100")
        self._require("members", 1 <= self.members <= 64, "1 to 64")
        self._require("members", self.members == 1 or self.probabilistic, "1, or more with probabilistic=true")
        self._require("match", self.match in ("none", *MATCHINGS), f"none, {', '.join(MATCHINGS)}")
        self._require("beta", 0 <= self.beta <= 1, "0 to 1")
        self._require("diversity", 0 <= self.diversity <= 10, "0 to 10")
        self._require("diversity", not self.diversity or self.members > 1, "0, or more with 2 members or more")
        self._require("degraded", 0 < self.degraded < 1, "above 0, less than 1")
        self._require("simulated", 0 <= self.simulated <= 10_000, "0 to 10000")
        for name in ("clean", "simulated"):
            self._require(name, bool(self.degrade) or not getattr(self, name), "something only with degrade")

    @property
    def patches_per_step(self) -> int:
        """See :class:`Settings`."""
        return self.batch * self.members


SETTINGS = CareSettings
NETWORKS = {"one": UNet, "distribution": LaplaceUNet, "mixture": LaplaceEnsemble}
OUTPUTS = (
    Output(description="restored image: the mean of the predicted distribution"),
    Output("scale", "scale of the predicted Laplace distribution, in the units of `restored`", "scale"),
    Output("disagreement", "how much the networks of the ensemble disagree: 0 not at all, 1 fully", "fraction"),
)


def scalings(settings: CareSettings, images: Sequence[np.ndarray], axes: tuple[str, ...]) -> Scalings:
    """Percentiles of each channel of an image; the output stays in the target's normalised units (0 dark, 1 bright)."""
    scale = percentile_operations(settings.low, settings.high, axes, each=have_channels(images))
    target = percentile_operations(settings.low, settings.high, axes, each=True)
    outputs = {"one": RESTORED, "distribution": OUTPUTS[:2], "mixture": OUTPUTS}[_kind(settings)]
    return Scalings(preprocessing=scale, postprocessing=(), target=target, outputs=outputs)


def _kind(settings: CareSettings) -> str:
    if settings.members > 1:
        return "mixture"
    return "distribution" if settings.probabilistic else "one"


def network_arguments(settings: CareSettings, dims: int, in_channels: int, out_channels: int) -> dict[str, object]:
    """Arguments of the class in `NETWORKS`."""
    members: dict[str, object] = {"members": settings.members} if settings.members > 1 else {}
    return members | {
        "dims": dims, "in_channels": in_channels, "out_channels": out_channels, "width": settings.width,
        "depth": settings.depth, "kernel": settings.kernel, "residual": in_channels == out_channels,
    }  # fmt: skip


def build_network(settings: CareSettings, dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
    """A fresh residual U-Net, a probabilistic one, or several of these."""
    kind: Any = NETWORKS[_kind(settings)]
    network: torch.nn.Module = kind(**network_arguments(settings, dims, in_channels, out_channels))
    return fitting_layout(network, dims)


def loss(
    network: torch.nn.Module,
    arrays: tuple[np.ndarray, ...],
    settings: CareSettings,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Mean absolute error between restoration and target, both B C (Z) Y X; or :func:`laplace_loss`.

    The likelihood weighted by `beta` trains well and compares badly, as it rises where all scales become smaller: for
    validation it is the plain one.
    """
    images, targets = (as_tensor(a, network) for a in arrays)
    if not settings.probabilistic:
        return torch.nn.functional.l1_loss(network(images), targets)
    mean, scale = network(images, apart=True) if settings.members > 1 else network(images)
    if not network.training:
        return laplace_loss(mean, scale, targets)
    found = laplace_loss(mean, scale, targets, beta=settings.beta)
    if settings.diversity:
        foreign = as_tensor(unlike(arrays, len(arrays[0]) // settings.members, rng), network)
        found = found - settings.diversity * disagreement_on(network, foreign, settings.members)
    return found


def unlike(arrays: tuple[np.ndarray, ...], count: int, rng: np.random.Generator) -> np.ndarray:
    """Patches B C (Z) Y X unlike fluorescence: structures darker than the background beside bright ones.

    Each is the weighted difference of two patches, with or without their noise. The dark one is from the half that has
    more structure, and brought to full contrast: with an empty one there, the difference would be fluorescence.
    """
    source = arrays[int(rng.integers(len(arrays)))]
    inside = tuple(range(1, source.ndim))
    structured = np.argsort(-source.std(axis=inside))[: -(-len(source) // 2)]
    first, second = source[rng.integers(len(source), size=count)], source[rng.choice(structured, count)]
    shape = (count, *[1] * (source.ndim - 1))
    second = second / np.maximum(second.max(axis=inside, keepdims=True), 0.1)
    bright, dark = rng.uniform(0, 1, shape), rng.uniform(0.4, 1.5, shape)
    return np.asarray(bright * np.flip(first, -1) - dark * second, np.float32)


def disagreement_on(network: torch.nn.Module, images: torch.Tensor, members: int) -> torch.Tensor:
    """Mean disagreement of the networks of an ensemble on a batch B C (Z) Y X; their scales are not trained by it."""
    means, scales = network(torch.cat([images] * members), apart=True)
    parts = (torch.stack(t.chunk(members)) for t in (means, scales.detach()))
    return mixture(*parts)[2].mean()


def laplace_loss(mean: torch.Tensor, scale: torch.Tensor, targets: torch.Tensor, *, beta: float = 0.0) -> torch.Tensor:
    """Mean negative log likelihood of the targets, all B C (Z) Y X (Weigert 2018, probabilistic CARE).

    With `beta` each pixel is weighted by its scale to that power, which itself is not trained (Seitzer et al., ICLR
    2022, equation 6, there for normal distributions).
    """
    likelihood = (targets - mean).abs() / scale + torch.log(2 * scale)
    return torch.mean(likelihood * scale.detach() ** beta if beta else likelihood)


def foreground(settings: CareSettings) -> float:
    """See :class:`CareSettings`."""
    return settings.foreground
