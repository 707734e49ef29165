"""Tubes, granules and surfaces: what is drawn has the persistence, the sizes and the height that were asked for."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from zooferry.errors import ZooferryError
from zooferry.simulation import default_settings, simulate
from zooferry.specimen import STEP_UM, Grid, unit_vectors
from zooferry.structures import (
    GranuleSettings,
    SurfaceSettings,
    TubeSettings,
    draw_granules,
    draw_surface,
    draw_tubes,
    persistent_walks,
)

FLAT = Grid((120, 140), (0.1, 0.1))
DEEP = Grid((16, 80, 72), (0.3, 0.1, 0.1))


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("persistence", [2.0, 8.0])
def test_tubes_forget_their_direction_over_the_persistence_length(dims, persistence):
    """<cos angle(s)> = exp(-s (N - 1) / (2 P)), that is exp(-s / P) in a volume; 3000 walks of 8 um."""
    tubes = TubeSettings(persistence_um=persistence, flat_share=0.0)
    start = unit_vectors(rng(1).standard_normal((3000, dims)))
    places, along = persistent_walks(np.zeros((3000, dims)), start, steps=161, tubes=tubes, rng=rng(2))
    np.testing.assert_allclose(np.linalg.norm(np.diff(places, axis=0), axis=2), STEP_UM)
    for steps in (20, 40, 80, 160):
        cosine = float(np.mean((along[0] * along[steps]).sum(axis=1)))
        assert cosine == pytest.approx(math.exp(-steps * STEP_UM * (dims - 1) / (2 * persistence)), abs=0.03)


def test_tubes_in_planes_stay_there():
    tubes = TubeSettings(persistence_um=5, flat_share=1.0)
    start = np.tile([0.0, 1.0, 0.0], (50, 1))
    places, _ = persistent_walks(np.zeros((50, 3)), start, steps=100, tubes=tubes, rng=rng())
    assert not places[..., 0].any()
    assert np.abs(places[-1, :, 1:]).max() > 3


@pytest.mark.parametrize("radius", [0.3, 0.6])
def test_the_dye_is_on_the_wall_of_a_tube(radius):
    """One stiff tube along x in a volume, cut across: the mean distance of the light from the axis is the radius."""
    from zooferry import structures

    away = structures._on_walls(np.full((200, 3), 5.0), np.tile([0.0, 0.0, 1.0], (200, 1)), radius, rng=rng())
    np.testing.assert_allclose(np.linalg.norm(away[..., :2] - 5.0, axis=-1), radius)
    np.testing.assert_allclose(away[..., 2], 5.0)
    flat = structures._on_walls(np.zeros((4000, 2)), np.tile([0.0, 1.0], (4000, 1)), radius, rng=rng())
    assert np.abs(flat[..., 0]).max() <= radius
    assert np.abs(flat[..., 0]).mean() == pytest.approx(2 / math.pi * radius, rel=0.02)  # a ring seen from the side


@pytest.mark.parametrize(("grid", "draw", "kind"), [
    (FLAT, draw_tubes, TubeSettings), (DEEP, draw_tubes, TubeSettings),
    (FLAT, draw_granules, GranuleSettings), (DEEP, draw_granules, GranuleSettings),
])  # fmt: skip
def test_light_of_a_seed(grid, draw, kind):
    """As much as was asked for, the same for the same seed, none where there is nothing."""
    once, twice = (np.mean([draw(grid, kind(density=d), rng=rng(s)).sum() for s in range(16)]) for d in (20, 40))
    assert twice == pytest.approx(2 * once, rel=0.35)
    light = draw(grid, kind(), rng=rng(3))
    assert light.shape == grid.shape
    assert light.min() >= 0
    np.testing.assert_array_equal(light, draw(grid, kind(), rng=rng(3)))
    assert not draw(grid, kind(density=0), rng=rng()).any()


@pytest.mark.parametrize(("hollow", "inside"), [(0.0, 0.25), (1.0, 0.0)])
def test_granules_are_discs_and_rings_of_log_normal_sizes(hollow, inside):
    """Fields of one granule: its reach tells its radius, and how much of its light lies within half of that."""
    grid, radii, shares = Grid((100, 100), (0.05, 0.05)), [], []
    granules = GranuleSettings(density=4, radius_um=0.5, spread=0.3, hollow_share=hollow)
    for seed in range(120):
        light = draw_granules(grid, granules, rng=rng(seed))
        labels, count = ndimage.label(ndimage.binary_dilation(light > 0, np.ones((3, 3)), 3))
        if count == 1 and not (labels[[0, -1]].any() or labels[:, [0, -1]].any()):
            box = ndimage.find_objects(labels)[0]
            sides = [s.stop - s.start - 7 for s in box]
            if max(sides) < 1.3 * min(sides):  # not two that touch
                radii.append(max(sides) * 0.05 / 2)
                middle = [(s.start + s.stop - 1) / 2 for s in box]
                distance = np.hypot(*[x - m for x, m in zip(np.indices(light.shape), middle, strict=True)]) * 0.05
                shares.append(light[distance < radii[-1] / 2].sum() / light.sum())
    assert len(radii) > 20
    assert np.median(radii) == pytest.approx(0.5, rel=0.2)
    assert np.log(radii).std() == pytest.approx(0.3, rel=0.4)
    assert np.mean(shares) == pytest.approx(inside, abs=0.06)


def test_the_light_of_a_surface_is_at_its_height():
    surface = draw_surface(DEEP, SurfaceSettings(clutter=0), rng=rng(5))
    assert not surface.clutter.any()
    assert np.ptp(surface.height) > 3
    bright = surface.light.max(axis=0) > 0.5
    assert 0.1 < bright.mean() < 0.7
    found = np.argmax(surface.light, axis=0)[bright]
    assert np.abs(found - surface.height[bright]).max() <= 0.5 + 1e-4


def test_clutter_keeps_off_the_surface():
    settings = SurfaceSettings(clutter=200)
    surface = draw_surface(DEEP, settings, rng=rng(6))
    z = np.arange(DEEP.shape[0])[:, None, None]
    near = np.abs(z - surface.height) * DEEP.pixel_size[0] < settings.thickness_um
    assert surface.clutter[near].mean() < 0.05 * surface.clutter[~near].mean()


@pytest.mark.parametrize(("kind", "dims", "folders"), [
    ("tubes", 2, ["noisy", "clean", "specimen"]), ("granules", 3, ["noisy", "clean", "specimen"]),
    ("surface", 3, ["noisy", "clean", "height"]),
])  # fmt: skip
def test_simulated_series(kind, dims, folders):
    """What the camera took is brighter where the truth is."""
    shape = (60, 64) if dims == 2 else (16, 60, 64)
    settings = replace(default_settings(dims, kind=kind, photons=200), shape=shape)
    field, again = (next(simulate(settings, seed=1)) for _ in range(2))
    assert list(field.images) == folders
    np.testing.assert_array_equal(field.noisy, again.noisy)
    assert field.noisy.shape == shape
    seen = field.noisy
    if kind == "surface":
        assert field.clean.shape == field.height.shape == shape[1:]
        rows, columns = np.indices(shape[1:])
        seen = field.noisy[np.rint(field.height).astype(int).clip(0, 15), rows, columns]
    assert np.corrcoef(seen.ravel(), field.clean.ravel())[0, 1] > 0.8


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TubeSettings(persistence_um=0), "persistence_um is 0: it must be a number above 0"),
        (lambda: GranuleSettings(hollow_share=2), "hollow_share is 2: it must be a number from 0 to 1"),
        (lambda: SurfaceSettings(clutter=-1), "clutter is -1: it must be a number of 0 or more"),
        (lambda: draw_surface(FLAT, SurfaceSettings(), rng=rng()), "a surface lies in a volume"),
        (lambda: default_settings(2, kind="surface"), "a surface lies in a volume; leave --dims away, or say 3"),
        (lambda: default_settings(2, kind="worms"), "kind is worms: it must be cells, tubes, granules, surface"),
    ],
)
def test_impossible_specimens_are_refused(make, message):
    with pytest.raises(ZooferryError, match=message):
        make()
