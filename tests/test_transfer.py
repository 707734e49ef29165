"""Training that starts from another run or package: what is taken over, kept fixed, refused; learning curves."""

import csv
import json
import os
import signal

import numpy as np
import pytest
import torch
import yaml
from conftest import train_small

from zooferry import learning_curve as curves
from zooferry import run_folder, training, transfer
from zooferry.cli import main
from zooferry.errors import ZooferryError
from zooferry.learning_curve import CurvePlan, divided, learning_curve, table
from zooferry.methods.care import CareSettings
from zooferry.methods.n2v import N2VSettings
from zooferry.networks.rcan import RCAN
from zooferry.networks.unet import LaplaceEnsemble, UNet
from zooferry.package import open_package
from zooferry.packager import package_run
from zooferry.runs import Task, carry_out
from zooferry.transfer import Parent, freeze, open_parent

SMALL = {"steps": 6, "validate_every": 3, "patch": 64, "batch": 2}


def start(parent, out, pairs, *, method="care", resume=False, say=print, **values):
    targets = pairs / "clean" if method == "care" else None
    task = Task(method, out, pairs / "noisy", targets, values, open_parent(parent))
    return carry_out(task, seconds=None, resume=resume, say=say)


def weights(run, file="best.pt"):
    return torch.load(run / file, weights_only=True)


@pytest.mark.parametrize("kind", ["run", "package"])
def test_it_starts_from_the_weights_of_a_run_or_a_package(runs, packages, pairs_2d, tmp_path, kind):
    """One step at a tiny rate hardly moves the parent's weights; a fresh network has others."""
    parent = runs["care"] if kind == "run" else packages["care"]
    start(parent, tmp_path / "run", pairs_2d, **{**SMALL, "steps": 1, "validate_every": 1, "learning_rate": 1e-7})
    before, after = weights(runs["care"]), weights(tmp_path / "run")
    assert before.keys() == after.keys()
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=0, atol=1e-6)
    content, former = (run_folder.read_run(run) for run in (tmp_path / "run", runs["care"]))
    assert content["network"] == former["network"]
    assert content["parent"]["sha256"] == open_parent(parent).sha256
    assert (tmp_path / "run" / "settings.yaml").read_text().count("width: 4") == 1


def test_the_rate_is_lower_unless_it_is_given(runs):
    parent = open_parent(runs["care"])
    assert parent.settings(CareSettings, {})["learning_rate"] == pytest.approx(0.25 * CareSettings().learning_rate)
    assert parent.settings(CareSettings, {"learning_rate": 0.1})["learning_rate"] == 0.1
    assert parent.settings(CareSettings, {"high": 99})["high"] == 99
    assert "low" not in parent.settings(N2VSettings, {})


def test_percentiles_are_those_of_the_parent(pairs_2d, tmp_path):
    run = train_small("care", pairs_2d, tmp_path / "parent", low=1.5, high=98.5)
    start(run, tmp_path / "child", pairs_2d, **SMALL)
    former, content = (run_folder.read_run(r)["preprocessing"] for r in (run, tmp_path / "child"))
    assert content == former


def test_noise2void_takes_mean_and_deviation_of_the_new_images(runs, pairs_2d, tmp_path):
    for file in (pairs_2d / "noisy").iterdir():
        (tmp_path / "bright" / "noisy").mkdir(parents=True, exist_ok=True)
        from zooferry.images import read_image, write_image

        write_image(tmp_path / "bright" / "noisy" / file.name, read_image(file) * 3)
    start(runs["n2v"], tmp_path / "child", tmp_path / "bright", method="n2v", **SMALL)
    means = [
        next(
            o["kwargs"]["mean"] for o in run_folder.read_run(run)["preprocessing"] if "mean" in (o.get("kwargs") or {})
        )
        for run in (runs["n2v"], tmp_path / "child")
    ]
    assert np.ravel(means[1]) == pytest.approx(3 * np.ravel(means[0]), rel=0.01)


def test_a_baked_package_gives_its_percentiles(runs, pairs_2d, tmp_path):
    package_run(runs["care"], tmp_path / "baked.zip", card=None, say=print, bake=True)
    parent = open_parent(tmp_path / "baked.zip")
    assert parent.architecture == "unet.UNet"
    assert parent.percentiles == (2.0, 99.8)
    start(tmp_path / "baked.zip", tmp_path / "child", pairs_2d, **SMALL)


NETWORKS = [  # network, levels kept, parameters that stay, parameters that learn
    (UNet(width=4), 0, None, "down.0.0.weight"),
    (UNet(width=4), 1, "down.0.0.weight", "down.1.0.weight"),
    (UNet(width=4), 2, "down.1.2.bias", "bottom.0.weight"),
    (LaplaceEnsemble(members=2, width=4), 1, "members.1.down.0.0.weight", "members.1.up.0.0.weight"),
    (RCAN(num_channels=8, num_residual_groups=2, num_residual_blocks=1), 1, "first.weight", "groups.1.layers"),
]


