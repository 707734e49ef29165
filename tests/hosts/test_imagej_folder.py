"""Run Zooferry Model on Folder in plain ImageJ 1.54p: a batch with bad files, killed and started again; refusals."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import subprocess
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import label_packages
import numpy as np
import plain_imagej
import pytest
import real_fiji
import tifffile
import yaml
from make_packages import make_package
from test_imagej import STANDARD, expected, noise

from zooferry.package import open_package
from zooferry.running import run_package

FILES = int(os.environ.get("ZOOFERRY_BATCH_FILES", "100"))  # 1000 take about a minute of CPU more
TESTS = Path(__file__).resolve().parent.parent
TABLES = """
import sys
sys.path.insert(0, {tests!r})
import fiji_folder_tables
fiji_folder_tables.run_all()
from ij import IJ
IJ.log("tables agree")
"""


def command(source: Path, target: Path, model: Path, more: str = "") -> str:
    """The macro line of the folder command."""
    options = f"input=[{source}] output=[{target}] model=[{model}] threads=1 {more}"
    return f'run("Run Zooferry Model on Folder", "{options.strip()}");'


def rows(target: Path) -> list[dict[str, str]]:
    """The table, read by Python's csv; a last line without an end is left out."""
    path = target / "zooferry_results.csv"
    content = path.read_text(encoding="utf-8") if path.is_file() else ""
    return list(csv.DictReader(content[: content.rfind("\n") + 1].splitlines()))


def fix_size(package: Path, length: int) -> Path:
    """The network takes one size only."""
    description = yaml.safe_load((package / "rdf.yaml").read_text())
    for axis in description["inputs"][0]["axes"][2:]:
        axis["size"] = length
    for axis in description["outputs"][0]["axes"][2:]:
        axis.pop("halo", None)
    (package / "rdf.yaml").write_text(yaml.safe_dump(description, sort_keys=False))
    return package


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plain_imagej.make_home(tmp_path_factory.mktemp("plain") / "Image J")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_package(tmp_path_factory.mktemp("packages") / "pack age_\u00fc", steps=STANDARD)


