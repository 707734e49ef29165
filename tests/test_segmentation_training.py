"""Training segmentations: targets (those of stardist, golden file), augmentation, losses, runs and what they give."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled_images import labelled_array, write_labelled
from simulated_heads import TARGET_CASES, TARGET_RAYS, Case, blobs, label_volume, target_labels

from zooferry import methods
from zooferry.architectures import reach
from zooferry.check import check_package
from zooferry.cli import main
from zooferry.errors import ZooferryError
from zooferry.files import write_json
from zooferry.images import read_image
from zooferry.instances.borders import classes_of_labels, labels_from_classes
from zooferry.instances.declaration import Declaration, decode, read_declaration
from zooferry.instances.heat import flows_of_labels
from zooferry.instances.star_convex import labels_from_distances
from zooferry.instances.star_targets import object_probability, plane_rays, star_distances, volume_rays
from zooferry.methods import denoiseg, flows, stardist, unet
from zooferry.networks.segmentation import BorderUNet, DenoiSegUNet, FlowUNet, StarUNet
from zooferry.package import open_package
from zooferry.packager import package_run
from zooferry.prediction import predict_outputs
from zooferry.run_folder import read_run
from zooferry.runs import train_method
from zooferry.segmentation_augmentation import enlarge_some, vary_greys
from zooferry.segmentation_training import mean_precision
from zooferry.trained import open_run

GOLDEN = Path(__file__).parent / "golden" / "star_targets.npz"
SMALL = {"steps": 20, "validate_every": 10, "width": 4, "depth": 2, "patch": 32, "batch": 2}


def golden(name: str) -> np.ndarray:
    with np.load(GOLDEN) as found:
        return np.asarray(found[name])


@pytest.mark.parametrize("name", TARGET_CASES)
def test_targets_are_those_of_stardist(name: str) -> None:
    labels, grid = target_labels(name), TARGET_CASES[name][1]
    distances = star_distances(labels, plane_rays(TARGET_RAYS), grid=grid)
    np.testing.assert_array_equal(distances, golden(f"{name}_distances"))
    np.testing.assert_array_equal(object_probability(labels), golden(f"{name}_prob"))
    assert distances.dtype == np.float32
    assert distances.max() > 4


def test_targets_of_volumes_are_those_of_stardist() -> None:
    labels, rays = label_volume(), volume_rays(TARGET_RAYS, (2, 1, 1))
    np.testing.assert_allclose(rays, golden("volume_rays"), atol=1e-7)
    np.testing.assert_array_equal(star_distances(labels, rays, grid=(1, 2, 2)), golden("volume_distances"))
    np.testing.assert_array_equal(object_probability(labels, (2, 1, 1)), golden("volume_prob"))


def test_a_square_by_head() -> None:
    labels = np.zeros((9, 9), np.uint16)
    labels[2:7, 2:7] = 3
    right, down = star_distances(labels, np.array([[0, 1], [1, 0]], np.float32), grid=(1, 1))
    assert right[4, 2:7].tolist() == [4.5, 3.5, 2.5, 1.5, 0.5]
    assert down[2:7, 4].tolist() == [4.5, 3.5, 2.5, 1.5, 0.5]
    assert right[labels == 0].max() == 0
    assert object_probability(labels)[4].tolist() == pytest.approx([0, 0, 1 / 3, 2 / 3, 1, 2 / 3, 1 / 3, 0, 0])


def test_targets_decode_to_the_labels() -> None:
    labels = blobs(Case(3, (96, 96), 9, (6, 10)))
    distances = star_distances(labels, plane_rays(32), grid=(1, 1))
    back = labels_from_distances(object_probability(labels), distances, border=0)
    assert mean_precision(labels, back) > 0.9
    classes = classes_of_labels(labels)
    heads = np.stack([classes == number for number in range(3)]).astype(np.float32)
    assert mean_precision(labels, labels_from_classes(heads, grow=1)) > 0.9


def test_border_classes_by_head() -> None:
    row = [0, 0, 1, 1, 1, 2, 2, 2, 0]
    classes = classes_of_labels(np.array([row] * 3))
    assert classes[1].tolist() == [0, 2, 1, 1, 2, 2, 1, 1, 2]


@pytest.mark.parametrize("zoom", [1.0, 2.0])
def test_patches_are_enlarged_alike(zoom: float) -> None:
    steps = np.broadcast_to(np.arange(32.0, dtype=np.float32), (2, 1, 32, 32))
    images, numbers = enlarge_some((steps, steps), np.random.default_rng(2), zoom=zoom, nearest=(False, True))
    assert set(np.unique(numbers)) <= set(range(32))
    np.testing.assert_allclose(images, numbers, atol=0.5001)
    assert len(np.unique(numbers)) == 32 if zoom == 1 else len(np.unique(numbers)) < 32


def test_greys_vary_for_each_patch_and_nothing_is_changed_in_place() -> None:
    patches = np.full((3, 1, 16, 16), 0.5, np.float32)
    varied = vary_greys(patches, np.random.default_rng(0), spread=0.3, noise=0.0)
    assert len({float(patch.mean()) for patch in varied}) == 3
    assert (patches == 0.5).all()
    np.testing.assert_array_equal(vary_greys(patches, np.random.default_rng(0), spread=0.0, noise=0.0), patches)
    assert 0 < vary_greys(patches, np.random.default_rng(0), spread=0.0, noise=0.1).std() < 0.1


def test_distances_weigh_as_the_probability_and_little_in_the_background() -> None:
    prob = torch.tensor([0.0, 0.5, 1.0]).reshape(1, 1, 1, 3)
    found, wanted = torch.tensor([8.0, 3.0, 4.0]), torch.tensor([0.0, 4.0, 6.0])
    error = stardist.distance_error(found.reshape(1, 1, 1, 3), wanted.reshape(1, 1, 1, 3), prob, 0.01)
    assert error.item() == pytest.approx((0.5 * 1 + 1 * 2) / 1.5 + 0.01 * 8 / 3)


class Fixed(torch.nn.Module):
    """Gives the same outputs whatever it is given."""

    def __init__(self, *outputs: np.ndarray) -> None:
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(1))
        self.outputs = tuple(torch.from_numpy(np.asarray(o, np.float32)) for o in outputs)

    def forward(self, image: torch.Tensor, bare: bool = True) -> object:  # noqa: ARG002
        return self.outputs if len(self.outputs) > 1 else self.outputs[0]


def test_the_loss_of_flows_is_that_of_cellpose() -> None:
    """5 x vectors: half of their mean squared error, and the cross-entropy (cellpose 3.1.1.3, train._loss_fn_seg)."""
    rng = np.random.default_rng(0)
    flow, logit = rng.normal(size=(1, 2, 8, 8)), rng.normal(size=(1, 1, 8, 8))
    labels = np.zeros((1, 1, 8, 8), np.float32)
    labels[0, 0, 1:4, 2:7], labels[0, 0, 5:8, :3] = 1, 2
    loss = flows.loss(Fixed(flow, logit), (np.zeros_like(labels), labels), flows.FlowSettings(), rng)
    entropy = np.mean(np.log1p(np.exp(logit)) - (labels > 0) * logit)
    wanted = 5 * flows_of_labels(labels[0, 0].astype(int))
    assert loss.item() == pytest.approx(np.mean((flow[0] - wanted) ** 2) / 2 + entropy, rel=1e-5)


def test_what_a_patch_cuts_off_is_learnt_like_what_the_image_cuts_off() -> None:
    labels = np.zeros((1, 1, 16, 16), np.float32)
    labels[..., 4:12, 2:14] = 1
    settings, none = flows.FlowSettings(), np.random.default_rng(0)
    cut = np.ascontiguousarray(labels[..., 8:])
    wanted = 5 * flows_of_labels(cut[0, 0].astype(int))[np.newaxis]
    certain = np.where(cut > 0, 50.0, -50.0)
    assert flows.loss(Fixed(wanted, certain), (cut, cut), settings, none).item() == pytest.approx(0, abs=1e-6)


def test_the_border_weighs_more() -> None:
    logits = np.zeros((1, 3, 1, 2))
    logits[0, 0, 0, 0] = 2.0
    classes = np.array([0.0, 2.0], np.float32).reshape(1, 1, 1, 2)
    loss = unet.loss(Fixed(logits), (classes, classes), unet.UNetSettings(), np.random.default_rng(0))
    right, wrong = -np.log(np.exp(2) / (np.exp(2) + 2)), np.log(3)
    assert loss.item() == pytest.approx((right + 5 * wrong) / 6, rel=1e-5)


LEARNING = [("unet", 2), ("unet", 3), ("denoiseg", 2), ("denoiseg", 3), ("stardist", 2), ("stardist", 3), ("flows", 2)]


@pytest.mark.parametrize(("name", "dims"), LEARNING)
def test_every_method_learns_something_everywhere(name: str, dims: int) -> None:
    method = methods.load(name)
    settings = method.SETTINGS(width=4, batch=2, depth=2, patch=32, patch_z=16)
    torch.manual_seed(0)
    network = method.build_network(settings, dims, 1, 1)
    image, labels = labelled_array(0, dims)
    window = (slice(None), slice(None), *[slice(0, 16)] * (dims - 2), slice(0, 32), slice(0, 32))
    targets = np.stack([method.targets(labels.astype(np.int64), settings)] * 2)[window]
    images = np.stack([image[np.newaxis] / 100] * 2).astype(np.float32)[window]
    rng = np.random.default_rng(0)
    loss = method.loss(network, method.augment((images, targets), settings, rng), settings, rng)
    loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_what_is_not_annotated_teaches_denoising_alone() -> None:
    settings = denoiseg.DenoiSegSettings(width=4, depth=2, patch=32)
    torch.manual_seed(0)
    network = denoiseg.build_network(settings, 2, 1, 1)
    patches = np.random.default_rng(0).normal(size=(2, 1, 32, 32)).astype(np.float32)
    nothing = np.stack([denoiseg.targets(np.zeros((32, 32), np.int64), settings)] * 2)
    denoiseg.loss(network, (patches, nothing), settings, np.random.default_rng(0)).backward()
    gradient = network.last.weight.grad.abs().sum(dim=(1, 2, 3))
    assert gradient[0] > 0
    assert gradient[1:].max() == 0
    annotated = np.stack([nothing[0], np.ones_like(nothing[0])])
    denoiseg.loss(network, (patches, annotated), settings, np.random.default_rng(0)).backward()
    assert network.last.weight.grad.abs().sum(dim=(1, 2, 3))[1:].min() > 0


NETWORKS = [
    (DenoiSegUNet, {"depth": 2}),
    (BorderUNet, {"depth": 2}), (BorderUNet, {"depth": 1, "dims": 3}), (StarUNet, {"depth": 1, "grid": 2, "rays": 5}),
    (StarUNet, {"depth": 2, "grid": 1, "rays": 5}), (StarUNet, {"depth": 1, "grid": 4, "rays": 5}),
    (StarUNet, {"depth": 1, "grid": 2, "rays": 6, "mirrored": True}),
    (StarUNet, {"depth": 2, "rays": 6, "mirrored": True}),
    (FlowUNet, {"depth": 2, "style": False}), (FlowUNet, {"depth": 1, "style": False, "widest": 6}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "arguments"), NETWORKS)
def test_a_halo_covers_what_a_pixel_sees(kind: type[torch.nn.Module], arguments: dict[str, int]) -> None:
    arguments = {"dims": 2, "kernel": 3, "width": 4, **arguments}
    torch.manual_seed(0)
    network = kind(**arguments).double().eval()
    found = reach({"architecture": f"segmentation.{kind.__name__}", "arguments": arguments}, arguments["dims"])
    side = 2 * found.halo[0] + 4 * found.step[0]
    image = torch.randn(1, 1, *[side] * arguments["dims"], dtype=torch.float64)
    other, right = image.clone(), image.clone()
    other[..., : found.step[0]] += 1.0  # along x
    right[..., -found.step[0] :] += 1.0
    factor = round(1 / found.factors[0])
    with torch.no_grad():
        several = [one if isinstance(one, tuple) else (one,) for one in map(network, (image, other, right))]
    far = (found.step[0] + found.halo[0]) // factor
    for first, second, third in zip(*several, strict=True):
        assert first.shape[-1] == side // factor
        assert not torch.equal(first, second)
        assert not torch.equal(first, third)
        assert torch.equal(first[..., far:], second[..., far:])
        assert torch.equal(first[..., :-far], third[..., :-far])


@pytest.mark.parametrize("grid", [1, 2, 4])
@pytest.mark.parametrize("axis", [2, 3])
def test_a_mirror_image_has_the_mirrored_values(grid: int, axis: int) -> None:
    torch.manual_seed(0)
    network = StarUNet(rays=8, width=4, depth=1, grid=grid, mirrored=True).eval()
    image = torch.zeros(1, 1, 96, 96)
    image[..., 32:64, 32:64] = torch.randn(1, 1, 32, 32)
    shift = int(grid > 1)  # so that pixels of the grid come to lie on it
    turned = torch.flip(image, (axis,)).roll(shift, axis)
    with torch.no_grad():
        (prob, rays), (other_prob, other_rays) = network(image), network(turned)
    partners = [(4 - ray) % 8 for ray in range(8)] if axis == 3 else [-ray % 8 for ray in range(8)]
    inner = (..., slice(16 // grid, 80 // grid), slice(16 // grid, 80 // grid))
    for there, back in ((prob, other_prob), (rays, other_rays[:, partners])):
        back = torch.flip(back.roll(-shift, axis), (axis,))
        torch.testing.assert_close(back[inner], there[inner], rtol=1e-5, atol=1e-5)
    plain = StarUNet(rays=8, width=4, depth=1, grid=grid).eval()
    plain.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert not torch.allclose(plain(image)[1][inner], rays[inner])
        torch.testing.assert_close(plain(image, bare=True), network(image, bare=True))


def test_the_style_is_of_length_one_and_of_the_whole_image() -> None:
    torch.manual_seed(0)
    network = FlowUNet(width=4, depth=2).eval()
    image = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        before = network(image)[1][..., 0, 0]
        image[..., 28:, 28:] += 9.0  # farther than the convolutions see
        assert not torch.equal(before, network(image)[1][..., 0, 0])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny run of each method, and the folder of their images."""
    folder = tmp_path_factory.mktemp("segmentation")
    write_labelled(folder / "data", 4)
    made = {"data": folder / "data"}
    for name in ("unet", "denoiseg", "stardist", "flows", "mirrored"):
        images, labels = str(folder / "data" / "images"), str(folder / "data" / "labels")
        values = SMALL | ({"mirrored": "true"} if name == "mirrored" else {})
        sets = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
        method = "stardist" if name == "mirrored" else name
        assert main(["train", method, "--images", images, "--labels", labels, "--out", str(folder / name), *sets]) == 0
        made[name] = folder / name
    return made


