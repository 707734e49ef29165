"""Parameters of the small commands in plain ImageJ, which knows no #@ lines: the macro's options, or a dialog."""

from ij import IJ, Macro, WindowManager
from ij.gui import GenericDialog

from .errors import ZooferryError


def values(title, rows):
    """The user's values, or None if the dialog was cancelled.

    Parameters
    ----------
    title : str
        Of the dialog.
    rows : list of (str, str, default)
        Key in a macro's option string, words beside the field, and the default, whose type decides: bool, int or
        float, text, or a list of choices.
    """
    options = Macro.getOptions()
    if options is not None:
        return [_from_options(options, key, default) for key, _, default in rows]
    dialog = GenericDialog(title)
    for key, words, default in rows:
        _add(dialog, "%s (%s)" % (key, words), default)
    dialog.showDialog()
    if dialog.wasCanceled():
        return None
    return [_taken(dialog, default) for _, _, default in rows]


def _from_options(options, key, default):
    if isinstance(default, bool):
        words = " " + options + " "
        return " %s " % key in words or Macro.getValue(options, key, "").lower() == "true"
    if isinstance(default, list):
        return Macro.getValue(options, key, default[0] if default else "")
    if isinstance(default, (int, float)):
        word = Macro.getValue(options, key, "%r" % default)
        try:
            return type(default)(float(word))
        except ValueError:
            raise ZooferryError("%s is %s: a number is needed" % (key, word))
    return Macro.getValue(options, key, default)


def _add(dialog, label, default):
    if isinstance(default, bool):
        dialog.addCheckbox(label, default)
    elif isinstance(default, list):
        dialog.addChoice(label, default, default[0])
    elif isinstance(default, (int, float)):
        dialog.addNumericField(label, default, 6 if isinstance(default, float) else 0)
    else:
        dialog.addStringField(label, default, 40)


def _taken(dialog, default):
    if isinstance(default, bool):
        return dialog.getNextBoolean()
    if isinstance(default, list):
        return dialog.getNextChoice()
    if isinstance(default, (int, float)):
        return type(default)(dialog.getNextNumber())
    return dialog.getNextString()


def image(title):
    """The open image of a title; refuses one that is not open."""
    found = WindowManager.getImage(title)
    if found is None:
        opened = ", ".join(WindowManager.getImageTitles() or []) or "none"
        raise ZooferryError("there is no image %s: open are %s" % (title, opened))
    return found


def tell(title, passed, status):
    """Say how a command went: in the status bar, in the log, and in a dialog if it failed where there is a window."""
    if IJ.getInstance() is not None and not IJ.redirectingErrorMessages():
        IJ.showStatus(status)
        if not passed:
            IJ.error(title, status)
            return
    IJ.log("%s: %s" % (title, status))
