"""Several channels: as many in as out, or others; trained, packaged and restored with each on its own scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from zooferry import runs
from zooferry.errors import ZooferryError
from zooferry.evaluation import evaluate_model
from zooferry.images import read_image, write_image
from zooferry.linting import lint
from zooferry.package import open_model, open_package
from zooferry.packager import package_run
from zooferry.prediction import predict, predict_outputs
from zooferry.restoring import restore_files
from zooferry.run_folder import read_run
from zooferry.simulation import AcquisitionSettings, simulate
from zooferry.trained import open_run

SETTINGS = {"steps": 20, "validate_every": 10, "width": 4, "depth": 1, "patch": 32, "batch": 2}
PHOTONS = (80.0, 8.0)  # of the brightest structures in each channel


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three simulated fields of a bright and a dim channel; ``first`` has the clean bright channel alone."""
    folder = tmp_path_factory.mktemp("channels")
    series = [list(simulate(AcquisitionSettings(shape=(64, 72), train=3, validation=0, photons=p), seed=3))
              for p in PHOTONS]  # fmt: skip
    for number, fields in enumerate(zip(*series, strict=True)):
        for role in ("noisy", "clean"):
            array = np.stack([getattr(field, role) for field in fields])
            image = xr.DataArray(array, dims=("c", "y", "x"), attrs={"pixel_size": {"y": 0.1, "x": 0.1}})
            image.attrs["unit"] = "micrometer"
            write_image(folder / role / f"cell_{number}.tif", image)
            if role == "clean":
                write_image(folder / "first" / f"cell_{number}.tif", image.isel(c=0))
    return folder


def train(method: str, pairs: Path, run: Path, targets: str = "", **values: object) -> Path:
    wanted = pairs / targets if targets else None
    runs.train_method(
        method, run, images=pairs / "noisy", targets=wanted, values=SETTINGS | values, seconds=None, resume=False,
        say=print,
    )  # fmt: skip
    return run


def packaged(run: Path, *, bake: bool = False) -> Path:
    return package_run(run, run.with_suffix(".zip"), card=None, say=print, bake=bake)


def test_noise2void_brings_both_channels_back_to_their_grey_values(pairs: Path, tmp_path: Path) -> None:
    zipped = packaged(train("n2v", pairs, tmp_path / "n2v"))
    image = pairs / "noisy" / "cell_0.tif"
    for number, (model, tile) in enumerate([(tmp_path / "n2v", None), (zipped, None), (zipped, 40)]):
        assert restore_files(model, [image], tmp_path / str(number), tile=tile, say=print) == 0
    raw, first, *others = (read_image(p) for p in (image, *[tmp_path / str(n) / image.name for n in range(3)]))
    assert first.dims == ("c", "y", "x")
    for channel in range(2):
        assert float(first[channel].mean()) == pytest.approx(float(raw[channel].mean()), rel=0.1)
    for other in others:
        np.testing.assert_allclose(other.values, first.values, rtol=1e-4)
    with open_package(zipped) as opened:
        assert opened.outputs[0].channel_names == ("channel0", "channel1")
        # what deepImageJ cannot do, and our own commands in Fiji can
        wrong = {finding.rule for finding in lint(opened, ["fiji"]) if finding.severity == "error"}
        assert wrong == {"fiji-fixed-axis", "fiji-linear-axis"}


def test_probabilistic_care_has_scales_for_each_channel(pairs: Path, tmp_path: Path) -> None:
    run = train("care", pairs, tmp_path / "care", "clean", probabilistic=True)
    raw = read_image(pairs / "noisy" / "cell_0.tif").values
    expected = predict_outputs(open_run(run), raw)
    assert [(name, array.shape) for name, array in expected.items()] == [("restored", raw.shape), ("scale", raw.shape)]
    for bake in (False, True):
        zipped = packaged(run, bake=bake)
        with open_model(zipped) as model:
            for name, array in predict_outputs(model, raw).items():
                np.testing.assert_allclose(array, expected[name], atol=1e-4)
        with open_package(zipped) as opened:
            assert [f for f in lint(opened, ["fiji"]) if f.severity in ("error", "warning")] == [] or not bake
    report = evaluate_model(run, pairs / "noisy", pairs / "clean", tmp_path / "report", say=print)
    assert report.calibration is not None


def test_two_channels_become_one(pairs: Path, tmp_path: Path) -> None:
    run = train("care", pairs, tmp_path / "one", "first")
    content = read_run(run)
    assert content["channels"] == [2, 1]
    assert content["network"]["arguments"]["residual"] is False
    raw = read_image(pairs / "noisy" / "cell_0.tif").values
    with open_model(packaged(run)) as model:
        found = predict(model, raw)
    assert found.shape == (1, *raw.shape[1:])
    np.testing.assert_allclose(found, predict(open_run(run), raw), atol=1e-5)
    with pytest.raises(ZooferryError, match=r"image has 1 channel\(s\), .* takes 2"):
        predict(open_run(run), raw[:1])


def test_images_of_other_channels_are_refused(pairs: Path, tmp_path: Path) -> None:
    for path in (pairs / "noisy").iterdir():
        image = read_image(path)
        write_image(tmp_path / "noisy" / path.name, image.isel(c=0) if path.stem == "cell_1" else image)
    with pytest.raises(ZooferryError, match=r"cell_1.tif has 1 channel\(s\), cell_0.tif has 2; all images must have"):
        train("n2v", tmp_path, tmp_path / "run")
