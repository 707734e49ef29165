"""The whole way of one image: read, pre-process, tile, run, post-process, show."""

import json
import os
import time

from ij import IJ
from java.lang import OutOfMemoryError, Runtime, System
from java.lang.management import ManagementFactory

from . import __version__, operations, pixels
from .description import read_model
from .errors import UnsupportedError, ZooferryError
from .plan import Plan
from .volume import Volume

# measured: a U-Net of 32 features takes about 0.8 kB for each pixel of a window
BYTES_PER_PIXEL = 1500
NO_MEMORY = "not enough memory for this image: choose a smaller tile, or close other images"


def command(image, folder, tile, threads):
    """What the menu command does: restore, show, and say how it went.

    Parameters
    ----------
    image : ImagePlus, or list of them
        Left untouched; a list for a model of several inputs.
    folder : str
        An unpacked bioimage.io model.
    tile, threads : int
        0: automatic.

    Returns
    -------
    restored : list of ImagePlus
        One per output, titled `restored_title`; empty if it failed.
    status : str
        One line for the user.
    details : str
        JSON: "ok", "engine", "tile" ((Z) x Y x X), "seconds", "inference_seconds", "outputs" (ids); or "ok" false
        with "unsupported": whether the model asks for what ImageJ cannot do yet.
    """
    images = [image] if hasattr(image, "getTitle") else list(image)
    try:
        restored, details = restore(images, folder, tile, threads)
    except ZooferryError as problem:
        unsupported = isinstance(problem, UnsupportedError)
        return [], problem.args[0], json.dumps({"ok": False, "unsupported": unsupported})
    except OutOfMemoryError:
        return [], NO_MEMORY, json.dumps({"ok": False, "unsupported": False})
    status = "restored %s with %s: %.1f s, %.1f s of them in the network (%s, tile %s)" % (
        images[0].getTitle(),
        details["model"],
        details["seconds"],
        details["inference_seconds"],
        details["engine"],
        details["tile"],
    )
    return restored, status, json.dumps(details)


def restored_title(title, output="restored"):
    """The result of nuclei.tif is called nuclei_restored; of several outputs each is called nuclei_<output id>."""
    stem, dot, extension = title.rpartition(".")
    known = dot and extension.lower() in ("tif", "tiff", "png", "jpg", "czi", "zip")
    return (stem if known else title) + "_" + output


def restore(images, folder, tile=0, threads=0):
    """Run a model on all planes of an image.

    A 2D model sees the slices (Z, then T) one by one, each with statistics of its own; a 3D model one Z stack per
    frame; a model with time one time series per slice.

    Parameters
    ----------
    images : list of ImagePlus
        One per input of the model, in its order.

    Returns
    -------
    (list of ImagePlus, dict)
        One per output, 32 bit, C as the model's output, Z and T as the image.
    """
    begin = time.time()
    model = read_model(folder)
    _check_images(images, model)
    plan = Plan(model, _lengths(images[0]), tile, _affordable_pixels())
    kind = _weights_kind(model)
    network = _open(model, kind, threads)
    tensors = (model["inputs"], model["outputs"])
    window = network.window(*[[plan.shape(tensor) for tensor in several] for several in tensors])
    earlier = window.seconds
    planes = [{} for _ in model["outputs"]]
    for slices, frames in _runs(images[0], plan.depth if len(plan.names) == 3 else None):
        volumes = [pixels.read_volume(image, slices, frames, plan.depth) for image in images]
        for found, result in zip(planes, _run_volumes(volumes, model, plan, window)):
            _place(found, result, (slices[0], frames[0]), plan.depth)
    details = {
        "ok": True,
        "model": model["name"],
        "version": model["version"],
        "weights_sha256": model["weights"][kind]["sha256"],
        "engine": network.engine,
        "threads": network.threads,
        "tile": plan.tile_text(),
        "outputs": [tensor["id"] for tensor in model["outputs"]],
        "inference_seconds": window.seconds - earlier,
    }
    results = [_image(found, tensor, images[0], model) for found, tensor in zip(planes, model["outputs"])]
    for result in results:
        result.resetDisplayRange()
        _sign(result, images[0], details)
    details["seconds"] = time.time() - begin
    return results, details


def _check_images(images, model):
    if len(images) != len(model["inputs"]):
        names = ", ".join(tensor["id"] for tensor in model["inputs"])
        raise ZooferryError(
            "model %s takes %d images (%s), %d came: the menu command gives one, zooferry gives several"
            % (model["name"], len(model["inputs"]), names, len(images))
        )
    for image, tensor in zip(images, model["inputs"]):
        pixels.check_image(image, tensor, model)
        if _lengths(image) != _lengths(images[0]):
            raise ZooferryError(
                "images %s and %s have different sizes: crop one of them" % (images[0].getTitle(), image.getTitle())
            )
    if len(images) == 1:
        pixels.check_varied(images[0])


