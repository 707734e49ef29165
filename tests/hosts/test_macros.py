"""Each macro of fiji_scripts/macros, run as its first lines say: plain ImageJ, Fiji with and without a window."""

from __future__ import annotations

import csv
import math
import shutil
from pathlib import Path

import numpy as np
import plain_imagej
import pytest
import real_fiji
import tifffile
import torch
from make_packages import make_package
from scipy import ndimage
from skimage.filters import threshold_otsu
from torch import nn

from zooferry.hosts import imagej

MACROS = imagej.fiji_scripts() / "macros"
PIXEL = 0.25  # um
RADIUS = 6.0  # pixels
CENTRES = [(20, 24), (24, 70), (60, 40), (70, 92), (100, 30), (104, 76)]


class Mean(nn.Module):
    """The mean of 4 x 4 pixels: enough to find discs in noise, and known without training."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(1, 1, 5, padding=2, bias=False, padding_mode="reflect")
        weight = torch.full((1, 1, 5, 5), 1 / 25)
        self.inner.weight = nn.Parameter(weight)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """B 1 Y X -> B 1 Y X."""
        return self.inner(image)


def discs() -> np.ndarray:
    """Six bright discs in Poisson noise, Y X."""
    y, x = np.mgrid[:128, :112]
    bright = sum(((y - cy) ** 2 + (x - cx) ** 2 <= RADIUS**2) for cy, cx in CENTRES)
    return np.random.default_rng(1).poisson(100 + 300 * bright).astype(np.uint16)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_package(tmp_path_factory.mktemp("model") / "mean of pixels", network=Mean())


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ma cro\u00e4 \u4e2d") / "raw"
    (folder / "day 2").mkdir(parents=True)
    for name in ("nuclei.tif", "day 2/nuclei.tif"):
        scale = {"resolution": (1 / PIXEL, 1 / PIXEL), "metadata": {"unit": "um"}}
        tifffile.imwrite(folder / name, discs(), imagej=True, **scale)
    return folder


def check_one_image(result: Path) -> None:
    """The result is the 5 x 5 mean (scipy), with the pixel size of the source."""
    expected = ndimage.uniform_filter(discs().astype(np.float64), 5, mode="mirror")
    np.testing.assert_allclose(tifffile.imread(result), expected, rtol=1e-4, atol=1e-4)
    with tifffile.TiffFile(result) as file:
        across = file.pages[0].tags["XResolution"].value
        assert across[1] / across[0] == pytest.approx(PIXEL)


def check_objects(folder: Path) -> None:
    """As scipy and scikit-image segment and measure the same picture."""
    with (folder / "nuclei_objects.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(CENTRES)
    smooth = ndimage.uniform_filter(discs().astype(np.float64), 5, mode="mirror")
    mask = smooth > threshold_otsu(smooth, nbins=256)
    labels, count = ndimage.label(mask)
    assert count == len(CENTRES)
    areas = sorted(ndimage.sum_labels(mask, labels, range(1, count + 1)) * PIXEL**2)
    found = sorted(float(row["Area"]) for row in rows)
    np.testing.assert_allclose(found, areas, rtol=0.05)
    assert np.mean(found) == pytest.approx(math.pi * (RADIUS * PIXEL) ** 2, rel=0.15)
    centres = sorted((float(row["Y"]), float(row["X"])) for row in rows)
    wanted = sorted(((y + 0.5) * PIXEL, (x + 0.5) * PIXEL) for y, x in CENTRES)
    np.testing.assert_allclose(centres, wanted, atol=0.6 * PIXEL)
    assert {row["Unit"] for row in rows} <= {"um", "micron", "\u00b5m"}
    assert all(300 < float(row["Mean"]) < 420 for row in rows)
    with tifffile.TiffFile(folder / "nuclei_restored.tif") as file:
        assert file.imagej_metadata is not None
        assert len(file.imagej_metadata["Overlays"]) == len(CENTRES)


def check_folder(folder: Path) -> None:
    """Both images, in their sub-folders, and the table."""
    for name in ("nuclei.tif", "day 2/nuclei.tif"):
        check_one_image(folder / name)
    with (folder / "zooferry_results.csv").open(encoding="utf-8") as stream:
        assert [row["status"] for row in csv.DictReader(stream)] == ["ok", "ok"]


@pytest.mark.jvm
def test_in_plain_imagej(package: Path, images: Path, tmp_path: Path) -> None:
    home = plain_imagej.make_home(tmp_path / "ImageJ")
    shutil.copytree(package, home / "models" / "mean")
    one, out = images / "nuclei.tif", tmp_path / "\u00fc out"
    out.mkdir()
    answer = plain_imagej.run(
        home,
        [
            (MACROS / "one_image.ijm", f"{one}|mean|{out}/one.tif"),
            (MACROS / "restore_segment_measure.ijm", f"{one}|{package}|{out}"),
            (MACROS / "one_image.ijm", f"{one}|nothing of this name|{out}/two.tif"),
            (MACROS / "one_image.ijm", "only one word"),
            (MACROS / "folder.ijm", f"{images}|{out}/folder|mean"),
        ],
    )
    check_one_image(out / "one.tif")
    check_objects(out)
    assert "there is no model nothing of this name" in answer.output
    assert not (out / "two.tif").exists()
    check_folder(out / "folder")
    assert answer.code == 0, answer.output  # of the last one, which asks for it


@pytest.fixture(scope="module")
def fiji(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_fiji.copy_fiji(tmp_path_factory.mktemp("fiji"))


@pytest.mark.fiji
def test_exit_codes_of_macros_in_fiji(fiji: Path, package: Path, images: Path, tmp_path: Path) -> None:
    run_macro = str(fiji / "macros" / "zooferry" / "run_macro.py")
    (tmp_path / "wrong.ijm").write_text('newImage("a", "8-bit", 9, 9, 1); run("No Such Command"); print("unreached");')
    (tmp_path / "fine.ijm").write_text('print("argument " + getArgument());')
    one = fiji / "macros" / "zooferry" / "one_image.ijm"
    for macro, argument, expected, words in [
        (one, f"{images}/nuclei.tif|{package}|{tmp_path}/one.tif", 0, "saved"),
        (one, f"{images}/nuclei.tif|no such model|{tmp_path}/two.tif", 1, "there is no model no such model"),
        (tmp_path / "wrong.ijm", "", 1, "did not come to its end"),
        (tmp_path / "fine.ijm", "x, y = z", 0, "argument x, y = z"),
        (tmp_path / "missing.ijm", "", 1, "there is no macro"),
    ]:
        code, output = real_fiji.headless(fiji, ["--run", run_macro, f'macro="{macro}",argument="{argument}"'])
        assert words in output, output
        assert code == expected, output
    check_one_image(tmp_path / "one.tif")
    assert not (tmp_path / "two.tif").exists()


@pytest.mark.fiji
def test_macros_in_headless_fiji(fiji: Path, package: Path, images: Path, tmp_path: Path) -> None:
    macros = fiji / "macros" / "zooferry"
    argument = f"{images}/nuclei.tif|{package}|{tmp_path}"
    code, output = real_fiji.headless(fiji, ["-macro", str(macros / "restore_segment_measure.ijm"), argument])
    assert code == 0, output
    check_objects(tmp_path)
    folder = [str(macros / "folder.ijm"), f"{images}|{tmp_path}/folder|{package}"]
    code, output = real_fiji.headless(fiji, ["-macro", *folder])
    assert code == 0, output
    check_folder(tmp_path / "folder")


@pytest.mark.fiji
def test_macros_in_fijis_window(fiji: Path, package: Path, images: Path, tmp_path: Path) -> None:
    macros = fiji / "macros" / "zooferry"
    end = tmp_path / "ended.txt"
    whole = tmp_path / "all.ijm"
    # ImageJ takes a macro file for Latin-1 (this one for UTF-8)
    paths = tmp_path / "paths.txt"
    paths.write_text("|".join(map(str, (macros, images, package, tmp_path))), encoding="utf-8")
    whole.write_text(
        f'words = split(String.trim(File.openAsString("{paths}")), "|");\n'
        + """
        macros = words[0]; images = words[1]; model = words[2]; out = words[3];
        runMacro(macros + "/one_image.ijm", images + "/nuclei.tif|" + model + "|" + out + "/one.tif");
        runMacro(macros + "/restore_segment_measure.ijm", images + "/nuclei.tif|" + model + "|" + out);
        runMacro(macros + "/folder.ijm", images + "|" + out + "/folder|" + model);
        File.saveString(getInfo("log"), out + "/ended.txt");
    """
    )
    with real_fiji.display() as screen:
        output = real_fiji.with_window(fiji, whole, screen, done=end.is_file, seconds=300)
    assert end.is_file(), output
    check_one_image(tmp_path / "one.tif")
    check_objects(tmp_path)
    check_folder(tmp_path / "folder")
    assert "2 ok, 0 failed" in end.read_text()
