"""fiji_scripts/pyimagej/restore_folder.py as a user starts it: in a Python of its own, on a real Fiji."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import every_way
import numpy as np
import pytest
import real_fiji
import tifffile

from zooferry.hosts import imagej

SCRIPT = imagej.fiji_scripts() / "pyimagej" / "restore_folder.py"
GOLDEN = Path(__file__).parent.parent / "golden" / "care-0.1.0.zip"

ARRAYS = """
import sys
sys.path.insert(0, {folder!r})
import numpy as np
import xarray
import restore_folder

ij = restore_folder.start_fiji({fiji!r})
plane = np.random.default_rng(0).poisson(90, (2, 3, 32, 44)).astype(np.uint16)
steps = {{"x": 0.25, "y": 0.32, "z": 0.7}}
coordinates = {{axis: steps[axis] * np.arange(n) for axis, n in zip("zxy", plane.shape[1:])}}
image = xarray.DataArray(plane, dims=("c", "z", "x", "y"), coords=coordinates, attrs={{"unit": "micron"}})
before = image.copy(deep=True)
results = restore_folder.restore(ij, image, {model!r}, channels="each", tile=32)
assert image.identical(before)
restored = results["restored"]
assert restored.dims == ("z", "c", "y", "x"), restored.dims
assert restored.dtype == np.float32
assert restored.attrs["unit"] in ("micron", "\\u00b5m")
for axis, step in steps.items():
    np.testing.assert_allclose(np.diff(restored[axis].values), step, rtol=1e-6)
one = restore_folder.restore(ij, image.isel(c=1, z=2, drop=True), {model!r})["restored"]
assert one.dims == ("y", "x"), one.dims
np.testing.assert_allclose(one.values, restored.isel(z=2, c=1).values, rtol=1e-4, atol=1e-4)
try:
    restore_folder.restore(ij, image, {model!r})
except restore_folder.RestoringError as problem:
    assert "has 2 channels" in str(problem), problem
else:
    raise AssertionError("two channels were not refused")
assert ij.WindowManager.getImageCount() == 0, "images stay open"
ij.dispose()
print("all is well")
"""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=imagej._environment(),
        timeout=600,
    )


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("imagej")
    return every_way.package_folder(GOLDEN, tmp_path_factory.mktemp("package") / "care")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_fiji.copy_fiji(tmp_path_factory.mktemp("fiji"))


def test_refusals_in_words(package: Path, tmp_path: Path) -> None:
    for arguments, words in [
        ([str(package), str(tmp_path), str(tmp_path / "out")], f"{tmp_path}: no *.tif in it"),
        ([str(package), str(package), str(tmp_path / "out"), "--fiji", str(tmp_path)], f"{tmp_path}: no Fiji in it"),
        ([str(package)], "the following arguments are required: images, out"),
        ([str(package), str(package), str(tmp_path / "out"), "--set", "tile"], "--set tile: write key=value"),
    ]:
        done = python(str(SCRIPT), *arguments)
        assert done.returncode != 0
        assert words in done.stdout
        assert "Traceback" not in done.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.fiji
def test_a_folder(home: Path, package: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "bil\u0111er", tmp_path / "out put"
    source.mkdir()
    stored = np.load(package / "test_output.npy").squeeze()
    hyperstack = np.random.default_rng(0).poisson(100, (2, 3, 2, 40, 52)).astype(np.uint16)
    said = {"axes": "TZCYX", "spacing": 0.7, "unit": "um", "finterval": 2.5}
    tifffile.imwrite(source / "hyper.tif", hyperstack, imagej=True, resolution=(1 / 0.32, 1 / 0.25), metadata=said)
    content = (package / "sample_input.tif").read_bytes()
    (source / "sample.tif").write_bytes(content)
    good = python(
        str(SCRIPT),
        str(package),
        str(source),
        str(out),
        "--fiji",
        str(home),
        "--set",
        "channels=each",
        "--set",
        "tile=64",
    )
    assert good.returncode == 0, good.stdout
    np.testing.assert_allclose(tifffile.imread(out / "sample.tif"), stored, rtol=1e-4, atol=1e-4)
    with tifffile.TiffFile(out / "hyper.tif") as file:
        assert (file.series[0].axes, file.series[0].shape) == ("TZCYX", hyperstack.shape)
        assert file.imagej_metadata is not None
        assert (file.imagej_metadata["spacing"], file.imagej_metadata["finterval"]) == (0.7, 2.5)
        across, high = (file.pages[0].tags[tag].value for tag in ("XResolution", "YResolution"))
        assert across[1] / across[0] == pytest.approx(0.32)
        assert high[1] / high[0] == pytest.approx(0.25)
    (source / "cut.tif").write_bytes(content[:-9000])
    (source / "text.tif").write_text("no image")
    bad = python(str(SCRIPT), str(package), str(source), str(out), "--fiji", str(home), "--pattern", "[cst]*.tif")
    assert bad.returncode == 1, bad.stdout
    with (out / "restored.csv").open(encoding="utf-8") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert {name: row["status"] for name, row in rows.items()} == {
        "cut.tif": "failed",
        "sample.tif": "restored",
        "text.tif": "failed",
    }
    assert "cut off" in rows["cut.tif"]["message"]
    assert sorted(path.name for path in out.iterdir()) == ["hyper.tif", "restored.csv", "sample.tif"]


@pytest.mark.fiji
def test_arrays_with_named_axes(home: Path, package: Path) -> None:
    code = ARRAYS.format(folder=str(SCRIPT.parent), fiji=str(home), model=str(package))
    done = python("-c", code)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "all is well" in done.stdout
