"""The theoretical PSF against closed formulas and against the Debye integral solved by another route."""

import numpy as np
import pytest
from scipy import integrate, special

from zooferry.errors import ZooferryError
from zooferry.optics import Optics, point_spread_function, psf_planes


def first_minimum(profile):
    """Index of the first local minimum, refined by a parabola."""
    i = next(i for i in range(1, len(profile) - 1) if profile[i - 1] > profile[i] <= profile[i + 1])
    left, middle, right = profile[i - 1 : i + 2]
    return i + 0.5 * (left - right) / (left - 2 * middle + right)


@pytest.mark.parametrize(
    ("aperture", "emission", "index", "tolerance"),
    [
        (0.3, 0.52, 1.0, 0.01),
        (0.45, 0.6, 1.0, 0.01),
        (0.75, 0.45, 1.33, 0.02),
        (1.0, 0.52, 1.515, 0.03),
        (1.3, 0.52, 1.515, 0.06),  # the paraxial 0.61 is too large for steep rays
    ],
)
def test_first_dark_ring_at_061_wavelength_over_na(aperture, emission, index, tolerance):
    optics = Optics(numerical_aperture=aperture, emission_um=emission, refractive_index=index)
    pixel = optics.airy_radius_um / 16
    psf = point_spread_function(optics, (129, 129), pixel_size=(pixel, pixel))
    assert optics.airy_radius_um == pytest.approx(0.61 * emission / aperture)
    for profile in (psf[64, 64:], psf[64:, 64]):
        assert first_minimum(profile) * pixel == pytest.approx(optics.airy_radius_um, rel=tolerance)


def test_airy_pattern():
    """Born & Wolf 8.5.2: (2 J1(v) / v)^2 with v = 2 pi r NA / wavelength, at a low aperture."""
    optics = Optics(numerical_aperture=0.3, emission_um=0.5, refractive_index=1.0)
    psf = point_spread_function(optics, (121, 121), pixel_size=(0.05, 0.05))
    y, x = (np.mgrid[:121, :121] - 60) * 0.05
    v = np.maximum(2 * np.pi * np.hypot(y, x) * 0.3 / 0.5, 1e-9)
    np.testing.assert_allclose(psf / psf.max(), (2 * special.j1(v) / v) ** 2, atol=0.006)


@pytest.mark.parametrize(("aperture", "index"), [(0.3, 1.0), (0.4, 1.33), (0.5, 1.515)])
def test_first_dark_point_on_the_axis_at_2_n_wavelength_over_na_squared(aperture, index):
    optics = Optics(numerical_aperture=aperture, refractive_index=index)
    zero = 2 * index * optics.emission_um / aperture**2  # Born & Wolf 8.8.2, u = 4 pi
    depths = np.linspace(0, 1.5 * zero, 91)
    axial = psf_planes(optics, (101, 101), pixel_size=(0.05, 0.05), depths_um=depths)[:, 50, 50]
    assert first_minimum(axial) * depths[1] == pytest.approx(zero, rel=0.05)


def debye(optics, r, z):
    """Intensity by the scalar Debye integral over the angle of the rays, aplanatic (Richards & Wolf 1959)."""
    k = 2 * np.pi * optics.refractive_index / optics.emission_um
    steepest = np.arcsin(optics.numerical_aperture / optics.refractive_index)

    def ray(angle):
        wave = np.exp(1j * k * z * np.cos(angle)) * special.j0(k * r * np.sin(angle))
        return np.sqrt(np.cos(angle)) * np.sin(angle) * wave

    return abs(integrate.quad(ray, 0, steepest, complex_func=True)[0]) ** 2


@pytest.mark.parametrize(
    "optics",
    [Optics(), Optics(numerical_aperture=0.8, refractive_index=1.0), Optics(numerical_aperture=1.4, emission_um=0.6)],
)
def test_against_the_debye_integral(optics):
    depths = (0.0, 0.3, 0.8, -0.8)
    planes = psf_planes(optics, (121, 121), pixel_size=(0.02, 0.02), depths_um=depths)
    for plane, z in zip(planes, depths, strict=True):
        for step in (0, 3, 8, 15, 25):
            expected = debye(optics, 0.02 * step, z) / debye(optics, 0, 0)
            assert plane[60, 60 + step] / planes[0].max() == pytest.approx(expected, abs=0.01)
            assert plane[60 - step, 60] == pytest.approx(plane[60, 60 + step], abs=1e-9)


