"""Maps, profiles, Fourier power, clipping, charts; each against skimage, scipy or numpy written out."""

import numpy as np
import pytest
from scipy import stats
from skimage.metrics import structural_similarity

from zooferry import charts, quality
from zooferry.metrics import affine_fit, normalize_reference, score

RNG = np.random.default_rng(0)
CLEAN = RNG.gamma(2.0, 50.0, (48, 64))
NOISY = 3 * CLEAN + RNG.normal(0, 60, CLEAN.shape)


def test_similarity_map_is_that_of_skimage():
    target = normalize_reference(CLEAN)
    mean, expected = structural_similarity(target, affine_fit(NOISY, target)[0], data_range=1.0, full=True)
    found = quality.similarity_map(NOISY, CLEAN)
    np.testing.assert_allclose(found, expected)
    assert mean == pytest.approx(found[3:-3, 3:-3].mean())  # skimage's mean leaves out the rim
    assert score(NOISY, CLEAN).ssim == pytest.approx(mean)


def test_similarity_map_of_a_volume_is_slice_by_slice():
    volume, noisy = np.stack([CLEAN, 2 * CLEAN]), np.stack([NOISY, NOISY])
    found = quality.similarity_map(noisy, volume)
    assert found.shape == volume.shape
    np.testing.assert_array_equal(quality.similarity_map(noisy, volume, only=1), found[1])
    assert found[:, 3:-3, 3:-3].mean() == pytest.approx(score(noisy, volume).ssim)


def test_radial_power_by_the_formula():
    """Every ring written out: distance from the origin times the shorter side, rounded."""
    image = CLEAN[:20, :30]
    window = np.outer(np.hanning(20), np.hanning(30))
    values = (image - image.mean()) * window / np.sqrt((window**2).mean())
    spectrum = np.abs(np.fft.fft2(values)) ** 2 / 600
    rings = {}
    for v in range(20):
        for u in range(30):
            fv, fu = (v - 20 if v >= 10 else v) / 20, (u - 30 if u >= 15 else u) / 30
            rings.setdefault(round(np.hypot(fv, fu) * 20), []).append(spectrum[v, u])
    frequency, power = quality.radial_power(image)
    np.testing.assert_allclose(frequency, np.arange(1, 11) / 20)
    np.testing.assert_allclose(power, [np.mean(rings[k]) for k in range(1, 11)])


def test_white_noise_has_its_variance_at_every_frequency():
    noise = np.random.default_rng(1).normal(5, 3, (4, 128, 128))
    _, power = quality.radial_power(noise)  # the first rings have few pixels
    np.testing.assert_allclose(power[20:], 9, rtol=0.2)
    assert power[20:].mean() == pytest.approx(9, rel=0.05)


def test_a_wave_has_its_power_at_its_frequency():
    x = np.arange(128)
    frequency, power = quality.radial_power(np.tile(np.sin(2 * np.pi * x / 8), (128, 1)))
    assert frequency[np.argmax(power)] == pytest.approx(1 / 8)


def test_structured_row():
    plane = np.ones((20, 30))
    plane[7, ::3] = 9
    assert quality.structured_row(plane) == 7


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0] * 20 + list(range(1, 21)), ["50 % of the clean image is at its minimum (0)"]),
        (list(range(1, 21)) + [255] * 20, ["50 % of the clean image is at its maximum (255)"]),
        (range(100), []),
    ],
)
def test_clipping(values, expected):
    found = quality.clipping({"clean image": np.array(values)})
    assert [sentence.partition(":")[0] for sentence in found] == expected


def test_rank_correlation_is_that_of_scipy():
    assert quality.rank_correlation(CLEAN, NOISY) == pytest.approx(stats.spearmanr(CLEAN.ravel(), NOISY.ravel())[0])
    assert quality.rank_correlation(CLEAN, np.ones(CLEAN.shape)) is None


# ---- charts


def test_curves_fill_the_field():
    chart = charts.chart("t", np.array([2.0, 4.0]), {"raw": np.array([0.0, 10.0])}, labels=("x", "y"))
    points = [tuple(map(float, p.split(","))) for p in chart.curves[0].points.split()]
    assert points[0][0] == 0
    assert points[1][0] == charts.WIDTH
    assert points[0][1] > points[1][1]  # up is towards 0 in SVG
    assert all(0 <= y <= charts.HEIGHT for _, y in points)
    assert [tick.label for tick in chart.y_ticks] == ["0", "2", "4", "6", "8", "10"]


def test_logarithms_of_nothing_are_drawn_at_the_lowest_value():
    chart = charts.chart("t", np.arange(3.0), {"a": np.array([0.0, 1.0, 1000.0])}, labels=("x", "y"), log=True)
    heights = [float(p.split(",")[1]) for p in chart.curves[0].points.split()]
    assert heights[0] == heights[1] > heights[2]
    assert [tick.label for tick in chart.y_ticks] == ["10^0", "10^1", "10^2", "10^3"]


@pytest.mark.parametrize("values", [np.zeros(3), np.full(3, 7.0), np.array([-1e-9, 0, 1e-9])])
def test_flat_and_tiny_curves(values):
    chart = charts.chart("t", np.arange(3.0), {"a": values, "b": values}, labels=("x", "y"))
    assert "nan" not in chart.curves[0].points
    assert chart.curves[0].colour != chart.curves[1].colour
