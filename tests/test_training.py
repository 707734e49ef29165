"""Training: an interrupted and resumed run is the uninterrupted one; the rate; the run folder."""

import csv
import json
import os
import signal

import numpy as np
import pytest
import torch
from conftest import train_small

from zooferry import run_folder, runs, training
from zooferry.errors import ZooferryError
from zooferry.methods.n2v import N2VSettings
from zooferry.settings import Settings
from zooferry.training import Progress, clock, learning_rate

SMALL = {"steps": 24, "validate_every": 8, "width": 4, "batch": 2}


def train(method, run, pairs, *, say=print, resume=False, seconds=None, **values):
    return runs.train_method(
        method,
        run,
        images=pairs / "noisy",
        targets=pairs / "clean" if method == "care" else None,
        values=values,
        seconds=seconds,
        resume=resume,
        say=say,
    )


@pytest.mark.parametrize("method", ["n2v", "care"])
@pytest.mark.parametrize("stop_at", [1, 2])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, pairs_2d, monkeypatch, method, stop_at):
    monkeypatch.setattr(training, "SECONDS_BETWEEN_LINES", 0)
    train(method, tmp_path / "whole", pairs_2d, **SMALL)

    said = []

    def interrupt(line):
        said.append(line)
        if sum(text.startswith("step") for text in said) == stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    progress = train(method, tmp_path / "parts", pairs_2d, say=interrupt, **SMALL)
    assert progress.finished == ""
    assert progress.step < SMALL["steps"]
    assert run_folder.read_run(tmp_path / "parts")["status"] == "interrupted"
    train(method, tmp_path / "parts", pairs_2d, resume=True)

    whole, parts = (torch.load(tmp_path / n / "last.pt", weights_only=True) for n in ("whole", "parts"))
    for name, value in whole["network"].items():
        torch.testing.assert_close(parts["network"][name], value, rtol=1e-6, atol=1e-7)
    assert json.loads(parts["rng"]) == json.loads(whole["rng"])
    curves = [history(tmp_path / n) for n in ("whole", "parts")]
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-5)


def history(run):
    """Step, rate, training and validation loss of every row."""
    columns = ("step", "learning_rate", "training_loss", "validation_loss")
    with (run / "history.csv").open() as file:
        return np.array([[float(row[c]) for c in columns] for row in csv.DictReader(file)])


def test_an_interrupt_between_validations_loses_no_step(tmp_path, pairs_2d, monkeypatch):
    train("n2v", tmp_path / "whole", pairs_2d, **SMALL)
    method = runs.methods.load("n2v")
    calls = []
    loss = method.loss

    def counted(*arguments):
        calls.append(1)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return loss(*arguments)

    monkeypatch.setattr(method, "loss", counted)
    assert train("n2v", tmp_path / "parts", pairs_2d, **SMALL).step == 5
    monkeypatch.setattr(method, "loss", loss)
    train("n2v", tmp_path / "parts", pairs_2d, resume=True)
    np.testing.assert_allclose(history(tmp_path / "parts"), history(tmp_path / "whole"), rtol=1e-5)


def test_run_folder_holds_what_is_needed_and_nothing_else(runs):
    run = runs["care"]
    assert sorted(p.name for p in run.iterdir()) == [
        "best.pt", "data.json", "environment.json", "example_input.tif", "example_target.tif", "history.csv",
        "last.pt", "loss.png", "run.json", "settings.yaml",
    ]  # fmt: skip
    assert "width: 4  # changed, the default is" in (run / "settings.yaml").read_text()
    roles = [f["role"] for f in json.loads((run / "data.json").read_text())]
    assert sorted(roles) == ["training", "training", "validation"]
    assert all(len(f["sha256"]) == 64 for f in json.loads((run / "data.json").read_text()))


def test_time_budget_ends_the_run(tmp_path, pairs_2d):
    progress = train("n2v", tmp_path / "run", pairs_2d, seconds=1.5, width=4, batch=2)
    assert progress.finished == "the time budget of 1.5 s is used"
    assert 1.5 <= progress.elapsed < 10


def test_patience_stops_early(tmp_path, pairs_2d):
    values = {**SMALL, "steps": 400, "validate_every": 4, "patience": 2, "learning_rate": 0.3}
    progress = train("care", tmp_path / "run", pairs_2d, **values)
    assert progress.finished == "no better validation for 2 validations"
    assert progress.step == progress.best_step + 8 < 400


RATES = [(0, 0.1), (9, 1.0), (50, 0.505), (100, 0.01)]  # step, part of the highest rate


@pytest.mark.parametrize(("step", "part"), RATES)
def test_rate_warms_up_and_falls_as_a_cosine(step, part):
    settings = Settings(steps=100, warmup=10, learning_rate=1.0)
    assert learning_rate(settings, Progress(step=step), None) == pytest.approx(part, rel=0.03)


def test_rate_follows_the_time_budget_where_there_is_one():
    settings = Settings(steps=0, warmup=0, learning_rate=1.0)
    assert learning_rate(settings, Progress(step=7, elapsed=30.0), 60.0) == pytest.approx(0.505)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65, "1:05"), (7207, "2:00:07"), (-3, "0:00")])
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_existing_run_is_not_overwritten(runs, pairs_2d):
    with pytest.raises(ZooferryError, match="exists already; choose another --out, or --resume"):
        train("n2v", runs["n2v"], pairs_2d, **SMALL)


def test_resume_refuses_other_images_and_other_settings(runs, pairs_2d, pairs_3d, tmp_path):
    with pytest.raises(ZooferryError, match="was trained on other images"):
        train("n2v", runs["n2v"], pairs_3d, resume=True)
    with pytest.raises(ZooferryError, match="keeps its settings"):
        train("n2v", runs["n2v"], pairs_2d, resume=True, steps=100)
    with pytest.raises(ZooferryError, match="nothing to resume there"):
        train("n2v", tmp_path / "none", pairs_2d, resume=True)


def test_example_window_is_the_structured_one():
    image = np.zeros((1, 300, 700))
    image[0, 100:200, 600:690] = np.random.default_rng(0).random((100, 90))
    window = runs.structured_window(image, 2)
    assert [w.stop - w.start for w in window] == [256, 256]
    assert image[(slice(None), *window)].sum() == pytest.approx(image.sum())


def test_one_image_is_split_by_rows(tmp_path, pairs_2d):
    from zooferry.training_data import prepare, read_training_data

    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "a.tif").write_bytes((pairs_2d / "noisy" / "cell_0.tif").read_bytes())
    settings = N2VSettings(patch=32)
    raw = read_training_data(folder, None, dims=0)
    scalings = runs.methods.load("n2v").scalings(settings, [raw.samples[0].image], ("batch", "channel", "y", "x"))
    data = prepare(raw, settings, scalings, -np.inf)
    assert [s.image.shape for s in data.training.samples] == [(1, 64, 128)]
    assert [s.image.shape for s in data.validation.samples] == [(1, 32, 128)]


def test_training_learns(tmp_path, pairs_2d):
    run = train_small("care", pairs_2d, tmp_path / "run", steps=120, validate_every=40, width=8, learning_rate=3e-3)
    losses = history(run)[:, 3]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("lowest", [0.1, -0.5])
def test_losses_below_zero_are_drawn_without_a_warning(tmp_path, lowest):
    losses = np.linspace(1.0, lowest, 6)
    rows = [{"step": i, "training_loss": float(v), "validation_loss": float(v)} for i, v in enumerate(losses)]
    run_folder.write_loss_plot(tmp_path, rows)
    assert (tmp_path / "loss.png").stat().st_size > 5000