@pytest.mark.parametrize("name", ["unet", "denoiseg", "stardist", "flows"])
def test_a_run_stores_how_it_is_decoded_and_predicts_labels(runs: dict[str, Path], tmp_path: Path, name: str) -> None:
    content = read_run(runs[name])
    said = content["instances"]
    assert read_declaration({"config": {"zooferry": content}}, said["outputs"]) is not None
    tuned = methods.load(name).decoding(methods.load(name).SETTINGS(), 2).tuned
    assert all(said[key] in values for key, values in tuned.items())
    assert 0 <= content["instances_score"] <= 1
    path = runs["data"] / "images" / "nuclei_0.tif"
    assert main(["predict", str(runs[name]), str(path), "--out", str(tmp_path)]) == 0
    labels = read_image(tmp_path / "nuclei_0_labels.tif")
    assert labels.shape == (64, 80)
    assert labels.attrs["pixel_size"]["x"] == pytest.approx(0.2)
    if name == "stardist":
        assert read_image(tmp_path / "nuclei_0_dist.tif").shape == (32, 32, 40)


@pytest.mark.parametrize("name", ["unet", "stardist", "mirrored"])
def test_tiles_give_what_the_whole_image_gives(runs: dict[str, Path], name: str) -> None:
    model = open_run(runs[name])
    image = np.random.default_rng(0).normal(size=(1, 133, 181)).astype(np.float32)
    whole, tiled = (predict_outputs(model, image, tile=tile) for tile in (None, 96))
    for key, expected in whole.items():
        assert expected.shape[1:] == ((133, 181) if name == "unet" else (67, 91))
        np.testing.assert_allclose(tiled[key], expected, atol=1e-4)


