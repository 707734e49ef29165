"""The check for what was removed or invented: right, over-smoothed, painted and noisy restorations; against scipy."""

import numpy as np
import pytest
import scipy
from scipy import ndimage, stats

from zooferry import residuals
from zooferry.residuals import LIMITS, SIDE, check_residual, onto_grid, summary


def field(shape=(256, 256), seed=0):
    """Clean image of blobs and curved fibres on a dark background, and a camera's noisy one."""
    rng = np.random.default_rng(seed)
    clean = ndimage.gaussian_filter((rng.random(shape) > 0.999).astype(float), [0] * (len(shape) - 2) + [2, 2])
    clean /= clean.max()
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    clean = clean + 0.7 * np.exp(-(((y - 128 - 60 * np.sin(x / 30)) / 2.0) ** 2))
    clean = 10 + 60 * clean
    return clean, rng.poisson(clean) + rng.normal(0, 2, shape)


def spots(clean, raw, amplitude, count=20):
    """The clean image with spots painted where it is dark, `amplitude` times as high as the noise there."""
    rng = np.random.default_rng(1)
    level = ndimage.gaussian_filter(clean, 6)
    places = np.argwhere(level <= np.quantile(level, 0.2))
    painted = np.zeros(clean.shape)
    painted[tuple(places[rng.choice(len(places), count)].T)] = 1
    painted = ndimage.gaussian_filter(painted, 1.8)
    noise = (raw - clean)[level <= np.quantile(level, 0.2)].std()
    return clean + amplitude * noise * painted / painted.max()


RESTORATIONS = [  # name, function of clean and raw, findings
    ("clean", lambda clean, _: clean, ()),
    ("clean on another scale", lambda clean, _: 0.003 * clean - 7, ()),
    ("raw", lambda _, raw: raw, ("background",)),
    ("a little leftover noise", lambda clean, raw: 0.8 * clean + 0.2 * raw, ()),
    ("a faint ripple, inverted", lambda clean, raw: 1.05 * clean - 0.05 * raw, ()),
    ("over-smoothed", lambda _, raw: ndimage.gaussian_filter(raw, 4), ("removed", "invented")),  # halos
    ("clean, blurred", lambda clean, _: ndimage.gaussian_filter(clean, 3), ("removed", "invented")),
    ("bright spots painted", lambda clean, raw: spots(clean, raw, 6.0), ("removed", "invented")),
    ("faint spots painted", lambda clean, raw: spots(clean, raw, 3.0), ("invented",)),
    ("one bright spot painted", lambda clean, raw: spots(clean, raw, 8.0, 1), ("invented",)),
    ("structure gone from a corner", lambda clean, _: np.where(np.arange(256) < 96, np.median(clean), clean), None),
    ("texture of its own", lambda clean, _: clean + 3 * field(seed=9)[1] / 10, ("removed", "invented")),
]


@pytest.mark.parametrize(
    ("restore", "expected"), [row[1:] for row in RESTORATIONS], ids=[row[0] for row in RESTORATIONS]
)
def test_what_is_found(restore, expected):
    clean, raw = field()
    check = check_residual(raw, restore(clean, raw))
    if expected is None:
        assert check.findings[0] == "removed"
        assert all(w.x < 96 for w in check.windows if w.kind == "removed")
    else:
        assert check.findings == expected, check.values
    assert ("the residual is noise" in check.sentence()) == (not check.findings)
    assert check.to_json()["verdict"] == check.sentence()


