"""Check Zooferry Installation: what is well in this Fiji, what is not, and the cure."""

import io
import json
import os
import tempfile

from java.lang import Throwable

from . import __version__, installing, models, report
from .description import read_model, text
from .errors import ZooferryError
from .report import BAD, OK, WARNING

GIB = 2.0**30
ENOUGH_HEAP, ENOUGH_DISK = 1.0, 1.0  # GiB
OLDEST_IMAGEJ = "1.53"
INSTALL = "run 'zooferry fiji install' again, or unpack the Zooferry zip over Fiji again"


def command():
    """What the menu command does: look, show, tell.

    Returns
    -------
    (bool, str, str)
        Whether nothing is red; one line; the whole report as text.
    """
    rows = examine()
    words = report.as_text(rows)
    status = report.summary(rows)
    report.show(rows, words, status)
    return not [row for row in rows if row[0] == BAD], status, words


def examine():
    """Look at everything; nothing is changed.

    Returns
    -------
    list of (str, str, str, str)
        State (OK, WARNING or BAD), name, what was found, and the cure ("" if it is well).
    """
    parts = (_java, _imagej, _zooferry, _yaml, _groovy, _onnx, _torchscript)
    surroundings = (_deepimagej, _memory, _disk, _models_folder)
    rows = []
    for look in parts + surroundings:
        try:
            rows.append(look())
        except (Exception, Throwable) as problem:  # noqa: BLE001, a broken part is a row, not the end
            rows.append((BAD, look.__name__.strip("_"), _words(problem), INSTALL))
    return rows + _installed_models()


def _java():
    from java.lang import Runtime, System

    version = System.getProperty("java.version")
    words = "%s (%s), %s %s, %d processors" % (
        version,
        System.getProperty("java.vendor"),
        System.getProperty("os.name"),
        System.getProperty("os.arch"),
        Runtime.getRuntime().availableProcessors(),
    )
    major = int(version.split(".")[1] if version.startswith("1.") else version.split(".")[0].split("-")[0])
    if 8 <= major <= 25:
        return OK, "Java", words, ""
    return WARNING, "Java", words, "ImageJ runs on Java 8 to 25: use the Java that comes with Fiji"


def _imagej():
    from ij import IJ
    from java.lang import System

    home = IJ.getDirectory("imagej") or ""
    track = _track(home)
    words = "%s, ImageJ %s, in %s" % (track, IJ.getVersion(), home or "no folder of its own")
    if "headless" not in words and System.getProperty("java.awt.headless") == "true":
        words += ", headless"
    if IJ.getVersion()[:4] < OLDEST_IMAGEJ:
        return BAD, "ImageJ", words, "Zooferry needs ImageJ %s or newer: Help > Update ImageJ" % OLDEST_IMAGEJ
    return OK, "ImageJ", words, ""


def _track(home):
    # which of the two kinds of Fiji; by its launchers and the version of its own jar
    jars = _names(os.path.join(home, "jars"))
    versions = [name[5:-4] for name in jars if name.startswith("fiji-") and name[5:6].isdigit()]
    if not versions:
        return "plain ImageJ"
    names = _names(home)
    new = [name for name in names if name.startswith(("fiji-linux", "fiji-windows", "fiji-macos"))]
    kind = "new launcher" if new or os.path.isdir(os.path.join(home, "config", "jaunch")) else "old launcher"
    return "Fiji %s (%s)" % (versions[0], kind)


def _names(folder):
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def _zooferry():
    here = os.path.dirname(os.path.abspath(__file__))
    if isinstance(here, bytes):  # in Jython, which it cannot join with text beyond ASCII
        here = here.decode("utf-8")
    path = os.path.join(here, "manifest.json")
    if not os.path.isfile(path):
        return WARNING, "Zooferry", "%s in %s, copied by hand: no manifest" % (__version__, here), (
            "'zooferry fiji install' can keep it up to date and take it out again"
        )  # fmt: skip
    with io.open(path, encoding="utf-8") as stream:
        content = json.load(stream)
    root = os.path.dirname(os.path.dirname(os.path.dirname(here)))
    missing, changed = installing.wrong_files(root, content["files"])
    words = "%s, %d files" % (content["zooferry"], len(content["files"]))
    if missing:
        return BAD, "Zooferry", "%s, missing: %s" % (words, _some(missing)), INSTALL
    if changed:
        return WARNING, "Zooferry", "%s, changed after the installation: %s" % (words, _some(changed)), INSTALL
    return OK, "Zooferry", words + ", all as installed", ""


def _some(names):
    return ", ".join(names[:3]) + (" and %d more" % (len(names) - 3) if len(names) > 3 else "")


def _yaml():
    from org.yaml.snakeyaml import Yaml

    found = list(Yaml().load("[1, two]"))
    if found != [1, "two"]:
        return BAD, "snakeyaml", "reads %s instead of 1 and two" % found, INSTALL
    return OK, "snakeyaml", "reads YAML", ""


def _groovy():
    from jarray import array

    from .kernels import load

    found = load("numbers").compare(array([1.0, 2.0], "f"), array([1.0, 3.0], "f"), 1e-4, 1e-4)
    if (found[0], found[4]) != (1.0, 1.0):
        return BAD, "Groovy", "computes %s instead of 1 and 1" % list(found), INSTALL
    from groovy.lang import GroovySystem

    return OK, "Groovy", "%s, a kernel was compiled and ran" % GroovySystem.getVersion(), ""


