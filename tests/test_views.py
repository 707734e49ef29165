"""Views of clean images: what is drawn, and that the noisy image and its clean partner stay one another's."""

import numpy as np
import pytest

from zooferry.degrading import degrade, read_degradation
from zooferry.errors import ZooferryError
from zooferry.views import Views, draw_view, finish, magnified


def spots(side=96, count=20, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    image = sum(np.exp(-((y - a) ** 2 + (x - b) ** 2) / 8) for a, b in rng.uniform(0, side, (count, 2)))
    return (100 + 1000 * image)[np.newaxis].astype(np.float32)


def test_nothing_asked_for_changes_nothing_and_draws_nothing():
    rng = np.random.default_rng(3)
    image = spots()
    view, record = draw_view(image, Views(), rng=rng)
    take, drawn = finish(image, Views(), rng=rng)
    assert view is image
    assert take is image
    assert record == drawn == {}
    assert rng.random() == np.random.default_rng(3).random()


@pytest.mark.parametrize(
    ("views", "shape"),
    [
        (Views(window=32), (1, 32, 32)),
        (Views(window=500), (1, 96, 96)),
        (Views(zoom=(0.5, 0.5)), (1, 48, 48)),
        (Views(zoom=(2.0, 2.0), window=32), (1, 32, 32)),
        (Views(zoom=(0.5, 0.5), window=32), (1, 32, 32)),
    ],
)
def test_windows_have_their_size_after_the_zoom(views, shape):
    view, _ = draw_view(spots(), views, rng=np.random.default_rng(0))
    assert view.shape == shape


def test_a_stack_keeps_its_slices():
    stack = np.stack([spots()[0]] * 5)[np.newaxis]
    view, _ = draw_view(stack, Views(window=32, zoom=(0.5, 0.5), soften=(1, 1)), rng=np.random.default_rng(0))
    assert view.shape == (1, 5, 32, 32)
    assert np.ptp(view, axis=1).max() == 0


def test_a_window_is_looked_for_where_there_is_structure():
    image = np.zeros((1, 256, 256), np.float32)
    image[0, 100:150, 100:150] = 50
    found = [draw_view(image, Views(window=64), rng=np.random.default_rng(seed))[0].max() > 0 for seed in range(60)]
    by_chance = ((50 + 64) / (256 - 64)) ** 2  # of corners whose window meets the square
    assert np.mean(found) > 1.5 * by_chance


def test_magnifying_keeps_grey_values_and_places():
    image = spots()
    half = magnified(image, 0.5)
    assert half.mean() == pytest.approx(image.mean(), rel=0.02)
    again = magnified(half, 2.0)
    assert np.corrcoef(again.ravel(), image.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(("gamma", "above"), [(0.5, True), (2.0, False)])
def test_gamma_bends_the_contrast_between_dark_and_bright(gamma, above):
    view, record = draw_view(spots(), Views(gamma=(gamma, gamma)), rng=np.random.default_rng(0))
    low, high = np.percentile(spots(), (0.1, 99.9))
    straight = (spots() - low) / (high - low)
    middle = (straight > 0.2) & (straight < 0.8)
    assert record == {"gamma": gamma}
    assert (view[middle] > straight[middle]).all() == above


def test_grain_makes_neighbours_alike_and_stretch_saturates():
    noise = np.random.default_rng(0).normal(1000, 50, (1, 128, 128))
    views = Views(grain=(0.5, 0.5), stretch=(2.0, 2.0))
    take, record = finish(noise, views, rng=np.random.default_rng(0))
    centred = take[0] - take.mean()
    assert np.mean(centred[1:] * centred[:-1]) / centred.var() > 0.2
    assert (take.min(), take.max()) == (0, 255)
    assert np.mean(take == 255) == pytest.approx(0.02, abs=0.005)
    assert (take == np.rint(take)).all()
    assert record == {"grain": 0.5, "stretch": 2.0}


def test_degraded_views_fit_their_clean_partners():
    values = {"photons": 500, "window": 48, "zoom": [0.7, 1.4], "soften": [0, 1], "gamma": [0.7, 1.4], "stretch": 0.3}
    for seed in range(5):
        rng = np.random.default_rng(seed)
        (seen,), clean, record = degrade(spots(seed=seed), read_degradation(values), pixel_size=(1, 1), rng=rng)
        assert seen.shape == clean.shape == (1, 48, 48)
        assert set(record) >= {"photons", "background", "zoom", "soften", "gamma", "stretch"}
        assert np.corrcoef(seen.ravel(), clean.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("background", [[0.3, 30], [0, 30], 5])
def test_backgrounds_are_drawn_evenly_on_a_logarithmic_scale(background):
    drawn = [
        degrade(
            spots(16), read_degradation({"background": background}), pixel_size=(1, 1), rng=np.random.default_rng(s)
        )
        for s in range(40)
    ]
    median = np.median([record["background"] for _, _, record in drawn])
    wanted = {"[0.3, 30]": (1, 9), "[0, 30]": (9, 21), "5": (5, 5)}[str(background)]
    assert wanted[0] <= median <= wanted[1]


@pytest.mark.parametrize(
    "values", [{"zoom": 0}, {"zoom": [2, 1]}, {"gamma": -1}, {"soften": -1}, {"stretch": 60}, {"window": "all"}]
)
def test_views_that_cannot_be_are_refused(values):
    with pytest.raises(ZooferryError, match=next(iter(values))):
        read_degradation(values)
