"""An image at the pixel size of the training data, and its result back at its own; bilinear.

Pixels are areas: pixel i of n covers (i, i + 1) / n of the length, so that both images cover the same field.
"""

import math

from .errors import ZooferryError

LARGEST = 8.0  # beyond, a wrong unit is likelier than such a microscope
IGNORED = 0.01  # factors this near to 1 are left alone


def scaled_lengths(lengths, factors, title):
    """Sizes of the rescaled image. Pure.

    Parameters
    ----------
    lengths : dict
        Axis -> pixels.
    factors : dict
        Axis -> size of the image's pixels over that of the training data.
    title : str
        For messages.

    Returns
    -------
    dict
        Axis -> pixels, of all axes of `lengths`.
    """
    for axis, factor in factors.items():
        if not 1.0 / LARGEST <= factor <= LARGEST:
            raise ZooferryError(
                "pixels of image %s are %.3g times those of the training data along %s, and rescale goes up to %g: "
                "check pixel size and unit in Image > Properties" % (title, factor, axis, LARGEST)
            )
    return dict(
        (axis, max(1, int(math.floor(n * factors[axis] + 0.5))) if _matters(factors.get(axis)) else n)
        for axis, n in lengths.items()
    )


def _matters(factor):
    return factor is not None and abs(factor - 1.0) > IGNORED


def linear_weights(length, wanted):
    """For each of `wanted` positions: (lower index, upper index, weight of the upper one). Pure."""
    result = []
    for i in range(wanted):
        centre = min(max((i + 0.5) * length / wanted - 0.5, 0.0), length - 1.0)
        low = min(int(centre), max(length - 2, 0))
        result.append((low, min(low + 1, length - 1), centre - low))
    return result


def scaled_volume(volume, sizes, centred=False):
    """A Volume with planes of other sizes; `sizes` along depth Y X; `centred` as in `scaled_planes`."""
    from .volume import Volume

    return Volume(
        [scaled_planes(planes, sizes, centred=centred) for planes in volume.planes], volume.depth, None, "float32"
    )


def scaled_planes(planes, sizes, exact=False, centred=False):
    """FloatProcessors [z] at other sizes (depth Y X).

    Parameters
    ----------
    planes : list of FloatProcessor
    sizes : list of int
    exact : bool
        The nearest pixel's value, for labels.
    centred : bool
        Number for number as zooferry.diameters; else by ImageJ's own resize.
    """
    depth, height, width = sizes
    resized = _centred if centred else _resized
    flat = [resized(plane, width, height, exact) for plane in planes]
    if depth == len(flat):
        return flat
    mixed = linear_weights(len(flat), depth)
    if exact:
        return [flat[high if weight > 0.5 else low].duplicate() for low, high, weight in mixed]
    return [_blended(flat[low], flat[high], weight) for low, high, weight in mixed]


def _resized(plane, width, height, exact):
    from ij.process import ImageProcessor

    plane.resetRoi()
    if (plane.getWidth(), plane.getHeight()) == (width, height):
        return plane
    plane.setInterpolationMethod(ImageProcessor.NONE if exact else ImageProcessor.BILINEAR)
    result = plane.resize(width, height, not exact)
    result.setMinAndMax(0, 1)  # spares a search for the range after each operation
    return result


def _centred(plane, width, height, exact):
    from ij.process import FloatProcessor

    from . import kernels

    if (plane.getWidth(), plane.getHeight()) == (width, height):
        return plane
    kernel = kernels.load("resizing")
    resize = kernel.nearest if exact else kernel.linear
    result = FloatProcessor(
        width, height, resize(plane.getPixels(), plane.getHeight(), plane.getWidth(), height, width)
    )
    result.setMinAndMax(0, 1)
    return result


def _blended(low, high, weight):
    from ij.process import Blitter

    result = low.duplicate()
    if weight:
        result.multiply(1.0 - weight)
        other = high.duplicate()
        other.multiply(weight)
        result.copyBits(other, 0, 0, Blitter.ADD)
    return result
