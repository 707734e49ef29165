"""Run Zooferry Model on Folder in plain ImageJ 1.54p, many small folders in one JVM: files, settings, escape."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import label_packages
import numpy as np
import plain_imagej
import pytest
import tifffile
from folder_runs import command, rows, write_batch
from make_packages import make_package
from test_imagej import STANDARD, expected, noise

from zooferry.package import open_package
from zooferry.running import run_package

TESTS = Path(__file__).resolve().parent.parent
SOURCE, TARGET = "b\u00fclder \u4e2d", "\u00fc out \u4e2d"
TABLES = """
import sys
sys.path.insert(0, {tests!r})
import fiji_folder_tables
fiji_folder_tables.run_all()
from ij import IJ
IJ.log("tables agree")
"""
ESCAPE = """
from ij import IJ
from java.lang import Runnable, Thread
import os, time
class Press(Runnable):
    def run(self):
        while not os.path.isfile({result!r}):
            time.sleep(0.01)
        IJ.setKeyDown(27)
Thread(Press()).start()
"""


def write_cells(folder: Path) -> Path:
    """Images of one and of two planes, and beside them the package that finds their cells."""
    heads = [label_packages.heads_of("star_convex", seed) for seed in (1, 2)]
    label_packages.declared_package(folder / "stars", "star_convex", heads[0])
    size = {"resolution": (2.0, 2.0), "metadata": {"unit": "um", "axes": "ZCYX"}}
    tifffile.imwrite(folder / "one.tif", heads[0][None], imagej=True, **size)
    tifffile.imwrite(folder / "two.tif", np.stack(heads), imagej=True, **size)
    return folder


def check_cells(source: Path, target: Path) -> None:
    """Labels, overlay, ROI zip and table of each image tell of the same cells, those that Python finds."""
    kept = {f"{name}{ending}" for name in ("one", "two") for ending in (".tif", "_rois.zip", "_table.csv")}
    assert {path.name for path in target.iterdir()} == {*kept, "zooferry_results.csv", "zooferry_results.json"}
    assert {name for row in rows(target) for name in row["results"].split("|")} == kept
    for name, seeds in (("one", (1,)), ("two", (1, 2))):
        planes, highest = [], 0
        with open_package(source / "stars") as package:
            for seed in seeds:
                heads = label_packages.heads_of("star_convex", seed)
                found = run_package(package, {"raw": heads[None]})["labels"][0, 0]
                planes.append(np.where(found, found + highest, 0))
                highest += int(found.max())
        with tifffile.TiffFile(target / f"{name}.tif") as file:
            np.testing.assert_array_equal(file.asarray(), np.squeeze(planes))
            outlines = file.imagej_metadata["Overlays"]
        with zipfile.ZipFile(target / f"{name}_rois.zip") as archive:
            assert archive.namelist() == [f"{label:05}.roi" for label in range(1, highest + 1)]
        assert len(outlines) == highest > 5 * len(seeds)
        with (target / f"{name}_table.csv").open() as stream:
            table = list(csv.DictReader(stream))
        sizes = np.bincount(np.ravel(planes))[1:]
        assert [float(row["Area"]) for row in table] == pytest.approx(sizes / 4)


COMPRESSED = {
    "lzw": {"compression": "lzw", "rowsperstrip": 16},
    "predicted": {"compression": "lzw", "predictor": True},
    "packbits": {"compression": "packbits", "rowsperstrip": 7},
    "zlib": {"compression": "zlib", "rowsperstrip": 16},
}


def write_compressed(folder: Path) -> Path:
    """Of each kind a good file, one whose last strip is only half as long, and one with a hole in its first strip."""
    folder.mkdir()
    for number, (kind, options) in enumerate(COMPRESSED.items()):
        paths = [folder / f"{kind} {state}.tif" for state in ("good", "half", "hole")]
        image = noise(40, 44) if number % 2 else (noise(40, 44) // 2).astype(np.uint8)
        for path in paths:
            tifffile.imwrite(path, image, photometric="minisblack", **options)
        with tifffile.TiffFile(paths[0]) as file:
            page = file.pages[0]
            first, length = page.dataoffsets[0], page.databytecounts[0]
            counts = page.tags["StripByteCounts"]
        with tifffile.TiffFile(paths[1], mode="r+") as file:
            halved = [*page.databytecounts[:-1], page.databytecounts[-1] // 2]
            file.pages[0].tags["StripByteCounts"].overwrite(halved if counts.count > 1 else halved[0])
        content = bytearray(paths[2].read_bytes())
        content[first + length // 2 : first + length // 2 + 40] = b"\xff" * 40
        paths[2].write_bytes(bytes(content))
    return folder


def check_compressed(source: Path, target: Path, package: Path) -> None:
    """What is damaged is a row of its own."""
    table = {row["file"].removesuffix(".tif"): row for row in rows(target)}
    good = {f"{kind} good" for kind in COMPRESSED}
    assert {name for name, row in table.items() if row["status"] == "ok"} == good, table
    for name, row in table.items():
        if name.endswith("good"):
            wanted = expected(package, tifffile.imread(source / f"{name}.tif")[None], STANDARD)[0]
            np.testing.assert_allclose(tifffile.imread(target / f"{name}.tif"), wanted, rtol=1e-4, atol=1e-4)
        elif name != "packbits hole":  # of the right length, and yet ImageJ cannot read it
            assert "the file is damaged: compressed pixels cannot be unpacked (" in row["message"]
    assert "strip 3: " in table["lzw half"]["message"]
    assert "of 352 bytes" in table["lzw half"]["message"]
    assert "strip 1: " in table["lzw hole"]["message"]
    assert "strip 6: " in table["packbits half"]["message"]


def check_rows(source: Path, target: Path, package: Path) -> None:
    """Rows, pixels and calibration."""
    found = {row["file"]: row for row in rows(target)}
    assert set(found) == {"a.tif", "tag 1 \u00e4/\u7ec6\u80de.TIF", "tag 1 \u00e4/bad.tif"}
    row = found["tag 1 \u00e4/\u7ec6\u80de.TIF"]
    sizes = [row[key] for key in ("width", "height", "channels", "slices", "frames", "bit_depth", "tile")]
    assert sizes == ["44", "40", "1", "3", "1", "16", "40 x 44"]
    assert row["results"] == "tag 1 \u00e4/\u7ec6\u80de.tif"
    assert "ONNX Runtime" in row["engine"]
    assert len(row["weights_sha256"]) == 64
    assert float(row["seconds"]) > 0
    pixels = tifffile.imread(target / row["results"])
    for z in range(3):
        wanted = expected(package, tifffile.imread(source / row["file"])[z][None], STANDARD)[0]
        np.testing.assert_allclose(pixels[z], wanted, rtol=1e-4, atol=1e-4)
    with tifffile.TiffFile(target / "a.tif") as file:
        across = file.pages[0].tags["XResolution"].value
        assert across[1] / across[0] == pytest.approx(0.25)
        assert "zooferry" in file.imagej_metadata["Info"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images in `source`, and the package `pack age_\u00fc` that restores them; `cells`, `packed` and `many`."""
    folder = tmp_path_factory.mktemp("folders")
    make_package(folder / "pack age_\u00fc", steps=STANDARD)
    inner = folder / SOURCE / "tag 1 \u00e4"
    inner.mkdir(parents=True)
    size = {"resolution": (4.0, 4.0), "metadata": {"unit": "um"}}
    tifffile.imwrite(folder / SOURCE / "a.tif", noise(40, 44), imagej=True, **size)
    tifffile.imwrite(inner / "\u7ec6\u80de.TIF", noise(3, 40, 44), imagej=True, metadata={"axes": "ZYX"})
    (inner / "bad.tif").write_bytes(b"")
    (folder / SOURCE / "a.png").write_bytes(b"no image")
    tifffile.imwrite(folder / "good.tif", noise(20, 24), imagej=True)
    write_cells(folder / "cells")
    write_compressed(folder / "packed")
    write_batch(folder / "many", 40)
    return folder