@pytest.mark.parametrize("name", ["unet", "stardist", "flows", "mirrored"])
def test_a_package_declares_its_decoding_and_gives_the_labels_of_the_run(
    runs: dict[str, Path], tmp_path: Path, name: str
) -> None:
    archive = package_run(runs[name], tmp_path / f"{name}.zip", card=None, say=print)
    with open_package(archive) as package:
        repeated = (
            {"repeated": True} if name in ("stardist", "mirrored") else {}
        )  # deepImageJ knows no outputs on a grid
        assert package.content["config"]["zooferry"]["instances"] == read_run(runs[name])["instances"] | repeated
        assert all("scale" not in axis["size"] for axis in package.content["outputs"][0]["axes"][2:])
        assert package.content["config"]["bioimageio"]["task"] == "instance segmentation"
        described = package.content["config"]["bioimageio"]["architecture_description"]
        assert ("mirror images" in described) == (name == "mirrored")
        assert "mean average precision" in (package.folder / "README.md").read_text(encoding="utf-8")
    (row,) = check_package(archive, hosts=["onnx"]).hosts
    assert row.status == "passed"
    assert row.outputs[-1].name == "labels"
    assert "objects matched" in row.line()
    image = str(runs["data"] / "images" / "nuclei_1.tif")
    found = []
    for model in (runs[name], archive):
        out = tmp_path / model.stem
        assert main(["predict", str(model), image, "--out", str(out)]) == 0
        found.append(read_image(out / "nuclei_1_labels.tif").values)
    assert mean_precision(*found) == 1.0


