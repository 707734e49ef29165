"""Plain ImageJ 1.54p with its window on a virtual display: menu, macro, Recorder, the dialog of an error; one JVM."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import plain_imagej
import pytest
import real_fiji
import tifffile
from make_packages import make_package
from test_imagej import STANDARD, expected, noise
from test_imagej_commands import GOLDEN

PROBE = Path(__file__).with_name("window_probe.py")
FOLDER = "Run Zooferry Model on Folder"
COMMANDS = [path.stem.replace("_", " ") for path in sorted(plain_imagej.COMMANDS.glob("*.py"))]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("win dow")
    (folder / "source").mkdir()
    for place in (folder, folder / "source"):
        pixels = noise(40, 60)
        tifffile.imwrite(place / "cells.tif", pixels, imagej=True, resolution=(4, 4), metadata={"unit": "um"})
    (folder / "broken.zip").write_text("no zip")
    (folder / "two").mkdir()
    for name in ("a", "b"):
        tifffile.imwrite(folder / "two" / f"{name}.tif", noise(40, 60), imagej=True)
    return {
        "image": str(folder / "cells.tif"),
        "model": str(make_package(folder / "tiny", steps=STANDARD)),
        "zip": str(shutil.copy(GOLDEN, folder / "golden.zip")),
        "broken": str(folder / "broken.zip"),
        "source": str(folder / "source"),
        "target": str(folder / "target"),
        "two": str(folder / "two"),
        "pairs": str(folder / "pairs"),
        "answer": str(folder / "answer.json"),
    }


@pytest.fixture(scope="module")
def seen(given: dict[str, str]) -> dict[str, Any]:
    answer = Path(given["answer"])
    home = plain_imagej.make_home(answer.with_name("Image J"))
    job = answer.with_name("given.json")
    job.write_text(json.dumps(given))
    options = [f"-Duser.home={answer.parent}", f"-Dzooferry.models={home / 'models'}"]
    with real_fiji.display() as screen:
        process = plain_imagej.java(home, [str(PROBE), str(job)], options=options, screen=screen)
        try:
            output, _ = process.communicate(timeout=300)
        finally:
            process.kill()
            process.communicate()
    assert answer.is_file(), output
    found = dict(json.loads(answer.read_text()))
    assert "wrong" not in found, (found, output)
    return found


@pytest.mark.jvm
def test_menu(seen: dict[str, Any]) -> None:
    assert sorted(seen["menu"]) == COMMANDS


@pytest.mark.jvm
def test_a_macro_line_shows_the_result_and_no_dialog(seen: dict[str, Any], given: dict[str, str]) -> None:
    found = seen["macro"]
    pixels = found.pop("pixels")
    assert found == {
        "title": "cells_restored",
        "shown": True,
        "bits": 32,
        "pixel": [0.25, 0.25],
        "unit": "\u00b5m",
        "dialogs": [],
    }
    wanted = expected(Path(given["model"]), noise(40, 60)[None], STANDARD).ravel()[: len(pixels)]
    np.testing.assert_allclose(pixels, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.jvm
def test_recorded_lines_replayed(seen: dict[str, Any], given: dict[str, str]) -> None:
    recorded = {command: found for command, found in seen["recorded"].items() if command != FOLDER}
    assert {command: found[0] for command, found in recorded.items()} == {
        "Run Zooferry Model": f'run("Run Zooferry Model", "model=[{given["model"]}]");',
        "Install Zooferry Model": f'run("Install Zooferry Model", "model=[{given["zip"]}]");',
        "Check Zooferry Model": 'run("Check Zooferry Model", "model=[CARE golden demo on simulated cells]");',
        "Compare Zooferry Images": 'run("Compare Zooferry Images", '
        '"actual=actual_restored expected=expected_restored rtol=0.0001 atol=0.0001 allowed=0");',
    }
    _, first, again = recorded.pop("Run Zooferry Model")
    assert again.pop("dialogs") == 0
    assert first == again
    for command, (_, first_log, again_log, dialogs) in recorded.items():
        assert dialogs == 0, command
        assert first_log.startswith(f"{command}:"), first_log
        if command == "Install Zooferry Model":
            assert "is installed already" in " ".join(again_log.split())
        else:
            assert first_log == again_log


@pytest.mark.jvm
def test_the_folder_command_records_its_line(seen: dict[str, Any], given: dict[str, str]) -> None:
    line, first, again, dialogs = seen["recorded"][FOLDER]
    for key in ("source", "target", "model"):
        assert f"=[{given[key]}]" in line
    assert dialogs == 0
    assert "1 ok, 0 failed" in first
    assert "1 ok, 0 failed" in again


@pytest.mark.jvm
def test_an_error_is_one_dialog_with_cause_and_cure(seen: dict[str, Any], given: dict[str, str]) -> None:
    found = seen["refused"]
    title, words = found["said"]
    assert (found["dialogs"], title) == (1, "Run Zooferry Model")
    assert words.startswith(f"{given['broken']} is not a readable zip ("), words
    assert words.endswith("get the package again, a zip with rdf.yaml in it."), words
    assert found["before"] == found["after"]


@pytest.mark.jvm
def test_correct_labels_at_the_screen(seen: dict[str, Any], given: dict[str, str]) -> None:
    found, pairs = seen["corrected"], Path(given["pairs"])
    assert found["line"] == (
        f'run("Correct Zooferry Labels", "action=open image=[{given["two"]}] output=[{given["pairs"]}]");'
    )
    assert "press t to add it, Update if you changed one" in " ".join(found["drawn"])
    assert " ".join(found["saved"]).startswith("Saved a with 1 object in")
    opened, rois, following = found["next"]
    assert "b.tif" in opened
    assert "a.tif" not in opened, "it was closed without a question, for nothing had changed since it was saved"
    assert (rois, following) == (0, False)
    assert "1 pair in" in found["log"]
    assert "zooferry train METHOD --images" in found["log"]
    assert sorted(path.name for path in (pairs / "masks").iterdir()) == ["a.tif"]
    mask = tifffile.imread(pairs / "masks" / "a.tif")
    assert set(np.unique(mask)) == {0, 1}
    assert mask[12 + 7, 10 + 10] == 1