def test_the_worst_window_lies_where_the_spot_was_painted():
    clean, raw = field()
    painted = clean.copy()
    y, x = np.unravel_index(np.argmin(ndimage.gaussian_filter(clean, 8)[16:-16, 16:-16]), (224, 224))
    y, x = 16 * ((y + 16) // 16) + 8, 16 * ((x + 16) // 16) + 8  # the middle of a window
    painted[y - 3 : y + 4, x - 3 : x + 4] += 40
    check = check_residual(raw, painted)
    worst = next(w for w in check.windows if w.kind == "invented")
    assert (worst.y, worst.x) == (y - 8, x - 8)
    assert f"most at y {y - 8}, x {x - 8}" in check.sentence()


def test_noise_alone_is_no_structure():
    """Of 20,000 windows of white noise none is structured; the spread is the one expected of 16 x 16 pixels."""
    windows = np.random.default_rng(0).normal(size=(20_000, SIDE, SIDE))
    found = residuals._autocorrelation(windows)
    assert not (found > residuals.STRUCTURED).any()
    assert found.std() == pytest.approx(0.0336, rel=0.05)


def test_noise_that_neighbours_share_is_taken_for_noise():
    """A camera or a resampling that blurs the noise makes every residual alike; the darkest windows tell."""
    clean, _ = field()
    raw = clean + 4 * ndimage.gaussian_filter(np.random.default_rng(3).normal(size=clean.shape), 0.6)
    assert "removed" not in check_residual(raw, clean).findings
    assert check_residual(raw, clean).autocorrelation[0] > 0.3


def test_slopes_are_those_of_scipy():
    """scipy.stats.linregress of the installed scipy (1.17.1 when written) in every window."""
    clean, raw = field()
    a, b = (residuals._windows(image[np.newaxis]) for image in (raw, clean))
    slope, error = residuals._slopes(a, b)
    for row, column in ((0, 0), (3, 7), (15, 15)):
        expected = stats.linregress(b[0, row, column].ravel(), a[0, row, column].ravel())
        assert expected.slope > 0
        assert slope[0, row, column] == pytest.approx(expected.slope), scipy.__version__
        assert error[0, row, column] == pytest.approx(expected.stderr)


def test_autocorrelation_is_that_of_numpy():
    _, raw = field()
    found = residuals._correlation(raw[np.newaxis], 2)
    along = [
        np.corrcoef(raw[2:].ravel(), raw[:-2].ravel())[0, 1],
        np.corrcoef(raw[:, 2:].ravel(), raw[:, :-2].ravel())[0, 1],
    ]
    assert found == pytest.approx(np.mean(along), abs=0.01)


def test_volumes_are_judged_slice_by_slice():
    clean, raw = field((5, 256, 256))
    assert check_residual(raw, clean).findings == ()
    painted = clean.copy()
    painted[3] = spots(clean[3], raw[3], 6.0)
    check = check_residual(raw, painted)
    assert "invented" in check.findings
    assert {w.z for w in check.windows if w.kind == "invented" and w.value > 8} == {3}
    assert "z 3, y" in check.sentence()
    assert check.residual.shape == raw.shape


@pytest.mark.parametrize(
    ("shape", "fits"), [((20, 30), True), ((40, 60), True), ((40, 30), True), ((21, 30), False), ((2, 20, 30), False)]
)
def test_restorations_of_other_sizes(shape, fits):
    raw = np.random.default_rng(0).normal(size=(20, 30))
    assert (check_residual(raw, np.random.default_rng(1).normal(size=shape)) is not None) == fits


def test_binning_is_the_mean_of_blocks():
    np.testing.assert_array_equal(onto_grid(np.arange(16.0).reshape(4, 4), (2, 2)), [[2.5, 4.5], [10.5, 12.5]])


def test_what_cannot_be_judged():
    rng = np.random.default_rng(0)
    assert check_residual(rng.normal(size=(15, 40)), np.ones((15, 40))) is None  # smaller than a window
    small = check_residual(rng.normal(size=(32, 32)), np.ones((32, 32)))
    assert small.values["background"] is None  # four windows
    assert small.values["edges"] is None
    assert "1 cannot be judged" in summary([small])[2][1]
    flat = check_residual(np.ones((64, 64)), np.ones((64, 64)))
    assert flat.findings == ()


def test_summary_counts_images_and_names_the_largest():
    clean, raw = field()
    checks = [check_residual(raw, image) for image in (clean, ndimage.gaussian_filter(raw, 4))]
    lines = summary(checks)
    assert [line[2] for line in lines] == [True, True, False, False]
    assert lines[0][1].startswith("1 of 2 images; worst: ")
    assert lines[0][1].endswith(f"limit {100 * LIMITS['removed']:.1f} % of the windows")
