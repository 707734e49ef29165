"""Isotropic restoration: the blur between lateral and axial, the network of sections, a run, a package, the score."""

import json

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from scipy import ndimage, signal

from zooferry import axes, axial
from zooferry.architectures import reach
from zooferry.check import check_package
from zooferry.cli import main
from zooferry.degradation import downsample, enlarge
from zooferry.errors import ZooferryError
from zooferry.images import read_image, write_image
from zooferry.methods.isotropic import IsotropicSettings, fitted_settings, given_volumes, made_sections
from zooferry.networks.unet import IsotropicUNet
from zooferry.optics import Optics, point_spread_function
from zooferry.package import open_model, open_package
from zooferry.packager import package_run
from zooferry.prediction import predict
from zooferry.run_folder import read_run
from zooferry.settings import build_settings
from zooferry.spectrum import axis_power, isotropy_ratio
from zooferry.trained import baked, open_run
from zooferry.training_data import RawData, RawSample
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
    from zooferry import engines

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


PSF = {"kind": "gaussian", "sigma_um": {"z": 0.2, "y": 0.0, "x": 0.0}}


def settings(**values):
    return build_settings(IsotropicSettings, {"factor": 4, "psf": PSF, "pixel_um": 0.1, "noise": 0} | values)


def raw(shape=(16, 40, 40), sizes=(0.4, 0.1, 0.1), unit="micrometer", sigma=0.0):
    volume = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(1, shape[0] * 4, *shape[1:])), (0, 1, 1, 1))
    volume = ndimage.gaussian_filter1d(volume, sigma, axis=1)[:, 2::4] if sigma else volume[:, 2::4]
    calibration = {"pixel_size": dict(zip("zyx", sizes, strict=True)), "unit": unit} if sizes else {}
    return RawData(3, [RawSample(0, "a", volume.astype(np.float32), None)], [], calibration)


@pytest.mark.parametrize(
    ("values", "sizes", "factor"),
    [
        ({}, (0.4, 0.1, 0.1), 4),
        ({}, (0.303, 0.1, 0.1), 3),
        ({"factor": 2}, (0.224, 0.1, 0.1), 2),
        ({"factor": 2, "pixel_um": 0.1}, None, 2),
        ({"same_size": True}, (0.224, 0.1, 0.1), 2.24),
    ],
)
def test_the_factor_is_the_ratio_of_the_pixel_sizes(values, sizes, factor):
    found = fitted_settings(build_settings(IsotropicSettings, {"psf": PSF} | values), raw(sizes=sizes), print)
    assert found.factor == pytest.approx(factor)
    assert found.pixel_um == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("values", "sizes", "message"),
    [
        ({}, (0.224, 0.1, 0.1), "slices are 2.24 times as far apart as pixels, which is no whole number; .* factor=2"),
        ({}, None, "the images carry no pixel size along z, y and x; give --set factor"),
        ({"factor": 4, "psf": PSF}, None, "the psf is in um, and the images carry no pixel size"),
        ({}, (0.4, 0.1, 0.2), "pixels are 0.1 x 0.2; allowed are square ones"),
        ({"factor": 2.5}, None, "setting factor is 2.5; allowed: a whole number; others need .*same_size=true"),
        ({"factor": 0.5}, None, "setting factor is 0.5; allowed: 1 to 16"),
        ({"patch": 32, "psf": PSF}, (0.4, 0.1, 0.1), "reaches 7 pixels each way; use at least 34"),
        ({"psf": {"kind": "gaussian", "sigma_um": {"z": 0.1, "x": 0.2}}}, (0.4, 0.1, 0.1), "must not be below that"),
    ],
)
def test_what_cannot_work_is_refused(values, sizes, message):
    with pytest.raises(ZooferryError, match=message):
        fitted_settings(build_settings(IsotropicSettings, values), raw(sizes=sizes), print)


@pytest.mark.parametrize(("sigma", "unit", "sizes"), [(2.0, "micrometer", (0.4, 0.1, 0.1)), (3.0, "pixel", None)])
def test_the_blur_is_estimated_from_the_volumes(sigma, unit, sizes):
    lines = []
    given = raw((16, 64, 64), sizes, unit, sigma)
    found = fitted_settings(build_settings(IsotropicSettings, {"factor": 4}), given, lines.append)
    assert found.psf["sigma_um"]["z"] / found.pixel_um == pytest.approx(sigma, rel=0.2)
    assert "blur along z, estimated from the volumes: Gaussian of" in lines[0]


