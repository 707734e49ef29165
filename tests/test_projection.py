"""Projection: a stack becomes the image of the surface in it, whatever its depth, tiled or whole, run or package."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from zooferry import axes, runs
from zooferry.architectures import reach
from zooferry.augmentation import flip_and_turn
from zooferry.errors import ZooferryError
from zooferry.evaluation import evaluate_model
from zooferry.images import read_image, write_image
from zooferry.linting import lint
from zooferry.metrics import score
from zooferry.networks.unet import ProjectionUNet
from zooferry.package import open_model, open_package
from zooferry.packager import package_run
from zooferry.patches import PatchSampler, TrainingSample
from zooferry.prediction import predict
from zooferry.restoring import restore_files
from zooferry.simulation import default_settings, simulate
from zooferry.trained import open_run

SMALL = {"width": 4, "depth": 1, "projection_width": 2, "projection_depth": 1}
SETTINGS = {"steps": 20, "validate_every": 10, "patch": 32, "batch": 2, **SMALL}
DEPTHS = (9, 12)  # of the stacks


def write_stacks(folder: Path) -> Path:
    """Two simulated surfaces of different depths with their images, ``folder/noisy`` and ``folder/clean``."""
    for number, depth in enumerate(DEPTHS):
        settings = dataclasses.replace(default_settings(kind="surface", dims=3), shape=(depth, 48, 40))
        field = next(simulate(settings, seed=number))
        for role, array in (("noisy", field.noisy), ("clean", field.clean)):
            image = axes.label_axes(array, axes.spatial_axes(array.ndim))
            image.attrs.update(pixel_size={a: field.pixel_size[a] for a in image.dims}, unit="micrometer")
            write_image(folder / role / f"stack_{number}.tif", image)
    return folder


def train(stacks: Path, run: Path, targets: str = "clean", **values: object) -> Path:
    images, wanted = stacks / "noisy", stacks / targets
    settings = SETTINGS | values
    runs.train_method(
        "projection", run, images=images, targets=wanted, values=settings, seconds=None, resume=False, say=print
    )
    return run


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stacks(tmp_path_factory.mktemp("stacks"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, stacks: Path) -> Path:
    return train(stacks, tmp_path_factory.mktemp("runs") / "projection")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, run: Path) -> Path:
    return package_run(run, tmp_path_factory.mktemp("packages") / "projection.zip", card=None, say=print)


def network(**arguments: object) -> ProjectionUNet:
    torch.manual_seed(0)
    return ProjectionUNet(**(SMALL | {"residual": False} | arguments)).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_the_weights_of_a_pixel_add_up_to_one(depth: int) -> None:
    """Slices that are all alike are projected to themselves."""
    plane = torch.randn(2, 3, 1, 12, 8)
    projected = network(in_channels=3).project(plane.expand(-1, -1, depth, -1, -1))
    torch.testing.assert_close(projected, plane[:, :, 0])


def test_the_best_slice_of_each_pixel_is_taken() -> None:
    """Scores by hand: 50 at the height of the surface and 0 elsewhere."""
    stack = torch.randn(1, 2, 4, 2, 2)
    height = torch.tensor([[0, 3], [1, 2]])

    class Scores(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return 50 * torch.nn.functional.one_hot(height, image.shape[2]).permute(2, 0, 1)[None, None].float()

    made = network(in_channels=2)
    made.surface = Scores()  # type: ignore[assignment]
    expected = [[stack[0, :, height[y, x], y, x] for x in (0, 1)] for y in (0, 1)]
    torch.testing.assert_close(made.project(stack)[0].permute(1, 2, 0), torch.stack([torch.stack(r) for r in expected]))


@pytest.mark.parametrize(("depth", "projection_depth"), [(1, 1), (2, 1), (1, 2)])
def test_halo_covers_every_pixel_that_can_change_the_middle(depth: int, projection_depth: int) -> None:
    arguments = SMALL | {"depth": depth, "projection_depth": projection_depth, "kernel": 3}
    found = reach({"architecture": "unet.ProjectionUNet", "arguments": arguments}, 3)
    assert found.factors == (0, 1, 1)
    assert found.exact
    assert (found.step[0], found.halo[0]) == (1, 0)
    step, halo = found.step[1], found.halo[1]
    side = 2 * halo + 4 * step
    image = torch.randn(1, 1, 2, side, side, requires_grad=True)
    made, touched = network(depth=depth, projection_depth=projection_depth), 0
    for place in range(side // 2, side // 2 + step):
        (gradient,) = torch.autograd.grad(made(image)[0, 0, place, place], image)
        touched = max(touched, int(np.abs(np.argwhere(gradient[0, 0].numpy() != 0)[:, 1:] - place).max()))
    assert halo - 3 * step < touched <= halo


def test_stack_and_target_are_cut_and_turned_alike() -> None:
    """A target that is the sum of its stack stays that."""
    stack = np.random.default_rng(0).normal(size=(1, 5, 40, 36)).astype(np.float32)
    sampler = PatchSampler([TrainingSample("one", stack, stack.sum(axis=1))], (5, 16, 16))
    rng = np.random.default_rng(1)
    for _ in range(8):
        patches, targets = flip_and_turn(sampler.draw(2, rng), rng)
        assert (patches.shape, targets.shape) == ((2, 1, 5, 16, 16), (2, 1, 16, 16))
        np.testing.assert_allclose(patches.sum(axis=2), targets, atol=1e-5)


@pytest.mark.parametrize("depth", [1, 3, 20])
def test_tiles_equal_the_whole_for_any_depth(run: Path, depth: int) -> None:
    model = open_run(run)
    assert (model.step[0], model.minimum[0], model.halo[0]) == (1, 1, 0)
    image = np.random.default_rng(depth).poisson(50, (1, depth, 61, 90)).astype(np.uint16)
    whole = predict(model, image)
    assert whole.shape == (1, 61, 90)
    assert len(model.output_axes) == 4
    np.testing.assert_allclose(predict(model, image, tile=2 * model.halo[1] + 8), whole, atol=1e-5)


def test_package(package: Path, run: Path, stacks: Path, tmp_path: Path) -> None:
    """Its output has no z; the zip gives the run's image, tiled or not; the linter of Fiji finds no error."""
    with open_package(package) as opened:
        (output,) = opened.outputs
        assert output.axes == ("batch", "channel", "y", "x")
        description = yaml.safe_load((opened.folder / "rdf.yaml").read_text())
        assert set(description["config"]["zooferry"]["halo"]["restored"]) == {"y", "x"}
        assert description["config"]["bioimageio"]["architecture_type"] == "3D projection U-Net"
        assert not [finding for finding in lint(opened, ["fiji"]) if finding.severity in ("error", "warning")]
        assert opened.architecture is not None
        assert opened.architecture.is_own
    image = stacks / "noisy" / "stack_1.tif"
    for number, (model, tile) in enumerate([(run, None), (package, None), (package, 24)]):
        assert restore_files(model, [image], tmp_path / str(number), tile=tile, say=print) == 0
    results = [read_image(tmp_path / str(number) / image.name) for number in range(3)]
    assert results[0].dims == ("y", "x")
    assert results[0].attrs["pixel_size"] == pytest.approx({"y": 0.1, "x": 0.1})
    for result in results[1:]:
        np.testing.assert_allclose(result.values, results[0].values, atol=1e-5)