def _onnx():
    try:
        from . import engine
    except ImportError:
        return BAD, "ONNX Runtime", "not installed", INSTALL
    return _run_tiny("ONNX Runtime", engine, TINY_ONNX)


def _run_tiny(name, engine, content):
    # y = x + x on four numbers, through the classes that every model uses
    import base64

    from .open_networks import close_network

    handle, path = tempfile.mkstemp(".onnx", "zooferry-")
    try:
        os.write(handle, base64.b64decode(content))
        os.close(handle)
        network = engine.open_network(path, 1)
        try:
            window = network.window([[1, 4]], [[1, 4]])
            for i in range(4):
                window.sources[0].put(i, float(i))
            window.run()
            found = [window.results[0].get(i) for i in range(4)]
        finally:
            close_network()
    except ZooferryError as problem:
        return BAD, name, problem.args[0], INSTALL
    finally:
        os.remove(path)
    if found != [0.0, 2.0, 4.0, 6.0]:
        return BAD, name, "a test network gave %s instead of 0, 2, 4, 6" % found, INSTALL
    return OK, name, "%s, a test network ran" % network.engine, ""


def _torchscript():
    cure = "only needed for models without ONNX weights: 'zooferry fiji install --torchscript'"
    try:
        from . import torch_engine
    except ImportError:
        return OK, "TorchScript", "not installed; %s" % cure, ""
    return OK, "TorchScript", "%s, a sum was computed" % torch_engine.probe(), ""


def _deepimagej():
    from ij import Menus

    commands = Menus.getCommands()
    if commands is not None and commands.get("DeepImageJ Run") is not None:
        return OK, "deepImageJ", "installed", ""
    return OK, "deepImageJ", "not installed; only needed for engine=deepimagej", ""


def _memory():
    from java.lang import Runtime

    heap = Runtime.getRuntime().maxMemory() / GIB
    words = "%.1f GiB for Java" % heap
    free, total = _physical()
    if total:
        words += ", %.1f of %.1f GiB free in the machine (networks use that)" % (free / GIB, total / GIB)
    if heap < ENOUGH_HEAP:
        return WARNING, "memory", words, "give Fiji more: Edit > Options > Memory & Threads"
    return OK, "memory", words, ""


def _physical():
    try:
        from com.sun.management import OperatingSystemMXBean
        from java.lang.management import ManagementFactory

        system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean)
        return system.getFreePhysicalMemorySize(), system.getTotalPhysicalMemorySize()
    except (ImportError, AttributeError):  # a Java runtime without jdk.management
        return 0, 0


def _disk():
    from java.io import File
    from java.lang import System

    places = [("Fiji", _existing(models.models_folder())), ("temporary files", System.getProperty("java.io.tmpdir"))]
    free = [(name, path, File(path).getUsableSpace() / GIB) for name, path in places]
    words = ", ".join("%.1f GiB free for %s (%s)" % (space, name, path) for name, path, space in free)
    if min(space for _, _, space in free) < ENOUGH_DISK:
        return WARNING, "disk", words, "make room: models and results need it"
    return OK, "disk", words, ""


def _existing(path):
    while not os.path.isdir(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def _models_folder():
    home = models.models_folder()
    try:
        handle, path = tempfile.mkstemp("", ".zooferry-", _existing(home))
        os.close(handle)
        os.remove(path)
    except EnvironmentError as problem:
        cure = "models cannot be installed there: use a Fiji in a folder of your own"
        return WARNING, "models folder", "%s cannot be written (%s)" % (home, _words(problem)), cure
    return OK, "models folder", "%s can be written" % home, ""


def _installed_models():
    home = models.models_folder()
    folders = [os.path.join(home, name) for name in _names(home)]
    rows = [_model(folder) for folder in folders if os.path.isdir(folder) and models.is_package(folder)]
    if rows:
        return rows
    return [(WARNING, "models", "none in %s" % home, "Plugins > Zooferry > Install Zooferry Model")]


def _model(folder):
    name = os.path.basename(folder)
    try:
        model = read_model(folder)
    except ZooferryError as problem:
        return WARNING, "model " + name, problem.args[0], "only this model is concerned: install it again or remove it"
    except (Exception, Throwable) as problem:  # noqa: BLE001, somebody else's package
        return WARNING, "model " + name, "unreadable (%s)" % _words(problem), "install it again or remove it"
    version = " " + model["version"] if model["version"] else ""
    return OK, "model " + name, "%s%s (%s)" % (model["name"], version, ", ".join(sorted(model["weights"]))), ""


def _words(problem):
    said = problem.getMessage() if hasattr(problem, "getMessage") else None
    return " ".join(text(said or (problem.args[0] if getattr(problem, "args", None) else problem)).split())[:300]


# y = x + x in ONNX, opset 17 (made by tests/test_fiji_commands.py, which makes it again and compares)
TINY_ONNX = "CAgSADo9Cg4KAXgKAXgSAXkiA0FkZBIBdFoTCgF4Eg4KDAgBEggKAggBCgIIBGITCgF5Eg4KDAgBEggKAggBCgIIBEIECgAQEQ=="
