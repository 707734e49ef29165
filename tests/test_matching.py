"""Targets on the scale of their images, and predicted scales that are as wide as they say."""

import json

import numpy as np
import pytest
import torch

from zooferry.axes import label_axes
from zooferry.calibration import calibrate, calibrate_image, together, widening
from zooferry.errors import ZooferryError
from zooferry.images import read_image, write_image
from zooferry.matching import matched, matching_of, scaled_like
from zooferry.methods.care import CareSettings, build_network, laplace_loss, loss, unlike
from zooferry.normalization import percentile_operations
from zooferry.package import open_model, open_package
from zooferry.packager import package_run
from zooferry.restoring import restore_outputs
from zooferry.runs import train_method
from zooferry.trained import open_run

SCALE = percentile_operations(2, 99.8, ("batch", "channel", "y", "x"))


def blobs(side=64, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    spots = rng.uniform(0, side, (12, 2))
    return sum(np.exp(-((y - a) ** 2 + (x - b) ** 2) / 18) for a, b in spots)[np.newaxis].astype(np.float32)


@pytest.mark.parametrize(("gain", "offset"), [(3.0, 20.0), (0.01, 0.0), (200.0, -500.0)])
def test_a_target_gets_gain_and_offset_of_its_image(gain, offset):
    clean = blobs()
    noise = np.random.default_rng(1).normal(0, 0.1 * gain, clean.shape)
    found = matched(clean, gain * clean + offset + noise)
    assert np.polyfit(clean.ravel(), found.ravel(), 1) == pytest.approx([gain, offset], rel=0.05, abs=0.02 * gain)


def test_channels_are_matched_each_by_itself():
    clean = np.concatenate([blobs(), blobs(seed=1), np.full((1, 64, 64), 7, np.float32)])
    image = clean * np.array([2, 5, 0], np.float32)[:, None, None] + 1
    assert matched(clean, image) == pytest.approx(image, abs=1e-5)


def test_a_partner_of_inverse_contrast_is_refused():
    with pytest.raises(ZooferryError, match=r"a\.tif: its clean partner is not brighter .* match=none"):
        matched(blobs(), -blobs(), "a.tif")


def test_gain_puts_the_dark_at_0_and_affine_where_the_image_has_it():
    clean = blobs()
    noisy = 100 * clean + 50 + np.random.default_rng(0).normal(0, 20, clean.shape)
    low, high = np.percentile(noisy, (2, 99.8))
    by_gain, by_both = (scaled_like(SCALE, clean, noisy, matching=m) for m in ("gain", "affine"))
    assert np.percentile(by_gain, 2) == pytest.approx(0, abs=1e-6)
    assert np.ptp(by_gain) == pytest.approx(np.ptp(by_both), rel=1e-5)
    assert by_both == pytest.approx((100 * clean + 50 - low) / (high - low), abs=0.02)


@pytest.mark.parametrize(
    ("match", "channels", "wanted"),
    [("gain", (1, 1), "gain"), ("affine", (3, 3), "affine"), ("none", (1, 1), ""), ("gain", (1, 2), "")],
)
def test_what_is_matched(match, channels, wanted):
    assert matching_of(CareSettings(match=match), channels) == wanted


@pytest.mark.parametrize(
    "values",
    [{"match": "yes"}, {"beta": 2}, {"simulated": 3}, {"clean": "folder"}, {"degraded": 0, "degrade": {"photons": 5}}],
)
def test_settings_that_cannot_be_are_refused(values):
    with pytest.raises(ZooferryError, match=next(iter(values))):
        CareSettings(**values)


def test_beta_weights_by_the_scale_which_it_does_not_train():
    mean = torch.tensor([0.0, 0.0], requires_grad=True)
    scale = torch.tensor([0.1, 2.0], requires_grad=True)
    laplace_loss(mean, scale, torch.tensor([1.0, 1.0]), beta=1.0).backward()
    assert mean.grad.tolist() == pytest.approx([-0.5, -0.5])  # as of the mean absolute error
    wanted = [0.5 * s * (1 / s - 1 / s**2) for s in (0.1, 2.0)]  # s (d/ds) of 1 / s + log s, mean of two
    assert scale.grad.tolist() == pytest.approx(wanted, rel=1e-5)


def test_widening_has_the_least_calibration_error():
    rng = np.random.default_rng(0)
    scale = rng.uniform(0.1, 1, 20_000)
    truth = rng.laplace(0, 3 * scale)
    assert calibrate(truth, 0 * truth, scale).in_90_percent < 0.6
    factor = widening(truth, 0 * truth, scale)
    assert factor == pytest.approx(3, rel=0.03)
    errors = [calibrate(truth, 0 * truth, f * factor * scale).error for f in (0.95, 1, 1.05)]
    assert errors[1] == min(errors)
    assert errors[1] < 0.005


def write(folder, name, array):
    write_image(folder / name, label_axes(array.astype(np.float32), ("c", "y", "x")))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A probabilistic run on pairs of which each has a contrast of its own, joined by degraded and simulated images."""
    folder = tmp_path_factory.mktemp("matching")
    for seed in range(5):
        rng = np.random.default_rng(seed)
        write(folder / "noisy", f"{seed}.tif", 100 * blobs(seed=seed) + rng.normal(30, 10, (1, 64, 64)))
        write(folder / "clean", f"{seed}.tif", rng.uniform(1, 900) * blobs(seed=seed) + rng.uniform(0, 100))
    write(folder / "further", "more.tif", blobs(seed=9))
    values = {
        "steps": 20, "width": 4, "patch": 32, "batch": 2, "validate_every": 10, "probabilistic": True,
        "validation_fraction": 0.4, "intensity": 0.2, "clean": str(folder / "further"), "simulated": 2,
        "degrade": {"photons": [10, 100], "window": 48, "stretch": [0, 0.5]},
    }  # fmt: skip
    where = {"images": folder / "noisy", "targets": folder / "clean"}
    train_method("care", folder / "run", **where, values=values, seconds=None, resume=False, say=print)
    return folder / "run"


def test_a_run_on_pairs_and_degraded_images(run):
    files = json.loads((run / "data.json").read_text())
    roles = [f["role"] for f in files]
    assert [f["file"] for f in files[5:]] == ["clean/more.tif", "simulated 0", "simulated 1"]
    assert roles.count("validation") == 2
    assert set(roles[5:]) == {"training"}
    content = json.loads((run / "run.json").read_text())
    assert content["matched"] == "affine"
    assert content["target"] == content["preprocessing"]
    assert content["intensity_range"][1] < 250  # of the pairs, not of what was made


def held_out(run):
    folder = run.parent
    names = [f["file"] for f in json.loads((run / "data.json").read_text()) if f["role"] == "validation"]
    return [(read_image(folder / "noisy" / name), read_image(folder / "clean" / name)) for name in names]


def test_the_scale_is_recalibrated_on_the_validation_images_and_packaged(run, tmp_path):
    content = json.loads((run / "run.json").read_text())
    (scale,) = [o for o in content["outputs"] if o["id"] == "scale"]
    assert scale["postprocessing"][-1]["kwargs"]["gain"] == content["scale_factor"]
    example = run.parent / "other.tif"
    write(run.parent, "other.tif", blobs(32, seed=4))
    path = package_run(run, tmp_path / "m.zip", card=None, say=print, example=example)
    baked = package_run(run, tmp_path / "baked.zip", card=None, say=print, example=example, bake=True)
    with open_package(path) as opened:
        assert opened.inputs[0].test_array() == pytest.approx(blobs(32, seed=4)[np.newaxis])
    errors = {factor: [] for factor in (0.9, 1, 1.1)}
    for place in (run, path, baked):
        with open_model(place) as model:
            assert model.matched == "affine"
            pairs = [(noisy, clean, restore_outputs(model, noisy)) for noisy, clean in held_out(run)]
            for factor, found in errors.items():
                wider = [(n, c, o | {"scale": factor * o["scale"]}) for n, c, o in pairs]
                found.append(together(calibrate_image(model, c, o, noisy=n) for n, c, o in wider).error)
    assert np.ptp(errors[1]) < 1e-4
    assert all(errors[1][0] < errors[factor][0] for factor in (0.9, 1.1))


def test_a_resumed_run_is_recalibrated_anew(run):
    before = json.loads((run / "run.json").read_text())
    where = {"images": run.parent / "noisy", "targets": run.parent / "clean"}
    train_method("care", run, **where, values={}, seconds=None, resume=True, say=print)
    after = json.loads((run / "run.json").read_text())
    assert after["outputs"] == before["outputs"]


def test_an_example_that_the_network_does_not_take_is_refused(run, tmp_path):
    write(tmp_path, "e.tif", blobs(33))
    with pytest.raises(ZooferryError, match=r"e\.tif: 1 channel.* of \(33, 33\) pixels; .*16 \+ n x 4"):
        package_run(run, tmp_path / "m.zip", card=None, say=print, example=tmp_path / "e.tif")
    assert not (tmp_path / "m.zip").exists()


def test_open_run_knows_the_matching(run):
    assert open_run(run).matched == "affine"


def test_unlike_patches_have_dark_structures_and_change_nothing():
    images = np.concatenate([blobs(32, seed=s) for s in range(4)])[:, np.newaxis]
    before = images.copy()
    found = unlike((images, images), 6, np.random.default_rng(0))
    assert found.shape == (6, 1, 32, 32)
    assert (found.min(axis=(1, 2, 3)) < -0.2).all()
    assert (images == before).all()


def test_diversity_makes_an_ensemble_disagree_on_what_it_never_sees():
    rng = np.random.default_rng(0)
    clean = np.concatenate([blobs(32, seed=s) for s in range(16)])[:, np.newaxis]
    noisy = (clean + rng.normal(0, 0.1, clean.shape)).astype(np.float32)
    foreign = torch.from_numpy(unlike((clean,), 8, np.random.default_rng(1)))
    ratios = []
    for diversity in (0.0, 0.1):
        torch.manual_seed(0)
        settings = CareSettings(probabilistic=True, members=2, width=4, depth=1, diversity=diversity)
        network = build_network(settings, 2, 1, 1)
        optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
        for _ in range(60):
            loss(network, (noisy, clean), settings, rng).backward()
            optimizer.step()
            optimizer.zero_grad()
        with torch.no_grad():
            ratios.append(float(network(foreign)[2].mean() / network(torch.from_numpy(noisy))[2].mean()))
    assert ratios[1] > 2 * ratios[0]


@pytest.mark.parametrize("values", [{"diversity": 0.1}, {"diversity": -1, "members": 2, "probabilistic": True}])
def test_diversity_needs_an_ensemble(values):
    with pytest.raises(ZooferryError, match="diversity"):
        CareSettings(**values)
