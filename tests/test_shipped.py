"""zooferry models: the shipped packages and their scores; other folders; what is said where there are none."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from zooferry import shipped
from zooferry.cli import main
from zooferry.errors import ZooferryError

PACKAGES = Path(__file__).resolve().parents[1] / "model_packages"
EXAMPLE = Path(__file__).resolve().parent / "golden" / "care-0.1.0.zip"


def test_all_shipped_models_are_listed_with_scores(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = sorted(path.stem for path in PACKAGES.glob("*/*.zip"))
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == names
    for name in names:
        mean = json.loads((PACKAGES / name / "metrics.json").read_text())["mean"]
        score = f"SEG {mean['SEG']:.3f}" if "SEG" in mean else f"NRMSE {mean['restored']['NRMSE']:.4f}"
        assert any(score in line for line in lines)
        assert any(line.strip() == str(PACKAGES / name / f"{name}.zip") for line in lines)


def test_the_path_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "fluorescence-care"]) == 0
    assert Path(capsys.readouterr().out.strip()).stat().st_size > 1e6


def test_another_folder_and_a_broken_zip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(EXAMPLE, tmp_path / "mine.zip")
    (tmp_path / "broken").mkdir()
    with zipfile.ZipFile(tmp_path / "broken" / "broken.zip", "w") as archive:
        archive.writestr("notes.txt", "no package")
    assert main(["models", "--folder", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "broken  0.0 MB  cannot be read: " in out
    assert "no metrics.json" in out
    assert out.count(".zip") >= 2


METRICS: list[tuple[dict[str, Any], str]] = [
    (
        {
            "mean": {"AP": {"0.5": 0.86, "0.75": 0.7}, "SEG": 0.8},
            "classical": {"mean": {"AP": {"0.5": 0.7}, "SEG": None}},
        },
        "AP@0.5 0.860 (0.700), AP@0.75 0.700, SEG 0.800  (in brackets: Otsu + watershed)",
    ),
    (
        {"mean": {"raw": {"NRMSE": 0.5, "PSNR": 20.0}, "restored": {"NRMSE": 0.25, "PSNR": 26.0, "SSIM": 0.9}}},
        "NRMSE 0.2500 (0.5000), PSNR 26.00 (20.00), SSIM 0.900  "
        "(in brackets: the best of the other rows of its metrics.json)",
    ),
]


@pytest.mark.parametrize(("metrics", "words"), METRICS)
def test_scores_in_words(metrics: dict[str, Any], words: str) -> None:
    assert shipped.score_words(metrics) == words


REFUSALS = [
    (["models", "nuclei"], "there is no model 'nuclei'; allowed: fluorescence-care"),
    (["models", "--folder", "{empty}"], "holds no package; allowed: a folder of packages"),
    (["models", "--folder", "{empty}/none"], "is no folder; allowed"),
]


@pytest.mark.parametrize(("arguments", "words"), REFUSALS)
def test_refusals(arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word.replace("{empty}", str(tmp_path)) for word in arguments]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_an_installed_wheel_says_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "__file__", str(tmp_path / "site-packages" / "zooferry" / "shipped.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ZooferryError, match=r"installed without its packages.*--folder PATH/model_packages"):
        shipped.models_folder()
