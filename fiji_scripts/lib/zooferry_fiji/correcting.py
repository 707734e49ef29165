"""Predictions become ROIs, the user corrects them, image and labels become a training pair."""

import json
import os
import traceback

from ij import IJ, Macro, WindowManager
from java.lang import OutOfMemoryError, Throwable

from . import asking, models, opening, pairing, results, rois, run
from .description import read_model
from .errors import ZooferryError

TITLE = "Correct Zooferry Labels"
KEY = "zooferry.correct"  # property of an image that is being corrected: JSON
ROWS = [
    ("image", "image, or folder of images (empty: the active image)", asking.FILE),
    ("labels", "start from: model, label images or ROIs (empty: nothing)", asking.FILE),
    ("output", "folder for the training pairs", asking.FILE),
]
ALL_DONE = "all %d images have their pair in %s: remove one to do it again"
ACTION = ("action", "action", ["open", "save"])
HELP = (
    "<html><h3>Correct Zooferry Labels</h3>"
    "The objects that a model finds become ROIs over the image: delete wrong ones in the ROI Manager, draw missing "
    "ones and press <b>t</b>, change an outline and press <b>Update</b> there. <i>Save training pair</i> writes "
    "<i>folder</i>/images/<i>name</i>.tif and <i>folder</i>/masks/<i>name</i>.tif, on which <i>zooferry train</i> "
    "goes on.<br><br>"
    "<b>start from</b>: name of an installed model, its folder or zip; or what there is already: a label image, a ROI "
    "zip, or a folder of these with the images' names.<br>"
    "Of a folder of images those come that have no pair yet.<br>"
    "A ROI called 00012 (or 00012-2, on another slice) is object 12; others are numbered. Where ROIs overlap the later "
    "one in the list wins."
)


def begin(image, start, output, ready=None):
    """Show an image with its ROIs.

    Parameters
    ----------
    image : ImagePlus or str
        One, or the path of one.
    start : str
        A model, an annotation, or "".
    output : str
        Folder of the pairs; "": it is told when they are saved.
    ready : callable, optional
        Called when nothing can go wrong any more, before anything is shown.

    Returns
    -------
    (ImagePlus, int)
        The image, and the number of ROIs.

    Raises
    ------
    ZooferryError
        The image or what it starts from cannot be used; nothing is shown then.
    """
    path = "" if hasattr(image, "getTitle") else image
    if path:
        image = _opened(path)
    name = pairing.stem_of(image.getTitle())
    if image.getBitDepth() == 24:
        raise ZooferryError("%s is an RGB image, on which nothing is trained: Image > Color > Split Channels" % name)
    found = _start(image, name, start)
    image.setProperty(KEY, json.dumps({"name": name, "output": output, "path": path}))
    if ready is not None:
        ready()
    if path:
        results.show([image], None)
    rois.Shown(image).put(found)
    return image, len(found)


def _opened(path):
    images = opening.open_images(path)
    if len(images) > 1:
        raise ZooferryError("%s holds %d images: save the one you mean as TIFF, then take that" % (path, len(images)))
    return images[0]


def _start(image, name, start):
    if not start:
        return []
    if not pairing.is_annotation(start):
        return _predicted(image, start)
    path = pairing.annotation_of(start, name)
    if path is None:
        words = "there is no label image or ROI file for %s in %s: make one, or choose a model"
        raise ZooferryError(words % (name, start))
    if path.lower().endswith(pairing.ROIS):
        return rois.read(path)
    found = _opened(path)
    sizes = [(one.getWidth(), one.getHeight(), one.getNSlices(), one.getNFrames()) for one in (image, found)]
    if sizes[0] != sizes[1] or found.getNChannels() > 1:
        raise ZooferryError("%s has not the size of the image %s: choose its own label image" % (path, name))
    return rois.of_labels(found)


def _predicted(image, start):
    folder = models.resolve(start)
    model = read_model(folder)
    shown = run.shown_outputs(model, {"heads": "no"})
    made = [tensor["id"] for tensor in model["made"] if tensor.get("labels") and tensor["id"] in shown]
    if not made:
        raise ZooferryError("model %s makes no labels: choose a model of segmentation" % model["name"])
    IJ.showStatus("Zooferry: looking for objects in %s ..." % image.getTitle())
    restored, details = run.restore([image], folder)
    return rois.of_labels(restored[details["outputs"].index(made[0])])


