"""The child process of `zooferry.hosts.imagej`: python -m zooferry.hosts.imagej_worker job.json

It starts headless ImageJ and, for each image, executes the menu command's own script with the script's parameters
set as variables, which is what Fiji does. Each image is reported on one line of standard output.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import tifffile

from zooferry.errors import HostAbsentError, ZooferryError
from zooferry.hosts import jvm
from zooferry.hosts.imagej import EVENT, SCRIPT
from zooferry.images import read_image, write_image


def main(arguments: list[str]) -> int:
    """Run the job; 0 if every image was written, 1 if not, 2 if ImageJ could not be started."""
    job = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    try:
        jimport = jvm.start_imagej(torchscript=job["torchscript"])
    except HostAbsentError as problem:
        _tell({"absent": str(problem)})
        return 2
    jimport("ij.macro.Interpreter").batchMode = True  # results are shown without a window
    jimport("java.lang.System").setProperty("zooferry.engine", job["engine"])
    interpreter = _interpreter(jimport, Path(job["fiji_scripts"]) / "lib")
    failed = 0
    for number, run in enumerate(job["runs"]):
        begin, cpu_begin = time.perf_counter(), time.process_time()
        event = _restore(jimport, interpreter, {**job, **run})
        failed += bool(event["message"])
        seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu_begin
        _tell({"number": number, "seconds": seconds, "cpu_seconds": cpu_seconds, **event})
    return 1 if failed else 0


def _interpreter(jimport: Any, library: Path) -> Any:
    interpreter = jimport("org.python.util.PythonInterpreter")()
    interpreter.set("library", str(library))
    interpreter.exec_("import sys; sys.dont_write_bytecode = True; sys.path.insert(0, library)")
    return interpreter


def _restore(jimport: Any, interpreter: Any, run: dict[str, Any]) -> dict[str, Any]:
    # one image, or one per input: open, run the script, write
    import jpype

    name = Path(run["images"][0]).name
    try:
        images = [_open(jimport, Path(path), scratch=Path(run["out"])) for path in run["images"]]
        interpreter.set("image", images[0] if len(images) == 1 else jimport("java.util.ArrayList")(images))
        interpreter.set("model", jimport("java.io.File")(run["package"]))
        interpreter.set("tile", run["tile"])
        interpreter.set("threads", run["threads"])
        interpreter.set("heads", "yes")  # all outputs of the description, also where they became labels
        interpreter.execfile(str(Path(run["fiji_scripts"]) / SCRIPT))
        details = json.loads(_text(interpreter, "details"))
        if not details["ok"]:
            return {"message": _text(interpreter, "status"), "unsupported": details["unsupported"]}
        restored = list(interpreter.get("results", jimport("java.util.List")))
        paths = {
            output: str(_write(jimport, image, _result_path(run, output, len(restored))))
            for output, image in zip(details["outputs"], restored, strict=True)
        }
        for image in images + restored:
            image.close()
        return {
            "message": "",
            "results": paths,
            "engine": details["engine"],
            "inference_seconds": details["inference_seconds"],
        }
    except ZooferryError as problem:
        return {"message": str(problem)}
    except OSError as problem:
        return {"message": f"{name}: {problem}"}
    except jpype.JException as problem:  # whatever Java throws concerns this image only
        print(problem.stacktrace(), flush=True)
        return {"message": f"{name}: {' '.join(str(problem).split())[:500]}"}


def _result_path(run: dict[str, Any], output: str, outputs: int) -> Path:
    stem = Path(run["images"][0]).stem
    return Path(run["out"]) / (
        f"{stem}.tif" if outputs == 1 else f"{stem}_{re.sub(r'[^-.0-9A-Za-z]+', '_', output)}.tif"
    )


def _open(jimport: Any, path: Path, *, scratch: Path) -> Any:
    if not path.is_file():
        raise ZooferryError(f"there is no image {path}")
    if not is_ome(path):
        return _open_plain(jimport, path)
    # ImageJ without Bio-Formats would take the channels and times of an OME-TIFF for slices
    copy = scratch / f".{path.stem}.ome.part.tif"
    try:
        image = _open_plain(jimport, write_image(copy, read_image(path)))
    finally:
        copy.unlink(missing_ok=True)
    image.setTitle(path.name)
    return image


def is_ome(path: Path) -> bool:
    """Whether it is an OME-TIFF."""
    try:
        with tifffile.TiffFile(path) as file:
            return bool(file.is_ome)
    except (tifffile.TiffFileError, ValueError, OSError):
        return False  # ImageJ will say what it cannot read


def _open_plain(jimport: Any, path: Path) -> Any:
    opener = jimport("ij.io.Opener")()
    opener.setSilentMode(True)
    image = opener.openImage(str(path))
    if image is None:
        raise ZooferryError(f"ImageJ cannot read {path}: allowed are TIFF files, convert it in Fiji first")
    return image


def _write(jimport: Any, image: Any, path: Path) -> Path:
    part = path.with_name(f".{path.stem}.part.tif")
    try:
        if not jimport("ij.io.FileSaver")(image).saveAsTiff(str(part)):
            raise ZooferryError(f"ImageJ cannot write {path}: is the disk full, the folder read-only?")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _text(interpreter: Any, name: str) -> str:
    import jpype

    return str(interpreter.get(name, jpype.JClass("java.lang.String")))


def _tell(event: dict[str, Any]) -> None:
    print(EVENT + json.dumps(event), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
