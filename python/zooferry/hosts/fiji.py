"""Run a model in a real Fiji, through the macro lines of its users: zooferry's menu command, started by pyimagej.

Each call starts one child process with a JVM of its own, for any number of images.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zooferry.errors import HostAbsentError, ZooferryError
from zooferry.fiji import manifest
from zooferry.fiji.folders import Fiji, find_fiji
from zooferry.hosts import HostRun, jvm
from zooferry.hosts.imagej import ImageResult, Run, check_settings, image_result, make_folders, run_worker

ENDINGS = re.compile(r"(?<=.)(\.(tif|tiff|png|jpg|jpeg|gif|bmp|czi|nd2|lif|lsm|zip|ome))+$", re.IGNORECASE)
SAID = "Zooferry: "  # begins the line in the Log that tells why there is no result
DETAILS = re.compile(r"\[INFO\] Run Zooferry Model = .*?(\{.*\})\]\]$")  # the command's outputs, as SciJava prints them


def find(given: Path | None = None) -> Fiji:
    """The Fiji that is meant: `given`, else FIJI_HOME, else ``~/Fiji.app``.

    Raises
    ------
    HostAbsentError
        There is none.
    """
    folder = given or Path(os.environ.get("FIJI_HOME") or Path.home() / "Fiji.app")
    try:
        return find_fiji(folder)
    except ZooferryError as problem:
        cure = "" if given else "; say where Fiji is with FIJI_HOME"
        raise HostAbsentError(f"no Fiji: {problem}{cure}") from problem


def availability(given: Path | None = None) -> str:
    """Why this host cannot be used; empty if it can. Looks at files, starts nothing."""
    try:
        require(find(given))
    except ZooferryError as problem:
        return str(problem)
    return ""


def require(fiji: Fiji) -> None:
    """Refuse a Fiji without zooferry, and a Python without pyimagej.

    Raises
    ------
    HostAbsentError
        With the cure.
    """
    if manifest.read(fiji.root) is None:
        raise HostAbsentError(f"zooferry is not installed in {fiji.root}: run  zooferry fiji install {fiji.root}")
    if importlib.util.find_spec("imagej") is None:
        raise HostAbsentError(jvm.NO_PYIMAGEJ)


def version(fiji: Fiji) -> str:
    """Fiji's, ImageJ's and pyimagej's versions."""
    own = importlib.metadata.version("pyimagej")
    return f"Fiji {fiji.version('fiji') or '?'}, ImageJ {fiji.version('ij') or '?'}, pyimagej {own}"


def titles(image: str, outputs: Sequence[str], *, labels: bool = False) -> list[str]:
    """The documented titles of the results.

    nuclei.tif -> nuclei_restored, nuclei_labels if the only output is `labels`, of several outputs nuclei_<output id>.
    """
    stem = ENDINGS.sub("", image)
    one = "labels" if labels else "restored"
    return [f"{stem}_{output}" for output in (outputs if len(outputs) > 1 else [one])]


def run_packages(
    runs: Sequence[Run],
    *,
    fiji: Path | None = None,
    threads: int | None = None,
    engine: str | None = None,
    on_line: Callable[[str], None] | None = None,
) -> list[ImageResult]:
    """Restore images in one headless Fiji; a run that fails does not stop the others.

    Parameters
    ----------
    runs : sequence of Run
        The package of each is a folder. The result is `<stem of its image>.tif`, for a package of several outputs
        `<stem>_<output id>.tif`.
    fiji : Path, optional
        Fiji's folder; by default that of `find`.
    threads : int, optional
        Threads of the engine; by default one per processor.
    engine : str, optional
        ``onnx`` or ``torchscript``; by default what the menu command chooses.
    on_line : callable, optional
        Gets each line that Fiji prints.

    Returns
    -------
    list of ImageResult
        In the order of `runs`.

    Raises
    ------
    HostAbsentError
        No Fiji, zooferry is not installed there, or pyimagej or Java are missing.
    """
    check_settings(runs, threads=threads, engine=engine)
    found = find(fiji)
    require(found)
    jvm.find_java()
    entries = [_entry(run) for run in runs]
    make_folders(runs)
    job = {"fiji": str(found.root), "runs": entries, "threads": threads or 0, "engine": engine or ""}
    with tempfile.TemporaryDirectory(prefix="zooferry-fiji-") as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(job | {"scratch": folder}), encoding="utf-8")
        done, ending = run_worker("fiji_worker", path, on_line or (lambda _: None))
    lost = {"message": f"Fiji ended before this image was done: {ending}"}
    return [_result(run.images[0], done.get(number, lost)) for number, run in enumerate(runs)]


