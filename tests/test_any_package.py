"""Every processing step, axis kind and size rule of the format: our numbers are bioimageio.core's."""

import shutil
import sys
import types
import zipfile

import numpy as np
import pytest
import yaml
from any_package import core_prediction, identity, like, space, tensor, write_network, write_package
from onnx import helper, numpy_helper
from scipy import ndimage

from zooferry.check import check_package
from zooferry.errors import HostAbsentError, ZooferryError
from zooferry.hosts import onnx as onnx_host
from zooferry.images import read_image, write_image
from zooferry.package import open_package, package_model
from zooferry.prediction import predict
from zooferry.restoring import restore_files
from zooferry.running import run_package

RNG = np.random.default_rng(5)
IMAGE = RNG.gamma(2, 30, (2, 2, 8, 12)).astype(np.float32)
CYX = ["channel", "y", "x"]


def step(name, **kwargs):
    return {"id": name, "kwargs": kwargs}


def one_to_one(folder, pre=(), post=(), *, image=IMAGE, dtype="float32"):
    """Identity network, two channels, with these steps."""
    axes = space()
    axes[1]["channel_names"] = ["c0", "c1"]
    network = identity(folder / "net.onnx")
    inputs, outputs = [tensor("raw", axes, pre, dtype)], [tensor("out", like("raw", channels=2), post)]
    return write_package(folder, network, inputs, outputs, arrays={"raw": image})


def ours(folder):
    return onnx_host.run(folder).outputs


# (pre, post): what bioimageio.core can compute, it and we must agree on
STEPS = [
    ([], []),
    ([step("scale_linear", gain=2.0, offset=-3.0)], []),
    ([step("scale_linear", gain=[2.0, 0.5], offset=[1.0, 7.0], axis="channel")], []),
    ([step("fixed_zero_mean_unit_variance", mean=60.0, std=42.0)], []),
    ([step("fixed_zero_mean_unit_variance", mean=[60.0, 50.0], std=[42.0, 3.0], axis="channel")], []),
    ([step("zero_mean_unit_variance", axes=CYX)], []),
    ([step("zero_mean_unit_variance", axes=["y", "x"], eps=0.1)], []),
    ([step("zero_mean_unit_variance")], []),
    ([step("zero_mean_unit_variance", axes=["batch", *CYX])], []),
    ([step("scale_range", axes=CYX, min_percentile=1.0, max_percentile=99.8)], []),
    ([step("scale_range", axes=["y", "x"], min_percentile=5.0, max_percentile=95.0, eps=0.1)], []),
    ([step("scale_range", min_percentile=5.0, max_percentile=95.0)], []),
    ([step("scale_range", axes=["batch", "y", "x"], max_percentile=90.0)], []),
    ([step("scale_linear", gain=2.0), step("zero_mean_unit_variance", axes=CYX)], []),
    ([step("clip", min=20.0, max=80.0), step("scale_range", axes=CYX)], []),
    ([step("clip", min=20.0)], []),
    ([step("clip", max=50.0)], []),
    ([step("clip", min_percentile=10.0, max_percentile=80.0, axes=["y", "x"])], []),
    ([step("clip", min_percentile=10.0, max=70.0, axes=CYX)], []),
    ([step("clip", min_percentile=10.0, max_percentile=80.0)], []),
    ([step("binarize", threshold=50.0), step("ensure_dtype", dtype="float32")], []),
    ([{"id": "sigmoid"}], []),
    ([step("softmax", axis="channel")], []),
    ([], [step("softmax", axis="x")]),
    ([], [{"id": "sigmoid"}, step("binarize", threshold=0.5)]),
    ([], [step("clip", min=20.0, max=80.0), step("ensure_dtype", dtype="uint8")]),
    ([], [step("scale_linear", gain=0.5, offset=1.0)]),
    ([], [step("scale_range", axes=CYX, max_percentile=99.0, reference_tensor="raw")]),
]


