"""Image formation against the statistics and the sums that theory gives."""

import numpy as np
import pytest
from scipy import ndimage, stats

from zooferry.degradation import (
    Camera,
    convolve,
    downsample,
    enlarge,
    expected_counts,
    expose,
    fitting_sizes,
    gaussian_blur,
    photons_from_counts,
    uneven_background,
)
from zooferry.errors import ZooferryError


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("gain", "offset", "efficiency", "photons", "counts"),
    [(1, 0, 1, 7, 7), (2, 100, 1, 7, 114), (2, 100, 0.5, 7, 107), (0.5, 10, 0.8, 0, 10)],
)
def test_expected_counts_by_hand(gain, offset, efficiency, photons, counts):
    camera = Camera(gain, offset, quantum_efficiency=efficiency)
    image = expected_counts(np.full((2, 3), photons), camera)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, counts)
    np.testing.assert_allclose(photons_from_counts(image, camera), photons, rtol=1e-6)


def test_dark_pixels_hold_no_photons():
    np.testing.assert_array_equal(photons_from_counts(np.array([90, 100, 102]), Camera(2, 100, 0, 1)), [0, 0, 1])


@pytest.mark.parametrize(
    ("camera", "photons"),
    [
        (Camera(), 0.0),
        (Camera(), 5.0),
        (Camera(gain=0.7, read_noise=0), 50.0),
        (Camera(gain=5, offset=300, read_noise=4, quantum_efficiency=0.6), 200.0),
    ],
)
def test_mean_and_variance_of_an_exposure(camera, photons):
    """Photon transfer (EMVA 1288, equation 5): variance = gain^2 (QE photons + read^2) + 1/12 of rounding."""
    n = 200_000
    counts = expose(np.full(n, photons), camera, rng=rng(1)).astype(np.float64)
    electrons = camera.quantum_efficiency * photons
    variance = camera.gain**2 * (electrons + camera.read_noise**2) + 1 / 12
    assert counts.mean() == pytest.approx(camera.offset + camera.gain * electrons, abs=5 * np.sqrt(variance / n))
    assert counts.var() == pytest.approx(variance, rel=0.025)


def test_without_read_noise_the_counts_are_poisson():
    counts = expose(np.full(100_000, 6.0), Camera(1, 0, 0, 0.5), rng=rng(2))
    values = np.arange(10)
    observed = np.append(np.bincount(counts, minlength=10)[:10], (counts > 9).sum())
    expected = 100_000 * np.append(stats.poisson.pmf(values, 3), stats.poisson.sf(9, 3))
    assert stats.chisquare(observed, expected).pvalue > 1e-3


@pytest.mark.parametrize(("bits", "ceiling"), [(8, 255), (12, 4095), (16, 65535)])
def test_saturation(bits, ceiling):
    counts = expose(np.full((4, 4), 1e6), Camera(bit_depth=bits), rng=rng())
    assert counts.dtype == np.uint16
    np.testing.assert_array_equal(counts, ceiling)


def test_noise_below_the_dark_level_stops_at_zero():
    counts = expose(np.zeros(1000), Camera(offset=0, read_noise=5), rng=rng())
    assert 400 < (counts == 0).sum() < 600


def test_the_seed_decides():
    photons = rng(3).uniform(0, 20, (3, 8, 9))
    first, again, other = (expose(photons, Camera(), rng=rng(seed)) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_impossible_light_is_refused(bad):
    with pytest.raises(ZooferryError, match="only finite values of 0 or more"):
        expose(np.array([1.0, bad]), Camera(), rng=rng())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"gain": 0}, "gain is 0"),
        ({"offset": -1}, "offset is -1"),
        ({"read_noise": float("nan")}, "read_noise is nan"),
        ({"quantum_efficiency": 1.2}, "quantum_efficiency is 1.2: it must be above 0 and at most 1"),
        ({"bit_depth": 32}, "bit_depth is 32"),
    ],
)
def test_impossible_cameras_are_refused(fields, words):
    with pytest.raises(ZooferryError, match=words):
        Camera(**fields)


@pytest.mark.parametrize("kernel_shape", [(3, 3), (5, 4), (1, 7), (15, 2), (3, 4, 5)])
@pytest.mark.parametrize("length", [11, 6])
def test_convolution_against_scipy(kernel_shape, length):
    """scipy.ndimage.convolve computes the same sum pixel by pixel; its "reflect" repeats the edge pixel."""
    image = rng(1).normal(size=(length,) * len(kernel_shape))
    kernel = rng(2).normal(size=kernel_shape)
    expected = ndimage.convolve(image, kernel, mode="reflect")
    np.testing.assert_allclose(convolve(image, kernel), expected, atol=1e-10)


