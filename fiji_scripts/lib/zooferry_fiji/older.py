"""Descriptions of format 0.4 as those of 0.5, as bioimageio.spec 0.5.12 converts them. Pure.

Only what is needed to run a model is kept: tensors and weights.
"""

TYPES = {"b": "batch", "c": "channel", "i": "index", "t": "time", "x": "space", "y": "space", "z": "space"}
NAMES = {"b": "batch", "c": "channel", "i": "index", "t": "time"}


def converted(rdf):
    """A description of format 0.4 (plain dicts) as one of 0.5; the given one stays as it is."""
    inputs = rdf.get("inputs") or []
    sizes = dict((tensor["name"], _smallest_sizes(tensor)) for tensor in inputs)
    result = dict(rdf)
    result["inputs"] = [_input(tensor) for tensor in inputs]
    result["outputs"] = [_output(tensor, sizes) for tensor in rdf.get("outputs") or []]
    return result


def _smallest_sizes(tensor):
    shape = tensor["shape"]
    return dict(zip(tensor["axes"], shape["min"] if isinstance(shape, dict) else shape))


def _input(tensor):
    axes = []
    shape = tensor["shape"]
    for number, letter in enumerate(tensor["axes"]):
        if isinstance(shape, dict) and shape["step"][number]:
            size = {"min": shape["min"][number], "step": shape["step"][number]}
        else:
            size = (shape["min"] if isinstance(shape, dict) else shape)[number]
        axes.append(_axis(letter, size))
    steps = [_step(step, tensor["axes"]) for step in tensor.get("preprocessing") or []]
    return {
        "id": tensor["name"],
        "axes": axes,
        "data": {"type": tensor.get("data_type", "float32")},
        "preprocessing": steps + [_ensure("float32")],
    }


def _output(tensor, sizes):
    axes = []
    halo = tensor.get("halo") or [0] * len(tensor["axes"])
    for number, letter in enumerate(tensor["axes"]):
        axis = _output_axis(letter, tensor["shape"], number, sizes)
        if halo[number]:
            axis["halo"] = halo[number]
        axes.append(axis)
    steps = [_step(step, tensor["axes"]) for step in tensor.get("postprocessing") or []]
    # bioimageio.core 0.11 converts an output of 0.4 before its steps, not after them
    return {
        "id": tensor["name"],
        "axes": axes,
        "data": {"type": "float32"},
        "postprocessing": [_ensure(tensor.get("data_type", "float32"))] + steps + [_ensure("float32")],
    }


def _output_axis(letter, shape, number, sizes):
    if letter == "b":
        return _axis(letter, 1)
    if not isinstance(shape, dict):
        return _axis(letter, shape[number])
    scale, offset = shape["scale"][number], shape["offset"][number]
    if not scale:
        return _axis(letter, int(2 * offset))
    tensor, _, other = shape["reference_tensor"].partition(".")
    if letter in ("c", "i"):
        return _axis(letter, int(scale * sizes.get(tensor, {}).get(other or letter, 0) + 2 * offset))
    size = {"tensor_id": tensor, "axis_id": NAMES.get(other, other) or NAMES.get(letter, letter)}
    axis = _axis(letter, dict(size, offset=int(2 * offset)))
    axis["scale"] = 1.0 / scale
    return axis


def _axis(letter, size):
    kind = TYPES.get(letter, letter)
    if kind == "batch":
        return {"type": kind}
    if kind == "channel":
        return {"type": kind, "channel_names": ["channel%d" % i for i in range(size)]}
    return {"type": kind, "id": NAMES.get(letter, letter), "size": size}


def _ensure(dtype):
    return {"id": "ensure_dtype", "kwargs": {"dtype": dtype}}


def _step(step, tensor_axes):
    identifier, given = step["name"], step.get("kwargs") or {}
    kwargs = dict((key, value) for key, value in given.items() if value is not None)
    fixed = identifier == "zero_mean_unit_variance" and kwargs.get("mode", "fixed") == "fixed"
    mode, letters = kwargs.pop("mode", None), kwargs.pop("axes", None)
    if fixed or identifier == "scale_linear":
        # the numbers run along the one axis that is not named
        rest = [letter for letter in tensor_axes if letter not in letters and letter != "b"] if letters else []
        if rest:
            kwargs["axis"] = NAMES.get(rest[0], rest[0])
        kwargs.pop("eps", None)
        return {"id": "fixed_zero_mean_unit_variance" if fixed else identifier, "kwargs": kwargs}
    names = [NAMES.get(letter, letter) for letter in letters or ""]
    if mode == "per_dataset" and names:
        names = ["batch"] + names
    if names:
        kwargs["axes"] = names
    return {"id": identifier, "kwargs": kwargs}
