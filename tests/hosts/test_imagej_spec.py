"""Every processing step and axis kind of the format: core, zooferry and ImageJ agree, or the row says why not.

All packages run in one headless ImageJ.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import any_package
import numpy as np
import onnxruntime
import pytest
from modes import Mode, make_modes
from older_rows import OLDER
from spec_rows import ROWS, SIZES, TILED, Row, grey

from zooferry.axes import label_axes
from zooferry.errors import ZooferryError
from zooferry.hosts import imagej, through_tiff
from zooferry.images import read_image, write_image
from zooferry.package import open_model, open_package
from zooferry.restoring import restore_image
from zooferry.running import run_package

RTOL = 1e-4  # of the largest expected value


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Row name -> folder of its package."""
    folder = tmp_path_factory.mktemp("spec")
    return {row.name: row.write(folder / row.name) for row in (*ROWS, *OLDER)}


@pytest.fixture(scope="module")
def modes(tmp_path_factory: pytest.TempPathFactory, pairs_3d: Path, runs: dict[str, Path]) -> dict[str, Mode]:
    """Packages of our own methods."""
    return make_modes(tmp_path_factory.mktemp("modes"), pairs_3d, runs["care3d"])


@pytest.fixture(scope="module")
def in_imagej(
    packages: dict[str, Path], modes: dict[str, Mode], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Row name -> outputs by id, or the reason why there are none; from one JVM."""
    scratch = tmp_path_factory.mktemp("imagej")
    found: dict[str, Any] = {}
    runs = {}
    for name, folder in packages.items():
        with open_package(folder) as opened:
            try:
                through_tiff.require_images((*opened.inputs, *opened.outputs))
            except ZooferryError as problem:
                found[name] = f"skipped: {problem}"
                continue
            images = [write_image(scratch / f"{name}_{t.id}.tif", through_tiff.as_image(t)) for t in opened.inputs]
            runs[name] = imagej.Run(folder, tuple(images), scratch / "out")
    for name, (row, shape, tile, _) in SIZES.items():
        image = label_axes(grey(*shape), "cyx"[-len(shape) :])
        image.attrs.update(pixel_size={"y": 0.25, "x": 0.5}, unit="micrometer")
        file = write_image(scratch / f"{name}.tif", image)
        runs[name] = imagej.Run(packages[row], (file,), scratch / "out", tile)
    for name, mode in modes.items():
        for kind, tile in (("whole", None), ("tiled", mode.tile)):
            runs[f"{name} {kind}"] = imagej.Run(mode.package, (mode.image,), scratch / kind / name, tile)
    one_image = (scratch / "two_and_two_raw.tif",)
    runs["one image for two inputs"] = imagej.Run(packages["two_and_two"], one_image, scratch / "out")
    for name, result in zip(runs, imagej.run_packages([*runs.values()], threads=1), strict=True):
        found[name] = _tensors(packages[name], result) if name in packages else result.results
        if result.message:
            found[name] = f"{'skipped' if result.unsupported else 'failed'}: {result.message}"
    return found


def _tensors(folder: Path, result: imagej.ImageResult) -> dict[str, np.ndarray]:
    with open_package(folder) as opened:
        outputs = [tensor for tensor in opened.outputs if tensor.id in result.results]
        return {t.id: through_tiff.to_tensor(read_image(result.results[t.id]), t) for t in outputs}


def in_python(folder: Path) -> dict[str, np.ndarray]:
    """What zooferry makes of the stored test inputs."""
    with open_package(folder) as opened:
        return run_package(opened, {t.id: t.test_array() for t in opened.inputs}, weights="onnx")


def in_core(folder: Path) -> dict[str, np.ndarray] | str:
    """What bioimageio.core makes of them, or why it fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it announces that percentiles of a data set are averaged
        try:
            return any_package.core_prediction(folder)
        except Exception as problem:  # noqa: BLE001  whatever it throws is the row's reason
            return f"{type(problem).__name__}: {problem}"


def agree(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray], *, who: str) -> None:
    """Every pixel of every output within `RTOL` of the largest value."""
    assert list(actual) == list(expected)
    for name, wanted in expected.items():
        assert actual[name].shape == wanted.shape, who
        wanted = wanted.astype(np.float64)
        largest = np.abs(wanted).max()
        assert largest > 0
        np.testing.assert_allclose(actual[name], wanted, rtol=RTOL, atol=RTOL * largest, err_msg=who)


