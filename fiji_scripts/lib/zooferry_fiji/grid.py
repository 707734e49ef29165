"""The spatial axes of a model: which sizes its inputs take, and which sizes its outputs have. Pure.

The grid is that of the first input; z or time is called the depth. Lengths are pixels of the input.
"""

import math

from .errors import UnsupportedError, ZooferryError

DEPTHS = ("z", "time")
KNOWN = ("batch", "channel", "z", "time", "y", "x")


def axis_name(axis):
    """Batch, channel, time, index, or the id of an axis of space."""
    return axis["id"] if axis["type"] == "space" else axis["type"]


def check_axes(axes, channels, tensor, names):
    """Refuse axes that have no place in an image; `names` are those of model and tensor, `tensor` input or output."""
    words = "model %s: %s has the axes %s" % (names + (" ".join(axes),))
    if [axis for axis in axes if axis not in KNOWN] or len(set(axes)) < len(axes):
        raise UnsupportedError(words + ": ImageJ has a place for batch, channel, z, time, y and x, each once")
    if "z" in axes and "time" in axes:
        raise UnsupportedError(words + ": models of z and time together do not run in ImageJ yet")
    planar = [axis for axis in axes if axis in ("y", "x")]
    if planar != ["y", "x"] and (tensor == "input" or planar):
        raise UnsupportedError(words + ": ImageJ takes images with y before x")
    _check_order([axis for axis in axes if axis != "batch" and (axis != "channel" or channels > 1)], words)
    if not planar and [axis for axis in axes if axis in DEPTHS]:
        raise UnsupportedError(words + ": profiles along %s are no images" % axes[-1])


def _check_order(axes, words):
    # rows of X must be continuous, or pixels with all channels
    last = axes[axes.index("x") + 1 :] if "x" in axes else []
    if last not in ([], ["channel"]) or (last and axes[axes.index("y") + 1] != "x"):
        raise UnsupportedError(words + ": ImageJ runs models with x as last axis, or y, x and channel")


def read_grid(inputs, outputs, model):
    """The spatial axes of the inputs.

    Parameters
    ----------
    inputs, outputs : list of dict
        As in the description.
    model : str
        For messages.

    Returns
    -------
    list of dict
        Along (depth) Y X: "name", "min", "step" (0: fixed size), "scale" and "halo": what must be thrown away at
        the inner borders of a tile; 0 where an axis must stay whole.
    """
    first = [axis for axis in inputs[0]["axes"] if axis_name(axis) in DEPTHS + ("y", "x")]
    axes = [_grid_axis(axis) for axis in first]
    for tensor in inputs[1:]:
        others = dict((axis_name(axis), axis) for axis in tensor["axes"] if axis_name(axis) in DEPTHS + ("y", "x"))
        same = [axis for axis in axes if axis["name"] in others and _same_size(others[axis["name"]], axis, inputs)]
        if len(same) < max(len(axes), len(others)):
            raise UnsupportedError(
                "model %s: its inputs %s and %s have different axes or sizes, which does not run in ImageJ yet"
                % (model, inputs[0]["id"], tensor["id"])
            )
    for axis in axes:
        axis["halo"] = max(_input_halo(tensor, axis, inputs, model) for tensor in outputs)
        if min(_input_halo(tensor, axis, inputs, model) for tensor in outputs) == 0:
            axis["halo"] = 0
    return axes


def read_sizes(output, axes, inputs, model):
    """Spatial axis of an output -> {"ratio", "offset"}: length = ratio * length of the input + offset."""
    found = dict((axis_name(axis), axis) for axis in output["axes"])
    known = [axis for axis in axes if axis["name"] in found]
    extra = [name for name in found if name not in [axis["name"] for axis in axes] + ["batch", "channel"]]
    if extra:
        raise UnsupportedError(
            "model %s: its output %s has the axis %s, which its inputs have not: it does not run in ImageJ yet"
            % (model, output["id"], extra[0])
        )
    return dict((axis["name"], _size(found[axis["name"]], axis, inputs, (model, output["id"]))) for axis in known)


def out_length(size, length):
    """Pixels of an output of `size` (see `read_sizes`) for `length` pixels of the input; halves become even."""
    exact = length * size["ratio"]
    whole = int(math.floor(exact + 0.5))
    if whole - exact == 0.5 and whole % 2:
        whole -= 1
    return whole + size["offset"]


def _grid_axis(axis):
    size = axis["size"]
    variable = isinstance(size, dict)
    return {
        "name": axis_name(axis),
        "min": int(size["min"] if variable else size),
        "step": int(size["step"]) if variable else 0,
        "scale": float(axis.get("scale") or 1.0),
    }


def _same_size(axis, wanted, inputs):
    size = axis["size"]
    if isinstance(size, dict) and "tensor_id" in size:
        same = size["tensor_id"] == inputs[0]["id"] and size["axis_id"] == wanted["name"]
        return same and not size.get("offset") and float(axis.get("scale") or 1.0) == wanted["scale"]
    other = _grid_axis(axis)
    return (other["min"], other["step"]) == (wanted["min"], wanted["step"])


def _size(axis, wanted, inputs, names):
    size = axis["size"]
    halo = axis.get("halo")
    if not isinstance(size, dict):
        if wanted["step"] == 0 and (halo or size == wanted["min"]):
            return {"ratio": float(size) / wanted["min"], "offset": 0}
        return {"ratio": 0.0, "offset": int(size)}
    if "tensor_id" not in size:
        raise UnsupportedError(
            "model %s: the size of its output %s along %s depends on the pixels, which does not run in ImageJ yet"
            % (names[0], names[1], wanted["name"])
        )
    if size["axis_id"] != wanted["name"] or size["tensor_id"] not in [tensor["id"] for tensor in inputs]:
        raise UnsupportedError(
            "model %s: the size of its output %s along %s follows %s of %s, which does not run in ImageJ yet"
            % (names[0], names[1], wanted["name"], size["axis_id"], size["tensor_id"])
        )
    return {"ratio": wanted["scale"] / float(axis.get("scale") or 1.0), "offset": int(size.get("offset") or 0)}


def _input_halo(output, axis, inputs, model):
    # the output's halo in pixels of the input; 0 if this output forbids tiles along the axis
    found = [one for one in output["axes"] if axis_name(one) == axis["name"]]
    if not found or not found[0].get("halo"):
        return 0
    size = _size(found[0], axis, inputs, (model, output["id"]))
    grown = (axis["step"] or 1) * size["ratio"]
    if size["offset"] or grown <= 0 or abs(grown - round(grown)) > 1e-6:
        return 0
    return int(math.ceil(found[0]["halo"] / size["ratio"] - 1e-6))


def require_fixed(length, axis, model):
    """Refuse a length that a fixed size does not reach."""
    if axis["step"] == 0 and axis["halo"] == 0 and length > axis["min"]:
        raise ZooferryError(
            "model %s takes exactly %d pixels along %s and declares no halo, the image has %d: crop it, or use Image > "
            "Scale" % (model, axis["min"], axis["name"], length)
        )
