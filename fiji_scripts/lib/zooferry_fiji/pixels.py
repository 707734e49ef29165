"""ImagePlus <-> planes of 32-bit pixels in network order C (Z) Y X; bulk operations only.

ImageJ keeps its images as X Y C Z T, one processor per plane; a plane's pixels lie row by row (Y X).
"""

from ij import CompositeImage, ImagePlus, ImageStack
from ij.measure import Calibration
from ij.process import FloatProcessor
from jarray import zeros
from java.lang import System

from .errors import ZooferryError
from .tiling import reflected_index
from .volume import Volume

DTYPES = {8: "uint8", 16: "uint16", 32: "float32"}


def check_image(image, tensor, model):
    """Refuse an image that an input of the model cannot take; nothing is computed before this has passed."""
    title, name = image.getTitle(), model["name"]
    if image.getBitDepth() == 24:
        raise ZooferryError("image %s is RGB: convert it with Image > Type > 8-bit, or split its channels" % title)
    if image.getNChannels() != tensor["channels"]:
        raise ZooferryError(
            "image %s has %d channels, model %s takes %d: split the channels (Image > Color > Split Channels)"
            % (title, image.getNChannels(), name, tensor["channels"])
        )
    if "z" in tensor["axes"] and image.getNSlices() < 2:
        hint = " (it has %d frames: exchange Z and T in Image > Properties)" % image.getNFrames()
        raise ZooferryError(
            "image %s has no Z, model %s takes Z stacks%s" % (title, name, hint if image.getNFrames() > 1 else "")
        )
    if "time" in tensor["axes"] and image.getNFrames() < 2:
        raise ZooferryError("image %s has no frames, model %s takes time series" % (title, name))
    if image.getBitDepth() == 32:
        _check_finite(image)


def check_varied(image):
    """Refuse an image whose pixels are all the same; the first plane with two values ends the search."""
    stack = image.getStack()
    values = set()
    for index in range(1, stack.getSize() + 1):
        plane = stack.getProcessor(index)
        plane.resetRoi()
        statistics = plane.getStatistics()
        values.update((statistics.min, statistics.max))
        if len(values) > 1:
            return
    raise ZooferryError(
        "image %s: every pixel is %g; a constant image holds nothing to restore, leave it out"
        % (image.getTitle(), values.pop())
    )


def read_volume(image, slices, frames, depth):
    """Copy planes out of an image.

    Parameters
    ----------
    image : ImagePlus
    slices, frames : list of int
        Z and T positions, from 0; one of the two lists has one entry.
    depth : str
        "z" or "time", whichever list is the longer one.

    Returns
    -------
    Volume
        C (Z) Y X with raw values: calibration functions are not applied, except for signed 16 bit.
    """
    signed = image.getLocalCalibration().isSigned16Bit()
    stack = image.getStack()
    planes, originals = [], []
    for channel in range(image.getNChannels()):
        indices = [image.getStackIndex(channel + 1, z + 1, t + 1) for z in slices for t in frames]
        sources = [stack.getProcessor(index) for index in indices]
        planes.append([_as_floats(source, signed) for source in sources])
        originals.append(sources)
    counted = image.getBitDepth() < 32 and not signed
    return Volume(planes, depth, originals if counted else None, "int16" if signed else DTYPES[image.getBitDepth()])


def padded_planes(volume, lengths):
    """The volume's pixels, reflected at the high end of each axis.

    Parameters
    ----------
    volume : Volume
    lengths : list of int
        Padded size along Z Y X.

    Returns
    -------
    list of list of float[]
        [channel][z], each of Y * X pixels. Planes that are repeated along Z are the same array.
    """
    depth, height, width = lengths
    result = []
    for planes in volume.planes:
        arrays = [_padded_plane(plane, height, width) for plane in planes]
        result.append([arrays[reflected_index(z, len(arrays)) if z >= len(arrays) else z] for z in range(depth)])
    return result


def fill(buffer, planes, box, strides, width):
    """Put one window of padded planes into a direct buffer.

    `box` is ((z, size), (y, size), (x, size)) in pixels, `strides` are those of C Z Y X in the buffer, `width` that
    of the planes.
    """
    if strides[3] > 1:
        _fill_interleaved(buffer, planes, box, strides, width)
        return
    (z0, depth), (y0, height), (x0, columns) = box
    whole = columns == width and strides[2] == columns
    for c, channel in enumerate(planes):
        for z, plane in enumerate(channel[z0 : z0 + depth]):
            begin = c * strides[0] + z * strides[1]
            if whole:
                buffer.position(begin)
                buffer.put(plane, y0 * width, height * width)
                continue
            for y in range(height):
                buffer.position(begin + y * strides[2])
                buffer.put(plane, (y0 + y) * width + x0, columns)


def collect(buffer, planes, box, strides):
    """Take the kept part of one window's result out of a direct buffer.

    `box` is ((first in the window, from, to), ...) along Z Y X on the image, `strides` are those of C Z Y X in the
    buffer; `planes` are FloatProcessors [channel][z].
    """
    if strides[3] > 1:
        _collect_interleaved(buffer, planes, box, strides)
        return
    (z0, z_from, z_to), (y0, y_from, y_to), (x0, x_from, x_to) = box
    columns = x_to - x_from
    for c, channel in enumerate(planes):
        for z in range(z_from, z_to):
            pixels, width = channel[z].getPixels(), channel[z].getWidth()
            begin = c * strides[0] + (z0 + z - z_from) * strides[1] + y0 * strides[2] + x0
            if columns == width and strides[2] == width:
                buffer.position(begin)
                buffer.get(pixels, y_from * width, (y_to - y_from) * width)
                continue
            for y in range(y_from, y_to):
                buffer.position(begin + (y - y_from) * strides[2])
                buffer.get(pixels, y * width + x_from, columns)


