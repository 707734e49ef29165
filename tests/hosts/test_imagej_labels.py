"""What a user gets of a model that declares instances, in plain headless ImageJ: one JVM for all questions."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

import label_packages  # noqa: E402

from zooferry.axes import label_axes  # noqa: E402
from zooferry.hosts.imagej import _environment  # noqa: E402
from zooferry.images import write_image  # noqa: E402
from zooferry.package import open_package  # noqa: E402
from zooferry.running import run_package  # noqa: E402

SEEDS = (1, 2, 3)  # of the slices
CODE = r"""
import json
from ij import IJ, ImagePlus, ImageStack
from ij.io import RoiDecoder
from ij.process import FloatProcessor
from jarray import array
from zooferry_fiji import labels, run
from zooferry_fiji.errors import ZooferryError
source = IJ.openImage(FOLDER + "/stack.tif")
settings = {"outlines": "yes", "rois": FOLDER + "/rois.zip", "table": FOLDER + "/table.csv"}
made, details = run.restore([source], FOLDER + "/package", 0, 1, settings)
image = made[0]
facts = {
    "title": image.getTitle(), "bits": image.getBitDepth(), "outputs": details["outputs"], "count": len(made),
    "range": [image.getDisplayRangeMin(), image.getDisplayRangeMax()], "slices": image.getNSlices(),
    "size": [image.getCalibration().pixelWidth, image.getCalibration().pixelDepth, image.getCalibration().getUnit()],
    "overlay": image.getOverlay().size(), "info": image.getInfoProperty(),
    "black": image.getStack().getColorModel().getRGB(0) & 0xffffff, "rows": 0,
    "colours": len(set(image.getStack().getColorModel().getRGB(i) for i in range(256))),
}
IJ.save(image, FOLDER + "/labels.tif")
IJ.save(image.flatten(), FOLDER + "/flat.png")
both, more = run.restore([source], FOLDER + "/package", 0, 1, {"heads": "yes", "planes": "current"})
facts["heads"] = [one.getTitle() for one in both]
plane = FloatProcessor(300, 300, array(range(90000), "i"))
several = labels.extras({"outlines": "no", "rois": "/a.b/rois.zip", "table": "yes"}, "nuclei")
facts["several"] = [several["overlay"], several["roi_zip"], several["table"]]
many = ImagePlus("many", plane)
labels.finish(many, many)
facts["many"] = [many.getBitDepth(), many.getProcessor().getf(299, 299), many.getDisplayRangeMax()]
one = FloatProcessor(40, 30)
one.setValue(3); one.setRoi(10, 20, 8, 5); one.fill(); one.resetRoi()
grey = FloatProcessor(40, 30); grey.setValue(7.5); grey.fill()
measured, input = ImagePlus("one", one), ImagePlus("grey", grey)
calibration = measured.getCalibration()
calibration.pixelWidth = calibration.pixelHeight = 0.5; calibration.setUnit("micron")
table = labels.finish(measured, input, table=FOLDER + "/one.csv")
facts["one"] = dict((name, table.getValue(name, 0)) for name in table.getHeadings())
empty = ImagePlus("empty", FloatProcessor(9, 9))
labels.finish(empty, empty, overlay=True, roi_zip=FOLDER + "/none.zip", table=FOLDER + "/none.csv")
facts["empty"] = [empty.getBitDepth(), empty.getOverlay().size(), empty.getDisplayRangeMax()]
try:
    labels.finish(empty, empty, roi_zip=FOLDER + "/absent/rois.zip")
except ZooferryError as problem:
    facts["refused"] = problem.args[0]
answer = json.dumps(facts)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    heads = np.stack([label_packages.heads_of("star_convex", seed) for seed in SEEDS])
    label_packages.declared_package(folder / "package", "star_convex", heads[0])
    image = label_axes(heads, "zcyx")
    image.attrs.update(pixel_size={"z": 2.0, "y": 0.5, "x": 0.5}, unit="micrometer")
    write_image(folder / "stack.tif", image)
    return folder


@pytest.fixture(scope="module")
def facts(folder: Path) -> dict[str, Any]:
    (folder / "job.json").write_text(json.dumps({"code": f"FOLDER = {str(folder)!r}\n{CODE}"}))
    command = [sys.executable, str(HERE / "jython_probe.py"), str(folder / "job.json")]
    result = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    answer = json.loads(result.stdout.splitlines()[-1])["answer"]
    return dict(json.loads(answer))


@pytest.fixture(scope="module")
def expected(folder: Path) -> np.ndarray:
    planes, highest = [], 0
    with open_package(folder / "package") as package:
        for seed in SEEDS:
            labels = run_package(package, {"raw": label_packages.heads_of("star_convex", seed)[None]})["labels"][0, 0]
            planes.append(np.where(labels, labels + highest, 0))
            highest += int(labels.max())
    return np.stack(planes)


@pytest.mark.jvm
def test_the_label_image(facts: dict[str, Any], folder: Path, expected: np.ndarray) -> None:
    import tifffile

    labels = tifffile.imread(folder / "labels.tif")
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels, expected)
    assert facts["title"] == "stack_labels"
    assert (facts["count"], facts["outputs"], facts["slices"]) == (1, ["labels"], 3)
    assert facts["range"] == [0, expected.max()]
    assert facts["size"] == [0.5, 2.0, "micron"]
    assert "zooferry model: any package" in facts["info"]
    assert facts["black"] == 0
    assert facts["colours"] > 250
    assert facts["heads"] == ["stack_prob", "stack_dist", "stack_labels"]
    assert facts["several"] == [False, "/a.b/rois_nuclei.zip", "show"]


@pytest.mark.jvm
def test_outlines_and_table(facts: dict[str, Any], folder: Path, expected: np.ndarray) -> None:
    found = np.unique(expected[expected > 0])
    assert facts["overlay"] == len(found) > 20
    with zipfile.ZipFile(folder / "rois.zip") as rois:
        assert rois.namelist() == [f"{label:05}.roi" for label in found]
        assert all(rois.read(name).startswith(b"Iout") for name in rois.namelist())
    with (folder / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["Label"]) for row in rows] == found.tolist()
    for row in rows:
        z, y, x = np.nonzero(expected == int(row["Label"]))
        assert set(z + 1) == {int(row["Slice"])}
        assert float(row["Area"]) == pytest.approx(len(y) * 0.25)
        assert float(row["X"]) == pytest.approx((x.mean() + 0.5) * 0.5, abs=1e-3)
        assert float(row["Y"]) == pytest.approx((y.mean() + 0.5) * 0.5, abs=1e-3)
    assert not list(folder.glob("*.part*"))


@pytest.mark.jvm
def test_one_rectangle(facts: dict[str, Any]) -> None:
    one = facts["one"]
    assert {key: one[key] for key in ("Label", "Slice", "Frame", "Area")} == {
        "Label": 3,
        "Slice": 1,
        "Frame": 1,
        "Area": 10,
    }
    assert (one["X"], one["Y"]) == (7.0, 11.25)
    assert one["Perim."] == pytest.approx(13)
    assert one["Feret"] == pytest.approx(np.hypot(4, 2.5))
    assert (one["Mean"], one["Min"], one["Max"]) == (7.5, 7.5, 7.5)


@pytest.mark.jvm
def test_many_objects_none_and_a_folder_that_is_not_there(facts: dict[str, Any], folder: Path) -> None:
    assert facts["many"] == [32, 89999, 89999]
    assert facts["empty"] == [16, 0, 1]
    assert (folder / "none.csv").is_file()
    assert "cannot write" in facts["refused"]
    assert "choose another folder" in facts["refused"]
