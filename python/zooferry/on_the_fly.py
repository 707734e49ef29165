"""Training pairs made while training: the user gives clean images, every few patches one is made worse anew.

Whole images are degraded, never patches, because normalisation takes statistics of whole images and a PSF brings
light from outside a patch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zooferry.axes import spatial_axes
from zooferry.degrading import degrade, pixel_size_um, read_degradation
from zooferry.errors import ZooferryError
from zooferry.patches import PatchSampler, TrainingSample
from zooferry.settings import Settings, target_factors

PATCHES_PER_EXPOSURE = 16  # after so many patches one image is degraded again
Remake = Callable[[int, np.random.Generator], TrainingSample]


class FreshSampler(PatchSampler):
    """Draws patches as its base does, and now and then lets an image be taken again.

    Parameters
    ----------
    samples, patch, foreground
        See :class:`~zooferry.patches.PatchSampler`.
    remake : callable
        Number of a sample and a generator -> the same sample, degraded anew.
    """

    def __init__(
        self, samples: Sequence[TrainingSample], patch: tuple[int, ...], foreground: float, *, remake: Remake
    ) -> None:
        super().__init__(samples, patch, foreground)
        self.remake = remake
        self.drawn = 0

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """See :meth:`~zooferry.patches.PatchSampler.draw`; the generator also decides how images are degraded."""
        self.drawn += count
        while self.drawn >= PATCHES_PER_EXPOSURE:
            self.drawn -= PATCHES_PER_EXPOSURE
            number = int(rng.choice(len(self.samples), p=self.chance))
            self.samples[number] = self.remake(number, rng)
        return super().draw(count, rng)


def take_again(
    clean: np.ndarray, settings: Settings, calibration: dict[str, Any], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A degraded image and its clean partner, both C (Z) Y X.

    Parameters
    ----------
    clean : ndarray
        Grey values C (Z) Y X.
    settings : Settings
        With ``degrade``.
    calibration : dict
        ``pixel_size`` and ``unit`` of the clean images.
    rng : numpy.random.Generator

    Raises
    ------
    ZooferryError
        A wrong degradation, or one that makes images of another size than the network enlarges.
    """
    degradation = read_degradation(getattr(settings, "degrade", None) or {})
    dims = clean.ndim - 1
    pixel_size = pixel_size_um(calibration, degradation, dims)
    seen, target, _ = degrade(clean, degradation, pixel_size=pixel_size, rng=rng)
    ratio = tuple(t // n for t, n in zip(target.shape[1:], seen[0].shape[1:], strict=True))
    wanted = tuple(target_factors(settings).get(axis, 1) for axis in spatial_axes(dims))
    if ratio != wanted:
        raise ZooferryError(
            f"degrade makes images that are {ratio} times smaller, the network enlarges {wanted} times "
            f"({', '.join(spatial_axes(dims))}); set upscale and upscale_z to fit downsample, or same_size to true"
        )
    return seen[0], target


def with_degraded(raw: Any, settings: Settings) -> Any:
    """Raw training data whose clean images became the targets of degraded ones; as it is without ``degrade``.

    Parameters
    ----------
    raw : RawData
        Its images are clean and it has no targets.
    settings : Settings
    """
    if not getattr(settings, "degrade", None):
        return raw
    samples = []
    for number, sample in enumerate(raw.samples):
        rng = np.random.default_rng([settings.seed, number])
        image, target = take_again(sample.image, settings, raw.calibration, rng)
        samples.append(dataclasses.replace(sample, image=image, target=target))
    return dataclasses.replace(raw, samples=samples)
