"""From the heads of a network to labels, with Groovy kernels: the same labels as zooferry.instances, number by number.

A head is a float[] (Y X, row by row; Z Y X of a volume); labels are an int[] of that kind. `read_declaration` is pure.
"""

from . import kernels
from .errors import UnsupportedError, ZooferryError

# method -> parameter -> what is taken without it; as zooferry/instances/declaration.py says
METHODS = {
    "star_convex": {
        "grid": [1, 1],
        "prob_thresh": 0.5,
        "nms_thresh": 0.4,
        "border": 2,
        "anisotropy": [1.0, 1.0, 1.0],
        "repeated": False,
    },
    "flows": {
        "prob_thresh": 0.0,
        "flow_thresh": 0.4,
        "min_size": 15,
        "steps": 200,
        "largest": 0.4,
        "renumber": False,
        "anisotropy": [1.0, 1.0, 1.0],
        "diameter": 0.0,
    },
    "borders": {"threshold": 0.5, "min_size": 0, "grow": 0},
}
VOLUMES = ("star_convex", "borders")  # the methods whose objects go through slices with "volume": true
SPEC_STEPS = ("stardist_postprocessing", "cellpose_flow_dynamics")


def read_declaration(rdf, outputs, model):
    """The section config.zooferry.instances of a description.

    Parameters
    ----------
    rdf : dict
    outputs : list of str
        Ids of the model's outputs.
    model : str
        For messages.

    Returns
    -------
    dict or None
        "method", "outputs", "volume", and each parameter of the method.
    """
    config = rdf.get("config") or {}
    said = (config.get("zooferry") or {}).get("instances")
    if said is None:
        return None
    words = "model %s: config.zooferry.instances names " % model
    method = said.get("method") if hasattr(said, "get") else said
    if method not in METHODS:
        raise ZooferryError(words + "the method %s; allowed: %s" % (method, ", ".join(sorted(METHODS))))
    names = said.get("outputs")
    if not isinstance(names, list) or not names or [name for name in names if name not in outputs]:
        raise ZooferryError(words + "the outputs %s; allowed: a list of some of %s" % (names, ", ".join(outputs)))
    result = dict(METHODS[method], volume=False)
    unknown = [key for key in said if key not in result and key not in ("method", "outputs")]
    if unknown:
        allowed = ", ".join(sorted(result))
        raise ZooferryError(words + "the parameter %s of %s; allowed: %s" % (unknown[0], method, allowed))
    if said.get("volume") and method == "star_convex":
        result["grid"] = [1, 1, 1]
    result.update(said)
    result["views"] = result["volume"] and method not in VOLUMES  # of a 2D network, from three sides
    result["volume"] = result["volume"] and method in VOLUMES
    return result


def require_planes(declaration, slices, model):
    """Refuse a stack whose objects come out of views from three sides."""
    if declaration and declaration.get("views") and slices > 1:
        raise UnsupportedError(
            "model %s finds objects through %d slices from views of three sides, which does not run in ImageJ yet: "
            "take one plane, or use zooferry predict" % (model, slices)
        )


def from_step(step):
    """A declaration for a processing step of the format: stardist_postprocessing or cellpose_flow_dynamics."""
    kwargs = step["kwargs"]
    if step["id"] == "stardist_postprocessing":
        return {
            "method": "star_convex",
            "grid": kwargs["grid"],
            "prob_thresh": kwargs["prob_threshold"],
            "nms_thresh": kwargs["nms_threshold"],
            "border": kwargs["b"],
            "anisotropy": kwargs.get("anisotropy") or [1.0, 1.0, 1.0],
            "volume": len(kwargs["grid"]) == 3,
        }
    return dict(
        METHODS["flows"],
        method="flows",
        prob_thresh=kwargs["cellprob_threshold"],
        flow_thresh=kwargs["flow_threshold"],
        min_size=kwargs.get("min_size", 15),
    )


def check_step(step, axes, model):
    """Refuse a label step that does not run here."""
    kwargs, words = step["kwargs"], "model %s: %s " % (model, step["id"])
    flat = len(kwargs.get("grid") or [1, 1]) == 2
    if kwargs.get("do_3D") or kwargs.get("overlap_label") is not None or ("z" in axes) == flat:
        raise UnsupportedError(words + "of such volumes does not run in ImageJ yet")
    wanted = ("prob_threshold", "nms_threshold", "n_rays", "grid", "b")
    if step["id"] != SPEC_STEPS[0]:
        wanted = ("cellprob_threshold", "flow_threshold")
    missing = [key for key in wanted if key not in kwargs]
    if missing:
        raise ZooferryError(words + "lacks %s: its rdf.yaml is incomplete" % ", ".join(missing))
    if kwargs.get("n_rays", 3) < 3:
        raise ZooferryError(words + "has n_rays %s: allowed are whole numbers from 3" % kwargs["n_rays"])