@pytest.mark.parametrize(("pre", "post"), STEPS, ids=["-".join(s["id"] for s in [*a, *b]) or "none" for a, b in STEPS])
def test_steps_are_those_of_core(pre, post, tmp_path):
    folder = one_to_one(tmp_path, pre, post)
    theirs, mine = core_prediction(folder)["out"], ours(folder)["out"]
    assert theirs.dtype == mine.dtype
    np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_uint16_and_a_reference_to_another_input(tmp_path):
    network = write_network(
        tmp_path / "net.onnx",
        [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["gap"])],
        {"a": 4, "b": 4},
        {"sum": 4, "gap": 4},
    )
    reference = step("scale_range", axes=CYX, min_percentile=1.0, max_percentile=99.0, reference_tensor="first")
    to_float = step("ensure_dtype", dtype="float32")
    inputs = [
        tensor("first", space(), [to_float], "uint16"),
        tensor("second", space(), [to_float, reference, to_float], "uint16"),
    ]
    outputs = [tensor("sum", like("first")), tensor("gap", like("second"), [step("clip", min=0.0)])]
    arrays = {"first": IMAGE[:1, :1].astype(np.uint16), "second": (3 * IMAGE[:1, 1:]).astype(np.uint16)}
    folder = write_package(tmp_path, network, inputs, outputs, arrays=arrays)
    theirs, mine = core_prediction(folder), ours(folder)
    assert list(mine) == ["sum", "gap"]
    for name in mine:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-4, atol=1e-4)


# bioimageio.core 0.11.0 raises a KeyError (a statistic of an output) or a ValueError (a threshold per channel) here
def test_statistics_of_an_output_by_hand(tmp_path):
    image = IMAGE.astype(np.float64)
    axes = (1, 2, 3)
    mean, std = image.mean(axes, keepdims=True), image.std(axes, keepdims=True)
    doubled = [step("scale_linear", gain=2.0), step("zero_mean_unit_variance", axes=CYX)]
    np.testing.assert_allclose(ours(one_to_one(tmp_path, [], doubled))["out"], (image - mean) / std, atol=1e-5)
    back = [step("scale_mean_variance", axes=CYX, reference_tensor="raw")]
    result = ours(one_to_one(tmp_path, [step("zero_mean_unit_variance", axes=CYX)], back))["out"]
    np.testing.assert_allclose(result, image, rtol=1e-4, atol=1e-3)
    above = ours(one_to_one(tmp_path, [], [step("binarize", threshold=[50.0, 60.0], axis="channel")]))["out"]
    np.testing.assert_array_equal(above, image > np.reshape([50, 60], (1, 2, 1, 1)))


# name of an axis kind: inputs' axes, shape
AXES = {
    "without batch and channel": ([{"type": "space", "id": a, "size": 8} for a in "yx"], (8, 8)),
    "time": (
        [{"type": "batch"}, {"type": "time", "id": "time", "size": {"min": 1, "step": 1}}, *space()[1:]],
        (1, 3, 1, 8, 8),
    ),
    "index": ([{"type": "index", "size": 2}, *space()[1:]], (2, 1, 8, 8)),
    "channels last": ([space()[0], *space()[2:], space()[1]], (1, 8, 8, 1)),
    "volume": (space(names="zyx"), (1, 1, 4, 8, 8)),
}


@pytest.mark.parametrize("kind", AXES)
def test_axes(kind, tmp_path):
    axes, shape = AXES[kind]
    image = RNG.random(shape).astype(np.float32)
    out = [
        a | {"size": {"tensor_id": "raw", "axis_id": a["id"]}} if a["type"] in ("space", "time") else a for a in axes
    ]
    inputs = [tensor("raw", axes, [step("scale_linear", gain=3.0)])]
    folder = write_package(
        tmp_path, identity(tmp_path / "net.onnx", len(shape)), inputs, [tensor("out", out)], arrays={"raw": image}
    )
    np.testing.assert_allclose(ours(folder)["out"], core_prediction(folder)["out"], rtol=1e-6)


def resize(folder, factor=2.0, **more):
    """Nearest-neighbour up-sampling of y and x; pixels shrink by `factor`."""
    scales = numpy_helper.from_array(np.array([1, 1, factor, factor], np.float32), "scales")
    nodes = [
        helper.make_node("Constant", [], ["scales"], value=scales),
        helper.make_node("Resize", ["in", "", "scales"], ["out"], mode="nearest", nearest_mode="floor",
                         coordinate_transformation_mode="asymmetric"),
    ]  # fmt: skip
    network = write_network(folder / "net.onnx", nodes, {"in": 4}, {"out": 4})
    size = space(scale=1.0, unit="micrometer")
    outputs = [tensor("out", like("raw", scale=1 / factor, unit="micrometer"), **more)]
    image = RNG.random((1, 1, 8, 12)).astype(np.float32)
    return write_package(folder, network, [tensor("raw", size)], outputs, arrays={"raw": image})


