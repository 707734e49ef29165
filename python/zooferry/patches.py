"""Choose windows once and cut the same from every array; split by image, never by patch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zooferry.errors import ZooferryError


@dataclass(frozen=True)
class TrainingSample:
    """One normalised image, channel first.

    Attributes
    ----------
    name : str
        For messages.
    image : ndarray
        float32 C (Z) Y X.
    target : ndarray or None
        float32 C (Z) Y X, of the same spatial sizes or whole multiples of them, or without the image's z; None for
        self-supervised methods.
    """

    name: str
    image: np.ndarray
    target: np.ndarray | None = None

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """Image, and target if there is one."""
        return (self.image,) if self.target is None else (self.image, self.target)


def split_images(count: int, fraction: float, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Indices of the images for training and for validation; both are non-empty where there are two images."""
    if count < 2 or fraction == 0:
        return list(range(count)), []
    order = rng.permutation(count)
    held = min(count - 1, max(1, round(count * fraction)))
    return sorted(int(i) for i in order[held:]), sorted(int(i) for i in order[:held])


def split_rows(sample: TrainingSample, fraction: float, least: int) -> tuple[TrainingSample, TrainingSample]:
    """One image cut along y into a training and a validation part of at least `least` rows each, without overlap."""
    rows = sample.image.shape[-2]
    held = max(least, round(rows * fraction))
    cut = rows - held
    grown = [a.shape[-2] // rows for a in sample.arrays]
    halves = ((0, cut), (cut, rows))
    parts = [tuple(a[..., s * g : e * g, :] for a, g in zip(sample.arrays, grown, strict=True)) for s, e in halves]
    first, second = (TrainingSample(sample.name, *p) for p in parts)
    return first, second


class PatchSampler:
    """Draw random windows from images.

    Parameters
    ----------
    samples : sequence of TrainingSample
    patch : tuple of int
        Sides per spatial axis, pixels.
    foreground : float
        A window is drawn again (up to 5 times) while its brightest pixel of the target (or image) is below this
        value in normalised units; -inf takes every window. It is the background rejection of Weigert 2018.
    evenly : bool
        Each image has the same probability; otherwise one in proportion to its size.

    Raises
    ------
    ZooferryError
        An image is smaller than a patch.
    """

    def __init__(
        self,
        samples: Sequence[TrainingSample],
        patch: tuple[int, ...],
        foreground: float = -np.inf,
        *,
        evenly: bool = False,
    ) -> None:
        self.samples, self.patch, self.foreground = list(samples), patch, foreground
        for sample in self.samples:
            sizes = sample.image.shape[1:]
            if any(n < p for n, p in zip(sizes, patch, strict=True)):
                raise ZooferryError(
                    f"{sample.name}: image of {_times(sizes)} pixels is smaller than a patch of {_times(patch)}; "
                    "use larger images or a smaller patch (--set patch=...)"
                )
        volume = np.array([1 if evenly else s.image[0].size for s in self.samples], float)
        self.chance = volume / volume.sum()

    def favour(self, chosen: Sequence[bool], part: float) -> None:
        """Take at least this part of the windows from the chosen samples, where there are others as well."""
        which = np.array(chosen)
        own = float(self.chance[which].sum())
        if 0 < own < part:
            self.chance = np.where(which, self.chance * part / own, self.chance * (1 - part) / (1 - own))

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """`count` windows: an array B C (Z) Y X of the images and, where there are targets, one of the targets."""
        drawn = [self._window(rng) for _ in range(count)]
        return tuple(np.stack(arrays) for arrays in zip(*drawn, strict=True))

    def _window(self, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        for _ in range(5):
            sample = self.samples[rng.choice(len(self.samples), p=self.chance)]
            corner = [rng.integers(0, n - p + 1) for n, p in zip(sample.image.shape[1:], self.patch, strict=True)]
            parts = tuple(a[self._place(corner, a, sample.image)] for a in sample.arrays)
            if parts[-1].max() >= self.foreground:
                break
        return parts

    def _place(self, corner: Sequence[int], array: np.ndarray, image: np.ndarray) -> tuple[slice, ...]:
        """The window of an array that has a whole number of pixels for each one of the image, or has lost its z."""
        dims = array.ndim - 1
        grown = [a // n for a, n in zip(array.shape[1:], image.shape[-dims:], strict=True)]
        places = zip(corner[-dims:], self.patch[-dims:], grown, strict=True)
        return (slice(None), *[slice(c * g, (c + p) * g) for c, p, g in places])


def _times(sizes: Sequence[int]) -> str:
    return " x ".join(str(n) for n in sizes)
