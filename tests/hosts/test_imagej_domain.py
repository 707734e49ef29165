"""The flag of images unlike the training images, and maps of uncertainty, in plain headless ImageJ; one JVM."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from make_packages import make_package
from test_imagej import STANDARD, TESTS, probe
from test_imagej_results import change

from zooferry import domain
from zooferry.image_features import features
from zooferry.images import read_image

CODE = """
import json, sys
sys.dont_write_bytecode = True
sys.path[:0] = [{tests!r}]
import fiji_domain_tables
fiji_domain_tables.run_all()
from ij import IJ, ImagePlus, ImageStack
from ij.process import FloatProcessor
from zooferry_fiji import folder, likeness, pixels, results, run, uncertainty
given = json.loads({given!a})
answers = {{"features": {{}}, "verdicts": {{}}, "info": {{}}}}
for name in given["images"]:
    image = IJ.openImage(given["folder"] + "/" + name + ".tif")
    places = [(z, 0) for z in range(image.getNSlices())]
    volume = pixels.read_volume(image, [0], places, "z", lambda: None)
    answers["features"][name] = list(likeness.features(volume.planes[0]))
    for model in given["models"] if name in given["run"] else []:
        made, details = run.restore([image], given["folder"] + "/" + model)
        answers["verdicts"][name + " " + model] = details["domain"]
        answers["info"][name + " " + model] = made[0].getInfoProperty()
