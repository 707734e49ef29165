"""Runs inside Java (Jython 2.7), started by plain_imagej.py: makes headless ImageJ know the .py commands in plugins/.

A normal start of ImageJ finds them by itself, and wants a class `Jython` for them (default package, it comes with
ImageJ's own Jython.jar); headless, ij1-patcher leaves the plugins folder out of the menus.
"""

# ruff: noqa: UP031 - Python 2.7

import json
import os
import sys

sys.dont_write_bytecode = True

from net.imagej.patcher import LegacyInjector  # noqa: E402

LegacyInjector.preinit()

from ij import IJ, Menus  # noqa: E402
from ij.macro import Interpreter  # noqa: E402
from java.lang import System  # noqa: E402
from jython_interpreter import make_interpreter  # noqa: E402


def register_commands(plugins):
    """Into ImageJ's table of commands, as its menus do it: Run_It.py is "Run It"."""
    IJ.runMacro('newImage("first", "8-bit", 4, 4, 1); run("Invert"); close();')  # the first command makes the table
    for parent, _, names in os.walk(plugins):
        for name in names:
            if name.endswith(".py") and "_" in name:
                path = os.path.relpath(os.path.join(parent, name), plugins)
                Menus.getCommands().put(name[:-3].replace("_", " "), 'ij.plugin.Macro_Runner("%s")' % path)


def main(steps):
    home = System.getProperty("plugins.dir")
    sys.path.insert(0, os.path.join(home, "jars", "Lib"))
    make_interpreter()
    register_commands(os.path.join(home, "plugins"))
    Interpreter.batchMode = True
    for step in steps:
        returned = IJ.runMacroFile(step["file"], step["argument"]) if "file" in step else IJ.runMacro(step["code"])
        System.out.println("\n@plain " + json.dumps(returned))
    System.out.flush()
    System.exit(0)


main(json.loads(sys.argv[1]))