def restore_files(
    model: Path,
    images: Sequence[Path],
    out: Path,
    *,
    fiji: Path | None,
    tile: int | None,
    engine: str | None,
    say: Callable[[str], None],
) -> int:
    """Restore images into a folder: what ``zooferry fiji run`` does.

    Parameters
    ----------
    model : Path
        Package folder or zip.
    images, out
        As for `zooferry.restoring.restore_files`.
    fiji, tile, engine
        As for `run_packages`.
    say : callable
        Gets one line per image.

    Returns
    -------
    int
        How many images could not be restored.

    Raises
    ------
    ZooferryError
        No Fiji, an unusable package or output folder, or the only image could not be restored.
    """
    from zooferry.package import open_package, verify_files
    from zooferry.restoring import result_paths

    require(find(fiji))
    result_paths(images, out)
    new = not out.exists()
    try:
        with open_package(model) as package:
            verify_files(package)
            runs = [Run(package.folder, (image,), out, tile) for image in images]
            results = run_packages(runs, fiji=fiji, engine=engine)
    finally:
        if new and out.is_dir() and not any(out.iterdir()):
            out.rmdir()
    if len(results) == 1 and results[0].message:
        raise ZooferryError(results[0].message)
    for result in results:
        say(f"{result.source.name}: {result.message or ', '.join(map(str, result.results.values()))}")
    return sum(bool(result.message) for result in results)


def _entry(run: Run) -> dict[str, Any]:
    """What the worker needs to know of a run."""
    from zooferry.instance_steps import LIBRARIES
    from zooferry.package import open_package

    if "]" in str(run.package.resolve()):
        raise ZooferryError(f"{run.package}: a macro line cannot name a folder with a ']'; rename it")
    with open_package(run.package) as package:
        outputs = [tensor.id for tensor in package.outputs]
        inputs = len(package.inputs)
        declared = bool(((package.content.get("config") or {}).get("zooferry") or {}).get("instances"))
        labels = any(step["id"] in LIBRARIES for tensor in package.outputs for step in tensor.operations)
    outputs += ["labels"] if declared else []
    name = run.images[0].name
    return {
        "package": str(run.package.resolve()),
        "image": str(run.images[0].resolve()),
        "unsupported": f"the macro line takes one image, and the model takes {inputs}" if inputs > 1 else "",
        "out": str(run.out.resolve()),
        "tile": run.tile or 0,
        "heads": "yes" if declared else "",  # else the outputs of which labels were made are not shown
        "titles": dict(zip(outputs, titles(name, outputs, labels=labels), strict=True)),
    }


def _result(image: Path, event: dict[str, Any]) -> ImageResult:
    """The worker's word about an image; the reason of a failure is what Fiji's Log says."""
    said = event.pop("said", [])
    found = [match[1] for line in said if (match := DETAILS.search(line))]
    details = json.loads(found[-1]) if found else {}
    if not event["message"]:
        return image_result(image, event | {"inference_seconds": details.get("inference_seconds", 0.0)})
    reasons = [line[len(SAID) :] for line in said if line.startswith(SAID)]
    unsupported = event.get("unsupported", False) or details.get("unsupported", False)
    return replace(image_result(image, event), message=(reasons or [event["message"]])[-1], unsupported=unsupported)


def run(package: Path, scratch: Path) -> HostRun:
    """Restore the package's raw test input in Fiji; as `zooferry.hosts.through_tiff.run`."""
    found = find()
    require(found)
    from zooferry.hosts import through_tiff

    result, outputs = through_tiff.feed(package, scratch, lambda one: run_packages([one])[0])
    return HostRun(f"{version(found)}, {result.engine}", outputs)
