"""Training pairs made while training: the user gives clean images, every few patches one is made worse anew.

They may be all there is, or join pairs that were really taken; then the clean partners of these, further clean images
and simulated fields are what is made worse. Whole images (or large windows) are degraded, never patches, because
normalisation takes statistics of whole images and a PSF brings light from outside a patch.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zooferry.axes import spatial_axes
from zooferry.degrading import degrade, pixel_size_um, read_degradation
from zooferry.errors import ZooferryError
from zooferry.patches import PatchSampler, TrainingSample
from zooferry.settings import Settings, target_factors
from zooferry.simulation import default_settings, simulate

PATCHES_PER_EXPOSURE = 16  # after so many patches one image is degraded again
SIMULATED = 20181  # keeps their random numbers apart from those of other seeds
Remake = Callable[[int, np.random.Generator], TrainingSample]


class FreshSampler(PatchSampler):
    """Draws patches as its base does, and now and then lets an image be taken again.

    Parameters
    ----------
    samples, patch, foreground
        See :class:`~zooferry.patches.PatchSampler`.
    remake : callable
        Number of a sample and a generator -> the same sample, degraded anew.
    sizes : sequence of int, optional
        Pixels of the image that each sample is made from, 0 of samples that stay as they are; by default all are made,
        each as often as it is large.
    part : float
        Of the patches that come from made samples, where there are others.
    """

    def __init__(
        self,
        samples: Sequence[TrainingSample],
        patch: tuple[int, ...],
        foreground: float,
        *,
        remake: Remake,
        sizes: Sequence[int] = (),
        part: float = 1.0,
    ) -> None:
        super().__init__(samples, patch, foreground)
        self.remake = remake
        self.drawn = 0
        pixels = np.array(sizes or self.chance, float)
        self.renewed = pixels / pixels.sum()
        taken = np.where(pixels > 0, 0, self.chance)
        if taken.any():
            self.chance = part * self.renewed + (1 - part) * taken / taken.sum()
        else:
            self.chance = self.renewed

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """See :meth:`~zooferry.patches.PatchSampler.draw`; the generator also decides how images are degraded."""
        self.drawn += count
        while self.drawn >= PATCHES_PER_EXPOSURE:
            self.drawn -= PATCHES_PER_EXPOSURE
            number = int(rng.choice(len(self.samples), p=self.renewed))
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


def further_clean(settings: Settings, dims: int, *, first: int) -> tuple[list[Any], list[dict[str, Any]]]:
    """Clean images that have no noisy partners: the folder ``clean``, and ``simulated`` fields of cells.

    Parameters
    ----------
    settings : Settings
    dims : int
        Spatial axes, 2 or 3.
    first : int
        Number of the first of their files.

    Returns
    -------
    samples : list of RawSample
        With a source alone.
    files : list of dict
        Their entries for data.json.
    """
    from zooferry.training_data import RawSample, read_training_data

    samples: list[Any] = []
    files: list[dict[str, Any]] = []
    folder = str(getattr(settings, "clean", ""))
    if folder:
        raw = read_training_data(Path(folder), None, dims=dims)
        names = [f"clean/{s.name}" for s in raw.samples]
        samples = [
            RawSample(first + s.file, name, s.image, None, s.image) for s, name in zip(raw.samples, names, strict=True)
        ]
        files = [{**f, "file": f"clean/{f['file']}"} for f in raw.files]
    for number in range(int(getattr(settings, "simulated", 0))):
        field = simulated_field(dims, number)[np.newaxis]
        samples.append(RawSample(first + len(files), f"simulated {number}", field, None, field))
        digest = hashlib.sha256(field.tobytes()).hexdigest()
        files.append({"file": f"simulated {number}", "sha256": digest, "shape": list(field.shape), "axes": "cyx"})
    return samples, files


def simulated_field(dims: int, number: int) -> np.ndarray:
    """The clean image of the numbered field of cells, float32 (Z) Y X; each field has a specimen of its own kind."""
    rng = np.random.default_rng([SIMULATED, number])
    series = default_settings(dims, photons=1e4)
    cells = dataclasses.replace(
        series.cells,
        nuclei=series.cells.nuclei * float(rng.choice([0.3, 1.0])),
        nucleus_radius_um=float(rng.uniform(2, 4)),
        filaments=series.cells.filaments * float(rng.choice([0, 2, 6, 12])),
        persistence_um=float(rng.choice([3, 18, 60])),
        granules=series.cells.granules * float(rng.choice([0, 1, 6])),
        cytoplasm=float(rng.uniform(0, 0.3)),
    )
    haze = float(rng.uniform(0, 0.7)) if dims == 2 else series.haze
    one = dataclasses.replace(series, train=1, validation=0, background_photons=0.0, haze=haze, cells=cells)
    return next(iter(simulate(one, seed=number))).clean


def with_degraded(raw: Any, settings: Settings) -> Any:
    """Raw training data with degraded images; as it is without ``degrade``.

    Parameters
    ----------
    raw : RawData
        Clean images, which become the targets of degraded ones; or pairs, which stay and whose clean partners make
        further ones. With ``clean`` and ``simulated`` of the settings there are more of these.
    settings : Settings

    Raises
    ------
    ZooferryError
        See `take_again`; ``clean`` holds no usable images.
    """
    if not getattr(settings, "degrade", None):
        return raw
    pairs = [sample for sample in raw.samples if sample.target is not None]
    own = [dataclasses.replace(s, source=s.image if s.target is None else s.target, target=None) for s in raw.samples]
    further, files = further_clean(settings, raw.dims, first=1 + max(s.file for s in own))
    made = []
    for number, sample in enumerate([*own, *further]):
        if len(sample.source) != len(own[0].source):
            raise ZooferryError(
                f"{sample.name} has {len(sample.source)} channel(s), {own[0].name} {len(own[0].source)}"
            )
        rng = np.random.default_rng([settings.seed, number])
        image, target = take_again(sample.source, settings, raw.calibration, rng)
        made.append(dataclasses.replace(sample, image=image, target=target))
    return dataclasses.replace(raw, samples=[*pairs, *made], files=[*raw.files, *files])
