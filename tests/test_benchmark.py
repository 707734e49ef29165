"""The benchmark of VoidSeg's schedules: its patches, its table, and that it goes on where it was killed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simulated_heads import Case, blobs

from zooferry import benchmark
from zooferry.axes import label_axes
from zooferry.benchmark import BenchmarkPlan, run_benchmark
from zooferry.benchmark_data import SIDE, write_patches
from zooferry.benchmark_table import grid, markdown, means
from zooferry.cli import main
from zooferry.errors import ZooferryError
from zooferry.images import read_image, write_image
from zooferry.runs import Task
from zooferry.segmentation_evaluation import read_labelled


def quiet(_: str) -> None:
    """Progress is of no interest here."""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images of 144 x 160 pixels."""
    folder = tmp_path_factory.mktemp("clean")
    for number in range(3):
        labels = blobs(Case(number, (144, 160), 20, (6, 10))).astype(np.uint16)
        for role, array in (("images", (20 + 100 * (labels > 0)).astype(np.uint8)), ("labels", labels)):
            write_image(folder / role / f"{number}.tif", label_axes(array, ("y", "x")))
    return folder


def test_patches_hold_objects_and_come_with_whole_image_noise(clean: Path, tmp_path: Path) -> None:
    labelled = read_labelled(clean / "images", clean / "labels", noise=10, seed=1)
    write_patches(labelled, 5, 0, tmp_path / "p")
    names = sorted(path.name for path in (tmp_path / "p" / "images").iterdir())
    assert names == [*[f"p{n:04d}.tif" for n in range(5)], "v0000.tif"]
    assert read_image(tmp_path / "p" / "images" / "v0000.tif").shape == (144, 160)
    for name in names[:5]:
        patch, labels = (read_image(tmp_path / "p" / role / name).values for role in ("images", "labels"))
        assert patch.shape == (SIDE, SIDE)
        assert patch.dtype == np.float32
        assert labels.any()
        assert np.abs(patch - np.where(labels > 0, 120, 20)).std() == pytest.approx(
            10 * (1 - 2 / np.pi) ** 0.5, rel=0.1
        )
        assert any(patch[0, 0] in item.image.values for item in labelled)


def plan(clean: Path, **changes: object) -> BenchmarkPlan:
    small = {"steps": 2, "validate_every": 2, "width": 4, "depth": 2, "batch": 1}
    said = {"methods": ("unet",), "schedules": ("baseline", "sequential"), "fractions": ("P1",), "noises": (20.0,)}
    folders = [clean / "images", clean / "labels"] * 2
    denoiser = {"steps": 2, "validate_every": 2, "batch": 1}
    return BenchmarkPlan(*folders, **{**said, "repeats": 2, "values": small, "denoiser": denoiser, **changes})  # type: ignore[arg-type]


def test_the_benchmark_goes_on_where_it_was_killed(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    real = benchmark.train_schedule

    def train(task: Task, *rest: object, **named: object) -> object:
        trained.append(task.out.name)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return real(task, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(benchmark, "train_schedule", train)
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(plan(clean), tmp_path, say=quiet)
    assert len(list((tmp_path / "cells").iterdir())) == 2
    said: list[str] = []
    rows = run_benchmark(plan(clean), tmp_path, say=said.append)
    assert trained[:2] == ["unet-baseline-P1-n20-r0", "unet-sequential-P1-n20-r0"]
    assert trained[2:] == ["unet-baseline-P1-n20-r1", *[f"unet-{s}-P1-n20-r1" for s in ("baseline", "sequential")]]
    assert said[0] == "4 cells, 2 of them done before"
    assert any("2 of 2, 0:00 left" in line for line in said)
    assert len(rows) == 4
    assert all(0 <= row["AP"] <= 1 and row["steps"] == 2 for row in rows)
    for name in ("table.csv", "table.json", "table.md", "figure.svg", "figure.png", "report.html"):
        assert (tmp_path / name).stat().st_size > 100
    with pytest.raises(ZooferryError, match="holds a benchmark of other images or settings"):
        run_benchmark(plan(clean, seconds=3.0), tmp_path, say=quiet)


def row(schedule: str, repeat: int, score: float, fraction: str = "P1") -> dict[str, object]:
    return {
        "method": "unet", "schedule": schedule, "fraction": fraction, "noise": 40.0, "repeat": repeat, "AP": score,
        "SEG": score / 2, "cpu_seconds": 10.0,
    }  # fmt: skip


def test_means_and_standard_errors_by_head() -> None:
    rows = [row("sequential", 0, 0.5), row("baseline", 0, 0.4), row("baseline", 1, 0.6), row("baseline", 2, 0.5)]
    first, second = means(rows)
    assert (first["schedule"], first["repeats"], first["paper_AP"]) == ("baseline", 3, 0.478)
    assert first["AP"] == pytest.approx(0.5)
    assert first["AP_error"] == pytest.approx(0.1 / 3**0.5)  # deviation 0.1 of three
    assert (second["schedule"], second["AP_error"], second["paper_AP"]) == ("sequential", None, None)
    assert grid([first, second], 40.0)["columns"] == ["P1 (10)"]
    text = markdown([first, second])
    assert "| unet baseline | 0.500 ± 0.058 / 0.250 ± 0.029 |" in text
    assert "| in the paper | 0.478 / 0.522 |" in text


BAD = [
    ({"methods": ("flows",)}, "methods flows; allowed are unet, stardist"),
    ({"fractions": ("P11",)}, "fractions P11; allowed are P1, P2"),
    ({"schedules": ()}, "schedules are missing; allowed are baseline"),
    ({"noises": (-1.0,)}, "allowed are standard deviations from 0"),
    ({"repeats": 0}, "--repeats is 0; allowed: 1 or more"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_plans_that_are_refused(clean: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ZooferryError, match=message):
        plan(clean, **changes)


def test_stardist_has_the_unet_of_the_denoiser_without_its_last_level(clean: Path) -> None:
    chosen = plan(clean).settings("stardist")
    assert {key: chosen[key] for key in ("grid", "width", "depth")} == {"grid": 2, "width": 8, "depth": 1}


def test_the_command_line_of_the_benchmark(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [f"--{part}{name}={clean / name}" for part in ("", "val-") for name in ("images", "labels")]
    assert main(["benchmark", "voidseg", *folders, "--out", str(tmp_path), "--noise", "many"]) == 1
    assert "--noise many: allowed are numbers" in capsys.readouterr().err