def lay_heads(tensor):
    """Turn the description of an output with a label step into that of the heads which the network gives.

    "own_sizes" keeps the sizes of the labels, "labels" says that there are some.
    """
    steps = [step for step in tensor["steps"] if step["id"] in SPEC_STEPS]
    if not steps:
        return
    kwargs = steps[0]["kwargs"]
    grid = kwargs.get("grid") or (1, 1)
    spacing = dict(zip(("z", "y", "x")[-len(grid) :], grid))
    tensor["volume"] = len(grid) == 3
    tensor["channels"] = kwargs.get("n_rays", 2) + 1
    tensor["labels"] = True
    tensor["own_sizes"] = tensor["sizes"]
    tensor["sizes"] = dict(
        (name, dict(size, ratio=size["ratio"] / spacing.get(name, 1))) for name, size in tensor["sizes"].items()
    )


def made_by(model):
    """The tensors that become images: the outputs, and the declared labels."""
    outputs = [
        dict(tensor, sizes=tensor["own_sizes"], channels=1) if tensor.get("labels") else tensor
        for tensor in model["outputs"]
    ]
    declared = model["instances"]
    if declared is None:
        return outputs
    depth = ["z"] if [tensor for tensor in outputs if "z" in tensor["axes"]] else []
    sizes = dict((name, {"ratio": 1.0, "offset": 0}) for name in depth + ["y", "x"])
    labels = {
        "id": "labels",
        "axes": ["batch", "channel"] + depth + ["y", "x"],
        "channels": 1,
        "steps": [],
        "dtype": "int32",
        "sizes": sizes,
        "labels": True,
        "volume": declared["volume"],
    }
    return outputs + [labels]


def _require(right, words, wanted, came):
    if not right:
        raise ZooferryError("%stakes %s; its output has %d" % (words, wanted, came))


def decode(declaration, heads, size, shape=None):
    """Labels of one image.

    Parameters
    ----------
    declaration : dict
        See `read_declaration`.
    heads : list of float[]
        In the order that the method takes.
    size : list of int
        Height and width of the heads; of a volume depth, height, width.
    shape : list of int, optional
        Sizes of the labels of star-convex polygons; by default those of the heads times the grid.

    Returns
    -------
    (int[], list of int)
        Labels and their sizes.
    """
    method, count = declaration["method"], len(heads)
    words = "decoding of %s " % method
    if method == "star_convex":
        _require(count >= 4, words, "at least 4 channels, probability and distances", count)
        return _star_convex(declaration, heads, size, shape)
    _require(count == 3, words, "3 channels", count)
    arrays = _planes(heads)
    if method == "flows":
        thresholds = _array([declaration[key] for key in ("prob_thresh", "flow_thresh", "largest")], "d")
        numbers = _array([declaration["min_size"], declaration["steps"], int(declaration["renumber"])], "i")
        return kernels.load("flows", "regions").labels(arrays, size[0], size[1], thresholds, numbers), size
    settings = [declaration[key] for key in ("threshold", "min_size", "grow")]
    sizes = _array([1] * (3 - len(size)) + list(size), "i")
    return kernels.load("regions").ofClasses(arrays, sizes, *settings), size


def on_grid(heads, size, grid):
    """Of heads that repeat the values of a grid for every pixel: those of the grid, and its size."""
    sizes = [_array([1] * (3 - len(values)) + list(values), "i") for values in (size, grid)]
    kernel = kernels.load("resizing")
    return [kernel.everyNth(head, *sizes) for head in heads], [(n + g - 1) // g for n, g in zip(size, grid)]


def _star_convex(declaration, heads, size, shape):
    grid, border = declaration["grid"], declaration["border"]
    if declaration.get("repeated"):
        shape = shape or size
        heads, size = on_grid(heads, size, grid)
    shape = shape or [n * g for n, g in zip(size, grid)]
    sides = [side for pair in border for side in pair] if hasattr(border, "__len__") else [border] * 2 * len(size)
    sizes, sides = _array(list(size) + list(grid) + list(shape), "i"), _array(sides, "i")
    thresholds = [declaration["prob_thresh"], declaration["nms_thresh"]]
    if len(size) == 2:
        numbers = _array(thresholds, "d")
        return kernels.load("star_convex").labels(heads[0], _planes(heads[1:]), sizes, sides, numbers), shape
    numbers = _array(thresholds + list(declaration["anisotropy"]), "d")
    kernel = kernels.load("polyhedra", "solids", "half_spaces")
    return kernel.labels(heads[0], _planes(heads[1:]), sizes, sides, numbers), shape


def _array(values, kind):
    from jarray import array

    return array([int(v) for v in values] if kind == "i" else [float(v) for v in values], kind)


def _planes(planes):
    from jarray import array
    from java.lang import Class

    return array(planes, Class.forName("[F"))
