"""zooferry evaluate --labels: scores, noise, the classical row, tables and page."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from labelled_images import labelled_array, write_labelled

from zooferry import segmentation_evaluation as evaluation
from zooferry.cli import main
from zooferry.errors import ZooferryError
from zooferry.images import read_image
from zooferry.restoring import Restorer
from zooferry.segmentation_baseline import Watershed, tuned
from zooferry.segmentation_evaluation import Scene, evaluate_segmentation, read_labelled
from zooferry.segmentation_metrics import THRESHOLDS, score_labels, summary


def test_noise_is_of_the_seed_and_of_the_image(tmp_path: Path) -> None:
    data = write_labelled(tmp_path, 2)
    clean, first, again, other = (
        [one.image for one in read_labelled(data / "images", data / "labels", noise=noise, seed=seed)]
        for noise, seed in ((0, 0), (40, 1), (40, 1), (40, 2))
    )
    noise = [(a.astype(np.float64) - b).values for a, b in zip(first, clean, strict=True)]
    assert first[0].dtype == np.float32
    assert np.std(noise) == pytest.approx(40, rel=0.03)
    assert not np.array_equal(*noise)
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])


def test_the_classical_row_is_tuned_and_finds_simulated_objects() -> None:
    images, truths = zip(*[labelled_array(seed) for seed in range(3)], strict=True)
    best = tuned(images, truths)

    def precision(settings: Watershed) -> float:
        return sum(
            sum(m.average_precision for m in score_labels(t, settings.labels(i)).matchings[:5:2])
            for i, t in zip(images, truths, strict=True)
        )

    assert precision(best) >= max(precision(Watershed()), precision(Watershed(factor=1.1, apart=13)))
    assert precision(best) / 9 > 0.5
    assert Watershed().labels(np.zeros((8, 8))).max() == 0
    assert Watershed(apart=3).labels(labelled_array(0, 3)[0]).ndim == 3


@pytest.fixture
def shifted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose labels are the true ones, without object 1 and with an invented one."""

    def restore(images: list[xr.DataArray]) -> dict[str, xr.DataArray]:
        name = next(n for n in range(3) if np.array_equal(labelled_array(n)[0], images[0].values))
        labels = labelled_array(name)[1].copy()
        labels[labels == 1] = 0
        labels[:2, :2] = 99
        return {"prob": images[0], "labels": xr.DataArray(labels, dims=("y", "x"))}

    class Opened:
        def __enter__(self) -> Restorer:
            return Restorer(("raw",), ("prob", "labels"), restore)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(evaluation, "open_restorer", lambda *_, **__: Opened())


@pytest.mark.usefixtures("shifted")
def test_everything_is_written_and_adds_up(tmp_path: Path) -> None:
    data, out = write_labelled(tmp_path / "data", 3), tmp_path / "out"
    assert main(["evaluate", "model", "--images", str(data / "images"), "--labels", str(data / "labels"),
                 "--out", str(out)]) == 0  # fmt: skip
    assert sorted(p.name for p in out.iterdir()) == [
        "labels", "metrics.csv", "metrics.json", "objects.csv", "report.html"
    ]  # fmt: skip
    found = json.loads((out / "metrics.json").read_text())
    truths = [labelled_array(n)[1] for n in range(3)]
    predicted = [read_image(out / "labels" / f"nuclei_{n}.tif").values for n in range(3)]
    expected = summary([score_labels(t, p) for t, p in zip(truths, predicted, strict=True)])
    assert found["mean"] == json.loads(json.dumps(expected))
    assert set(found["mean"]["AP"]) == set(map(str, THRESHOLDS))
    counts = [len(np.unique(t)) - 1 for t in truths]
    assert found["mean"]["AP"]["0.9"] == pytest.approx(np.mean([(n - 1) / (n + 1) for n in counts]), rel=0.1)
    assert 0 <= found["classical"]["mean"]["SEG"] <= 1
    rows = list(csv.DictReader((out / "objects.csv").read_text().splitlines()))
    kinds = {kind: sum(row["verdict"] == kind for row in rows) for kind in ("TP", "FP", "FN")}
    assert kinds == {"TP": sum(counts) - 3, "FP": 3, "FN": 3}
    invented = next(row for row in rows if row["verdict"] == "FP")
    assert (invented["predicted"], invented["pixels"], invented["centre"]) == ("99", "4", "0.5 0.5")
    assert len(list(csv.DictReader((out / "metrics.csv").read_text().splitlines()))) == 2 * 4
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 3 * 3 + 1
    assert "Otsu + watershed" in page


@pytest.mark.usefixtures("shifted")
def test_the_worst_image_comes_first(tmp_path: Path) -> None:
    data = write_labelled(tmp_path / "data", 3)
    report = evaluate_segmentation(Path("m"), Scene(data / "images", data / "labels"), tmp_path / "o", say=print)
    precisions = [image.scores["model"].at(0.5).average_precision for image in evaluation.worst_first(report)]
    assert precisions == sorted(precisions)


REFUSED = [
    (["--labels", "{data}/labels", "--targets", "{data}/labels"], "--targets scores restorations, --labels segmen"),
    (["--noise", "5"], "--noise is added to images with label images; give these with --labels DIR"),
    (["--labels", "{data}/labels", "--noise", "-5"], "--noise is -5; allowed: a standard deviation from 0"),
    (["--labels", "{data}/labels", "--tune-images", "{data}/images"], "--tune-images and --tune-targets"),
    (["--labels", "{data}/images2"], "must be alike"),
]


@pytest.mark.usefixtures("shifted")
@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    write_labelled(tmp_path, 2)
    write_labelled(tmp_path / "volumes", 2, dims=3)
    (tmp_path / "volumes" / "labels").rename(tmp_path / "images2")
    filled = [part.format(data=tmp_path) for part in arguments]
    assert main(["evaluate", "m", "--images", str(tmp_path / "images"), "--out", str(tmp_path / "out"), *filled]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_of_restoration_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_labelled(tmp_path, 1)

    class Opened:
        def __enter__(self) -> Restorer:
            return Restorer(("raw",), ("restored",), lambda images: {"restored": images[0] / 3})

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(evaluation, "open_restorer", lambda *_, **__: Opened())
    with pytest.raises(ZooferryError, match="makes no labels; give a model of segmentation"):
        evaluate_segmentation(Path("m"), Scene(data / "images", data / "labels"), tmp_path / "out", say=print)
