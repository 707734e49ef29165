# ruff: noqa: UP031  Python 2.7
"""What must survive in a result, item by item; Jython, in plain ImageJ (test_imagej_results) and in Fiji.

`check_all` returns the list of what is wrong, empty if nothing is.
"""

import hashlib

from ij import CompositeImage, ImagePlus, ImageStack, WindowManager
from ij.gui import Overlay, Roi, TextRoi
from ij.process import Blitter, ByteProcessor, FloatProcessor, ShortProcessor
from java.awt import Color

KINDS = {8: ByteProcessor, 16: ShortProcessor, 32: FloatProcessor}
C, Z, T = 2, 3, 4
UNIT = "micron"


def hyperstack(bits, width=70, height=50):
    """C x Z x T with all that a result must keep."""
    stack = ImageStack(width, height)
    for number in range(C * Z * T):
        plane = KINDS[bits](width, height)
        plane.set(10 + number % 7) if bits < 32 else plane.add(10 + number % 7)
        plane.setValue(60.0 + number)
        plane.fill(Roi(5 + number, 8, 20, 15))
        stack.addSlice("c%d z%d t%d" % (number % C, number // C % Z, number // C // Z), plane)
    image = ImagePlus("nuclei %d.tif" % bits, stack)
    image.setDimensions(C, Z, T)
    image = CompositeImage(image, CompositeImage.COMPOSITE)
    for channel, colour in enumerate((Color.magenta, Color.cyan), 1):
        image.setC(channel)
        image.setChannelColorModel(_lut(colour))
        image.setDisplayRange(3.0 * channel, 70.0 + channel)
    own = image.getCalibration()
    own.setUnit(UNIT)
    own.pixelWidth, own.pixelHeight, own.pixelDepth = 0.21, 0.22, 0.7
    own.xOrigin, own.yOrigin, own.zOrigin = 3.0, 4.0, 1.0
    own.frameInterval, own.fps = 2.5, 0.4
    own.setTimeUnit("min")
    image.setProperty("Info", "taken by hand")
    image.setProp("Objective", "63x")
    overlay = Overlay()
    shape = Roi(5, 8, 20, 15)
    shape.setPosition(2, 3, 4)
    shape.setStrokeColor(Color.yellow)
    shape.setName("first")
    overlay.add(shape)
    overlay.add(TextRoi(1, 1, "everywhere"))
    image.setOverlay(overlay)
    image.setRoi(Roi(2, 3, 30, 20))
    image.setPosition(2, 3, 4)
    return image


def _lut(colour):
    from ij.process import LUT

    return LUT.createLutFromColor(colour)


def fingerprint(image):
    """All that a run must leave alone in its input."""
    total = hashlib.sha256()
    for index in range(1, image.getStackSize() + 1):
        total.update(image.getStack().getProcessor(index).getPixels().tostring())
    ranges = [(lut.min, lut.max) for lut in image.getLuts()]
    place = (image.getC(), image.getZ(), image.getT())
    return (total.hexdigest(), ranges, place, "%s" % image.getRoi(), image.getTitle(), image.getOverlay().size())


def facts(image):
    """What both the input and a result of the same size have."""
    own = image.getCalibration()
    stack = image.getStack()
    shape = image.getOverlay().get(0)
    return {
        "size": (image.getWidth(), image.getHeight(), image.getNChannels(), image.getNSlices(), image.getNFrames()),
        "pixel size": [round(v, 9) for v in (own.pixelWidth, own.pixelHeight, own.pixelDepth)],
        "origin": [round(v, 9) for v in (own.xOrigin, own.yOrigin, own.zOrigin)],
        "unit": own.getUnit(),
        "time": (own.frameInterval, own.getTimeUnit(), own.fps),
        "mode": image.getMode(),
        "tables": [list(lut.getBytes()) for lut in image.getLuts()],
        "labels": [stack.getSliceLabel(i) for i in range(1, stack.getSize() + 1)],
        "hyperstack": image.isHyperStack() or image.isDisplayedHyperStack(),
        "objective": image.getProp("Objective"),
        "overlay": (
            image.getOverlay().size(),
            "%s" % shape.getBounds(),
            shape.getName(),
            "%s" % shape.getStrokeColor(),
            (shape.getCPosition(), shape.getZPosition(), shape.getTPosition()),
        ),
    }


def check_all(restore, models):
    """Every check; `restore` (image, macro options) returns the result, `models` is the folder of the packages."""
    wrong = []
    for bits in sorted(KINDS):
        wrong += ["%d bit: %s" % (bits, one) for one in _kept(restore, models, hyperstack(bits))]
    wrong += _current_plane(restore, models, hyperstack(16))
    wrong += _larger(restore, models, hyperstack(16))
    wrong += _finer(restore, models, hyperstack(16))
    wrong += _preview(restore, models, hyperstack(16))
    wrong += _titles(restore, models, hyperstack(8))
    return wrong + _rescaled(restore, models, hyperstack(8))


def _kept(restore, models, image):
    before, wanted = fingerprint(image), facts(image)
    result = restore(image, "model=[%s/plain] channels=each" % models)
    wrong = [] if fingerprint(image) == before else ["the input was changed"]
    found = facts(result)
    lost = [key for key in sorted(wanted) if found[key] != wanted[key]]
    wrong += ["%s is %s, not %s" % (key, found[key], wanted[key]) for key in lost]
    if result.getBitDepth() != 32 or result.getTitle() != "nuclei %d_restored" % image.getBitDepth():
        wrong.append("%s" % result)
    info = result.getInfoProperty() or ""
    for words in ("zooferry model: Tiny test network", "zooferry weights_sha256: ", "zooferry tile: ", "taken by hand"):
        if words not in info:
            wrong.append("Info lacks %s" % words)
    for channel, lut in enumerate(result.getLuts(), 1):
        plane = result.getStack().getProcessor(channel)
        plane.resetMinAndMax()
        if not plane.getMin() <= lut.min < lut.max <= plane.getMax():
            wrong.append("range of channel %d: %g-%g" % (channel, lut.min, lut.max))
    _close(result)
    return wrong


def _current_plane(restore, models, image):
    result = restore(image, "model=[%s/plain] channels=2 planes=current" % models)
    found = {
        "planes": result.getStackSize(),
        "label": result.getStack().getSliceLabel(1),
        "table": list(result.getProcessor().getLut().getBytes()),
        "overlay": (result.getOverlay().size(), result.getOverlay().get(0).getPosition()),
        "z of the plane": result.getCalibration().getZ(0),
    }
    wanted = {
        "planes": 1,
        "label": "c1 z2 t3",
        "table": list(image.getLuts()[1].getBytes()),
        "overlay": (2, 0),
        "z of the plane": image.getCalibration().getZ(2),
    }
    _close(result)
    return ["current: %s is %s" % (key, found[key]) for key in wanted if found[key] != wanted[key]]


def _larger(restore, models, image):
    # two pixels for one: half the size, the overlay twice as large on the same plane
    result = restore(image, "model=[%s/larger] channels=each" % models)
    own, shape = result.getCalibration(), result.getOverlay().get(0)
    found = {
        "size": (result.getWidth(), result.getHeight()),
        "pixel": (round(own.pixelWidth, 9), round(own.pixelHeight, 9), own.pixelDepth),
        "x of the edge": round(own.getX(20.0), 9),
        "overlay": "%s" % shape.getBounds(),
        "place": (shape.getCPosition(), shape.getZPosition(), shape.getTPosition()),
    }
    wanted = {
        "size": (140, 100),
        "pixel": (0.105, 0.11, 0.7),
        "x of the edge": round(image.getCalibration().getX(10.0), 9),
        "overlay": "%s" % Roi(10, 16, 40, 30).getBounds(),
        "place": (2, 3, 4),
    }
    _close(result)
    return ["larger: %s is %s" % (key, found[key]) for key in wanted if found[key] != wanted[key]]


def _finer(restore, models, image):
    # four slices for one: a quarter of the depth; shapes and labels on the slices that their own became; tiles or not
    result, tiled = [restore(image, "model=[%s/finer] channels=each tile=%d" % (models, tile)) for tile in (0, 32)]
    own, shape, stack = result.getCalibration(), result.getOverlay().get(0), result.getStack()
    found = {
        "size": (result.getNChannels(), result.getNSlices(), result.getNFrames()),
        "voxel": (round(own.pixelWidth, 9), round(own.pixelHeight, 9), round(own.pixelDepth, 9)),
        "z of the edge": round(own.getZ(8.0), 9),
        "place": (shape.getCPosition(), shape.getZPosition(), shape.getTPosition()),
        "labels": [stack.getSliceLabel(result.getStackIndex(2, z, 1)) for z in (4, 5, 12)],
        "tiles": max(_differences(stack, tiled.getStack())) < 1e-3,
    }
    wanted = {
        "size": (C, 4 * Z, T),
        "voxel": (0.21, 0.22, 0.175),
        "z of the edge": round(image.getCalibration().getZ(2.0), 9),
        "place": (2, 11, 4),
        "labels": ["c1 z0 t0", "c1 z1 t0", "c1 z2 t0"],
        "tiles": True,
    }
    _close(result)
    _close(tiled)
    return ["finer: %s is %s" % (key, found[key]) for key in wanted if found[key] != wanted[key]]


def _differences(first, second):
    for index in range(1, first.getSize() + 1):
        plane = first.getProcessor(index).duplicate()
        plane.copyBits(second.getProcessor(index), 0, 0, Blitter.DIFFERENCE)
        plane.resetMinAndMax()
        yield plane.getMax()


def _preview(restore, models, image):
    # the selection (2, 3, 30 x 20) of the current plane: the pixels of the whole image's result, in its place
    preview = restore(image, "model=[%s/plain] channels=2 region=[visible region]" % models)
    whole = restore(image, "model=[%s/plain] channels=2 planes=current" % models)
    whole.setRoi(2, 3, 30, 20)
    wrong = []
    difference = _worst(whole.getProcessor().crop(), preview.getProcessor())
    if difference > 1e-3:
        wrong.append("preview differs by %g" % difference)
    if preview.getTitle() != "nuclei 16_preview":
        wrong.append("preview is called " + preview.getTitle())
    if abs(preview.getCalibration().getX(0) - image.getCalibration().getX(2)) > 1e-9:
        wrong.append("preview lies elsewhere")
    _close(preview)
    _close(whole)
    return wrong


def _titles(restore, models, image):
    options = "model=[%s/plain] channels=1 planes=current" % models
    results = [restore(image, options) for _ in range(3)]
    found = [result.getTitle() for result in results]
    lost = [title for title in found if WindowManager.getImage(title) is None]
    for result in results:
        _close(result)
    wanted = ["nuclei 8_restored", "nuclei 8_restored-1", "nuclei 8_restored-2"]
    return [] if found == wanted and not lost else ["titles are %s, lost %s" % (found, lost)]


def _rescaled(restore, models, image):
    # trained at 0.42 um: x is halved and doubled again; without rescaling the user is warned
    result = restore(image, "model=[%s/sized] channels=1 planes=current rescale=yes" % models)
    wrong = []
    if (result.getWidth(), result.getHeight()) != (image.getWidth(), image.getHeight()):
        wrong.append("rescaled: %s" % result)
    if "zooferry rescale: to the pixel size of the training data and back (x x 0.5" not in result.getInfoProperty():
        wrong.append("rescaled: %s" % result.getInfoProperty())
    _close(result)
    return wrong


def _worst(one, other):
    from ij.process import Blitter

    difference = one.duplicate()
    difference.copyBits(other, 0, 0, Blitter.DIFFERENCE)
    return difference.getStatistics().max


def _close(image):
    image.changes = False
    image.close()
