"""The whole way of one image: choose the planes, open the network, run its tiles, make the result an image."""

import json
import time
import traceback

from ij import IJ, Macro
from java.lang import OutOfMemoryError, Throwable

from . import ask, engines, labels, models, provenance, results, tiles, titles, uncertainty
from .errors import AmbiguousError, CancelledError, UnsupportedError, ZooferryError
from .job import Job
from .settings import options as macro_options
from .settings import parse

NO_MEMORY = "not enough memory for this image: crop it, close other images, or give Java more memory"
NO_IMAGE = "no image is open: open one first, or select its window"


def command(image, model, tile=0, threads=0, options=None):
    """What the menu command does: restore, and say how it went. Nothing is shown; see `tell`.

    Parameters
    ----------
    image : ImagePlus, or list of them
        Left untouched; a list for a model of several inputs.
    model : str or java.io.File
        An installed model, a folder or a zip: see models.resolve.
    tile, threads : int
        0: automatic.
    options : dict, optional
        The other settings: see settings.parse.

    Returns
    -------
    restored : list of ImagePlus
        One per output, called as titles.result_title says; empty if it failed.
    status : str
        One line for the user.
    details : str
        JSON: what `restore` returns, and "settings"; or "ok" false with "unsupported": whether the model asks for
        what ImageJ cannot do yet, and "cancelled".
    """
    IJ.resetEscape()
    try:
        if image is None:
            raise ZooferryError(NO_IMAGE)
        images = [image] if hasattr(image, "getTitle") else list(image)
        settings = parse(dict(options or {}, model=model, tile=tile, threads=threads))
        job = _asked_job(images, settings)
        restored, details = _execute(job)
        job.likeness.tell(images[0].getTitle(), details)
    except ZooferryError as problem:
        return _failure(problem.args[0], isinstance(problem, UnsupportedError), isinstance(problem, CancelledError))
    except OutOfMemoryError:
        return _failure(NO_MEMORY)
    except (Exception, Throwable) as problem:  # Java's are none of Python's
        if ("%s" % problem).endswith(Macro.MACRO_CANCELED):
            raise
        IJ.log(traceback.format_exc())
        return _failure("this should not have happened: %s (where is in the Log)" % " ".join(("%s" % problem).split()))
    return restored, _success(images[0], details), json.dumps(details)


def _failure(status, unsupported=False, cancelled=False):
    return [], status, json.dumps({"ok": False, "unsupported": unsupported, "cancelled": cancelled})


def _success(image, details):
    status = "restored %s in %.1f s with %s; %.1f s of them in the network (%s, tile %s)" % (
        image.getTitle(),
        details["seconds"],
        details["model"],
        details["inference_seconds"],
        details["engine"],
        details["tile"],
    )
    return "; ".join([status] + [details[key] for key in ("note", "warning") if details[key]])


def restore(images, folder, tile=0, threads=0, options=None):
    """Run a model on an image; asks nothing and shows nothing.

    A 2D model sees the slices one by one, each with statistics of its own; a 3D model one Z stack per frame; a model
    with time one time series per slice.

    Parameters
    ----------
    images : list of ImagePlus
        One per input of the model, in its order.
    folder : str
        An installed model, a folder or a zip.
    tile, threads : int
        0: automatic.
    options : dict, optional
        The other settings: see settings.parse.

    Returns
    -------
    (list of ImagePlus, dict)
        One per output, 32 bit, C as the model's output, Z and T as the image. The dict has "ok", "model", "id",
        "version", "weights_sha256", "engine", "threads", "tile" ((Z) x Y x X), "outputs" (ids), "seconds",
        "inference_seconds", "warning" (on the pixel size), "note" (on memory), "domain" (whether the image is like
        the training images), "settings" (those that are no defaults), and "planes", "channels", "region", "rescale"
        for the provenance.
    """
    return _execute(Job(images, *_resolved(parse(dict(options or {}, model=folder, tile=tile, threads=threads)))))


def _resolved(settings):
    return models.resolve(settings["model"]), settings


def _asked_job(images, settings):
    # what is ambiguous is asked where somebody can answer
    folder = models.resolve(settings["model"])
    while True:
        try:
            job = Job(images, folder, settings)
        except AmbiguousError as problem:
            if not ask.somebody_there():
                raise
            settings[problem.key] = ask.choose(problem)
            continue
        if not job.warning or not ask.somebody_there() or not ask.wants_rescaling(job.warning):
            return job
        settings["rescale"] = "yes"


