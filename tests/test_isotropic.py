"""Isotropic restoration: the blur between lateral and axial, the network of sections, a run, a package, the score."""

import numpy as np
import pytest
import torch
from scipy import ndimage, signal

from zooferry.architectures import reach
from zooferry.degradation import enlarge
from zooferry.networks.unet import IsotropicUNet
from zooferry.spectrum import axis_power, isotropy_ratio
from zooferry.weights import require_agreement, write_onnx, write_torchscript

NETWORK = {"in_channels": 1, "out_channels": 1, "width": 2, "depth": 1, "kernel": 3, "residual": False}


def network(**arguments):
    torch.manual_seed(0)
    return IsotropicUNet(**(NETWORK | arguments)).eval()


@pytest.mark.parametrize(("factor", "channels", "size"), [(4, 1, (5, 8, 6)), (3, 2, (4, 8, 8)), (1, 2, (6, 4, 8))])
def test_size_of_the_output(factor, channels, size):
    found = network(factor=factor, in_channels=channels, out_channels=channels)(torch.zeros(2, channels, *size))
    assert found.shape == (2, channels, factor * size[0], *size[1:])


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
def test_a_fresh_residual_network_interpolates_as_degrade_down_samples(factor):
    volume = np.random.default_rng(0).random((8, 4, 6)).astype(np.float32)
    found = network(factor=factor, residual=True)(torch.from_numpy(volume)[None, None]).detach().numpy()[0, 0]
    np.testing.assert_allclose(found, enlarge(volume, (factor, 1, 1)), atol=1e-6)


def test_both_views_are_restored_and_averaged():
    """By hand: a loop over the sections z-x at every y, and z-y at every x."""
    model = network(factor=2)
    volume = torch.randn(1, 1, 4, 6, 8)
    with torch.no_grad():
        found = model(volume)[0, 0]
        fine = model.interpolated(volume)[0, 0]
        along_x = torch.stack([model.section(fine[None, None, :, y])[0, 0] for y in range(6)], 1)
        along_y = torch.stack([model.section(fine[None, None, :, :, x])[0, 0] for x in range(8)], 2)
    torch.testing.assert_close(found, (along_x + along_y) / 2)


def test_sections_go_the_same_way():
    """Training sees single sections B C Z X; a volume that does not change along y gives the same."""
    model = network(factor=3)
    section = torch.randn(1, 1, 4, 8)
    fine = model.interpolated(section)
    torch.testing.assert_close(model(section), model.section(fine))
    torch.testing.assert_close(model.interpolated(section[:, :, :, None].expand(1, 1, 4, 2, 8))[:, :, :, 0], fine)


@pytest.mark.parametrize(("factor", "depth"), [(1, 1), (2, 1), (3, 1), (4, 1), (2, 2), (4, 2), (6, 2)])
def test_halo_and_step_along_z_are_what_the_network_needs(factor, depth):
    """Values of a part of the volume, but for its halo, are those of the whole one; with a much smaller halo, not."""
    arguments = NETWORK | {"factor": factor, "depth": depth}
    found = reach({"architecture": "unet.IsotropicUNet", "arguments": arguments}, 3)
    (step, *_), (halo, *_), factors = found.step, found.halo, found.factors
    assert factors == (factor, 1, 1)
    assert (step * factor) % 2**depth == 0
    assert step == 1 or ((step // 2) * factor) % 2**depth
    before, length = 3 * step, 2 * halo + 2 * step
    volume = torch.randn(1, 1, before + length + 3 * step, 2**depth, 2**depth)
    model = network(**arguments)
    with torch.no_grad():
        whole = model(volume)[:, :, before * factor :][:, :, : length * factor]
        part = model(volume[:, :, before : before + length])

    def agree(less):
        kept = slice((halo - less) * factor, (length - halo + less) * factor)
        return torch.allclose(part[:, :, kept], whole[:, :, kept], atol=1e-6)

    assert agree(0)
    assert not agree(step + -(-2 * 2**depth // factor) + 1)  # the U-Net's own halo may be two of its steps too large


@pytest.mark.parametrize(("factor", "channels"), [(4, 1), (3, 2), (1, 1)])
def test_weights_in_every_format_agree_for_free_sizes(tmp_path, factor, channels):
    from zooferry import axes, engines

    model = network(factor=factor, in_channels=channels, out_channels=channels, residual=True)
    torch.nn.init.normal_(model.section.last.weight)
    shapes = [(1, channels, 2, 8, 6), (2, channels, 6, 12, 10)]
    example = np.zeros(shapes[0], np.float32)
    write_torchscript(model, tmp_path / "a.pt", example)
    write_onnx(model, tmp_path / "a.onnx", example, names=("raw", "restored"), axes=axes.network_axes(3))
    loaded = {"pt": engines.load_torchscript(tmp_path / "a.pt"), "onnx": engines.load_onnx(tmp_path / "a.onnx")}
    for what, run in loaded.items():
        assert require_agreement(what, run, model, shapes) < 1e-5


@pytest.mark.parametrize(("count", "spacing"), [(16, 0.3), (15, 1.0)])
def test_power_is_that_of_scipy(count, spacing):
    """scipy.signal.periodogram with a Hann window, no trend removed, of the volume without its mean."""
    volume = np.random.default_rng(0).random((count, 5, 6))
    expected = signal.periodogram(volume - volume.mean(), 1 / spacing, "hann", detrend=False, axis=0)
    found = axis_power(volume, 0, spacing=spacing)
    np.testing.assert_allclose(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1].mean(axis=(1, 2)))


def test_the_ratio_is_1_for_noise_and_for_structures_that_are_as_wide_along_z():
    noise = np.random.default_rng(0).normal(size=(64, 48, 48))
    assert isotropy_ratio(noise) == pytest.approx(1, abs=0.03)
    assert isotropy_ratio(ndimage.gaussian_filter(noise, 1.0)) == pytest.approx(1, abs=0.1)
    wide = ndimage.gaussian_filter(noise, (2.0, 1.0, 1.0))  # in pixels that are half as large along z
    assert isotropy_ratio(wide, pixel_size=(0.5, 1, 1)) == pytest.approx(1, abs=0.1)
    assert np.isnan(isotropy_ratio(np.ones((8, 8, 8))))


@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_the_ratio_of_a_blurred_volume_by_its_formula(sigma):
    """White noise under a Gaussian of 1 pixel, and one of `sigma` more along z: P(f) = exp(-(2 pi sigma f)^2)."""
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(64, 64, 64)), 1.0)
    frequency = np.linspace(0.125, 0.375, 1000)
    power = [np.exp(-((2 * np.pi * frequency) ** 2) * width).mean() for width in (1 + sigma**2, 1)]
    found = isotropy_ratio(ndimage.gaussian_filter1d(smooth, sigma, axis=0))
    # the lines along x hold all frequencies along z, so that a blur along z takes from their power too
    lost = 1 / np.sqrt(1 + sigma**2)
    assert found == pytest.approx(power[0] / power[1] / lost, rel=0.15)
