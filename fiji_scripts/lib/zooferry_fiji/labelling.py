"""Where heads become labels on the way of an image: outputs with a label step, and declared instances.

Planes are FloatProcessors [channel][depth]; 32 bit hold whole numbers up to 16,777,216.
"""

from ij.process import FloatProcessor

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
    shape = (plan.lengths["y"], plan.lengths["x"])
    return made + [decoded(declaration, heads, shape)]


def decoded(declaration, planes, shape=None):
    """Heads [channel][depth] as labels [0][depth]."""
    result = []
    for heads in zip(*planes):
        arrays = [plane.getPixels() for plane in heads]
        labels, height, width = instances.decode(declaration, arrays, heads[0].getHeight(), heads[0].getWidth(), shape)
        result.append(FloatProcessor(width, height, labels))
    return [result]


def _cut(tensor, plan, planes):
    # labels of the padded image, whose heads are needed as a whole
    if not tensor.get("labels"):
        return planes
    width, height = [grid.out_length(tensor["own_sizes"][name], plan.lengths[name]) for name in ("x", "y")]
    result = []
    for several in planes:
        for plane in several:
            plane.setRoi(0, 0, width, height)
        result.append([plane.crop() for plane in several])
    return result
