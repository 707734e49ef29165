"""Averaged weights: by head, in a run that is cut in two, and as a rival of the best weights."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from labelled_images import write_labelled

from zooferry import run_folder, runs, segmentation_training, training
from zooferry.averaging import WeightAverage

SMALL = {"steps": 12, "validate_every": 4, "width": 4, "depth": 1, "patch": 32, "batch": 2, "averaging": 0.5}

# part, values of the weight after the first and the later steps -> mean
MEANS = [
    (0.0, [1.0, 2.0], None),
    (1.0, [1.0, 2.0, 6.0], 3.0),  # all steps count alike
    (0.5, [1.0, 4.0], 3.0),  # 1 + (4 - 1) / 1.5
    (0.5, [1.0, 4.0, 7.0], 5.0),  # 3 + (7 - 3) / 2
]


@pytest.mark.parametrize(("part", "values", "mean"), MEANS)
@pytest.mark.parametrize("cut", [False, True])
def test_a_mean_by_head(part: float, values: list[float], mean: float | None, cut: bool) -> None:
    network = torch.nn.BatchNorm1d(1)
    average = WeightAverage(network, part)
    for step, value in enumerate(values, start=1):
        with torch.no_grad():
            network.weight.fill_(value)
            network.running_mean.fill_(-value)
            network.num_batches_tracked.fill_(step)
        average.update(network, step)
        if cut:
            average = WeightAverage(network, part, {k: v.clone() for k, v in average.weights.items()})
    if mean is None:
        assert average.weights == {}
        return
    assert average.weights["weight"].item() == pytest.approx(mean)
    assert average.weights["running_mean"].item() == pytest.approx(-mean)
    assert average.weights["num_batches_tracked"].item() == len(values)
    assert network.weight.item() == values[-1]


def test_an_older_run_without_an_average_begins_one() -> None:
    network = torch.nn.Linear(1, 1)
    average = WeightAverage(network, 0.5, None)
    torch.testing.assert_close(average.weights, dict(network.state_dict()))
    assert average.weights["weight"] is not network.weight


def test_the_rivals_of_the_best_weights(tmp_path: Path) -> None:
    def left(best_step: int, average: dict[str, torch.Tensor]) -> list[tuple[str, float]]:
        progress = json.dumps({"step": 9, "best_step": best_step})
        state = {"network": {"w": torch.tensor(1.0)}, "average": average, "progress": progress}
        torch.save(state, tmp_path / "last.pt")
        rivals = segmentation_training._rivals(tmp_path)
        return [(path.name, float(torch.load(path, weights_only=True)["w"])) for path in rivals]

    mean = {"w": torch.tensor(2.0)}
    assert left(3, mean) == [("final.pt", 1.0), ("average.pt", 2.0)]
    assert left(9, mean) == [("average.pt", 2.0)]
    assert left(9, {}) == []


def train(folder: Path, images: Path, *, resume: bool = False, stop_at: int = 0) -> None:
    """A tiny U-Net; `stop_at` interrupts it after so many lines of progress."""
    said: list[str] = []

    def say(line: str) -> None:
        said.extend([line] if line.startswith("step") else [])
        if stop_at and len(said) == stop_at and line.startswith("step"):
            os.kill(os.getpid(), signal.SIGINT)

    values = {} if resume else SMALL
    folders = {"images": images / "images", "targets": images / "labels"}
    runs.train_method("unet", folder, **folders, values=values, seconds=None, resume=resume, say=say)


# mean average precision of the best, the last and the averaged weights -> whose weights the run keeps
SCORES = [([0.5, 0.2, 0.3], "best"), ([0.2, 0.3, 0.5], "average"), ([0.2, 0.5, 0.3], "network")]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("averaging")
    write_labelled(folder, 3)
    return folder


@pytest.mark.parametrize(("scores", "kept"), SCORES)
def test_the_weights_that_segment_best_are_kept(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scores: list[float], kept: str
) -> None:
    left = iter(scores)
    monkeypatch.setattr(segmentation_training, "_best", lambda *_: ({}, next(left)))
    monkeypatch.setattr(training, "_validate", losing(training._validate))
    train(tmp_path / "run", images)
    assert sorted(p.name for p in (tmp_path / "run").glob("*.pt")) == ["best.pt", "last.pt"]
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    best = torch.load(tmp_path / "run" / "best.pt", weights_only=True)
    same = [name for name in ("network", "average") if all(torch.equal(best[k], v) for k, v in state[name].items())]
    assert same == ([] if kept == "best" else [kept])
    assert run_folder.read_run(tmp_path / "run")["instances_score"] == max(scores)


def losing(validate: Callable[..., bool]) -> Callable[..., bool]:
    """The first validation is the best one."""

    def validated(*arguments: Any) -> bool:
        better = validate(*arguments)
        progress = arguments[4]
        progress.best_step = SMALL["validate_every"]
        return better and progress.step == progress.best_step

    return validated


def test_an_interrupted_run_goes_on_with_its_average(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SECONDS_BETWEEN_LINES", 0)
    train(tmp_path / "whole", images)
    train(tmp_path / "parts", images, stop_at=1)
    assert run_folder.read_run(tmp_path / "parts")["status"] == "interrupted"
    train(tmp_path / "parts", images, resume=True)
    whole, parts = (torch.load(tmp_path / n / "last.pt", weights_only=True) for n in ("whole", "parts"))
    assert not torch.equal(whole["average"]["last.weight"], whole["network"]["last.weight"])
    torch.testing.assert_close(parts["average"], whole["average"], rtol=1e-6, atol=1e-7)