@pytest.mark.parametrize(("network", "levels", "kept", "learnt"), NETWORKS)
def test_frozen_levels(network, levels, kept, learnt):
    freeze(network, levels)
    learns = {name: p.requires_grad for name, p in network.named_parameters()}
    assert not any(value for name, value in learns.items() if kept and name.startswith(kept))
    assert all(value for name, value in learns.items() if name.startswith(learnt))
    assert any(name.startswith(learnt) for name in learns)


def test_frozen_levels_keep_their_weights_and_the_others_learn(runs, pairs_2d, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SECONDS_BETWEEN_LINES", 0)
    said = []

    def interrupt(line):
        said.append(line)
        if sum(text.startswith("step") for text in said) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    values = {**SMALL, "steps": 9, "freeze": 1, "learning_rate": 1e-2}
    start(runs["care"], tmp_path / "whole", pairs_2d, **values)
    assert start(runs["care"], tmp_path / "run", pairs_2d, say=interrupt, **values).finished == ""
    start(runs["care"], tmp_path / "run", pairs_2d, resume=True)
    before, after, whole = (
        weights(runs["care"]),
        *[weights(tmp_path / r, "last.pt")["network"] for r in ("run", "whole")],
    )
    for name, value in before.items():
        assert torch.equal(after[name], value) == name.startswith("down.0."), name
        torch.testing.assert_close(after[name], whole[name], rtol=1e-5, atol=1e-6)


def ensemble(width=4):
    network = LaplaceEnsemble(members=2, width=width)
    arguments = {"members": 2, "dims": 2, "in_channels": 1, "out_channels": 1, "width": width, "depth": 2, "kernel": 3}
    return Parent("e", "", "0" * 64, "unet.LaplaceEnsemble", arguments | {"residual": True}, network.state_dict())


def test_a_parent_decides_what_its_network_is():
    values = ensemble().settings(CareSettings, {})
    assert (values["members"], values["probabilistic"], values["width"]) == (2, True, 4)


REFUSALS = [  # parent, method, settings, words
    ("care", "care", {"width": 8}, "setting width is 8, in care it is 4 and cannot be changed; leave --set width"),
    ("care", "care", {"probabilistic": True}, "setting probabilistic is True, in care it is False"),
    ("care", "care", {"freeze": 3}, "setting freeze is 3; this network has 2 levels"),
    ("care3d", "care", {}, "smaller than a patch|dims is 3, but this image has no z axis"),
    ("care", "rcan", {}, "care is a UNet, this method trains a RCAN"),
]


@pytest.mark.parametrize(("parent", "method", "settings", "words"), REFUSALS)
def test_refusals(runs, pairs_2d, tmp_path, parent, method, settings, words):
    task = Task(method, tmp_path / "r", pairs_2d / "noisy", pairs_2d / "clean", settings, open_parent(runs[parent]))
    with pytest.raises(ZooferryError, match=words):
        carry_out(task, seconds=1.0, resume=False, say=print)
    assert not (tmp_path / "r").exists()


def test_other_channels_are_refused(runs, pairs_2d, tmp_path):
    from zooferry import axes
    from zooferry.images import write_image

    rng = np.random.default_rng(0)
    for number in range(3):
        for role in ("noisy", "clean"):
            image = axes.label_axes(rng.random((2, 96, 96)).astype(np.float32), "cyx")
            write_image(tmp_path / role / f"{number}.tif", image)
    with pytest.raises(ZooferryError, match="care was trained with channels of the images: 1, here it is 2"):
        start(runs["care"], tmp_path / "run", tmp_path, **SMALL)
    with pytest.raises(ZooferryError, match="freeze keeps levels of another run"):
        carry_out(
            Task("care", tmp_path / "run", pairs_2d / "noisy", pairs_2d / "clean", {"freeze": 1}),
            seconds=1.0,
            resume=False,
            say=print,
        )


def test_what_no_run_can_start_from(runs, tmp_path, tiny_zip):
    with pytest.raises(ZooferryError, match="training can start from state dicts of zooferry's own networks"):
        open_parent(tiny_zip)
    with pytest.raises(ZooferryError, match="no such file or folder"):
        open_parent(tmp_path / "none")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text((runs["care"] / "run.json").read_text())
    with pytest.raises(ZooferryError, match="no trained weights yet"):
        open_parent(tmp_path / "run")


def test_a_description_that_its_weights_do_not_fit_is_refused_before_anything_is_allocated():
    parent = ensemble()
    huge = dict(parent.arguments) | {"width": 10**7}
    with pytest.raises(ZooferryError, match="its weights do not fit the network that it describes"):
        transfer.rebuilt({"architecture": parent.architecture, "arguments": huge}, parent)
    odd = dict(parent.arguments) | {"colour": "red"}
    with pytest.raises(ZooferryError, match="its weights do not fit the network that it describes"):
        transfer.rebuilt({"architecture": parent.architecture, "arguments": odd}, parent)


def test_resuming_with_another_parent_is_refused(runs, packages, pairs_2d, tmp_path):
    start(runs["care"], tmp_path / "run", pairs_2d, **SMALL)
    with pytest.raises(ZooferryError, match="this run did not start from"):
        start(packages["care"], tmp_path / "run", pairs_2d, resume=True)


def test_a_package_names_its_parent(packages, pairs_2d, tmp_path):
    start(packages["care"], tmp_path / "run", pairs_2d, **SMALL)
    package_run(tmp_path / "run", tmp_path / "child.zip", card=None, say=print)
    with open_package(tmp_path / "child.zip") as package, open_package(packages["care"]) as former:
        assert package.content["config"]["zooferry"]["parent"] == {
            "name": former.name, "id": str(former.content.get("id") or ""), "sha256": former.sha256
        }  # fmt: skip
    assert transfer.described({"parent": {"id": "some-model", "name": "x"}}, "mine") == {"id": "some-model"}
    assert transfer.described({"parent": {"id": "some-model", "name": "x"}}, "some-model") is None
    assert transfer.described({}, None) is None


# ---- learning curves


def plan(pairs, counts=(1, 2), **more):
    values = {"steps": 4, "validate_every": 2, "width": 4, "patch": 64, "batch": 2}
    more = {"parent": None} | more
    if more["parent"]:
        del values["width"]
    return CurvePlan("care", pairs / "noisy", pairs / "clean", counts, values, None, **more)


@pytest.fixture(scope="module")
def five_pairs(tmp_path_factory):
    from conftest import write_pairs

    return write_pairs(tmp_path_factory.mktemp("five"), 2, 5)


def test_sets_are_nested_and_share_nothing_with_what_is_scored(five_pairs):
    training_pairs, validation, test = divided(plan(five_pairs))
    names = [[noisy.name for noisy, _ in part] for part in (training_pairs, validation, test)]
    assert [len(part) for part in names] == [3, 1, 1]
    assert len({name for part in names for name in part}) == 5
    with pytest.raises(ZooferryError, match="of 5 pairs 1 are kept for validation, 1 for scores, so that at most 3"):
        divided(plan(five_pairs, (1, 4)))


def test_learning_curve_keeps_what_is_finished(runs, five_pairs, tmp_path, monkeypatch):
    said = []
    rows = learning_curve(plan(five_pairs, parent=runs["care"]), tmp_path, say=said.append)
    assert [row["images"] for row in rows] == [None, None, 0, 1, 2]
    for count in (1, 2):
        roles = [f["role"] for f in json.loads((tmp_path / "runs" / str(count) / "data.json").read_text())]
        assert sorted(roles) == ["training"] * count + ["validation"]
    scores = json.loads((tmp_path / "scores" / "2" / "metrics.json").read_text())["mean"]["restored"]
    assert rows[-1]["NRMSE"] == scores["NRMSE"]
    assert [row["images"] for row in csv.DictReader((tmp_path / "curve.csv").read_text().splitlines())] == [
        "",
        "",
        "0",
        "1",
        "2",
    ]
    assert "training images" in (tmp_path / "report.html").read_text()
    assert len(table(rows).splitlines()) == 6

    monkeypatch.setattr(curves, "carry_out", lambda *_, **__: pytest.fail("nothing is left to train"))
    again = learning_curve(plan(five_pairs, parent=runs["care"]), tmp_path, say=said.append)
    assert again == rows
    assert said[-3:] == ["0: done before", "1: done before", "2: done before"]
    with pytest.raises(ZooferryError, match="holds the curve of another method, data or settings"):
        learning_curve(plan(five_pairs), tmp_path, say=print)


def test_learning_curve_from_the_command_line(five_pairs, tmp_path, capsys):
    folders = ["--images", str(five_pairs / "noisy"), "--targets", str(five_pairs / "clean")]
    settings = [s for v in ("steps=2", "width=4", "batch=1", "validate_every=1") for s in ("--set", v)]
    command = ["learning-curve", "care", *folders, *settings, "--out", str(tmp_path / "c")]
    assert main([*command, "--counts", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["images", "NRMSE", "PSNR", "SSIM", "steps"]
    assert main([*command, "--counts", "1,x"]) == 1
    assert "--counts 1,x: allowed are whole numbers" in capsys.readouterr().err
    assert main([*command, "--counts", "1", "--test-images", str(tmp_path)]) == 1
    assert "go together" in capsys.readouterr().err


def test_train_from_the_command_line(runs, pairs_2d, tmp_path):
    folders = ["--images", str(pairs_2d / "noisy"), "--targets", str(pairs_2d / "clean")]
    settings = ["--set", "steps=2", "--set", "freeze=1", "--set", "batch=1", "--from", str(runs["care"])]
    assert main(["train", "care", *folders, *settings, "--out", str(tmp_path / "run")]) == 0
    assert yaml.safe_load((tmp_path / "run" / "settings.yaml").read_text())["freeze"] == 1
