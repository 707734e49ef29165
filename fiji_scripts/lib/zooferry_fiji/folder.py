"""One model on all images of a folder: one row of a table for each file, and on after a kill where it stopped."""

import os
import time
import traceback

from ij import IJ
from java.lang import OutOfMemoryError, Runnable, Thread, Throwable

from . import __version__, domain, engines, files, locking, models, opening, run
from .description import FILES, read_model
from .errors import CancelledError, ZooferryError
from .journal import FAILED, OK, Journal, check_settings, stands
from .settings import parse

SECONDS_BETWEEN_LOOKS = 0.02
SAME = ("planes", "channels", "rescale", "engine", "tile")  # settings that may change the results
OF_LABELS = ("outlines", "rois", "table")  # yes or no; where ROI zip and table go: files.names_beside


def command(given):
    """What the menu command does.

    Parameters
    ----------
    given : dict
        "input", "output" (folders), "pattern", "recursive", "retry", and the settings of Run Zooferry Model.

    Returns
    -------
    passed : bool
        Whether every file has its result.
    status : str
        One line such as ``950 ok, 50 failed: see /data/out/zooferry_results.csv``.
    """
    try:
        with opening.Quiet():
            counts = run_folder(**given)
    except ZooferryError as problem:
        return False, problem.args[0]
    except (Exception, Throwable) as problem:  # noqa: BLE001 - Java's are none of Python's
        IJ.log(traceback.format_exc())
        return False, "this should not have happened: %s (where is in the Log)" % opening.words(problem)
    finally:
        IJ.showProgress(1.0)
        IJ.showStatus("")
    return counts["left"] == counts["failed"] == 0, summary(counts)


def summary(counts):
    """One line for the user; `counts` is what `run_folder` returns."""
    words = "%d ok, %d failed" % (counts[OK], counts[FAILED])
    if counts["left"]:
        words = "cancelled: %s, %d not done" % (words, counts["left"])
    return "%s: see %s" % (words, counts["table"])


def run_folder(input, output, pattern="*.tif;*.tiff", recursive=False, retry=False, **settings):
    """Run a model on the files of a folder.

    Each result is written under a temporary name and renamed; then the row of the file is written. A file that has a
    row is not done again while neither it nor its results have changed; one that failed is done again if it has
    changed, or with `retry`.

    Parameters
    ----------
    input, output : str
        Folders; that of the results is made if missing, and holds the table zooferry_results.csv.
    pattern : str
        See files.find_files.
    recursive : bool
        Sub-folders as well; the results stand in sub-folders of the same names.
    retry : bool
        Do the files again that failed.
    settings
        Of Run Zooferry Model: see settings.parse; "outlines", "rois" and "table" are true or false.

    Returns
    -------
    dict
        "ok", "failed", "left" (not done, for the user stopped the run): numbers of files; "table": its path.

    Raises
    ------
    ZooferryError
        If nothing can be done: no such folder, a model that cannot run, results of other settings.
    """
    source, target = os.path.abspath(input), os.path.abspath(output)
    files.check_folders(source, target)
    found = files.find_files(source, pattern, recursive, target)
    of_labels = dict((key, "yes" if settings.pop(key, False) else "no") for key in OF_LABELS)
    settings = dict(parse(settings), **of_labels)
    settings["model"] = models.resolve(settings["model"])
    model = read_model(settings["model"])
    _check_labels(model, settings)
    if settings["engine"] != "deepimagej":
        engines.open_network(model, settings["engine"], settings["threads"])  # refused before anything is written
    _make_folder(target)
    lock = locking.lock(target)
    try:
        check_settings(target, _identity(source, settings, model))
        with Escape() as escape:
            return _Run(source, target, settings, model).do(found, retry, escape)
    finally:
        locking.unlock(lock, target)


def _check_labels(model, settings):
    asked = [key for key in OF_LABELS if settings[key] == "yes"]
    if asked and not [tensor for tensor in model["made"] if tensor.get("labels")]:
        raise ZooferryError("model %s makes no labels: leave %s away" % (model["name"], " and ".join(asked)))


class Escape(object):
    """Remembers that the user pressed the escape key: each image begins by forgetting it."""

    def __init__(self):
        self.pressed = False
        self._over = False

    def __enter__(self):
        escape = self

        class Watch(Runnable):
            def run(self):
                escape._watch()

        IJ.resetEscape()
        thread = Thread(Watch(), "zooferry-folder-escape")
        thread.setDaemon(True)
        thread.start()
        return self

    def __exit__(self, kind, problem, trace):
        self._over = True

    def _watch(self):
        while not self._over and not self.pressed:
            self.pressed = IJ.escapePressed()
            time.sleep(SECONDS_BETWEEN_LOOKS)


