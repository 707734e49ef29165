"""Run Zooferry Model in a real Fiji: what a result keeps, and the recorded line replayed in a fresh Fiji."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import real_fiji
import tifffile
from test_imagej import TESTS, noise
from test_imagej_results import make_models

CHECK = """
#@ String given
#@output String status
import json, sys, traceback
sys.dont_write_bytecode = True
given = json.load(open(given))
sys.path.insert(0, given["hosts"])
from ij import IJ, WindowManager
from java.lang import System, Thread
import jython_results

def restore(image, options):
    if WindowManager.getImage(image.getID()) is None:
        image.show()
    IJ.selectWindow(image.getID())
    before = set(WindowManager.getIDList())
    IJ.run(image, "Run Zooferry Model", options)
    made = set(WindowManager.getIDList()) - before
    if len(made) != 1:
        raise AssertionError("%s made %d images" % (options, len(made)))
    return WindowManager.getImage(made.pop())

try:
    wrong = jython_results.check_all(restore, given["models"])
except:
    wrong = [traceback.format_exc()]
json.dump(wrong, open(given["answer"], "w"))
System.exit(len(wrong))
"""

# presses OK in each dialog of the command, as a user does
RECORD = """
#@ String given
import json, sys, time
given = json.load(open(given))
from ij import IJ, Prefs, WindowManager
from ij.gui import GenericDialog
from ij.plugin.frame import Recorder
from java.awt import Window
from java.awt.event import ActionEvent
from java.lang import System

IJ.run("Record...")
image = IJ.openImage(given["image"])
image.show()
Prefs.set("zooferry.run.path", given["model"])
Prefs.set("zooferry.run.model", "the folder or zip below")
IJ.doCommand("Run Zooferry Model")
asked = []
while WindowManager.getImage("stack_restored") is None and len(asked) < 5:
    time.sleep(0.2)
    for window in Window.getWindows():
        if isinstance(window, GenericDialog) and window.isShowing() and window not in asked:
            asked.append(window)
            button = window.getButtons()[0]
            window.actionPerformed(ActionEvent(button, ActionEvent.ACTION_PERFORMED, button.getLabel()))
time.sleep(1.5)
IJ.saveAsTiff(WindowManager.getImage("stack_restored"), given["result"])
json.dump({"asked": len(asked), "text": Recorder.getInstance().getText()}, open(given["answer"], "w"))
System.exit(0)
"""


@pytest.fixture(scope="module")
def fiji(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_fiji.copy_fiji(tmp_path_factory.mktemp("fiji"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_models(tmp_path_factory.mktemp("mod els") / "models")


@pytest.mark.fiji
@pytest.mark.parametrize("windows", [False, True], ids=["headless", "windows"])
def test_what_a_result_keeps(fiji: Path, models: Path, tmp_path: Path, windows: bool) -> None:
    given, answer, script = tmp_path / "given.json", tmp_path / "answer.json", tmp_path / "check.py"
    script.write_text(CHECK)
    given.write_text(json.dumps({"hosts": str(TESTS / "hosts"), "models": str(models), "answer": str(answer)}))
    arguments = ["--run", str(script), f'given="{given}"']
    if windows:
        with real_fiji.display() as screen:
            output = real_fiji.with_window(fiji, arguments, screen, done=answer.is_file)
    else:
        output = real_fiji.headless(fiji, arguments)[1]
    assert answer.is_file(), output
    assert json.loads(answer.read_text()) == [], output


@pytest.mark.fiji
def test_the_recorded_line_needs_no_dialog(fiji: Path, models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bil der"
    folder.mkdir()
    stack = np.stack([noise(40, 60, seed=i) for i in range(4)]).reshape(2, 2, 40, 60)
    tifffile.imwrite(folder / "stack.tif", stack, imagej=True, metadata={"axes": "ZCYX"})
    answer, first, second = tmp_path / "answer.json", tmp_path / "first.tif", tmp_path / "second.tif"
    given = {"image": str(folder / "stack.tif"), "model": str(models / "plain"), "answer": str(answer)}
    (tmp_path / "given.json").write_text(json.dumps({**given, "result": str(first)}))
    (tmp_path / "record.py").write_text(RECORD)
    arguments = ["--run", str(tmp_path / "record.py"), f'given="{tmp_path}/given.json"']
    with real_fiji.display() as screen:
        output = real_fiji.with_window(fiji, arguments, screen, done=answer.is_file)
    assert answer.is_file(), output
    said = json.loads(answer.read_text())
    assert said["asked"] == 2  # the settings, and which channels
    line = next(line for line in said["text"].splitlines() if line.startswith('run("Run Zooferry Model"'))
    assert line == f'run("Run Zooferry Model", "model=[{models}/plain] channels=each");'
    macro = tmp_path / "replay.ijm"
    macro.write_text(
        f'open("{folder}/stack.tif");\n{line}\nselectImage("stack_restored");\nsaveAs("tiff", "{second}");\n'
    )
    with real_fiji.display() as screen:
        output = real_fiji.with_window(fiji, ["-macro", str(macro)], screen, done=second.is_file)
    assert second.is_file(), output
    np.testing.assert_array_equal(tifffile.imread(first), tifffile.imread(second))