def macros(folder: Path) -> dict[str, str]:
    """What is asked -> macro code with one line of the command."""
    source, target, package = folder / SOURCE, folder / TARGET, folder / "pack age_\u00fc"
    cells, segmented, stars = folder / "cells", folder / "segmented", folder / "cells" / "stars"
    first = command(source, target, package, "recursive")
    labels = command(cells, segmented, stars, "outlines rois table")
    repair = f'File.copy("{folder}/good.tif", "{source}/tag 1 \u00e4/bad.tif"); wait(1100);'
    return {
        "first": first + ' print("and goes on");',
        "again": first,
        "tile": command(source, target, package, "recursive tile=32"),
        "pattern": command(source, target, package, "recursive pattern=*.czi"),
        "over itself": command(source, source, package, "recursive"),
        "model": command(source, target, folder / "nothing", "recursive"),
        "engine": command(source, target, package, "recursive engine=magic"),
        "no labels": command(source, folder / "none", package, "outlines table"),
        "a path": command(source, folder / "none", package, "rois=somewhere.zip"),
        "labels": labels,
        "no table": command(cells, segmented, stars, "outlines rois"),
        "lost": f'File.delete("{segmented}/two_rois.zip"); ' + labels,
        "packed": command(folder / "packed", folder / "unpacked", package),
        "escape": 'run("Press Escape");' + command(folder / "many", folder / "stopped", package),
        "repaired": repair + first,
        "exit": command(source, target, package, "recursive exit=true"),
    }


