"""Files in, files out: what ``zooferry predict`` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from zooferry import axes
from zooferry.domain import UNTOLD, Verdict, judge
from zooferry.errors import ZooferryError
from zooferry.files import make_folder
from zooferry.images import read_image, require_usable, write_image
from zooferry.instances.declaration import LABELS, Declaration, read_declaration
from zooferry.instances.images import label_image
from zooferry.own_diameter import at_own_diameter
from zooferry.package import open_model, open_package, package_domain, package_model, why_not_tiled
from zooferry.prediction import Model, predict_outputs
from zooferry.run_folder import read_run
from zooferry.three_views import averaged_heads
from zooferry.whole_images import require_images, restore_whole

Say = Callable[[str], None]
Restore = Callable[[Sequence[xr.DataArray]], Mapping[str, xr.DataArray]]


@dataclass(frozen=True)
class Restorer:
    """A model as a function of images.

    `inputs` and `outputs` are the ids of its tensors, `restore` takes one image per input and gives one per output;
    `domain` says what its training images were like, see `zooferry.domain`.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    restore: Restore
    domain: Mapping[str, Any] = field(default_factory=dict)


def restore_image(model: Model, image: xr.DataArray, *, tile: int | None = None) -> xr.DataArray:
    """The first output of :func:`restore_outputs`, which is the restored image."""
    return next(iter(restore_outputs(model, image, tile=tile).values()))


def restore_outputs(model: Model, image: xr.DataArray, *, tile: int | None = None) -> dict[str, xr.DataArray]:
    """Restore every sample (time point; slice, for a 2D model) of an image.

    Parameters
    ----------
    model : Model
    image : DataArray
        Raw grey values, axes among t c z y x.
    tile : int, optional
        Tile length in pixels.

    Returns
    -------
    dict
        Output id -> image with the calibration of `image`; the pixels of an enlarged one are smaller.
    """
    found = [(where, predict_outputs(model, array, tile=tile)) for where, array in axes.samples(image, model.dims)]
    results = {key: axes.assemble(image, [(where, arrays[key]) for where, arrays in found]) for key in model.outputs}
    factors = dict(zip(axes.spatial_axes(model.dims), model.factors, strict=False))
    if "pixel_size" in image.attrs:
        sizes = image.attrs["pixel_size"]
        smaller = {a: size / factors.get(a, 1) for a, size in sizes.items() if factors.get(a, 1)}
        results = {key: result.assign_attrs(pixel_size=smaller) for key, result in results.items()}
    return results


@contextmanager
def open_restorer(
    path: Path, *, tile: int | None = None, trust_code: bool = False, diameter: float | None = None
) -> Iterator[Restorer]:
    """A run folder, package folder or package zip as a function of images.

    One image in and images of its size out go through tiles with a halo, everything else through the whole image. A
    package that declares instances gives labels as well; `diameter` is that of `own_diameter.at_own_diameter`.
    """
    if (path / "run.json").is_file():
        with open_model(path) as model:
            said = {"config": {"zooferry": read_run(path)}}
            declaration = read_declaration(said, list(model.outputs))
            restorer = _decoding(_tiled(model, tile), declaration)
            yield at_own_diameter(restorer, declaration, diameter=diameter, guess=_guess(path))
        return
    with open_package(path) as package:
        declaration = read_declaration(package.content, [t.id for t in package.outputs])
        if not why_not_tiled(package):
            tiled = _decoding(_tiled(package_model(package, trust_code=trust_code), tile), declaration)
            yield at_own_diameter(tiled, declaration, diameter=diameter)
            return
        require_images(package)
        ids = [tuple(t.id for t in tensors) for tensors in (package.inputs, package.outputs)]
        whole = Restorer(ids[0], ids[1], restore_whole(package, trust_code=trust_code), package_domain(package))
        yield at_own_diameter(_decoding(whole, declaration), declaration, diameter=diameter)


def _guess(run: Path) -> Callable[[np.ndarray], float] | None:
    if "size_model" not in read_run(run):
        return None
    from zooferry.size_model import diameter_finder

    return diameter_finder(run)


def _decoding(restorer: Restorer, declaration: Declaration | None) -> Restorer:
    if declaration is None:
        return restorer

    def restore(images: Sequence[xr.DataArray]) -> dict[str, xr.DataArray]:
        views = declaration.method == "flows" and declaration.volume and "z" in images[0].dims
        heads = averaged_heads(restorer.restore, images[0], declaration) if views else restorer.restore(images)
        return {**heads, LABELS: label_image(declaration, heads, images[0])}

    return replace(restorer, outputs=(*restorer.outputs, LABELS), restore=restore)


