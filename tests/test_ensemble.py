"""Probabilistic CARE and its ensembles from training to every host, and how `evaluate` judges them."""

import json
import os
import signal
import warnings
import zipfile

import numpy as np
import onnx
import pytest
import torch
import yaml
from conftest import train_small
from scipy import stats

from zooferry import runs, training
from zooferry.calibration import LEVELS
from zooferry.check import check_package
from zooferry.evaluation import evaluate_model
from zooferry.evaluation_tables import score_table
from zooferry.images import read_image
from zooferry.linting import lint
from zooferry.package import open_package, package_model
from zooferry.packager import package_run
from zooferry.prediction import predict_outputs
from zooferry.restoring import restore_files

IDS = {1: ["restored", "scale"], 3: ["restored", "scale", "disagreement"]}
SMALL = {
    "steps": 9, "validate_every": 3, "width": 4, "batch": 1, "patch": 64, "probabilistic": True,
    "learning_rate": 0.02, "warmup": 1,  # so that the members differ after so few steps
}  # fmt: skip


@pytest.fixture(scope="module", params=[(1, 2), (3, 2), (3, 3)], ids=["one", "ensemble", "ensemble3d"])
def made(request, tmp_path_factory):
    """Members, dimensions, run and package."""
    members, dims = request.param
    pairs = request.getfixturevalue(f"pairs_{dims}d")
    folder = tmp_path_factory.mktemp("probabilistic")
    run = train_small("care", pairs, folder / "run", **SMALL, members=members)
    return members, dims, run, package_run(run, folder / "model.zip", card=None, say=print)


def test_package_is_what_java_hosts_can_read(made):
    members, _, _, package = made
    with zipfile.ZipFile(package) as archive:
        rdf = yaml.safe_load(archive.read("rdf.yaml"))
        model = onnx.load_from_string(archive.read("weights.onnx"))
        readme = archive.read("README.md").decode()
    assert [o["id"] for o in rdf["outputs"]] == IDS[members] == [o.name for o in model.graph.output]
    assert max(o.version for o in model.opset_import) <= 17
    assert model.ir_version <= 8
    assert not {"Loop", "If", "Scan", "SequenceAt"} & {node.op_type for node in model.graph.node}
    assert rdf["outputs"][1]["data"]["range"] == [0.0, None]
    assert rdf["config"]["zooferry"]["target_preprocessing"] == rdf["inputs"][0]["preprocessing"]
    assert "Laplace" in rdf["config"]["bioimageio"]["training"]["loss_function"]
    assert ("ensemble of 3 U-Nets" in rdf["config"]["bioimageio"]["architecture_type"]) is (members == 3)
    assert "- `scale` (scale): " in readme


def test_fiji_profile_is_clean(made):
    with open_package(made[3]) as package:
        assert [f for f in lint(package, ["fiji"]) if f.severity != "note"] == []


def test_official_test_passes_every_weight_format(made):
    from bioimageio.core import test_description

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside torch and bioimageio do not concern the package
        summary = test_description(made[3])
    assert summary.status == "passed", summary.format()


@pytest.mark.jvm
def test_every_host_gives_the_same_numbers(made, tmp_path):
    members, dims, _, package = made
    hosts = (
        ["onnx", "torchscript"] + ["imagej"] * (members > 1) + ["core-pytorch"] * (dims == 2)
    )  # a JVM takes its time
    report = check_package(package, out=tmp_path, hosts=hosts)
    assert report.passed, [(r.host, r.reason) for r in report.hosts]
    for row in report.hosts:
        assert (row.status, [v.name for v in row.outputs]) == ("passed", IDS[members]), row.reason
        assert all(v.mismatched == 0 for v in row.outputs)


def test_outputs_mean_what_they_say(made):
    members, _, _, package = made
    with open_package(package) as opened:
        found = {t.id: t.test_array() for t in opened.outputs}
    assert found["scale"].min() > 0
    if members > 1:
        assert 0 <= found["disagreement"].min() <= found["disagreement"].max() <= 1
        assert found["disagreement"].max() > 1e-3
        assert not np.array_equal(found["disagreement"], found["scale"])


