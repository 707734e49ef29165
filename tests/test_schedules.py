"""VoidSeg's schedules: what is taken over, one network of two, packages of it, few label images."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled_images import labelled_array, write_labelled

from zooferry.architectures import ARCHITECTURES, reach
from zooferry.axes import label_axes
from zooferry.check import check_package
from zooferry.cli import main
from zooferry.denoisers import fitting, take_what_fits
from zooferry.errors import ZooferryError
from zooferry.images import read_image, write_image
from zooferry.label_step import with_labels_step
from zooferry.methods.stardist import StarDistSettings
from zooferry.methods.unet import UNetSettings
from zooferry.networks.segmentation import BorderUNet, StarUNet
from zooferry.networks.sequential import Part
from zooferry.networks.unet import UNet
from zooferry.package import open_package
from zooferry.packager import package_run
from zooferry.patches import PatchSampler, TrainingSample
from zooferry.prediction import predict_outputs
from zooferry.restoring import open_restorer
from zooferry.run_folder import read_run
from zooferry.runs import Task, carry_out
from zooferry.schedules import Plan, _denoiser_values, train_schedule
from zooferry.trained import build_trained_network, open_run
from zooferry.transfer import open_parent

SMALL = {"steps": 4, "validate_every": 2, "width": 4, "depth": 2, "patch": 32, "batch": 2}
QUICK = {"steps": 4, "validate_every": 2}
SIZES = {"unet": {}, "stardist": {"width": 8, "depth": 1, "grid": 2}}


def quiet(_: str) -> None:
    """Progress is of no interest here."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images; the last two have no label image, the fourth an empty one."""
    folder = write_labelled(tmp_path_factory.mktemp("images"), 6)
    for number in (4, 5):
        (folder / "labels" / f"nuclei_{number}.tif").unlink()
    write_image(folder / "labels" / "nuclei_3.tif", label_axes(np.zeros((64, 80), np.uint16), ("y", "x")))
    return folder


def schedule(
    images: Path, out: Path, method: str, name: str, *, denoiser: Path | None = None, **values: object
) -> Path:
    task = Task(method, out, images / "images", images / "labels", {**SMALL, **SIZES.get(method, {}), **values})
    plan = Plan(name, denoiser, {} if denoiser else QUICK)
    train_schedule(task, plan, seconds=None, resume=False, say=quiet)
    return out


