"""How a headless Fiji tells the shell that something went wrong: Fiji itself returns 0 even after an exception.

Only java.lang.System.exit(n) gives n (observed in Fiji 2.16.0; an exception, sys.exit(4) and a missing parameter all
ended with 0).
"""

import os

from ij import IJ
from java.awt import GraphicsEnvironment
from java.lang import System

END = "the macro came to its end"
ASKED = "zooferry.exit"  # Java's property; the environment's variable is ZOOFERRY_EXIT


def end(passed, asked=False):
    """Leave Java with 0 or 1 if that is asked for; never where there is a window.

    Parameters
    ----------
    passed : bool
    asked : bool
        The command's own parameter `exit`. Without it only a failure ends Java, and only if the property
        zooferry.exit is true or the environment says ZOOFERRY_EXIT=1: more commands of a macro may follow.
    """
    if not GraphicsEnvironment.isHeadless():
        return
    if asked or (not passed and failures_end_java()):
        System.out.flush()
        System.exit(0 if passed else 1)


def failures_end_java():
    """Whether a command that fails ends Java with exit code 1."""
    return System.getProperty(ASKED) == "true" or os.environ.get("ZOOFERRY_EXIT", "") not in ("", "0")


def run_macro(path, argument):
    """Run a macro file; a Zooferry command that fails in it ends Java with exit code 1 where there is no window.

    Parameters
    ----------
    path : str
    argument : str or None
        What getArgument() gives.

    Returns
    -------
    bool
        Whether it came to its end: not if it was aborted by itself, the user or an error.
    """
    if not path or not os.path.isfile(path):
        IJ.log("Zooferry: there is no macro %s: write macro=[its path]" % path)
        return False
    with open(path, "rb") as stream:
        code = stream.read()
    try:
        code = code.decode("utf-8")  # ImageJ itself takes a macro file for Latin-1: a path with umlauts is not found
    except UnicodeDecodeError:
        code = code.decode("latin-1")
    before = System.setProperty(ASKED, "true")
    try:
        # an aborted macro returns "[aborted]" or nothing, as one that ends without a return does
        returned = IJ.runMacro('%s\nreturn "%s";\n' % (code, END), argument or "")
    finally:
        System.setProperty(ASKED, before or "false")
    if returned in (None, "", "[aborted]"):
        IJ.log("Zooferry: the macro %s did not come to its end" % path)
        return False
    return True
