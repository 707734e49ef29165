"""One package and image, run in every way that a user has; test_agreement.py and bench_agreement.py compare them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import real_fiji
import tifffile
import yaml

from zooferry.cli import main
from zooferry.hosts import deepimagej, fiji, imagej

MACRO = """open("{image}");
run("Run Zooferry Model", "model=[{model}]");
selectImage("{title}");
saveAs("Tiff", "{result}");
close("*");
File.saveString("done", "{end}");
"""


def package_folder(archive: Path, folder: Path, *, mended: bool = False) -> Path:
    """An unpacked package; `mended`: as deepImageJ 3.1.0 (JDLL 0.6.3) needs it, with files named by plain strings and
    without a halo, for which it would mirror the image."""
    shutil.unpack_archive(archive, folder)
    if mended:
        path = folder / "rdf.yaml"
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for key in ("documentation", "covers"):
            entry = content[key]
            content[key] = [_source(one) for one in entry] if isinstance(entry, list) else _source(entry)
        for axis in content["outputs"][0]["axes"]:
            axis.pop("halo", None)
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return folder


def _source(entry: object) -> object:
    return entry["source"] if isinstance(entry, dict) else entry


def results(
    package: Path, home: Path, folder: Path, *, ending: str = "restored"
) -> Iterator[tuple[str, np.ndarray, float]]:
    """Name of the way, the restored sample image (Y X, float32) or its labels, and wall seconds with all starts.

    Parameters
    ----------
    package : Path
        Folder of a 2D package with ``sample_input.tif``.
    home : Path
        A Fiji with zooferry.
    folder : Path
        Scratch.
    ending : str
        "labels" for a package that decodes them.
    """
    image = package / "sample_input.tif"
    ways = {"Python": _python, "plain ImageJ": _imagej, "pyimagej": _pyimagej, "Fiji, headless": _launcher}
    for name, way in (*ways.items(), ("Fiji, window", _window)):
        out = folder / name.replace(" ", "_").replace(",", "")
        out.mkdir()
        begin = time.perf_counter()
        written = way(package, image, home, out)
        result = written.with_name(f"{image.stem}_labels.tif") if ending == "labels" else written
        yield name, tifffile.imread(result), time.perf_counter() - begin


def of_deepimagej(package: Path, folder: Path) -> tuple[np.ndarray, float, str]:
    """The same by deepImageJ, of a mended package: array, seconds, version and engine."""
    folder.mkdir()
    begin = time.perf_counter()
    done = deepimagej.run(package, folder)
    return next(iter(done.outputs.values())).squeeze(), time.perf_counter() - begin, done.version


def _python(package: Path, image: Path, _: Path, out: Path) -> Path:
    assert main(["predict", str(package), str(image), "--out", str(out)]) == 0
    return out / image.name


def _imagej(package: Path, image: Path, _: Path, out: Path) -> Path:
    (done,) = imagej.run_images(package, [image], out)
    assert done.result is not None, done.message
    return done.result


def _pyimagej(package: Path, image: Path, home: Path, out: Path) -> Path:
    (done,) = fiji.run_packages([imagej.Run(package, (image,), out)], fiji=home)
    assert done.result is not None, done.message
    return done.result


def _macro(package: Path, image: Path, out: Path) -> tuple[Path, Path, Path]:
    result, end, macro = out / image.name, out / "end.txt", out / "macro.ijm"
    labels = "instances:" in (package / "rdf.yaml").read_text(encoding="utf-8")
    result = out / f"{image.stem}_labels.tif" if labels else result
    title = f"{image.stem}_{'labels' if labels else 'restored'}"
    words = {"title": title, "result": result, "end": end, "image": image, "model": package}
    macro.write_text(MACRO.format(**words), encoding="utf-8")
    return macro, result, end


def _launcher(package: Path, image: Path, home: Path, out: Path) -> Path:
    macro, result, _ = _macro(package, image, out)
    _, output = real_fiji.headless(home, ["-macro", str(macro)])
    assert result.is_file(), output
    return result


def _window(package: Path, image: Path, home: Path, out: Path) -> Path:
    macro, result, end = _macro(package, image, out)
    with real_fiji.display() as screen:
        output = real_fiji.with_window(home, macro, screen, done=end.is_file)
    assert result.is_file(), output
    return result