@pytest.fixture(scope="module")
def runs(images: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs by method and schedule; the denoiser is trained by the first."""
    folder = tmp_path_factory.mktemp("runs")
    first = schedule(images, folder / "both", "unet", "finetune-sequential")
    denoiser = folder / "both-denoiser"
    return {
        "denoiser": denoiser,
        "unet finetune-sequential": first,
        "unet finetune": schedule(images, folder / "tuned", "unet", "finetune", denoiser=denoiser),
        "stardist sequential": schedule(images, folder / "star", "stardist", "sequential", denoiser=denoiser),
    }


def test_all_images_teach_the_denoiser_and_annotated_ones_the_segmentation(runs: dict[str, Path]) -> None:
    counts = [len(json.loads((runs[n] / "data.json").read_text())) for n in ("denoiser", "unet finetune-sequential")]
    assert counts == [6, 3]
    assert read_run(runs["denoiser"])["method"] == "n2v"
    said = read_run(runs["unet finetune-sequential"])
    assert said["network"]["architecture"] == "sequential.SequentialBorderUNet"
    assert said["denoiser"] == said["parent"] == open_parent(runs["denoiser"]).to_json()
    assert said["preprocessing"] == read_run(runs["denoiser"])["preprocessing"]


def test_the_denoiser_in_it_never_learns(runs: dict[str, Path]) -> None:
    alone = torch.load(runs["denoiser"] / "best.pt", weights_only=True)
    both = torch.load(runs["unet finetune-sequential"] / "best.pt", weights_only=True)
    for name, value in alone.items():
        assert torch.equal(both[f"denoiser.{name}"], value)
    assert not torch.equal(both["segmenter.down.0.0.weight"], alone["down.0.0.weight"])


def test_one_network_gives_what_two_give_in_turn(runs: dict[str, Path]) -> None:
    run = runs["unet finetune-sequential"]
    content = read_run(run)
    image = labelled_array(0)[0].astype(np.float32)[np.newaxis]
    found = predict_outputs(open_run(run), image)["classes"]
    denoised = predict_outputs(open_run(runs["denoiser"]), image)  # in grey values
    mean, std = (
        next(s["kwargs"][key] for s in content["preprocessing"] if key in (s.get("kwargs") or {}))
        for key in ("mean", "std")
    )
    arguments = content["network"]["arguments"]
    given = (denoised["restored"] - mean) / std * arguments["gain"][0] + arguments["offset"][0]
    network = BorderUNet(width=4, depth=2)
    state = build_trained_network(run).state_dict()
    network.load_state_dict({k.removeprefix("segmenter."): v for k, v in state.items() if k.startswith("segmenter.")})
    with torch.no_grad():
        expected = network(torch.from_numpy(given.astype(np.float32))[np.newaxis])[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_denoised_training_images_have_mean_0_and_deviation_1(runs: dict[str, Path], images: Path) -> None:
    run = runs["unet finetune-sequential"]
    roles = {f["file"]: f["role"] for f in json.loads((run / "data.json").read_text())}
    network = build_trained_network(run)
    model = open_run(runs["denoiser"])
    content = read_run(run)["network"]["arguments"]
    mean, std = model.outputs["restored"][0]["kwargs"]["offset"], model.outputs["restored"][0]["kwargs"]["gain"]
    pixels = []
    for name in [name for name, role in roles.items() if role == "training"]:
        restored = predict_outputs(model, read_image(images / "images" / name).values[np.newaxis])["restored"]
        pixels.append((restored.ravel() - mean) / std * content["gain"][0] + content["offset"][0])
    together = np.concatenate(pixels)
    assert together.mean() == pytest.approx(0, abs=1e-3)
    assert together.std() == pytest.approx(1, abs=1e-3)
    assert network.gain.item() == pytest.approx(content["gain"][0])


@pytest.mark.parametrize("name", ["unet finetune-sequential", "stardist sequential"])
def test_tiles_give_the_whole_image(runs: dict[str, Path], name: str) -> None:
    image = np.random.default_rng(0).normal(60, 30, (1, 96, 160)).astype(np.float32)
    model = open_run(runs[name])
    whole, tiled = (predict_outputs(model, image, tile=tile) for tile in (512, 80))
    for key, expected in whole.items():
        np.testing.assert_allclose(tiled[key], expected, atol=2e-4)


@pytest.fixture(scope="module")
def packages(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Packaging compares ONNX and TorchScript with the network on several sizes, and asks bioimageio.core."""
    folder = tmp_path_factory.mktemp("packages")
    names = ("unet finetune-sequential", "stardist sequential")
    return {name: package_run(runs[name], folder / f"{name[:4]}.zip", card=None, say=quiet) for name in names}


@pytest.mark.parametrize("name", ["unet finetune-sequential", "stardist sequential"])
def test_packages_declare_their_objects_and_are_trusted(packages: dict[str, Path], name: str) -> None:
    with open_package(packages[name]) as package:
        assert package.architecture is not None
        assert package.architecture.is_own
        assert package.content["config"]["zooferry"]["instances"]["outputs"]
        said = package.content["config"]["bioimageio"]["architecture_description"]
        assert said.startswith("denoising U-Net of depth 2 and width 4, then a U-Net of depth")


def test_a_package_runs_from_its_state_dict_without_trust(packages: dict[str, Path]) -> None:
    report = check_package(packages["unet finetune-sequential"], hosts=["core-pytorch"], out=None, on_line=quiet)
    assert report.passed, report


def test_a_sequential_package_can_be_trained_further(
    runs: dict[str, Path], packages: dict[str, Path], images: Path, tmp_path: Path
) -> None:
    parent = open_parent(packages["unet finetune-sequential"])
    values = {**QUICK, "patch": 32, "batch": 2, "learning_rate": 1e-8}
    (tmp_path / "images").mkdir()
    for number in range(2):
        shutil.copy(images / "images" / f"nuclei_{number}.tif", tmp_path / "images")
    (tmp_path / "labels").mkdir()
    for number in range(2):
        shutil.copy(images / "labels" / f"nuclei_{number}.tif", tmp_path / "labels")
    task = Task("unet", tmp_path / "run", tmp_path / "images", tmp_path / "labels", values, parent)
    carry_out(task, seconds=None, resume=False, say=quiet)
    before, after = read_run(runs["unet finetune-sequential"]), read_run(tmp_path / "run")
    assert after["network"]["arguments"]["gain"] == pytest.approx(before["network"]["arguments"]["gain"])
    assert after["preprocessing"] == before["preprocessing"]
    state = torch.load(tmp_path / "run" / "best.pt", weights_only=True)
    for name, value in parent.weights.items():
        torch.testing.assert_close(state[name], value, rtol=0, atol=1e-5)


def test_an_interrupted_schedule_goes_on(images: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    """The second call stands for one after a kill: the state is that of an earlier step."""
    out = schedule(images, tmp_path / "run", "stardist", "sequential", denoiser=runs["denoiser"], steps=2)
    weights = torch.load(out / "last.pt", weights_only=True)
    state = json.loads(weights["progress"])
    torch.save({**weights, "progress": json.dumps({**state, "finished": ""})}, out / "last.pt")
    settings = (out / "settings.yaml").read_text().replace("steps: 2", "steps: 6")
    (out / "settings.yaml").write_text(settings)
    task = Task("stardist", out, images / "images", images / "labels", dict(SMALL))
    progress = train_schedule(task, Plan("sequential", runs["denoiser"]), seconds=None, resume=True, say=quiet)
    assert progress.step == 6
    again = train_schedule(task, Plan("sequential", runs["denoiser"]), seconds=None, resume=True, say=quiet)
    assert again.step == 6


FITS = [  # width and depth of the denoiser; the segmentation; what of its weights comes from the denoiser
    ((8, 3), BorderUNet(width=8, depth=3), 1.0),
    ((4, 3), StarUNet(width=8, depth=2, grid=2, rays=8), 0.8),
    ((2, 3), StarUNet(width=8, depth=1, grid=4, rays=8), 0.3),
]


@pytest.mark.parametrize(("size", "network", "part"), FITS)
def test_weights_that_fit_are_taken_over(size: tuple[int, int], network: torch.nn.Module, part: float) -> None:
    denoiser = UNet(width=size[0], depth=size[1], residual=False)
    arguments = {"width": size[0], "depth": size[1], "kernel": 3, "in_channels": 1}
    take_what_fits(denoiser.state_dict(), arguments, network, name="it")  # type: ignore[arg-type]
    theirs = {tuple(v.ravel()[:3].tolist()) + tuple(v.shape) for k, v in denoiser.state_dict().items() if v.dim() > 1}
    own = [v for k, v in network.state_dict().items() if v.dim() > 1 and not k.startswith("last")]
    taken = sum(v.numel() for v in own if tuple(v.ravel()[:3].tolist()) + tuple(v.shape) in theirs)
    assert part <= taken / sum(v.numel() for v in own) <= 1
    encoder = [k for k in network.state_dict() if k.startswith(("coarser", "down", "bottom"))]
    assert len(encoder) == 2 * 2 * (size[1] + 1)


def test_a_denoiser_of_another_size_is_refused() -> None:
    arguments = {"width": 4, "depth": 2, "kernel": 3, "in_channels": 1}
    with pytest.raises(ZooferryError, match="width 4, depth 2, kernel 3, in_channels 1, whose weights do not fit"):
        take_what_fits(UNet(width=4).state_dict(), arguments, BorderUNet(width=8, depth=2), name="it")


@pytest.mark.parametrize("settings", [UNetSettings(width=12, depth=3), StarDistSettings(width=24, depth=2, grid=2)])
def test_sizes_of_denoiser_and_segmentation_follow_from_each_other(settings: UNetSettings) -> None:
    values = _denoiser_values(settings)
    assert (values["width"], values["depth"]) == (12, 3)
    found = fitting(values, settings)
    assert (found["width"], found["depth"], found["kernel"]) == (settings.width, settings.depth, settings.kernel)


PARTS = [(1, 0), (2, 0), (4, 0), (2, 12)]


@pytest.mark.parametrize(("pixels", "widest"), PARTS)
@pytest.mark.parametrize("dims", [2, 3])
def test_the_parts_are_the_networks_that_they_come_from(dims: int, pixels: int, widest: int) -> None:
    size = {"width": 8, "depth": 2, "kernel": 3, "grid": pixels, "widest": widest}
    network, part = StarUNet(rays=5, dims=dims, **size), Part(dims, (1, 6), **size)
    part.load_state_dict(network.state_dict())
    image = torch.randn((1, 1, *[8 * pixels] * dims))
    with torch.no_grad():
        torch.testing.assert_close(part(image), network.heads(image))


def test_the_reach_of_both_covers_what_a_pixel_sees() -> None:
    arguments = {
        "dims": 2, "in_channels": 1, "width": 4, "depth": 1, "kernel": 3, "grid": 2, "rays": 4, "widest": 0,
        "denoiser": {"width": 4, "depth": 2, "kernel": 3, "residual": False}, "gain": [1.0], "offset": [0.0],
    }  # fmt: skip
    network = ARCHITECTURES["sequential.SequentialStarUNet"](**arguments).eval()
    found = reach({"architecture": "sequential.SequentialStarUNet", "arguments": arguments}, 2)
    assert (found.step, found.factors) == ((4, 4), (0.5, 0.5))
    side = 2 * found.halo[0] + 16
    image = torch.randn(1, 1, side, side, requires_grad=True)
    middle = side // 2
    network(image)[1][0, :, middle // 2, middle // 2].sum().backward()
    assert image.grad is not None
    rows = np.flatnonzero(np.abs(image.grad[0, 0].numpy()).sum(axis=1))
    assert rows[0] >= middle - found.halo[0]
    assert rows[-1] <= middle + 1 + found.halo[0]
    assert rows[-1] - rows[0] > found.halo[0]


REFUSED = [  # arguments, what the message says
    (["unet", "--schedule", "slow"], "allowed are baseline, sequential, finetune, finetune-sequential"),
    (["denoiseg", "--schedule", "sequential"], "denoiseg denoises by itself; its schedules are baseline and finetune"),
    (["flows", "--schedule", "finetune"], "flows has no schedules; methods that have are unet, stardist, denoiseg"),
    (["unet", "--denoiser", "x"], "say which with --schedule"),
    (["unet", "--schedule", "finetune", "--from", "x"], "leave --from away"),
    (["unet", "--schedule", "finetune", "--denoiser", "x", "--denoiser-set", "steps=1"], "leave it or --denoiser away"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_refusals(
    images: Path, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = ["--images", str(images / "images"), "--labels", str(images / "labels")]
    assert main(["train", *arguments, *folders, "--out", str(tmp_path / "run")]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_segmentation_is_no_denoiser(images: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ZooferryError, match="is no denoiser for a schedule; give a run or package of n2v"):
        schedule(images, tmp_path / "run", "unet", "sequential", denoiser=runs["unet finetune"])


def test_denoiseg_learns_from_images_without_label_image(images: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    run = schedule(images, tmp_path / "run", "denoiseg", "finetune", denoiser=runs["denoiser"])
    assert len(json.loads((run / "data.json").read_text())) == 6
    assert read_run(run)["parent"] == open_parent(runs["denoiser"]).to_json()
    with open_restorer(run) as restorer:
        assert restorer.outputs == ("denoised", "classes", "labels")


def test_denoiseg_draws_enough_annotated_patches_by_head() -> None:
    samples = [TrainingSample(str(n), np.zeros((1, 8, 8), np.float32)) for n in range(4)]
    sampler = PatchSampler(samples, (8, 8))
    sampler.favour([False, True, False, False], 0.2)  # it has a quarter already
    assert sampler.chance.tolist() == [0.25] * 4
    sampler.favour([False, True, False, False], 0.7)
    assert sampler.chance.tolist() == pytest.approx([0.1, 0.7, 0.1, 0.1])
    sampler.favour([True] * 4, 0.5)
    assert sampler.chance.sum() == pytest.approx(1)


def test_a_label_step_takes_both_networks_with_one_head(runs: dict[str, Path]) -> None:
    content = read_run(runs["stardist sequential"])
    changed = with_labels_step(content)["network"]
    assert changed["architecture"] == "sequential.OneHeadSequentialStarUNet"
    network = build_trained_network(runs["stardist sequential"], {**content, "network": changed})
    image = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        prob, distances = build_trained_network(runs["stardist sequential"])(image)
        torch.testing.assert_close(network(image), torch.cat((prob, distances), dim=1))


def test_volumes_go_through_the_same_code(tmp_path: Path) -> None:
    folder = write_labelled(tmp_path, 2, dims=3)
    values = {"width": 2, "patch_z": 8, "patch": 16, "batch": 1, "validation_fraction": 0}
    run = schedule(folder, tmp_path / "run", "unet", "finetune-sequential", **values)
    image = labelled_array(0, 3)[0].astype(np.float32)[np.newaxis, :, :32, :32]
    found = predict_outputs(open_run(run), image)["classes"]
    assert found.shape == (3, 16, 32, 32)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)
    assert read_run(run)["instances"]["volume"] is True
