"""Scores by hand, against scikit-image, and against the formula written out a second time."""

import numpy as np
import pytest
from skimage import data
from skimage.metrics import structural_similarity

from zooferry.errors import ZooferryError
from zooferry.metrics import RestorationScore, affine_fit, normalize_reference, score


def textured(shape, seed=0):
    return np.random.default_rng(seed).gamma(2.0, 50.0, shape)


@pytest.mark.parametrize(
    ("candidate", "reference", "gain", "offset", "fitted"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3], 1, 0, [0, 1, 2, 3]),
        ([0, 1, 2, 3], [5, 7, 9, 11], 2, 5, [5, 7, 9, 11]),
        ([3, 2, 1, 0], [0, 1, 2, 3], -1, 3, [0, 1, 2, 3]),
        ([0, 0, 1, 1], [0, 2, 4, 6], 4, 1, [1, 1, 5, 5]),  # the means 1 and 5 of the two groups
        ([7, 7, 7, 7], [0, 2, 4, 6], 0, 3, [3, 3, 3, 3]),  # a flat candidate can only be the mean
    ],
)
def test_affine_fit_by_hand(candidate, reference, gain, offset, fitted):
    result = affine_fit(np.array(candidate), np.array(reference))
    np.testing.assert_allclose(result[0], fitted, atol=1e-12)
    assert result[1:] == pytest.approx((gain, offset), abs=1e-12)


def test_affine_fit_is_the_least_squares_solution():
    candidate, reference = textured((9, 8), 1), textured((9, 8), 2)
    design = np.stack([candidate.ravel(), np.ones(72)], axis=1)
    expected = np.linalg.lstsq(design, reference.ravel(), rcond=None)[0]
    np.testing.assert_allclose(affine_fit(candidate, reference)[1:], expected, rtol=1e-10)


def test_reference_is_scaled_by_its_percentiles_and_not_clipped():
    reference = np.arange(1001.0)  # percentiles 0.1 and 99.9 are the values 1 and 999
    scaled = normalize_reference(reference)
    np.testing.assert_allclose(scaled[[0, 1, 500, 999, 1000]], [-1 / 998, 0, 0.5, 1, 999 / 998])


@pytest.mark.parametrize(("factor", "shift"), [(1, 0), (3.5, -20), (1e-3, 1e4)])
def test_a_perfect_restoration_on_any_scale(factor, shift):
    reference = textured((16, 20))
    result = score(factor * reference + shift, reference)
    assert result.nrmse < 1e-7
    assert result.psnr > 140
    assert result.ssim == pytest.approx(1, abs=1e-9)
    assert result.gain > 0


def test_an_inverted_image_shows_in_the_gain():
    reference = textured((16, 20))
    assert score(-reference, reference).gain < 0


def test_a_checkerboard_error_of_known_size():
    """An error +-a on a ramp of standard deviation s: the fit shrinks it to a s / sqrt(a^2 + s^2)."""
    y, x = np.mgrid[:32, :1000]
    reference = x / 999.0
    pixel_range = np.subtract(*np.percentile(reference, (99.9, 0.1)))
    result = score(reference + 0.1 * pixel_range * (-1.0) ** (x + y), reference)
    deviation = np.std(reference) / pixel_range
    assert result.nrmse == pytest.approx(0.1 * deviation / np.hypot(0.1, deviation), rel=1e-4)
    assert result.psnr == pytest.approx(-20 * np.log10(result.nrmse))


@pytest.mark.parametrize("shape", [(24, 31), (3, 24, 31)])
def test_against_the_formula_written_out(shape):
    """The definition once more: population moments, percentiles of this image, SSIM averaged over slices."""
    reference = textured(shape, 3).astype(np.uint16)
    candidate = (0.3 * reference + np.random.default_rng(4).normal(0, 9, shape) + 40).astype(np.float32)
    low, high = np.percentile(reference, [0.1, 99.9])
    target = (reference - low) / (high - low)
    moments = np.cov(candidate.ravel().astype(float), target.ravel(), ddof=0)
    gain = moments[0, 1] / moments[0, 0]
    fitted = gain * (candidate.astype(float) - candidate.mean(dtype=float)) + target.mean()
    planes = [(t, f) for t, f in zip(target.reshape(-1, 24, 31), fitted.reshape(-1, 24, 31), strict=True)]
    result = score(candidate, reference)
    assert result.gain == pytest.approx(gain, rel=1e-9)
    assert result.nrmse == pytest.approx(np.sqrt(np.mean((fitted - target) ** 2)), rel=1e-9)
    assert result.psnr == pytest.approx(-10 * np.log10(np.mean((fitted - target) ** 2)), rel=1e-9)
    expected_ssim = np.mean([structural_similarity(t, f, data_range=1.0) for t, f in planes])
    assert result.ssim == pytest.approx(expected_ssim, rel=1e-9)


def test_against_scikit_image():
    """Expected values come from scikit-image 0.26.0 and numpy 2.4.6 alone, 2026-11-21, by

    t = data.camera()[100:228, 180:308].astype(float); y, x = np.mgrid[:128, :128]
    c = t + 20*np.sin(.7*x)*np.cos(.9*y); l, h = np.percentile(t, (.1, 99.9)); t = (t-l)/(h-l)
    c = np.polyval(np.polyfit(c.ravel(), t.ravel(), 1), c)
    metrics.mean_squared_error(t, c)**.5, metrics.peak_signal_noise_ratio(t, c, data_range=1)
    metrics.structural_similarity(t, c, data_range=1)
    """
    target = data.camera()[100:228, 180:308].astype(np.float64)
    y, x = np.mgrid[:128, :128]
    candidate = target + 20 * np.sin(0.7 * x) * np.cos(0.9 * y)
    result = score(candidate, target)
    assert result.nrmse == pytest.approx(0.039838442799321375, rel=1e-9)
    assert result.psnr == pytest.approx(27.99395291143215, rel=1e-9)
    assert result.ssim == pytest.approx(0.7455864045852019, rel=1e-9)


def test_inputs_stay_as_they_were():
    candidate, reference = textured((9, 9), 1), textured((9, 9), 2)
    kept = candidate.copy(), reference.copy()
    score(candidate, reference)
    np.testing.assert_array_equal(candidate, kept[0])
    np.testing.assert_array_equal(reference, kept[1])


def with_nan(image):
    image[3, 4] = np.nan
    return image


@pytest.mark.parametrize(
    ("candidate", "reference", "words"),
    [
        (textured((9, 9)), textured((9, 8)), r"shape \(9, 9\), its reference \(9, 8\)"),
        (with_nan(textured((9, 9))), textured((9, 9)), "candidate holds 1 of 81 values"),
        (textured((9, 9)), with_nan(textured((9, 9))), "reference holds 1 of 81 values"),
        (textured((9, 9)), np.full((9, 9), 5), "flat: its 0.1 and 99.9 percentiles are both 5"),
        (textured((6, 9)), textured((6, 9)), "at least 7 pixels"),
        (textured((0, 9, 9)), textured((0, 9, 9)), "at least 7 pixels"),
        (textured((2, 2, 9, 9)), textured((2, 2, 9, 9)), "each channel and time on its own"),
        (textured((9, 9)) + 1j, textured((9, 9)), "dtype complex128"),
    ],
)
def test_refusals(candidate, reference, words):
    with pytest.raises(ZooferryError, match=words) as refusal:
        score(candidate, reference)
    assert "\n" not in str(refusal.value)


def test_a_score_cannot_be_edited():
    with pytest.raises(AttributeError):
        RestorationScore(0.1, 20, 0.9, 1).psnr = 30
