"""Parameters in plain ImageJ, which does not know the script's #@ lines: the macro's options, or a dialog."""

from ij import IJ, Macro
from ij.gui import GenericDialog

from .run import model_folder


def run_settings():
    """Image, model folder, tile and threads of Run Zooferry Model; None if the user cancels.

    The first word of each label is the key in a recorded macro, as Fiji records it.
    """
    image = IJ.getImage()
    options = Macro.getOptions()
    if options is not None:
        folder = Macro.getValue(options, "model", "")
        numbers = [int(Macro.getValue(options, key, "0")) for key in ("tile", "threads")]
        return (image, model_folder(folder), numbers[0], numbers[1])
    dialog = GenericDialog("Run Zooferry Model")
    dialog.addDirectoryField("model", "", 40)
    dialog.addNumericField("tile (pixels, 0 = automatic)", 0, 0)
    dialog.addNumericField("threads (0 = one per processor)", 0, 0)
    dialog.showDialog()
    if dialog.wasCanceled():
        return None
    folder = dialog.getNextString()
    return (image, model_folder(folder), int(dialog.getNextNumber()), int(dialog.getNextNumber()))
