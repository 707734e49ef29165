"""Runs inside Java (Jython 2.7): plain ImageJ with its window, used as at the screen; prints what was seen as JSON."""

# ruff: noqa: UP031 - Python 2.7

import json
import os
import sys
import time
import traceback

sys.dont_write_bytecode = True

from ij import IJ, ImageJ, Prefs, WindowManager  # noqa: E402
from ij.gui import GenericDialog, MessageDialog, MultiLineLabel, OvalRoi  # noqa: E402
from ij.plugin.frame import Recorder, RoiManager  # noqa: E402
from java.awt import Button, Dialog, Window  # noqa: E402
from java.awt.event import ActionEvent  # noqa: E402
from java.lang import System  # noqa: E402
from jython_interpreter import make_interpreter  # noqa: E402

PATIENCE, MOMENT = 60, 5  # s
CORRECT = "Correct Zooferry Labels"


def dialogs():
    """Those that are open."""
    return [window for window in Window.getWindows() if isinstance(window, Dialog) and window.isShowing()]


def titles():
    """Of the images that are open."""
    return list(WindowManager.getImageTitles() or [])


def visible(title):
    """Whether there is an image of that title, and its window is on the screen."""
    image = WindowManager.getImage(title)
    return image is not None and image.getWindow() is not None and image.getWindow().isShowing()


def wait(what):
    """Until it is true of something; returns that."""
    until = time.time() + PATIENCE
    while time.time() < until:
        found = what()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("waited in vain; open: %s %s" % ([d.getTitle() for d in dialogs()], titles()))


def press_ok(title):
    """Wait for the dialog of a command, press its OK."""
    fitting = lambda: [d for d in dialogs() if isinstance(d, GenericDialog) and d.getTitle() == title]  # noqa: E731
    dialog = wait(fitting)[0]
    button = next(b for b in dialog.getButtons() if b is not None and b.getLabel().strip() == "OK")
    dialog.actionPerformed(ActionEvent(button, ActionEvent.ACTION_PERFORMED, button.getLabel()))
    wait(lambda: not dialog.isShowing())


def menu_items():
    """Of Plugins > Zooferry."""
    bar = IJ.getInstance().getMenuBar()
    plugins = named([bar.getMenu(i) for i in range(bar.getMenuCount())], "Plugins")
    ours = named([plugins.getItem(i) for i in range(plugins.getItemCount())], "Zooferry")
    return [ours.getItem(i).getLabel() for i in range(ours.getItemCount())]


def named(items, label):
    """The menu item with this label."""
    return next(item for item in items if item.getLabel() == label)


def facts(image):
    """What a result is."""
    own = image.getCalibration()
    return {
        "title": image.getTitle(),
        "shown": visible(image.getTitle()),
        "bits": image.getBitDepth(),
        "pixel": [own.pixelWidth, own.pixelHeight],
        "unit": own.getUnit(),
        "pixels": list(image.getProcessor().getPixels())[:2000],
    }


def by_macro(given):
    """A macro line: no dialog."""
    IJ.open(given["image"])
    IJ.runMacro('run("Run Zooferry Model", "model=[%s]");' % given["model"])
    found = facts(WindowManager.getImage("cells_restored"))
    found["dialogs"] = [dialog.getTitle() for dialog in dialogs()]
    WindowManager.getImage("cells_restored").close()
    return found


def line_of(command):
    """The last line of a command in the Recorder."""
    lines = (Recorder.getInstance().getText() or "").splitlines()
    return ([one for one in lines if one.startswith('run("%s"' % command)] or [""])[-1]


def recorded(command, remembered, done):
    """Choose a command from the menu with the Recorder open; its line when `done` says that it is over, "" if none."""
    for key, value in remembered.items():
        Prefs.set(key, value)
    IJ.doCommand(command)
    press_ok(command)
    wait(done)
    until = time.time() + MOMENT
    while not line_of(command) and time.time() < until:
        time.sleep(0.1)
    return line_of(command)


def record_all(given):
    """Every command at the screen, and its line replayed: the lines, what each gave, and how many dialogs opened."""
    IJ.run("Record...")
    found = {}
    image = WindowManager.getImage("cells.tif")
    WindowManager.setCurrentWindow(image.getWindow())
    remembered = {"zooferry.run.path": given["model"], "zooferry.run.model": "the folder or zip below"}
    command = "Run Zooferry Model"
    line = recorded(command, remembered, lambda: visible("cells_restored"))
    first = facts(WindowManager.getImage("cells_restored"))
    WindowManager.getImage("cells_restored").close()
    found[command] = [line, first, replayed(line, "cells_restored")]
    for command, remembered, done in others(given):
        log = IJ.getLog() or ""
        line = recorded(command, remembered, lambda: done in (IJ.getLog() or "")[len(log) :])  # noqa: B023
        first = (IJ.getLog() or "")[len(log) :]
        log = IJ.getLog()
        IJ.runMacro(line)
        found[command] = [line, first, IJ.getLog()[len(log) :], len(dialogs())]
    return found


