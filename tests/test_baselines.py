"""Classical filters: their noise measure, their tuning, the deconvolutions, and their place in the table."""

import json

import numpy as np
import pytest
from conftest import blobs
from scipy import ndimage

from zooferry import axes
from zooferry.baselines import BaselineChoice, baselines_for, filtered, verdict
from zooferry.degradation import convolve
from zooferry.errors import ZooferryError
from zooferry.evaluation import evaluate_model
from zooferry.images import write_image
from zooferry.methods.classical import FILTERS, best_strength, deconvolutions, noise_level
from zooferry.metrics import score
from zooferry.pairs import Pair, read_pairs
from zooferry.report import EvaluatedImage, EvaluationReport

NAMES = [f.name for f in FILTERS]


def middle(chosen):
    return chosen.strengths[1] if not chosen.continuous else float(np.sqrt(np.prod(chosen.strengths)))


def noisy_and_clean(dims=2, seed=0):
    noisy, clean = blobs(dims, seed)
    return noisy.astype(np.float32), clean


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("sigma", [0.5, 20.0])
def test_noise_level_of_white_noise_on_a_smooth_scene(dims, sigma):
    y = np.linspace(0, 100 * sigma, 200)[:, None] * np.ones(200)
    scene = y if dims == 2 else np.stack([y, y])
    noise = np.random.default_rng(0).normal(0, sigma, scene.shape)
    assert noise_level(scene + noise) == pytest.approx(sigma, rel=0.03)


@pytest.mark.parametrize("chosen", FILTERS, ids=NAMES)
@pytest.mark.parametrize("dims", [2, 3])
def test_every_filter_helps_and_changes_nothing_but_the_pixels(chosen, dims):
    noisy, clean = noisy_and_clean(dims)
    if dims == 3:
        noisy, clean = noisy[:8, :48, :48], clean[:8, :48, :48]
    before = noisy.copy()
    strength = best_strength(chosen, [(noisy, clean)])
    result = chosen.apply(noisy, strength)
    np.testing.assert_array_equal(noisy, before)
    assert (result.dtype, result.shape) == (np.float32, noisy.shape)
    assert score(result, clean).nrmse < 0.7 * score(noisy, clean).nrmse


@pytest.mark.parametrize("chosen", FILTERS, ids=NAMES)
def test_strengths_do_not_depend_on_the_grey_scale(chosen):
    noisy, _ = noisy_and_clean()
    scaled = chosen.apply(100 * noisy + 7, middle(chosen))
    np.testing.assert_allclose(scaled, 100 * chosen.apply(noisy, middle(chosen)) + 7, rtol=2e-3)


@pytest.mark.parametrize("chosen", FILTERS, ids=NAMES)
def test_no_other_strength_is_much_better(chosen):
    pairs = [noisy_and_clean()]

    def error(strength):
        return score(chosen.apply(pairs[0][0], strength), pairs[0][1]).nrmse

    tried = np.geomspace(*chosen.strengths, 14) if chosen.continuous else chosen.strengths
    rough = 1.1 if chosen.name == "total variation" else 1.02  # it stops early, see best_strength
    assert error(best_strength(chosen, pairs)) <= rough * min(error(s) for s in tried)


def test_flat_images_stay_flat():
    for chosen in FILTERS:
        np.testing.assert_allclose(chosen.apply(np.full((32, 32), 5, np.float32), middle(chosen)), 5, atol=1e-4)


def gaussian_kernel(dims, sigma):
    point = np.zeros((13,) * dims)
    point[(6,) * dims] = 1
    return ndimage.gaussian_filter(point, sigma)


@pytest.mark.parametrize("number", [0, 1], ids=["richardson-lucy", "wiener"])
@pytest.mark.parametrize("dims", [2, 3])
def test_deconvolutions_sharpen_up_to_the_border(number, dims):
    kernel = gaussian_kernel(dims, 1.5)
    chosen = deconvolutions(kernel)[number]
    rng = np.random.default_rng(0)
    shape = (14, 40, 40)[-dims:]
    sharp = ndimage.gaussian_filter(rng.random(shape) > 0.97, 0.7, output=float, mode="reflect") * 2000 + 100
    blurred = rng.poisson(convolve(sharp, kernel)).astype(np.float32)
    result = chosen.apply(blurred, best_strength(chosen, [(blurred, sharp)]))
    assert score(result, sharp).nrmse < 0.85 * score(blurred, sharp).nrmse
    border = np.ones(shape, bool)
    border[(slice(3, -3),) * dims] = False
    assert np.abs(result - sharp)[border].mean() < 1.5 * np.abs(blurred - sharp)[border].mean()


