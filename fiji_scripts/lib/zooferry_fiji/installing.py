"""Put a model package into Fiji's folder `models`: checked first, complete or not at all.

Checked are the zip's entries (see unpacking), the hash of every file that rdf.yaml gives one for, and that Run
Zooferry Model can read the description.
"""

import os
import re
import shutil
import stat
import tempfile
import zipfile

from . import models, unpacking
from .description import FILES, load_rdf, read_model, text
from .errors import ZooferryError

MAX_RDF_BYTES = 1 << 20
RESERVED = ("con", "prn", "aux", "nul")  # which Windows takes for devices
SPARE_BYTES = 1 << 20


def command(source, replace):
    """What the menu command does.

    Parameters
    ----------
    source : str
        A package zip, or the folder of an unpacked one.
    replace : bool
        Whether another model of this name may be replaced.

    Returns
    -------
    (bool, str, str)
        Whether the model is installed now; one line for the user; the model's folder, "" if it is not installed.
    """
    try:
        folder, words = install(source, models.models_folder(), replace)
    except ZooferryError as problem:
        return False, problem.args[0], ""
    return True, words, folder


def install(source, home, replace=False):
    """Check a package and copy it to a folder of its own below `home`.

    Parameters
    ----------
    source : str
        Zip or folder; its name without .zip becomes the model's.
    home : str
        Fiji's folder models; made if missing.
    replace : bool

    Returns
    -------
    (str, str)
        The model's folder, and what was done.

    Raises
    ------
    ZooferryError
        Anything wrong with the package, another model of this name, a full disk or a read-only folder; `home` is then
        as it was.
    """
    source = os.path.abspath(source)
    target = os.path.join(home, model_name(source))
    stage = _stage(home)
    try:
        _bring(source, stage)
        package = _package(source, stage)
        name = check(package, source)
        if os.path.isdir(target):
            if _same(package, target):
                return target, "%s is installed already, in %s" % (name, target)
            if not replace:
                raise ZooferryError(
                    "another model is installed in %s: allow it to be replaced (replace), or rename %s"
                    % (target, os.path.basename(source))
                )
        _exchange(package, target, os.path.join(stage, "old"))
        return target, "installed %s in %s" % (name, target)
    except EnvironmentError as problem:
        raise ZooferryError("%s cannot be written (%s): nothing was installed" % (home, _reason(problem)))
    finally:
        shutil.rmtree(stage, True)


def model_name(source):
    """The folder's name for a package: letters, digits and -_. of its file name; others become _. Pure."""
    base = os.path.basename(source)
    if not os.path.isdir(source) and base.lower().endswith(".zip"):
        base = base[:-4]
    name = re.sub(r"[^-\w. ]+", "_", text(base), flags=re.UNICODE).strip(" .")
    return "_" + name if not name or name.lower() in RESERVED else name


def check(package, source):
    """The name of the model in a folder, after every check.

    Raises
    ------
    ZooferryError
        It cannot be read, a file is missing or not what its hash says, or a name leads outside.
    """
    shown = os.path.basename(source)
    sizes = [os.path.getsize(path) for path in [os.path.join(package, name) for name in FILES] if os.path.isfile(path)]
    if max(sizes or [0]) > MAX_RDF_BYTES:
        raise ZooferryError("%s has an rdf.yaml of more than 1 MiB: it is refused" % shown)
    rdf = load_rdf(package)
    for path, digest in files_with_hashes(rdf):
        if "://" in path:
            continue
        if not is_inside(path):
            raise ZooferryError("%s names the file %s, which lies outside the package: it is refused" % (shown, path))
        file = os.path.join(package, *path.replace("\\", "/").split("/"))
        if os.path.isfile(file) and digest and models.file_sha256(file) != digest.lower():
            raise ZooferryError(
                "%s: %s is not the file that rdf.yaml describes (its sha256 differs): get the package again"
                % (shown, path)
            )
    return read_model(package)["name"]


def files_with_hashes(node):
    """Every (source, sha256) anywhere in a description. Pure."""
    found = []
    if isinstance(node, dict):
        if hasattr(node.get("source"), "upper"):
            found.append((node["source"], text(node.get("sha256") or "")))
        for value in node.values():
            found += files_with_hashes(value)
    elif isinstance(node, list):
        for value in node:
            found += files_with_hashes(value)
    return found


