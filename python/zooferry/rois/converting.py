"""ROI files -> label images and back, for one file or a folder; what looks wrong is collected on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import xarray as xr
from numpy.typing import NDArray

from zooferry import images
from zooferry.errors import ZooferryError
from zooferry.files import make_folder
from zooferry.images import list_images, read_image, require_labels, write_image
from zooferry.rois.drawing import Drawn, draw
from zooferry.rois.files import SUFFIXES, label_of, read_rois, write_rois
from zooferry.rois.flaws import Flaw, find_flaws
from zooferry.rois.tracing import rois_of

Say = Callable[[str], None]
NAMES = "zooferry_names="  # line of a label image's Info that holds the names of its objects as JSON
AROUND = re.compile(r"(?i)^roi(?:set)?s?[-_ ]+|[-_ ]+roi(?:set)?s?$")  # cell_rois.zip and RoiSet_cell.zip are of cell


@dataclass(frozen=True)
class Place:
    """One conversion: ROI file or label image, what is written (None: nothing), and the image or None."""

    source: Path
    out: Path | None
    image: Path | None


@dataclass(frozen=True, eq=False)
class Checked:
    """A label image (int64, (N) Y X) with what looks wrong in it; grey values of the same shape, or None.

    `said` is why there is none of it.
    """

    name: str
    labels: NDArray[np.int64] | None = None
    grey: NDArray[Any] | None = None
    flaws: tuple[Flaw, ...] = ()
    said: str = ""


def places(source: Path, out: Path | None, image: Path | None) -> list[Place]:
    """What there is to convert.

    Parameters
    ----------
    source : Path
        ROI file, label image, or a folder of one of the two.
    out : Path, optional
        File or folder to write to; for a folder of sources a folder.
    image : Path, optional
        The image, or the folder of the images.

    Raises
    ------
    ZooferryError
        Nothing there, both kinds in one folder, an image without partner, or `out` is where the sources are.
    """
    if not source.is_dir():
        if not source.is_file():
            raise ZooferryError(f"{source}: no such file or folder; give ROI files (.zip, .roi) or label images (.tif)")
        _require_kind(source)
        partner = _partners([source], image)[source] if image is not None and image.is_dir() else image
        return [Place(source, _target(source, out), partner)]
    found = _sources(source)
    if out is not None and (_is_rois(out) or _is_image(out)):
        raise ZooferryError(f"{out}: of a folder a folder is made; choose a name without {out.suffix}")
    if image is not None and not image.is_dir():
        raise ZooferryError(f"{image}: for a folder of annotations a folder of images is needed, with the same names")
    partners = _partners(found, image) if image is not None else dict.fromkeys(found)
    planned = [Place(path, _target(path, out), partners[path]) for path in found]
    targets = [place.out for place in planned if place.out is not None]
    twice = sorted({path.name for path in targets if targets.count(path) > 1})
    if twice:
        raise ZooferryError(f"{source}: two files would become {twice[0]}; rename one of them")
    return planned


def _sources(folder: Path) -> list[Path]:
    files = [p for p in folder.iterdir() if not p.name.startswith(".")]
    rois, tiffs = sorted(filter(_is_rois, files)), list(filter(_is_image, files))
    if rois and tiffs:
        raise ZooferryError(
            f"{folder}: it holds ROI files ({rois[0].name}) and images ({tiffs[0].name}); give a folder of one kind"
        )
    if not rois and not tiffs:
        raise ZooferryError(f"{folder}: neither ROI files (.zip, .roi) nor label images (.tif) in this folder")
    return rois or list_images(folder)


def _require_kind(path: Path) -> None:
    if not (_is_rois(path) or _is_image(path)):
        raise ZooferryError(f"{path}: neither a ROI file (.zip, .roi) nor a label image (.tif)")


def _is_rois(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in images.SUFFIXES


def stem_of(path: Path) -> str:
    """The name of the image that a ROI file or label image belongs to."""
    return AROUND.sub("", path.stem) or path.stem if _is_rois(path) else path.stem


def _target(source: Path, out: Path | None) -> Path | None:
    if out is None:
        if _is_rois(source):
            raise ZooferryError(f"{source}: say where its label image goes: --out FILE.tif, or --out DIR")
        return None
    wanted = images.SUFFIXES if _is_rois(source) else (".zip",)
    if _is_rois(out) or _is_image(out):
        if out.suffix.lower() not in wanted:
            raise ZooferryError(f"{out}: what is made of {source.name} ends in {wanted[0]}; choose such a name")
        return out
    return out / f"{stem_of(source)}{wanted[0]}"


def _partners(sources: Sequence[Path], folder: Path) -> dict[Path, Path | None]:
    known = {path.stem: path for path in list_images(folder)}
    found: dict[Path, Path | None] = {}
    for source in sources:
        path = known.get(source.stem) or known.get(stem_of(source))
        if path is None:
            raise ZooferryError(f"{source.name} has no image {stem_of(source)}.tif in {folder}; names must be the same")
        found[source] = path
    return found


def convert(place: Place, size: tuple[int, ...] | None = None) -> Checked:
    """Make the label image of a ROI file, or the ROI zip of a label image, and look at the labels.

    Parameters
    ----------
    place : Place
    size : tuple of int, optional
        (Z) Y X of the label image where there is no image.

    Raises
    ------
    ZooferryError
        A file cannot be read or written; a ROI has no area; image and labels differ in shape.
    """
    image = None if place.image is None else read_image(place.image)
    if _is_rois(place.source):
        drawn = _drawn(place, image, size)
        labels = drawn.labels
    else:
        labels = read_image(place.source)
        require_labels(place.source, labels)
        drawn = Drawn(labels, names_of(place.source))
    grey = None if image is None else _grey(place, image, labels)
    if not _is_rois(place.source) and place.out is not None:
        write_rois(place.out, _rois(labels, drawn.names))
    values = np.asarray(labels.values, np.int64)
    flaws = [*drawn.flaws, *_by_stack(values, grey, labels.dims)]
    return Checked(stem_of(place.source), values, grey, tuple(flaws))


def _drawn(place: Place, image: xr.DataArray | None, size: tuple[int, ...] | None) -> Drawn:
    if image is None:
        if size is None:
            raise ZooferryError(f"{place.source}: give its image with --images, or its size with --size Y,X or Z,Y,X")
        image = xr.DataArray(np.zeros(size, np.uint8), dims=("z", "y", "x")[-len(size) :])
    drawn = draw(read_rois(place.source), image)
    assert place.out is not None  # see _target
    own = {str(label): name for label, name in drawn.names.items() if not label_of(name)}
    labels = drawn.labels.assign_attrs(info=NAMES + json.dumps(own)) if own else drawn.labels
    make_folder(place.out.parent)
    write_image(place.out, labels)
    return drawn


def names_of(path: Path) -> dict[int, str]:
    """The names of objects that a label image of ours keeps in its Info."""
    with tifffile.TiffFile(path) as tiff:
        said = str((tiff.imagej_metadata or {}).get("Info", ""))
    line = next((one for one in said.splitlines() if one.startswith(NAMES)), "")
    try:
        content = json.loads(line.removeprefix(NAMES) or "{}")
        return {int(key): str(name) for key, name in content.items()}
    except (ValueError, AttributeError):
        return {}  # somebody else's text


def _rois(labels: xr.DataArray, names: dict[int, str]) -> list[Any]:
    planes = np.asarray(labels.values, np.int64).reshape(-1, *labels.shape[-2:])
    slices = labels.sizes.get("z", 1)
    found = []
    for _, plane, roi in rois_of(planes, names):
        if {"z", "t"} <= set(labels.dims):
            roi.z_position, roi.t_position = plane % slices + 1, plane // slices + 1
        elif len(planes) > 1:
            roi.position = plane + 1
        found.append(roi)
    return found


def _grey(place: Place, image: xr.DataArray, labels: xr.DataArray) -> NDArray[Any]:
    grey = image.max("c") if "c" in image.dims else image
    if grey.dims != labels.dims or grey.shape != labels.shape:
        raise ZooferryError(
            f"{place.source} has axes {''.join(map(str, labels.dims))} and shape {labels.shape}, its image "
            f"{place.image} {''.join(map(str, grey.dims))} and {grey.shape}; they must be alike"
        )
    return np.asarray(grey.values)


def _by_stack(labels: NDArray[np.int64], grey: NDArray[Any] | None, dims: Sequence[Any]) -> list[Flaw]:
    """Flaws of each time point by itself; their planes count through all of them."""
    if "t" not in dims:
        return find_flaws(labels, grey)
    planes = labels.shape[1] if labels.ndim == 4 else 1
    found = []
    for t, frame in enumerate(labels):
        for flaw in find_flaws(frame, None if grey is None else grey[t]):
            found.append(flaw if not flaw.place else flaw.on(flaw.place[0] + t * planes))
    return found
