"""Training without images: what is drawn, that it is drawn anew, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zooferry import runs
from zooferry.cli import main
from zooferry.errors import ZooferryError
from zooferry.files import read_json
from zooferry.methods import load
from zooferry.normalization import apply_operations
from zooferry.recipes import read_recipe
from zooferry.run_folder import read_run
from zooferry.settings import build_settings
from zooferry.synthetic import draw_data, read_specimen
from zooferry.training_data import prepare

SMALL = {"steps": 20, "validate_every": 10, "width": 4, "depth": 1, "patch": 32, "batch": 2}
TUBES = {"kind": "tubes", "shape": [64, 64], "images": 3, "length_um": 5.0}


def train(out: Path, **values: object) -> Path:
    settings = SMALL | {"specimen": TUBES, "degrade": {"photons": 50}} | values
    images = settings.pop("images", None)
    runs.train_method("care", out, images=images, targets=None, values=settings, seconds=None, resume=False, say=print)  # type: ignore[arg-type]
    return out


@pytest.mark.parametrize(("kind", "shape"), [("cells", (40, 48)), ("tubes", (9, 40, 48)), ("granules", (40, 48))])
def test_specimens_of_a_shape(kind: str, shape: tuple[int, ...]) -> None:
    specimen = read_specimen({"kind": kind, "shape": list(shape)})
    light = specimen.draw(np.random.default_rng(0))
    assert (light.shape, light.dtype) == ((1, *shape), np.float32)
    assert light.min() >= 0
    assert light.max() > 0
    assert (light != specimen.draw(np.random.default_rng(1))).any()


def test_fields_of_the_kind_are_set() -> None:
    specimen = read_specimen({"kind": "tubes", "persistence_um": 3, "pixel_size": [0.05, 0.05]}, dims=2)
    assert specimen.look.persistence_um == 3
    assert (specimen.grid.shape, specimen.grid.pixel_size) == ((256, 256), (0.05, 0.05))
    assert len(read_specimen({"kind": "tubes"}, dims=3).grid.shape) == 3


def test_no_patch_is_drawn_from_the_same_specimen_for_long() -> None:
    """After 16 patches an image is another one; the seed decides which."""
    settings = build_settings(load("care").SETTINGS, SMALL | {"specimen": TUBES, "degrade": {"photons": 50}})
    raw = runs.with_degraded(draw_data(settings), settings)
    scalings = load("care").scalings(settings, [], ("batch", "channel", "y", "x"))
    sampler = prepare(raw, settings, scalings, 0.2).training
    first = [sample.image for sample in sampler.samples]
    sampler.draw(64, np.random.default_rng(0))
    changed = [not np.array_equal(a, sample.image) for a, sample in zip(first, sampler.samples, strict=True)]
    assert any(changed)
    again = runs.with_degraded(draw_data(settings), settings)
    for one, other in zip(raw.samples, again.samples, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    noisy, clean = raw.samples[0].image, raw.samples[0].target
    assert clean is not None
    assert np.corrcoef(apply_operations(scalings.preprocessing, noisy[None], ("batch", "channel", "y", "x")).ravel(),
                       clean.ravel())[0, 1] > 0.5  # fmt: skip


def test_training_without_images_and_its_resumption(tmp_path: Path) -> None:
    run = train(tmp_path / "run")
    content = read_run(run)
    assert content["status"] == "finished"
    assert content["pixel_size"] == {"y": 0.1, "x": 0.1}
    files = read_json(run / "data.json")
    assert [f["file"] for f in files] == [f"tubes_{n:03d} (drawn)" for n in range(3)]
    assert len({f["sha256"] for f in files}) == 3
    arguments = {"images": None, "targets": None, "values": {}, "seconds": None, "say": print}
    assert runs.train_method("care", run, resume=True, **arguments).finished  # type: ignore[arg-type]


def test_command_line_takes_recipes_without_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = ["--set", "specimen.shape=[64, 64]", "--set", "specimen.images=2"]
    for key, value in SMALL.items():
        short += ["--set", f"{key}={value}"]
    assert main(["train", "care", "--recipe", "granules", "--out", str(tmp_path / "run"), *short]) == 0
    assert main(["train", "care", "--out", str(tmp_path / "other")]) == 1
    assert "no images to train on; give --images DIR" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", ["tubes", "granules"])
def test_recipes_hold_a_specimen(name: str) -> None:
    recipe = read_recipe(name)
    assert read_specimen(recipe["specimen"]).kind == name
    assert recipe["degrade"]["psf"]["kind"] == "widefield"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"specimen": {"kind": "worms"}}, "specimen: kind is 'worms'; allowed: cells, tubes, granules"),
        ({"specimen": {"kind": "tubes", "nuclei": 3}}, "specimen: unknown nuclei; allowed for tubes: kind, shape"),
        (
            {"specimen": {"kind": "tubes", "shape": [64]}},
            r"specimen: shape is \[64.0\] and pixel_size \[\]; allowed: as many",
        ),
        ({"specimen": {"kind": "tubes", "shape": "big"}}, "specimen: shape is 'big'; allowed: numbers from 8 to 4096"),
        ({"specimen": {"kind": "tubes", "density": "many"}}, "specimen: density is"),
        ({"specimen": {"kind": "tubes", "radius_um": 0}}, "radius_um is 0.0: it must be a number above 0"),
        ({"degrade": {}}, "specimen draws clean images; say what makes them noisy"),
        ({"images": Path("somewhere")}, "specimen says what to draw; leave --images away"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, values: dict[str, object], message: str) -> None:
    with pytest.raises(ZooferryError, match=message):
        train(tmp_path / "run", **values)
    assert not (tmp_path / "run").exists()
