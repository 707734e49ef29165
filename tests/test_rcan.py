"""The channel attention network: any size, the reach of its convolutions, the gates, the output's size."""

from pathlib import Path

import numpy as np
import pytest
import torch

from zooferry.errors import ZooferryError
from zooferry.methods import rcan as method
from zooferry.networks import rcan
from zooferry.settings import build_settings
from zooferry.weights import require_agreement, write_onnx, write_torchscript

SMALL = {"num_channels": 4, "num_residual_blocks": 2, "num_residual_groups": 2, "channel_reduction_ratio": 2}


def small(dims=2, **arguments):
    torch.manual_seed(0)
    return rcan.RCAN(dims=dims, **(SMALL | {"residual": False} | arguments))


@pytest.mark.parametrize(
    ("dims", "arguments", "size", "expected"),
    [
        (2, {}, (7, 10), (7, 10)),
        (3, {}, (1, 5, 6), (1, 5, 6)),
        (2, {"upscale": 2}, (7, 10), (14, 20)),
        (3, {"upscale": 2}, (3, 5, 6), (3, 10, 12)),
        (3, {"upscale_z": 4}, (3, 5, 6), (12, 5, 6)),
    ],
)
def test_size_of_the_output(dims, arguments, size, expected):
    network = small(dims, in_channels=2, out_channels=3, **arguments)
    assert network(torch.zeros(2, 2, *size)).shape == (2, 3, *expected)
    factors = rcan.factors({"dims": dims, **arguments})
    assert tuple(n * f for n, f in zip(size, factors, strict=True)) == expected


def test_parameters_of_the_default_by_hand():
    """Weights and biases of every layer in 2D, kernel 3."""
    conv = 32 * 32 * 9 + 32
    gate = 32 * 4 + 4 + 4 * 32 + 32
    expected = (9 * 32 + 32) + 5 * (3 * (2 * conv + gate) + conv) + conv + (32 * 9 + 1)
    assert sum(p.numel() for p in rcan.RCAN().parameters()) == expected


@pytest.mark.parametrize(("dims", "kernel", "upscale"), [(2, 3, 1), (2, 5, 1), (3, 3, 1), (2, 3, 2)])
def test_halo_is_the_reach_of_the_convolutions(dims, kernel, upscale):
    arguments = SMALL | {"num_residual_groups": 1, "num_residual_blocks": 1, "kernel": kernel, "upscale": upscale}
    network = small(dims, **(arguments | {"num_channels": 2}))
    for gate in (m.gate for m in network.modules() if isinstance(m, rcan._Block)):
        torch.nn.init.zeros_(gate[2].weight)  # gates at one half, whatever they see
    halo = rcan.halo(arguments)
    side = 2 * halo + 5
    image = torch.randn(1, 1, *([side] * dims), requires_grad=True)
    middle = side // 2
    reach = 0
    for place in range(middle * upscale, (middle + 1) * upscale):
        (gradient,) = torch.autograd.grad(network(image)[(0, 0, *([place] * dims))], image)
        reach = max(reach, int(np.abs(np.argwhere(gradient[0, 0].numpy() != 0) - middle).max()))
    assert halo - 1 <= reach <= halo  # enlarged, a convolution reaches half a pixel of the input


def test_the_gates_see_the_whole_image():
    """Why a tile cannot be exact: a pixel beyond every convolution's reach changes the middle, if only a little."""
    network = small(num_channels=4)
    side = 2 * rcan.halo(SMALL | {"kernel": 3}) + 21
    image = torch.randn(1, 1, side, side, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(image)[0, 0, side // 2, side // 2], image)
    assert 0 < gradient[0, 0, 0, 0].abs() < 0.01 * gradient.abs().max()


def test_gates_lie_between_0_and_1_and_have_one_value_per_channel():
    block = rcan._Block(2, 8, 2, 3)
    seen = []
    block.gate.register_forward_hook(lambda *found: seen.append(found[2]))
    block(torch.randn(3, 8, 9, 11))
    assert seen[0].shape == (3, 8, 1, 1)
    assert 0 < seen[0].min() < seen[0].max() < 1


@pytest.mark.parametrize(("dims", "upscale"), [(2, 1), (3, 1), (2, 2), (2, 3), (3, 2)])
def test_fresh_residual_network_is_the_identity_or_interpolates(dims, upscale):
    """A ramp stays a ramp between the outermost pixels' centres, without a shift."""
    ramp = torch.arange(8.0).expand(1, 1, *((4, 8, 8)[-dims:]))
    result = small(dims, residual=True, upscale=upscale)(ramp)[(0, 0, *[0] * (dims - 1))]
    expected = (torch.arange(8.0 * upscale) + 0.5) / upscale - 0.5
    torch.testing.assert_close(result, expected.clamp(0, 7))


@pytest.mark.parametrize(
    ("dims", "arguments"),
    [(2, {}), (3, {}), (2, {"upscale": 2, "residual": True}), (3, {"upscale_z": 2, "residual": True})],
)
def test_weights_in_every_format_agree_for_free_sizes(tmp_path, dims, arguments):
    from zooferry import axes, engines

    network = small(dims, **arguments).eval()
    shapes = [(1, 1, *(5, 12, 9)[-dims:]), (2, 1, *(3, 31, 17)[-dims:])]
    example = np.zeros(shapes[0], np.float32)
    write_torchscript(network, tmp_path / "a.pt", example)
    write_onnx(network, tmp_path / "a.onnx", example, names=("raw", "restored"), axes=axes.network_axes(dims))
    loaded = {"pt": engines.load_torchscript(tmp_path / "a.pt"), "onnx": engines.load_onnx(tmp_path / "a.onnx")}
    for what, run in loaded.items():
        assert require_agreement(what, run, network, shapes) < 1e-5


def test_architecture_file_stands_alone():
    source = Path(rcan.__file__).read_text(encoding="utf-8")
    assert "zooferry" not in source.partition('"""')[2].partition('"""')[2]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_channels": 0}, "setting num_channels is 0; allowed: 1 to 1024"),
        ({"channel_reduction_ratio": 64}, "setting channel_reduction_ratio is 64; allowed: 1 to num_channels"),
        ({"upscale": 0}, "setting upscale is 0; allowed: 1 to 16"),
        ({"num_chanels": 8}, "unknown setting num_chanels; allowed: .*num_channels"),
    ],
)
def test_wrong_settings_are_refused(values, message):
    with pytest.raises(ZooferryError, match=message):
        build_settings(method.RcanSettings, values)


def test_defaults_are_those_of_the_paper():
    arguments = method.network_arguments(method.RcanSettings(), 3, 1, 1)
    wanted = {"num_channels": 32, "num_residual_blocks": 3, "num_residual_groups": 5, "channel_reduction_ratio": 8}
    assert arguments.items() >= wanted.items()
    assert rcan.halo(arguments) == rcan.LARGEST_HALO == 24  # its convolutions reach 38 pixels
