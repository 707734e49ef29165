"""Questions to the library of the small commands in Jython; started by test_imagej_commands.py, sets `answer`."""

import json

from ij import ImagePlus, ImageStack
from ij.process import FloatProcessor, ShortProcessor
from java.lang import System
from zooferry_fiji import checking, comparing, examine, installing, npy

TYPES = {"float32": FloatProcessor, "uint16": ShortProcessor}


def image(title, path):
    """A .npy of T Z C Y X as an ImagePlus."""
    tensor = npy.read(path)
    planes, height, width = npy.planes(tensor, ["time", "z", "channel", "y", "x"])
    return checking._image(title, planes, lambda values: FloatProcessor(width, height, values))


def answer_all(job):
    """See test_imagej_commands.py."""
    found = {"tensors": [], "comparisons": [], "installed": [], "checks": []}
    for path, axes in job["tensors"]:
        planes, height, width = npy.planes(npy.read(path), axes)
        found["tensors"].append([height, width, [[list(place), list(planes[place])] for place in sorted(planes)]])
    for actual, expected, rtol, atol, allowed in job["comparisons"]:
        one, other = image("a", actual), image("e", expected)
        verdict, place = comparing.compare_images(one, other, rtol, atol, allowed)
        row = verdict.details(comparing.position(verdict, one))
        row.update(sentence=verdict.sentence(place), reason=verdict.reason)
        found["comparisons"].append(row)
    System.setProperty("zooferry.models", job["models"])
    for source, replace in job["install"]:
        found["installed"].append(installing.command(source, replace))
    for word in job["check"]:
        passed, status, details, images = checking.command(word)
        rows = [[one.getTitle(), list(one.getDimensions()), one.getDisplayRangeMin()] for one in images]
        found["checks"].append([passed, status, json.loads(details), rows])
    found["rows"] = examine.examine()
    found["signed"] = signed()
    return json.dumps(found)


def signed():
    """The raw values of a signed 16-bit image, and the words about an RGB one."""
    plane = ShortProcessor(2, 1)
    plane.set(0, 0, 32768 - 5)
    plane.set(1, 0, 32768 + 7)
    stack = ImageStack(2, 1)
    stack.addSlice(None, plane)
    one = ImagePlus("signed", stack)
    one.getLocalCalibration().setSigned16BitCalibration()
    values = list(comparing.raw_floats(one, 1))
    rgb = ImagePlus("rgb", plane.convertToRGB())
    return [values, comparing.command(rgb, one, 0.0, 0.0, 0.0)[1]]
