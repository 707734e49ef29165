"""Run a model inside a real headless ImageJ, through the Jython command that Fiji users have in their menu.

Each call starts one child process with a JVM of its own, for any number of images.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zooferry
from zooferry.errors import HostAbsentError, ZooferryError
from zooferry.hosts import jvm
from zooferry.safe_yaml import read_yaml

EVENT = "@zooferry "  # begins the worker's lines that are meant for this module
DESCRIPTIONS = ("rdf.yaml", "bioimageio.yaml", "model.yaml")
ENGINES = ("onnx", "torchscript")
SCRIPT = "scripts/Plugins/Zooferry/Run_Zooferry_Model.py"


@dataclass(frozen=True)
class ImageResult:
    """How one image went.

    `result` is the 32-bit ImageJ TIFF (axes and calibration of the source), None if `message` says why not;
    `results` holds one for each output of the model, by its id, `result` is the first of them. `unsupported` says
    that neither image nor model is at fault: ImageJ cannot do yet what the model asks for.
    `seconds` is the wall time of reading, restoring and writing, `inference_seconds` what the network took of it,
    `cpu_seconds` the processor time of all threads; the start of Java is in none of them.
    """

    source: Path
    result: Path | None
    message: str
    seconds: float
    engine: str
    inference_seconds: float
    cpu_seconds: float = 0.0
    unsupported: bool = False
    results: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One image to restore.

    `images` holds one TIFF per input of the `package`, `out` is the folder for the result, `tile` the length of a
    tile in pixels along each axis, by default chosen from the free memory.
    """

    package: Path
    images: tuple[Path, ...]
    out: Path
    tile: int | None = None


def imagej_version() -> str:
    """The version of ImageJ that `run_images` starts."""
    return jvm.IMAGEJ_VERSION


def availability() -> str:
    """Why this host cannot be used; empty if it can. Starts nothing and asks no network."""
    try:
        jvm.find_java()
        fiji_scripts()
    except ZooferryError as problem:
        return str(problem)
    return ""


def fiji_scripts() -> Path:
    """The folder with the Fiji scripts and their library: inside the installed package or beside the checkout."""
    home = Path(zooferry.__file__).resolve().parent
    for folder in (home / "fiji_scripts", home.parent.parent / "fiji_scripts"):
        if (folder / SCRIPT).is_file():
            return folder
    raise HostAbsentError(f"the Fiji scripts are not beside {home}: reinstall zooferry")


def run_images(
    package: Path,
    images: Sequence[Path],
    out: Path,
    *,
    tile: int | None = None,
    threads: int | None = None,
    engine: str | None = None,
    on_line: Callable[[str], None] | None = None,
) -> list[ImageResult]:
    """Restore images inside headless ImageJ; an image that fails does not stop the others.

    Parameters
    ----------
    package : Path
        Folder of an unpacked bioimage.io model with one input, and ONNX or TorchScript weights.
    images : sequence of Path
        TIFF files; their names without extension must differ.
    out : Path
        Folder for `<stem>.tif`; made if missing.
    tile : int, optional
        Length of a tile in pixels along each axis; by default chosen from the free memory.
    threads : int, optional
        Threads of the engine; by default one per processor.
    engine : str, optional
        ``onnx`` or ``torchscript``; by default ONNX Runtime where a package has such weights. LibTorch is fetched
        (118 MB) when it is first needed.
    on_line : callable, optional
        Gets each line that ImageJ and the engine print.

    Returns
    -------
    list of ImageResult
        In the order of `images`.

    Raises
    ------
    HostAbsentError
        If Java or the jars are missing.
    """
    twice = [stem for stem, count in Counter(image.stem for image in images).items() if count > 1]
    if twice:
        raise ZooferryError(f"more than one image is called {twice[0]}: results would overwrite each other, rename one")
    runs = [Run(package, (image,), out, tile) for image in images]
    return run_packages(runs, threads=threads, engine=engine, on_line=on_line)


