"""Parameters of the small commands: Fiji's, the macro's options, or a dialog; and what the Recorder writes.

As in Run Zooferry Model the scripts declare their parameters as Serializable, for which SciJava opens no dialog: ours
is the same in Fiji and in plain ImageJ.
"""

import os
import textwrap

from ij import IJ, Macro, Prefs, WindowManager
from ij.gui import GenericDialog
from ij.plugin.frame import Recorder

from . import ask
from .errors import ZooferryError

LOG = 40  # letters that its window shows in a line
YES, NO = ("yes", "true", "1"), ("no", "false", "0", "")
ONCE = ("path", "retry", "replace")  # keys whose value does not come again next time
FILE = "a file or folder"  # as default of a row: a field with a Browse button


def values(title, rows, given=None, about=""):
    """The user's values.

    Parameters
    ----------
    title : str
        Of the command.
    rows : list of (str, str, default)
        Key in a macro line, words beside the field ("": the key), and the default, whose type decides: bool, int or
        float, text, a list of choices, or FILE. What was chosen comes again next time, but for the keys `ONCE`.
    given : dict, optional
        The script's parameters, None for those that were not given.
    about : str, optional
        HTML behind the dialog's button Help.

    Returns
    -------
    list or None
        The values in the order of `rows`; None if the user cancelled the dialog.
    """
    options = Macro.getOptions()
    found = dict((key, (given or {}).get(key)) for key, _, _ in rows)
    if options is not None:
        for key, _, default in rows:
            if found[key] is None:
                found[key] = _option(options, key, default)
    elif not [value for value in found.values() if value is not None] and ask.has_window():
        found = _dialog(title, rows, about)
    if found is None:
        return None
    return [_typed(key, found[key], default) for key, _, default in rows]


def _option(options, key, default):
    if isinstance(default, bool) and " %s " % key in " %s " % options:
        return True
    return Macro.getValue(options, key, None)


def _typed(key, value, default):
    if value is None:
        value = (default or [""])[0] if isinstance(default, list) else "" if default is FILE else default
    if hasattr(value, "getPath"):
        return value.getPath()
    if isinstance(default, bool):
        return _yes(key, ("%s" % value).strip().lower())
    if isinstance(default, (int, float)):
        try:
            return type(default)(float(value))
        except (ValueError, TypeError):
            raise ZooferryError("%s is %s: a number is needed" % (key, value))
    value = ("%s" % value).strip()
    if default is FILE and not os.path.exists(value) and os.path.exists(repaired(value)):
        return repaired(value)
    return value


def _yes(key, word):
    if word not in YES + NO:
        raise ZooferryError("%s is %s: allowed are yes and no" % (key, word))
    return word in YES


def repaired(word):
    """Text that was UTF-8 and was read as Latin-1, else the text as it is. Pure.

    ImageJ 1.54p reads macro files so: m\u00f6del became m\u00c3\u00b6del.
    """
    try:
        return word.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return word


def _dialog(title, rows, about):
    dialog = GenericDialog(title)
    for key, words, default in rows:
        _add(dialog, title, key, words or key, default)
    if about:
        dialog.addHelp(about)
    dialog.showDialog()
    if dialog.wasCanceled():
        return None
    # read from the fields themselves: getNextChoice and its like would record what they return
    fields = {
        "choice": iter(dialog.getChoices() or []),
        "text": iter(dialog.getStringFields() or []),
        "check": iter(dialog.getCheckboxes() or []),
        "number": iter(dialog.getNumericFields() or []),
    }
    found = {}
    for key, _, default in rows:
        kind = _kind(default)
        field = next(fields[kind])
        read = {"choice": "getSelectedItem", "check": "getState"}.get(kind, "getText")
        found[key] = getattr(field, read)()
        if key not in ONCE:
            Prefs.set(_memory(title, key), ("%s" % found[key]).lower() if kind == "check" else "%s" % found[key])
    return found


def _kind(default):
    if isinstance(default, list):
        return "choice"
    return {bool: "check", int: "number"}.get(type(default), "text")


def _memory(title, key):
    # Install Zooferry Model: zooferry.install; Run Zooferry Model on Folder is not to share those of Run Zooferry Model
    words = [word for word in title.lower().split() if word not in ("zooferry", "model", "images", "installation")]
    return "zooferry.%s.%s" % ("_".join(words), key)


def _add(dialog, title, key, label, default):
    kind, old = _kind(default), Prefs.get(_memory(title, key), "")
    if kind == "check":
        dialog.addCheckbox(label, old in YES if old else default)
    elif kind == "choice":
        dialog.addChoice(label, default, old if old in default else default[0])
    elif kind == "number":
        dialog.addNumericField(label, float(old or default), 0)
    elif default is FILE:
        dialog.addFileField(label, old, 34)
    elif isinstance(default, float):
        dialog.addStringField(label, old or "%g" % default, 10)
    else:
        dialog.addStringField(label, old or default, 34)


def image(title):
    """The open image of a title; refuses one that is not open."""
    found = WindowManager.getImage(title)
    if found is None:
        opened = ", ".join(WindowManager.getImageTitles() or []) or "none"
        raise ZooferryError("there is no image %s: open are %s" % (title or "without a title", opened))
    return found


def tell(title, passed, status):
    """Say how a command went: in the log, and in a dialog if it failed where somebody can see it."""
    if not ask.has_window():
        IJ.log("%s: %s" % (title, status))
    elif passed or IJ.isMacro():
        lines = [line for part in status.split("; ") for line in textwrap.wrap(part, LOG, break_long_words=False)]
        IJ.log("\n    ".join([title + ":"] + lines))
        window = WindowManager.getFrame("Log")
        if window is not None and not IJ.isMacro():
            window.toFront()
    else:
        ask.complain(status, title)
    if ask.has_window():
        ask.Later("%s: %s" % (title, "done, see the Log" if passed else "failed, see the Log")).start()


def record(title, rows, chosen):
    """Write the line into the Recorder that needs no dialog; before images are shown, whose windows are recorded.

    Parameters
    ----------
    title : str
    rows, chosen
        What `values` took and returned; None: the command was cancelled, and no line is written.
    """
    if not IJ.recording() or IJ.isMacro():
        return
    if chosen is None:
        Recorder.disableCommandRecording()
        return
    Recorder.setCommand(title)
    for (key, _, _), value in zip(rows, chosen):
        if value is True:
            Recorder.recordOption(key)
        elif value is not False and value != "":
            Recorder.recordOption(key, "%.9g" % value if isinstance(value, float) else "%s" % value)
    Recorder.saveCommand()
