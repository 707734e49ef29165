"""Objects of one diameter: sizes, resizing, the size model, and a run that is trained and asked with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from simulated_heads import Case, blobs

from zooferry.axes import label_axes
from zooferry.cli import main
from zooferry.diameters import (
    fit_size_model,
    nearest,
    object_diameter,
    read_size_model,
    resized,
    scaled_shape,
)
from zooferry.errors import ZooferryError
from zooferry.images import read_image, write_image


def discs(*diameters: float) -> np.ndarray:
    labels = np.zeros((60, 70 * len(diameters)), np.int32)
    y, x = np.mgrid[:60, : labels.shape[1]]
    for number, diameter in enumerate(diameters):
        labels[np.hypot(y - 30, x - 35 - 70 * number) < diameter / 2] = number + 1
    return labels


# labels -> what cellpose.utils.diameters (3.1.1.2) gives
DIAMETERS = [((20.0,), 19.706295), ((8.0, 20.0, 44.0), 19.706295), ((10.0, 40.0), 24.593690)]


@pytest.mark.parametrize(("sizes", "median"), DIAMETERS)
def test_diameter_is_the_median_of_discs(sizes: tuple[float, ...], median: float) -> None:
    assert object_diameter(discs(*sizes)) == pytest.approx(median, abs=1e-6)


def test_no_object_has_no_diameter() -> None:
    assert object_diameter(np.zeros((4, 4), int)) == 0


def test_a_ramp_stays_a_ramp() -> None:
    ramp = np.arange(8, dtype=np.uint16)[None, :].repeat(6, axis=0)
    wide = resized(ramp, (6, 16))
    assert wide.dtype == np.float32
    np.testing.assert_allclose(wide[0, 1:-1], np.arange(1, 15) / 2 - 0.25)
    assert resized(ramp, (6, 8)) is ramp


@pytest.mark.parametrize("shape", [(31, 47), (40, 90), (64, 20), (1, 1)])
def test_resizing_is_that_of_scipy(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).normal(0, 1, (2, 40, 50)).astype(np.float32)
    places = [np.clip((np.arange(n) + 0.5) * m / n - 0.5, 0, m - 1) for n, m in zip(shape, (40, 50), strict=True)]
    grid = np.meshgrid(*places, indexing="ij")
    for found, plane in zip(resized(image, shape), image, strict=True):
        expected = ndimage.map_coordinates(plane.astype(np.float64), grid, order=1)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_labels_are_never_mixed() -> None:
    labels = np.array([[1, 1, 9], [1, 1, 9]])
    assert nearest(labels, (4, 6)).tolist() == [[1, 1, 1, 1, 9, 9]] * 4
    assert nearest(labels, (1, 1)).tolist() == [[1]]
    assert nearest(nearest(labels, (4, 6)), (2, 3)).tolist() == labels.tolist()


# shape, factor -> shape
SHAPES = [((10, 20), 2.0, (20, 40)), ((10, 21), 0.5, (5, 11)), ((10, 20), 1.009, (10, 20)), ((3, 9), 0.13, (1, 1))]


@pytest.mark.parametrize(("shape", "factor", "wanted"), SHAPES)
def test_shapes(shape: tuple[int, int], factor: float, wanted: tuple[int, int]) -> None:
    assert scaled_shape(shape, factor) == wanted


def test_absurd_factors_are_refused() -> None:
    with pytest.raises(ZooferryError, match="100 times as large; allowed are 1/8 to 8"):
        scaled_shape((10, 10), 100)


def test_the_size_model_finds_what_is_linear_in_the_style() -> None:
    rng = np.random.default_rng(0)
    styles = rng.normal(0, 1, (300, 5))
    true = np.exp(2.5 + styles @ [0.2, 0, -0.3, 0.1, 0] + rng.normal(0, 0.02, 300))
    model = read_size_model(json.loads(json.dumps(fit_size_model(styles, true).entry())))
    errors = [abs(np.log(model.diameter(style) / d)) for style, d in zip(styles, true, strict=True)]
    assert np.median(errors) < 0.03


def write_scenes(folder: Path, count: int, radii: tuple[float, float], *, shape: tuple[int, int] = (96, 96)) -> None:
    for seed in range(count):
        labels = blobs(Case(seed, shape, 9, radii))
        light = ndimage.gaussian_filter((labels > 0) * 100.0, 1) + 10
        image = np.random.default_rng(seed).poisson(light).astype(np.uint16)
        write_image(folder / "images" / f"{seed}.tif", label_axes(image, "yx"))
        write_image(folder / "labels" / f"{seed}.tif", label_axes(labels.astype(np.uint16), "yx"))


def test_a_run_that_knows_one_diameter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_scenes(tmp_path, 4, (9, 11))
    small = ["width=4", "depth=1", "steps=60", "patch=32", "batch=2", "diameter=10", "learning_rate=0.01"]
    settings = [word for setting in small for word in ("--set", setting)]
    given = ["--images", str(tmp_path / "images"), "--labels", str(tmp_path / "labels")]
    assert main(["train", "flows", *given, "--out", str(tmp_path / "run"), *settings]) == 0
    assert "size model: diameters of 20 images at 5 scales" in capsys.readouterr().err
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    assert content["instances"]["diameter"] == 10
    true = object_diameter(read_image(tmp_path / "labels" / "0.tif").values)
    images = str(tmp_path / "images" / "0.tif")
    shapes = set()
    for number, diameter in enumerate(([], ["--diameter", f"{true:.2f}"])):
        out = tmp_path / f"out{number}"
        assert main(["predict", str(tmp_path / "run"), images, "--out", str(out), *diameter]) == 0
        shapes |= {read_image(path).shape for path in out.glob("*.tif")}
        assert "diameter" in capsys.readouterr().err
    assert shapes == {(2, 96, 96), (96, 96)}  # flow, and prob and labels
    assert main(["evaluate", str(tmp_path / "run"), *given, "--out", str(tmp_path / "e"), "--diameter", "500"]) == 1
    assert "allowed are 1/8 to 8" in capsys.readouterr().err


def test_a_diameter_for_other_models_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = Path(__file__).resolve().parent / "golden" / "care-0.1.0.zip"
    write_image(tmp_path / "a.tif", label_axes(np.arange(4096.0).reshape(64, 64).astype(np.float32), "yx"))
    words = ["predict", str(package), str(tmp_path / "a.tif"), "--out", str(tmp_path / "out"), "--diameter", "17"]
    assert main(words) == 1
    assert "trained with --set diameter=17; leave it away" in capsys.readouterr().err
