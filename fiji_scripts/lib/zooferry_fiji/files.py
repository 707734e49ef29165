"""Which files of a folder are taken, and what their results are called. Pure."""

import fnmatch
import os
import re

from .errors import ZooferryError

OURS = ("zooferry_results.csv", "zooferry_results.json")
BESIDE = {"rois": "_rois.zip", "table": "_table.csv"}  # setting -> what stands beside a result that has labels


def find_files(folder, pattern, recursive, left_out=None):
    """The files whose names match, sorted, as paths relative to the folder with "/" between their parts.

    Parameters
    ----------
    folder : str
    pattern : str
        Such as ``*.tif`` or ``*.tif;*.tiff``; upper and lower case are the same.
    recursive : bool
        Sub-folders as well.
    left_out : str, optional
        A folder that is not entered: that of the results.

    Raises
    ------
    ZooferryError
        If there is no such folder, or nothing in it matches.
    """
    if isinstance(folder, bytes):  # Python 2 lists the names of such a folder as bytes, too
        folder = folder.decode("utf-8")
    if not os.path.isdir(folder):
        raise ZooferryError("there is no folder %s: choose the folder that holds the images" % folder)
    patterns = [one.strip().lower() for one in pattern.split(";") if one.strip()]
    if not patterns:
        raise ZooferryError("the file pattern is empty: write for example *.tif, or *.tif;*.czi")
    found = []
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(_entered(parent, folders, left_out)) if recursive else []
        inside = [name for name in names if _matches(name, patterns)]
        found += ["/".join(_parts(folder, os.path.join(parent, name))) for name in inside]
    if not found:
        deeper = "" if recursive else ", or let sub-folders be searched"
        raise ZooferryError("no file in %s matches %s: change the pattern%s" % (folder, pattern, deeper))
    return sorted(found)


def _entered(parent, folders, left_out):
    # a link to one of its own parents would be entered for ever
    real = os.path.realpath(parent)
    for name in folders:
        target = os.path.realpath(os.path.join(parent, name))
        if name.startswith(".") or (left_out and target == os.path.realpath(left_out)):
            continue
        if os.path.islink(os.path.join(parent, name)) and (real + os.sep).startswith(target + os.sep):
            continue
        yield name


def _matches(name, patterns):
    hidden = name.startswith(".") or name in OURS
    return not hidden and any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in patterns)


def _parts(folder, path):
    return os.path.relpath(path, folder).split(os.sep)


def result_names(file, outputs, series=1):
    """Where the results of a file go, relative to the output folder.

    Parameters
    ----------
    file : str
        As `find_files` gives it.
    outputs : list of str
        Ids of the model's outputs.
    series : int
        How many images the file holds.

    Returns
    -------
    list of list of str
        One list per series, one name per output: ``cell.tif``, of several outputs ``cell_<output>.tif``, of several
        series ``cell_series1.tif``, ``cell_series2.tif``, ...
    """
    stem = stem_of(file)
    names = []
    for number in range(1, series + 1):
        start = stem + ("_series%d" % number if series > 1 else "")
        ends = ["_" + _plain(output) for output in outputs] if len(outputs) > 1 else [""]
        names.append([start + end + ".tif" for end in ends])
    return names


def names_beside(file, number, series, wanted):
    """Where ROI zip and table of one image of a file go, relative to the output folder.

    Parameters
    ----------
    file : str
        As `find_files` gives it.
    number, series : int
        Which image of the file, from 0, of how many.
    wanted : list of str
        Some of the keys of `BESIDE`.

    Returns
    -------
    dict
        Setting -> name: ``cell_rois.zip``, ``cell_table.csv``; of several series ``cell_series1_rois.zip``, ...
    """
    start = stem_of(file) + ("_series%d" % (number + 1) if series > 1 else "")
    return dict((key, start + BESIDE[key]) for key in wanted)


def of_output(path, output):
    """The path with an output's id before its ending: cell_rois.zip -> cell_rois_nuclei.zip."""
    start, dot, ending = path.rpartition(".")
    return "%s_%s%s%s" % (start, _plain(output), dot, ending)


def _plain(output):
    return re.sub("[^-.0-9A-Za-z]+", "_", output)


def stem_of(file):
    """The path without what is behind its last dot; of cell.ome.tif it is cell."""
    folder, slash, name = file.rpartition("/")
    stem = name.rpartition(".")[0] or name
    return folder + slash + (stem[:-4] if stem.lower().endswith(".ome") else stem)


def check_folders(source, target):
    """Refuse an output folder that is the input folder: results would stand where the images are."""
    if os.path.realpath(source) == os.path.realpath(target):
        raise ZooferryError("the results would overwrite the images in %s: choose another output folder" % source)


def signature(path):
    """Size in bytes and time of the last change in whole seconds, by which an exchanged file is noticed."""
    return os.path.getsize(path), int(os.path.getmtime(path))


def remaining(seconds, done, left):
    """How long the files that are left will take, in words: "3 min left"."""
    if not done:
        return ""
    rest = seconds / done * left
    if rest < 90:
        return "%d s left" % round(rest)
    return "%d min left" % round(rest / 60) if rest < 5400 else "%.1f h left" % (rest / 3600)