_, status, details = run.command(image, given["folder"] + "/known")
answers["command"] = [status, json.loads(details)["domain"]]
answers["folder"] = folder.command(
    {{"input": given["folder"] + "/several", "output": given["folder"] + "/out", "model": given["folder"] + "/known"}}
)
source = IJ.createImage("cell.tif", "16-bit ramp", 100, 80, 1)
source.getCalibration().pixelWidth = 0.2
source.getCalibration().setUnit("micron")
answers["maps"] = {{}}
for kind in ("scale", "fraction", ""):
    plane = FloatProcessor(100, 80, [0.5 * (i // 100) / 80 for i in range(8000)])
    shown = {{"channels": [0], "region": None, "kind": kind}}
    made = results.as_image({{(0, 0, 0): plane}}, source, "a map", {{"x": 1.0, "y": 1.0}}, shown)
    own = made.getCalibration()
    answers["maps"][kind] = {{
        "range": [made.getDisplayRangeMin(), made.getDisplayRangeMax()], "kind": made.getProperty(uncertainty.KEY),
        "size": [own.pixelWidth, own.getUnit()],
        "colours": ["%06x" % (made.getProcessor().getColorModel().getRGB(i) & 0xffffff) for i in (0, 64, 128, 255)],
    }}
two = dict(((c, 0, 0), FloatProcessor(100, 80)) for c in (0, 1))
both = results.as_image(two, source, "two", {{"x": 1.0, "y": 1.0}}, dict(shown, channels=[None, None], kind="fraction"))
answers["two"] = [[lut.min, lut.max, "%06x" % (lut.getRGB(255) & 0xffffff)] for lut in both.getLuts()]
rdf = {{"config": {{"zooferry": {{"kinds": {{"a": "scale", "b": "grey values"}}}}}}}}
answers["kinds"] = [uncertainty.kind_of(rdf, "a"), uncertainty.kind_of(rdf, "b"), uncertainty.kind_of({{}}, "a")]
answer = json.dumps(answers)
"""


def images() -> dict[str, np.ndarray]:
    """Of all bit depths; the last three are run through a model."""
    rng = np.random.default_rng(0)
    x = np.arange(1000)
    waves = 300 + 100 * np.sin(np.add.outer(x[:300] / 9, x[:420] / 7)) ** 8
    return {
        "8 bit": rng.poisson(waves / 4).clip(0, 255).astype(np.uint8),
        "offset": (60000 + waves / 5 + rng.normal(0, 0.5, waves.shape)).astype(np.float32),
        "large": rng.poisson(400 + 300 * np.sin(x / 50) ** 2, (700, 1000)).astype(np.uint16),
        "stack": rng.poisson(np.stack([waves, waves[::-1], waves / 9])).astype(np.uint16),
        "flat": np.full((64, 64), 7, np.uint8),
        "tiny": rng.poisson(9, (60, 90)).astype(np.uint8),
        "empty": rng.poisson(300, (192, 160)).astype(np.uint16),
        "inside": rng.poisson(waves).astype(np.uint16),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images and packages, one of which tells what it was trained on."""
    folder = tmp_path_factory.mktemp("domain")
    several = folder / "several"
    several.mkdir()
    for name, image in images().items():
        resolution = {"resolution": (5, 5), "metadata": {"unit": "um", "axes": "ZYX"[-image.ndim :]}}
        tifffile.imwrite(folder / f"{name}.tif", image, imagej=True, **resolution)
        if name in ("empty", "inside"):
            (several / f"{name}.tif").hardlink_to(folder / f"{name}.tif")
    rng = np.random.default_rng(1)
    trained = [rng.poisson(images()["inside"])[np.newaxis] for _ in range(4)]
    known = domain.measure(trained, calibration={"pixel_size": {"x": 0.2, "y": 0.2}, "unit": "micrometer"})
    said = {"zooferry": {"domain": known, "pixel_size": {"x": 0.2, "y": 0.2}, "unit": "micrometer"}}
    larger = {
        "zooferry": {"domain": {**known, "pixel_size": {"x": 0.4}}, "pixel_size": {"x": 0.4}, "unit": "micrometer"}
    }
    for name, config in {"known": said, "larger": larger, "other": {}}.items():
        change(make_package(folder / name, steps=STANDARD), config=config)
    return folder


@pytest.fixture(scope="module")
def answers(folder: Path) -> dict[str, Any]:
    run = ["stack", "tiny", "empty", "inside"]
    given = {"folder": str(folder), "images": list(images()), "run": run, "models": ["known", "larger", "other"]}
    code = CODE.format(tests=str(TESTS), given=json.dumps(given))
    return dict(json.loads(probe(folder, code=code)["answer"]))


def said_by_python(folder: Path, image: str, model: str) -> str:
    import yaml

    config = yaml.safe_load((folder / model / "rdf.yaml").read_text())["config"]
    known = domain.read_domain(config.get("zooferry", {}).get("domain"))
    return domain.judge(known, read_image(folder / f"{image}.tif")).text


@pytest.mark.jvm
def test_features_are_those_of_python(answers: dict[str, Any]) -> None:
    for name, image in images().items():
        (expected,) = features(image[np.newaxis])
        assert answers["features"][name] == pytest.approx(list(expected.values()), rel=1e-6), name
    assert answers["features"]["large"][-1] == 1024
    assert answers["features"]["tiny"] == []


@pytest.mark.jvm
def test_verdicts_are_those_of_python(answers: dict[str, Any], folder: Path) -> None:
    assert len(answers["verdicts"]) == 12
    for key, verdict in answers["verdicts"].items():
        image, model = key.split()
        assert verdict == said_by_python(folder, image, model), key
        assert f"zooferry domain: {verdict}\n" in answers["info"][key]
    assert answers["verdicts"]["inside known"] == "inside"
    assert answers["verdicts"]["empty known"].startswith(f"outside: {domain.EMPTY}; ")
    assert answers["verdicts"]["stack known"].startswith("outside in 1 of 3 planes: ")
    assert answers["verdicts"]["inside larger"] == "outside: pixel size 0.2 um in x; training images 0.4 um"
    assert {answers["verdicts"][f"{name} other"] for name in ("empty", "inside")} == {"not known"}
    assert answers["verdicts"]["tiny known"] == "not known"
    assert answers["command"][1] == "inside"


@pytest.mark.jvm
def test_the_folder_command_has_a_column(answers: dict[str, Any], folder: Path) -> None:
    assert answers["folder"][0], answers["folder"]
    with (folder / "out" / "zooferry_results.csv").open(encoding="utf-8") as stream:
        rows = {row["file"]: row["domain"] for row in csv.DictReader(stream)}
    expected = {f"{name}.tif": answers["verdicts"][f"{name} known"] for name in ("empty", "inside")}
    assert rows == expected


@pytest.mark.jvm
def test_maps_of_uncertainty_have_colours_and_a_range_of_their_own(answers: dict[str, Any]) -> None:
    maps = answers["maps"]
    assert maps["fraction"]["range"] == [0, 1]
    assert maps["fraction"]["colours"] == ["000000", "820000", "e63d00", "ffff96"]
    assert maps["scale"]["range"] == pytest.approx([0, 0.494], abs=0.01)
    assert maps["scale"]["colours"] == ["000004", "50127b", "b73779", "fcfdbf"]
    assert maps[""]["range"][0] == pytest.approx(0, abs=0.01)
    assert maps[""]["colours"][2] == "808080"
    assert [maps[kind]["kind"] for kind in ("scale", "fraction", "")] == ["scale", "fraction", None]
    assert all(found["size"] == [0.2, "micron"] for found in maps.values())
    assert answers["two"] == [[0, 1, "ffff96"]] * 2
    assert answers["kinds"] == ["scale", "", ""]
