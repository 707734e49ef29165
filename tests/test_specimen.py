"""What is drawn, before any optics."""

import numpy as np
import pytest
from scipy import ndimage

from zooferry.errors import ZooferryError
from zooferry.specimen import (
    STEP_UM,
    CellSettings,
    Grid,
    Nuclei,
    deposit,
    draw_cells,
    draw_filaments,
    draw_granules,
    place_nuclei,
    smooth_noise,
)

FLAT = Grid((160, 180), (0.1, 0.1))
DEEP = Grid((20, 80, 90), (0.3, 0.1, 0.1))


def rng(seed=0):
    return np.random.default_rng(seed)


def no_nuclei(dims):
    return Nuclei(np.zeros((0, dims)), np.zeros((0, dims)), np.zeros((0, dims, dims)))


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((0.5, 0.25), [[1, 0], [0, 0]]),  # the centre of the first pixel, pixels of 1 x 0.5 um
        ((1.0, 0.25), [[0.5, 0], [0.5, 0]]),
        ((1.0, 0.5), [[0.25, 0.25], [0.25, 0.25]]),
        ((0.75, 0.625), [[0.1875, 0.5625], [0.0625, 0.1875]]),
        ((0.0, 0.25), [[0.5, 0], [0, 0]]),  # on the border: half falls outside
        ((9.0, 0.25), [[0, 0], [0, 0]]),
    ],
)
def test_deposit_by_hand(point, expected):
    light = np.zeros((2, 2))
    deposit(light, Grid((2, 2), (1.0, 0.5)), points=np.array([point]), dye=np.array([1.0]))
    np.testing.assert_allclose(light, expected, atol=1e-12)


def test_deposit_adds_up_and_keeps_the_centre_of_mass():
    grid, point = Grid((7, 8, 9), (0.3, 0.1, 0.2)), np.array([1.0, 0.37, 0.91])
    light = np.zeros(grid.shape)
    deposit(light, grid, points=np.tile(point, (5, 1)), dye=np.full(5, 2.0))
    assert light.sum() == pytest.approx(10)
    centre = (np.array(ndimage.center_of_mass(light)) + 0.5) * grid.pixel_size
    np.testing.assert_allclose(centre, point, atol=1e-12)


@pytest.mark.parametrize(
    ("point", "expected"), [((5, 5), 0), ((5, 7), 1), ((6, 5), 1), ((5, 1), 2), ((6, 7), np.sqrt(2))]
)
def test_distance_in_radii_by_hand(point, expected):
    """An ellipse with half-axes 1 um along Y and 2 um along X around (5, 5)."""
    upright = Nuclei(np.array([[5.0, 5.0]]), np.array([[1.0, 2.0]]), np.eye(2)[None])
    quarter_turn = Nuclei(upright.centres, np.array([[2.0, 1.0]]), np.array([[[0.0, -1.0], [1.0, 0.0]]]))
    for nuclei in (upright, quarter_turn):
        own = nuclei.own_coordinates(np.array([point], float))
        assert np.linalg.norm(own) == pytest.approx(expected)
        voxel = [np.array([[float(x)]]) for x in point]
        assert nuclei.distance_to(0, voxel).item() == pytest.approx(expected)


@pytest.mark.parametrize("grid", [FLAT, DEEP])
def test_nuclei_keep_apart(grid):
    crowded = place_nuclei(grid, CellSettings(nuclei=50), rng=rng())
    assert len(crowded) > 2
    gaps = np.linalg.norm(crowded.centres[:, None] - crowded.centres[None], axis=2)
    reach = crowded.radii.max(axis=1)
    touching = gaps < reach[:, None] + reach[None]
    np.testing.assert_array_equal(touching, np.eye(len(crowded), dtype=bool))


