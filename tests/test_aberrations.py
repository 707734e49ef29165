"""Zernike modes against another program, their scale, and what they do to an image of a point."""

import numpy as np
import pytest

from zooferry.aberrations import MODES, wavefront, zernike
from zooferry.errors import ZooferryError
from zooferry.optics import Optics, point_spread_function

# aotools 1.0.8: zernike_noll(j, 65) at pixels [32, 48], [48, 32] and [44, 40], which lie (0, 16), (16, 0) and (12, 8)
# pixels along (y, x) from the centre of a pupil of radius 32.5; j = 4 ... 15 in the order of MODES
AOTOOLS = [
    [-0.8925, -0.8925, -1.0499], [0.0, 0.0, 0.4453], [0.5937, -0.5937, -0.1855], [0.0, -1.7725, -1.4717],
    [-1.7725, 0.0, -0.9811], [0.0, -0.3375, 0.0475], [0.3375, 0.0, -0.2426], [-0.2275, -0.2275, 0.1143],
    [-1.5563, 1.5563, 0.5299], [0.0, 0.0, -1.2717], [0.1858, 0.1858, -0.0863], [0.0, 0.0, -0.0871],
]  # fmt: skip


@pytest.mark.parametrize(("name", "expected"), list(zip(MODES, AOTOOLS, strict=True)))
def test_against_aotools(name, expected):
    y, x = np.array([0, 16, 12]) / 32.5, np.array([16, 0, 8]) / 32.5
    np.testing.assert_allclose(zernike(name, np.hypot(y, x), np.arctan2(y, x)), expected, atol=1e-4)


def test_modes_are_orthogonal_with_a_root_mean_square_of_1():
    y, x = np.mgrid[-1:1:801j, -1:1:801j]
    inside = np.hypot(y, x) <= 1
    modes = np.array([zernike(name, np.hypot(y, x), np.arctan2(y, x))[inside] for name in MODES])
    np.testing.assert_allclose(modes @ modes.T / inside.sum(), np.eye(len(MODES)), atol=0.02)
    np.testing.assert_allclose(modes.mean(axis=1), 0, atol=0.01)


@pytest.mark.parametrize("name", MODES)
def test_a_weak_aberration_lowers_the_peak_as_marechal_says(name):
    """Born & Wolf 9.1.3: Strehl ratio near 1 - (root mean square phase)^2, at a low aperture."""
    optics, grid = Optics(numerical_aperture=0.3, refractive_index=1.0), {"pixel_size": (0.1, 0.1)}
    plain = point_spread_function(optics, (61, 61), **grid)
    bent = point_spread_function(optics, (61, 61), **grid, wavefront=wavefront({name: 0.3}))
    assert bent[30, 30] / plain[30, 30] == pytest.approx(1 - 0.3**2, abs=0.03)


def test_names_and_signs_by_their_pictures():
    optics, grid = Optics(numerical_aperture=0.8, refractive_index=1.0), {"pixel_size": (0.1, 0.1)}

    def spread(**coefficients):
        psf = point_spread_function(optics, (41, 41), **grid, wavefront=wavefront(coefficients))
        y, x = np.mgrid[:41, :41] - 20
        return {"yx": (psf * y * x).sum(), "y3": (psf * y**3).sum(), "x3": (psf * x**3).sum()}

    assert abs(spread(vertical_coma=1)["y3"]) > 20 * abs(spread(vertical_coma=1)["x3"])
    assert abs(spread(horizontal_coma=1)["x3"]) > 20 * abs(spread(horizontal_coma=1)["y3"])
    assert spread(vertical_coma=1)["y3"] * spread(vertical_coma=-1)["y3"] < 0
    with_focus = spread(oblique_astigmatism=1, defocus=1)["yx"]
    assert abs(with_focus) > 100 * abs(spread(vertical_astigmatism=1, defocus=1)["yx"])


def test_unknown_modes_are_refused():
    with pytest.raises(ZooferryError, match="unknown aberration tilt; allowed: defocus, oblique_astigmatism"):
        wavefront({"tilt": 1.0})
