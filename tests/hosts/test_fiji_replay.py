"""Run Zooferry Model on Folder in a real Fiji's window: its recorded line in a fresh Fiji opens no dialog."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cell_package
import pytest
import real_fiji
import tifffile

from zooferry.cli import main
from zooferry.files import sha256

COMMAND = "Run Zooferry Model on Folder"

# presses OK in each dialog of the command, as a user does
RECORD = """
#@ String given
import json, time
given = json.load(open(given))
from ij import IJ, Prefs
from ij.gui import GenericDialog
from ij.plugin.frame import Recorder
from java.awt import Window
from java.awt.event import ActionEvent
from java.lang import System

IJ.run("Record...")
for key in ("input", "output", "model", "outlines", "rois", "table"):
    Prefs.set("zooferry.run_on_folder." + key, given[key])
IJ.doCommand("Run Zooferry Model on Folder")
asked, until = [], time.time() + 120
while "failed: see" not in " ".join((IJ.getLog() or "").split()) and time.time() < until:
    time.sleep(0.2)
    for window in Window.getWindows():
        if isinstance(window, GenericDialog) and window.isShowing() and window not in asked:
            asked.append(window)
            button = window.getButtons()[0]
            window.actionPerformed(ActionEvent(button, ActionEvent.ACTION_PERFORMED, button.getLabel()))
time.sleep(1.5)
json.dump({"asked": len(asked), "text": Recorder.getInstance().getText()}, open(given["answer"], "w"))
System.exit(0)
"""


def state(folder: Path) -> dict[str, object]:
    """Hashes of the files, and of the table what is no time."""
    found: dict[str, object] = {path.name: sha256(path) for path in folder.iterdir() if path.suffix != ".csv"}
    for path in folder.glob("*.csv"):
        with path.open(encoding="utf-8") as stream:
            found[path.name] = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]
    return found


@pytest.mark.fiji
def test_the_recorded_line_in_a_fresh_fiji(tmp_path: Path) -> None:
    home = real_fiji.copy_fiji(tmp_path)
    source, target, first = (tmp_path / name for name in ("in put", "out put", "first"))
    source.mkdir()
    package = cell_package.cell_package(tmp_path / "cell model")
    for seed in (1, 2):
        tifffile.imwrite(source / f"cells {seed}.tif", cell_package.cells(seed), imagej=True, resolution=(4, 4))
    answer = tmp_path / "answer.json"
    given = {"input": str(source), "output": str(target), "model": str(package), "answer": str(answer)}
    given |= dict.fromkeys(("outlines", "rois", "table"), "true")
    (tmp_path / "given.json").write_text(json.dumps(given))
    (tmp_path / "record.py").write_text(RECORD)
    arguments = ["--run", str(tmp_path / "record.py"), f'given="{tmp_path}/given.json"']
    with real_fiji.display() as screen:
        output = real_fiji.with_window(home, arguments, screen, done=answer.is_file)
    assert answer.is_file(), output
    said = json.loads(answer.read_text())
    assert said["asked"] == 1
    lines = [line for line in said["text"].splitlines() if line.startswith(f'run("{COMMAND}"')]
    assert len(lines) == 1
    assert f"input=[{source}] output=[{target}]" in lines[0]
    assert lines[0].endswith(' outlines rois table");')
    names = {f"cells {seed}{ending}" for seed in (1, 2) for ending in (".tif", "_rois.zip", "_table.csv")}
    assert {path.name for path in target.iterdir()} == {*names, "zooferry_results.csv", "zooferry_results.json"}
    target.rename(first)
    (tmp_path / "replay.ijm").write_text(f'{lines[0]}\nFile.saveString("done", "{tmp_path}/end.txt");\n')
    with real_fiji.display() as screen:
        done = (tmp_path / "end.txt").is_file
        output = real_fiji.with_window(home, ["-macro", str(tmp_path / "replay.ijm")], screen, done=done)
    assert (tmp_path / "end.txt").is_file(), output
    expected = state(first)
    found = state(target)
    for name in [name for name in expected if name.endswith(".zip")]:  # times of its entries
        del expected[name], found[name]
    assert found == expected
    assert main(["predict", str(package), *map(str, sorted(source.iterdir())), "--out", str(tmp_path / "python")]) == 0
    for seed in (1, 2):
        labels = tifffile.imread(target / f"cells {seed}.tif")
        assert (labels == tifffile.imread(tmp_path / "python" / f"cells {seed}_labels.tif")).all()
        assert labels.max() > 40