def _lengths(image):
    return {"z": image.getNSlices(), "time": image.getNFrames(), "y": image.getHeight(), "x": image.getWidth()}


def _open(model, kind, threads):
    missing = "%s is not installed: put %s into Fiji's folder jars/"
    if kind == "onnx":
        try:
            from . import engine
        except ImportError:
            raise ZooferryError(missing % ("ONNX Runtime", "onnxruntime-1.29.0.jar"))
    else:
        try:
            from . import torch_engine as engine
        except ImportError:
            words = "model %s has no ONNX weights, and for TorchScript " % model["name"]
            raise UnsupportedError(
                words + missing % ("DJL", "ai.djl.pytorch's pytorch-engine 0.35.1 and what it needs")
            )
    return engine.open_network(model["weights"][kind]["path"], threads)


def _weights_kind(model):
    # ONNX where there is a choice, for it is faster; Java's property zooferry.engine may say otherwise
    wanted = System.getProperty("zooferry.engine") or ""
    if wanted and wanted not in model["weights"]:
        raise UnsupportedError(
            "model %s has no weights for the engine %s: it has %s"
            % (model["name"], wanted, ", ".join(sorted(model["weights"])))
        )
    return wanted or sorted(model["weights"])[0]


def _runs(image, depth):
    # Z and T positions of each run of the model: all along its depth, one along the other axes
    slices, frames = range(image.getNSlices()), range(image.getNFrames())
    if depth == "z":
        return [(slices, [t]) for t in frames]
    if depth == "time":
        return [([z], frames) for z in slices]
    return [([z], [t]) for t in frames for z in slices]


def _run_volumes(volumes, model, plan, window):
    # C (Z) Y X raw, one per input -> FloatProcessors [channel][z], one list per output
    measured = operations.measure_inputs(model, dict(zip([one["id"] for one in model["inputs"]], volumes)))
    for tensor, volume in zip(model["inputs"], volumes):
        operations.apply_steps(tensor["steps"], volume, measured[tensor["id"]])
    padded = plan.padded_sizes()
    sources = [pixels.padded_planes(volume, padded) for volume in volumes]
    results = [pixels.empty_planes(tensor["channels"], *plan.output_sizes(tensor)) for tensor in model["outputs"]]
    for place in plan.places():
        for buffer, planes, tensor in zip(window.sources, sources, model["inputs"]):
            pixels.fill(buffer, planes, plan.input_box(place), plan.strides(tensor), padded[2])
        window.run()
        for buffer, planes, tensor in zip(window.results, results, model["outputs"]):
            pixels.collect(buffer, planes, plan.output_box(place, tensor), plan.strides(tensor))
    for tensor, planes in zip(model["outputs"], results):
        operations.apply_steps(tensor["steps"], Volume(planes, plan.depth), measured[tensor["id"]])
    return results


def _place(found, result, start, depth):
    # put the planes [channel][depth] of one run to their (c, z, t)
    z, t = start
    for c, planes in enumerate(result):
        for i, plane in enumerate(planes):
            found[(c, z + i, t) if depth == "z" else (c, z, t + i)] = plane


def _image(planes, tensor, image, model):
    output = "restored" if len(model["outputs"]) == 1 else tensor["id"]
    ratios = dict((name, size["ratio"]) for name, size in tensor["sizes"].items() if size["ratio"])
    return pixels.as_image(planes, image, restored_title(image.getTitle(), output), ratios)


def _affordable_pixels():
    try:
        from com.sun.management import OperatingSystemMXBean

        system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean)
        free = max(system.getFreePhysicalMemorySize(), system.getTotalPhysicalMemorySize() // 4)
    except (ImportError, AttributeError):  # a Java runtime without jdk.management
        free = Runtime.getRuntime().maxMemory()
    return free // 2 // BYTES_PER_PIXEL


def _sign(result, image, details):
    # provenance, kept in the TIFF and shown by Image > Show Info
    old = image.getInfoProperty()
    keys = [key for key in ("model", "version", "weights_sha256", "engine", "tile") if details[key]]
    text = "\n".join(["zooferry: %s" % __version__] + ["zooferry %s: %s" % (key, details[key]) for key in keys])
    result.setProperty("Info", text + ("\n" + old if old else ""))


def tell(restored, status):
    """Show the results, or the reason why there is none: in a dialog, headless in the log."""
    for image in restored:
        image.show()
    if restored:
        IJ.showStatus(status)
    elif IJ.getInstance() is None:
        IJ.log("Zooferry: " + status)
    else:
        IJ.error("Zooferry", status)


def model_folder(given):
    """The path of a folder given as java.io.File or text."""
    path = given.getPath() if hasattr(given, "getPath") else given
    return os.path.abspath(path)
