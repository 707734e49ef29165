"""The child process of `zooferry.hosts.fiji`: python -m zooferry.hosts.fiji_worker job.json

It starts headless Fiji and, for each image, runs the macro lines that a user would write. Each image is reported on
one line of standard output; what Fiji's Log says comes out there as well.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from zooferry.errors import HostAbsentError, ZooferryError
from zooferry.hosts import jvm
from zooferry.hosts.imagej import EVENT, fiji_scripts
from zooferry.hosts.imagej_worker import is_ome
from zooferry.images import read_image, write_image

ENGINE = re.compile(r"^zooferry engine: (.*)$", re.MULTILINE)


def main(arguments: list[str]) -> int:
    """Run the job; 0 if every image was written, 1 if not, 2 if Fiji could not be started."""
    job = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    try:
        gateway = jvm.start_fiji(Path(job["fiji"]))
    except HostAbsentError as problem:
        _tell({"absent": str(problem)})
        return 2
    failed = 0
    for number, run in enumerate(job["runs"]):
        begin, cpu_begin = time.perf_counter(), time.process_time()
        event = _restore(gateway, {**job, **run})
        failed += bool(event["message"])
        seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu_begin
        _tell({"number": number, "seconds": seconds, "cpu_seconds": cpu_seconds, **event})
    gateway.dispose()
    return 1 if failed else 0


def _restore(gateway: Any, run: dict[str, Any]) -> dict[str, Any]:
    name = Path(run["image"]).name
    if run["unsupported"]:
        return {"message": run["unsupported"], "unsupported": True}
    parts = {output: _part(run, output) for output in run["titles"]}
    try:
        _open(gateway, Path(run["image"]), Path(run["scratch"]))
        info = _macro(gateway, _lines(run, parts))
        if not info:
            return {"message": f"{name}: Fiji gave no result; what it printed tells more"}
        found = ENGINE.search(info)
        paths = {output: str(_keep(part, _final(run, output))) for output, part in parts.items()}
        return {"message": "", "results": paths, "engine": found[1] if found else ""}
    except ZooferryError as problem:
        return {"message": str(problem)}
    except OSError as problem:
        return {"message": f"{name}: {problem}"}
    finally:
        _macro(gateway, 'close("*");')
        for part in parts.values():
            part.unlink(missing_ok=True)


def _open(gateway: Any, path: Path, scratch: Path) -> None:
    if not path.is_file():
        raise ZooferryError(f"there is no image {path}")
    _require_whole(path)
    if is_ome(path):  # headless, Fiji opens these by Bio-Formats, whose dialog cannot be loaded there (VerifyError)
        path = write_image(scratch / path.name.replace(".ome.", "."), read_image(path))
    if not _macro(gateway, f"open({_quoted(str(path))}); return getTitle();"):
        raise ZooferryError(f"Fiji cannot open {path}: allowed are TIFF files, convert it in Fiji first")


def _lines(run: dict[str, Any], parts: dict[str, Path]) -> str:
    """The macro that follows ``open``: run, then select and save each result; it returns the Info of the last."""
    options = f"model=[{run['package']}]"
    options += "".join(f" {key}={run[key]}" for key in ("tile", "threads", "engine", "heads") if run[key])
    lines = [f'run("Run Zooferry Model", {_quoted(options)});']
    for output, title in run["titles"].items():
        lines.append(f'if (!isOpen({_quoted(title)})) return "";')
        lines.append(f"selectImage({_quoted(title)}); info = getMetadata({_quoted('Info')});")
        lines.append(f'saveAs("Tiff", {_quoted(str(parts[output]))});')
    return "\n".join([*lines, "return info;"])


def _macro(gateway: Any, code: str) -> str:
    """What a macro returns; empty if it was aborted."""
    returned = gateway.IJ.runMacro(code)
    return "" if returned is None or str(returned) == "[aborted]" else str(returned)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _part(run: dict[str, Any], output: str) -> Path:
    final = _final(run, output)
    return final.with_name(f".{final.stem}.part.tif")


def _final(run: dict[str, Any], output: str) -> Path:
    stem, several = Path(run["image"]).stem, len(run["titles"]) > 1
    return Path(run["out"]) / (f"{stem}_{re.sub(r'[^-.0-9A-Za-z]+', '_', output)}.tif" if several else f"{stem}.tif")


def _keep(part: Path, path: Path) -> Path:
    """Rename what Fiji has saved, if it is whole: on a full disk the macro line saveAs says so in the Log only."""
    try:
        _require_whole(part)
    except (OSError, ZooferryError) as problem:
        raise ZooferryError(f"Fiji could not write {path} ({problem}): is the disk full?") from problem
    os.replace(part, path)
    return path


def _require_whole(path: Path) -> None:
    """Refuse a TIFF file that was cut off, as the menu command for folders does: ImageJ opens it without a word."""
    library = str(fiji_scripts() / "lib")
    if library not in sys.path:
        sys.path.append(library)
    integrity = importlib.import_module("zooferry_fiji.integrity")
    try:
        integrity.check_file(str(path))
    except integrity.ZooferryError as problem:
        raise ZooferryError(f"{path.name}: {problem}") from problem


def _tell(event: dict[str, Any]) -> None:
    print(EVENT + json.dumps(event), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