def save(image, output=""):
    """Write the training pair of an image that `begin` has shown.

    Returns
    -------
    str
        What was written, and what got lost where ROIs overlap, parted by "; ".

    Raises
    ------
    ZooferryError
        Something is drawn that is no ROI of the list yet, a ROI without area, or nothing can be written.
    """
    said = json.loads(image.getProperty(KEY) or "{}")
    folder = output or said.get("output")
    name = said.get("name") or pairing.stem_of(image.getTitle())
    if not folder:
        raise ZooferryError("no folder for the training pair was given: write output=[folder] in the macro")
    shown = rois.Shown(image)
    if shown.drawn() is not None:
        raise ZooferryError(
            "a selection is drawn that is not in the ROI Manager: press t to add it, Update if you changed one of the "
            "list, or remove it (Edit > Selection > Select None)"
        )
    found = shown.get()
    drawn, words = rois.draw(found, image)
    paths = pairing.pair(folder, name)
    for path in paths:
        _make_folder(os.path.dirname(path))
    if not said.get("path") or os.path.realpath(said["path"]) != os.path.realpath(paths[0]):
        opening.save_tiff(_without_rois(image), paths[0])
    opening.save_tiff(drawn, paths[1])
    count = len(set(pairing.numbers_of([roi.getName() for roi in found])))
    first = "saved %s with %d object%s in %s" % (name, count, "" if count == 1 else "s", folder)
    return "; ".join([first] + words)


def _without_rois(image):
    # the same pixels and calibration; the ROIs are no part of the image
    copy = image.createImagePlus()
    copy.setStack(image.getStack(), image.getNChannels(), image.getNSlices(), image.getNFrames())
    copy.setTitle(image.getTitle())
    copy.setOpenAsHyperStack(image.isHyperStack())
    copy.setProperty("Info", image.getInfoProperty())
    copy.setDisplayRange(image.getDisplayRangeMin(), image.getDisplayRangeMax())
    copy.setOverlay(None)
    return copy


def _make_folder(folder):
    if not os.path.isdir(folder):
        try:
            os.makedirs(folder)
        except EnvironmentError as problem:
            raise ZooferryError("cannot make the folder %s (%s): choose another one" % (folder, problem.strerror))


def command(given):
    """One step by a macro line.

    Parameters
    ----------
    given : dict
        "action": open or save; "image", "labels", "output".

    Returns
    -------
    (bool, str)
        Whether it went well, and one line.
    """
    try:
        if given["action"] == "save":
            image = WindowManager.getCurrentImage()
            if image is None:
                raise ZooferryError(run.NO_IMAGE)
            return True, save(image, given["output"])
        image, count = begin(_first(given), given["labels"], given["output"])
        return True, "%s is open with %d objects: correct them, then action=save" % (image.getTitle(), count)
    except (Exception, Throwable) as problem:  # noqa: BLE001 - Java's are none of Python's
        return False, words_of(problem)


def words_of(problem):
    """What the user is told of an exception; of an unforeseen one the Log tells where it was."""
    if isinstance(problem, ZooferryError):
        return problem.args[0]
    if isinstance(problem, OutOfMemoryError):
        return run.NO_MEMORY
    IJ.log(traceback.format_exc())
    return "this should not have happened: %s (where is in the Log)" % opening.words(problem)


def _first(given):
    if not given["image"]:
        image = WindowManager.getCurrentImage()
        if image is None:
            raise ZooferryError(run.NO_IMAGE)
        return image
    paths = pairing.images_of(given["image"])
    left = pairing.waiting(paths, given["output"]) if given["output"] and os.path.isdir(given["image"]) else paths
    if not left:
        raise ZooferryError(ALL_DONE % (len(paths), given["output"]))
    return left[0]


def asked(module_values):
    """What the user wants: a dict with "action" ("": the window), or None if the dialog was cancelled.

    Parameters
    ----------
    module_values : dict
        The script's parameters.
    """
    rows = [ACTION] + ROWS
    keys = [key for key, _, _ in rows]
    if Macro.getOptions() is not None or [key for key in keys if module_values.get(key) is not None]:
        return dict(zip(keys, asking.values(TITLE, rows, module_values)))
    chosen = asking.values(TITLE, ROWS, {}, HELP)
    return None if chosen is None else dict(zip(keys, [""] + chosen))


def record(chosen):
    """Write the line of the window's first step into the Recorder; None: no line."""
    values = None if chosen is None else ["open"] + [chosen[key] for key, _, _ in ROWS]
    asking.record(TITLE, [ACTION] + ROWS, values)
