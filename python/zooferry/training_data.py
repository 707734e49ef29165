"""Read a folder of images (and their targets), refuse what cannot be trained on, normalise, split by image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from zooferry import axes
from zooferry.errors import ZooferryError
from zooferry.files import sha256
from zooferry.images import list_images, match_pairs, match_some, read_image, require_labels, require_usable
from zooferry.matching import matching_of, scaled_like
from zooferry.normalization import Operation, apply_operations
from zooferry.on_the_fly import FreshSampler, take_again
from zooferry.patches import PatchSampler, TrainingSample, split_images, split_rows
from zooferry.prediction import mirror
from zooferry.settings import Settings, target_factors
from zooferry.training import Data, patch_sides

Pair = tuple[Path, Path | None]
Images = tuple[xr.DataArray, xr.DataArray | None]


@dataclass(frozen=True)
class RawSample:
    """One network sample as it was read.

    Attributes
    ----------
    file : int
        Which image file it is from.
    name : str
        File name, with the position in its stack.
    image, target : ndarray
        Grey values C (Z) Y X; target is None without targets.
    source : ndarray or None
        The clean image C (Z) Y X from which both were made; None where they were taken.
    """

    file: int
    name: str
    image: np.ndarray
    target: np.ndarray | None
    source: np.ndarray | None = None


@dataclass(frozen=True)
class RawData:
    """All training images.

    Attributes
    ----------
    dims : int
        Spatial axes of the network.
    samples : list of RawSample
    files : list of dict
        Path, SHA-256 and shape of every file.
    calibration : dict
        ``pixel_size`` (axis -> float) and ``unit``, as far as the first image has them.
    fresh : callable, optional
        Generator -> another clean image C (Z) Y X, where images are drawn: then no sample is degraded twice.
    held : tuple of str
        Names of the files that validate, where chance shall not decide.
    """

    dims: int
    samples: list[RawSample]
    files: list[dict[str, Any]]
    calibration: dict[str, Any] = field(default_factory=dict)
    fresh: Callable[[np.random.Generator], np.ndarray] | None = None
    held: tuple[str, ...] = ()

    @property
    def channels(self) -> tuple[int, int]:
        """Channels of the images and of the targets (of the images again, without targets)."""
        first = self.samples[0]
        return len(first.image), len(first.image if first.target is None else first.target)


@dataclass(frozen=True)
class Partners:
    """What the partners of images are.

    Attributes
    ----------
    labels : bool
        Label images.
    partly : bool
        Some images have none, or one without any object: they are not annotated.
    kept : bool
        Images that are not annotated are kept, with an empty label image; else they are left out.
    """

    labels: bool = False
    partly: bool = False
    kept: bool = False


def read_training_data(
    images: Path,
    targets: Path | None,
    *,
    dims: int,
    factors: Mapping[str, int] | None = None,
    partners: Partners = Partners(),
) -> RawData:
    """Read all images (and targets).

    Parameters
    ----------
    images, targets : Path
        Folders of TIFFs; partners have the same name.
    dims : int
        2 or 3; 0 chooses 3 if every image has a z axis.
    factors : mapping, optional
        Axis -> how many times more pixels the targets have; 0: they have no such axis.
    partners : Partners
        What the targets are.

    Raises
    ------
    ZooferryError
        Empty folder, missing partner, unreadable or RGB file, NaN or constant pixels, shapes or channels that differ.
    """
    pairs: Sequence[tuple[Path, Path | None]]
    match = match_some if partners.partly else match_pairs
    pairs = match(images, targets) if targets else [(p, None) for p in list_images(images)]
    read = [(_usable(a), None if b is None else _usable(b, labels=partners.labels)) for a, b in pairs]
    if targets and partners.partly:
        pairs, read = _annotated(pairs, read, kept=partners.kept)
    chosen = dims or (3 if all("z" in image.dims for image, _ in read) else 2)
    flat = chosen - list((factors or {}).values()).count(0)
    samples: list[RawSample] = []
    files: list[dict[str, Any]] = []
    for number, ((path, target_path), (image, target)) in enumerate(zip(pairs, read, strict=True)):
        _require_partner((path, image), (target_path, target), factors or {})
        samples += _cut(number, (path, image), target, (chosen, flat))
        files.append(
            {
                "file": path.name,
                "sha256": sha256(path),
                "shape": list(image.shape),
                "axes": "".join(map(str, image.dims)),
            }
        )
        if target_path is not None:
            files[-1]["target_sha256"] = sha256(target_path)
    _require_same_channels(samples)
    calibration = {k: read[0][0].attrs[k] for k in ("pixel_size", "unit") if k in read[0][0].attrs}
    return RawData(chosen, samples, files, calibration)


def _annotated(pairs: Sequence[Pair], read: Sequence[Images], *, kept: bool) -> tuple[list[Pair], list[Images]]:
    """Those with objects in their label images; all where they are `kept`, with empty label images."""
    found = []
    for pair, (image, labels) in zip(pairs, read, strict=True):
        if labels is not None and labels.values.any():
            found.append((pair, (image, labels)))
        elif kept:
            empty = xr.zeros_like(image if "c" not in image.dims else image.isel(c=0, drop=True), np.uint8)
            found.append((pair, (image, empty)))
    if not found:
        raise ZooferryError("no image has a label image with an object; annotate some of them")
    return [pair for pair, _ in found], [images for _, images in found]


def _usable(path: Path, *, labels: bool = False) -> xr.DataArray:
    image = read_image(path)
    (require_labels if labels else require_usable)(path, image)
    return image


def _cut(
    number: int, source: tuple[Path, xr.DataArray], target: xr.DataArray | None, dims: tuple[int, int]
) -> list[RawSample]:
    """Samples of an image and of its target; `dims` are the spatial axes of both."""
    path, image = source
    if dims[0] == 3 and "z" not in image.dims:
        raise ZooferryError(f"{path}: dims is 3, but this image has no z axis; leave it out or set dims to 2")
    cut = list(axes.samples(image, dims[0]))
    cut_targets = [None] * len(cut) if target is None else [array for _, array in axes.samples(target, dims[1])]
    found = []
    for (position, array), wanted in zip(cut, cut_targets, strict=True):
        where = "".join(f" {axis}={index}" for axis, index in position.items())
        found.append(RawSample(number, path.name + where, array, wanted))
    return found


def _require_partner(
    source: tuple[Path, xr.DataArray], partner: tuple[Path | None, xr.DataArray | None], factors: Mapping[str, int]
) -> None:
    path, image = source
    target_path, target = partner
    sizes = {a: n * factors.get(str(a), 1) for a, n in image.sizes.items() if a != "c" and factors.get(str(a)) != 0}
    if target is not None and sizes != {a: n for a, n in target.sizes.items() if a != "c"}:
        larger = " and ".join(f"{a} {n} times larger" if n else f"no {a}" for a, n in factors.items())
        raise ZooferryError(
            f"{path.parent.name}/{path.name} is {_shape(image)}, its target {target_path} is {_shape(target)}; "
            f"partners must have {'targets with ' + larger if larger else 'the same shape'}"
        )


def _shape(image: xr.DataArray) -> str:
    return " x ".join(f"{axis} {size}" for axis, size in image.sizes.items())


def _require_same_channels(samples: Sequence[RawSample]) -> None:
    first = samples[0]
    for sample in samples:
        for array, wanted in ((sample.image, first.image), (sample.target, first.target)):
            if array is not None and wanted is not None and len(array) != len(wanted):
                raise ZooferryError(
                    f"{sample.name} has {len(array)} channel(s), {first.name} has {len(wanted)}; "
                    "all images must have the same channels"
                )


def split(raw: RawData, settings: Settings) -> tuple[list[int], list[int]]:
    """Indices of the samples for training and for validation, whole files together.

    With a single file its slices are split; with a single slice, both lists hold it and its rows are split later.
    Where pairs were taken, these alone validate, and nothing is made of them for training.
    """
    rng = np.random.default_rng(settings.seed)
    taken = [i for i, s in enumerate(raw.samples) if s.source is None] or list(range(len(raw.samples)))
    count = 1 + max(raw.samples[i].file for i in taken)
    if count == 1:
        held = {taken[i] for i in split_images(len(taken), settings.validation_fraction, rng)[1]}
    else:
        named = {n for n, file in enumerate(raw.files) if file["file"] in raw.held}
        files = named or set(split_images(count, settings.validation_fraction, rng)[1])
        held = {i for i in taken if raw.samples[i].file in files}
    seen = {(raw.samples[i].file, raw.samples[i].name) for i in held}
    training = [i for i, s in enumerate(raw.samples) if i not in held and (s.file, s.name) not in seen]
    return training, sorted(held)


def prepare(raw: RawData, settings: Settings, scalings: Any, foreground: float) -> Data:
    """Normalise every sample and set up the patch samplers.

    Raises
    ------
    ZooferryError
        An image is smaller than a patch.
    """
    depth = max(s.image.shape[1] for s in raw.samples) if target_factors(settings).get("z") == 0 else 0
    matching = matching_of(settings, raw.channels)

    def normalised(sample: RawSample) -> TrainingSample:
        image = _scaled(scalings.preprocessing, sample.image)
        if depth:  # every patch holds the whole stack; mirrored slices lay the same surface down twice
            image = mirror(image, (len(image), depth, *image.shape[2:]))
        return TrainingSample(sample.name, image, _scaled_target(sample, scalings, matching))

    training, validation = split(raw, settings)
    sides = (depth, *patch_sides(settings, raw.dims)[1:]) if depth else patch_sides(settings, raw.dims)
    train_samples = [normalised(raw.samples[i]) for i in training]
    held = [normalised(raw.samples[i]) for i in validation]
    fraction = settings.validation_fraction
    single = not held and fraction and len(train_samples) == 1
    rows = bool(single and train_samples[0].image.shape[-2] >= 3 * sides[-2])
    if rows:
        first, second = split_rows(train_samples[0], fraction, sides[-2])
        train_samples, held = [first], [second]

    def remake(number: int, rng: np.random.Generator) -> TrainingSample:
        clean = raw.samples[training[number]]
        assert clean.source is not None  # the sampler renews those that have one
        source = clean.source if raw.fresh is None else raw.fresh(rng)
        image, target = take_again(source, settings, raw.calibration, rng)
        again = normalised(replace(clean, image=image, target=target))
        return split_rows(again, fraction, sides[-2])[0] if rows else again

    evenly = bool(getattr(settings, "evenly", False))
    validation_sampler = PatchSampler(held, sides, foreground, evenly=evenly) if held else None
    sources = [raw.samples[i].source for i in training]
    sizes = [0 if source is None else source[0].size for source in sources]
    if any(sizes):
        part = float(getattr(settings, "degraded", 1.0))
        fresh = FreshSampler(train_samples, sides, foreground, remake=remake, sizes=sizes, part=part)
        return Data(fresh, validation_sampler)
    sampler = PatchSampler(train_samples, sides, foreground, evenly=evenly)
    if part := float(getattr(settings, "annotated", 0.0)):  # of DenoiSeg, whose targets are below 0 where unknown
        sampler.favour([s.target is not None and bool(s.target.max() >= 0) for s in train_samples], part)
    return Data(sampler, validation_sampler)


def _scaled_target(sample: RawSample, scalings: Any, matching: str) -> np.ndarray | None:
    if sample.target is None:
        return None
    if not matching:
        return _scaled(scalings.target, sample.target)
    return scaled_like(scalings.preprocessing, sample.target, sample.image, matching=matching, name=sample.name)


def _scaled(operations: Sequence[Operation], sample: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = apply_operations(operations, sample[np.newaxis], axes.network_axes(sample.ndim - 1))[0]
    return scaled


def resumed_like(first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]]) -> bool:
    """Whether two data lists (data.json) name the same files with the same content."""
    return [(r["file"], r["sha256"]) for r in first] == [(r["file"], r["sha256"]) for r in second]