def test_volumes_train_and_decode_as_volumes(tmp_path: Path) -> None:
    data = write_labelled(tmp_path / "data", 2, dims=3)
    values = {**SMALL, "patch_z": 8, "steps": 6, "validate_every": 3}
    train_method(
        "unet", tmp_path / "run", images=data / "images", targets=data / "labels", values=values, seconds=None,
        resume=False, say=print,
    )  # fmt: skip
    assert read_run(tmp_path / "run")["instances"]["volume"] is True
    path = data / "images" / "nuclei_0.tif"
    assert main(["predict", str(tmp_path / "run"), str(path), "--out", str(tmp_path / "out")]) == 0
    assert read_image(tmp_path / "out" / "nuclei_0_labels.tif").shape == (16, 64, 80)


def test_objects_go_through_the_slices_of_a_volume() -> None:
    labels = labelled_array(0, 3)[1]
    heads = np.stack([classes_of_labels(labels) == number for number in range(3)]).astype(np.float32)
    found = decode(Declaration("borders", ("classes",), {}, volume=True), heads)
    assert len(np.unique(found)) == len(np.unique(labels))
    content = {"config": {"zooferry": {"instances": {"method": "flows", "outputs": ["a"], "volume": "yes"}}}}
    with pytest.raises(ZooferryError, match="volume 'yes' for flows; allowed: true for star_convex, flows or borders"):
        read_declaration(content, ["a"])


