"""The classical filters on a folder of pairs, for the table of ``zooferry evaluate --baselines``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from zooferry import axes
from zooferry.degradation import gaussian_blur
from zooferry.degrading import Degradation, pixel_size_um, psf_kernel, read_degradation
from zooferry.errors import ZooferryError
from zooferry.methods.classical import FILTERS, Filter, best_strength, deconvolutions
from zooferry.pairs import Pair, read_pairs

if TYPE_CHECKING:
    from zooferry.report import EvaluationReport

Say = Callable[[str], None]
TUNING_SIDE = {2: 256, 3: 96}  # pixels along y and x of the parts of images on which strengths are chosen
TUNING_DEPTH, TUNING_IMAGES = 16, 6


@dataclass(frozen=True, eq=False)
class Baseline:
    """A tuned filter on every image.

    Attributes
    ----------
    filter : Filter
    strength : float
    seconds : float
        Wall time per image.
    results : list of DataArray
        In the order of the images, float32.
    """

    filter: Filter
    strength: float
    seconds: float
    results: list[xr.DataArray]

    @property
    def words(self) -> str:
        """Strength and time."""
        return f"{self.strength:g} {self.filter.unit}, {self.seconds:.2g} s per image"


def run_baselines(
    pairs: Sequence[Pair], *, tuning: Sequence[Pair], psf: Mapping[str, Any] | None, say: Say
) -> list[Baseline]:
    """Tune every filter and apply it to every image.

    Parameters
    ----------
    pairs : sequence of Pair
        What is scored.
    tuning : sequence of Pair
        On which the strengths are chosen; the same pairs give the filters every advantage.
    psf : mapping, optional
        As in `zooferry.degrading.read_degradation`; adds the deconvolutions.
    say : callable
        Gets a line per filter.

    Raises
    ------
    ZooferryError
        The PSF is wrong, or the images carry no pixel size for it.
    """
    parts = [part for pair in tuning[:TUNING_IMAGES] for part in _tuning_part(pair)]
    filters = FILTERS
    if psf:
        filters += deconvolutions(_kernel(pairs[0].raw, read_degradation({"psf": psf})))
    found = []
    for chosen in filters:
        strength = best_strength(chosen, parts)
        started = time.monotonic()
        results = [filtered(pair.raw, chosen, strength) for pair in pairs]
        found.append(Baseline(chosen, strength, (time.monotonic() - started) / len(pairs), results))
        say(f"{chosen.name}: {found[-1].words}")
    return found


def filtered(image: xr.DataArray, chosen: Filter, strength: float) -> xr.DataArray:
    """Filter every channel and time point of an image by itself, stacks as volumes."""
    spatial = [a for a in image.dims if a in ("z", "y", "x")]
    result: xr.DataArray = xr.apply_ufunc(
        lambda a: chosen.apply(a.astype(np.float32), strength),
        image,
        input_core_dims=[spatial],
        output_core_dims=[spatial],
        vectorize=True,
    ).transpose(*image.dims)
    result.attrs.update(image.attrs)
    return result


def _tuning_part(pair: Pair) -> list[tuple[np.ndarray, np.ndarray]]:
    """The middle of the first time point and channel; nothing where the clean image is flat there."""
    first = {a: 0 for a in pair.noisy.dims if a in ("t", "c")}
    noisy, clean = (np.asarray(image.isel(first).values) for image in (pair.raw, pair.clean))
    side = TUNING_SIDE[noisy.ndim]
    limits = (TUNING_DEPTH, side, side)[-noisy.ndim :]
    starts = [max(0, (n - limit) // 2) for n, limit in zip(noisy.shape, limits, strict=True)]
    window = tuple(slice(s, s + limit) for s, limit in zip(starts, limits, strict=True))
    low, high = np.percentile(clean[window], (0.1, 99.9))
    return [(noisy[window], clean[window])] if high > low else []


def _kernel(image: xr.DataArray, degradation: Degradation) -> np.ndarray:
    """The PSF on an image's grid; of a Gaussian, to four standard deviations."""
    dims = 3 if "z" in image.dims else 2
    names = axes.spatial_axes(dims)
    pixel_size = pixel_size_um(image.attrs, degradation, dims)
    sizes = [image.sizes[a] for a in names]
    kernel = psf_kernel(degradation, sizes, pixel_size=pixel_size, coefficients={})
    if kernel is not None:
        return kernel
    widths = {a: (degradation.sigma_um or {}).get(a, 0.0) for a in names}
    reach = [int(np.ceil(4 * widths[a] / p)) for a, p in zip(names, pixel_size, strict=True)]
    point = np.zeros([2 * r + 1 for r in reach])
    point[tuple(reach)] = 1.0
    return gaussian_blur(point, widths, pixel_size=dict(zip(names, pixel_size, strict=True)))


def with_few_pictures(report: EvaluationReport, names: Sequence[str]) -> EvaluationReport:
    """The report with pictures of the raw images, the best baseline and what is no baseline; all scores stay."""
    best = min(names, key=lambda name: report.mean(name, "nrmse"))
    left_out = set(names) - {best}
    images = [
        replace(image, candidates={n: a for n, a in image.candidates.items() if n not in left_out})
        for image in report.images
    ]
    return replace(report, images=tuple(images))


def verdict(report: EvaluationReport, names: Sequence[str], candidate: str = "restored") -> str:
    """One sentence: was the network worth it?"""
    best = min(names, key=lambda name: report.mean(name, "nrmse"))
    gain = 1 - report.mean(candidate, "nrmse") / report.mean(best, "nrmse")
    wins = sum(i.scores[candidate].nrmse < min(i.scores[n].nrmse for n in names) for i in report.images)
    words = f"{gain:.1%} lower" if gain >= 0 else f"{-gain:.1%} higher"
    return (
        f"{candidate}: mean NRMSE {words} than the best classical filter ({best}); better than every filter on {wins} "
        f"of {len(report.images)} images"
    )


@dataclass(frozen=True)
class BaselineChoice:
    """What the user asked for.

    Attributes
    ----------
    tune_images, tune_targets : Path, optional
        Pairs on which strengths are chosen; by default the scored ones.
    psf : mapping, optional
        For the deconvolutions.
    """

    tune_images: Path | None = None
    tune_targets: Path | None = None
    psf: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if (self.tune_images is None) != (self.tune_targets is None):
            raise ZooferryError("--tune-images and --tune-targets go together; give both folders, or neither")


@dataclass(frozen=True, eq=False)
class BaselineResults:
    """Baselines ready for a table: their restorations by name, and lines for the page's head."""

    candidates: Mapping[str, Sequence[xr.DataArray]]
    about: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the filters."""
        return tuple(self.candidates)


def baselines_for(pairs: Sequence[Pair], choice: BaselineChoice, *, say: Say) -> BaselineResults:
    """Run what was asked for on the pairs that are scored; see `run_baselines`."""
    own = choice.tune_images is None or choice.tune_targets is None
    tuning = pairs if own else read_pairs(choice.tune_images, choice.tune_targets)  # type: ignore[arg-type]
    found = run_baselines(pairs, tuning=tuning, psf=choice.psf, say=say)
    where = "these very images" if own else str(choice.tune_images)
    about = {"Gaussian filter": found[0].words, "strengths": f"each the best on {where}"}
    about |= {b.filter.name: b.words for b in found[1:]}
    return BaselineResults({b.filter.name: b.results for b in found}, about)
