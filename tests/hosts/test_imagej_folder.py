"""Run Zooferry Model on Folder in plain ImageJ 1.54p: a batch with bad files, killed and started again; full disks."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import plain_imagej
import pytest
import real_fiji
import tifffile
import yaml
from folder_runs import command, rows, write_batch
from make_packages import make_package
from test_imagej import STANDARD, expected, noise

FILES = int(os.environ.get("ZOOFERRY_BATCH_FILES", "100"))  # 1000 take about a minute of CPU more


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
