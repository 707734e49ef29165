"""Where heads become labels on the way of an image: outputs with a label step, and declared instances.

Planes are FloatProcessors [channel][depth]; 32 bit hold whole numbers up to 16,777,216.
"""

from ij.process import FloatProcessor
from jarray import zeros
from java.lang import System
from java.util import Arrays

from . import grid, instances


def finished(model, plan, volumes):
    """The planes of what a model makes: its outputs, and the labels that it declares.

    Parameters
    ----------
    model : dict
        See description.read_model; "made" lists the tensors.
    plan : plan.Plan
    volumes : list of volume.Volume
        One per output, processed.

    Returns
    -------
    list of list of list of FloatProcessor
    """
    made = [_cut(tensor, plan, volume.planes) for tensor, volume in zip(model["outputs"], volumes)]
    declaration = model["instances"]
    if declaration is None:
        return made
    by_id = dict(zip([tensor["id"] for tensor in model["outputs"]], made))
    heads = [plane for name in declaration["outputs"] for plane in by_id[name]]
    names = ["z", "y", "x"] if declaration["volume"] and "z" in plan.lengths else ["y", "x"]
    return made + [decoded(declaration, heads, [plan.lengths[name] for name in names])]


def decoded(declaration, planes, shape=None):
    """Heads [channel][depth] as labels [0][depth]; `shape` is that of the labels, (Z) Y X."""
    if declaration.get("volume"):
        return [_of_volume(declaration, planes, shape)]
    result = []
    for heads in zip(*planes):
        arrays = [plane.getPixels() for plane in heads]
        labels, size = instances.decode(declaration, arrays, [heads[0].getHeight(), heads[0].getWidth()], shape)
        result.append(FloatProcessor(size[1], size[0], labels))
    return [result]


def _of_volume(declaration, planes, shape):
    first = planes[0][0]
    size = [len(planes[0]), first.getHeight(), first.getWidth()]
    labels, size = instances.decode(declaration, [_joined(slices) for slices in planes], size, shape)
    area = size[1] * size[2]
    parts = [Arrays.copyOfRange(labels, z * area, (z + 1) * area) for z in range(size[0])]
    return [FloatProcessor(size[2], size[1], part) for part in parts]


def _joined(slices):
    area = slices[0].getPixelCount()
    result = zeros(area * len(slices), "f")
    for z, plane in enumerate(slices):
        System.arraycopy(plane.getPixels(), 0, result, z * area, area)
    return result


def _cut(tensor, plan, planes):
    # labels of the padded image, whose heads are needed as a whole
    if not tensor.get("labels"):
        return planes
    width, height = [grid.out_length(tensor["own_sizes"][name], plan.lengths[name]) for name in ("x", "y")]
    depth, result = tensor["own_sizes"].get("z"), []
    for several in planes:
        several = several[: grid.out_length(depth, plan.lengths["z"])] if depth and "z" in plan.lengths else several
        for plane in several:
            plane.setRoi(0, 0, width, height)
        result.append([plane.crop() for plane in several])
    return result