@pytest.mark.parametrize("shape", [(9, 9), (8, 6), (5, 7, 9)])
def test_a_point_becomes_the_kernel(shape):
    image, kernel = np.zeros((21,) * len(shape)), rng().uniform(size=shape)
    image[(10,) * len(shape)] = 1
    window = tuple(slice(10 - n // 2, 10 - n // 2 + n) for n in shape)
    np.testing.assert_allclose(convolve(image, kernel)[window], kernel, atol=1e-12)


def test_convolution_keeps_light_and_sign():
    image = rng(5).poisson(0.01, (4, 30, 30)).astype(float)
    blurred = convolve(image, np.full((3, 5, 5), 1 / 75))
    assert blurred.min() == 0
    assert blurred.mean() == pytest.approx(image.mean(), rel=0.2)
    np.testing.assert_allclose(convolve(np.full((9, 8), 3.0), np.full((5, 3), 1 / 15)), 3.0)


@pytest.mark.parametrize(("image", "kernel"), [((4, 4), (3,)), ((4, 4), (3, 3, 3)), ((4, 0), (3, 3))])
def test_convolution_refuses_unlike_axes(image, kernel):
    with pytest.raises(ZooferryError, match="the same axes, none empty"):
        convolve(np.zeros(image), np.zeros(kernel))


@pytest.mark.parametrize(
    ("sigma", "pixel_size", "expected"),
    [
        (0.3, {"y": 0.1, "x": 0.1}, (3, 3)),
        (0.3, {"z": 0.3, "y": 0.1, "x": 0.1}, (1, 3, 3)),
        ({"z": 0.6, "y": 0.2, "x": 0.1}, {"z": 0.3, "y": 0.1, "x": 0.1}, (2, 2, 1)),
    ],
)
def test_gaussian_blur_has_its_width_in_micrometres(sigma, pixel_size, expected):
    point = np.zeros((41,) * len(pixel_size))
    point[(20,) * len(pixel_size)] = 1
    blurred = gaussian_blur(point, sigma, pixel_size=pixel_size)
    for axis, width in enumerate(expected):
        profile = blurred.sum(axis=tuple(a for a in range(point.ndim) if a != axis))
        assert np.sqrt(np.sum(profile * (np.arange(41) - 20.0) ** 2)) == pytest.approx(width, rel=0.02)


@pytest.mark.parametrize(
    ("sigma", "pixel_size"), [(1, {"x": 0.1}), ({"y": 1}, {"y": 0.1, "x": 0.1}), (1, {"z": 1, "y": 1, "x": 1})]
)
def test_gaussian_blur_refuses_missing_axes(sigma, pixel_size):
    with pytest.raises(ZooferryError, match="one pixel size and one sigma for each axis"):
        gaussian_blur(np.zeros((5, 5)), sigma, pixel_size=pixel_size)


@pytest.mark.parametrize("shape", [(30, 40), (1, 30, 40), (5, 6, 7)])
@pytest.mark.parametrize(("level", "unevenness"), [(4.0, 0.0), (4.0, 0.3), (4.0, 1.0), (0.0, 0.5)])
def test_background(shape, level, unevenness):
    field = uneven_background(shape, level=level, unevenness=unevenness, rng=rng(6))
    assert field.shape == shape
    assert field.mean() == pytest.approx(level)
    assert field.min() >= 0
    assert (np.ptp(field) > 0) == (level * unevenness > 0)


@pytest.mark.parametrize(("level", "unevenness"), [(-1, 0), (1, 2), (1, -0.1), (float("nan"), 0)])
def test_impossible_backgrounds_are_refused(level, unevenness):
    with pytest.raises(ZooferryError, match="allowed are a level of 0 or more and 0 to 1"):
        uneven_background((4, 4), level=level, unevenness=unevenness, rng=rng())


def test_inputs_stay_as_they_were():
    image, kernel = rng(7).uniform(0, 9, (8, 8)), np.ones((3, 3))
    kept = image.copy()
    convolve(image, kernel)
    gaussian_blur(image, 1.0, pixel_size={"y": 1, "x": 1})
    expose(image, Camera(), rng=rng())
    expected_counts(image, Camera())
    photons_from_counts(image, Camera())
    np.testing.assert_array_equal(image, kept)
    np.testing.assert_array_equal(kernel, 1)


def test_coarser_pixels_by_hand():
    image = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(downsample(image[0, :2], (2, 2)), [[2.5, 4.5]])
    np.testing.assert_array_equal(downsample(image, (2, 1, 1)), image[1:])
    np.testing.assert_array_equal(downsample(image, (1, 3, 2)), [[[4.5, 6.5]], [[16.5, 18.5]]])


@pytest.mark.parametrize("factors", [(2, 2), (3, 1), (1, 4), (2, 1, 1), (3, 2, 2), (4, 1, 3)])
def test_enlarging_moves_nothing(factors):
    """A ramp along any axis is the same after it, away from the borders, where nothing is extrapolated."""
    shape = tuple(6 * f for f in factors)
    for axis in range(len(shape)):
        ramp = np.broadcast_to(
            np.moveaxis(np.arange(shape[axis], dtype=float)[(..., *[None] * (len(shape) - 1))], 0, axis), shape
        )
        again = enlarge(downsample(ramp, factors), factors)
        assert again.shape == shape
        inner = tuple(slice(f, -f) for f in factors)
        np.testing.assert_allclose(again[inner], ramp[inner], atol=1e-9)


def test_sizes_are_cut_to_multiples():
    assert fitting_sizes((9, 8), (2, 4)) == (slice(8), slice(8))
    with pytest.raises(ZooferryError, match=r"image of \(3, 8\) pixels is smaller than the down-sampling \(4, 1\)"):
        fitting_sizes((3, 8), (4, 1))
