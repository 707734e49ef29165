"""What an image is like, and whether the training images were like that."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import pywt
from numpy.random import default_rng
from scipy import ndimage

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "fiji_scripts" / "lib"), str(ROOT / "tests")]

import fiji_domain_tables  # noqa: E402
import zooferry_fiji.domain  # noqa: E402

from zooferry import axes, domain, simulation  # noqa: E402
from zooferry.image_features import features  # noqa: E402
from zooferry.methods.care import CareSettings  # noqa: E402
from zooferry.on_the_fly import with_degraded  # noqa: E402
from zooferry.training_data import RawData, RawSample  # noqa: E402
from zooferry.training_domain import EXPOSED, EXPOSURES, spread, training_domain  # noqa: E402

SIDE = 192
SLOPE = np.add.outer(np.arange(SIDE), 0.5 * np.arange(SIDE))
# what independent pixels may look like: e1 = e2 = e3 = e4
NOISE = {
    "normal": lambda rng: rng.normal(100, 3, (SIDE, SIDE)),
    "camera": lambda rng: np.rint(rng.poisson(8, (SIDE, SIDE)) * 1.2 + 100 + rng.normal(0, 2, (SIDE, SIDE))),
    "a photon here and there": lambda rng: rng.poisson(0.05, (SIDE, SIDE)),
    "clipped at 0": lambda rng: np.clip(rng.normal(0, 5, (SIDE, SIDE)), 0, 255).astype(np.uint8),
    "less than a grey value": lambda rng: np.rint(rng.normal(100, 0.3, (SIDE, SIDE))),
    "hot pixels": lambda rng: rng.normal(100, 3, (SIDE, SIDE)) + 3000 * (rng.random((SIDE, SIDE)) < 1e-3),
}


def one(image: np.ndarray) -> dict[str, float]:
    (found,) = features(image[np.newaxis])
    return found


def cells(count: int, *, photons: float = 30.0, seed: int = 1) -> list[np.ndarray]:
    """Simulated fields, C Y X."""
    settings = dataclasses.replace(
        simulation.default_settings(2, photons=photons), train=count, validation=0, shape=(SIDE, SIDE)
    )
    return [field.noisy[np.newaxis] for field in simulation.simulate(settings, seed=seed)]


@pytest.fixture(scope="module")
def fields() -> list[np.ndarray]:
    return cells(14)


def test_verdicts_are_worded_as_in_imagej() -> None:
    fiji_domain_tables.run_all()
    assert [name for name, _ in zooferry_fiji.domain.FEATURES] == list(domain.FEATURES)
    assert tuple(one(np.zeros((64, 64)))) == zooferry_fiji.domain.NAMES
    tables = fiji_domain_tables
    for samples, expected in tables.VERDICTS:
        named = [[dict(zip(zooferry_fiji.domain.NAMES, c, strict=False)) for c in sample] for sample in samples]
        judged = [domain.findings(tables.DOMAIN, sample) for sample in named]
        assert domain._together(judged, [], "planes").text == expected
    for factors, words in tables.SIZES:
        attrs = {"pixel_size": {a: 100 * f for a, f in factors.items()}, "unit": "nanometer"}
        assert domain.size_findings(tables.DOMAIN, attrs) == words
    for said in tables.UNUSABLE:
        assert domain.read_domain(said) == {}
    assert domain.read_domain(tables.DOMAIN) == tables.DOMAIN


def test_energies_are_those_of_a_haar_transform() -> None:
    """PyWavelets 1.8.0, ``pywt.wavedec2(image, "haar", level=4)``: an image of whole blocks has all its details."""
    image = default_rng(0).gamma(2.0, 50.0, (96, 160)) + SLOPE[:96, :160]
    _, *details = pywt.wavedec2(image.astype(np.float32).astype(np.float64), "haar", level=4)
    e4, e3, e2, e1 = (float(np.mean(np.square(step))) for step in details)
    found = one(image)
    assert found["fine"] == pytest.approx(e2 / e1, rel=1e-9)
    assert found["coarse"] == pytest.approx(e4 / e3, rel=1e-9)
    diagonal = [float(np.mean(np.square(details[i][2]))) for i in (0, 3)]
    assert found["structure"] == pytest.approx(diagonal[0] / diagonal[1], rel=1e-9)


def test_quantiles_are_those_of_numpy() -> None:
    image = default_rng(1).gamma(2.0, 50.0, (128, 96)).astype(np.float32)
    low, middle, high = np.quantile(image[1::2, 1::2].astype(np.float64), [0.001, 0.5, 0.999])
    found = one(image)
    assert found["dark"] == pytest.approx(low)
    assert found["range"] == pytest.approx(high - low)
    assert found["background"] == pytest.approx((middle - low) / (high - low))


@pytest.mark.parametrize("kind", NOISE)
def test_noise_has_no_structure(kind: str) -> None:
    found = one(NOISE[kind](default_rng(3)))
    for name in ("fine", "coarse"):
        assert found[name] == pytest.approx(1, abs=0.25), name
    assert found["structure"] < 1 + 2.5 * np.sqrt(2 / found["blocks"])
    assert found["blocks"] == (SIDE / 16) ** 2


@pytest.mark.parametrize("kind", NOISE)
def test_an_empty_field_is_outside_whatever_was_trained_on(kind: str, fields: list[np.ndarray]) -> None:
    empty = NOISE[kind](default_rng(4))[np.newaxis]
    for trained in (fields, [NOISE[kind](default_rng(seed))[np.newaxis] for seed in range(5, 9)]):
        assert domain.EMPTY in domain.judge(domain.measure(trained), empty).outside


def test_an_uneven_illumination_is_no_structure(fields: list[np.ndarray]) -> None:
    empty = default_rng(5).normal(100, 3, (SIDE, SIDE)) + SLOPE / 5
    assert domain.EMPTY in domain.judge(domain.measure(fields), empty[np.newaxis]).outside


@pytest.mark.parametrize(("image", "name", "low", "high"), [
    (np.full((64, 64), 7), "range", 0, 0),
    (np.full((64, 64), 7), "structure", 1, 1),
    (np.full((64, 64), 7), "noise", 0, 0),
    (np.kron(default_rng(0).random((32, 32)), np.ones((2, 2))), "fine", 65536, 65536),  # no detail between 1 and 1
    (ndimage.gaussian_filter(default_rng(0).normal(0, 1, (128, 128)), 4), "fine", 8, 20),
    (default_rng(0).normal(100, 3, (128, 128)), "noise", 0.13, 0.19),  # 1 / (2 x 3.09)
])  # fmt: skip
def test_features_by_head(image: np.ndarray, name: str, low: float, high: float) -> None:
    assert low <= one(image)[name] <= high


def test_grey_values_matter_for_two_features_only(fields: list[np.ndarray]) -> None:
    first, second = one(fields[0][0]), one(fields[0][0] * 40.0 + 3000)
    assert second.pop("dark") == pytest.approx(first.pop("dark") * 40 + 3000)
    assert second.pop("range") == pytest.approx(first.pop("range") * 40)
    assert second == pytest.approx(first, rel=1e-6)


def test_dark_and_bright_structures_on_grey_are_told_from_bright_ones_on_dark() -> None:
    rng = default_rng(6)
    spots = ndimage.gaussian_filter(rng.random((256, 256)) > 0.997, 3.0, output=np.float64) * 3000
    signs = np.where(ndimage.gaussian_filter(rng.normal(size=(256, 256)), 20) > 0, 1, -1)
    noise = rng.normal(0, 2, (256, 256))
    assert one(spots + noise)["dark_texture"] < 1
    assert one(spots * signs + noise)["dark_texture"] > 1.5


def test_stacks_are_pooled_and_large_images_sampled() -> None:
    image = cells(1)[0]
    whole = one(image[0])
    stack = np.repeat(image[:, np.newaxis], 3, axis=1)
    pooled = features(stack)[0]
    assert pooled.pop("blocks") == 3 * whole.pop("blocks")
    assert pooled == pytest.approx(whole, rel=0.01)
    large = one(np.tile(image[0], (5, 7)))
    assert large.pop("blocks") == 1024
    assert large == pytest.approx(whole, rel=0.5)


def test_small_images_are_not_judged(fields: list[np.ndarray]) -> None:
    known = domain.measure(fields)
    assert features(np.zeros((2, 60, 100))) == [{}, {}]
    assert domain.judge(known, fields[0][:, :60, :100]).text == "not known"
    assert domain.measure([fields[0][:, :60, :100]]) == {}
    assert domain.judge({}, fields[0]) == domain.judge(None, fields[0]) == domain.Verdict(known=False)


def test_simulated_fields_of_the_same_kind_are_inside(fields: list[np.ndarray]) -> None:
    known = domain.measure(fields[:8])
    assert [domain.judge(known, field).text for field in fields[8:]] == ["inside"] * 6
    for photons in (3.0, 300.0):
        assert all(domain.judge(known, field).outside for field in cells(3, photons=photons, seed=2))


@pytest.mark.parametrize(("count", "factor"), [(1, 1.4**5), (4, 1.4**2), (8, 1.4**1.5)])
def test_fewer_images_have_a_wider_margin(fields: list[np.ndarray], count: int, factor: float) -> None:
    (channel,) = domain.measure(fields[:count])["channels"]
    assert channel["noise"]["allowed"][1] / channel["noise"]["seen"][1] == pytest.approx(factor, rel=1e-4)
    assert channel["noise"]["seen"][0] / channel["noise"]["allowed"][0] == pytest.approx(factor, rel=1e-4)
    assert channel["dark_texture"]["allowed"][0] is channel["structure"]["allowed"][1] is None
    (planes,) = domain.measure(fields[:count] * 3, independent=count)["channels"]
    assert planes == channel


def test_one_odd_image_of_many_does_not_widen_the_domain(fields: list[np.ndarray]) -> None:
    odd = fields[0] * 100
    many = domain.measure([*fields[:13] * 10, odd])["channels"][0]
    assert many["range"]["seen"] == domain.measure(fields[:13])["channels"][0]["range"]["seen"]


def test_planes_and_stacks_of_an_image(fields: list[np.ndarray]) -> None:
    calibration = {"pixel_size": {"z": 0.3, "y": 0.1, "x": 0.1}, "unit": "micrometer"}
    known = domain.measure(fields, calibration=calibration)
    empty = default_rng(0).poisson(5, fields[0].shape[1:])
    image = axes.label_axes(np.stack([fields[0][0], empty, fields[1][0]]), "zyx")
    image.attrs.update(pixel_size={"z": 1.0, "y": 0.1, "x": 0.1}, unit="micrometer")
    verdict = domain.judge(known, image)
    assert verdict.text.startswith(f"outside in 1 of 3 planes: {domain.EMPTY}; darkest grey value 0; ")
    image.attrs["pixel_size"] = {"y": 0.1, "x": 0.3}
    assert domain.judge(known, image.isel(z=0)).outside == ("pixel size 0.3 um in x; training images 0.1 um",)
    known = domain.measure([np.stack([field[0]] * 2)[np.newaxis] for field in fields], calibration=calibration)
    assert known["dims"] == 3
    image.attrs["pixel_size"] = {"z": 1.0, "y": 0.1, "x": 0.1}
    assert domain.judge(known, image).outside[0] == "pixel size 1 um in z; training images 0.3 um"


def test_channels_are_judged_by_themselves(fields: list[np.ndarray]) -> None:
    pairs = [np.concatenate([a, b * 10]) for a, b in zip(fields[:6], fields[6:12], strict=True)]
    known = domain.measure(pairs)
    assert domain.judge(known, pairs[0]).text == "inside"
    assert any(words.startswith("channel 1: ") for words in domain.judge(known, pairs[0][::-1]).outside)
    assert domain.judge(known, fields[0]).text == "not known"


def test_images_made_while_training_are_part_of_the_domain() -> None:
    settings = CareSettings(dims=2, degrade={"photons": [3, 300], "camera": {"offset": 400}})
    clean = [field.astype(np.float32) for field in cells(3, photons=1e4)]
    samples = [RawSample(i, str(i), image, None) for i, image in enumerate(clean)]
    raw = with_degraded(RawData(2, samples, [{}] * 3), settings)
    known = training_domain(raw.samples, settings, {})
    single = domain.measure([sample.image for sample in raw.samples])
    assert known["images"] == single["images"] == 3
    wide, narrow = (d["channels"][0]["noise"]["seen"] for d in (known, single))
    assert wide[0] <= narrow[0] < narrow[1] <= wide[1]
    assert known["channels"] != single["channels"]
    assert min(EXPOSURES, EXPOSED // 3) == EXPOSURES
    taken = training_domain(samples, CareSettings(dims=2), {"unit": "micrometer"})
    assert taken == domain.measure(clean, calibration={"unit": "micrometer"})


@pytest.mark.parametrize(("count", "most", "kept"), [(3, 4, [0, 1, 2]), (10, 4, [0, 2, 5, 7]), (0, 4, [])])
def test_spread(count: int, most: int, kept: list[int]) -> None:
    assert spread(range(count), most) == kept


def test_told() -> None:
    inside, outside = domain.Verdict(True), domain.Verdict(True, ("a", "b"))
    question = "are the images like those it was trained on?"
    assert domain.told({"x": inside, "y": inside}) == (question, "2 of 2", False)
    assert domain.told({"x": inside, "y": outside}) == (question, "1 of 2; not y", True)
    many = {str(i): outside for i in range(7)}
    assert domain.told(many) == (question, "0 of 7; not 0, 1, 2, 3, 4 and 2 more", True)
    assert domain.told({"x": domain.Verdict(False)}) == (question, domain.UNTOLD, False)
