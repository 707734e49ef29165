"""Restore all images of a folder in Fiji, from Python: images are xarrays with named axes before and after.

    pip install pyimagej
    zooferry fiji install /path/to/Fiji.app
    python restore_folder.py "my model" noisy/ restored/ --fiji /path/to/Fiji.app

The model is the name of an installed one, a folder or a zip. A table of one line per image is printed, and is in
restored/restored.csv; the exit code is 0 only if every image was restored. Take this file as the beginning of your
own script: what is yours goes into `restore_file`, before and after `restore`.
"""

import argparse
import csv
import json
import os
import sys
import time
from pathlib import Path

import imagej
import numpy as np
import scyjava.config

# our names of the axes -> those of pyimagej, in the order in which it writes them
AXES = {"t": "t", "z": "pln", "y": "row", "x": "col", "c": "ch"}
# files that are cut off or of several kinds in words and without a dialog, which IJ.openImage does not give
OPENING = """
#@ String path
#@output ImagePlus image
#@output String problem
from zooferry_fiji import errors, opening
image, problem = None, ""
try:
    image = opening.open_images(path)[0]
except errors.ZooferryError as error:
    problem = error.args[0]
"""
COLUMNS = ("file", "status", "seconds", "message")


class RestoringError(Exception):
    """An image that was not restored, in one line."""


def start_fiji(folder):
    """pyimagej's gateway to a headless Fiji, which needs no network."""
    if not (Path(folder) / "jars").is_dir():
        sys.exit(f"{folder}: no Fiji in it; give its folder with --fiji, or as FIJI_HOME")
    scyjava.config.set_java_constraints(fetch="auto")  # the Java of this computer, where there is one
    scyjava.config.endpoints.clear()  # else jars that Fiji has are looked for on the network
    scyjava.config.get_repositories().clear()
    ij = imagej.init(str(folder), mode="headless")
    if not any(str(info.getTitle()) == "Run Zooferry Model" for info in ij.module().getModules()):
        sys.exit(f"{folder}: has no command Run Zooferry Model; run  zooferry fiji install {folder}")
    return ij


def restore(ij, image, model, **settings):
    """Run the menu command Run Zooferry Model on an image.

    Parameters
    ----------
    ij : gateway
    image : DataArray
        Axes among t, z, c, y, x in any order; y and x are needed. The steps of its coordinates are the pixel size
        (of t the frame interval), ``attrs["unit"]`` is their unit.
    model : str
        Name of an installed model, folder or zip.
    **settings
        Of the macro line, e.g. tile=512, channels="each", engine="onnx".

    Returns
    -------
    dict
        Output of the model -> DataArray, axes t z c y x without those of length 1, calibrated as `image`.

    Raises
    ------
    RestoringError
        The command says why there is no result.
    """
    source = to_imageplus(ij, image, "image")
    info = next(info for info in ij.module().getModules() if str(info.getTitle()) == "Run Zooferry Model")
    arguments = {"image": source, "model": str(model), **{key: str(value) for key, value in settings.items()}}
    done = ij.module().run(info, True, ij.py.to_java(arguments)).get()
    details = json.loads(str(done.getOutput("details")))
    if not details["ok"]:
        raise RestoringError(str(done.getOutput("status")))
    names = [str(name) for name in details["outputs"]]
    # of several outputs each is an image of its own, called <title of the source>_<output>
    one = [done.getOutput("restored")]
    images = one if len(names) == 1 else [ij.WindowManager.getImage(f"image_{name}") for name in names]
    results = {name: to_xarray(ij, result) for name, result in zip(names, images)}
    for result in [*images, source]:
        result.changes = False
        result.close()
    return results


