"""ImagePlus <-> planes of 32-bit pixels in network order C (Z) Y X; bulk operations only.

ImageJ keeps its images as X Y C Z T, one processor per plane; a plane's pixels lie row by row (Y X).
"""

from ij import CompositeImage, ImagePlus, ImageStack
from ij.process import FloatProcessor
from jarray import zeros
from java.awt import Rectangle
from java.lang import System

from .errors import ZooferryError
from .tiling import reflected_index
from .volume import Volume

DTYPES = {8: "uint8", 16: "uint16", 32: "float32"}


def split_colours(image):
    """An RGB image as three 8-bit channels, with the same title, calibration and position; others as they are."""
    if image.getBitDepth() != 24:
        return image
    stack = ImageStack(image.getWidth(), image.getHeight())
    for index in range(1, image.getStackSize() + 1):
        colours = image.getStack().getProcessor(index)
        for channel in (1, 2, 3):
            stack.addSlice(image.getStack().getSliceLabel(index), colours.getChannel(channel, None))
    split = ImagePlus(image.getTitle(), stack)
    split.setDimensions(3, image.getNSlices(), image.getNFrames())
    split = CompositeImage(split, CompositeImage.COMPOSITE)
    split.setCalibration(image.getCalibration())
    split.setOverlay(image.getOverlay())
    split.setProperty("Info", image.getInfoProperty())
    split.setPositionWithoutUpdate(1, image.getSlice(), image.getFrame())
    return split


def check_finite(image, passes):
    """Refuse planes with NaN or infinite pixels; nothing is computed before this has passed."""
    if image.getBitDepth() < 32:
        return
    for number, plane in enumerate(_planes(image, passes), 1):
        wrong = plane.getPixelCount() - plane.getStatistics().pixelCount  # which counts finite pixels
        if wrong:
            raise ZooferryError(
                "image %s has %d pixels that are NaN or infinite in plane %d: replace them, for example with "
                "Process > Filters > Remove NaNs" % (image.getTitle(), wrong, number)
            )


def check_varied(image, passes):
    """Refuse an image whose pixels are all the same; the first row or plane with two values ends the search."""
    values = set()
    for plane in _planes(image, passes):
        for part in ((0, plane.getHeight() // 2, plane.getWidth(), 1), None):
            plane.setRoi(Rectangle(*part) if part else None)
            statistics = plane.getStatistics()
            values.update((statistics.min, statistics.max))
            if len(values) > 1:
                plane.resetRoi()
                return
    raise ZooferryError(
        "image %s: every pixel is %g; a constant image holds nothing to restore, leave it out"
        % (image.getTitle(), values.pop())
    )


def _planes(image, passes):
    # the processors of all passes, without a region of interest
    for one in passes:
        for c, (z, t) in [(c, place) for c in one["channels"] for place in one["places"]]:
            plane = image.getStack().getProcessor(image.getStackIndex(c + 1, z + 1, t + 1))
            plane.resetRoi()
            yield plane


def read_volume(image, channels, places, depth, check):
    """Copy planes out of an image.

    Parameters
    ----------
    image : ImagePlus
    channels : list of int
        From 0.
    places : list of (int, int)
        Z and T positions, from 0, along the depth of the network.
    depth : str
        "z" or "time": the name of that depth.
    check : callable
        Called for each plane; may raise to end it all.

    Returns
    -------
    Volume
        C (Z) Y X with raw values: calibration functions are not applied, except for signed 16 bit.
    """
    signed = image.getLocalCalibration().isSigned16Bit()
    stack = image.getStack()
    planes, originals = [], []
    for channel in channels:
        indices = [image.getStackIndex(channel + 1, z + 1, t + 1) for z, t in places]
        sources = [stack.getProcessor(index) for index in indices]
        planes.append([_as_floats(source, signed, check) for source in sources])
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


def empty_planes(sizes, check):
    """FloatProcessors [channel][z] of zeros; `sizes` are channels, depth, height, width; `check` as in read_volume."""
    channels, depth, height, width = sizes
    return [[_empty(width, height, check) for _ in range(depth)] for _ in range(channels)]


def _empty(width, height, check):
    check()
    return _without_range(FloatProcessor(width, height))


def _without_range(plane):
    plane.setMinAndMax(0, 1)  # spares a search for the range after each operation
    return plane


def _as_floats(source, signed, check):
    check()
    source.resetRoi()
    source.setCalibrationTable(None)
    plane = source.convertToFloatProcessor() if source.getBitDepth() < 32 else source.duplicate()
    _without_range(plane)
    if signed:
        plane.add(-32768)
    return plane


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
