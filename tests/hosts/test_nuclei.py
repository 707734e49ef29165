"""Every shipped model of segmentation gives the same labels in Python, plain ImageJ and Fiji, tiled and whole.

On two simulated images; with ZOOFERRY_REAL_DATA on ten of nuclei_dsb2018/val as well.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import real_fiji  # noqa: E402
from scipy.ndimage import gaussian_filter  # noqa: E402
from simulated_heads import Case, blobs  # noqa: E402

from zooferry.archives import unpack  # noqa: E402
from zooferry.axes import label_axes  # noqa: E402
from zooferry.hosts import fiji, imagej  # noqa: E402
from zooferry.images import read_image, write_image  # noqa: E402
from zooferry.instances.declaration import LABELS, read_declaration  # noqa: E402
from zooferry.label_comparison import compare_labels  # noqa: E402
from zooferry.package import open_package  # noqa: E402
from zooferry.restoring import open_restorer  # noqa: E402

FOLDER = Path(os.environ.get("ZOOFERRY_PACKAGES") or HERE.parents[1] / "model_packages")
TILE = 192  # pixels; along one axis at least the images are larger
REAL = 10


def segmenting() -> list[Path]:
    """Packages that declare instances."""
    found = []
    for path in sorted(FOLDER.glob("*/*.zip")):
        with open_package(path) as package:
            if read_declaration(package.content, [output.id for output in package.outputs]):
                found.append(path)
    return found


PACKAGES = segmenting()
WAYS = [(path, tile) for path in PACKAGES for tile in (None, TILE)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """Where the packages are unpacked."""
    found = {path: tmp_path_factory.mktemp(path.stem) for path in PACKAGES}
    for path, folder in found.items():
        unpack(path, folder)
    return found


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, found = tmp_path_factory.mktemp("simulated"), []
    for seed, shape in enumerate([(200, 264), (181, 235)], 1):
        rng = np.random.default_rng(seed)
        labels = blobs(Case(seed, shape, 25, (9, 15)))
        bright = np.append(0, rng.uniform(60, 160, labels.max()))
        light = gaussian_filter(bright[labels], 1.2) + 12
        image = label_axes(np.clip(rng.normal(light, np.sqrt(light)), 0, 255).astype(np.uint8), "yx")
        found.append(write_image(folder / f"nuclei{seed}.tif", image))
    return found


@pytest.fixture(scope="module")
def real() -> list[Path]:
    data = os.environ.get("ZOOFERRY_REAL_DATA")
    folder = Path(data or "") / "nuclei_dsb2018" / "val" / "images"
    if not data or not folder.is_dir():
        pytest.skip("ZOOFERRY_REAL_DATA names no folder with nuclei_dsb2018/val/images")
    images = sorted(folder.glob("*.tif"))
    return images[:: len(images) // REAL][:REAL]


def in_python(path: Path, images: Sequence[Path], tile: int | None) -> list[np.ndarray]:
    with open_restorer(path, tile=tile) as restorer:
        return [restorer.restore([read_image(image)])[LABELS].values for image in images]


def require_same(
    run: Callable[..., list[imagej.ImageResult]], images: Sequence[Path], folders: dict[Path, Path], **more: Any
) -> None:
    """All packages on all images, tiled and whole: the numbers of Python's whole images."""
    runs = [
        imagej.Run(folders[path], (image,), folders[path] / f"results_{tile}", tile)
        for path, tile in WAYS
        for image in images
    ]
    results = iter(run(runs, threads=1, **more))
    wrong, objects = [], 0
    whole = {path: in_python(path, images, None) for path in PACKAGES}
    for path, tile in WAYS:
        tiled = in_python(path, images, tile) if tile else whole[path]
        for image, expected, ours in zip(images, whole[path], tiled, strict=True):
            result = next(results)
            assert not result.message, (path.stem, image.name, result.message)
            objects += len(np.unique(expected)) - 1
            for host, found in (("Python", ours), ("the host", read_image(result.results[LABELS]).values)):
                if not np.array_equal(found, expected):
                    pixels = np.count_nonzero(found != expected)
                    words = compare_labels(found, expected, name=image.name).sentence()
                    wrong.append(f"{path.stem}, {image.name}, tile {tile}, {host}: {pixels} pixels differ; {words}")
    print(f"{len(runs)} results, {objects} objects")
    assert objects > 2 * len(runs)
    assert not wrong, "\n".join(wrong)


needs_packages = pytest.mark.skipif(not PACKAGES, reason=f"{FOLDER} holds no model of segmentation")


@needs_packages
@pytest.mark.jvm
def test_simulated_images_in_imagej(simulated: list[Path], folders: dict[Path, Path]) -> None:
    require_same(imagej.run_packages, simulated, folders)


@needs_packages
@pytest.mark.jvm
@pytest.mark.real
def test_real_images_in_imagej(real: list[Path], folders: dict[Path, Path]) -> None:
    require_same(imagej.run_packages, real, folders)


@needs_packages
@pytest.mark.fiji
@pytest.mark.real
def test_real_images_in_fiji(real: list[Path], folders: dict[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("imagej", reason="pyimagej is not installed")
    require_same(fiji.run_packages, real, folders, fiji=real_fiji.copy_fiji(tmp_path / "fiji"))