@pytest.mark.jvm
@pytest.mark.parametrize("row", [*ROWS, *OLDER], ids=lambda row: row.name)
def test_hosts_agree(row: Row, packages: dict[str, Path], in_imagej: dict[str, Any]) -> None:
    result = in_imagej[row.name]
    if row.skipped:
        assert str(result).startswith("skipped: ")
        assert row.skipped in result
        return
    assert not isinstance(result, str), result
    agree(result, in_python(packages[row.name]), who="zooferry")
    expected = in_core(packages[row.name])
    if isinstance(expected, str):
        assert row.core, expected
        assert row.core in expected
    else:
        assert not row.core, "bioimageio.core can do it now: take the exception away"
        agree(result, expected, who="bioimageio.core")


def whole(folder: Path, image: np.ndarray, sizes: dict[str, Any]) -> np.ndarray:
    """The network on a whole image Y X, mirrored at the high end up to a size that the description allows."""
    wanted = []
    for name, length in zip("yx", image.shape, strict=True):
        size = sizes.get(name, {"size": {"min": 4, "step": 4}})["size"]
        grown = max(length, size) if isinstance(size, int) else size["min"] + -(-(length - size["min"]) // 4) * 4
        wanted.append((0, grown - length))
    session = onnxruntime.InferenceSession(str(folder / "net.onnx"), providers=["CPUExecutionProvider"])
    padded = np.pad(image, wanted, mode="reflect").astype(np.float32)
    return np.asarray(session.run(None, {"raw": padded[None, None]})[0][0, 0])


@pytest.mark.jvm
@pytest.mark.parametrize("name", SIZES)
def test_tiles_equal_the_whole(name: str, packages: dict[str, Path], in_imagej: dict[str, Any]) -> None:
    row, shape, _, wanted = SIZES[name]
    if isinstance(wanted, str):
        assert wanted in in_imagej[name]
        return
    image = read_image(in_imagej[name]["out"])
    assert image.shape == wanted
    sizes = next(one.sizes for one in TILED if one.name == row)
    if len(shape) == 3:  # whose network changes nothing
        np.testing.assert_array_equal(image.values, grey(*shape))
    else:
        expected = whole(packages[row], grey(*shape), sizes)[: wanted[0], : wanted[1]]
        np.testing.assert_allclose(image.values, expected, rtol=RTOL)
    ratio = shape[-1] / wanted[-1]
    assert image.attrs["pixel_size"] == pytest.approx({"y": 0.25 * ratio, "x": 0.5 * ratio})


@pytest.mark.jvm
@pytest.mark.parametrize("kind", ["whole", "tiled"])
@pytest.mark.parametrize("name", ["projection", "channels", "volume"])
def test_our_own_modes(name: str, kind: str, modes: dict[str, Mode], in_imagej: dict[str, Any]) -> None:
    """Stacks to images, channels to channels and volumes, in tiles or not: what Python makes of the whole image."""
    mode = modes[name]
    assert not isinstance(in_imagej[f"{name} {kind}"], str), in_imagej[f"{name} {kind}"]
    result = read_image(in_imagej[f"{name} {kind}"]["restored"])
    with open_model(mode.package) as model:
        expected = restore_image(model, read_image(mode.image))
    assert result.dims == expected.dims
    assert result.shape == mode.shape
    assert result.attrs["pixel_size"] == pytest.approx(expected.attrs["pixel_size"])
    largest = float(np.abs(expected.values).max())
    np.testing.assert_allclose(result.values, expected.values, rtol=RTOL, atol=RTOL * largest)


@pytest.mark.jvm
def test_a_model_of_two_inputs_wants_two_images(in_imagej: dict[str, Any]) -> None:
    assert in_imagej["one image for two inputs"].startswith(
        "failed: model any package takes 2 images (raw, mask), 1 came: the menu command gives one"
    )
