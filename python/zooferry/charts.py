"""Curves over one axis as plain values, ready for the SVG in ``templates/parts.html``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
WIDTH, HEIGHT = 360.0, 190.0  # of the field in which curves are drawn, in units of the SVG
# colours that the colour-blind can tell apart too (Okabe and Ito), by what a curve shows
COLOURS = {"raw": "#9aa3ad", "gaussian": "#e69f00", "restored": "#0072b2", "reference": "#1d2430"}
OTHERS = ("#009e73", "#cc79a7", "#d55e00")


@dataclass(frozen=True)
class Curve:
    """A named line: `points` are pairs of SVG coordinates."""

    name: str
    colour: str
    points: str


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where in SVG coordinates, and what it says."""

    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Curves in a field of `WIDTH` x `HEIGHT`, with marks along x and y; `view` as that of a picture."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    caption: str = ""
    view: str = ""


def chart(
    title: str, x: Array, curves: Mapping[str, Array], *, labels: tuple[str, str], caption: str = "", log: bool = False
) -> Chart:
    """Scale curves into a field.

    Parameters
    ----------
    title, caption : str
        Words above and below.
    x : ndarray
        Where the values are, rising.
    curves : mapping
        Name -> one value for each of `x`.
    labels : (str, str)
        Of the two axes, with units.
    log : bool
        Show the decimal logarithm of the values; they must be above 0 somewhere.
    """
    if log:
        least = min(float(v[v > 0].min()) for v in curves.values() if (v > 0).any())
        curves = {name: np.log10(np.maximum(v, least)) for name, v in curves.items()}
    low, high = _range(np.concatenate(list(curves.values())))
    start, end = float(x[0]), float(x[-1]) if x[-1] > x[0] else float(x[0]) + 1.0
    across = (x - start) / (end - start) * WIDTH
    drawn = []
    spare = iter(OTHERS)
    for name, values in curves.items():
        up = HEIGHT - (values - low) / (high - low) * HEIGHT
        points = " ".join(f"{a:.1f},{u:.1f}" for a, u in zip(across, up, strict=True))
        drawn.append(Curve(name, COLOURS.get(name) or next(spare, OTHERS[-1]), points))
    x_ticks = tuple(Tick((v - start) / (end - start) * WIDTH, f"{v:g}") for v in _round_values(start, end))
    y_ticks = tuple(
        Tick(HEIGHT - (v - low) / (high - low) * HEIGHT, f"10^{v:g}" if log else f"{v:g}")
        for v in _round_values(low, high)
    )
    return Chart(title, labels[0], labels[1], tuple(drawn), x_ticks, y_ticks, caption)


def _range(values: Array) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin


def _round_values(low: float, high: float) -> Sequence[float]:
    """Three to seven round numbers between two limits."""
    step = 10.0 ** np.floor(np.log10((high - low) / 3))
    step *= next(factor for factor in (5, 2, 1) if (high - low) / (step * factor) >= 3)
    first = int(np.ceil(low / step))
    return [round(k * step, 12) for k in range(first, int(np.floor(high / step)) + 1)]