class _Run(object):
    def __init__(self, source, target, settings, model):
        self.source, self.target = source, target
        self.settings, self.model = settings, model
        self.journal = Journal(target)
        rows = [row for row in self.journal.rows.values() if row["status"] == OK]
        self.owners = dict((name, row["file"]) for row in rows for name in row["results"].split("|"))

    def do(self, found, retry, escape):
        counts = {OK: 0, FAILED: 0, "left": 0, "table": self.journal.path}
        todo = [file for file in found if not self._stands(file, retry)]
        self.journal.forget(todo)
        for file in set(found) - set(todo):
            counts[self.journal.row(file)["status"]] += 1
        begin = time.time()
        for number, file in enumerate(todo):
            _tell(number, todo, time.time() - begin, counts)
            row = None if escape.pressed else self._row(file)
            if row is None:
                counts["left"] = len(todo) - number
                break
            self.journal.add(row)
            counts[row["status"]] += 1
            if row["status"] != OK:
                IJ.log("Zooferry: %s: %s" % (file, row["message"]))
        return counts

    def _stands(self, file, retry):
        row = self.journal.row(file)
        if row is None or (retry and row["status"] != OK):
            return False
        try:
            return stands(row, files.signature(self._path(file)), self.target)
        except EnvironmentError:
            return False

    def _path(self, file):
        return os.path.join(self.source, *file.split("/"))

    def _row(self, file):
        # None if the user stopped it
        begin = time.time()
        opening.redirect_errors()
        row = {"file": file, "status": FAILED, "model": self.model["name"], "model_version": self.model["version"]}
        row["zooferry"] = __version__
        try:
            row["source_bytes"], row["source_modified"] = files.signature(self._path(file))
            row["results"] = "|".join(self._restore(file, row))
            row["status"] = OK
        except CancelledError:
            return None
        except ZooferryError as problem:
            row["message"] = problem.args[0]
        except OutOfMemoryError:
            row["message"] = run.NO_MEMORY
        except EnvironmentError as problem:
            row["message"] = "the file cannot be read: %s" % (problem.strerror or problem.args[0])
        except (Exception, Throwable) as problem:  # noqa: BLE001 - whatever it is concerns this file only
            IJ.log(traceback.format_exc())
            row["message"] = "unforeseen: %s" % opening.words(problem)
        row["seconds"] = "%.3f" % (time.time() - begin)
        return row

    def _restore(self, file, row):
        # the names of the results
        images, made = opening.open_images(self._path(file)), []
        try:
            row.update(_described(images[0]))
            for number, image in enumerate(images):
                made += self._restore_one(image, self._names(file, number, len(images)), row)
        finally:
            for image in images:
                _release(image)
        self.owners.update((name, file) for name in made)
        return made

    def _names(self, file, number, series):
        # of the results, and setting -> names of what stands beside them
        settings, model = self.settings, self.model
        names = files.result_names(file, run.shown_outputs(model, settings), series)[number]
        beside = files.names_beside(file, number, series, [key for key in files.BESIDE if settings[key] == "yes"])
        labels = [tensor["id"] for tensor in model["made"] if tensor.get("labels")]
        several = dict((name, [files.of_output(name, one) for one in labels]) for name in beside.values())
        extra = [one for name in sorted(several) for one in (several[name] if len(labels) > 1 else [name])]
        for name in names + extra:
            owner = self.owners.get(name, file)
            if owner != file:
                raise ZooferryError("its result would be %s, which is that of %s: rename one of them" % (name, owner))
        return names, beside, extra

    def _restore_one(self, image, places, row):
        names, beside, extra = places
        settings, results, whole = dict(self.settings, rois="", table=""), [], False
        settings.update((key, self._place(name)) for key, name in beside.items())
        options = dict((key, settings[key]) for key in settings if key not in ("model", "tile", "threads"))
        try:
            results, details = run.restore([image], settings["model"], settings["tile"], settings["threads"], options)
            row.update((key, details[key]) for key in ("weights_sha256", "engine", "tile"))
            row["domain"] = domain.worse(row.get("domain"), details["domain"])
            row["message"] = "; ".join(details[key] for key in ("note", "warning") if details[key])
            for result, name in zip(results, names):
                opening.save_tiff(result, self._place(name))
            whole = True
        finally:
            for name in [] if whole else extra:
                _remove(self._place(name))
            for result in results:
                _release(result)
        return names + extra

    def _place(self, name):
        # where a result goes; its folder is made
        path = os.path.join(self.target, *name.split("/"))
        _make_folder(os.path.dirname(path))
        return path


def _described(image):
    return {
        "width": image.getWidth(),
        "height": image.getHeight(),
        "channels": image.getNChannels(),
        "slices": image.getNSlices(),
        "frames": image.getNFrames(),
        "bit_depth": image.getBitDepth(),
    }


def _release(image):
    image.changes = False
    image.close()
    image.flush()


def _tell(number, todo, seconds, counts):
    IJ.showProgress(number, len(todo))
    failed = ", %d failed" % counts[FAILED] if counts[FAILED] else ""
    left = files.remaining(seconds, number, len(todo) - number)
    IJ.showStatus("Zooferry: %d of %d files%s%s" % (number, len(todo), failed, left and ", " + left))


def _identity(source, settings, model):
    # what must be the same for results to stand in one folder
    weights = model["weights"]
    words = dict((key, "%s" % settings[key]) for key in SAME + OF_LABELS)
    words["input folder"] = source
    words["model"] = ("%s %s" % (model["name"], model["version"])).strip()
    words["description of the model"] = models.file_sha256(_description(settings["model"]))
    words["weights"] = ", ".join(models.file_sha256(weights[kind]["path"]) for kind in sorted(weights))
    return words


def _description(folder):
    return next(path for path in [os.path.join(folder, name) for name in FILES] if os.path.isfile(path))


def _make_folder(folder):
    if os.path.isdir(folder):
        return
    try:
        os.makedirs(folder)
    except EnvironmentError as problem:
        reason = problem.strerror or problem.args[0]
        raise ZooferryError("cannot make the folder %s (%s): choose another one" % (folder, reason))


def _remove(path):
    if os.path.exists(path):
        os.remove(path)
