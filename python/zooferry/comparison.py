"""Two arrays -> one verdict, used by tests, commands, hosts and reports alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Doubles = NDArray[np.float64]
RTOL = 1e-4
ATOL = 1e-4


@dataclass(frozen=True)
class Comparison:
    """How far an array is from the expected one, with the worst place.

    Attributes
    ----------
    name : str
        What was compared, e.g. the output's id.
    shape : tuple of int
        Shape of the actual array.
    size : int
        Number of values compared; 0 if the shapes differ.
    mismatched : int
        Values with ``|actual - expected| > atol + rtol * |expected|``, or not finite.
    mismatched_ppm : float
        The same in parts per million of all values.
    max_abs, max_rel : float
        Largest ``|d|`` and largest ``|d| / max(|expected|, atol)`` over the finite values; NaN if there are none.
    at : tuple of int
        Index of the worst place: the first non-finite value, else the largest ``|d| - (atol + rtol * |expected|)``;
        if everything agrees, the largest ``|d|`` as a part of what is allowed.
    expected, actual : float
        The two values there.
    passed : bool
        Whether the arrays agree.
    reason : str
        Why not, in words; empty if passed.
    axes : tuple of str
        Names for the indices of `at`; may be empty.
    rtol, atol : float
        What was allowed.
    words : str
        What was found, of labels; the sentence then says this.
    """

    name: str
    shape: tuple[int, ...]
    size: int
    mismatched: int
    mismatched_ppm: float
    max_abs: float
    max_rel: float
    at: tuple[int, ...]
    expected: float
    actual: float
    passed: bool
    reason: str
    axes: tuple[str, ...] = ()
    rtol: float = RTOL
    atol: float = ATOL
    words: str = ""

    def to_json(self) -> dict[str, Any]:
        """The entry of ``report.json``; a number that does not exist or is not finite is None."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "mismatched_ppm": self.mismatched_ppm,
            "max_abs": _finite_or_none(self.max_abs),
            "max_rel": _finite_or_none(self.max_rel),
            "at": list(self.at),
            "expected": _finite_or_none(self.expected),
            "actual": _finite_or_none(self.actual),
            **({"objects": self.words} if self.words else {}),
        }

    @property
    def place(self) -> str:
        """The worst place in words, e.g. ``"y 17, x 255"``; axes of length 1 are left out."""
        names = self.axes if len(self.axes) == len(self.at) else tuple(f"axis {i}" for i in range(len(self.at)))
        long_axes = [f"{n} {i}" for n, i, length in zip(names, self.at, self.shape, strict=True) if length > 1]
        return ", ".join(long_axes) or "the only value"

    def sentence(self) -> str:
        """One line for people: how many values agree and where the worst is."""
        if self.words:
            return self.words
        if not self.size or math.isnan(self.max_abs):
            return self.reason
        good = self.size - self.mismatched
        if self.max_abs == 0 and self.passed:
            return f"all {spaced(self.size)} values are equal"
        worst = f"worst {short_number(abs(self.actual - self.expected))} at {self.place}"
        if not math.isfinite(self.actual) or not math.isfinite(self.expected):
            worst = f"got {self.actual}, expected {self.expected} at {self.place}"
        elif self.mismatched:
            worst += f" (expected {self.expected:.6g}, got {self.actual:.6g})"
        return f"{spaced(good)} of {spaced(self.size)} values within {self._allowed()}, {worst}"

    def _allowed(self) -> str:
        if self.max_abs <= self.atol:
            return short_number(self.atol)
        return f"{short_number(self.atol)} + {short_number(self.rtol)} x |expected|"


