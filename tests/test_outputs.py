"""Several named outputs: grey values, a scale, a probability and labels, from training to every host."""

import sys
import warnings
import zipfile

import numpy as np
import onnx
import pytest
import spots_method
import spots_net
import tifffile
import yaml
from conftest import train_small

from zooferry import architectures, methods, model_config, run_folder
from zooferry.card import demo_card
from zooferry.check import check_package
from zooferry.errors import ZooferryError
from zooferry.hosts import HOSTS
from zooferry.images import read_image
from zooferry.linting import lint
from zooferry.methods.outputs import Output, channel_names, data_description, postprocessing_of, read_outputs
from zooferry.normalization import linear_operations
from zooferry.package import open_package, package_model
from zooferry.packager import package_run
from zooferry.prediction import predict_outputs
from zooferry.restoring import restore_files
from zooferry.trained import open_run

IDS = ["restored", "deviation", "foreground", "classes"]


@pytest.fixture(scope="module", autouse=True)
def spots():
    """Makes the method of the tests known."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods, "METHODS", (*methods.METHODS, spots_method.FACTS))
        patch.setitem(sys.modules, "zooferry.methods.spots", spots_method)
        patch.setitem(architectures.ARCHITECTURES, "spots_net.Spots", spots_net.Spots)
        patch.setitem(model_config.LOSSES, "spots", "mean squared error")
        yield


@pytest.fixture(scope="module", params=[2, 3])
def made(request, tmp_path_factory):
    """Dimensions, run and package."""
    folder = tmp_path_factory.mktemp(f"spots{request.param}")
    run = train_small("spots", request.getfixturevalue(f"pairs_{request.param}d"), folder / "run", steps=2)
    card = demo_card(folder / "card.yaml", "Spots")
    return request.param, run, package_run(run, folder / "spots.zip", card=card, say=print)


# kind, what the field `data` says besides the type
DATA = [
    (Output(), {}),
    (Output(unit="micrometer"), {"unit": "micrometer"}),
    (Output("s", kind="scale"), {"range": [0.0, None]}),
    (Output("p", kind="probability"), {"range": [0.0, 1.0]}),
    (Output("f", kind="fraction"), {"range": [0.0, 1.0]}),
    (Output("l", kind="labels"), {"range": [0.0, None]}),
    (Output("l", kind="labels", classes=3), {"values": [0, 1, 2]}),
]


@pytest.mark.parametrize(("output", "said"), DATA)
def test_every_kind_has_its_data_description(output, said):
    assert data_description(output, "float32") == {"type": "float32", **said}


@pytest.mark.parametrize(
    ("output", "count", "names"),
    [
        (Output(), 1, ["intensity"]),
        (Output(), 2, ["channel0", "channel1"]),
        (Output("scale", kind="scale"), 1, ["scale"]),
        (Output("scale", kind="scale"), 2, ["scale0", "scale1"]),
        (Output("classes", kind="labels"), 1, ["label"]),
    ],
)
def test_channels_are_named(output, count, names):
    assert channel_names(output, count) == names


def test_a_scale_is_multiplied_and_never_shifted():
    back = linear_operations(-30.0, 200.0)
    assert postprocessing_of("grey values", back) == back
    assert postprocessing_of("scale", back) == linear_operations(30.0, 0.0)
    assert [postprocessing_of(kind, back) for kind in ("probability", "fraction", "labels")] == [(), (), ()]
    with pytest.raises(ZooferryError, match="a scale cannot go through 'clip'; allowed: scale_linear"):
        postprocessing_of("scale", [{"id": "clip", "kwargs": {"min": 0, "max": 1}}])


@pytest.mark.parametrize(
    ("values", "message"),
    [({"kind": "heat"}, "is of kind 'heat'; allowed: grey values, scale"), ({"id": "a b"}, "output id 'a b'; allowed")],
)
def test_wrong_outputs_are_refused(values, message):
    with pytest.raises(ZooferryError, match=message):
        Output(**values)


def test_a_run_of_the_first_release_has_one_output(runs):
    content = run_folder.read_run(runs["n2v"])
    (now,) = read_outputs(content)
    (then,) = read_outputs({k: v for k, v in content.items() if k not in ("outputs", "target")})
    assert now == then == Output(postprocessing=tuple(content["postprocessing"]))


def test_description_declares_every_output(made):
    dims, _, package = made
    with zipfile.ZipFile(package) as archive:
        rdf = yaml.safe_load(archive.read("rdf.yaml"))
        names = set(archive.namelist())
        model = onnx.load_from_string(archive.read("weights.onnx"))
        readme = archive.read("README.md").decode()
    outputs = rdf["outputs"]
    assert [o["id"] for o in outputs] == IDS == [o.name for o in model.graph.output]
    assert [o["data"].get("range") for o in outputs] == [None, [0.0, None], [0.0, 1.0], None]
    assert outputs[3]["data"]["values"] == [0, 1]
    gains = [[s["kwargs"]["gain"] for s in o.get("postprocessing", []) if s["id"] == "scale_linear"] for o in outputs]
    assert gains[0] == gains[1] != []
    assert gains[2:] == [[], []]
    for output in outputs:
        assert {f"test_output_{output['id']}.npy", f"sample_output_{output['id']}.tif"} <= names
        assert [a["size"]["tensor_id"] for a in output["axes"][2:]] == ["raw"] * dims
        assert f"- `{output['id']}` (" in readme


def test_both_profiles_are_clean(made):
    with open_package(made[2]) as package:
        found = {f.rule for f in lint(package, ["fiji", "zoo"]) if f.severity != "note"}
    assert found == {"zoo-maintainers"}  # the demo's card names none: they would be looked up on the network


def test_official_test_passes_every_weight_format(made):
    from bioimageio.core import test_description

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside torch and bioimageio do not concern the package
        summary = test_description(made[2])
    assert summary.status == "passed", summary.format()


def test_numbers_are_those_of_the_formulas(made):
    _, run, package = made
    with open_package(package) as opened:
        image = opened.inputs[0].test_array()[0]
        stored = {t.id: t.test_array()[0] for t in opened.outputs}
        gain = next(s["kwargs"] for s in opened.outputs[0].operations if s["id"] == "scale_linear")
        for found in (predict_outputs(open_run(run), image), predict_outputs(package_model(opened), image)):
            for name in IDS:
                np.testing.assert_allclose(found[name], stored[name], rtol=1e-4, atol=1e-4)
    scaled = (image.astype(np.float64) - gain["offset"]) / gain["gain"]
    blurred = (stored["restored"] - gain["offset"]) / gain["gain"]
    np.testing.assert_allclose(stored["deviation"], gain["gain"] * np.logaddexp(0, blurred - scaled), rtol=1e-3)
    np.testing.assert_allclose(stored["foreground"], 1 / (1 + np.exp(-scaled)), rtol=1e-4)
    np.testing.assert_array_equal(stored["classes"], scaled > 0.5)


def test_every_output_is_written_under_its_name_and_tiles_change_nothing(made, pairs_2d, pairs_3d, tmp_path):
    dims, run, package = made
    source = {2: pairs_2d, 3: pairs_3d}[dims] / "noisy" / "cell_0.tif"
    for model, tile in ((run, 40), (package, None)):
        assert restore_files(model, [source], tmp_path / model.stem, tile=tile, say=print) == 0
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == sorted(f"cell_0_{name}.tif" for name in IDS)
    before = read_image(source)
    for name in IDS:
        tiled, whole = (read_image(tmp_path / m / f"cell_0_{name}.tif") for m in ("run", "spots"))
        assert (tiled.dims, tiled.attrs) == (before.dims, before.attrs)
        np.testing.assert_allclose(tiled, whole, rtol=1e-4, atol=1e-4)
        with tifffile.TiffFile(tmp_path / "run" / f"cell_0_{name}.tif") as tiff:
            assert tiff.is_imagej


@pytest.mark.jvm
def test_every_host_agrees_in_every_output(made, tmp_path):
    dims, _, package = made
    hosts = [h for h in HOSTS if h not in ("fiji", "deepimagej")] if dims == 2 else ["onnx", "torchscript", "imagej"]
    report = check_package(package, out=tmp_path, trust_code=True, hosts=hosts, profiles=("fiji", "zoo"))
    assert report.passed, [(r.host, r.reason) for r in report.hosts]
    for row in report.hosts:
        assert (row.status, [v.name for v in row.outputs]) == ("passed", IDS), row.reason
        assert all(v.mismatched == 0 for v in row.outputs)


def test_a_wrong_second_output_never_becomes_a_package(made, tmp_path, monkeypatch):
    from zooferry import engines

    honest = engines.load_onnx

    def wrong(path):
        infer = honest(path)
        return lambda batches: [array * (1 + 0.001 * (i == 1)) for i, array in enumerate(infer(batches))]

    monkeypatch.setattr(engines, "load_onnx", wrong)
    with pytest.raises(ZooferryError, match="the ONNX weights disagree with the network on shape"):
        package_run(made[1], tmp_path / "m.zip", card=None, say=print)
    assert not any(tmp_path.iterdir())


def test_a_network_with_another_number_of_outputs_is_refused(made):
    dims, run, _ = made
    model = open_run(run)
    object.__setattr__(model, "outputs", {"restored": ()})
    with pytest.raises(ZooferryError, match="its network gave 4 outputs, declared are 1"):
        predict_outputs(model, np.zeros((1, *(8, 64, 64)[-dims:]), np.uint16))
