"""Run the test input with deepImageJ: its documented macro, headless, in a Fiji that has the plugin and its engines.

The plugin fetches an engine that is missing (230 MB) without asking, and Fiji ends with 0 after an exception. So an
engine folder that is not complete makes this host absent, Java's way to the network is closed, and what the plugin
prints is read.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooferry.errors import HostAbsentError
from zooferry.fiji.folders import Fiji
from zooferry.hosts import HostRun, fiji, jvm

if TYPE_CHECKING:
    from zooferry.hosts.imagej import ImageResult, Run
    from zooferry.package import OpenPackage

FRAMEWORKS = {"torchscript": "pytorch", "onnx": "onnx"}
PLUGIN, LIBRARY = ("DeepImageJ", "deepimagej", "deepImageJ", "deepimagej-plugin"), "dl-modelrunner"
VERSIONS = "availableDLVersions.json"  # in the library: which jars make an engine
SECONDS = 300.0
GRACE_SECONDS = 10.0  # for Java's end after the macro's last line
DONE = "zooferry-macro-done"
MACRO = """open({image});
run("DeepImageJ Run", "model_path=[{model}] input_path=[{path}] output_folder=[{out}] display_output=null");
print("{done}");
"""
OFFLINE = [f"-D{protocol}.proxy{key}" for protocol in ("http", "https") for key in ("Host=127.0.0.1", "Port=9")]
CLASSES = "classes"  # logs of loaded classes tell which engine did the work; Java 8 has no such logs and gives none
PROBLEM = re.compile(
    r"^(?:\[[A-Z]+-?\d*\] )?(?:Caused by: |Exception in thread \"[^\"]*\" )?([\w.$]+(?:Exception|Error))\b:? ?(.*)"
)
WRAPPER = "RuntimeException"  # around the text of another one
ENGINE = re.compile(r"engines[/\\]([^/\\]+)[/\\]")


def find() -> Fiji:
    """The Fiji with deepImageJ: ZOOFERRY_DEEPIMAGEJ, else that of `zooferry.hosts.fiji.find`.

    Raises
    ------
    HostAbsentError
        No Fiji, or not this plugin in it.
    """
    given = os.environ.get("ZOOFERRY_DEEPIMAGEJ")
    found = fiji.find(Path(given) if given else None)
    jars = found.jars()
    missing = [name for name, known in (("deepImageJ", PLUGIN), (LIBRARY, (LIBRARY,))) if not {*known} & {*jars}]
    if missing:
        raise HostAbsentError(
            f"{' and '.join(missing)} not in {found.root}; set ZOOFERRY_DEEPIMAGEJ to the Fiji that has deepImageJ 3"
        )
    return found


def run(package: Path, scratch: Path) -> HostRun:
    """Restore the package's raw test input.

    Parameters
    ----------
    package : Path
        Package folder or zip.
    scratch : Path
        Folder for a copy of the package, the macro, the images and Java's logs.

    Raises
    ------
    HostAbsentError
        No deepImageJ, an engine that it would have to fetch, or a package that it does not run.
    ZooferryError
        What the plugin printed instead of giving a result.
    """
    found = find()
    from zooferry.hosts import through_tiff
    from zooferry.package import open_package

    with open_package(package) as opened:
        require_runnable(opened)
        require_engines(found, opened)
        outputs = [tensor.id for tensor in opened.outputs]
        result, arrays = through_tiff.feed(opened.folder, scratch, lambda one: _restore(found, one, scratch, outputs))
    return HostRun(f"{version(found)}, {result.engine}", arrays)


def version(found: Fiji) -> str:
    """Of the plugin, its library and Fiji."""
    plugin = next(found.version(name) for name in PLUGIN if found.version(name))
    return f"deepImageJ {plugin}, JDLL {found.version(LIBRARY)}, Fiji {found.version('fiji') or '?'}"


def require_runnable(package: OpenPackage) -> None:
    """Refuse what the plugin does not try: other weights, several inputs."""
    if not set(FRAMEWORKS) & set(package.weights):
        raise HostAbsentError(f"the package has no weights that deepImageJ runs ({' or '.join(FRAMEWORKS)})")
    if len(package.inputs) > 1:
        raise HostAbsentError(f"deepImageJ's macro takes one input, and the package has {len(package.inputs)}")


def require_engines(found: Fiji, package: OpenPackage) -> None:
    """Refuse a package for whose weights the plugin would fetch an engine: it wants one for each of the formats.

    Raises
    ------
    HostAbsentError
        An engine is not there, or one of its jars is missing or empty.
    """
    known = engine_jars(found)
    for weights in sorted(set(FRAMEWORKS) & set(package.weights)):
        framework = FRAMEWORKS[weights]
        folders = [f for f in sorted((found.root / "engines").glob(f"{framework}-*")) if f.name in known]
        if not folders:
            raise HostAbsentError(
                f"deepImageJ has no {framework} engine in {found.root / 'engines'} and would fetch one for the "
                f"{weights} weights: install it from the plugin's window"
            )
        lacking = {folder.name: _missing(folder, known[folder.name]) for folder in folders}
        if all(lacking.values()):
            name, jars = next(iter(lacking.items()))
            raise HostAbsentError(
                f"deepImageJ's engine {name} is incomplete ({jars[0]} is missing), it would fetch it again: "
                "install it from the plugin's window"
            )


def engine_jars(found: Fiji) -> dict[str, list[str]]:
    """Folder name of each engine that the library knows for this system -> the jars that it must hold."""
    system = _platform()
    try:
        with zipfile.ZipFile(found.root / found.jars()[LIBRARY][1]) as library:
            entries = json.loads(library.read(VERSIONS))["versions"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as problem:
        raise HostAbsentError(f"{found.jars()[LIBRARY][1]}: tells no engines ({type(problem).__name__})") from problem
    return {_folder_name(e): [j.rsplit("/", 1)[1] for j in e["jars"] if j] for e in entries if e["os"] == system}


def _folder_name(entry: dict[str, Any]) -> str:
    name = "-".join((entry["framework"], entry["pythonVersion"], entry["version"], entry["os"]))
    return name + ("-cpu" if entry["cpu"] else "") + ("-gpu" if entry["gpu"] else "")


def _platform() -> str:
    arm = platform.machine().lower() in ("arm64", "aarch64")
    systems = {"Linux": "linux", "Darwin": "macosx", "Windows": "windows"}
    return f"{systems.get(platform.system(), 'unknown')}-{'arm64' if arm else 'x86_64'}"


def _missing(folder: Path, jars: Sequence[str]) -> list[str]:
    return [jar for jar in jars if not (folder / jar).is_file() or (folder / jar).stat().st_size == 0]


def _restore(found: Fiji, one: Run, scratch: Path, outputs: Sequence[str]) -> ImageResult:
    """Run the macro on the first image of `one` and find the results."""
    from zooferry.hosts.imagej import ImageResult

    begin = time.perf_counter()
    model = scratch / "models" / "package"
    shutil.copytree(one.package, model)
    _name_description(model)
    (scratch / CLASSES).mkdir()
    one.out.mkdir(parents=True, exist_ok=True)
    image = one.images[0].resolve()
    macro = scratch / "deepimagej.ijm"
    words = {"image": json.dumps(str(image), ensure_ascii=False), "path": _plain(image), "model": _plain(model)}
    macro.write_text(MACRO.format(**words, out=_plain(one.out), done=DONE), encoding="utf-8")
    log = scratch / "fiji.log"
    ending = _run_fiji(found, macro, log, scratch / CLASSES)
    printed = log.read_text(encoding="utf-8", errors="replace").splitlines()
    results = {output: one.out / f"{image.stem}_{output}.tif" for output in outputs}
    lacking = [output for output, path in results.items() if not path.is_file()]
    engine = _engine(scratch / CLASSES)
    message = ""
    if ending or lacking:
        reason = ending or problem(printed) or f"no output {lacking[0]!r} was written, and nothing was said"
        message = f"deepImageJ: {reason}" + (f" (engine {engine})" if engine else "")
    seconds = time.perf_counter() - begin
    first = None if message else next(iter(results.values()))
    return ImageResult(image, first, message, seconds, f"engine {engine or 'not told'}", 0.0, results=results)


def _name_description(model: Path) -> None:
    """deepImageJ looks for rdf.yaml only."""
    other = model / "bioimageio.yaml"
    if other.is_file() and not (model / "rdf.yaml").exists():
        other.rename(model / "rdf.yaml")


def _plain(path: Path) -> str:
    # inside a macro's text; the plugin wants backslashes doubled once more
    return str(path.resolve()).replace("\\", "\\\\\\\\")


def _run_fiji(found: Fiji, macro: Path, log: Path, classes: Path) -> str:
    """Run a macro headless in Fiji's folder, where the plugin looks for its engines; why it was ended, or empty."""
    options = ["-XX:+IgnoreUnrecognizedVMOptions", f"-Xlog:class+load:file={classes.as_posix()}/%p.log", *OFFLINE]
    if " " in str(classes):
        del options[1]  # the variable has no way to say a space
    environment = os.environ | {"JAVA_TOOL_OPTIONS": " ".join(options)}
    command = [*jvm.fiji_command(found.root), "-macro", str(macro)]
    with log.open("wb") as file:
        child = subprocess.Popen(
            command,
            cwd=found.root,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=environment,
            start_new_session=True,
        )
        try:
            return _wait(child, log)
        finally:
            _end(child)


