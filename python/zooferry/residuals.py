"""What a restoration took away and what it added, judged from the raw image alone: a check for invented structure.

The restoration is fitted to the raw image by gain and offset; the residual is raw minus fitted. If the restoration is
right, the residual is noise and nothing else. The image is cut into windows of 16 x 16 pixels (of a volume: of its
slices) and four questions are asked of them, each with a limit that noise alone does not reach:

================  ===================================================================================================
removed           the residual's pixels are alike at distances of 2 and 3 pixels: there was structure, and it is gone
invented          raw grey values do not follow the restored ones: there is structure, strong enough to be seen in the
                  raw image, of which it knows nothing; in each window raw is regressed on restored, the slope is the
                  part that the data support
background        how much fine detail the restoration keeps or makes where the raw image is dark and holds only noise
edges             the residual is larger where there is more structure, beyond what brightness explains
================  ===================================================================================================

The limits were set on 25 real pairs (short and long exposures of actin, mitochondria and membranes): the long exposure
itself, taken for a restoration, reaches 0.0195, 0.0078, 0.35 and 0.29 in the order of the table, and no window beyond
9.2 standard errors; a Gaussian filter of 5 pixels removes 0.038 to 0.58. Of images with 40 painted spots, three times
as high as the noise, 0.018 to 0.054 of the windows are found.

A network that sharpens what is there passes; so does leftover noise but for `background`. What was invented by turning
noise into something plausible of the same contrast cannot be told from one image: only a second take can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from zooferry.metrics import affine_fit

Array = NDArray[Any]
Doubles = NDArray[np.float64]
SIDE = 16  # pixels of a window along y and x
LAGS = (2, 3)  # pixels; neighbours at distance 1 share noise in many cameras and in every resampled image
STRUCTURED = 0.15  # mean autocorrelation of a window; 10 of a million windows of white noise have more
SUPPORTED = 0.5  # slope of raw over restored below which a window's detail counts as invented ...
SIGNIFICANT = 5.0  # ... if that is so many standard errors below 1
EMPTY = 0.05  # autocorrelation of the raw image below which a dark window holds nothing but noise
DARK = 0.25  # part of the windows in which empty background is looked for
FINE = 3.0  # pixels: detail is what a Gaussian filter of this width takes away
MOST_SLICES = 32  # of a volume, evenly spaced
FEWEST_WINDOWS = 20  # for shares and correlations over windows
LIMITS = {"removed": 0.02, "invented": 0.01, "background": 0.5, "edges": 0.75}  # more than this is a finding
CERTAIN = 12.0  # standard errors: one such window is a finding, as its detail is no accident
WORDS = {
    "removed": "structure in the residual: signal was removed",
    "invented": "detail that is not in the raw image",
    "background": "detail or leftover noise in empty background",
    "edges": "a residual that grows with structure",
}


@dataclass(frozen=True)
class Window:
    """A window that was found out: what for ("removed" or "invented"), its slice and first pixel, and how badly."""

    kind: str
    z: int
    y: int
    x: int
    value: float


@dataclass(frozen=True, eq=False)
class ResidualCheck:
    """The four answers for one image.

    Attributes
    ----------
    values : mapping
        As in `LIMITS`: shares of windows (removed, invented), amplitude of fine detail in empty background over that
        of the raw image (background), rank correlation (edges). None where it cannot be told: the image is too small,
        or has no empty background.
    autocorrelation : tuple of float
        Of the whole residual at distances of 1, 2 and 3 pixels along y and x; white noise has 0.
    expected : float
        Standard deviation of these for white noise of so many pixels.
    windows : tuple of Window
        The windows found out, the worst of each kind first.
    residual : ndarray
        Raw minus fitted, grey values of the raw image, axes (Y, X) or (Z, Y, X).
    """

    values: Mapping[str, float | None]
    autocorrelation: tuple[float, float, float]
    expected: float
    windows: tuple[Window, ...]
    residual: Array = field(repr=False)

    @property
    def findings(self) -> tuple[str, ...]:
        """What is beyond its limit."""
        certain = any(w.kind == "invented" and w.value > CERTAIN for w in self.windows)
        beyond = {name for name, limit in LIMITS.items() if (self.values[name] or 0.0) > limit}
        return tuple(name for name in LIMITS if name in beyond or (name == "invented" and certain))

    def sentence(self) -> str:
        """One line for people."""
        if not self.findings:
            return "the residual is noise, and nothing was found that is not in the raw image"
        said = [f"{WORDS[name]}{self._where(name)}" for name in self.findings]
        return "; ".join(said)

    def _where(self, name: str) -> str:
        value = self.values[name] or 0.0
        worst = next((w for w in self.windows if w.kind == name), None)
        if worst is None:
            return f" ({_measure(name, value)}, limit {_measure(name, LIMITS[name])})"
        place = f"{'' if self.residual.ndim == 2 else f'z {worst.z}, '}y {worst.y}, x {worst.x}"
        share = f"{100 * value:.1f} % of the windows" if value > LIMITS[name] else "single windows"
        return f" in {share}, most at {place}"

    def to_json(self) -> dict[str, Any]:
        """The entry of ``metrics.json``."""
        return {
            **self.values,
            "limits": {**LIMITS, "standard_errors_of_one_invented_window": CERTAIN},
            "autocorrelation": list(self.autocorrelation),
            "autocorrelation_of_white_noise": self.expected,
            "verdict": self.sentence(),
            "windows": [vars(window) for window in self.windows[:20]],
        }


def check_residual(raw: Array, restored: Array) -> ResidualCheck | None:
    """Judge a restoration by the raw image.

    Parameters
    ----------
    raw, restored : ndarray
        Grey values (Y, X) or (Z, Y, X). A restoration of whole multiples of the sizes is averaged onto the raw grid.

    Returns
    -------
    ResidualCheck or None
        None where the two cannot be laid over each other, or an image is smaller than a window.
    """
    binned = onto_grid(restored, raw.shape)
    if binned is None or min(raw.shape[-2:]) < SIDE:
        return None
    fitted, _, _ = affine_fit(binned, raw)
    residual = raw.astype(np.float64) - fitted
    chosen = _slices(raw)
    stack, parts, model = (a if a.ndim == 3 else a[np.newaxis] for a in (raw.astype(np.float64), residual, fitted))
    windows = {k: _windows(a[chosen]) for k, a in (("raw", stack), ("residual", parts), ("fitted", model))}
    noise_only = _empty(windows["raw"])
    alike = _autocorrelation(windows["residual"])
    alike -= max(0.0, float(np.median(alike[noise_only]))) if np.count_nonzero(noise_only) >= FEWEST_WINDOWS else 0.0
    slope, errors = _slopes(windows["raw"], windows["fitted"])
    short = (1 - slope) / errors
    invented = (slope < SUPPORTED) & (short > SIGNIFICANT)
    found = {
        "removed": float(np.mean(alike > STRUCTURED)),
        "invented": float(np.mean(invented)),
        "background": _background(stack[chosen], model[chosen], noise_only),
        "edges": _edges(windows),
    }
    said = _found(alike, alike > STRUCTURED, "removed", chosen) + _found(short, invented, "invented", chosen)
    correlation = (_correlation(parts[chosen], 1), _correlation(parts[chosen], 2), _correlation(parts[chosen], 3))
    return ResidualCheck(found, correlation, float((2 * parts[chosen].size) ** -0.5), tuple(said), residual)


def onto_grid(restored: Array, shape: Sequence[int]) -> Array | None:
    """Average a restoration with more pixels onto the grid of the raw image; None where it does not fit."""
    if restored.ndim != len(shape) or any(r % n for r, n in zip(restored.shape, shape, strict=True)):
        return None
    split = [part for r, n in zip(restored.shape, shape, strict=True) for part in (n, r // n)]
    averaged: Array = restored.reshape(split).mean(axis=tuple(range(1, 2 * len(shape), 2)), dtype=np.float64)
    return averaged


def summary(checks: Sequence[ResidualCheck]) -> list[tuple[str, str, bool]]:
    """Over several images: question, answer in words, and whether something was found."""
    lines = []
    for name, limit in LIMITS.items():
        told = [value for check in checks if (value := check.values[name]) is not None]
        wrong = sum(name in check.findings for check in checks)
        largest = f"; worst: {_measure(name, max(told))}, limit {_measure(name, limit)}" if told else ""
        unknown = f"; {len(checks) - len(told)} cannot be judged" if len(told) < len(checks) else ""
        lines.append((WORDS[name], f"{wrong} of {len(checks)} images{largest}{unknown}", bool(wrong)))
    return lines


def _measure(name: str, value: float) -> str:
    if name in ("removed", "invented"):
        return f"{100 * value:.1f} % of the windows"
    return f"{100 * value:.0f} % of raw's detail" if name == "background" else f"correlation {value:.2f}"


def _slices(raw: Array) -> NDArray[np.intp]:
    count = raw.shape[0] if raw.ndim == 3 else 1
    return np.unique(np.linspace(0, count - 1, min(count, MOST_SLICES)).round().astype(np.intp))


def _windows(stack: Array) -> Array:
    """Z Y X -> Z, rows, columns, y, x of windows; what does not fill a window is left out."""
    rows, columns = (n // SIDE for n in stack.shape[1:])
    cut = stack[:, : rows * SIDE, : columns * SIDE]
    return cut.reshape(len(stack), rows, SIDE, columns, SIDE).transpose(0, 1, 3, 2, 4)


def _centred(windows: Array) -> Doubles:
    centred: Doubles = windows - windows.mean((-2, -1), keepdims=True)
    return centred


def _autocorrelation(windows: Array) -> Doubles:
    """Mean over `LAGS` and both axes, of each window; 0 where a window is flat."""
    values = _centred(windows)
    variance = (values**2).mean((-2, -1))
    found = np.zeros(variance.shape)
    for lag in LAGS:
        found += (values[..., lag:, :] * values[..., :-lag, :]).mean((-2, -1))
        found += (values[..., lag:] * values[..., :-lag]).mean((-2, -1))
    return found / (2 * len(LAGS)) / np.where(variance > 0, variance, np.inf)


def _correlation(stack: Array, lag: int) -> float:
    """Autocorrelation of whole planes at one distance, mean of y and x."""
    values = stack - stack.mean()
    variance = float((values**2).mean())
    along = (values[:, lag:] * values[:, :-lag]).mean() + (values[:, :, lag:] * values[:, :, :-lag]).mean()
    return float(along / 2 / variance) if variance > 0 else 0.0


def _slopes(raw: Array, fitted: Array) -> tuple[Doubles, Doubles]:
    """Slope of raw over restored grey values in each window, and its standard error; 1 and 1 where restored is flat.

    A slope below 0 becomes 0: else the faintest ripple would count, if only it is the inverted noise of the raw image.
    """
    seen, model = _centred(raw), _centred(fitted)
    power = (model**2).sum((-2, -1))
    flat = power <= 1e-12 * max(float((seen**2).sum((-2, -1)).max()), 1e-300)
    power = np.where(flat, 1.0, power)
    slope = np.maximum((seen * model).sum((-2, -1)) / power, 0.0)
    left = ((seen - slope[..., np.newaxis, np.newaxis] * model) ** 2).sum((-2, -1)) / (SIDE * SIDE - 2)
    errors = np.sqrt(np.maximum(left / power, 1e-12))
    return np.where(flat, 1.0, slope), np.where(flat, 1.0, errors)


def _empty(raw: Array) -> NDArray[np.bool_]:
    """Windows of the darker half of the raw image that cannot be told from noise."""
    level = raw.mean((-2, -1))
    return np.asarray((level <= np.quantile(level, DARK)) & (_autocorrelation(raw) < EMPTY))


def _background(raw: Array, fitted: Array, empty: NDArray[np.bool_]) -> float | None:
    if np.count_nonzero(empty) < FEWEST_WINDOWS:
        return None
    width = (0, FINE, FINE)
    amplitudes = [
        float(np.sqrt((_windows(a - ndimage.gaussian_filter(a, width))[empty] ** 2).mean())) for a in (fitted, raw)
    ]
    return amplitudes[0] / amplitudes[1] if amplitudes[1] > 0 else None


def _edges(windows: Mapping[str, Array]) -> float | None:
    """Partial rank correlation of the residual's spread with the restoration's, given the brightness."""
    spreads = [np.log(windows[k].std((-2, -1)).ravel() + 1e-12) for k in ("residual", "fitted")]
    level = windows["fitted"].mean((-2, -1)).ravel()
    if level.size < FEWEST_WINDOWS or min(np.ptp(a) for a in (*spreads, level)) == 0:
        return None
    ranks = np.stack([stats.rankdata(a) for a in (*spreads, level)])
    (ab, ac), bc = np.corrcoef(ranks)[0, 1:], np.corrcoef(ranks)[1, 2]
    rest = (1 - ac**2) * (1 - bc**2)
    return float((ab - ac * bc) / np.sqrt(rest)) if rest > 1e-12 else None


def _found(values: Doubles, which: NDArray[np.bool_], kind: str, chosen: NDArray[np.intp]) -> list[Window]:
    places = sorted(np.argwhere(which).tolist(), key=lambda place: -float(values[tuple(place)]))
    return [Window(kind, int(chosen[z]), y * SIDE, x * SIDE, float(values[z, y, x])) for z, y, x in places]
