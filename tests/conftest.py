"""Small images, runs and packages that many tests share; made once."""

from __future__ import annotations

import os
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core each
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded
# the JVMs of tests live for seconds: without Java's second compiler they take half the CPU seconds
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")

import numpy as np
import pytest
from scipy import ndimage
from tiny_package import make_tiny_package

from zooferry import axes
from zooferry.images import write_image

SHAPES = {2: (96, 128), 3: (16, 96, 96)}
REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def blobs(dims: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A noisy uint16 image of blobs and its clean float32 partner, (Z) Y X."""
    rng = np.random.default_rng(seed)
    clean = ndimage.gaussian_filter(rng.random(SHAPES[dims]) > 0.99, 3.0 if dims == 2 else 2.0, output=np.float32)
    clean = 100 + 400 * clean / clean.max()
    return rng.poisson(clean).astype(np.uint16), clean.astype(np.float32)


def write_pairs(folder: Path, dims: int, count: int) -> Path:
    """``folder/noisy`` and ``folder/clean`` with `count` calibrated pairs."""
    size = {"z": 0.3, "y": 0.1, "x": 0.1}
    for number in range(count):
        for role, array in zip(("noisy", "clean"), blobs(dims, number), strict=True):
            image = axes.label_axes(array, axes.spatial_axes(dims))
            image.attrs.update(pixel_size={a: size[a] for a in axes.spatial_axes(dims)}, unit="micrometer")
            write_image(folder / role / f"cell_{number}.tif", image)
    return folder


def train_small(method: str, pairs: Path, run: Path, **values: object) -> Path:
    """A run of a few steps; its pictures are bad, its files are real."""
    from zooferry.runs import train_method

    settings = {"steps": 6, "validate_every": 3, "width": 4, "patch": 64, "patch_z": 8, "batch": 2} | values
    targets = pairs / "clean" if method == "care" else None
    train_method(
        method, run, images=pairs / "noisy", targets=targets, values=settings, seconds=None, resume=False, say=print
    )
    return run


@pytest.fixture(scope="session")
def pairs_2d(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three 2D pairs."""
    return write_pairs(tmp_path_factory.mktemp("pairs2"), 2, 3)


@pytest.fixture(scope="session")
def pairs_3d(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two 3D pairs."""
    return write_pairs(tmp_path_factory.mktemp("pairs3"), 3, 2)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, pairs_2d: Path, pairs_3d: Path) -> dict[str, Path]:
    """Runs by name: n2v, care (2D) and care3d."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        "n2v": train_small("n2v", pairs_2d, folder / "n2v"),
        "care": train_small("care", pairs_2d, folder / "care"),
        "care3d": train_small("care", pairs_3d, folder / "care3d"),
    }


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory, runs: dict[str, Path]) -> dict[str, Path]:
    """The same runs packaged."""
    from zooferry.packager import package_run

    folder = tmp_path_factory.mktemp("packages")
    return {name: package_run(run, folder / f"{name}.zip", card=None, say=print) for name, run in runs.items()}


@pytest.fixture(scope="session")
def tiny_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A correct 2D package with all three weight formats; read it, do not change it."""
    return make_tiny_package(tmp_path_factory.mktemp("tiny 2D µ"))  # a space and a non-ASCII letter are meant


@pytest.fixture(scope="session")
def tiny_zip_3d(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in 3D."""
    return make_tiny_package(tmp_path_factory.mktemp("tiny_3d"), dims=3)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("ZOOFERRY_REAL_DATA", REAL_DATA))
    if not folder.is_dir():
        pytest.skip(f"no real images at {folder} (set ZOOFERRY_REAL_DATA)")
    return folder
