"""A label image that a Fiji user can go on with: unique numbers, colours, outlines, ROI zip, table of measurements."""

import os

from ij import ImageStack
from ij.gui import Overlay
from ij.io import RoiEncoder
from ij.measure import Measurements, ResultsTable
from ij.plugin.filter import ThresholdToSelection
from ij.process import LUT, ImageProcessor, ImageStatistics
from jarray import zeros
from java.awt import Color
from java.io import FileOutputStream, IOException
from java.util.zip import ZipEntry, ZipOutputStream

from . import files, kernels
from .errors import ZooferryError
from .journal import replace

LARGEST_16_BIT = 65535
GOLDEN = 0.6180339887  # of the colour circle from one label to the next: neighbours in number differ most


def finish(image, source, overlay=False, roi_zip=None, table=None, unique=True, volume=False):
    """Turn planes of whole numbers into a label image, and measure it.

    Parameters
    ----------
    image : ImagePlus
        One channel of whole numbers, 0 where there is no object; with the calibration of its source. Changed in place:
        16 bit up to 65,535 objects, else 32 bit, coloured, shown from 0 to the highest label. ImageJ has 256 colours,
        so that of more than 511 objects the first ones are black.
    source : ImagePlus
        Whose first channel is measured.
    overlay : bool
        Whether `image` gets the outlines as an overlay.
    roi_zip : str, optional
        Path of a zip of the outlines for the ROI Manager; works without a display.
    table : str, optional
        Path of a CSV file, or "show".
    unique : bool
        Whether the objects of later planes go on with the numbers of the earlier ones.
    volume : bool
        Whether objects go through slices: then only those of later frames go on.

    Returns
    -------
    ResultsTable or None
        One row per object and plane.
    """
    planes, highest = _numbered(image, unique, image.getNSlices() if volume else 1)
    _set_planes(image, planes, highest <= LARGEST_16_BIT)
    colour(image, highest)
    if not (overlay or roi_zip or table):
        return None
    found = outlines(image)
    if overlay:
        image.setOverlay(_overlay(found))
    if roi_zip:
        save_rois([roi for _, roi in found], roi_zip)
    if not table:
        return None
    rows = measure(image, source, found)
    if table == "show":
        rows.show(image.getTitle() + " measurements")
    else:
        _save_table(rows, table)
    return rows


def _numbered(image, unique, together):
    # float[] of each plane, and the highest label; `together` planes after each other share their numbers
    stack, kernel, planes, highest, base = image.getStack(), kernels.load("regions"), [], 0, 0
    for index in range(stack.getSize()):
        plane = stack.getProcessor(index + 1)
        planes.append((plane if plane.getBitDepth() == 32 else plane.convertToFloatProcessor()).getPixels())
        base = highest if unique and index % together == 0 else base
        highest = max(highest, kernel.shift(planes[-1], base))
    return planes, highest


def _set_planes(image, planes, short):
    old, kernel = image.getStack(), kernels.load("regions")
    stack = ImageStack(old.getWidth(), old.getHeight())
    for index, pixels in enumerate(planes, 1):
        stack.addSlice(old.getSliceLabel(index), kernel.toShorts(pixels) if short else pixels)
    image.setStack(stack, image.getNChannels(), image.getNSlices(), image.getNFrames())


def colour(image, highest):
    """Black for 0 and bright colours that differ from label to label; shown from 0 to `highest`."""
    table = _table()
    image.getProcessor().setColorModel(table)
    image.getStack().setColorModel(table)
    image.setDisplayRange(0, max(highest, 1))


def _table():
    parts = [zeros(256, "b") for _ in range(3)]
    for index in range(1, 256):
        hue = (index * GOLDEN) % 1.0
        bright, grey = (1.0, 0.8, 0.9)[index % 3], (0.9, 0.55, 0.75, 0.4)[index % 4]
        rgb = Color.getHSBColor(hue, grey, bright)
        for part, value in zip(parts, (rgb.getRed(), rgb.getGreen(), rgb.getBlue())):
            part[index] = value if value < 128 else value - 256
    return LUT(*parts)


