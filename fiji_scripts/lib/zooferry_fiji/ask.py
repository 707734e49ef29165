"""Questions to the user of Run Zooferry Model, and the line that the Recorder writes.

Plain ImageJ does not know a script's #@ lines: there the macro's options are read here. In Fiji they come as the
script's parameters.
"""

import os

from ij import IJ, Macro, Prefs, WindowManager
from ij.gui import GenericDialog
from ij.plugin.frame import Recorder
from java.awt import GraphicsEnvironment
from java.lang import Thread

from . import models
from .errors import CancelledError
from .settings import KEYS
from .titles import sentence

TITLE = "Run Zooferry Model"
OTHER = "the folder or zip below"
ALL_PLANES, CURRENT = "all slices and frames", "the current one only"
FITTING, EACH = "those that the model takes", "each, one after the other"
RESCALE = "rescale brings a copy of the image to that pixel size, runs the model and brings the result back"
AFTER_FIJI = 500  # ms
HELP = (
    "<html><h3>Run Zooferry Model</h3>"
    "<b>model</b>: what is installed in Fiji's folder <i>models</i>, or any bioimage.io package (zip, or rdf.yaml of "
    "an unpacked one).<br>"
    "<b>planes</b>, <b>channels</b>: which of a stack or hyperstack.<br>"
    "<b>region</b>: the visible region (or the selection) of the current plane is a quick preview; its pixels are "
    "those that the whole image would have.<br>"
    "<b>rescale</b>: brings the image to the pixel size of the training data, and the result back.<br>"
    "<b>diameter</b>: of the objects in this image, for models that have learnt one size.<br>"
    "<b>tile</b>: 0 chooses it from the free memory; the result is the same.<br><br>"
    "ESC stops a run. The result is a new 32-bit image; this one stays as it is."
)


def somebody_there():
    """Whether questions can be answered: a window, and no macro that runs."""
    return has_window() and not IJ.isMacro() and Macro.getOptions() is None


def has_window():
    """Whether there is a display, and ImageJ's window on it."""
    return IJ.getInstance() is not None and not GraphicsEnvironment.isHeadless()


def run_settings(image, given):
    """Image, and settings as texts, of Run Zooferry Model; None if the user cancels.

    Parameters
    ----------
    image : ImagePlus, list of them, or None
        None: the active image.
    given : dict
        The script's parameters, with None for what was not given. The keys are those of a recorded macro line.
    """
    if image is None:
        image = WindowManager.getCurrentImage()
    options = Macro.getOptions()
    if options is not None and not given.get("model"):
        given = dict((key, Macro.getValue(options, key, given.get(key) or "")) for key in KEYS)
    if given.get("model") or image is None or options is not None or not has_window():
        return image, given
    asked = _dialog(image)
    return None if asked is None else (image, asked)


def _dialog(image):
    rows = _rows(image, models.installed())
    dialog = GenericDialog(TITLE)
    dialog.addMessage("%s: %s" % (image.getTitle(), _dimensions(image)))
    for kind, key, label, choices in rows:
        old = Prefs.get("zooferry.run." + key, "")
        if kind == "choice":
            words = [word for word, _ in choices]
            dialog.addChoice(label, words, old if old in words else words[0])
        elif kind == "file":
            dialog.addFileField(label, old, 30)
        elif kind == "check":
            dialog.addCheckbox(label, old == "yes")
        else:
            dialog.addNumericField(label, float(old or 0), 0, 6, choices)
    dialog.addHelp(HELP)
    dialog.showDialog()
    return None if dialog.wasCanceled() else _answers(dialog, rows)


def _rows(image, installed):
    # kind, key, label, and (what is shown, value) of each choice or the unit
    names = [(name, os.path.basename(folder)) for name, folder in installed] + [(OTHER, "")]
    rows = [("choice", "model", "model", names), ("file", "path", "or another folder or zip", None)]
    if image.getStackSize() > image.getNChannels():
        rows.append(("choice", "planes", "planes", [(ALL_PLANES, ""), (CURRENT, "current")]))
    count = 3 if image.getBitDepth() == 24 else image.getNChannels()
    if count > 1:
        numbers = [("channel %d only" % (c + 1), "%d" % (c + 1)) for c in range(count)]
        rows.append(("choice", "channels", "channels", [(FITTING, ""), (EACH, "each")] + numbers))
    whole = [("whole image", "whole image"), ("visible region (preview)", "visible region")]
    engines = [(word, word) for word in ("automatic", "onnx", "torchscript", "deepimagej")]
    return rows + [
        ("choice", "region", "region", whole),
        ("check", "rescale", "rescale to the pixel size of the training data", None),
        ("number", "diameter", "segmentation: diameter of the objects (0: image as it is)", "pixels"),
        ("check", "outlines", "segmentation: outlines of the objects as an overlay", None),
        ("check", "table", "segmentation: table of the objects' sizes and grey values", None),
        ("number", "tile", "tile (0: automatic)", "pixels"),
        ("number", "threads", "threads (0: one per processor)", ""),
        ("choice", "engine", "engine", engines),
    ]


