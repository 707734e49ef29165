"""ROIs in Python and in ImageJ 1.54p: the same pixels, both ways; Correct Zooferry Labels headless. One JVM for all."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from roifile import ImagejRoi
from scipy import ndimage
from test_imagej import TESTS, probe

sys.path[:0] = [str(TESTS)]

import label_packages  # noqa: E402

from zooferry.axes import label_axes  # noqa: E402
from zooferry.cli import main  # noqa: E402
from zooferry.errors import ZooferryError  # noqa: E402
from zooferry.images import read_image, write_image  # noqa: E402
from zooferry.rois.drawing import draw  # noqa: E402
from zooferry.rois.files import read_rois  # noqa: E402
from zooferry.rois.regions import pixels  # noqa: E402

CODE = """
import json, sys
sys.path.insert(0, {folder!r})
import rois_probe
with open({job!r}) as stream:
    answer = rois_probe.answer_all(json.load(stream))
"""
CALIBRATION = {"pixel_size": {"y": 0.25, "x": 0.25}, "unit": "micrometer"}


def rough_labels(seed: int, shape: tuple[int, ...] = (3, 60, 75)) -> np.ndarray:
    """Objects with holes, in pieces, touching at corners, at the border, of a few numbers."""
    rng = np.random.default_rng(seed)
    smooth = np.stack([ndimage.gaussian_filter(rng.random(shape[1:]), 1.2) for _ in range(shape[0])])
    return np.where(rng.random(shape) > 0.02, np.digitize(smooth, [0.44, 0.48, 0.52, 0.56]), 0).astype(np.uint16)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("rois")
    stack = label_axes(rough_labels(1), "zyx")
    stack.attrs.update(pixel_size={"z": 1.5, "y": 0.25, "x": 0.25}, unit="micrometer")
    write_image(folder / "stack" / "stack.tif", stack)
    assert main(["labels", str(folder / "stack" / "stack.tif"), "--out", str(folder / "stack.zip")]) == 0
    label_packages.declared_package(folder / "net", "star_convex", label_packages.heads_of("star_convex"))
    for number in (1, 2):
        image = label_axes(label_packages.heads_of("star_convex", number), "cyx")
        image.attrs.update(CALIBRATION)
        write_image(folder / "images" / f"cell {number}.tif", image)
    tifffile.imwrite(folder / "rgb.tif", np.zeros((9, 9, 3), np.uint8), photometric="rgb")
    names = {"edited": "edited.zip", "imagej_zip": "imagej.zip", "zip": "stack.zip", "model": "net", "rgb": "rgb.tif"}
    names |= {"stack": "stack/stack.tif", "filled": "filled_ours.tif", "images": "images", "image": "images/cell 1.tif"}
    names |= {"pairs": "pairs", "again": "again", "third": "third"}
    care = TESTS / "golden" / "care-0.1.0.zip"
    return {"folder": str(folder), "care": str(care), **{key: str(folder / name) for key, name in names.items()}}


@pytest.fixture(scope="module")
def answer(job: dict[str, str]) -> dict[str, Any]:
    folder = Path(job["folder"])
    (folder / "rois_job.json").write_text(json.dumps(job))
    code = CODE.format(folder=str(TESTS / "hosts"), job=str(folder / "rois_job.json"))
    return dict(json.loads(probe(folder, code=code)["answer"]))


@pytest.mark.jvm
def test_every_kind_of_roi_has_the_pixels_that_imagej_fills(answer: dict[str, Any], job: dict[str, str]) -> None:
    filled = tifffile.imread(Path(job["folder"]) / "filled.tif")
    assert len(answer["kinds"]) == len(filled) == 14 * 8
    for name, wanted in zip(answer["kinds"], filled, strict=True):
        roi = ImagejRoi.fromfile(Path(job["folder"]) / f"{name}.roi")
        assert isinstance(roi, ImagejRoi)
        region = pixels(roi)
        found = np.zeros_like(wanted)
        for y, x in np.add(np.argwhere(region.mask), (region.top, region.left)):
            if 0 <= y < found.shape[0] and 0 <= x < found.shape[1]:
                found[y, x] = 255
        assert np.array_equal(found, wanted), (name, np.count_nonzero(found != wanted))


@pytest.mark.jvm
@pytest.mark.parametrize("name", ["line", "point", "text", "freeline"])
@pytest.mark.usefixtures("answer")
def test_what_encloses_nothing_is_refused(name: str, job: dict[str, str]) -> None:
    roi = read_rois(Path(job["folder"]) / f"{name}.roi")[0]
    with pytest.raises(ZooferryError, match=rf"ROI {name}: it is a .*allowed are polygon, freehand") as refusal:
        pixels(roi)
    assert "\n" not in str(refusal.value)


@pytest.mark.jvm
def test_our_zip_filled_by_imagej_is_the_label_image(answer: dict[str, Any], job: dict[str, str]) -> None:
    labels = tifffile.imread(job["stack"])
    np.testing.assert_array_equal(tifffile.imread(job["filled"]), labels)
    assert {kind for _, kind in answer["ours"]} >= {"Composite"}
    names = [name for name, _ in answer["ours"]]
    assert names[0] == "00001"
    assert "00004-2" in names
    assert len(set(names)) == len(names) == sum(len(np.unique(plane)) - 1 for plane in labels)


@pytest.mark.jvm
@pytest.mark.usefixtures("answer")
def test_imagejs_zip_is_the_label_image(job: dict[str, str], tmp_path: Path) -> None:
    assert main(["labels", job["imagej_zip"], "--images", job["stack"], "--out", str(tmp_path / "a.tif")]) == 0
    again = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(again.values, tifffile.imread(job["stack"]))
    assert again.dtype == np.uint16
    assert again.attrs["pixel_size"] == {"z": 1.5, "y": 0.25, "x": 0.25}


@pytest.mark.jvm
def test_correct_labels(answer: dict[str, Any], job: dict[str, str]) -> None:
    found, pairs = answer["corrected"], Path(job["pairs"])
    assert found["model"][0], found["model"]
    assert found["names"][:2] == ["00001", "00002"]
    assert found["model"][1].startswith(f"cell 1.tif is open with {len(found['names'])} objects")
    passed, words = found["saved"]
    assert passed, words
    assert words.startswith(f"saved cell 1 with {len(found['names'])} objects in {pairs}")
    image, source = read_image(pairs / "images" / "cell 1.tif"), read_image(Path(job["image"]))
    np.testing.assert_array_equal(image.values, source.values)
    masks = read_image(pairs / "masks" / "cell 1.tif")
    assert masks.dtype == np.uint16
    assert image.attrs["pixel_size"] == masks.attrs["pixel_size"] == CALIBRATION["pixel_size"]
    wanted = draw(read_rois(Path(job["edited"])), source)
    np.testing.assert_array_equal(masks.values, wanted.labels.values)
    assert 1 not in masks.values
    assert masks.values[7, 8] == len(found["names"]) + 1
    under = [flaw for flaw in wanted.flaws if flaw.kind == "overlap"]
    for flaw in under:
        assert f"{flaw.label:05d} lies over {flaw.other:05d} ({flaw.pixels} pixels) and wins" in words
    assert sorted(path.name for path in (pairs / "images").iterdir()) == ["cell 1.tif"], "no scratch file is left"


@pytest.mark.jvm
def test_correct_labels_goes_on_from_what_is_there(answer: dict[str, Any], job: dict[str, str]) -> None:
    found = answer["corrected"]
    assert found["next"] == [False, f"there is no label image or ROI file for cell 2 in {job['pairs']}/masks: "
                             "make one, or choose a model"]  # fmt: skip
    masks = [tifffile.imread(Path(job[key]) / "masks" / "cell 1.tif") for key in ("pairs", "again", "third")]
    np.testing.assert_array_equal(masks[0], masks[1])
    np.testing.assert_array_equal(masks[0], masks[2])
    stack = tifffile.imread(Path(job["third"]) / "masks" / "stack.tif")
    assert stack.shape == (3, 60, 75)
    assert (int(stack[2].sum()), int(stack[:2].sum())) == (81, 0)


@pytest.mark.jvm
@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("a line", "it encloses no area: remove it, or draw it with a tool for areas"),
        ("no image", "there is no file or folder"),
        ("no labels", "makes no labels: choose a model of segmentation"),
        ("rgb", "is an RGB image, on which nothing is trained"),
        ("no slice", "it belongs to no single slice of the 3; select it in the ROI Manager"),
    ],
)
def test_correct_labels_refuses(step: str, words: str, answer: dict[str, Any]) -> None:
    passed, said = answer["corrected"][step]
    assert not passed
    assert words in said
    assert "\n" not in said