def _wait(child: subprocess.Popen[bytes], log: Path) -> str:
    begin, done = time.monotonic(), None
    while child.poll() is None:
        now = time.monotonic()
        if done is None and DONE in log.read_text(encoding="utf-8", errors="replace"):
            done = now
        if done is not None and now - done > GRACE_SECONDS:
            return ""  # Fiji stays open, the macro has ended
        if now - begin > SECONDS:
            return f"ended after {SECONDS:g} s without a result"
        time.sleep(0.2)
    return ""


def _end(child: subprocess.Popen[bytes]) -> None:
    """End Fiji with the engine's own Java process."""
    with suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    child.wait()


def problem(printed: Sequence[str]) -> str:
    """The first exception that says something, in one line; else a sign that an engine was to be fetched.

    Parameters
    ----------
    printed : sequence of str
        Lines.
    """
    found = [(match[1].rsplit(".", 1)[-1], match[2].strip()) for line in printed if (match := PROBLEM.match(line))]
    telling = [(name, words) for name, words in found if not name.endswith(WRAPPER)] or found
    if telling:
        name, words = next(((n, w) for n, w in telling if w), telling[0])
        return f"{name}: {words}"[:300] if words else name
    crashed = [line for line in printed if "SIGSEGV" in line]
    if crashed:
        return "Java was ended by SIGSEGV"
    return next(
        (line.strip()[:300] for line in printed if "not supported" in line and "pytorch_state_dict" not in line), ""
    )


def _engine(classes: Path) -> str:
    """The engine folder from which most classes were loaded, e.g. pytorch-2.0.0-2.0.0-linux-x86_64-cpu-gpu."""
    counts: dict[str, int] = {}
    for log in classes.glob("*.log"):
        for name in ENGINE.findall(log.read_text(encoding="utf-8", errors="replace")):
            counts[name] = counts.get(name, 0) + 1
    return max(counts, key=lambda name: counts[name]) if counts else ""