def is_inside(path):
    """Whether a relative path stays in its folder. Pure."""
    parts = path.replace("\\", "/").split("/")
    return bool(parts[0]) and not [part for part in parts if part == ".." or ":" in part or "\0" in part]


def wrong_files(root, files):
    """The files of a manifest that are not there, and those that are others now. Pure.

    Parameters
    ----------
    root : str
        Fiji's folder.
    files : list of dict
        With "path" and "sha256".
    """
    missing, changed = [], []
    for entry in files:
        path = os.path.join(root, *entry["path"].split("/"))
        if not os.path.isfile(path):
            missing.append(entry["path"])
        elif models.file_sha256(path) != entry["sha256"]:
            changed.append(entry["path"])
    return missing, changed


def _stage(home):
    try:
        if not os.path.isdir(home):
            os.makedirs(home)
        return tempfile.mkdtemp("", ".zooferry-", home)
    except EnvironmentError as problem:
        raise ZooferryError(
            "the folder %s cannot be written (%s): make it writable, or use a Fiji in your own folder"
            % (home, _reason(problem))
        )


def _bring(source, stage):
    # all files of the package to stage/new
    new = os.path.join(stage, "new")
    if os.path.isdir(source):
        _require_space(_folder_bytes(source), stage)
        shutil.copytree(source, new)
        return
    if not os.path.isfile(source):
        raise ZooferryError("there is no %s: give the zip of a model package, or its unpacked folder" % source)
    _require_space(_checked_bytes(source), stage)
    os.mkdir(new)
    unpacking.unpack(source, new)


def _checked_bytes(path):
    # what the zip unpacks to; links would become files that hold a path
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipfile, EnvironmentError, ValueError, _java_exception()) as problem:
        raise ZooferryError(
            "%s is not a readable zip (%s): get the package again, a zip with rdf.yaml in it" % (path, _reason(problem))
        )
    try:
        for entry in archive.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ZooferryError("%s holds a link or a device: it is refused" % path)
        return sum(entry.file_size for entry in archive.infolist())
    finally:
        archive.close()


def _java_exception():
    # Jython's zipfile lets it out for files of a few bytes
    try:
        from java.lang import IllegalArgumentException
    except ImportError:
        return ValueError
    return IllegalArgumentException


def _folder_bytes(folder):
    total = 0
    for parent, folders, names in os.walk(folder):
        for name in folders + names:
            path = os.path.join(parent, name)
            if os.path.islink(path):
                raise ZooferryError("%s holds the link %s: it is refused, copy the file itself" % (folder, name))
            total += os.path.getsize(path) if name in names else 0
    return total


def _require_space(wanted, folder):
    try:
        from java.io import File
    except ImportError:
        return
    free = File(folder).getUsableSpace()
    if wanted + SPARE_BYTES > free:
        raise ZooferryError(
            "the model needs %.1f MB and the disk of %s has %.1f MB left: nothing was installed, make room first"
            % (wanted / 1e6, os.path.dirname(folder), free / 1e6)
        )


def _package(source, stage):
    # rdf.yaml at the top, or one folder deep as some download pages pack it
    new = os.path.join(stage, "new")
    below = [os.path.join(new, name) for name in sorted(os.listdir(new)) if name != "__MACOSX"]
    below = [path for path in below if os.path.isdir(path)]
    found = [folder for folder in [new] + (below if len(below) == 1 else []) if models.is_package(folder)]
    if not found:
        raise ZooferryError("%s holds no rdf.yaml: it is no model package" % source)
    return found[0]


def _same(one, other):
    contents = [_contents(folder) for folder in (one, other)]
    if contents[0] != contents[1]:
        return False
    return not [name for name in contents[0] if _bytes(one, name) != _bytes(other, name)]


def _contents(folder):
    found = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            found[os.path.relpath(path, folder)] = os.path.getsize(path)
    return found


def _bytes(folder, name):
    return models.file_sha256(os.path.join(folder, name))


def _exchange(package, target, old):
    # by renaming only; an error puts the old one back
    if os.path.isdir(target):
        os.rename(target, old)
    try:
        os.rename(package, target)
    except EnvironmentError:
        if os.path.isdir(old):
            os.rename(old, target)
        raise


def _reason(problem):
    arguments = getattr(problem, "args", None) or ["damaged"]
    said = getattr(problem, "strerror", None) or arguments[0]
    return " ".join(text(said).split())
