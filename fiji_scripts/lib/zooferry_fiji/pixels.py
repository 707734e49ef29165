"""ImagePlus <-> planes of 32-bit pixels in network order C (Z) Y X; bulk operations only.

ImageJ keeps its images as X Y C Z T, one processor per plane; a plane's pixels lie row by row (Y X).
"""

from ij import CompositeImage, ImagePlus, ImageStack
from ij.process import FloatProcessor
from jarray import zeros
from java.lang import System

from .errors import ZooferryError
from .tiling import reflected_index
from .volume import Volume

DTYPES = {8: "uint8", 16: "uint16", 32: "float32"}


def check_image(image, model):
    """Refuse an image that the model cannot take; nothing is computed before this has passed."""
    title, name = image.getTitle(), model["name"]
    if image.getBitDepth() == 24:
        raise ZooferryError("image %s is RGB: convert it with Image > Type > 8-bit, or split its channels" % title)
    if image.getNChannels() != model["channels"]:
        raise ZooferryError(
            "image %s has %d channels, model %s takes %d: split the channels (Image > Color > Split Channels)"
            % (title, image.getNChannels(), name, model["channels"])
        )
    if len(model["axes"]) == 3 and image.getNSlices() < 2:
        hint = " (it has %d frames: exchange Z and T in Image > Properties)" % image.getNFrames()
        raise ZooferryError(
            "image %s has no Z, model %s takes Z stacks%s" % (title, name, hint if image.getNFrames() > 1 else "")
        )
    if image.getBitDepth() == 32:
        _check_finite(image)
    _check_varied(image)


def read_volume(image, slices, frame):
    """Copy planes out of an image.

    Parameters
    ----------
    image : ImagePlus
    slices : list of int
        Z positions, from 0.
    frame : int
        T position, from 0.

    Returns
    -------
    Volume
        C (Z) Y X with raw values: calibration functions are not applied, except for signed 16 bit.
    """
    signed = image.getLocalCalibration().isSigned16Bit()
    stack = image.getStack()
    planes, originals = [], []
    for channel in range(image.getNChannels()):
        sources = [stack.getProcessor(image.getStackIndex(channel + 1, z + 1, frame + 1)) for z in slices]
        planes.append([_as_floats(source, signed) for source in sources])
        originals.append(sources)
    counted = image.getBitDepth() < 32 and not signed
    return Volume(planes, originals if counted else None, "int16" if signed else DTYPES[image.getBitDepth()])


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


def fill(buffer, planes, window, width):
    """Put one window of padded planes into a direct buffer in the order C Z Y X.

    `window` is ((z, size), (y, size), (x, size)) in pixels, `width` that of the planes.
    """
    (z0, depth), (y0, height), (x0, columns) = window
    buffer.clear()
    for channel in planes:
        for plane in channel[z0 : z0 + depth]:
            if columns == width:
                buffer.put(plane, y0 * width, height * width)
                continue
            for y in range(y0, y0 + height):
                buffer.put(plane, y * width + x0, columns)


def collect(buffer, planes, window, keep):
    """Take the kept part of one window's result out of a direct buffer (C Z Y X).

    `keep` is ((from, to), ...) along Z Y X on the image; `planes` are FloatProcessors [channel][z].
    """
    (z0, depth), (y0, height), (x0, columns) = window
    (z_from, z_to), (y_from, y_to), (x_from, x_to) = keep
    for c, channel in enumerate(planes):
        for z in range(z_from, z_to):
            pixels, width = channel[z].getPixels(), channel[z].getWidth()
            plane = ((c * depth + z - z0) * height - y0) * columns
            if columns == width and x_from == 0 and x_to == width:
                buffer.position(plane + y_from * columns)
                buffer.get(pixels, y_from * width, (y_to - y_from) * width)
                continue
            for y in range(y_from, y_to):
                buffer.position(plane + y * columns + x_from - x0)
                buffer.get(pixels, y * width + x_from, x_to - x_from)


def empty_planes(channels, depth, height, width):
    """FloatProcessors [channel][z] of zeros."""
    return [[FloatProcessor(width, height) for _ in range(depth)] for _ in range(channels)]


def as_image(volumes, image, title):
    """The result as an ImagePlus with the calibration, dimensions and slice labels of its source.

    Parameters
    ----------
    volumes : list of list of list of FloatProcessor
        [frame][channel][z].
    image : ImagePlus
        The source.
    title : str
    """
    channels, depth, frames = len(volumes[0]), len(volumes[0][0]), len(volumes)
    stack = ImageStack(image.getWidth(), image.getHeight())
    labels = image.getStack()
    for t in range(frames):
        for z in range(depth):
            for c in range(channels):
                source = image.getStackIndex(min(c, image.getNChannels() - 1) + 1, z + 1, t + 1)
                label = labels.getSliceLabel(source) if labels.getSize() > 1 else None
                stack.addSlice(label, volumes[t][c][z])
    result = ImagePlus(title, stack)
    result.setDimensions(channels, depth, frames)
    calibration = image.getLocalCalibration().copy()
    calibration.disableDensityCalibration()
    result.setCalibration(calibration)
    if channels > 1:
        result = CompositeImage(result, CompositeImage.GRAYSCALE)
    result.setOpenAsHyperStack(result.getStackSize() > 1 and (channels > 1 or frames > 1))
    if image.getOverlay() is not None:
        result.setOverlay(image.getOverlay().duplicate())
    return result


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


def _check_varied(image):
    # the first plane with two values ends the search
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
