"""Read the rdf.yaml of an unpacked bioimage.io model (format 0.5) into plain dicts; refuse early, in words."""

import io
import os

from .errors import ZooferryError
from .operations import check_steps

SPATIAL = ("z", "y", "x")


def read_model(folder):
    """What is needed to run a model.

    Parameters
    ----------
    folder : str
        An unpacked package: the folder that holds rdf.yaml.

    Returns
    -------
    dict
        "name", "version", "onnx" (path), "sha256" (of the weights, or ""), "channels", "channels_out" (int),
        "axes" (list along (Z) Y X of {"name", "min", "step", "halo"}; step 0: fixed size), "batch" (bool),
        "dtype" (of the input as it was saved), "before", "after" (lists of {"id", "kwargs"}).
    """
    rdf = load_rdf(folder)
    name = text(rdf.get("name") or os.path.basename(folder))
    version = text(rdf.get("format_version", ""))
    if not version.startswith("0.5"):
        raise ZooferryError(
            "model %s has format %s, this version reads 0.5: convert it with bioimageio.spec"
            % (name, version or "unknown")
        )
    source = _only(rdf, "inputs", name)
    result = _only(rdf, "outputs", name)
    axes = _spatial_axes(source, result, name)
    model = {
        "name": name,
        "version": text(rdf.get("version") or ""),
        "axes": axes,
        "batch": source["axes"][0]["type"] == "batch",
        "channels": len(_channel_names(source, name)),
        "channels_out": len(_channel_names(result, name)),
        "dtype": _dtype(source),
        "before": _steps(source.get("preprocessing")),
        "after": _steps(result.get("postprocessing")),
    }
    model.update(_onnx(rdf, folder, name))
    names = ["channel"] + [axis["name"] for axis in axes]
    check_steps(model["before"], names, name, allow_input=True)
    check_steps(model["after"], names, name, allow_input=False)
    return model


def load_rdf(folder):
    """rdf.yaml of a folder as plain dicts, lists and numbers."""
    path = os.path.join(folder, "rdf.yaml")
    if not os.path.isfile(path):
        raise ZooferryError("%s holds no rdf.yaml: choose the folder of an unpacked bioimage.io model" % folder)
    with io.open(path, encoding="utf-8") as stream:
        content = stream.read()
    rdf = plain(_parse_yaml(content, path))
    if not isinstance(rdf, dict) or rdf.get("type", "model") != "model":
        raise ZooferryError("%s does not describe a model: choose a bioimage.io package of type model" % path)
    return rdf


def plain(node):
    """Java maps and lists (or Python ones) as dicts and lists with text keys."""
    if hasattr(node, "items"):
        return dict((text(key), plain(value)) for key, value in node.items())
    if hasattr(node, "keySet"):
        return dict((text(key), plain(node.get(key))) for key in node.keySet())
    if hasattr(node, "append") or hasattr(node, "subList"):
        return [plain(item) for item in node]
    return node


def text(value):
    """A number as text; text as it is (in Jython unicode, which `str` would refuse beyond ASCII)."""
    return value if hasattr(value, "upper") else str(value)


def _parse_yaml(content, path):
    try:
        import yaml
    except ImportError:
        return _parse_snakeyaml(content, path)
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError as problem:
        raise ZooferryError("%s is not valid YAML: %s" % (path, " ".join(str(problem).split())))


def _parse_snakeyaml(content, path):
    from org.yaml.snakeyaml import Yaml
    from org.yaml.snakeyaml.constructor import SafeConstructor
    from org.yaml.snakeyaml.error import YAMLException

    try:
        from org.yaml.snakeyaml import LoaderOptions

        constructor = SafeConstructor(LoaderOptions())
    except (ImportError, TypeError):  # snakeyaml 1.x
        constructor = SafeConstructor()
    try:
        return Yaml(constructor).load(content)
    except YAMLException as problem:
        raise ZooferryError("%s is not valid YAML: %s" % (path, " ".join(problem.getMessage().split())))


def _only(rdf, key, name):
    tensors = rdf.get(key) or []
    if len(tensors) != 1:
        raise ZooferryError("model %s has %d %s, this version runs models with one" % (name, len(tensors), key))
    return tensors[0]


def _spatial_axes(source, result, name):
    kinds = [(axis.get("type"), axis.get("id", axis.get("type"))) for axis in source["axes"]]
    if kinds[0][0] == "batch":
        kinds = kinds[1:]
    order = [identifier for _, identifier in kinds]
    if kinds[0][0] != "channel" or tuple(order[1:]) not in (SPATIAL, SPATIAL[1:]):
        raise ZooferryError(
            "model %s has the axes %s: allowed are batch, channel, (z,) y, x in this order" % (name, " ".join(order))
        )
    outputs = dict((axis.get("id", axis["type"]), axis) for axis in result["axes"])
    return [_axis(axis, outputs, name) for axis in source["axes"] if axis["type"] == "space"]


def _axis(axis, outputs, name):
    identifier = axis["id"]
    output = outputs.get(identifier)
    if output is None:
        raise ZooferryError("model %s loses the axis %s: only same-size results run here" % (name, identifier))
    size, size_out = axis["size"], output.get("size")
    smallest, step = (size["min"], size["step"]) if isinstance(size, dict) else (size, 0)
    if step and smallest % step:
        raise ZooferryError(
            "model %s: along %s the smallest size %d is no multiple of the step %d" % (name, identifier, smallest, step)
        )
    same = size_out == size if not isinstance(size_out, dict) else size_out.get("offset", 0) == 0
    if not same or float(axis.get("scale", 1)) != float(output.get("scale", 1)):
        raise ZooferryError("model %s changes the size along %s: only same-size results run here" % (name, identifier))
    return {"name": identifier, "min": int(smallest), "step": int(step), "halo": int(output.get("halo") or 0)}


def _channel_names(tensor, name):
    for axis in tensor["axes"]:
        if axis["type"] == "channel":
            return axis.get("channel_names") or axis.get("size") * [""]
    raise ZooferryError("model %s has a tensor without channel axis: it cannot run here" % name)


def _dtype(tensor):
    data = tensor.get("data") or {}
    if isinstance(data, list):
        data = data[0]
    return text(data.get("type") or "float32")


def _steps(steps):
    return [{"id": text(step.get("id", step.get("name"))), "kwargs": step.get("kwargs") or {}} for step in steps or []]


def _onnx(rdf, folder, name):
    weights = rdf.get("weights") or {}
    entry = weights.get("onnx")
    if entry is None:
        raise ZooferryError(
            "model %s has no ONNX weights (it has: %s): package it with ONNX, or run it in deepImageJ"
            % (name, ", ".join(sorted(weights)) or "none")
        )
    path = os.path.join(folder, *text(entry["source"]).split("/"))
    if not os.path.isfile(path):
        raise ZooferryError("model %s names the weights %s, which are not in %s" % (name, entry["source"], folder))
    return {"onnx": path, "sha256": text(entry.get("sha256") or "")}