def test_volume_is_centred_symmetric_and_normalised():
    psf = point_spread_function(Optics(), (9, 31, 31), pixel_size=(0.3, 0.1, 0.1))
    assert psf.shape == (9, 31, 31)
    assert psf.sum() == pytest.approx(1)
    assert psf.min() >= 0
    assert np.unravel_index(psf.argmax(), psf.shape) == (4, 15, 15)
    for mirrored in (psf[::-1], psf[:, ::-1], psf[:, :, ::-1], psf.transpose(0, 2, 1)):
        np.testing.assert_allclose(mirrored, psf, atol=1e-12)


def test_two_dimensions_are_the_focal_plane_of_three():
    volume = point_spread_function(Optics(), (5, 33, 33), pixel_size=(0.3, 0.1, 0.1))
    plane = point_spread_function(Optics(), (33, 33), pixel_size=(0.1, 0.1))
    np.testing.assert_allclose(volume[2] / volume[2].sum(), plane, rtol=1e-10)


def test_a_camera_pixel_adds_the_light_of_smaller_ones():
    coarse = point_spread_function(Optics(), (21, 21), pixel_size=(0.1, 0.1))
    fine = point_spread_function(Optics(), (63, 63), pixel_size=(0.1 / 3, 0.1 / 3))
    np.testing.assert_allclose(fine.reshape(21, 3, 21, 3).sum(axis=(1, 3)), coarse, atol=2e-4)


def test_widefield_keeps_the_light_of_every_plane_and_confocal_does_not():
    depths = (0.0, 0.5, 1.0)
    wide = psf_planes(Optics(), (101, 101), pixel_size=(0.05, 0.05), depths_um=depths).sum(axis=(1, 2))
    assert np.all(wide > 0.9)
    confocal = psf_planes(Optics("confocal"), (101, 101), pixel_size=(0.05, 0.05), depths_um=depths).sum(axis=(1, 2))
    assert confocal[0] > 2 * confocal[1] > 4 * confocal[2] > 0


def test_a_small_pinhole_sharpens():
    wide, open_pinhole, small_pinhole = (
        point_spread_function(optics, (41, 41), pixel_size=(0.05, 0.05)).max()
        for optics in (Optics(), Optics("confocal", pinhole_airy=3), Optics("confocal", pinhole_airy=0.5))
    )
    assert small_pinhole > open_pinhole > wide


def test_a_closed_pinhole_squares_the_pattern():
    """Wilson 1990: with a point pinhole the PSF is illumination times detection."""
    light = {"emission_um": 0.5, "excitation_um": 0.5}
    wide = psf_planes(Optics(**light), (31, 31), pixel_size=(0.02, 0.02), depths_um=(0.0,))[0]
    confocal = psf_planes(
        Optics("confocal", pinhole_airy=0.01, **light), (31, 31), pixel_size=(0.02, 0.02), depths_um=(0.0,)
    )[0]
    np.testing.assert_allclose(confocal / confocal.max(), (wide / wide.max()) ** 2, atol=0.01)


def test_aberrations_enter_through_the_pupil():
    optics, grid = Optics(), {"pixel_size": (0.1, 0.1)}
    plain = point_spread_function(optics, (31, 31), **grid)
    constant = point_spread_function(optics, (31, 31), **grid, wavefront=lambda radius, _: 0 * radius + 1.3)
    np.testing.assert_allclose(constant, plain, atol=1e-12)
    waves = 2 * np.pi * 0.3 * optics.numerical_aperture / optics.emission_um  # a tilt worth 0.3 um = 3 pixels
    tilted = point_spread_function(
        optics, (31, 31), **grid, wavefront=lambda radius, angle: waves * radius * np.cos(angle)
    )
    assert np.unravel_index(tilted.argmax(), tilted.shape) == (15, 12)
    astigmatic = point_spread_function(
        optics, (31, 31), **grid, wavefront=lambda radius, angle: 2 * radius**2 * np.cos(2 * angle)
    )
    assert astigmatic.max() < 0.8 * plain.max()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"modality": "sted"}, "modality is 'sted': allowed are widefield, confocal"),
        ({"numerical_aperture": 1.6}, "1.6 is not below refractive_index 1.515"),
        ({"numerical_aperture": 0}, "numerical_aperture is 0"),
        ({"emission_um": float("nan")}, "emission_um is nan"),
        ({"pinhole_airy": -1}, "pinhole_airy is -1"),
    ],
)
def test_impossible_optics_are_refused(fields, words):
    with pytest.raises(ZooferryError, match=words):
        Optics(**fields)


