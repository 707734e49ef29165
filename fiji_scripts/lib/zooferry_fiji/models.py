"""The models that Fiji has: which are installed, and what a user's word for one means.

Installed are the unpacked packages in the folder `models` of Fiji, where deepImageJ keeps its own. The Java property
zooferry.models names another folder.
"""

import os

from . import unpacking
from .description import FILES, load_rdf, text
from .errors import ZooferryError

NONE_GIVEN = "no model was given: write model=[name of an installed model, or a folder or zip] in the macro"


def models_folder():
    """Where models are installed; it need not exist."""
    from ij import IJ
    from java.lang import System

    return System.getProperty("zooferry.models") or os.path.join(IJ.getDirectory("imagej") or ".", "models")


def installed():
    """The models in Fiji's models folder.

    Returns
    -------
    list of (str, str)
        Name and folder, sorted by name; two models of one name are followed by their folder's name in brackets.
        Folders whose rdf.yaml cannot be read are left out.
    """
    found = [(rdf.get("name"), folder) for folder, rdf in _descriptions(models_folder())]
    return _named(found)


def _named(found):
    # [(name or None, folder)] -> unique names; pure
    rows = [(text(name or os.path.basename(folder)), folder) for name, folder in found]
    names = [name for name, _ in rows]
    unique = [
        (name if names.count(name) == 1 else "%s [%s]" % (name, os.path.basename(folder)), folder)
        for name, folder in rows
    ]
    return sorted(unique, key=lambda row: (row[0].lower(), row[1]))


def _descriptions(home):
    # (folder, rdf) of every folder that holds a model
    result = []
    for name in sorted(os.listdir(home)) if os.path.isdir(home) else []:
        folder = os.path.join(home, name)
        if is_package(folder):
            try:
                result.append((folder, load_rdf(folder)))
            except ZooferryError:
                continue
    return result


def is_package(folder):
    """Whether a folder holds a description."""
    return any(os.path.isfile(os.path.join(folder, name)) for name in FILES)


def resolve(given):
    """The folder of a model.

    Parameters
    ----------
    given : str or java.io.File
        A folder, a zip, or an installed model: the name of its folder, or the name, id or nickname in its rdf.yaml.
        Upper and lower case are one where that is unambiguous.

    Returns
    -------
    str
        The absolute path of an unpacked package; that of a zip is a copy that goes when Java ends.
    """
    word = (given.getPath() if hasattr(given, "getPath") else given or "").strip()
    if not word:
        raise ZooferryError(NONE_GIVEN)
    path = os.path.abspath(word)
    if os.path.isdir(path) and is_package(path):
        return path
    if os.path.isfile(path):
        return os.path.dirname(path) if os.path.basename(path) in FILES else _unpacked(path)
    home = models_folder()
    folders = matching(word, [(folder, _words(folder, rdf)) for folder, rdf in _descriptions(home)])
    if len(folders) == 1:
        return os.path.abspath(folders[0])
    if folders:
        raise ZooferryError(
            "model %s may be %s: give one of these folder names" % (word, " or ".join(map(os.path.basename, folders)))
        )
    if os.path.isdir(path):
        raise ZooferryError("%s holds no rdf.yaml: choose the folder of an unpacked bioimage.io model" % path)
    raise ZooferryError(_unknown(word, home))


def matching(word, rows):
    """The folders that a word means. Pure.

    Parameters
    ----------
    word : str
    rows : list of (str, list of str)
        Folder, and the words for its model; the first word is the strongest.

    Returns
    -------
    list of str
        More than one if several are meant equally well.
    """
    for same in (lambda a, b: a == b, lambda a, b: a.lower() == b.lower()):
        found = [[i for i, name in enumerate(names) if same(name, word)] for _, names in rows]
        best = min([places[0] for places in found if places] or [0])
        folders = [folder for (folder, _), places in zip(rows, found) if places and places[0] == best]
        if folders:
            return folders
    return []


def _words(folder, rdf):
    # the folder's name first; then "name [folder]" as `installed` shows twins
    bioimageio = (rdf.get("config") or {}).get("bioimageio") or {}
    base = os.path.basename(folder)
    name = text(rdf.get("name") or base)
    return [base, "%s [%s]" % (name, base), name] + [
        text(word) for word in (rdf.get("id"), bioimageio.get("nickname"), bioimageio.get("id")) if word
    ]


def _unknown(word, home):
    names = [name for name, _ in installed()]
    if not names:
        return "there is no model %s: no model is installed in %s, and no such folder or zip exists" % (word, home)
    shown = ", ".join(names[:8]) + (" and %d others" % (len(names) - 8) if len(names) > 8 else "")
    return "there is no model %s: installed are %s; a folder or a zip may be given, too" % (word, shown)


def _unpacked(path):
    # a zip's package, kept until Java ends: the same bytes are unpacked once
    from java.lang import System

    key = "zooferry.unpacked." + file_sha256(path)
    kept = System.getProperty(key)
    if kept and is_package(kept):
        return kept
    folder = _scratch_folder()
    unpacking.unpack(path, folder)
    found = _package_in(folder)
    if found is None:
        raise ZooferryError("%s holds no rdf.yaml: choose the zip of a bioimage.io model" % path)
    System.setProperty(key, found)
    return found


def _package_in(folder):
    # rdf.yaml at the top, or one folder deep as some download pages pack it
    inside = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    candidates = [one for one in [folder] + [path for path in inside if os.path.isdir(path)] if is_package(one)]
    return candidates[0] if candidates else None


def file_sha256(path):
    """Of a file, as hexadecimal text."""
    import hashlib

    total = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            total.update(block)
    return total.hexdigest()


def _scratch_folder():
    # removed with all that is in it when Java ends
    import shutil
    import tempfile

    from java.lang import Runnable, Runtime, System, Thread

    class Remove(Runnable):
        def run(self):
            shutil.rmtree(folder, True)

    folder = tempfile.mkdtemp("", "zooferry-model-", System.getProperty("java.io.tmpdir"))
    Runtime.getRuntime().addShutdownHook(Thread(Remove()))
    return folder
