"""Tiled prediction equals whole prediction, for any size, in 2D and 3D."""

import dataclasses

import numpy as np
import pytest

from zooferry.architectures import unet_halo, unet_step
from zooferry.errors import ZooferryError
from zooferry.networks import unet
from zooferry.prediction import Model, pad, plan_tiles, predict
from zooferry.trained import open_run

# length, tile, halo, step -> (start, keep from, keep to)
PLANS = [
    (16, 16, 4, 4, [(0, 0, 16)]),
    (16, 99, 4, 4, [(0, 0, 16)]),
    (20, 12, 4, 2, [(0, 0, 8), (4, 8, 12), (8, 12, 20)]),
    (40, 16, 4, 4, [(0, 0, 12), (8, 12, 20), (16, 20, 28), (24, 28, 40)]),
    (24, 13, 3, 4, [(0, 0, 12), (8, 12, 24)]),
    (12, 8, 0, 4, [(0, 0, 8), (4, 8, 12)]),
]


@pytest.mark.parametrize(("length", "tile", "halo", "step", "expected"), PLANS)
def test_plan(length, tile, halo, step, expected):
    assert plan_tiles(length, tile, halo, step) == expected


def test_plans_cover_every_pixel_once_with_enough_halo():
    for length in range(4, 200, 4):
        for tile in (20, 28, 64):
            plan = plan_tiles(length, tile, 8, 4)
            kept = [p for _, first, end in plan for p in range(first, end)]
            assert kept == list(range(length))
            for start, first, end in plan:
                assert start % 4 == 0
                assert first - start >= 8 or start == 0
                assert start + tile - end >= 8 or end == length


def test_a_tile_of_nothing_but_halo_is_refused():
    with pytest.raises(ZooferryError, match="a tile of 8 pixels holds nothing but halo; use at least 12"):
        plan_tiles(100, 8, 4, 4)


@pytest.mark.parametrize(
    ("sizes", "step", "minimum", "padded"),
    [((16, 16), 4, 8, (16, 16)), ((15, 17), 4, 8, (16, 20)), ((3, 20), 4, 16, (16, 20)), ((1, 5), 4, 4, (4, 8))],
)
def test_padding(sizes, step, minimum, padded):
    image = np.random.default_rng(0).random((1, *sizes))
    result = pad(image, (step,) * 2, (minimum,) * 2)
    assert result.shape == (1, *padded)
    np.testing.assert_array_equal(result[:, : sizes[0], : sizes[1]], image)


SIZES = [
    ((512, 512), 256),
    ((500, 500), 256),
    ((333, 771), 200),
    ((7, 9), None),
    ((32, 100, 90), 64),
    ((13, 96, 70), 68),
]


@pytest.mark.parametrize(("shape", "tile"), SIZES)
def test_tiled_equals_whole(shape, tile):
    import torch

    dims = len(shape)
    torch.manual_seed(0)
    network = unet.UNet(dims=dims, width=4, depth=2, residual=False).eval()

    def run(batch):
        with torch.inference_mode():
            return [network(torch.from_numpy(batch)).numpy()]

    halo, step = unet_halo(2, 3), unet_step(2)
    model = Model(
        "test", ("batch", "channel", "z", "y", "x")[-2 - dims :], 1, (step,) * dims, (step,) * dims,
        (0, halo, halo)[-dims:], (), {"restored": ()}, run,
    )  # fmt: skip
    model = dataclasses.replace(model, axes=("batch", "channel", *("z", "y", "x")[-dims:]))
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    tiled, whole = predict(model, image, tile=tile), predict(model, image, tile=10_000)
    assert tiled.shape == image.shape
    assert np.abs(tiled - whole).max() <= 1e-4 * np.ptp(whole)


def test_wrong_channels_and_axes_are_refused(runs):
    model = open_run(runs["n2v"])
    with pytest.raises(ZooferryError, match=r"image has 2 channel\(s\), n2v takes 1; split or merge"):
        predict(model, np.zeros((2, 64, 64), np.uint16))
    with pytest.raises(ZooferryError, match="n2v takes 2 spatial axes; this image has 3"):
        predict(model, np.zeros((1, 8, 64, 64), np.uint16))