@pytest.mark.parametrize(
    ("shape", "pixel_size"), [((9,), (0.1,)), ((9, 9), (0.3, 0.1, 0.1)), ((9, 0), (0.1, 0.1)), ((9, 9), (0.1, 0))]
)
def test_impossible_grids_are_refused(shape, pixel_size):
    with pytest.raises(ZooferryError, match="one value per axis"):
        point_spread_function(Optics(), shape, pixel_size=pixel_size)


# psfmodels 0.3.3 (MicroscPSF's scalar Gibson & Lanni model, all indices equal), at x = 0, 2, 4, 6, 8, 12 pixels of
# 0.05 um in planes 0, 0.4, 0.8 um from the focus, in parts of the maximum:
#   make_psf([0, .4, .8], nx=33, model="scalar", dxy=.05, NA=.., wvl=.., ns=n, ni=n, ni0=n, ng=n, ng0=n)
#   confocal_psf([0, .4, .8], nx=33, pinhole_au=1, dxy=.05, NA=1.3, ex_wvl=.488, em_wvl=.52, the same indices, scalar)
# Its pupil is evenly lit, ours as an objective that obeys the sine condition: ours is a little narrower.
PSFMODELS = [
    (Optics(numerical_aperture=1.3, emission_um=0.52, refractive_index=1.515),
     [[1.0, 0.528, 0.0384, 0.014, 0.005, 0.0015], [0.3209, 0.1911, 0.0837, 0.0587, 0.0176, 0.0045],
      [0.019, 0.025, 0.0348, 0.0285, 0.03, 0.0145]]),
    (Optics(numerical_aperture=0.8, emission_um=0.6, refractive_index=1.0),
     [[1.0, 0.8378, 0.4752, 0.1566, 0.0154, 0.0172], [0.7912, 0.6643, 0.3835, 0.1422, 0.0391, 0.0294],
      [0.3633, 0.3086, 0.1934, 0.1059, 0.0765, 0.0489]]),
    (Optics(numerical_aperture=1.0, emission_um=0.52, refractive_index=1.33),
     [[1.0, 0.6892, 0.1876, 0.004, 0.0156, 0.0005], [0.6636, 0.4624, 0.1506, 0.0463, 0.04, 0.005],
      [0.1466, 0.1119, 0.0789, 0.0832, 0.0601, 0.0206]]),
    (Optics("confocal", 1.3, 0.52, 0.488, 1.515, 1.0),
     [[1.0, 0.455, 0.0119, 0.0031, 0.0, 0.0], [0.1391, 0.0771, 0.0308, 0.0107, 0.0018, 0.0001],
      [0.0035, 0.0032, 0.0031, 0.0027, 0.003, 0.001]]),
]  # fmt: skip


@pytest.mark.parametrize(("optics", "expected"), PSFMODELS)
def test_against_psfmodels(optics, expected):
    planes = psf_planes(optics, (121, 121), pixel_size=(0.05, 0.05), depths_um=(0, 0.4, 0.8))
    found = planes[:, 60, [60, 62, 64, 66, 68, 72]] / planes.max()
    np.testing.assert_allclose(found, expected, atol=0.022)


# psf 2026.1.18 (C. Gohlke), aplanatic: PSF(ISOTROPIC | EMISSION, shape=(33, 33), dims=(1.6, 1.6), em_wavelen=..,
# num_aperture=.., refr_index=..).data at 0, 0.4, 0.8 um on the axis. Off the axis it is vectorial, ours scalar.
@pytest.mark.parametrize(
    ("aperture", "emission", "index", "expected"),
    [
        (1.3, 0.52, 1.515, [1, 0.3048, 0.0141]),
        (0.8, 0.6, 1.0, [1, 0.7876, 0.3543]),
        (1.0, 0.52, 1.33, [1, 0.6598, 0.1398]),
    ],
)
def test_axial_intensity_against_psf(aperture, emission, index, expected):
    optics = Optics(numerical_aperture=aperture, emission_um=emission, refractive_index=index)
    planes = psf_planes(optics, (121, 121), pixel_size=(0.05, 0.05), depths_um=(0, 0.4, 0.8))
    np.testing.assert_allclose(planes[:, 60, 60] / planes.max(), expected, atol=0.004)
