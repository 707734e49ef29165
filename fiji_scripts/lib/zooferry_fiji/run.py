"""The whole way of one image: read, pre-process, tile, run, post-process, show."""

import json
import os
import time

from ij import IJ
from java.lang import OutOfMemoryError, Runtime
from java.lang.management import ManagementFactory

from . import __version__, operations, pixels, tiling
from .description import read_model
from .errors import ZooferryError
from .volume import Volume

# measured: a U-Net of 32 features takes about 0.8 kB for each pixel of a window
BYTES_PER_PIXEL = 1500
# larger windows gain nothing: the first touch of their memory costs more than the halo of smaller ones
LARGEST_WINDOW = {2: 1152 * 1152, 3: 64 * 256 * 256}
FAILED = json.dumps({"ok": False})
NO_MEMORY = "not enough memory for this image: choose a smaller tile, or close other images"


def command(image, folder, tile, threads):
    """What the menu command does: restore, show, and say how it went.

    Parameters
    ----------
    image : ImagePlus
        Left untouched.
    folder : str
        An unpacked bioimage.io model.
    tile, threads : int
        0: automatic.

    Returns
    -------
    restored : ImagePlus or None
        Titled `restored_title`.
    status : str
        One line for the user.
    details : str
        JSON: "ok", "engine", "tile" ((Z) x Y x X), "seconds", "inference_seconds".
    """
    try:
        restored, details = restore(image, folder, tile, threads)
    except ZooferryError as problem:
        return None, problem.args[0], FAILED
    except OutOfMemoryError:
        return None, NO_MEMORY, FAILED
    status = "restored %s with %s: %.1f s, %.1f s of them in the network (%s, tile %s)" % (
        image.getTitle(),
        details["model"],
        details["seconds"],
        details["inference_seconds"],
        details["engine"],
        details["tile"],
    )
    return restored, status, json.dumps(details)


def restored_title(title):
    """The result of nuclei.tif is called nuclei_restored."""
    stem, dot, extension = title.rpartition(".")
    return (stem if dot and extension.lower() in ("tif", "tiff", "png", "jpg", "czi", "zip") else title) + "_restored"


def restore(image, folder, tile=0, threads=0):
    """Run a model on all planes of an image.

    A 2D model sees the slices (Z, then T) one by one, each with statistics of its own; a 3D model one Z stack per
    frame.

    Returns
    -------
    (ImagePlus, dict)
        32 bit, C as the model's output, Z and T as the image.
    """
    begin = time.time()
    model = read_model(folder)
    pixels.check_image(image, model)
    engine = _engine()
    plan = Plan(model, image, tile)
    network = engine.open_network(model["onnx"], threads)
    window = network.window(plan.shape(model["channels"]), plan.shape(model["channels_out"]))
    earlier = window.seconds
    frames = []
    depth = image.getNSlices()
    for t in range(image.getNFrames()):
        if len(model["axes"]) == 3:
            frames.append(_run_volume(pixels.read_volume(image, range(depth), t), model, plan, window))
            continue
        slices = [_run_volume(pixels.read_volume(image, [z], t), model, plan, window) for z in range(depth)]
        frames.append([[one[c][0] for one in slices] for c in range(model["channels_out"])])
    details = {
        "ok": True,
        "model": model["name"],
        "version": model["version"],
        "weights_sha256": model["sha256"],
        "engine": network.engine,
        "threads": network.threads,
        "tile": " x ".join("%d" % n for n in plan.tile),
        "inference_seconds": window.seconds - earlier,
    }
    result = pixels.as_image(frames, image, restored_title(image.getTitle()))
    result.resetDisplayRange()
    _sign(result, image, details)
    details["seconds"] = time.time() - begin
    return result, details


class Plan(object):
    """Padded sizes and windows of one image along (Z) Y X."""

    def __init__(self, model, image, tile):
        axes = model["axes"]
        sizes = {"z": image.getNSlices(), "y": image.getHeight(), "x": image.getWidth()}
        self.lengths = [sizes[axis["name"]] for axis in axes]
        self.padded = [tiling.padded_length(n, axis["min"], axis["step"] or 1) for n, axis in zip(self.lengths, axes)]
        if tile:
            self.tile = tiling.fit_tile(tile, self.padded, axes)
        else:
            channels = max(model["channels"], model["channels_out"])
            affordable = min(LARGEST_WINDOW[len(axes)], _affordable_pixels() // channels)
            self.tile = tiling.choose_tile(self.padded, axes, affordable)
        self.windows = [
            tiling.plan_tiles(length, size, axis["halo"], axis["step"] or 1)
            for length, size, axis in zip(self.padded, self.tile, axes)
        ]
        self.batch = model["batch"]

    def shape(self, channels):
        """Of one window's tensor, B C (Z) Y X."""
        return ([1] if self.batch else []) + [channels] + self.tile

    def in_three_axes(self):
        """Lengths, padded sizes, tile and windows along Z Y X, with Z of one pixel for a 2D model."""
        if len(self.tile) == 3:
            return self.lengths, self.padded, self.tile, self.windows
        return [1] + self.lengths, [1] + self.padded, [1] + self.tile, [[(0, 0, 1)]] + self.windows


def _engine():
    try:
        from . import engine
    except ImportError:
        raise ZooferryError("ONNX Runtime is not installed: put onnxruntime-1.29.0.jar into Fiji's folder jars/")
    return engine


def _run_volume(volume, model, plan, window):
    # C (Z) Y X raw -> FloatProcessors [channel][z] of the result
    operations.apply_steps(model["before"], volume)
    lengths, padded, tile, windows = plan.in_three_axes()
    planes = pixels.padded_planes(volume, padded)
    result = pixels.empty_planes(model["channels_out"], *lengths)
    for triple in _every(windows):
        place = [(start, size) for (start, _, _), size in zip(triple, tile)]
        keep = [(keep_from, min(keep_to, n)) for (_, keep_from, keep_to), n in zip(triple, lengths)]
        if any(keep_from >= keep_to for keep_from, keep_to in keep):
            continue
        pixels.fill(window.source, planes, place, padded[2])
        window.run()
        pixels.collect(window.result, result, place, keep)
    operations.apply_steps(model["after"], Volume(result))
    return result


def _every(windows):
    return [(z, y, x) for z in windows[0] for y in windows[1] for x in windows[2]]


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
    """Show the result, or the reason why there is none: in a dialog, headless in the log."""
    if restored is not None:
        restored.show()
        IJ.showStatus(status)
    elif IJ.getInstance() is None:
        IJ.log("Zooferry: " + status)
    else:
        IJ.error("Zooferry", status)


def model_folder(given):
    """The path of a folder given as java.io.File or text."""
    path = given.getPath() if hasattr(given, "getPath") else given
    return os.path.abspath(path)