MIRRORED = ["stardist", "--images", "{data}/images", "--labels", "{data}/labels", "--set", "mirrored=true"]
REFUSED = [
    (["unet", "--images", "{data}/images"], "unet learns from label images; give their folder with --labels DIR"),
    (["unet", "--images", "{data}/images", "--targets", "{data}/labels"], "give them with --labels, and --targets was"),
    (["care", "--images", "{data}/images", "--labels", "{data}/labels"], "care learns from no label images"),
    (["unet", "--images", "{data}/images", "--labels", "{data}/halves"], "a label image holds a whole number for each"),
    (["unet", "--images", "{data}/images", "--labels", "{data}/empty"], "no label image holds an object"),
    (["stardist", "--images", "{data}/images", "--labels", "{data}/labels", "--set", "grid=3"], "1, 2, 4 or 8"),
    (["stardist", "--images", "{data}/images", "--labels", "{data}/labels", "--set", "patch=40"], "a multiple of 16"),
    (
        [*MIRRORED, "--set", "rays=31"],
        "mirror images need planes and an even number of rays, here are 2D images and 31",
    ),
    ([*MIRRORED, "--schedule", "sequential"], "mirror images are for networks without a denoiser"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    from zooferry.axes import label_axes
    from zooferry.images import write_image

    write_labelled(tmp_path, 2)
    for number in range(2):
        half, empty = np.full((64, 80), 0.5, np.float32), np.zeros((64, 80), np.uint16)
        write_image(tmp_path / "halves" / f"nuclei_{number}.tif", label_axes(half, "yx"))
        write_image(tmp_path / "empty" / f"nuclei_{number}.tif", label_axes(empty, "yx"))
    filled = [part.format(data=tmp_path) for part in arguments]
    assert main(["train", *filled, "--out", str(tmp_path / "run")]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_same_run_twice_is_the_same(runs: dict[str, Path], tmp_path: Path) -> None:
    sets = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    images, labels = str(runs["data"] / "images"), str(runs["data"] / "labels")
    assert main(["train", "unet", "--images", images, "--labels", labels, "--out", str(tmp_path / "r"), *sets]) == 0
    assert json.loads((tmp_path / "r" / "run.json").read_text())["instances"] == read_run(runs["unet"])["instances"]


@pytest.mark.parametrize("name", ["stardist", "flows", "mirrored"])
def test_the_formats_own_step_gives_the_same_labels(runs: dict[str, Path], tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs[name], run)
    content = read_run(run)  # so few steps teach nothing: anything shall be an object
    flow = {"prob_thresh": -9.0, "flow_thresh": 0.0, "min_size": 0}
    lenient = flow if name == "flows" else {"prob_thresh": 0.01}
    write_json(run / "run.json", {**content, "instances": {**content["instances"], **lenient}})
    archive = package_run(run, tmp_path / f"{name}.zip", card=None, say=print, labels_step=True)
    with open_package(archive) as package:
        (output,) = package.outputs
        assert output.id == "labels"
        assert output.test_array().shape == (1, 1, 64, 64)
        assert "instances" not in package.content["config"]["zooferry"]
    image = str(runs["data"] / "images" / "nuclei_1.tif")
    found = []
    for model, file in ((run, "nuclei_1_labels.tif"), (archive, "nuclei_1.tif")):
        assert main(["predict", str(model), image, "--out", str(tmp_path / model.stem)]) == 0
        found.append(read_image(tmp_path / model.stem / file).values)
    assert found[0].max() > 0
    assert mean_precision(*found) == 1.0


def test_border_classes_have_no_step_in_the_format(runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ZooferryError, match="the format has label steps for stardist and flows alone"):
        package_run(runs["unet"], tmp_path / "unet.zip", card=None, say=print, labels_step=True)
    assert not (tmp_path / "unet.zip").exists()
