"""Pairs made while training, recipes, enlarging networks: from a folder of clean images to a package."""

import json

import numpy as np
import pytest
import yaml
from scipy import ndimage

from zooferry import axes
from zooferry.cli import main
from zooferry.errors import ZooferryError
from zooferry.evaluation import evaluate_model
from zooferry.images import read_image, write_image
from zooferry.methods.rcan import RcanSettings
from zooferry.on_the_fly import PATCHES_PER_EXPOSURE, FreshSampler, take_again
from zooferry.package import open_package
from zooferry.packager import package_run, require_official_check
from zooferry.patches import TrainingSample
from zooferry.prediction import Model, predict
from zooferry.restoring import restore_files
from zooferry.runs import train_method
from zooferry.settings import build_settings, read_settings
from zooferry.tile_effect import tile_effect, tile_words
from zooferry.trained import open_run

TINY = {"num_channels": 4, "num_residual_blocks": 1, "num_residual_groups": 1, "channel_reduction_ratio": 2}
SHORT = {"steps": 4, "validate_every": 2, "batch": 2, "patch": 32, "patch_z": 8}


def sample(value):
    return TrainingSample(str(value), np.full((1, 8, 8), value, np.float32), np.full((1, 8, 8), -1, np.float32))


def test_an_image_is_taken_again_after_so_many_patches():
    remade = []

    def remake(number, _):
        remade.append(number)
        return sample(10 + len(remade))

    sampler = FreshSampler([sample(1), sample(2)], (4, 4), -np.inf, remake=remake)
    rng = np.random.default_rng(0)
    values = [sampler.draw(PATCHES_PER_EXPOSURE // 4, rng)[0].max() for _ in range(40)]
    assert len(remade) == 10
    assert set(remade) == {0, 1}
    assert max(values[:3]) <= 2
    assert max(values) > 10


def clean_folder(folder, dims=2, count=3):
    size = {"z": 0.3, "y": 0.1, "x": 0.1}
    for number in range(count):
        rng = np.random.default_rng(number)
        array = ndimage.gaussian_filter(rng.random((16, 96, 96)[-dims:]) > 0.99, 1.5, output=np.float32)
        image = axes.label_axes(100 + 4000 * array, axes.spatial_axes(dims))
        image.attrs.update(pixel_size={a: size[a] for a in axes.spatial_axes(dims)}, unit="micrometer")
        write_image(folder / f"cell_{number}.tif", image)
    return folder


def train(images, run, method="rcan", **values):
    settings = (TINY if method == "rcan" else {"width": 4}) | SHORT | values
    train_method(method, run, images=images, targets=None, values=settings, seconds=None, resume=False, say=print)
    return run


@pytest.mark.parametrize("method", ["rcan", "care"])
@pytest.mark.parametrize("dims", [2, 3])
def test_training_from_clean_images_alone(tmp_path, method, dims):
    degrade = {"photons": [5, 50], "psf": {"kind": "gaussian", "sigma_um": 0.1}}
    run = train(clean_folder(tmp_path / "clean", dims), tmp_path / "run", method, degrade=degrade)
    kept = yaml.safe_load((run / "settings.yaml").read_text())["degrade"]
    assert kept == degrade
    noisy, target = (read_image(run / f"example_{role}.tif") for role in ("input", "target"))
    assert noisy.shape == target.shape
    assert np.corrcoef(noisy.values.ravel(), target.values.ravel())[0, 1] > 0.2
    assert float(noisy.values.astype(float).std()) != pytest.approx(float(target.values.std()), rel=0.01)


def test_resumed_runs_keep_the_degradation(tmp_path):
    images = clean_folder(tmp_path / "clean")
    run = train(images, tmp_path / "run", degrade={"photons": 9})
    content = json.loads((run / "run.json").read_text())
    train_method("rcan", run, images=images, targets=None, values={}, seconds=None, resume=True, say=print)
    assert json.loads((run / "run.json").read_text())["steps"] == content["steps"] == 4


def test_one_clean_image_is_split_by_rows(tmp_path):
    run = train(clean_folder(tmp_path / "clean", count=1), tmp_path / "run", degrade={"photons": 9})
    assert json.loads((run / "run.json").read_text())["best_validation_loss"] is not None


@pytest.mark.parametrize(("dims", "values", "factors"), [
    (2, {"upscale": 2, "degrade": {"downsample": {"y": 2, "x": 2}, "same_size": False}}, (2, 2)),
    (3, {"upscale_z": 2, "degrade": {"downsample": {"z": 2}, "same_size": False}}, (2, 1, 1)),
])  # fmt: skip
def test_an_enlarging_network_from_clean_images_to_a_package(tmp_path, dims, values, factors):
    """The output has more pixels in Python, in the package, and by bioimageio.core; tiles and whole agree in size."""
    clean = clean_folder(tmp_path / "clean", dims)
    run = train(clean, tmp_path / "run", **values)
    model = open_run(run)
    noisy = read_image(run / "example_input.tif")
    array = next(a for _, a in axes.samples(noisy, dims))
    expected = tuple(n * f for n, f in zip(array.shape[1:], factors, strict=True))
    whole = predict(model, array)
    assert whole.shape[1:] == expected
    np.testing.assert_allclose(predict(model, array, tile=24), whole, atol=0.01)
    package = package_run(run, tmp_path / "model.zip", card=None, say=print)
    require_official_check(package, ("torchscript", "pytorch_state_dict"))
    with open_package(package) as opened:
        assert opened.outputs[0].test_array().shape[2:] == expected
        assert opened.outputs[0].scales[-dims:] == tuple(1 / f for f in factors)
        readme = (opened.folder / "README.md").read_text()
        assert f"The output has {' x '.join(map(str, factors))} times as many pixels" in readme
        assert "tiles are not exact" in readme
    assert restore_files(package, [run / "example_input.tif"], tmp_path / "out", tile=None, say=print) == 0
    result = read_image(tmp_path / "out" / "example_input.tif")
    np.testing.assert_allclose(result.values, whole[0], atol=1e-4)
    before = noisy.attrs["pixel_size"]
    names = axes.spatial_axes(dims)
    for axis, factor in zip(names, factors, strict=True):
        assert result.attrs["pixel_size"][axis] == pytest.approx(before[axis] / factor)


def test_an_enlarging_run_is_scored_on_the_grid_of_its_targets(tmp_path):
    clean = clean_folder(tmp_path / "clean")
    degrade = {"downsample": {"y": 2, "x": 2}, "same_size": False, "photons": 50}
    run = train(clean, tmp_path / "run", upscale=2, degrade=degrade)
    command = ["degrade", "--images", str(clean), "--out", str(tmp_path / "pairs")]
    assert main([*command, *[w for k, v in degrade.items() for w in ("--set", f"{k}={json.dumps(v)}")]]) == 0
    report = evaluate_model(run, tmp_path / "pairs" / "noisy", tmp_path / "pairs" / "clean", tmp_path / "ev", say=print)
    assert set(report.candidates) == {"raw", "gaussian", "restored"}
    assert read_image(tmp_path / "ev" / "restored" / "cell_0.tif").shape == (96, 96)


def test_pairs_of_two_sizes_train_an_enlarging_network(tmp_path):
    clean = clean_folder(tmp_path / "clean")
    for path in clean.iterdir():
        image = read_image(path)
        coarse = image.values.reshape(48, 2, 48, 2).mean(axis=(1, 3)).astype(np.float32)
        write_image(tmp_path / "small" / path.name, axes.label_axes(coarse, "yx"))
    settings = TINY | SHORT | {"upscale": 2}
    given = {"images": tmp_path / "small", "targets": clean, "seconds": None, "resume": False, "say": print}
    train_method("rcan", tmp_path / "run", values=settings, **given)
    assert read_image(tmp_path / "run" / "example_target.tif").shape == (64, 64)
    with pytest.raises(ZooferryError, match="partners must have targets with y 3 times larger and x 3 times larger"):
        train_method("rcan", tmp_path / "other", values=settings | {"upscale": 3}, **given)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("values", "targets", "message"),
    [
        ({"degrade": {"photons": 9}}, True, "degrade makes the noisy images from clean ones; leave --targets away"),
        ({}, False, "rcan learns from pairs; give the folder of clean partners"),
        ({"degrade": {"fotons": 9}}, False, "degrade: unknown fotons"),
        ({"degrade": "strong"}, False, "setting degrade is 'strong'; allowed: names with values"),
        ({"degrade": {"downsample": {"x": 2}, "same_size": False}}, False, "set upscale and upscale_z to fit"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path, values, targets, message):
    clean = clean_folder(tmp_path / "clean", count=2)
    with pytest.raises(ZooferryError, match=message):
        train_method(
            "rcan", tmp_path / "run", images=clean, targets=clean if targets else None, values=TINY | SHORT | values,
            seconds=None, resume=False, say=print,
        )  # fmt: skip
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("recipe", ["denoise", "deconvolve", "deaberrate", "enhance"])
@pytest.mark.parametrize("dims", [2, 3])
def test_every_recipe_makes_pairs_in_two_and_three_dimensions(recipe, dims):
    settings = build_settings(RcanSettings, read_settings(None, ["degrade.unevenness=0.1"], recipe=recipe))
    clean = 100 + 900 * np.random.default_rng(0).random((1, *(6, 40, 40)[-dims:]))
    calibration = {"pixel_size": {"z": 0.3, "y": 0.1, "x": 0.1}, "unit": "micrometer"}
    image, target = take_again(clean, settings, calibration, np.random.default_rng(1))
    grown = [t // n for t, n in zip(target.shape[1:], image.shape[1:], strict=True)]
    assert grown == ([1, 2, 2] if recipe == "enhance" else [1, 1, 1])[-dims:]
    assert settings.degrade["unevenness"] == 0.1


def test_recipe_by_the_command_line(tmp_path, capsys):
    clean = clean_folder(tmp_path / "clean", count=2)
    sets = [w for k, v in (TINY | SHORT).items() for w in ("--set", f"{k}={v}")]
    command = ["train", "rcan", "--recipe", "denoise", "--images", str(clean), "--out", str(tmp_path / "run"), *sets]
    assert main(command) == 0
    assert yaml.safe_load((tmp_path / "run" / "settings.yaml").read_text())["degrade"]["photons"] == [3, 100]
    assert main(["train", "rcan", "--recipe", "cook", "--images", str(clean), "--out", str(tmp_path / "b")]) == 1
    assert "unknown recipe 'cook'; allowed: deaberrate, deconvolve, denoise, enhance" in capsys.readouterr().err


def test_tiles_may_be_forbidden(tmp_path):
    """Then the package declares no halo, so that no host cuts the image, and its README says why."""
    pairs = clean_folder(tmp_path / "clean", count=2)
    run = train(pairs, tmp_path / "run", degrade={"photons": 50}, whole_images=True)
    assert open_run(run).halo == (0, 0)
    content = json.loads((run / "run.json").read_text())
    assert "never cut into tiles" in tile_words(run, content, np.zeros((1, 64, 64)))


def test_tile_effect_by_hand():
    """A network that subtracts the mean of what it sees: in tiles, that of each half."""

    def centred(batch):
        return [batch - batch.mean(axis=(2, 3), keepdims=True)]

    model = Model("m", axes.network_axes(2), 1, (1, 1), (3, 3), (1, 1), (), {"restored": ()}, centred)
    image = np.zeros((1, 8, 8), np.float32)
    image[..., 4:] = 1
    found = tile_effect(model, image)
    # tiles of 4 pixels keep 2: their columns 0-3, 2-5, 4-7 have means 0, 1/2 and 1, the whole image 1/2
    assert (found.tile, found.largest) == (4, 0.5)
    assert found.rms == pytest.approx(np.sqrt(0.25 * 6 / 8))