def others(given):
    """Command, what its dialog remembers, and the words in the log that end it."""
    folder = {"input": given["source"], "output": given["target"], "model": given["model"]}
    return [
        ("Install Zooferry Model", {"zooferry.install.model": given["zip"]}, "installed"),
        ("Check Zooferry Model", {}, "passes in"),
        (
            "Compare Zooferry Images",
            {"zooferry.compare.actual": "actual_restored", "zooferry.compare.expected": "expected_restored"},
            "agree",
        ),
        (
            "Run Zooferry Model on Folder",
            dict(("zooferry.run_on_folder.%s" % key, value) for key, value in folder.items()),
            "1 ok",
        ),
    ]


def replayed(line, title):
    """What a recorded line makes."""
    WindowManager.setCurrentWindow(WindowManager.getImage("cells.tif").getWindow())
    IJ.runMacro(line)
    found = facts(WindowManager.getImage(title))
    found["dialogs"] = len(dialogs())
    return found


def refused(given):
    """A model that is none: the text of the only dialog."""
    before = titles()
    Prefs.set("zooferry.run.path", given["broken"])
    Prefs.set("zooferry.run.model", "the folder or zip below")
    WindowManager.setCurrentWindow(WindowManager.getImage("cells.tif").getWindow())
    IJ.doCommand("Run Zooferry Model")
    press_ok("Run Zooferry Model")
    wait(lambda: [dialog for dialog in dialogs() if isinstance(dialog, MessageDialog)])
    time.sleep(0.5)
    opened = dialogs()
    field = MultiLineLabel.getDeclaredField("lines")
    field.setAccessible(True)
    labels = [part for part in components(opened[0]) if isinstance(part, MultiLineLabel)]
    said = [opened[0].getTitle(), " ".join(" ".join(field.get(label)) for label in labels)]
    for dialog in opened:
        dialog.dispose()
    wait(lambda: not dialogs())
    return {"dialogs": len(opened), "said": said, "before": before, "after": titles()}


def corrected(given):
    """Correct Zooferry Labels at the screen: draw, save, next image, stop; what its window said and what was open."""
    for key, value in (("image", given["two"]), ("labels", ""), ("output", given["pairs"])):
        Prefs.set("zooferry.correct_labels." + key, value)
    line = recorded(CORRECT, {}, lambda: windows(CORRECT))
    window, found = windows(CORRECT)[0], {"line": line}
    image = WindowManager.getImage("a.tif")
    image.setRoi(OvalRoi(10, 12, 20, 15))
    press(window, "Save training pair")
    found["drawn"] = wait(lambda: [words for words in said_in(window) if "A selection is drawn" in words])
    RoiManager.getInstance().addRoi(image.getRoi())
    press(window, "Save training pair")
    found["saved"] = wait(lambda: [words for words in said_in(window) if words.startswith("Saved")])
    press(window, "Next image")
    wait(lambda: visible("b.tif") and enabled(window, "Stop"))
    found["next"] = [titles(), RoiManager.getInstance().getCount(), enabled(window, "Next image")]
    press(window, "Stop")
    wait(lambda: not window.isShowing())
    found["log"] = IJ.getLog()
    return found


def windows(title):
    """Those that are open and no dialogs of ImageJ."""
    return [d for d in dialogs() if d.getTitle() == title and not isinstance(d, (GenericDialog, MessageDialog))]


def button_of(window, label):
    """A button by its words."""
    return next(part for part in components(window) if isinstance(part, Button) and part.getLabel() == label)


def enabled(window, label):
    """Whether a button can be pressed."""
    return button_of(window, label).isEnabled()


def press(window, label):
    """A button, when it can be pressed."""
    wait(lambda: enabled(window, label))
    button = button_of(window, label)
    for listener in button.getActionListeners():
        listener.actionPerformed(ActionEvent(button, ActionEvent.ACTION_PERFORMED, label))


def said_in(window):
    """The words of a window."""
    field = MultiLineLabel.getDeclaredField("lines")
    field.setAccessible(True)
    labels = [part for part in components(window) if isinstance(part, MultiLineLabel)]
    return [" ".join(field.get(label)).strip() for label in labels]


def components(container):
    """All of them, at any depth."""
    found = list(container.getComponents())
    return found + [part for one in found if hasattr(one, "getComponents") for part in components(one)]


def main(path):
    with open(path) as stream:
        given = json.load(stream)
    sys.path.insert(0, os.path.join(System.getProperty("plugins.dir"), "jars", "Lib"))
    make_interpreter()
    ImageJ()
    seen = {}
    try:
        seen["menu"] = menu_items()
        seen["macro"] = by_macro(given)
        seen["recorded"] = record_all(given)
        seen["refused"] = refused(given)
        seen["corrected"] = corrected(given)
    except:  # noqa: E722, Java's as well
        seen["wrong"] = repr(sys.exc_info()[1]) + "".join(traceback.format_tb(sys.exc_info()[2]))
        seen["log"] = IJ.getLog()
    with open(given["answer"], "w") as stream:
        json.dump(seen, stream)
    System.exit(0)


main(sys.argv[1])
