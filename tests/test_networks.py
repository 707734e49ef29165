"""The U-Net: sizes kept, declared halo is the true reach, two and three dimensions by one code."""

from pathlib import Path

import numpy as np
import pytest
import torch

from zooferry.architectures import ARCHITECTURES, reach, unet_halo, unet_step
from zooferry.networks import unet

CASES = [(2, 1, 3), (2, 2, 3), (2, 2, 5), (2, 3, 3), (3, 1, 3), (3, 2, 3)]


@pytest.mark.parametrize(("dims", "depth", "kernel"), CASES)
def test_halo_covers_every_pixel_that_can_change_the_middle(dims, depth, kernel):
    torch.manual_seed(0)
    network = unet.UNet(dims=dims, width=2, depth=depth, kernel=kernel, residual=False)
    halo, step = unet_halo(depth, kernel), unet_step(depth)
    side = 2 * halo + 4 * step
    image = torch.randn(1, 1, *([side] * dims), requires_grad=True)
    middle = side // 2
    reach = 0
    for place in range(middle, middle + step):  # the reach depends on where a pixel lies within a pooling window
        (gradient,) = torch.autograd.grad(network(image)[(0, 0, *([place] * dims))], image)
        touched = np.argwhere(gradient[0, 0].numpy() != 0)
        reach = max(reach, int(np.abs(touched - place).max()))
    assert reach <= halo
    assert reach > halo - 2 * step  # not declared much larger than needed


@pytest.mark.parametrize(("dims", "size"), [(2, (12, 20)), (3, (4, 12, 8))])
def test_output_has_the_size_of_the_input(dims, size):
    network = unet.UNet(dims=dims, in_channels=2, out_channels=3, width=4, residual=False)
    assert network(torch.zeros(2, 2, *size)).shape == (2, 3, *size)


def test_a_fresh_residual_network_is_the_identity():
    image = torch.randn(1, 1, 16, 16)
    torch.testing.assert_close(unet.UNet(width=4)(image), image)


def test_residual_needs_equal_channels():
    with pytest.raises(ValueError, match="residual needs equal channels, got 1 in and 2 out"):
        unet.UNet(in_channels=1, out_channels=2)


STARS = {
    "segmentation.StarUNet": (2, {"dims": 2, "grid": 4}),
    "star_volumes.StarVolumeUNet": (3, {"grid": [1, 2, 2]}),
    "sequential.SequentialStarUNet": (
        2,
        {"dims": 2, "grid": 2, "gain": [2.0], "offset": [0.5], "denoiser": {"width": 4, "depth": 1, "kernel": 3}},
    ),
}


@pytest.mark.parametrize("name", STARS)
def test_a_star_network_repeats_its_grid_for_every_pixel(name):
    dims, values = STARS[name]
    arguments = {"rays": 5, "width": 4, "depth": 1, "kernel": 3, **values}
    torch.manual_seed(0)
    plain, repeated = (ARCHITECTURES[name](**arguments, repeated=several).eval() for several in (False, True))
    repeated.load_state_dict(plain.state_dict())
    image = torch.randn(2, 1, *(16, 24, 32)[-dims:])
    factors = [reach({"architecture": name, "arguments": arguments}, dims).factors, (1,) * dims]
    assert reach({"architecture": name, "arguments": {**arguments, "repeated": True}}, dims).factors == factors[1]
    for coarse, fine in zip(plain(image), repeated(image), strict=True):
        assert fine.shape[2:] == image.shape[2:]
        for axis, factor in enumerate(factors[0], 2):
            coarse = coarse.repeat_interleave(round(1 / factor), axis)
        torch.testing.assert_close(fine, coarse, rtol=0, atol=0)
    for ours, theirs in zip(plain(image, bare=True), repeated(image, bare=True), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)  # what is learnt stays on the grid


def test_architecture_file_stands_alone():
    source = Path(unet.__file__).read_text(encoding="utf-8")
    assert "zooferry" not in source.partition('"""')[2].partition('"""')[2]