def run_packages(
    runs: Sequence[Run],
    *,
    threads: int | None = None,
    engine: str | None = None,
    on_line: Callable[[str], None] | None = None,
) -> list[ImageResult]:
    """Restore images with several packages in one headless ImageJ; a run that fails does not stop the others.

    Parameters
    ----------
    runs : sequence of Run
        The result of each is `<stem of its first image>.tif`, for a package of several outputs
        `<stem>_<output id>.tif`.
    threads, engine, on_line
        As for `run_images`.

    Returns
    -------
    list of ImageResult
        In the order of `runs`.
    """
    check_settings(runs, threads=threads, engine=engine)
    weights = [_weights(package) for package in dict.fromkeys(run.package for run in runs)]
    make_folders(runs)
    job = {
        "runs": [
            {
                "package": str(run.package.resolve()),
                "images": [str(image.resolve()) for image in run.images],
                "out": str(run.out.resolve()),
                "tile": run.tile or 0,
            }
            for run in runs
        ],
        "threads": threads or 0,
        "engine": engine or "",
        "torchscript": engine == "torchscript" or any(one == {"torchscript"} for one in weights),
        "fiji_scripts": str(fiji_scripts()),
    }
    jvm.find_java()
    with tempfile.TemporaryDirectory(prefix="zooferry-imagej-") as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(job), encoding="utf-8")
        done, ending = run_worker("imagej_worker", path, on_line or (lambda _: None))
    lost = {"message": f"ImageJ ended before this image was done: {ending}"}
    return [image_result(run.images[0], done.get(number, lost)) for number, run in enumerate(runs)]


def check_settings(runs: Sequence[Run], *, threads: int | None, engine: str | None) -> None:
    """Refuse numbers below 1 and unknown engines."""
    for name, value in (("threads", threads), *[("tile", run.tile) for run in runs]):
        if value is not None and value < 1:
            raise ZooferryError(f"{name} is {value}: allowed are numbers from 1, or none for automatic")
    if engine not in (None, *ENGINES):
        raise ZooferryError(f"engine is {engine}: allowed are {' and '.join(ENGINES)}, or none for automatic")


def make_folders(runs: Sequence[Run]) -> None:
    """Make the folders of the results, and refuse those that cannot be written to."""
    for out in dict.fromkeys(run.out for run in runs):
        _make_folder(out)


def _weights(package: Path) -> set[str]:
    # which of the package's weights can run here; ImageJ itself tells what is wrong with a description
    description = next((package / name for name in DESCRIPTIONS if (package / name).is_file()), None)
    if description is None:
        raise ZooferryError(f"{package} holds no rdf.yaml: give the folder of an unpacked bioimage.io model")
    entries = read_yaml(description).get("weights")
    return set(ENGINES) & set(entries) if isinstance(entries, dict) else set()


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise ZooferryError(f"cannot make the folder {out} ({problem.strerror}): choose another one") from problem
    if not os.access(out, os.W_OK):
        raise ZooferryError(f"the folder {out} is read-only: choose another one")


def run_worker(module: str, job: Path, on_line: Callable[[str], None]) -> tuple[dict[int, dict[str, Any]], str]:
    """Run a worker to its end: `module` of `zooferry.hosts` on a job file.

    Returns
    -------
    events : dict
        Number of the run -> what the worker said about it; under ``said`` the lines that were printed meanwhile.
    ending : str
        The exit code and the last words.
    """
    done: dict[int, dict[str, Any]] = {}
    last: deque[str] = deque(maxlen=2)
    said: list[str] = []
    command = [sys.executable, "-m", f"zooferry.hosts.{module}", str(job)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=_environment(),
    ) as worker:
        try:
            for line in _lines(worker):
                if not line.startswith(EVENT):
                    last.append(line)
                    said.append(line)
                    on_line(line)
                    continue
                event = json.loads(line[len(EVENT) :])
                if "absent" in event:
                    raise HostAbsentError(event["absent"])
                done[event["number"]] = event | {"said": said}
                said = []
        except BaseException:
            worker.kill()
            raise
    return done, f"exit code {worker.returncode}; {' | '.join(last) or 'no output'}"


def _lines(worker: subprocess.Popen[str]) -> Iterator[str]:
    assert worker.stdout is not None
    for line in worker.stdout:
        if line.strip():
            yield line.rstrip()


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    parents = [str(Path(zooferry.__file__).resolve().parent.parent), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, parents))
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONIOENCODING"] = "utf-8"
    locale = environment.get("LC_ALL") or environment.get("LC_CTYPE") or environment.get("LANG") or ""
    if os.name == "posix" and "utf" not in locale.lower():
        environment["LC_ALL"] = "C.UTF-8"  # else Java cannot open file names beyond ASCII
    environment.pop("CLASSPATH", None)
    environment.pop("ZOOFERRY_EXIT", None)  # would end Java at the first image that fails
    return environment


def image_result(image: Path, event: dict[str, Any]) -> ImageResult:
    """What the worker said about an image as a value."""
    results = {name: Path(path) for name, path in event.get("results", {}).items()}
    return ImageResult(
        source=image,
        result=next(iter(results.values()), None),
        message=event.get("message", ""),
        seconds=float(event.get("seconds", 0.0)),
        engine=event.get("engine", ""),
        inference_seconds=float(event.get("inference_seconds", 0.0)),
        cpu_seconds=float(event.get("cpu_seconds", 0.0)),
        unsupported=bool(event.get("unsupported", False)),
        results=results,
    )
