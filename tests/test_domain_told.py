"""What a run's domain becomes: in its package, in `zooferry predict`, in `zooferry evaluate`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from zooferry import run_folder
from zooferry.domain import EMPTY, UNTOLD
from zooferry.evaluation import evaluate_model
from zooferry.evaluation_tables import score_table
from zooferry.images import read_image, write_image
from zooferry.package import open_model, open_package, package_domain
from zooferry.restoring import open_restorer, restore_files

QUESTION = "are the images like those it was trained on?"


@pytest.fixture
def folder(pairs_2d: Path, tmp_path: Path) -> Path:
    """Pairs: one that was trained on, and an empty field."""
    noisy, clean = (read_image(pairs_2d / role / "cell_1.tif") for role in ("noisy", "clean"))
    empty = noisy.copy(data=np.random.default_rng(0).poisson(300, noisy.shape).astype(np.uint16))
    for name, image in {"cell.tif": noisy, "empty.tif": empty}.items():
        write_image(tmp_path / "pairs" / "noisy" / name, image)
        write_image(tmp_path / "pairs" / "clean" / name, clean)
    return tmp_path / "pairs"


@pytest.mark.parametrize(("name", "dims"), [("care", 2), ("n2v", 2), ("care3d", 3)])
def test_package_and_run_tell_the_same(runs, packages, name, dims):
    content = run_folder.read_run(runs[name])["domain"]
    assert content["dims"] == dims
    assert content["unit"] == "micrometer"
    assert content["images"] == sum(f["role"] == "training" for f in json.loads((runs[name] / "data.json").read_text()))
    with open_package(packages[name]) as package:
        assert package_domain(package) == content
    for model in (runs[name], packages[name]):
        with open_model(model) as opened:
            assert opened.domain == content


def test_predict_tells_of_each_image(packages, folder, tmp_path):
    said: list[str] = []
    images = [folder / "noisy" / "cell.tif", folder / "noisy" / "empty.tif"]
    restore_files(packages["care"], images, tmp_path / "out", tile=None, say=said.append)
    assert said[0].endswith("cell.tif  domain: inside")
    assert f"empty.tif  domain: outside: {EMPTY}" in said[1]


def test_predict_says_so_where_a_package_does_not_tell(tiny_zip, folder, tmp_path):
    said: list[str] = []
    restore_files(tiny_zip, [folder / "noisy" / "cell.tif"], tmp_path / "out", tile=None, say=said.append)
    assert said[0] == UNTOLD
    assert said[1].endswith("cell.tif")
    with open_restorer(tiny_zip) as restorer:
        assert restorer.domain == {}


def test_evaluate_tells_of_each_image(packages, folder, tmp_path):
    said: list[str] = []
    report = evaluate_model(packages["care"], folder / "noisy", folder / "clean", tmp_path, say=said.append)
    assert [line.partition("domain: ")[2][:7] for line in said] == ["inside", "outside"]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    verdicts = {name: found["domain"] for name, found in metrics["quality"]["images"].items()}
    assert verdicts["cell.tif"] == "inside"
    assert verdicts["empty.tif"].startswith(f"outside: {EMPTY}")
    assert metrics["quality"]["summary"][QUESTION] == "1 of 2; not empty.tif"
    with (tmp_path / "metrics.csv").open(encoding="utf-8") as stream:
        rows = {row["image"]: row["domain"] for row in csv.DictReader(stream)}
    assert rows == {**verdicts, "mean": ""}
    assert f"{QUESTION}: 1 of 2; not empty.tif" in score_table(report)
    page = (tmp_path / "report.html").read_text()
    assert QUESTION in page
    assert "not like the training images" in page