def test_upsampling_of_any_size(tmp_path):
    folder = resize(tmp_path)
    np.testing.assert_array_equal(ours(folder)["out"], core_prediction(folder)["out"])
    with open_package(folder) as package:
        for shape in ((8, 12), (9, 5), (1, 3)):
            image = RNG.random((1, 1, *shape)).astype(np.float32)
            result = run_package(package, {"raw": image})["out"]
            np.testing.assert_array_equal(result, image.repeat(2, 2).repeat(2, 3))


def test_predict_writes_the_finer_pixels(tmp_path):
    from zooferry.axes import label_axes

    image = label_axes(RNG.random((2, 3, 7, 9)).astype(np.float32), "tzyx")
    image.attrs.update(pixel_size={"z": 2.0, "y": 0.5, "x": 0.5}, unit="micrometer")
    write_image(tmp_path / "image.tif", image)
    folder = resize(tmp_path / "model")
    assert restore_files(folder, [tmp_path / "image.tif"], tmp_path / "out", tile=None, say=print) == 0
    result = read_image(tmp_path / "out" / "image.tif")
    np.testing.assert_array_equal(result.values, image.values.repeat(2, 2).repeat(2, 3))
    assert result.attrs["pixel_size"] == pytest.approx({"z": 2.0, "y": 0.25, "x": 0.25})


def test_valid_convolutions_lose_their_border(tmp_path):
    weight = numpy_helper.from_array(np.full((1, 1, 3, 3), 1 / 9, np.float32), "w")
    nodes = [helper.make_node("Constant", [], ["w"], value=weight), helper.make_node("Conv", ["in", "w"], ["out"])]
    network = write_network(tmp_path / "net.onnx", nodes, {"in": 4}, {"out": 4})
    axes = like("raw")
    for axis in axes[2:]:
        axis["size"]["offset"] = -2
    image = RNG.random((1, 1, 8, 12)).astype(np.float32)
    folder = write_package(tmp_path, network, [tensor("raw", space())], [tensor("out", axes)], arrays={"raw": image})
    expected = ndimage.uniform_filter(image[0, 0], 3)
    np.testing.assert_allclose(ours(folder)["out"][0, 0], expected[1:-1, 1:-1], rtol=1e-5)
    with open_package(folder) as package:
        result = run_package(package, {"raw": image[:, :, :7, :9]})["out"]
    np.testing.assert_allclose(result[0, 0], expected[1:6, 1:8], rtol=1e-5)


@pytest.mark.parametrize(("halo", "shape"), [(2, (16, 16)), (2, (40, 30)), (2, (5, 7)), (0, (16, 16)), (0, (9, 16))])
def test_fixed_sizes(halo, shape, tmp_path):
    weight = numpy_helper.from_array(np.full((1, 1, 3, 3), 1 / 9, np.float32), "w")
    node = helper.make_node("Conv", ["in", "w"], ["out"], pads=[1, 1, 1, 1])
    nodes = [helper.make_node("Constant", [], ["w"], value=weight), node]
    network = write_network(tmp_path / "net.onnx", nodes, {"in": 4}, {"out": 4})
    outputs = [tensor("out", like("raw", **({"halo": halo} if halo else {})))]
    image = RNG.random((1, *shape)).astype(np.float32)
    folder = write_package(
        tmp_path, network, [tensor("raw", space(16))], outputs, arrays={"raw": np.ones((1, 1, 16, 16), np.float32)}
    )
    with open_package(folder) as package:
        result = predict(package_model(package), image)
    expected = ndimage.convolve(image[0], np.full((3, 3), 1 / 9), mode="constant")
    inner = (slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(result[0][inner], expected[inner], rtol=1e-5)


@pytest.mark.parametrize(
    ("halo", "words"), [(0, "it declares no halo for tiles"), (8, "halo of 8 pixels leaves nothing")]
)
def test_fixed_sizes_that_cannot_be_tiled_are_refused(halo, words, tmp_path):
    outputs = [tensor("out", like("raw", **({"halo": halo} if halo else {})))]
    arrays = {"raw": np.ones((1, 1, 16, 16), np.float32)}
    folder = write_package(
        tmp_path, identity(tmp_path / "net.onnx"), [tensor("raw", space(16))], outputs, arrays=arrays
    )
    with (
        open_package(folder) as package,
        pytest.raises(ZooferryError, match=f"exactly 16 pixels along x.*has 17.*{words}"),
    ):
        predict(package_model(package), np.ones((1, 16, 17), np.float32))


def two_in_two_out(folder):
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("MaxPool", ["a"], ["small"],
             kernel_shape=[2, 2], strides=[2, 2])]  # fmt: skip
    network = write_network(folder / "net.onnx", nodes, {"a": 4, "b": 4}, {"sum": 4, "small": 4})
    inputs = [tensor("a", space()), tensor("b", like("a"))]
    outputs = [tensor("sum", like("a")), tensor("small/../x", like("a", scale=2.0))]
    arrays = {n: np.ones((1, 1, 8, 8), np.float32) for n in "ab"} | {"small/../x": np.ones((1, 1, 4, 4), np.float32)}
    for name in arrays:
        (folder / f"test_{name}.npy").parent.mkdir(parents=True, exist_ok=True)
    (folder / "test_small").mkdir(exist_ok=True)
    return write_package(folder, network, inputs, outputs, arrays=arrays)