def _fill_interleaved(buffer, planes, box, strides, width):
    # Y X C: each channel's columns stand `count` apart; column by column, for no bulk operation takes steps
    (z0, depth), (y0, height), (x0, columns) = box
    count = len(planes)
    column = zeros(height, "i")
    for z in range(depth):
        mixed = FloatProcessor(columns * count, height)
        for c, channel in enumerate(planes):
            source = FloatProcessor(width, len(channel[z0 + z]) // width, channel[z0 + z])
            for x in range(columns):
                source.getColumn(x0 + x, y0, column, height)
                mixed.putColumn(x * count + c, 0, column, height)
        buffer.position(z * strides[1])
        buffer.put(mixed.getPixels())


def _collect_interleaved(buffer, planes, box, strides):
    (z0, z_from, z_to), (y0, y_from, y_to), (x0, x_from, x_to) = box
    count, height = len(planes), y_to - y_from
    column = zeros(height, "i")
    mixed = FloatProcessor(strides[2], height)
    for z in range(z_from, z_to):
        buffer.position((z0 + z - z_from) * strides[1] + y0 * strides[2])
        buffer.get(mixed.getPixels())
        for c, channel in enumerate(planes):
            for x in range(x_from, x_to):
                mixed.getColumn((x0 + x - x_from) * count + c, 0, column, height)
                channel[z].putColumn(x, y_from, column, height)


def empty_planes(channels, depth, height, width):
    """FloatProcessors [channel][z] of zeros."""
    return [[FloatProcessor(width, height) for _ in range(depth)] for _ in range(channels)]


def as_image(planes, image, title, ratios):
    """A result as an ImagePlus with the calibration, dimensions and slice labels of its source.

    Parameters
    ----------
    planes : dict
        (c, z, t), from 0 -> FloatProcessor (Y X).
    image : ImagePlus
        The source.
    title : str
    ratios : dict
        Axis -> pixels of the result for one pixel of the source; an axis that the result has not is missing.
    """
    channels, depth, frames = [max(place[i] for place in planes) + 1 for i in range(3)]
    stack = ImageStack(planes[0, 0, 0].getWidth(), planes[0, 0, 0].getHeight())
    for t in range(frames):
        for z in range(depth):
            for c in range(channels):
                stack.addSlice(_label(image, c, z, t), planes[c, z, t])
    result = ImagePlus(title, stack)
    result.setDimensions(channels, depth, frames)
    result.setCalibration(_calibration(image, ratios))
    if channels > 1:
        result = CompositeImage(result, CompositeImage.GRAYSCALE)
    result.setOpenAsHyperStack(result.getStackSize() > 1 and (channels > 1 or frames > 1))
    if image.getOverlay() is not None and (result.getWidth(), result.getHeight()) == (
        image.getWidth(),
        image.getHeight(),
    ):
        result.setOverlay(image.getOverlay().duplicate())
    return result


def _label(image, c, z, t):
    if image.getStackSize() == 1 or z >= image.getNSlices() or t >= image.getNFrames():
        return None
    return image.getStack().getSliceLabel(image.getStackIndex(min(c, image.getNChannels() - 1) + 1, z + 1, t + 1))


def _calibration(image, ratios):
    # the size of a pixel shrinks as their number grows
    if "x" not in ratios or "y" not in ratios:
        return Calibration()
    calibration = image.getLocalCalibration().copy()
    calibration.disableDensityCalibration()
    calibration.pixelWidth /= ratios["x"]
    calibration.xOrigin *= ratios["x"]
    calibration.pixelHeight /= ratios["y"]
    calibration.yOrigin *= ratios["y"]
    calibration.pixelDepth /= ratios.get("z", 1.0)
    calibration.zOrigin *= ratios.get("z", 1.0)
    calibration.frameInterval /= ratios.get("time", 1.0)
    return calibration


def _as_floats(source, signed):
    source.resetRoi()
    source.setCalibrationTable(None)
    plane = source.convertToFloatProcessor() if source.getBitDepth() < 32 else source.duplicate()
    plane.setMinAndMax(0, 1)  # spares a search for the range after each operation
    if signed:
        plane.add(-32768)
    return plane


def _check_finite(image):
    stack = image.getStack()
    for index in range(1, stack.getSize() + 1):
        plane = stack.getProcessor(index)
        plane.resetRoi()
        wrong = plane.getPixelCount() - plane.getStatistics().pixelCount  # which counts finite pixels
        if wrong:
            raise ZooferryError(
                "image %s has %d pixels that are NaN or infinite in plane %d: replace them, for example with "
                "Process > Filters > Remove NaNs" % (image.getTitle(), wrong, index)
            )


def _padded_plane(plane, height, width):
    if (plane.getHeight(), plane.getWidth()) == (height, width):
        return plane.getPixels()
    padded = FloatProcessor(width, height)
    padded.insert(plane, 0, 0)
    column = zeros(plane.getHeight(), "i")
    for x in range(plane.getWidth(), width):
        padded.getColumn(reflected_index(x, plane.getWidth()), 0, column, len(column))
        padded.putColumn(x, 0, column, len(column))
    pixels = padded.getPixels()
    for y in range(plane.getHeight(), height):
        System.arraycopy(pixels, reflected_index(y, plane.getHeight()) * width, pixels, y * width, width)
    return pixels