def outlines(image):
    """The objects of each plane.

    Returns
    -------
    list of (int, Roi)
        Label and outline, named after the label, at its place in the stack; in the order of planes and labels.
    """
    kernel, stack, found = kernels.load("regions"), image.getStack(), []
    for index in range(1, stack.getSize() + 1):
        plane = stack.getProcessor(index)
        floats = plane.convertToFloatProcessor() if plane.getBitDepth() < 32 else plane
        boxes = kernel.boxes(kernel.toInts(floats.getPixels()), plane.getWidth())
        for label in range(1, len(boxes) // 4):
            top, bottom, left, right = boxes[4 * label : 4 * label + 4]
            if top >= 0:
                plane.setRoi(left, top, right - left + 1, bottom - top + 1)
                found.append((label, _outline(plane.crop(), label, (left, top), _place(image, index))))
        plane.resetRoi()
    return found


def _outline(part, label, corner, place):
    part.setThreshold(label, label, ImageProcessor.NO_LUT_UPDATE)
    roi = ThresholdToSelection().convert(part)
    bounds = roi.getBounds()
    roi.setLocation(corner[0] + bounds.x, corner[1] + bounds.y)
    roi.setName("%05d" % label)
    if isinstance(place, int):
        roi.setPosition(place)
    else:
        roi.setPosition(*place)
    return roi


def _place(image, index):
    # 0: no stack
    if image.getStackSize() == 1:
        return 0
    _, z, t = image.convertIndexToPosition(index)
    return (0, z, t) if image.isHyperStack() else index


def _overlay(found):
    overlay = Overlay()
    for _, roi in found:
        shown = roi.clone()
        shown.setStrokeColor(Color.yellow)
        overlay.add(shown)
    return overlay


def save_rois(rois, path):
    """Write ROIs as the zip that the ROI Manager opens; nothing half-written is left."""
    _write(path, lambda part: _write_zip(rois, part))


def _write_zip(rois, part):
    stream = ZipOutputStream(FileOutputStream(part))
    try:
        used = {}
        for roi in rois:
            name = roi.getName()
            used[name] = used.get(name, 0) + 1
            entry = name if used[name] == 1 else "%s-%d" % (name, used[name])
            stream.putNextEntry(ZipEntry(entry + ".roi"))
            data = RoiEncoder.saveAsByteArray(roi)
            stream.write(data, 0, len(data))
            stream.closeEntry()
        if not rois:
            stream.putNextEntry(ZipEntry("no objects.txt"))  # an empty zip is no zip
            stream.closeEntry()
    finally:
        stream.close()


def _save_table(rows, path):
    _write(path, lambda part: _write_table(rows, part))


def _write_table(rows, part):
    rows.saveAs(part)
    with open(part, "rb") as stream:  # ImageJ keeps it to itself if the disk is full
        content = stream.read()
    if rows.size() and content.count(b"\n") != rows.size() + 1:
        raise IOException("the disk is full")


def _write(path, action):
    part = path + ".part" + os.path.splitext(path)[1]
    try:
        action(part)
        replace(part, path)
    except (IOException, OSError) as problem:
        words = " ".join(("%s" % problem).split())
        raise ZooferryError("cannot write %s (%s): choose another folder" % (path, words))
    finally:
        if os.path.exists(part):
            os.remove(part)


def measure(image, source, found):
    """One row per object and plane: area, centre, length of the outline, longest diameter, grey values of the source.

    Lengths are in the unit of the image; grey values are those of the first channel, where the source has the size of
    the labels.
    """
    table, calibration = ResultsTable(), image.getCalibration()
    alike = (source.getWidth(), source.getHeight()) == (image.getWidth(), image.getHeight())
    for label, roi in found:
        z, t = (1, 1) if image.getStackSize() == 1 else _slice_and_frame(roi, image)
        plane = _source_plane(source, z, t) if alike else image.getStack().getProcessor(image.getStackIndex(1, z, t))
        plane.setRoi(roi)
        numbers = ImageStatistics.getStatistics(plane, Measurements.AREA | Measurements.CENTROID, calibration)
        plane.resetRoi()
        table.addRow()
        table.addValue("Label", label)
        table.addValue("Slice", z)
        table.addValue("Frame", t)
        table.addValue("Area", numbers.area)
        table.addValue("X", numbers.xCentroid)
        table.addValue("Y", numbers.yCentroid)
        shape = roi.clone()
        shape.setImage(image)
        table.addValue("Perim.", shape.getLength())
        table.addValue("Feret", shape.getFeretValues()[0])
        if alike:
            table.addValue("Mean", numbers.mean)
            table.addValue("Min", numbers.min)
            table.addValue("Max", numbers.max)
    table.setPrecision(4)
    return table


def _slice_and_frame(roi, image):
    if roi.hasHyperStackPosition():
        return roi.getZPosition(), roi.getTPosition()
    return tuple(image.convertIndexToPosition(roi.getPosition()))[1:]


def _source_plane(source, z, t):
    index = source.getStackIndex(1, min(z, source.getNSlices()), min(t, source.getNFrames()))
    return source.getStack().getProcessor(index)


def extras(settings, output=""):
    """What the settings of a run ask for, as arguments of `finish`.

    `output` is the id of one of several outputs that are labels: it stands in the names of its files.
    """
    rois, table = [
        files.of_output(path, output) if output and path not in ("", "yes") else path
        for path in (settings["rois"], settings["table"])
    ]
    return {
        "overlay": settings["outlines"] == "yes",
        "roi_zip": rois or None,
        "table": "show" if table == "yes" else table or None,
    }