def test_baked_package_gives_the_same_numbers(made, tmp_path):
    members, dims, run, package = made
    if dims == 3:
        pytest.skip("the same code as in 2D")
    path = package_run(run, tmp_path / "baked.zip", card=None, say=print, bake=True)
    with open_package(path) as inside, open_package(package) as outside:
        found = predict_outputs(package_model(inside), inside.inputs[0].test_array()[0])
        for tensor in outside.outputs:
            np.testing.assert_allclose(found[tensor.id], tensor.test_array()[0], rtol=1e-3, atol=1e-4)
    assert list(found) == IDS[members]


def test_files_are_written_and_tiles_change_nothing(made, pairs_2d, pairs_3d, tmp_path):
    members, dims, run, package = made
    source = {2: pairs_2d, 3: pairs_3d}[dims] / "noisy" / "cell_0.tif"
    for model, tile in ((run, 88), (package, None)):
        assert restore_files(model, [source], tmp_path / model.stem, tile=tile, say=print) == 0
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == sorted(f"cell_0_{i}.tif" for i in IDS[members])
    for name in IDS[members]:
        tiled, whole = (read_image(tmp_path / m / f"cell_0_{name}.tif") for m in ("run", "model"))
        np.testing.assert_allclose(tiled, whole, rtol=1e-4, atol=1e-4)


def test_evaluate_reports_the_calibration_that_scipy_gives(made, pairs_2d, pairs_3d, tmp_path):
    members, dims, _, package = made
    pairs = {2: pairs_2d, 3: pairs_3d}[dims]
    report = evaluate_model(package, pairs / "noisy", pairs / "clean", tmp_path, say=print)
    written = json.loads((tmp_path / "metrics.json").read_text())["calibration"]
    inside = []
    for source in sorted((pairs / "clean").iterdir()):
        clean, noisy = (read_image(pairs / role / source.name).values.astype(np.float64) for role in ("clean", "noisy"))
        on_noisy = np.polyval(np.polyfit(clean.ravel(), noisy.ravel(), 1), clean)
        low, high = np.percentile(noisy, (2, 99.8))
        truth = ((on_noisy - low) / (high - low)).astype(np.float32)
        mean, scale = (
            read_image(tmp_path / "restored" / f"{source.stem}{end}.tif").values.astype(np.float64)
            for end in ("", "_scale")
        )
        low, high = stats.laplace.interval(np.reshape(LEVELS, (-1, *[1] * dims)), loc=mean, scale=scale)
        inside.append(((low <= truth) & (truth <= high)).reshape(len(LEVELS), -1))
    observed = np.concatenate(inside, axis=1).mean(axis=1)
    np.testing.assert_allclose(written["curve"]["observed"], observed, atol=1e-4)
    assert written["ECE"] == pytest.approx(np.abs(observed - LEVELS).mean(), abs=1e-4)
    assert written["pixels"] == sum(i.shape[1] for i in inside)
    assert "expected calibration error" in score_table(report)
    page = (tmp_path / "report.html").read_text()
    assert "<polyline" in page
    assert ("mean disagreement" in page) is (members == 3)


def test_an_interrupted_ensemble_goes_on_as_if_nothing_had_been(tmp_path, pairs_2d, monkeypatch):
    monkeypatch.setattr(training, "SECONDS_BETWEEN_LINES", 0)
    values = SMALL | {"members": 2}
    train_small("care", pairs_2d, tmp_path / "whole", **values)
    folders = {"images": pairs_2d / "noisy", "targets": pairs_2d / "clean", "seconds": None}

    def interrupt(line):
        if line.startswith("step 3 of 9"):
            os.kill(os.getpid(), signal.SIGINT)

    progress = runs.train_method(
        "care", tmp_path / "parts", **folders, values=values | {"patch_z": 8}, resume=False, say=interrupt
    )
    assert 0 < progress.step < 9
    runs.train_method("care", tmp_path / "parts", **folders, values={}, resume=True, say=print)
    whole, parts = (torch.load(tmp_path / n / "last.pt", weights_only=True) for n in ("whole", "parts"))
    assert any(name.startswith("members.1.") for name in whole["network"])
    for name, value in whole["network"].items():
        torch.testing.assert_close(parts["network"][name], value, rtol=1e-6, atol=1e-7)