@pytest.mark.parametrize("grid", [FLAT, DEEP])
@pytest.mark.parametrize("seed", range(3))
def test_every_label_is_one_bright_nucleus(grid, seed):
    cells = CellSettings(nuclei=2, filaments=0, granules=0)
    light, labels = draw_cells(grid, cells, rng=rng(seed))
    assert light.shape == labels.shape == grid.shape
    assert labels.dtype == np.uint16
    assert light.min() >= 0
    assert labels.max() >= 1
    for label in np.unique(labels[labels > 0]):
        parts, _ = ndimage.label(labels == label)
        largest = np.bincount(parts.ravel())[1:].max()
        assert largest > 0.98 * (labels == label).sum()
    assert light[labels > 0].mean() > 4 * light[labels == 0].mean()


def test_no_cells_no_light():
    light, labels = draw_cells(FLAT, CellSettings(nuclei=0, filaments=0, granules=0), rng=rng())
    assert not light.any()
    assert not labels.any()


@pytest.mark.parametrize("grid", [FLAT, DEEP])
def test_granules_lie_outside_nuclei(grid):
    cells = CellSettings(nuclei=2, granules=300)
    nuclei = place_nuclei(grid, cells, rng=rng(1))
    light = draw_granules(grid, nuclei, cells=cells, rng=rng(2))
    inside = np.min([nuclei.distance_to(k, grid.coordinates()) for k in range(len(nuclei))], axis=0) < 0.8
    assert light[inside].mean() < 0.05 * light[~inside].mean()


@pytest.mark.parametrize("grid", [FLAT, DEEP])
def test_filaments_carry_the_dye_of_their_length(grid):
    """Without nuclei, and so short that few leave the field, light x voxel = number x length x width^(N-1)."""
    cells = CellSettings(filaments=4000, filament_length_um=0.2)
    light = draw_filaments(grid, no_nuclei(len(grid.shape)), cells=cells, rng=rng(3))
    number = 4000 * grid.area_um2 / 100
    mean_brightness = np.exp(-0.15 + 0.55**2 / 2)
    expected = number * (0.2 + STEP_UM / 2) * cells.filament_width_um ** (len(grid.shape) - 1) * mean_brightness
    assert light.sum() * grid.voxel_um == pytest.approx(expected, rel=0.08)


def test_stiff_filaments_reach_further():
    """The same number of walks of 8 um light more distant pixels when they hardly bend."""
    grid = Grid((400, 400), (0.1, 0.1))
    spread = []
    for persistence in (0.5, 100):
        cells = CellSettings(filaments=2, filament_length_um=8, persistence_um=persistence)
        light = draw_filaments(grid, no_nuclei(2), cells=cells, rng=rng(4))
        boxes = ndimage.find_objects(ndimage.label(light > 0, np.ones((3, 3)))[0])
        spread.append(np.mean([np.hypot(*(s.stop - s.start for s in box)) for box in boxes]))
    assert spread[1] > 1.5 * spread[0]


@pytest.mark.parametrize("sigma", [0.2, 0.5])
def test_smooth_noise_is_correlated_over_sigma(sigma):
    """White noise through a Gaussian has the correlation exp(-d^2 / (4 sigma^2))."""
    grid = Grid((300, 600), (0.2, 0.1))
    noise = smooth_noise(grid, sigma, rng=rng(5))
    assert noise.mean() == pytest.approx(0, abs=1e-9)
    assert noise.std() == pytest.approx(1)
    for shift_um in (0.2, 0.4):
        for axis, size in enumerate(grid.pixel_size):
            correlation = np.mean(noise * np.roll(noise, round(shift_um / size), axis))
            assert correlation == pytest.approx(np.exp(-(shift_um**2) / (4 * sigma**2)), abs=0.06)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"nuclei": -1}, "cells: nuclei is -1"),
        ({"persistence_um": 0}, "cells: persistence_um is 0: it must be a number above 0"),
        ({"cytoplasm": float("nan")}, "cells: cytoplasm is nan"),
    ],
)
def test_impossible_cells_are_refused(fields, words):
    with pytest.raises(ZooferryError, match=words):
        CellSettings(**fields)