def test_the_added_blur_of_gaussians_is_what_their_squares_leave():
    found = axial.added_blur({"kind": "gaussian", "sigma_um": {"z": 0.5, "y": 0.3, "x": 0.3}}, 0.1)
    width = np.sqrt(np.sum(found * (np.arange(len(found)) - len(found) // 2) ** 2))
    assert found.sum() == pytest.approx(1)
    assert width == pytest.approx(4, rel=0.01)  # in pixels, of 5, 4, 3
    np.testing.assert_array_equal(axial.added_blur({"kind": "gaussian", "sigma_um": 0.3}, 0.1), [1.0])


@pytest.mark.parametrize("kind", ["widefield", "confocal"])
def test_the_added_blur_of_a_microscope_makes_the_lateral_profile_axial(kind):
    psf = {"kind": kind, "numerical_aperture": 0.8, "refractive_index": 1.33}
    kernel = axial.added_blur(psf, 0.1)
    optics = Optics(kind, numerical_aperture=0.8, refractive_index=1.33)
    whole = point_spread_function(optics, (61, 41, 41), pixel_size=(0.1,) * 3)
    made = np.convolve(whole[30, 20], kernel)
    made, wanted = made[len(made) // 2 - 20 :][:41], whole[10:-10, 20, 20]
    assert np.all(kernel >= 0)
    np.testing.assert_allclose(kernel, kernel[::-1], atol=1e-12)
    np.testing.assert_allclose(made / made.max(), wanted / wanted.max(), atol=0.06)


def test_a_made_section_is_the_blurred_slice_down_sampled():
    """Against scipy's filter and `degradation.downsample` on the same slice, taken for a section z-x."""
    slices = np.random.default_rng(0).random((1, 1, 64, 64))
    seen, wanted = made_sections(slices, settings(), np.random.default_rng(1))  # 1: y becomes z
    blurred = ndimage.gaussian_filter1d(slices[0, 0], 2.0, axis=0, truncate=3.5)
    part = slice(7, 7 + 48)  # the blur reaches 7 pixels, what is left is a multiple of 4 pixels
    np.testing.assert_array_equal(wanted, slices[:, :, part])
    expected = downsample(blurred[part][:, None], (4, 1, 1))[:, 0]
    np.testing.assert_allclose(seen[0, 0], expected, atol=1e-12)


def test_sections_are_interpolated_where_the_network_does_not():
    """Of a ramp along both axes every section is the ramp again, whatever the factor and wherever its first slice."""
    ramp = np.add.outer(np.arange(64.0), np.arange(64.0))[None, None]
    psf = {"kind": "gaussian", "sigma_um": 0.0}
    for seed in range(4):
        rng = np.random.default_rng(seed)
        seen, wanted = made_sections(ramp, settings(same_size=True, factor=2.24, psf=psf), rng)
        assert seen.shape == wanted.shape == (1, 1, 64, 64)
        np.testing.assert_allclose(seen[:, :, 3:-3], wanted[:, :, 3:-3], atol=1e-9)


def test_noise_is_that_of_the_slices():
    slices = np.random.default_rng(0).normal(size=(2, 1, 96, 96))
    calm, _ = made_sections(slices, settings(), np.random.default_rng(1))
    noisy, _ = made_sections(slices, settings(noise=2), np.random.default_rng(1))
    assert np.std(noisy - calm) == pytest.approx(2, rel=0.1)


def test_volumes_of_a_network_that_keeps_the_size_are_given_interpolated():
    given = raw((4, 8, 8), (0.25, 0.1, 0.1))
    found = given_volumes(settings(same_size=True, factor=2.5), given)
    assert found.samples[0].image.shape == (1, 9, 8, 8)
    assert found.calibration["pixel_size"] == {"z": 0.1, "y": 0.1, "x": 0.1}
    np.testing.assert_allclose(found.samples[0].image[0, 5], given.samples[0].image[0, 2])
    assert given_volumes(settings(), given) is given


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Clean volumes with cubic voxels, and what is left of every fourth slice."""
    folder = tmp_path_factory.mktemp("isotropic")
    for number in range(2):
        rng = np.random.default_rng(number)
        clean = 100 + 5000 * ndimage.gaussian_filter((rng.random((32, 48, 48)) > 0.995).astype(np.float32), 1.0)
        for role, array, depth in (("clean", clean, 0.1), ("coarse", np.rint(clean[2::4]).astype(np.uint16), 0.4)):
            image = axes.label_axes(array, "zyx")
            image.attrs.update(pixel_size={"z": depth, "y": 0.1, "x": 0.1}, unit="micrometer")
            write_image(folder / role / f"cell_{number}.tif", image)
    return folder


def trained(folder, pairs, **values):
    values = {"steps": 4, "validate_every": 2, "width": 2, "depth": 1, "patch": 48} | values
    sets = [word for key, value in values.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    command = ["train", "isotropic", "--images", str(pairs / "coarse"), "--out", str(folder), *sets]
    assert main(command) == 0
    return folder


def test_from_volumes_to_a_package_whose_output_has_fine_z(pairs, tmp_path, capsys):
    run = trained(tmp_path / "run", pairs)
    assert "slices are 4 times as far apart as pixels" in capsys.readouterr().err
    assert main(["train", "isotropic", "--images", str(pairs / "coarse"), "--out", str(run), "--resume"]) == 0
    coarse = read_image(pairs / "coarse" / "cell_0.tif")
    whole = predict(open_run(run), coarse.values[np.newaxis])
    assert whole.shape == (1, 32, 48, 48)
    package = package_run(run, tmp_path / "model.zip", card=None, say=print)
    with open_package(package) as opened:
        assert opened.outputs[0].scales == (1.0, 1.0, 0.25, 1.0, 1.0)
        assert "The output has 4 x 1 x 1 times as many pixels" in (opened.folder / "README.md").read_text()
        assert imread(opened.folder / "cover.png").shape[:2] == (512, 1024)  # sections of 32 x 32 pixels, 16 times
    with open_model(package) as model:
        assert model.factors == (4, 1, 1)
        np.testing.assert_allclose(predict(model, coarse.values[np.newaxis], tile=24), whole, atol=1e-5)
    report = check_package(package, hosts=["onnx", "torchscript"], out=tmp_path / "check", profiles=())
    assert report.passed
    assert main(["predict", str(package), str(pairs / "coarse" / "cell_0.tif"), "--out", str(tmp_path / "out")]) == 0
    found = read_image(tmp_path / "out" / "cell_0.tif")
    assert found.attrs["pixel_size"] == pytest.approx({"z": 0.1, "y": 0.1, "x": 0.1})
    command = ["evaluate", str(package), "--images", str(pairs / "coarse"), "--targets", str(pairs / "clean")]
    assert main([*command, "--out", str(tmp_path / "evaluation")]) == 0
    ratios = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())["isotropy"]["mean"]
    assert set(ratios) == {"raw", "gaussian", "restored", "reference"}
    assert ratios["reference"] == pytest.approx(1, abs=0.3)
    assert ratios["raw"] < 0.5
    assert f"isotropy ratio: raw {ratios['raw']:.3g}" in capsys.readouterr().out
    page = (tmp_path / "evaluation" / "report.html").read_text(encoding="utf-8")
    assert "isotropy ratio" in page
    assert "section y = 24, z down" in page


def test_a_run_that_keeps_the_size_takes_interpolated_volumes(pairs, tmp_path):
    run = trained(tmp_path / "run", pairs, same_size=True)
    example = read_image(run / "example_input.tif")
    assert example.attrs["pixel_size"] == pytest.approx({"z": 0.1, "y": 0.1, "x": 0.1})
    assert example.sizes["z"] == 16
    found = predict(open_run(run), example.values[np.newaxis])
    assert found.shape == (1, *example.shape)
    inside = predict(open_run(run, baked(read_run(run))), example.values[np.newaxis])  # percentiles in the network
    np.testing.assert_allclose(inside, found, atol=1e-5)


def test_flat_images_are_refused(tmp_path, capsys):
    write_image(tmp_path / "images" / "a.tif", axes.label_axes(np.random.default_rng(0).random((64, 64)), "yx"))
    command = ["train", "isotropic", "--images", str(tmp_path / "images"), "--out", str(tmp_path / "run")]
    assert main(command) == 1
    assert "no z axis" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