def _execute(job):
    begin = time.time()
    done = _run(job)
    weights = job.model["weights"][done["weights"]]
    details = {
        "ok": True,
        "model": job.model["name"],
        "id": job.id,
        "version": job.model["version"],
        "weights_sha256": weights["sha256"] or models.file_sha256(weights["path"]),
        "engine": done["engine"],
        "threads": done["threads"],
        "tile": done["tile"],
        "outputs": shown_outputs(job.model, job.settings),
        "inference_seconds": done["seconds"],
        "warning": job.warning,
        "note": done["note"],
        "domain": job.domain(),
        "settings": dict(macro_options(job.settings)),
    }
    details.update(_what_was_run(job))
    restored = _images(job, done["planes"])
    for image in restored:
        image.setProperty("Info", provenance.info(details, image.getInfoProperty()))
    details["seconds"] = time.time() - begin
    return restored, details


def _run(job):
    # what tiles.run returns, with the engine, its threads and the format of the weights
    if job.settings["engine"] == "deepimagej":
        from . import deepimagej

        return dict(deepimagej.run(job), engine="deepImageJ", threads=0, weights=sorted(job.model["weights"])[-1])
    network, kind = engines.open_network(job.model, job.settings["engine"], job.settings["threads"])
    return dict(tiles.run(job, network), engine=network.engine, threads=network.threads, weights=kind)


def _what_was_run(job):
    settings = job.settings
    factors = ", ".join("%s x %.4g" % (axis, job.factors[axis]) for axis in sorted(job.factors))
    return {
        "planes": settings["planes"] or ("current" if job.region else "all"),
        "channels": settings["channels"],
        "region": "x %d, y %d, %d x %d pixels" % job.region if job.region else "",
        "rescale": factors and "%s and back (%s), bilinear" % (_towards(job), factors),
    }


def _towards(job):
    return "to the object diameter of the training data" if job.centred else "to the pixel size of the training data"


def _images(job, found):
    # one per output, with unique titles
    source, made, taken = job.images[0], [], results.open_titles()
    shown_ids = shown_outputs(job.model, job.settings)
    several = len([tensor for tensor in job.model["made"] if tensor.get("labels")]) > 1
    for planes, tensor in zip(found, job.model["made"]):
        if tensor["id"] not in shown_ids:
            continue
        output = ("labels" if tensor.get("labels") else "restored") if len(found) == 1 else tensor["id"]
        if job.region:
            output = "preview" if len(found) == 1 else "preview_" + tensor["id"]
        title = titles.unique_title(titles.result_title(source.getTitle(), output), taken)
        taken.add(title)
        ratios = dict((name, size["ratio"]) for name, size in tensor["sizes"].items() if size["ratio"])
        kind = uncertainty.kind_of(job.rdf, tensor["id"])
        shown = {"channels": _source_channels(job, tensor), "region": job.region, "kind": kind}
        made.append(results.as_image(planes, source, title, ratios, shown))
        if tensor.get("labels"):
            more = labels.extras(job.settings, tensor["id"] if several else "")
            labels.finish(made[-1], source, volume=tensor.get("volume", False), **more)
    return made


def shown_outputs(model, settings):
    """Ids of what becomes images; the heads of declared labels only where they are asked for."""
    declared = model["instances"]
    hidden = declared["outputs"] if declared and settings["heads"] == "no" else []
    return [tensor["id"] for tensor in model["made"] if tensor["id"] not in hidden]


def _source_channels(job, tensor):
    # for each channel of an output the channel of the image that it shows; None: a mixture
    groups = dict((one["group"], one["channels"][0]) for one in job.passes)
    found = []
    for group in sorted(groups):
        same = len(groups[group]) == tensor["channels"]
        found += groups[group] if same else [None] * tensor["channels"]
    return found


def tell(restored, status, module=None):
    """Show the results, or the reason why there is none: in a dialog, headless in the log.

    `module` is the SciJava module that runs the script in Fiji.
    """
    results.show(restored, module)
    if not restored:
        if status != "cancelled":
            ask.complain(status)
        ask.say("Zooferry: cancelled" if status == "cancelled" else "", module)
        return
    short, _, more = status.partition("; ")  # Fiji's status bar holds about 60 letters
    _, _, cautions = more.partition("; ")
    if cautions and not ask.somebody_there():
        IJ.log("Zooferry: " + cautions)
    ask.say(short, module)