def test_predict_with_several_inputs_and_outputs(tmp_path):
    from zooferry.axes import label_axes

    folder = two_in_two_out(tmp_path / "model")
    images = [RNG.random((10, 6)).astype(np.float32) for _ in range(4)]
    paths = [write_image(tmp_path / f"{n}.tif", label_axes(i, "yx")) for n, i in zip("abcd", images, strict=True)]
    assert restore_files(folder, paths, tmp_path / "out", tile=None, say=print) == 0
    found = {p.name: read_image(p).values for p in sorted((tmp_path / "out").iterdir())}
    assert list(found) == ["a_small____x.tif", "a_sum.tif", "c_small____x.tif", "c_sum.tif"]
    np.testing.assert_allclose(found["c_sum.tif"], images[2] + images[3])
    np.testing.assert_allclose(found["a_small____x.tif"], images[0].reshape(5, 2, 3, 2).max((1, 3)))
    with pytest.raises(ZooferryError, match=r"takes 2 images at a time \(a, b\), and 3 were given"):
        restore_files(folder, paths[:3], tmp_path / "out", tile=None, say=print)


def test_arrays_that_do_not_fit_are_refused(tmp_path):
    folder = two_in_two_out(tmp_path)
    a, b = np.ones((1, 1, 8, 8), np.float32), np.ones((1, 1, 12, 8), np.float32)
    with open_package(folder) as package:
        for inputs, words in (
            ({"a": a}, "no array for the input 'b'; given are a"),
            ({"a": a, "b": b[0]}, "'b' has axes batch, channel, y, x; the array has shape"),
            ({"a": a, "b": b}, "input 'b' takes 8 along y; this array has 12"),
            ({"a": a[:, [0, 0]], "b": a}, "input 'a' takes 1 along channel; this array has 2"),
        ):
            with pytest.raises(ZooferryError, match=words):
                run_package(package, inputs)


# format 0.4


def as_format_0_4(folder):
    """The same package in the words of format 0.4, with steps on both sides."""
    content = yaml.safe_load((folder / "rdf.yaml").read_text())
    fixed = {"mode": "fixed", "mean": [60.0, 50.0], "std": [40.0, 30.0], "axes": "yx"}
    content |= {
        "format_version": "0.4.10",
        "inputs": [{
            "name": "raw", "axes": "bcyx", "shape": {"min": [1, 2, 8, 8], "step": [0, 0, 4, 4]}, "data_type": "uint16",
            "preprocessing": [{"name": "zero_mean_unit_variance", "kwargs": fixed}],
        }],
        "outputs": [{
            "name": "out", "axes": "bcyx", "data_type": "float32", "halo": [0, 0, 2, 2],
            "shape": {"reference_tensor": "raw", "scale": [1, 1, 1, 1], "offset": [0, 0, 0, 0]},
            "postprocessing": [{"name": "scale_linear", "kwargs": {"axes": "cyx", "gain": 2.0, "offset": 1.0}}],
        }],
        "test_inputs": ["test_raw.npy"],
        "test_outputs": ["test_out.npy"],
    }  # fmt: skip
    content |= {
        "authors": [{"name": "Nobody"}], "cite": [{"text": "none", "url": "https://example.org"}],
        "description": "identity", "documentation": "README.md", "license": "MIT", "tags": [],
        "timestamp": "2020-01-01T00:00:00",
    }  # fmt: skip
    content.pop("id")
    (folder / "README.md").write_text("# Identity\n")
    (folder / "rdf.yaml").write_text(yaml.safe_dump(content))
    return folder


def test_format_0_4_is_what_core_makes_of_it(tmp_path):
    folder = as_format_0_4(one_to_one(tmp_path, image=IMAGE[:1].astype(np.uint16)))
    with open_package(folder) as package:
        (raw,), (out,) = package.inputs, package.outputs
        assert (raw.axes, out.halo) == (("batch", "channel", "y", "x"), (0, 0, 2, 2))
        assert package_model(package).step == (4, 4)
    np.testing.assert_allclose(ours(folder)["out"], core_prediction(folder)["out"], rtol=1e-5)


