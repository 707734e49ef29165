"""How a headless Fiji tells the shell that something went wrong: Fiji itself returns 0 even after an exception.

Only java.lang.System.exit(n) gives n (observed in Fiji 2.16.0; an exception, sys.exit(4) and a missing parameter all
ended with 0).
"""

import os

from java.awt import GraphicsEnvironment
from java.lang import System

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