@pytest.fixture(scope="module")
def answer(folder: Path) -> plain_imagej.Answer:
    home = plain_imagej.make_home(folder / "Image J")
    (home / "plugins" / "Check_Tables.py").write_text(TABLES.format(tests=str(TESTS)))
    stop_at = folder / "stopped" / "cell 0003.tif"
    (home / "plugins" / "Press_Escape.py").write_text(ESCAPE.format(result=str(stop_at)))
    return plain_imagej.run(home, ['run("Check Tables");', *macros(folder).values()])


@pytest.fixture(scope="module")
def said(answer: plain_imagej.Answer, folder: Path) -> dict[str, str]:
    """What is asked -> what the command said."""
    begin = "Run Zooferry Model on Folder: "
    lines = [line.removeprefix(begin) for line in answer.output.splitlines() if line.startswith(begin)]
    return dict(zip(macros(folder), lines, strict=True))


@pytest.mark.jvm
def test_the_tables_in_jython(answer: plain_imagej.Answer) -> None:
    assert "tables agree" in answer.output, answer.output


REFUSED = {
    "tile": "holds results for another tile (0, now 32): choose another output folder",
    "pattern": "no file in",
    "over itself": "would overwrite the images",
    "model": "there is no model",
    "engine": "engine is magic: allowed are",
    "no labels": "Tiny test network makes no labels: leave outlines and table away",
    "a path": "rois is somewhere.zip: allowed are yes and no",
    "no table": "holds results for another table (yes, now no)",
}


@pytest.mark.jvm
def test_refusals(said: dict[str, str], folder: Path) -> None:
    for asked, words in REFUSED.items():
        assert words in said[asked]
    assert not (folder / "none").exists()


@pytest.mark.jvm
def test_sub_folders_and_a_file_that_was_repaired(
    answer: plain_imagej.Answer, said: dict[str, str], folder: Path
) -> None:
    table = folder / TARGET / "zooferry_results.csv"
    assert [said[asked] for asked in ("first", "again")] == [f"2 ok, 1 failed: see {table}"] * 2
    assert "and goes on" in answer.output
    assert "Zooferry: tag 1 \u00e4/bad.tif: the file is empty" in answer.output
    assert [said[asked] for asked in ("repaired", "exit")] == [f"3 ok, 0 failed: see {table}"] * 2
    assert answer.code == 0
    check_rows(folder / SOURCE, folder / TARGET, folder / "pack age_\u00fc")


@pytest.mark.jvm
def test_labels_with_outlines_zip_and_table(said: dict[str, str], folder: Path) -> None:
    table = folder / "segmented" / "zooferry_results.csv"
    assert [said[asked] for asked in ("labels", "lost")] == [f"2 ok, 0 failed: see {table}"] * 2
    check_cells(folder / "cells", folder / "segmented")


@pytest.mark.jvm
def test_compressed_files(said: dict[str, str], folder: Path) -> None:
    assert said["packed"].startswith("4 ok, 8 failed: see")
    check_compressed(folder / "packed", folder / "unpacked", folder / "pack age_\u00fc")


@pytest.mark.jvm
def test_escape(said: dict[str, str], folder: Path) -> None:
    done = rows(folder / "stopped")
    assert said["escape"].startswith(f"cancelled: {len(done)} ok, 0 failed, {40 - len(done)} not done: see")
    assert 3 <= len(done) < 12  # those before the key was pressed, and what was begun
    assert {row["status"] for row in done} == {"ok"}
    assert len(list((folder / "stopped").iterdir())) == len(done) + 2