def test_baked_package_scales_inside(run: Path, stacks: Path, tmp_path: Path) -> None:
    zipped = package_run(run, tmp_path / "baked.zip", card=None, say=print, bake=True)
    stack = read_image(stacks / "noisy" / "stack_0.tif").values[np.newaxis]
    with open_model(zipped) as model:
        np.testing.assert_allclose(predict(model, stack), predict(open_run(run), stack), atol=1e-4)


def test_evaluate_scores_the_maximum_projection_as_raw(package: Path, stacks: Path, tmp_path: Path) -> None:
    report = evaluate_model(package, stacks / "noisy", stacks / "clean", tmp_path / "report", say=print)
    assert list(report.candidates) == ["raw", "gaussian", "restored"]
    for image in report.images:
        stack, clean = (read_image(stacks / role / image.name).values for role in ("noisy", "clean"))
        assert image.scores["raw"] == score(stack.max(axis=0), clean)
        assert image.candidates["restored"].shape == clean.shape
    again = evaluate_model(package, stacks / "noisy", None, tmp_path / "alone", say=print)
    assert {a.shape for a in again.images[0].candidates.values()} == {again.images[0].candidates["restored"].shape}


def test_evaluate_refuses_targets_of_another_kind(runs: dict[str, Path], stacks: Path, tmp_path: Path) -> None:
    with pytest.raises(ZooferryError, match=r"the model makes z 9 x y 48 x x 40 of it, its target is y 48 x x 40"):
        evaluate_model(runs["care3d"], stacks / "noisy", stacks / "clean", tmp_path / "report", say=print)


@pytest.mark.parametrize(
    ("targets", "values", "message"),
    [
        ("noisy", {}, r"is z 9 x y 48 x x 40; partners must have targets with no z"),
        ("clean", {"dims": 2}, r"setting dims is 2; projection has 3"),
        ("clean", {"projection_depth": 3, "patch": 36}, r"setting patch is 36; allowed: a multiple of 8"),
        ("clean", {"projection_depth": 7}, r"setting projection_depth is 7; allowed: 1 to 6"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(
    stacks: Path, tmp_path: Path, targets: str, values: dict[str, object], message: str
) -> None:
    with pytest.raises(ZooferryError, match=message):
        train(stacks, tmp_path / "run", targets, **values)
    assert not (tmp_path / "run").exists()


def test_images_without_z_are_refused(stacks: Path, tmp_path: Path) -> None:
    shutil.copytree(stacks / "clean", tmp_path / "noisy")
    shutil.copytree(stacks / "clean", tmp_path / "clean")
    with pytest.raises(ZooferryError, match="this image has no z axis"):
        train(tmp_path, tmp_path / "run")