def to_xarray(ij, image):
    """An ImagePlus as a float or integer array with the axes t z c y x; those of length 1 are dropped."""
    array = ij.py.from_java(image)
    array = array.rename({theirs: ours for ours, theirs in AXES.items() if theirs in array.dims})
    array = array.squeeze([axis for axis in array.dims if array.sizes[axis] == 1], drop=True)
    array.attrs["unit"] = str(image.getCalibration().getUnit())
    # the array is a view of Java's memory, which ends with the image
    return array.transpose(*[axis for axis in "tzcyx" if axis in array.dims]).copy()


def to_imageplus(ij, array, title):
    """An array as an ImagePlus of its own; what pyimagej leaves out of the calibration is set here."""
    ordered = array.transpose(*[axis for axis in AXES if axis in array.dims])
    # of a transposed view in Fortran order pyimagej 1.8.0 exchanges x and y (observed)
    ordered = ordered.copy(data=np.ascontiguousarray(ordered.values))
    image = ij.py.to_imageplus(ordered.rename({axis: AXES[axis] for axis in ordered.dims})).duplicate()
    image.setTitle(title)
    calibration = image.getCalibration()
    calibration.setUnit(array.attrs.get("unit", "pixel"))
    for axis, name in {"x": "pixelWidth", "y": "pixelHeight", "z": "pixelDepth", "t": "frameInterval"}.items():
        if axis in array.coords and array.sizes[axis] > 1:
            step = array[axis].values[1] - array[axis].values[0]
            setattr(calibration, name, round(float(step), 9))
    return image


def read(ij, path):
    """An image file; of several series the first. (ij.io().open would lose unit and frame interval: pyimagej 1.8.0.)"""
    done = ij.py.run_script("py", OPENING, {"path": str(path)})
    image = done["image"]
    if image is None:
        raise RestoringError(str(done["problem"]))
    return to_xarray(ij, image)


def write(ij, array, path):
    """A TIFF file, under another name until it is whole."""
    part = path.with_name(f".{path.stem}.part.tif")
    image = to_imageplus(ij, array, path.name)
    try:
        if not ij.IJ.saveAsTiff(image, str(part)):
            raise RestoringError(f"cannot write {path}: is the disk full, the folder read-only?")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def restore_file(ij, path, model, out, settings):
    """Read, restore, write; in between, `image` and `results` are arrays to work with."""
    image = read(ij, path)
    results = restore(ij, image, model, **settings)
    for name, result in results.items():
        write(ij, result, out / (f"{path.stem}.tif" if len(results) == 1 else f"{path.stem}_{name}.tif"))


def main():
    """Restore the folder; 0 if all went well, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name of an installed model, folder or zip")
    parser.add_argument("images", type=Path, help="folder")
    parser.add_argument("out", type=Path, help="folder for the results")
    parser.add_argument("--fiji", default=os.environ.get("FIJI_HOME", ""), help="Fiji's folder (default: FIJI_HOME)")
    parser.add_argument("--pattern", default="*.tif", help="which files (default: *.tif)")
    parser.add_argument("--set", action="append", default=[], metavar="key=value", help="e.g. tile=512, channels=each")
    options = parser.parse_args()
    wrong = [one for one in options.set if "=" not in one]
    if wrong:
        sys.exit(f"--set {wrong[0]}: write key=value, for example tile=512")
    settings = dict(one.split("=", 1) for one in options.set)
    paths = sorted(path.resolve() for path in options.images.glob(options.pattern))
    if not paths:
        sys.exit(f"{options.images}: no {options.pattern} in it")
    model = str(Path(options.model).resolve()) if Path(options.model).exists() else options.model
    ij = start_fiji(options.fiji)
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for path in paths:
        begin = time.perf_counter()
        try:
            restore_file(ij, path, model, out, settings)
            status, message = "restored", ""
        except Exception as problem:  # noqa: BLE001  one bad image does not stop the others
            status, message = "failed", " ".join(str(problem).split())[:300]
        rows.append((path.name, status, f"{time.perf_counter() - begin:.1f}", message))
        print("  ".join(rows[-1]), flush=True)
    with (out / "restored.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    ij.dispose()
    return 0 if all(row[1] == "restored" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
