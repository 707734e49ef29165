"""Groovy kernels: loops over pixels that would take minutes in Jython. Fiji has Groovy; the class is compiled once."""

import io
import os

from .errors import ZooferryError

MISSING = "Groovy is not installed: run zooferry fiji install, or put groovy-4.0.23.jar into Fiji's folder jars/"


def load(name, *needs):
    """The compiled class of `<name>.groovy` beside this file; its members are static.

    `needs` are the names of kernels whose classes it uses; each of them may use those behind it. An unchanged file is
    compiled once in the life of ImageJ (about 1 s).
    """
    from ij import IJ

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".groovy")
    key = "zooferry.kernel." + name
    stamp = (path, os.path.getmtime(path), os.path.getsize(path))
    kept = IJ.getProperty(key)
    if kept is not None and kept[0] == stamp:
        return kept[1]
    kernel = _compiled(path, load(*needs).getClassLoader() if needs else IJ.getClassLoader())
    IJ.setProperty(key, (stamp, kernel))
    return kernel


def _compiled(path, parent):
    try:
        from groovy.lang import GroovyClassLoader
    except ImportError:
        raise ZooferryError(MISSING)
    with io.open(path, encoding="utf-8") as stream:
        return GroovyClassLoader(parent).parseClass(stream.read())
