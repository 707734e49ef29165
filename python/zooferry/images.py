"""Read and write TIFF (ImageJ, OME, plain) as labelled arrays with pixel size and unit.

An image is an :class:`xarray.DataArray` with axes among ``t c z y x``. Its ``attrs`` may hold ``pixel_size``
(dict axis -> float), ``unit`` (spelled as bioimage.io does: "micrometer"), ``frame_interval`` (seconds).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import xarray as xr

from zooferry import axes
from zooferry.errors import ZooferryError
from zooferry.files import make_folder, write_atomically

SUFFIXES = (".tif", ".tiff")
UNIT_NAMES = {
    "micron": "micrometer", "microns": "micrometer", "um": "micrometer", "µm": "micrometer", "μm": "micrometer",
    "\\u00b5m": "micrometer", "micrometer": "micrometer", "micrometre": "micrometer", "nm": "nanometer",
    "nanometer": "nanometer", "mm": "millimeter", "millimeter": "millimeter", "cm": "centimeter",
    "inch": "inch", "m": "meter",
}  # fmt: skip
IMAGEJ_UNITS = {"micrometer": "micron", "nanometer": "nm", "millimeter": "mm", "centimeter": "cm"}
TIFF_UNKNOWN_AXES = "IQAUVERHPML"


def read_image(path: Path) -> xr.DataArray:
    """Read one TIFF.

    Parameters
    ----------
    path : Path
        ImageJ, OME or plain TIFF, 8, 16 or 32 bit, single image or (hyper)stack. A stack whose axis has no
        name is read as z, as ImageJ shows it.

    Returns
    -------
    DataArray
        Axes among t c z y x (length-1 axes dropped), dtype as stored, calibration in ``attrs``.

    Raises
    ------
    ZooferryError
        Not a readable TIFF, an RGB image, or complex pixels.
    """
    if not path.is_file():
        raise ZooferryError(f"{path}: no such file; give the path of a TIFF image")
    try:
        with tifffile.TiffFile(path) as tiff:
            series = tiff.series[0]
            array, names = series.asarray(), series.axes
            calibration = _calibration(tiff)
    except Exception as error:  # tifffile raises whatever a broken header provokes: struct, index, codec errors
        raise ZooferryError(
            f"{path}: not a readable TIFF ({_first_line(error)}); open and save it again in ImageJ"
        ) from error
    if "S" in names and array.shape[names.index("S")] > 1:
        raise ZooferryError(
            f"{path}: this is an RGB image; allowed are grey-scale images. In ImageJ: Image > Color > Split Channels, "
            "or Image > Type > 16-bit"
        )
    if array.size == 0 or array.dtype.kind not in "uifb":
        raise ZooferryError(
            f"{path}: pixels of type {array.dtype} and shape {array.shape}; allowed are 8, 16 and 32 bit"
        )
    return _labelled(path, array, names, calibration)


def _labelled(path: Path, array: np.ndarray, names: str, calibration: dict[str, Any]) -> xr.DataArray:
    names = names.lower()
    if "s" in names:
        array, names = array.squeeze(names.index("s")), names.replace("s", "")
    for unknown in TIFF_UNKNOWN_AXES.lower():
        if unknown in names:
            free = next((a for a in "ztc" if a not in names), None)
            if free is None:
                raise ZooferryError(f"{path}: axes {names.upper()}; allowed are T, C, Z, Y and X")
            names = names.replace(unknown, free)
    if array.ndim < 2 or set(names) - set(axes.IMAGE_AXES) or not {"y", "x"} <= set(names):
        raise ZooferryError(f"{path}: axes {names.upper()}; allowed are T, C, Z, Y and X, at least Y and X")
    image = axes.label_axes(array, names)
    if image.dtype == bool:
        image = image.astype(np.uint8)
    image.attrs.update(calibration)
    return image


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _calibration(tiff: tifffile.TiffFile) -> dict[str, Any]:
    if tiff.is_ome and tiff.ome_metadata:
        return _ome_calibration(tiff.ome_metadata)
    tags = tiff.pages.first.tags
    metadata: Mapping[str, Any] = tiff.imagej_metadata or {}
    unit = unit_name(str(metadata.get("unit", "")))
    per_centimeter = not tiff.is_imagej and "ResolutionUnit" in tags and int(tags["ResolutionUnit"].value) == 3
    if per_centimeter:
        unit = "micrometer"
    size: dict[str, float] = {}
    for axis, tag in (("y", "YResolution"), ("x", "XResolution")):
        value = tags[tag].value if tag in tags else (0, 1)
        per_unit = value[0] / value[1] if value[1] else 0.0
        if unit and per_unit > 0:
            # a TIFF stores a ratio of two integers: six digits of it are meant
            size[axis] = float(f"{(10_000.0 if per_centimeter else 1.0) / per_unit:.6g}")
    if unit and metadata.get("spacing"):
        size["z"] = abs(float(metadata["spacing"]))
    found: dict[str, Any] = {"pixel_size": size, "unit": unit} if size else {}
    if metadata.get("finterval"):
        found["frame_interval"] = float(metadata["finterval"])
    return found


def _ome_calibration(xml: str) -> dict[str, Any]:
    root = ElementTree.fromstring(xml)
    pixels = next((e for e in root.iter() if e.tag.rpartition("}")[2] == "Pixels"), None)
    if pixels is None:
        return {}
    size = {
        a: float(pixels.attrib[f"PhysicalSize{a.upper()}"])
        for a in "zyx"
        if f"PhysicalSize{a.upper()}" in pixels.attrib
    }
    unit = unit_name(pixels.attrib.get("PhysicalSizeXUnit", "µm"))
    found: dict[str, Any] = {"pixel_size": size, "unit": unit} if size and unit else {}
    if "TimeIncrement" in pixels.attrib:
        found["frame_interval"] = float(pixels.attrib["TimeIncrement"])
    return found


def unit_name(spelling: str) -> str:
    """A length unit as bioimage.io spells it ("micrometer"), "" where there is none or it is pixels."""
    return UNIT_NAMES.get(spelling.strip().lower(), "")


def write_image(path: Path, image: xr.DataArray) -> Path:
    """Write an ImageJ TIFF that keeps pixel size, unit and frame interval.

    Parameters
    ----------
    path : Path
        Written under a temporary name and renamed; missing folders are made.
    image : DataArray
        Axes among t c z y x. uint8, uint16 and float32 are kept; other types become float32 (labels up to
        65,535 become uint16). ``attrs["info"]`` is text for ImageJ's Image > Show Info.

    Raises
    ------
    ZooferryError
        The folder cannot be written to.
    """
    array, names = axes.to_imagej(image)
    array = _imagej_type(array)
    metadata: dict[str, Any] = {"axes": names}
    size: Mapping[str, float] = image.attrs.get("pixel_size", {})
    resolution = (1.0 / size["x"], 1.0 / size["y"]) if {"x", "y"} <= set(size) else None
    if size:
        unit = image.attrs.get("unit", "micrometer")
        metadata["unit"] = IMAGEJ_UNITS.get(unit, unit)
    if "z" in size and "z" in image.dims:
        metadata["spacing"] = size["z"]
    if "frame_interval" in image.attrs:
        metadata["finterval"] = image.attrs["frame_interval"]
    if image.attrs.get("info"):
        metadata["Info"] = image.attrs["info"]
    make_folder(path.parent)
    write_atomically(
        path, lambda part: tifffile.imwrite(part, array, imagej=True, resolution=resolution, metadata=metadata)
    )
    return path


def _imagej_type(array: np.ndarray) -> np.ndarray:
    if array.dtype in (np.uint8, np.uint16, np.float32):
        return array
    if array.dtype.kind in "ui" and array.min() >= 0 and array.max() <= 65535:
        return array.astype(np.uint16)
    return array.astype(np.float32)


def list_images(folder: Path) -> list[Path]:
    """The TIFFs directly in a folder, in natural order of their names.

    Raises
    ------
    ZooferryError
        The folder is missing or holds no TIFF.
    """
    if not folder.is_dir():
        raise ZooferryError(f"{folder}: no such folder; give a folder that holds TIFF images")
    found = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    if not found:
        raise ZooferryError(f"{folder}: no TIFF in this folder; allowed are files ending in .tif or .tiff")
    return sorted(found, key=lambda p: [(int(s), "") if s.isdigit() else (-1, s) for s in re.split(r"(\d+)", p.name)])


def match_pairs(images: Path, targets: Path) -> list[tuple[Path, Path]]:
    """Pair the TIFFs of two folders by name (without suffix).

    Raises
    ------
    ZooferryError
        A file has no partner (all of them are listed), or a folder is empty.
    """
    left = _by_stem(list_images(images))
    right = _by_stem(list_images(targets))
    lonely = [f"{images.name}/{p.name}" for s, p in left.items() if s not in right]
    lonely += [f"{targets.name}/{p.name}" for s, p in right.items() if s not in left]
    _refuse_lonely(lonely, len(left) + len(right))
    return [(left[s], right[s]) for s in left]


def match_some(images: Path, targets: Path) -> list[tuple[Path, Path | None]]:
    """As :func:`match_pairs`, but images may lack a partner, and have None."""
    left = _by_stem(list_images(images))
    right = _by_stem(list_images(targets))
    _refuse_lonely([f"{targets.name}/{p.name}" for s, p in right.items() if s not in left], len(right))
    return [(path, right.get(s)) for s, path in left.items()]


def _refuse_lonely(lonely: Sequence[str], count: int) -> None:
    if lonely:
        shown = ", ".join(lonely[:10]) + (f" and {len(lonely) - 10} more" if len(lonely) > 10 else "")
        raise ZooferryError(f"{len(lonely)} of {count} files have no partner: {shown}; pairs must have the same name")


def _by_stem(paths: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise ZooferryError(
                f"{path.parent}: {found[path.stem].name} and {path.name} have the same name; keep one of them"
            )
        found[path.stem] = path
    return found


def require_labels(path: Path, image: xr.DataArray) -> None:
    """Refuse pixels that are no numbers of objects.

    Raises
    ------
    ZooferryError
        Channels, or other values than whole numbers from 0.
    """
    values = image.values
    if "c" in image.dims:
        raise ZooferryError(f"{path}: label images have no channels; this one has {image.sizes['c']}")
    with np.errstate(invalid="ignore"):
        whole = bool((values == np.floor(values)).all()) and values.min() >= 0
    if not whole:
        raise ZooferryError(
            f"{path}: a label image holds a whole number for each object and 0 for the background; this one holds "
            "other values"
        )


def require_usable(path: Path, image: xr.DataArray) -> None:
    """Refuse pixels that no network can restore.

    Raises
    ------
    ZooferryError
        NaN or infinite pixels, or a constant image.
    """
    values = image.values
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        bad = int(values.size - np.isfinite(values).sum())
        raise ZooferryError(
            f"{path}: {bad} of {values.size} pixels are NaN or infinite; replace them (ImageJ: Process > Math > NaN...)"
        )
    if values.min() == values.max():
        raise ZooferryError(
            f"{path}: every pixel is {values.flat[0]}; a constant image holds nothing to restore, leave it out"
        )