def test_deconvolution_keeps_its_place():
    kernel = gaussian_kernel(2, 1.5)
    point = np.zeros((41, 41))
    point[20, 20] = 1000
    for chosen, strength in zip(deconvolutions(kernel), (20, 0.01), strict=True):
        result = chosen.apply(convolve(point, kernel).astype(np.float32), strength)
        assert np.unravel_index(result.argmax(), result.shape) == (20, 20)
        assert result[20, 20] > 1.3 * convolve(point, kernel).max()


def pair(dims=2, channels=1, name="a.tif"):
    found = [noisy_and_clean(dims, seed) for seed in range(channels)]
    names = ("c", *axes.spatial_axes(dims))
    arrays = [axes.label_axes(np.stack(role), names) for role in zip(*found, strict=True)]
    for array in arrays:
        array.attrs.update(pixel_size={a: 0.1 for a in axes.spatial_axes(dims)}, unit="micrometer")
    return Pair(name, *arrays)


def test_channels_are_filtered_by_themselves():
    image = pair(channels=2).noisy
    chosen = FILTERS[0]
    np.testing.assert_allclose(filtered(image, chosen, 2.0)[1], chosen.apply(image[1].values, 2.0))
    assert filtered(image, chosen, 2.0).attrs == image.attrs


def test_deconvolutions_join_where_a_psf_is_given():
    pairs = [pair()]
    plain = baselines_for(pairs, BaselineChoice(), say=lambda _: None)
    assert plain.names == ("gaussian", "median", "total variation", "non-local means", "wavelet")
    psf = {"kind": "gaussian", "sigma_um": 0.1}
    more = baselines_for(pairs, BaselineChoice(psf=psf), say=lambda _: None)
    assert more.names == (*plain.names, "richardson-lucy", "wiener")
    assert "s per image" in more.about["wiener"]


def test_strengths_may_be_chosen_on_other_pairs(tmp_path):
    noisy = axes.label_axes(np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32), "yx")
    clean = axes.label_axes(FILTERS[0].apply(noisy.values, 3.0), "yx")
    write_image(tmp_path / "n" / "a.tif", noisy)
    write_image(tmp_path / "c" / "a.tif", clean)
    found = baselines_for([pair()], BaselineChoice(tmp_path / "n", tmp_path / "c"), say=lambda _: None)
    assert float(found.about["Gaussian filter"].split()[0]) == pytest.approx(3.0, rel=0.05)
    with pytest.raises(ZooferryError, match="--tune-images and --tune-targets go together"):
        BaselineChoice(tmp_path, None)


def test_verdict_by_hand():
    def image(*nrmse):
        scores = {n: score(np.eye(9) + 0, np.eye(9)).__class__(v, 0, 0, 1) for n, v in zip("abr", nrmse, strict=True)}
        return EvaluatedImage("x", np.eye(9), {}, scores)

    report = EvaluationReport("", (image(0.4, 0.2, 0.1), image(0.4, 0.2, 0.3)))
    assert verdict(report, ("a", "b"), "r") == (
        "r: mean NRMSE 0.0% lower than the best classical filter (b); better than every filter on 1 of 2 images"
    )


def test_partners_with_more_pixels_are_compared_on_their_grid(tmp_path):
    clean = ndimage.gaussian_filter(np.random.default_rng(0).random((40, 60)), 3, output=np.float32)
    write_image(tmp_path / "clean" / "a.tif", axes.label_axes(clean, "yx"))
    write_image(tmp_path / "noisy" / "a.tif", axes.label_axes(clean.reshape(20, 2, 30, 2).mean(axis=(1, 3)), "yx"))
    (found,) = read_pairs(tmp_path / "noisy", tmp_path / "clean")
    assert found.noisy.shape == (20, 30)
    assert score(found.raw.values, found.clean.values).nrmse < 0.02


def test_evaluate_holds_one_entry_per_baseline(packages, pairs_2d, tmp_path):
    report = evaluate_model(
        packages["care"], pairs_2d / "noisy", pairs_2d / "clean", tmp_path, say=print, baselines=BaselineChoice()
    )
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert list(metrics["mean"]) == ["raw", *NAMES, "restored"]
    assert all(list(image) == ["raw", *NAMES, "restored"] for image in metrics["images"].values())
    assert "than the best classical filter" in metrics["about"]["verdict"]
    assert len(report.images[0].candidates) == 3  # pictures of raw, the best filter and restored
    assert "non-local means" in (tmp_path / "report.html").read_text()
