"""Objects of volumes from training to packages: star-convex polyhedra, and flows of a 2D network from three views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from simulated_volumes import VolumeCase, blob_volume

from zooferry.architectures import reach
from zooferry.axes import label_axes
from zooferry.cli import main
from zooferry.images import read_image, write_image
from zooferry.networks.star_volumes import StarVolumeUNet
from zooferry.package import open_package
from zooferry.packager import package_run
from zooferry.run_folder import read_run, read_run_settings
from zooferry.runs import train_method

SHAPE = (8, 24, 24)
SIZES = {"z": 0.4, "y": 0.2, "x": 0.2}
SMALL = {"steps": 6, "validate_every": 3, "width": 4, "depth": 1, "patch": 16, "patch_z": 8, "batch": 1}


def write_volumes(folder: Path, count: int) -> Path:
    for seed in range(count):
        labels = blob_volume(VolumeCase(seed, SHAPE, 6, (4, 6)))
        bright = ndimage.gaussian_filter((labels > 0).astype(np.float32), 1)
        image = np.random.default_rng(seed).poisson(20 + 80 * bright)
        for role, array in (("images", image), ("labels", labels)):
            written = label_axes(array.astype(np.uint16), "zyx")
            written.attrs.update(pixel_size=SIZES, unit="micrometer")
            write_image(folder / role / f"nuclei_{seed}.tif", written)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_volumes(tmp_path_factory.mktemp("volumes"), 2)


def trained(data: Path, out: Path, method: str, **values: object) -> Path:
    train_method(
        method, out, images=data / "images", targets=data / "labels", values={**SMALL, **values}, seconds=None,
        resume=False, say=print,
    )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def polyhedra(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(data, tmp_path_factory.mktemp("star") / "run", "stardist", dims=3, rays=12)


def test_what_is_chosen_from_the_labels(polyhedra: Path) -> None:
    from zooferry.methods.stardist import StarDistSettings

    settings = read_run_settings(polyhedra, StarDistSettings)
    assert 1.5 < settings.anisotropy < 2.5  # ellipsoids of half the height, but for those that are cut off
    assert (settings.rays, settings.grid, settings.grid_z) == (12, 2, 1)
    said = read_run(polyhedra)["instances"]
    assert said["volume"] is True
    assert said["grid"] == [1, 2, 2]
    assert said["anisotropy"] == [settings.anisotropy, 1.0, 1.0]
    assert read_run(polyhedra)["network"]["architecture"] == "star_volumes.StarVolumeUNet"


def test_a_package_gives_the_labels_of_the_run(polyhedra: Path, data: Path, tmp_path: Path) -> None:
    archive = package_run(polyhedra, tmp_path / "star.zip", card=None, say=print)
    with open_package(archive) as package:
        assert package.content["config"]["zooferry"]["instances"]["volume"] is True
    image, found = str(data / "images" / "nuclei_1.tif"), []
    for model in (polyhedra, archive):
        out = tmp_path / model.stem
        assert main(["predict", str(model), image, "--out", str(out)]) == 0
        found.append(read_image(out / "nuclei_1_labels.tif"))
    assert found[0].shape == SHAPE
    assert found[0].attrs["pixel_size"] == SIZES
    np.testing.assert_array_equal(found[0].values, found[1].values)


GRIDS = [(1, 2, 2), (2, 2, 2), (1, 4, 2), (1, 1, 1)]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("axis", [0, 2])
def test_a_halo_covers_what_a_pixel_sees(grid: tuple[int, int, int], axis: int) -> None:
    arguments = {"rays": 12, "width": 4, "depth": 1, "kernel": 3, "grid": list(grid)}
    torch.manual_seed(0)
    network = StarVolumeUNet(**arguments).double().eval()  # type: ignore[arg-type]
    found = reach({"architecture": "star_volumes.StarVolumeUNet", "arguments": arguments}, 3)
    sides = [2 * step for step in found.step]
    sides[axis] = found.halo[axis] + 2 * found.step[axis]
    image = torch.randn(1, 1, *sides, dtype=torch.float64)
    other = image.clone()
    other.narrow(2 + axis, 0, found.step[axis]).add_(1)
    with torch.no_grad():
        first, second = network(image)[1], network(other)[1]
    assert first.shape[2:] == tuple(side // g for side, g in zip(sides, grid, strict=True))
    far = (found.step[axis] + found.halo[axis]) // grid[axis]
    rest = first.shape[2 + axis] - far
    assert not torch.equal(first, second)
    assert torch.equal(first.narrow(2 + axis, far, rest), second.narrow(2 + axis, far, rest))


REFUSED = [
    (["--set", "rays=5"], "setting rays is 5; allowed for volumes: 12 to 256, or 0 to choose"),
    (["--set", "grid_z=8"], "setting patch_z is 8; allowed: a multiple of 16"),
    (["--set", "grid_z=3"], "setting grid_z is 3; allowed: 1, 2, 4 or 8, or 0 to choose"),
]


@pytest.mark.parametrize(("more", "message"), REFUSED)
def test_refusals(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    small = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    arguments = ["--images", str(data / "images"), "--labels", str(data / "labels"), "--out", str(tmp_path / "run")]
    assert main(["train", "stardist", *arguments, *small, "--set", "dims=3", *more]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_flows_of_planes_segment_volumes(data: Path, tmp_path: Path) -> None:
    run = trained(data, tmp_path / "run", "flows", volumes=True)
    said = read_run(run)["instances"]
    assert (said["volume"], said["anisotropy"]) == (True, [2.0, 1.0, 1.0])
    out = str(tmp_path / "out")
    assert main(["predict", str(run), str(data / "images" / "nuclei_0.tif"), "--out", out]) == 0
    flow = read_image(tmp_path / "out" / "nuclei_0_flow.tif")
    assert dict(flow.sizes) == {"c": 3, "z": 8, "y": 24, "x": 24}
    assert read_image(tmp_path / "out" / "nuclei_0_labels.tif").shape == SHAPE