def _answers(dialog, rows):
    # read from the fields themselves: getNextChoice and its like would record what they return
    fields = {
        "choice": iter(dialog.getChoices()),
        "file": iter(dialog.getStringFields()),
        "check": iter(dialog.getCheckboxes()),
        "number": iter(dialog.getNumericFields()),
    }
    found, known = {}, Prefs.get("zooferry.run.path", "")
    for kind, key, _, choices in rows:
        field = next(fields[kind])
        if kind == "choice":
            shown = field.getSelectedItem()
            found[key] = dict(choices)[shown]
            Prefs.set("zooferry.run." + key, shown)
        else:
            found[key] = ("yes" if field.getState() else "") if kind == "check" else field.getText().strip()
            Prefs.set("zooferry.run." + key, found[key])
    path = found.pop("path")
    if not found["model"] or path not in ("", known):
        found["model"] = path
        Prefs.set("zooferry.run.model", OTHER)
    return found


def _dimensions(image):
    parts = ["%d x %d pixels" % (image.getWidth(), image.getHeight())]
    counts = (("channels", image.getNChannels()), ("slices", image.getNSlices()), ("frames", image.getNFrames()))
    parts += ["%d %s" % (count, name) for name, count in counts if count > 1]
    own = image.getCalibration()
    parts.append("pixel %.4g %s" % (own.pixelWidth, own.getUnit()) if own.scaled() else "pixel size unknown")
    return ", ".join(parts)


def choose(problem):
    """Ask what an AmbiguousError leaves open: the value of its setting."""
    dialog = GenericDialog(TITLE)
    dialog.addMessage(sentence(problem.words))
    words = [said for _, said in problem.choices]
    dialog.addChoice(problem.key, words, words[0])
    dialog.showDialog()
    if dialog.wasCanceled():
        raise CancelledError()
    chosen = dialog.getChoices()[0].getSelectedItem()
    return dict((said, value) for value, said in problem.choices)[chosen]


def wants_rescaling(warning):
    """Offer to bring the image to the pixel size of the training data."""
    dialog = GenericDialog(TITLE)
    dialog.addMessage(sentence(warning.split("; ")[0]) + "\n" + sentence(RESCALE))
    dialog.enableYesNoCancel("Rescale", "Run as it is")
    dialog.showDialog()
    if dialog.wasCanceled():
        raise CancelledError()
    return dialog.wasOKed()


def complain(status, title=TITLE):
    """Say why there is no result: the cause and the cure in a dialog and in the Log, headless in the Log alone."""
    IJ.log("Zooferry: " + status)
    if has_window():
        IJ.error(title, sentence(status))


def say(status, module):
    """A line in the status bar; Fiji's own "Command finished" comes first."""
    if module is not None and has_window():
        Later(status).start()
    else:
        IJ.showStatus(status)


class Later(Thread):
    """Tells the status when Fiji has had its say."""

    def __init__(self, status):
        Thread.__init__(self, "zooferry-status")
        self._status = status
        self.setDaemon(True)

    def run(self):
        Thread.sleep(AFTER_FIJI)
        IJ.showStatus(self._status)


def record(settings):
    """Write the line into the Recorder that needs no dialog; before the results are shown, whose windows are recorded.

    The name is given again because any other command that ends meanwhile takes it away (Fiji's check for updates did).

    Parameters
    ----------
    settings : dict
        Those that are no defaults; None: the command was cancelled or failed, and no line is written.
    """
    if not IJ.recording() or IJ.isMacro():
        return
    if settings is None:
        Recorder.disableCommandRecording()
        return
    Recorder.setCommand(TITLE)
    for key in [key for key in KEYS if key in settings]:
        Recorder.recordOption(key, settings[key])
    Recorder.saveCommand()


def unlisted(module, names):
    """Fiji opens a window for each output that is text: say that these were dealt with."""
    if module is not None and has_window():
        for name in names:
            module.resolveOutput(name)