def test_check_of_a_package_of_format_0_4(tmp_path):
    folder = as_format_0_4(one_to_one(tmp_path / "model", image=IMAGE[:1].astype(np.uint16)))
    content = yaml.safe_load((folder / "rdf.yaml").read_text())
    per_sample = {"name": "zero_mean_unit_variance", "kwargs": {"mode": "per_sample", "axes": "cyx"}}
    content["inputs"][0]["preprocessing"], content["outputs"][0]["postprocessing"] = [per_sample], []
    (folder / "rdf.yaml").write_text(yaml.safe_dump(content))
    np.save(folder / "test_out.npy", ours(folder)["out"])
    report = check_package(folder, hosts=["core-onnx", "onnx"], out=tmp_path / "out")
    assert [(row.host, row.status, row.reason) for row in report.hosts] == [
        ("core-onnx", "passed", ""),
        ("onnx", "passed", ""),
    ]


# zips, folders in zips, label steps


def test_a_folder_in_a_zip(tmp_path):
    folder = one_to_one(tmp_path / "model", image=IMAGE[:1])
    shutil.make_archive(str(tmp_path / "zipped"), "zip", tmp_path, "model")
    with zipfile.ZipFile(tmp_path / "zipped.zip", "a") as archive:
        archive.writestr("__MACOSX/model/._rdf.yaml", "x")
    np.testing.assert_array_equal(ours(tmp_path / "zipped.zip")["out"], ours(folder)["out"])
    with open_package(tmp_path / "zipped.zip") as package:
        assert (package.folder / "rdf.yaml").is_file()


STARDIST = step(
    "stardist_postprocessing",
    prob_threshold=0.5,
    nms_threshold=0.4,
    n_rays=1,
    grid=[1, 2, 2],
    b=2,
    anisotropy=[1.0, 1.0, 1.0],
    overlap_label=7,  # decoding it is not ours
)
CELLPOSE = step("cellpose_flow_dynamics", cellprob_threshold=0.0, flow_threshold=0.4, do_3D=True, min_size=0)


@pytest.mark.parametrize(("operation", "library"), [(STARDIST, "stardist"), (CELLPOSE, "cellpose")])
def test_label_steps_of_volumes_without_their_library_are_skipped(operation, library, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    folder = one_to_one(tmp_path, [], [operation])
    words = f"this host cannot do it: processing step '{operation['id']}' of volumes needs {library}"
    with pytest.raises(HostAbsentError, match=words):
        ours(folder)


def test_volumes_through_the_operator_of_core(tmp_path, monkeypatch):
    """The library is replaced: probability above the threshold is one object, on a grid of 1 2 2."""
    fake, matching = types.ModuleType("stardist"), types.ModuleType("stardist.matching")
    fake.Rays_GoldenSpiral = lambda n, anisotropy: (n, anisotropy)
    fake.non_maximum_suppression_3d = lambda dist, prob, _, **k: (prob > k["prob_thresh"], prob, dist)
    fake.polyhedron_to_label = lambda _, points, **__: points.repeat(2, 1).repeat(2, 2).astype(np.int32)
    matching.relabel_sequential = lambda labels: (labels, None, None)
    monkeypatch.setitem(sys.modules, "stardist", fake)
    monkeypatch.setitem(sys.modules, "stardist.matching", matching)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: True)
    image = RNG.random((1, 2, 4, 8, 12)).astype(np.float32)
    axes = space(names="zyx")
    axes[1]["channel_names"] = ["c0", "c1"]
    outputs = [tensor("out", like("raw", names="zyx", channels=2), [STARDIST])]
    network = identity(tmp_path / "net.onnx", 5)
    result = ours(write_package(tmp_path, network, [tensor("raw", axes)], outputs, arrays={"raw": image}))["out"]
    assert (result.shape, result.dtype) == ((1, 1, 4, 16, 24), np.int32)
    np.testing.assert_array_equal(result[0, 0], (image[0, 0] > 0.5).repeat(2, 1).repeat(2, 2))


def test_custom_steps_are_not_run(tmp_path):
    folder = one_to_one(tmp_path, [], [{"id": "custom", "source": "evil.py", "callable": "f", "kwargs": {}}])
    with pytest.raises(HostAbsentError, match="'custom' is not supported"):
        ours(folder)
