"""The annotation loop by macro lines: train, package, predict in ImageJ, edit, save, train on from the package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import plain_imagej
import pytest
import real_fiji

from zooferry.cli import main
from zooferry.files import read_json, write_json
from zooferry.images import read_image
from zooferry.rois.polygons import oval
from zooferry.runs import train_method

SMALL = {"steps": 20, "validate_every": 10, "width": 4, "depth": 2, "patch": 32, "batch": 2}
OVAL = (20, 24, 12, 16)  # y, x, height, width of the object that is drawn
STEP = """run("Correct Zooferry Labels", "action=open image=[{images}] labels=[{model}] output=[{pairs}]");
found = Overlay.size; if (found > 0) Overlay.removeSelection(0);
makeOval(24, 20, 16, 12); Overlay.addSelection; run("Select None");
run("Correct Zooferry Labels", "action=save"); close();
"""
AGAIN = 'run("Correct Zooferry Labels", "action=open image=[{images}] labels=[{model}] output=[{pairs}]");'


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images/ and labels/, and a package of a network that was hardly trained, with a threshold that it passes."""
    from labelled_images import write_labelled

    folder = write_labelled(tmp_path_factory.mktemp("lo op"), 2)
    run = folder / "run"
    train_method("stardist", run, images=folder / "images", targets=folder / "labels", values=SMALL, seconds=None,
                 resume=False, say=print)  # fmt: skip
    content = read_json(run / "run.json")
    content["instances"]["prob_thresh"] = 0.02
    write_json(run / "run.json", content)
    assert main(["package", str(run), "--out", str(folder / "net.zip")]) == 0
    return folder


def filled(folder: Path, name: str, lines: str = STEP) -> str:
    """Macro lines for this folder; the pairs go into `name`."""
    return lines.format(images=folder / "images", model=folder / "net.zip", pairs=folder / name)


def require_pairs(folder: Path, name: str) -> None:
    """Both images are corrected: the prediction of Python without its first object, with the oval that was drawn."""
    predicted = folder / f"predicted {name}"
    sources = [folder / "images" / f"nuclei_{n}.tif" for n in range(2)]
    assert main(["predict", str(folder / "net.zip"), *map(str, sources), "--out", str(predicted)]) == 0
    for source in sources:
        found = next(iter(sorted(predicted.glob(f"{source.stem}*labels.tif"))), predicted / source.name)
        expected = read_image(found).values.astype(np.int64)
        assert expected.max() > 2, "there is something to correct"
        expected[expected == 1] = 0
        drawn = oval(*OVAL)
        window = expected[OVAL[0] : OVAL[0] + OVAL[2], OVAL[1] : OVAL[1] + OVAL[3]]
        window[drawn.mask] = expected.max() + 1
        mask = read_image(folder / name / "masks" / source.name)
        np.testing.assert_array_equal(mask.values, expected)
        image, original = read_image(folder / name / "images" / source.name), read_image(source)
        np.testing.assert_array_equal(image.values, original.values)
        assert mask.attrs["pixel_size"] == image.attrs["pixel_size"] == original.attrs["pixel_size"]


@pytest.mark.jvm
def test_the_loop_in_plain_imagej(start: Path) -> None:
    home = plain_imagej.make_home(start / "Image J")
    lines = [filled(start, "pairs"), filled(start, "pairs"), filled(start, "pairs", AGAIN)]
    done = plain_imagej.run(home, lines)
    assert done.code == 0, done.output
    assert "Correct Zooferry Labels: saved nuclei_1 with" in done.output, done.output
    assert "all 2 images have their pair in" in done.output
    require_pairs(start, "pairs")
    pairs, again = start / "pairs", start / "again"
    command = ["train", "stardist", "--from", str(start / "net.zip"), "--images", str(pairs / "images"),
               "--labels", str(pairs / "masks"), "--out", str(again)]  # fmt: skip
    assert main([*command, "--set", "steps=4", "--set", "validate_every=2", "--set", "patch=32"]) == 0
    content = json.loads((again / "run.json").read_text())
    assert content["parent"]["name"] == "StarDist 2D segmentation"
    assert content["instances"]["method"] == "star_convex"
    assert main(["predict", str(again), str(start / "images" / "nuclei_0.tif"), "--out", str(start / "last")]) == 0


@pytest.mark.fiji
def test_the_loop_in_fiji(start: Path, tmp_path: Path) -> None:
    home = real_fiji.copy_fiji(tmp_path)
    macro = tmp_path / "loop.ijm"
    macro.write_text(filled(start, "fiji pairs") * 2)
    code, output = real_fiji.headless(home, ["-macro", str(macro)])
    assert code == 0
    assert "Correct Zooferry Labels: saved nuclei_1 with" in output, output[-3000:]
    require_pairs(start, "fiji pairs")
