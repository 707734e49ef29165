"""Plain headless ImageJ that lacks ONNX Runtime's jar: each command says so in one line, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import plain_imagej
import pytest
import tifffile
from test_imagej import noise
from test_imagej_commands import GOLDEN

WORDS = (
    "ONNX Runtime is not installed: run zooferry fiji install, or put onnxruntime-1.29.0.jar into Fiji's folder jars/"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("without engine")
    (folder / "source").mkdir()
    tifffile.imwrite(folder / "source" / "cells.tif", noise(40, 60), imagej=True)
    plain_imagej.make_home(folder / "Image J")
    return folder


@pytest.fixture(scope="module")
def answer(folder: Path) -> plain_imagej.Answer:
    run = f'open("{folder}/source/cells.tif"); run("Run Zooferry Model", "model=[{GOLDEN}]"); return "" + nImages;'
    batch = f"input=[{folder}/source] output=[{folder}/target] model=[{GOLDEN}]"
    macros = [
        run,
        f'run("Check Zooferry Model", "model=[{GOLDEN}]"); return "" + nImages;',
        'run("Check Zooferry Installation");',
        f'run("Run Zooferry Model on Folder", "{batch} exit");',
    ]
    options = [f"-Dzooferry.models={folder / 'Image J' / 'models'}", f"-Djava.io.tmpdir={folder}"]
    return plain_imagej.run(folder / "Image J", macros, options=options, without="onnxruntime")


@pytest.mark.jvm
def test_what_is_missing_and_the_cure(answer: plain_imagej.Answer, folder: Path) -> None:
    said = answer.output.splitlines()
    for begin in ("Zooferry: ", "Check Zooferry Model: "):
        assert [line for line in said if line.startswith(begin) and WORDS in line], (begin, answer.output)
    assert "Traceback" not in answer.output
    assert "bad      ONNX Runtime" in answer.output
    assert answer.returned[:2] == ["1", "1"]  # the input alone
    assert [path.name for path in (folder / "source").iterdir()] == ["cells.tif"]
    assert not list((folder / "Image J" / "models").iterdir())
    assert not [path for path in folder.rglob("*") if "restored" in path.name or path.name.endswith(".part")]


@pytest.mark.jvm
def test_a_folder_is_left_alone(answer: plain_imagej.Answer, folder: Path) -> None:
    said = [line for line in answer.output.splitlines() if line.startswith("Run Zooferry Model on Folder: ")]
    assert WORDS in said[0]
    assert answer.code == 1
    assert not (folder / "target").exists()
