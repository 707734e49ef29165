"""Read the rdf.yaml of an unpacked bioimage.io model (format 0.4 or 0.5) into plain dicts; refuse early, in words."""

import codecs
import os

from . import grid, instances, older
from .errors import UnsupportedError, ZooferryError
from .operations import check_steps

FILES = ("rdf.yaml", "bioimageio.yaml", "model.yaml")
ENGINES = ("onnx", "torchscript")
KEPT = "zooferry.description"


def read_model(folder, rdf=None):
    """What is needed to run a model.

    Parameters
    ----------
    folder : str
        An unpacked package: the folder that holds rdf.yaml.
    rdf : dict, optional
        What `load_rdf` gave already; its halos are changed.

    Returns
    -------
    dict
        "name", "version"; "grid", the spatial axes that all inputs share (see grid.read_grid); "inputs" and
        "outputs", lists of what `_tensor` returns; "weights", a dict format -> {"path", "sha256"} with the formats
        that can run here.
    """
    rdf = rdf or load_rdf(folder)
    name = text(rdf.get("name") or os.path.basename(folder))
    rdf = _as_current(rdf, name)
    _lay_halo(rdf)
    for key in ("inputs", "outputs"):
        if not rdf.get(key):
            raise ZooferryError("model %s describes no %s: its rdf.yaml is incomplete" % (name, key))
    inputs = [_tensor(tensor, "preprocessing", name) for tensor in rdf["inputs"]]
    outputs = [_tensor(tensor, "postprocessing", name) for tensor in rdf["outputs"]]
    axes = grid.read_grid(rdf["inputs"], rdf["outputs"], name)
    for tensor, entry in zip(outputs, rdf["outputs"]):
        tensor["sizes"] = grid.read_sizes(entry, axes, rdf["inputs"], name)
        _lay_row(tensor)
        instances.lay_heads(tensor)
    model = {
        "name": name,
        "version": text(rdf.get("version") or ""),
        "grid": axes,
        "inputs": inputs,
        "outputs": outputs,
        "weights": _weights(rdf, folder, name),
        "instances": instances.read_declaration(rdf, [tensor["id"] for tensor in outputs], name),
    }
    model["made"] = instances.made_by(model)
    identifiers = [tensor["id"] for tensor in inputs]
    for tensor in inputs + outputs:
        check_steps(tensor["steps"], tensor["axes"], identifiers, name)
    return model


def _lay_halo(rdf):
    # packages of zooferry say the halo in config.zooferry, because deepImageJ mirrors images where an axis has one
    halos = ((rdf.get("config") or {}).get("zooferry") or {}).get("halo") or {}
    for output in rdf.get("outputs") or []:
        pixels = halos.get(output.get("id")) or {}
        for axis in output["axes"]:
            if axis.get("id") in pixels:
                axis["halo"] = int(pixels[axis["id"]])


def load_rdf(folder):
    """rdf.yaml of a folder as plain dicts, lists and numbers."""
    paths = [os.path.join(folder, name) for name in FILES]
    found = [path for path in paths if os.path.isfile(path)]
    if not found:
        raise ZooferryError("%s holds no rdf.yaml: choose the folder of an unpacked bioimage.io model" % folder)
    with codecs.open(found[0], encoding="utf-8") as stream:
        content = stream.read()
    rdf = plain(_parse_yaml(content, found[0]))
    if not isinstance(rdf, dict) or rdf.get("type", "model") != "model":
        raise ZooferryError("%s does not describe a model: choose a bioimage.io package of type model" % found[0])
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
    # the last one is kept in the life of ImageJ: a run asks for it several times
    from ij import IJ

    kept = IJ.getProperty(KEPT)
    if kept is None or kept[0] != content:
        kept = (content, _parsed(content, path))
        IJ.setProperty(KEPT, kept)
    return kept[1]


def _parsed(content, path):
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


def _as_current(rdf, name):
    version = text(rdf.get("format_version", ""))
    if version.startswith("0.5"):
        return rdf
    if version.startswith("0.4"):
        return older.converted(rdf)
    raise ZooferryError(
        "model %s has format %s, this version reads 0.4 and 0.5: convert it with bioimageio.spec"
        % (name, version or "unknown")
    )


def _tensor(entry, stage, name):
    """One input or output.

    Returns
    -------
    dict
        "id"; "axes", in network order: batch, channel, z, time, y, x; "channels" (int); "steps", a list of {"id",
        "kwargs"}; "dtype" (of the input as it was saved).
    """
    identifier = text(entry["id"])
    axes = [grid.axis_name(axis) for axis in entry["axes"]]
    dtype = _dtype(entry)
    steps = [{"id": text(step["id"]), "kwargs": step.get("kwargs") or {}} for step in entry.get(stage) or []]
    typed = steps and steps[-1]["id"] in ("ensure_dtype", "binarize")
    if stage == "postprocessing" and dtype != "float32" and not typed:
        steps.append({"id": "ensure_dtype", "kwargs": {"dtype": dtype}})  # the format ends an output with its own type
    channels = _channels(entry)
    grid.check_axes(axes, channels, "input" if stage == "preprocessing" else "output", (name, identifier))
    return {"id": identifier, "axes": axes, "channels": channels, "steps": steps, "dtype": dtype}


def _channels(entry):
    for axis in entry["axes"]:
        if axis["type"] == "channel":
            return len(axis.get("channel_names") or axis.get("size") * [""])
    return 1


def _dtype(entry):
    data = entry.get("data") or {}
    if isinstance(data, list):
        data = data[0]
    return text(data.get("type") or "float32")


def _lay_row(tensor):
    # a vector of one number per channel becomes an image of one row
    if "y" in tensor["axes"] or "x" in tensor["axes"]:
        return
    tensor["axes"] = ["x" if axis == "channel" else axis for axis in tensor["axes"]]
    tensor["sizes"]["x"] = {"ratio": 0.0, "offset": tensor["channels"]}
    tensor["channels"] = 1
    for step in tensor["steps"]:
        kwargs = step["kwargs"] = dict(step["kwargs"])
        if kwargs.get("axis") == "channel" or step["id"] == "softmax":
            kwargs["axis"] = "x"
        if kwargs.get("axes") is not None:
            kwargs["axes"] = ["x" if axis == "channel" else axis for axis in kwargs["axes"]]


def _weights(rdf, folder, name):
    entries = rdf.get("weights") or {}
    usable = dict((key, entries[key]) for key in ENGINES if entries.get(key))
    if not usable:
        raise UnsupportedError(
            "model %s has neither ONNX nor TorchScript weights (it has: %s), and ImageJ runs nothing else yet: package "
            "it with ONNX" % (name, ", ".join(sorted(entries)) or "none")
        )
    result = {}
    for key, entry in usable.items():
        path = os.path.join(folder, *text(entry["source"]).split("/"))
        if not os.path.isfile(path):
            raise ZooferryError("model %s names the weights %s, which are not in %s" % (name, entry["source"], folder))
        result[key] = {"path": path, "sha256": text(entry.get("sha256") or "")}
    return result