def compare(
    actual: ArrayLike,
    expected: ArrayLike,
    *,
    name: str,
    rtol: float = RTOL,
    atol: float = ATOL,
    allowed_ppm: float = 0.0,
    axes: Sequence[str] = (),
) -> Comparison:
    """Compare `actual` with `expected`, value by value, in float64.

    Parameters
    ----------
    actual, expected : array
        Any axes and any real dtype. Neither is changed.
    name : str
        What is compared; repeated in the verdict.
    rtol, atol : float
        A value agrees if ``|actual - expected| <= atol + rtol * |expected|``.
    allowed_ppm : float
        Parts per million of the values that may disagree. Non-finite values are never allowed.
    axes : sequence of str
        Names of the axes, only for the sentence.

    Returns
    -------
    Comparison
        Different shapes, no values, values that are not numbers or not finite are failures told in
        words, never exceptions.
    """
    a, e = np.asarray(actual), np.asarray(expected)
    unusable = _why_not_comparable(a, e)
    if unusable:
        return _not_comparable(name, a, unusable)
    a64, e64 = a.astype(np.float64), e.astype(np.float64)
    excess = _excess(a64, e64, rtol, atol)
    mismatched = int(np.count_nonzero(excess > 0))
    ppm = mismatched / a.size * 1e6
    reason = _why_not_finite(a64, e64, name)
    if not reason and ppm > allowed_ppm:
        count = f"{spaced(mismatched)} of {spaced(a.size)} values of {name!r}"
        reason = f"{count} disagree" + (f" (allowed are {allowed_ppm:g} ppm)" if allowed_ppm else "")
    with np.errstate(invalid="ignore"):
        worst = _worst(excess, np.abs(a64 - e64))
    max_abs, max_rel = _largest_differences(a64, e64, atol)
    at = tuple(int(i) for i in np.unravel_index(worst, a.shape))
    values = (max_abs, max_rel, at, float(e64.flat[worst]), float(a64.flat[worst]))
    verdict = Comparison(name, a.shape, a.size, mismatched, ppm, *values, passed=not reason, reason=reason)
    return replace(verdict, axes=tuple(axes), rtol=rtol, atol=atol)


def short_number(value: float) -> str:
    """A tolerance or an error as people write it, two digits: ``3e-6``, not ``3e-06``; ``0.25``, ``12``."""
    if value == 0 or not math.isfinite(value) or 0.01 <= abs(value) < 1000:
        return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def spaced(count: int) -> str:
    """A count with its thousands apart: ``65 536``."""
    return f"{count:,}".replace(",", " ")


def _why_not_comparable(actual: NDArray[Any], expected: NDArray[Any]) -> str:
    for what, array in (("actual", actual), ("expected", expected)):
        if array.dtype.kind not in "biuf":
            return f"the {what} values are {array.dtype}, expected real numbers"
    if actual.shape != expected.shape:
        return f"shape is {_by(actual.shape)}, expected {_by(expected.shape)}"
    if actual.size == 0:
        return f"there is nothing to compare: shape {_by(actual.shape)}"
    return ""


def _not_comparable(name: str, actual: NDArray[Any], reason: str) -> Comparison:
    nan = math.nan
    return Comparison(
        name=name,
        shape=actual.shape,
        size=0,
        mismatched=actual.size,
        mismatched_ppm=1e6,
        max_abs=nan,
        max_rel=nan,
        at=(),
        expected=nan,
        actual=nan,
        passed=False,
        reason=f"{name!r}: {reason}",
    )


def _why_not_finite(actual: Doubles, expected: Doubles, name: str) -> str:
    for what, array in (("", actual), ("expected ", expected)):
        count = array.size - int(np.count_nonzero(np.isfinite(array)))
        if count:
            return f"{spaced(count)} of {spaced(array.size)} {what}values of {name!r} are NaN or infinite"
    return ""


def _excess(actual: Doubles, expected: Doubles, rtol: float, atol: float) -> Doubles:
    """``|d| - (atol + rtol * |expected|)``, and infinity where a value is not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        excess = np.asarray(np.abs(actual - expected) - (atol + rtol * np.abs(expected)))
    excess[~(np.isfinite(actual) & np.isfinite(expected))] = np.inf
    return excess


def _worst(excess: Doubles, difference: Doubles) -> int:
    """Flat index of the worst value; among values that agree the excess would only point at the smallest one."""
    if excess.max() > 0:
        return int(np.argmax(excess))
    allowed = difference - excess
    return int(np.argmax(np.divide(difference, allowed, out=np.zeros_like(excess), where=allowed > 0)))


def _largest_differences(actual: Doubles, expected: Doubles, atol: float) -> tuple[float, float]:
    finite = np.isfinite(actual) & np.isfinite(expected)
    if not finite.any():
        return math.nan, math.nan
    difference = np.abs(actual[finite] - expected[finite])
    floor = np.maximum(np.abs(expected[finite]), atol or np.finfo(np.float64).tiny)
    return float(difference.max()), float((difference / floor).max())


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape) or "a single number"