def _tiled(model: Model, tile: int | None) -> Restorer:
    outputs = tuple(model.outputs)
    return Restorer(("image",), outputs, lambda images: restore_outputs(model, images[0], tile=tile), model.domain)


def restore_files(
    model_path: Path,
    images: Sequence[Path],
    out: Path,
    *,
    tile: int | None,
    say: Say,
    trust_code: bool = False,
    diameter: float | None = None,
) -> int:
    """Restore images into a folder, under their own names; a bad image does not stop the others.

    Parameters
    ----------
    model_path : Path
        Run folder, package folder or package zip.
    images : sequence of Path
        For a model with several inputs, one image for each of them in turn; the result has the first one's name.
    out : Path
        A model with several outputs writes ``<name>_<output>.tif`` for each.
    tile : int, optional
    say : callable
        Gets one line per image.
    trust_code : bool
        Whether Python code that the package brings may be run.
    diameter : float, optional
        Of the objects, in pixels, for a model that declares one; 0 or None: estimated in each image.

    Returns
    -------
    int
        How many images could not be restored.

    Raises
    ------
    ZooferryError
        The model cannot be opened, two images have the same name, an image would be overwritten, or the only
        image is unusable.
    """
    failed = 0
    with open_restorer(model_path, tile=tile, trust_code=trust_code, diameter=diameter) as restorer:
        groups = _groups(images, restorer.inputs)
        targets = result_paths([group[0] for group in groups], out)
        if not restorer.domain:
            say(UNTOLD)
        for number, (group, target) in enumerate(zip(groups, targets, strict=True), start=1):
            place = f"{number} of {len(groups)}  {' + '.join(path.name for path in group)}"
            try:
                written, verdict, own = _restore_group(restorer, group, target)
                domain = f"  domain: {verdict.text}" if restorer.domain else ""
                size = f"  diameter {own:.1f} pixels" if own else ""
                say(f"{place} -> {', '.join(map(str, written))}{domain}{size}")
            except ZooferryError as error:
                if len(groups) == 1:
                    raise
                failed += 1
                say(f"{place}: {error}")
    return failed


def _groups(images: Sequence[Path], inputs: Sequence[str]) -> list[Sequence[Path]]:
    count = len(inputs)
    if len(images) % count:
        raise ZooferryError(
            f"the model takes {count} images at a time ({', '.join(inputs)}), and {len(images)} were given; "
            "give them in turn"
        )
    return [images[start : start + count] for start in range(0, len(images), count)]


def _restore_group(restorer: Restorer, paths: Sequence[Path], target: Path) -> tuple[list[Path], Verdict, float]:
    # the files, whether the image is like the training images, and the diameter of its objects or 0
    images = [read_image(path) for path in paths]
    for path, image in zip(paths, images, strict=True):
        require_usable(path, image)
    results = restorer.restore(images)
    for image in results.values():
        require_finite_output(target.stem, image.values)
    make_folder(target.parent)
    several = len(restorer.outputs) > 1
    names = {key: target.with_name(f"{target.stem}_{file_name(key)}.tif") if several else target for key in results}
    written = [write_image(names[key], image) for key, image in results.items()]
    own = results[LABELS].attrs.get("diameter", 0.0) if LABELS in results else 0.0
    return written, judge(restorer.domain, images[0]), own


def file_name(name: str) -> str:
    """A tensor's id as a part of a file name: letters, digits, - and _ are kept."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:80]


def result_paths(images: Sequence[Path], out: Path) -> list[Path]:
    """``out/<name>.tif`` for every image.

    Raises
    ------
    ZooferryError
        Two images have the same name, or a result would replace its image.
    """
    targets = [out / f"{path.stem}.tif" for path in images]
    seen: dict[Path, Path] = {}
    for path, target in zip(images, targets, strict=True):
        if target in seen:
            raise ZooferryError(f"{seen[target]} and {path} have the same name; restore them into two folders")
        if target.exists() and path.exists() and target.samefile(path):
            raise ZooferryError(f"{target} would replace the image itself; choose another --out")
        seen[target] = path
    return targets


def require_finite_output(name: str, image: np.ndarray) -> None:
    """Refuse a restoration that holds NaN or infinity.

    Raises
    ------
    ZooferryError
        See above.
    """
    if not np.isfinite(image).all():
        raise ZooferryError(f"{name}: the restoration holds NaN or infinite pixels; the model does not fit this image")
