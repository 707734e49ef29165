"""Aberrations of an objective as Zernike modes, by name, in radians of phase.

Modes are those of Noll, J. Opt. Soc. Am. 66:207 (1976), equations 1 and 2: orthogonal over the pupil, each with a
root mean square of 1 there, so that a coefficient is the root mean square of the phase in radians. Piston does
nothing and tilts only move the image; they are left out, as moved images are no partners of their originals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from zooferry.errors import ZooferryError
from zooferry.optics import Floats, Wavefront

MODES = {
    "defocus": (2, 0),
    "oblique_astigmatism": (2, -2),
    "vertical_astigmatism": (2, 2),
    "vertical_coma": (3, -1),
    "horizontal_coma": (3, 1),
    "vertical_trefoil": (3, -3),
    "oblique_trefoil": (3, 3),
    "spherical": (4, 0),
    "vertical_secondary_astigmatism": (4, 2),
    "oblique_secondary_astigmatism": (4, -2),
    "vertical_quadrafoil": (4, 4),
    "oblique_quadrafoil": (4, -4),
}
"""Name -> (radial order n, azimuthal order m; cosine for m > 0, sine for m < 0), in the order of Noll 4 to 15."""


def require_modes(names: Mapping[str, object]) -> None:
    """Refuse names that are no modes.

    Raises
    ------
    ZooferryError
        See above; the message lists the modes.
    """
    unknown = sorted(set(names) - set(MODES))
    if unknown:
        raise ZooferryError(f"unknown aberration {', '.join(unknown)}; allowed: {', '.join(MODES)}")


def zernike(name: str, radius: Floats, angle: Floats) -> Floats:
    """One mode.

    Parameters
    ----------
    name : str
        A key of `MODES`.
    radius : ndarray
        Pupil radius; 1 is the rim. Values outside are those of the same polynomial.
    angle : ndarray, radians
        Same shape; 0 along x, a quarter turn along y.

    Returns
    -------
    ndarray of float64, same shape
        Root mean square 1 over the unit disc.
    """
    n, m = MODES[name]
    k = abs(m)
    radial = np.zeros_like(radius, dtype=np.float64)
    for s in range((n - k) // 2 + 1):
        below = math.factorial(s) * math.factorial((n + k) // 2 - s) * math.factorial((n - k) // 2 - s)
        radial += (-1) ** s * math.factorial(n - s) / below * radius ** (n - 2 * s)
    turning = np.cos(k * angle) if m >= 0 else np.sin(k * angle)
    mode: Floats = math.sqrt((n + 1) * (2 if m else 1)) * radial * turning
    return mode


def wavefront(coefficients: Mapping[str, float]) -> Wavefront:
    """The phase of several modes together, for :func:`zooferry.optics.point_spread_function`.

    Parameters
    ----------
    coefficients : mapping
        Mode -> root mean square of its phase in radians; the sign is kept.

    Raises
    ------
    ZooferryError
        An unknown mode.
    """
    require_modes(coefficients)

    def phase(radius: Floats, angle: Floats) -> Floats:
        total = np.zeros_like(radius, dtype=np.float64)
        for name, coefficient in coefficients.items():
            total += coefficient * zernike(name, radius, angle)
        return total

    return phase
