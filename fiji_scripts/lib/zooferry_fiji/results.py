"""The result as an ImagePlus that a Fiji user can go on with: what it inherits from its source, and what it is called.

Inherited are pixel size, unit, frame interval, time unit and origin; C, Z and T; the colour table of each channel that
the output still has, and the composite mode; slice labels, overlay and Info.
"""

from ij import CompositeImage, ImagePlus, ImageStack, WindowManager
from ij.measure import Calibration, Measurements
from ij.plugin import ContrastEnhancer
from ij.process import LUT, FloatProcessor, ImageStatistics

from . import uncertainty
from .overlays import moved_overlay

SATURATED = 0.35  # per cent of the pixels at both ends, as Image > Adjust > Brightness/Contrast > Auto takes
# ImageJ's own state, which a copy must not take over
OWN_PROPERTIES = ("UniqueName", "Slice_Label", "CompositeProjection", "DisplayRange")


def open_titles():
    """Titles of all open images, in batch mode as well."""
    images = [WindowManager.getImage(number) for number in WindowManager.getIDList() or []]
    return set(image.getTitle() for image in images if image is not None)


def as_image(planes, source, title, ratios, shown):
    """A result as an ImagePlus.

    Parameters
    ----------
    planes : dict
        (c, z, t) -> FloatProcessor (Y X): c from 0, z and t positions in the source, of which some may be missing.
    source : ImagePlus
    title : str
    ratios : dict
        Axis -> pixels of the result for one pixel of the source; an axis that the result has not is missing.
    shown : dict
        "channels": for each channel of the result that of the source, or None; "region": (x, y, width, height) in
        pixels of the source, or None for all of it; "kind": see uncertainty.kind_of.
    """
    channels, slices, frames = [sorted(set(place[i] for place in planes)) for i in range(3)]
    origins = [int(z / ratios.get("z", 1.0)) for z in slices]  # the source's slices that these were made of
    stack = ImageStack(*_size(next(iter(planes.values()))))
    for t in frames:
        for z, origin in zip(slices, origins):
            for c in channels:
                stack.addSlice(_label(source, shown["channels"][c], origin, t), planes[c, z, t])
    result = ImagePlus(title, stack)
    result.setDimensions(len(channels), len(slices), len(frames))
    if stack.getSize() == 1:
        result.setProp("Slice_Label", stack.getSliceLabel(1))
    result.setCalibration(_calibration(source, ratios, shown["region"], slices[0]))
    _copy_properties(source, result)
    result = _coloured(result, source, shown["channels"], shown["kind"])
    if shown["kind"]:
        result.setProperty(uncertainty.KEY, shown["kind"])
    result.setOpenAsHyperStack(result.getStackSize() > 1 and (len(channels) > 1 or len(frames) > 1))
    if source.getOverlay() is not None and "x" in ratios and "y" in ratios:
        kept = [[place + 1 for place in places] for places in (_source_channels(shown, source), origins, frames)]
        result.setOverlay(moved_overlay(source, kept, (ratios["x"], ratios["y"]), shown["region"]))
        result.setHideOverlay(source.getHideOverlay())
    return result


def _size(plane):
    return plane.getWidth(), plane.getHeight()


def _source_channels(shown, source):
    # channels of the source that a shape may lie on; those that the network has mixed are all of them
    known = shown["channels"]
    return list(range(source.getNChannels())) if None in known else known


def _label(source, channel, z, t):
    if source.getStackSize() == 1:
        return source.getProp("Slice_Label")  # getStack() makes a label of the title and the Info
    index = source.getStackIndex((channel or 0) + 1, z + 1, t + 1)
    return source.getStack().getSliceLabel(index)


def _calibration(source, ratios, region, first_slice):
    # the size of a pixel shrinks as their number grows; a part of an image keeps its place in space
    if "x" not in ratios or "y" not in ratios:
        return Calibration()
    calibration = source.getCalibration().copy()
    calibration.disableDensityCalibration()
    x, y = region[:2] if region else (0, 0)
    calibration.xOrigin = (calibration.xOrigin - x) * ratios["x"]
    calibration.yOrigin = (calibration.yOrigin - y) * ratios["y"]
    calibration.zOrigin = (calibration.zOrigin - first_slice) * ratios.get("z", 1.0)
    calibration.pixelWidth /= ratios["x"]
    calibration.pixelHeight /= ratios["y"]
    calibration.pixelDepth /= ratios.get("z", 1.0)
    calibration.frameInterval /= ratios.get("time", 1.0)
    return calibration


def _copy_properties(source, result):
    result.setProperty("Info", source.getInfoProperty())
    properties = source.getImageProperties()
    for key in [key for key in properties.stringPropertyNames() if key not in OWN_PROPERTIES]:
        result.setProp(key, properties.getProperty(key))


def _coloured(result, source, channels, kind):
    # colour tables of the source (of a kind that is no image its own), display ranges of the result
    tables = [uncertainty.table(kind) if kind else _table(source, channel) for channel in channels]
    if len(channels) == 1:
        if tables[0] is not None:
            result.getProcessor().setColorModel(tables[0])
            result.getStack().setColorModel(tables[0])
        result.setDisplayRange(*_shown_range(result.getProcessor(), kind))
        return result
    result = CompositeImage(result, CompositeImage.GRAYSCALE)
    gray = LUT.createLutFromColor(_white())
    for c, table in enumerate(tables, 1):
        plane = result.getStack().getProcessor(result.getStackIndex(c, 1, 1))
        low, high = _shown_range(plane, kind)
        result.setChannelLut(LUT(table or gray, low, high), c)
    if source.isComposite() and None not in tables and not kind:
        result.setMode(source.getMode())
    return result


def _white():
    from java.awt import Color

    return Color.white


def _table(source, channel):
    if channel is None:
        return None
    if source.isComposite():
        return source.getChannelLut(channel + 1)
    return source.getProcessor().getLut() if source.getProcessor().isColorLut() or source.isInvertedLut() else None


def _shown_range(plane, kind):
    low, high = _sensible_range(plane)
    return uncertainty.display_range(kind, high) if kind else (low, high)


def _sensible_range(plane):
    # from dark to bright, all but a few pixels; other than 0 to 1 for a constant image
    plane.resetRoi()
    statistics = ImageStatistics.getStatistics(plane, Measurements.MIN_MAX, None)
    probe = FloatProcessor(1, 1)  # takes the range that a copy of the plane would get
    probe.setMinAndMax(statistics.min, statistics.max)
    ContrastEnhancer().stretchHistogram(probe, SATURATED, statistics)
    low, high = probe.getMin(), probe.getMax()
    return (low, high) if high > low else (low, low + 1.0)


def show(images, module):
    """Show images, so that the last one that is no map of uncertainty is the active one of the macro line that follows.

    Parameters
    ----------
    images : list of ImagePlus
    module : org.scijava.module.Module or None
        Fiji's, which runs in a thread of a pool.
    """
    images = sorted(images, key=lambda image: image.getProperty(uncertainty.KEY) is None)
    for image in images:
        image.show()
    if module is None:
        return
    from java.lang import Thread
    from org.scijava.thread import ThreadService

    # without windows show() makes an image that of its thread: the next command that got this thread from the pool
    # took the result for the active image, whatever the macro had selected (observed in headless Fiji 2.16.0)
    WindowManager.setTempCurrentImage(None)
    macro = module.context().getService(ThreadService).getParent(Thread.currentThread())
    if images and images[-1].getWindow() is None and macro is not None:
        WindowManager.setTempCurrentImage(macro, images[-1])
