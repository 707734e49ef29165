"""Which engine runs a model: the user's, or the fastest that is there."""

from java.lang import System

from .errors import UnsupportedError, ZooferryError

MISSING = "%s is not installed: run %s, or put %s into Fiji's folder jars/"
JARS = {
    "onnx": ("ONNX Runtime", "zooferry fiji install", "onnxruntime-1.29.0.jar"),
    "torchscript": (
        "LibTorch",
        "zooferry fiji install --torchscript",
        "ai.djl.pytorch's pytorch-engine 0.35.1 and what it needs",
    ),
}


def open_network(model, wanted, threads):
    """The open network of a model.

    Parameters
    ----------
    model : dict
        See description.read_model.
    wanted : str
        "onnx", "torchscript", or "automatic": ONNX Runtime, which is faster, where the model has such weights and the
        engine is installed. Java's property zooferry.engine may replace "automatic".
    threads : int
        0: one per processor.

    Returns
    -------
    (network, str)
        And the format of the weights that it has read.
    """
    kind, module = find(model, wanted)
    return module.open_network(model["weights"][kind]["path"], threads), kind


def find(model, wanted):
    """The format of the weights that will be read, and the module of its engine; arguments as `open_network`.

    Raises
    ------
    ZooferryError
        The engine is not installed, or the model has no such weights.
    """
    if wanted == "automatic":
        wanted = System.getProperty("zooferry.engine") or wanted
    kinds = sorted(model["weights"]) if wanted == "automatic" else [wanted]
    if kinds[0] not in model["weights"]:
        raise UnsupportedError(
            "model %s has no weights for the engine %s: it has %s"
            % (model["name"], wanted, ", ".join(sorted(model["weights"])))
        )
    modules = [(kind, _module(kind)) for kind in kinds]
    there = [(kind, module) for kind, module in modules if module is not None]
    if not there:
        raise _missing(model, kinds)
    return there[0]


def _module(kind):
    try:
        if kind == "onnx":
            from . import engine
        else:
            from . import torch_engine as engine
        return engine
    except ImportError:
        return None


def _missing(model, kinds):
    if kinds == ["torchscript"]:
        words = "model %s has no ONNX weights, and for TorchScript " % model["name"]
        if "onnx" in model["weights"]:
            words = ""
        return UnsupportedError(words + MISSING % JARS["torchscript"])
    return ZooferryError(MISSING % JARS["onnx"])