def write_batch(folder: Path, count: int) -> set[str]:
    """Images of 32 x 32, one in twenty bad in one of five ways; returns the names of the bad ones."""
    bad = set()
    folder.mkdir()
    for number in range(count):
        path = folder / f"cell {number:04d}.tif"
        image = noise(32, 32, seed=number)
        kind = (number // 20) % 5 if number % 20 == 13 else None
        if kind == 0:
            tifffile.imwrite(path, image, imagej=True)
            path.write_bytes(path.read_bytes()[:-300])
        elif kind == 1:
            path.write_bytes(b"")
        elif kind == 2:
            tifffile.imwrite(path, np.zeros((32, 32, 3), np.uint8), photometric="rgb")
        elif kind == 3:
            tifffile.imwrite(path, noise(48, 32), imagej=True)
        elif kind == 4:
            path.write_bytes(b"this is no image\n" * 20)
        else:
            tifffile.imwrite(path, image, imagej=True, resolution=(4.0, 4.0), metadata={"unit": "um"})
        if kind is not None:
            bad.add(path.name)
    return bad


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


def kill_at(home: Path, macro: str, target: Path, count: int) -> None:
    """Start the batch and kill Java once the table has so many rows."""
    process = plain_imagej.start(home, [macro])
    try:
        until = time.monotonic() + 300
        while len(rows(target)) < count and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()[0]
    finally:
        process.kill()
        process.communicate()
    assert len(rows(target)) >= count


@pytest.mark.jvm
def test_a_batch_killed_three_times(home: Path, tmp_path: Path) -> None:
    package = fix_size(make_package(tmp_path / "fixed", steps=STANDARD), 32)
    source, target = tmp_path / "source", tmp_path / "target"
    bad = write_batch(source, FILES)
    macro = command(source, target, package, "exit=true")
    seen: dict[str, tuple[dict[str, str], int]] = {}
    for part in (0.2, 0.5, 0.8):
        kill_at(home, macro, target, int(part * FILES))
        for row in rows(target):
            if row["status"] == "ok":
                state = (row, (target / row["results"]).stat().st_mtime_ns)
                assert seen.setdefault(row["file"], state) == state, "done twice"
        with (target / "zooferry_results.csv").open("ab") as stream:
            stream.write(b'cell 9999.tif,ok,0.1,"32')  # a line that the kill cut off
    answer = plain_imagej.run(home, [macro])
    assert answer.code == 1, answer.output
    assert f"{FILES - len(bad)} ok, {len(bad)} failed: see {target / 'zooferry_results.csv'}" in answer.output
    table = rows(target)
    assert Counter(row["file"] for row in table) == Counter(path.name for path in source.iterdir())
    assert {row["file"] for row in table if row["status"] == "failed"} == bad
    assert len(bad) == FILES // 20
    reasons = Counter(row["message"].split(":")[0] for row in table if row["status"] == "failed")
    assert len(reasons) >= 5, reasons
    for row in table:
        if row["status"] == "ok":
            known = seen.get(row["file"])
            assert known is None or known == (row, (target / row["results"]).stat().st_mtime_ns), "done twice"
    made = {path.name for path in target.iterdir()}
    assert made == {row["file"] for row in table if row["status"] == "ok"} | {
        "zooferry_results.csv",
        "zooferry_results.json",
    }
    for name in sorted(made)[:: max(1, FILES // 20)][:15]:
        if name.endswith(".tif"):
            wanted = expected(package, tifffile.imread(source / name)[None], STANDARD)[0]
            np.testing.assert_allclose(tifffile.imread(target / name), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.jvm
def test_sub_folders_retry_and_other_settings(home: Path, package: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "b\u00fclder \u4e2d", tmp_path / "\u00fc out \u4e2d"
    (source / "tag 1 \u00e4").mkdir(parents=True)
    tifffile.imwrite(source / "a.tif", noise(40, 44), imagej=True, resolution=(4.0, 4.0), metadata={"unit": "um"})
    tifffile.imwrite(
        source / "tag 1 \u00e4" / "\u7ec6\u80de.TIF", noise(3, 40, 44), imagej=True, metadata={"axes": "ZYX"}
    )
    (source / "tag 1 \u00e4" / "bad.tif").write_bytes(b"")
    (source / "a.png").write_bytes(b"no image")
    (home / "plugins" / "Tests").mkdir()
    (home / "plugins" / "Tests" / "Check_Tables.py").write_text(TABLES.format(tests=str(TESTS)))
    tifffile.imwrite(tmp_path / "good.tif", noise(20, 24), imagej=True)
    cells, segmented = write_cells(tmp_path / "cells"), tmp_path / "segmented"
    labels = command(cells, segmented, tmp_path / "cells" / "stars", "outlines rois table")
    packed, unpacked = write_compressed(tmp_path / "packed"), tmp_path / "unpacked"
    repair = f'File.copy("{tmp_path}/good.tif", "{source}/tag 1 \u00e4/bad.tif"); wait(1100);'
    first = command(source, target, package, "recursive")
    macros = [
        'run("Check Tables");',
        first + ' print("and goes on");',
        first,
        command(source, target, package, "recursive tile=32"),
        command(source, target, package, "recursive pattern=*.czi"),
        command(source, source, package, "recursive"),
        command(source, target, tmp_path / "nothing", "recursive"),
        command(source, target, package, "recursive engine=magic"),
        command(source, tmp_path / "none", package, "outlines table"),
        command(source, tmp_path / "none", package, "rois=somewhere.zip"),
        labels,
        command(cells, segmented, tmp_path / "cells" / "stars", "outlines rois"),
        f'File.delete("{segmented}/two_rois.zip"); ' + labels,
        command(packed, unpacked, package),
        repair + first,
        command(source, target, package, "recursive exit=true"),
    ]
    answer = plain_imagej.run(home, macros)
    lines = [line.partition(": ")[2] for line in answer.output.splitlines() if line.startswith("Run Zooferry Model on")]
    table = target / "zooferry_results.csv"
    assert "tables agree" in answer.output
    assert "and goes on" in answer.output
    assert lines[:2] == [f"2 ok, 1 failed: see {table}"] * 2
    assert "holds results for another tile (0, now 32): choose another output folder" in lines[2]
    assert "no file in" in lines[3]
    assert "would overwrite the images" in lines[4]
    assert "there is no model" in lines[5]
    assert "engine is magic: allowed are" in lines[6]
    assert "Tiny test network makes no labels: leave outlines and table away" in lines[7]
    assert "rois is somewhere.zip: allowed are yes and no" in lines[8]
    assert not (tmp_path / "none").exists()
    assert "holds results for another table (yes, now no)" in lines[10]
    assert [lines[9], lines[11]] == [f"2 ok, 0 failed: see {segmented / 'zooferry_results.csv'}"] * 2
    check_cells(cells, segmented)
    check_compressed(packed, unpacked, package)
    assert lines[13:] == [f"3 ok, 0 failed: see {table}"] * 2
    assert answer.code == 0, answer.output
    check_sub_folders(source, target, package)


def check_sub_folders(source: Path, target: Path, package: Path) -> None:
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


@pytest.mark.jvm
def test_escape_and_a_missing_engine(home: Path, package: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    write_batch(source, 40)
    (home / "plugins" / "Press_Escape.py").write_text(ESCAPE.format(result=str(target / "cell 0003.tif")))
    refused = plain_imagej.run(home, [command(source, target, package, "exit")], without="onnxruntime")
    assert refused.code == 1
    assert "ONNX Runtime is not installed: run zooferry fiji install" in refused.output
    assert not target.exists()
    answer = plain_imagej.run(home, ['run("Press Escape");' + command(source, target, package, "exit")])
    done = rows(target)
    assert answer.code == 1
    assert f"cancelled: {len(done)} ok, 0 failed, {40 - len(done)} not done: see" in answer.output
    assert 3 <= len(done) < 12  # those before the key was pressed, and what was begun
    assert {row["status"] for row in done} == {"ok"}
    assert len(list(target.iterdir())) == len(done) + 2


@contextlib.contextmanager
def small_disk(folder: Path, *, options: str) -> Iterator[Path]:
    """A file system of its own; skips where only root may mount."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.jvm
@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount command")
def test_a_full_disk_and_a_read_only_folder(home: Path, package: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(6):
        tifffile.imwrite(source / f"{number}.tif", noise(300, 300, seed=number), imagej=True)
    with contextlib.ExitStack() as disks:
        full, crowded = (disks.enter_context(small_disk(tmp_path / name, options="size=1m")) for name in ("full", "no"))
        locked = disks.enter_context(small_disk(tmp_path / "ro", options="ro"))
        with contextlib.suppress(OSError), (crowded / "filling").open("wb", buffering=0) as stream:
            while stream.write(bytes(4096)):
                pass
        macros = [
            command(source, locked, package),
            command(source, crowded, package),
            command(source, full / "out", package, "exit=true"),
        ]
        answer = plain_imagej.run(home, macros)
        lines = [line for line in answer.output.splitlines() if line.startswith("Run Zooferry Model on")]
        assert "cannot write into" in lines[0], answer.output
        assert "is the disk full, the folder read-only?" in lines[1], answer.output
        assert [path.name for path in crowded.iterdir()] == ["filling"]
        assert "2 ok, 4 failed" in lines[2], answer.output
        table = rows(full / "out")
        assert [row["status"] for row in table] == ["ok"] * 2 + ["failed"] * 4
        assert all("the disk is full: the result takes" in row["message"] for row in table[2:])
        names = sorted(path.name for path in (full / "out").iterdir())
        assert names == ["0.tif", "1.tif", "zooferry_results.csv", "zooferry_results.json"]
        assert answer.code == 1


@pytest.mark.fiji
def test_in_fiji_with_bioformats(package: Path, tmp_path: Path) -> None:
    # Bio-Formats makes the pixels of a .fake from its name; an OME-TIFF of three frames keeps them as frames
    fiji = real_fiji.copy_fiji(tmp_path)
    source, target = tmp_path / "r\u00e4w \u4e2d", tmp_path / "out"
    source.mkdir()
    (source / "cells&series=2&sizeX=40&sizeY=32&sizeT=2.fake").write_bytes(b" ")
    tifffile.imwrite(source / "movie.ome.tif", noise(3, 32, 40), metadata={"axes": "TYX", "PhysicalSizeX": 0.25})
    tifffile.imwrite(source / "plain.tif", noise(32, 40), imagej=True)
    (source / "broken.czi").write_bytes(b"ZISRAWFILE" + bytes(range(200)))
    script = str(fiji / "scripts" / "Plugins" / "Zooferry" / "Run_Zooferry_Model_on_Folder.py")
    settings = f'input="{source}",output="{target}",model="{package}",exit=true,pattern="*.tif;*.fake'
    code, output = real_fiji.headless(fiji, ["--run", script, settings + ';*.czi"'])
    found = {row["file"].split("&")[0]: row for row in rows(target)}
    assert code == 1, output
    assert "3 ok, 1 failed" in output
    assert "Bio-Formats cannot read it" in found["broken.czi"]["message"]
    assert [found["movie.ome.tif"][key] for key in ("channels", "slices", "frames")] == ["1", "1", "3"]
    assert found["cells"]["results"].count("_series") == 2
    for name in found["cells"]["results"].split("|"):
        with tifffile.TiffFile(target / name) as file:
            assert file.series[0].axes == "TYX"
            assert file.series[0].shape == (2, 32, 40)
    (source / "broken.czi").unlink()
    code, output = real_fiji.headless(fiji, ["--run", script, settings + '"'])
    assert code == 0, output
    assert "3 ok, 0 failed" in output
