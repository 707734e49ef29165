"""The models that are shipped: whole, small, with what a user must know, and with the numbers they were stored with."""

from pathlib import Path

import numpy as np
import pytest

from zooferry.comparison import compare
from zooferry.files import read_json
from zooferry.images import read_image
from zooferry.linting import lint, text
from zooferry.normalization import apply_operations
from zooferry.package import load_weights, open_package, package_domain, verify_files

FOLDER = Path(__file__).resolve().parents[1] / "model_packages"
PACKAGES = sorted(FOLDER.glob("*/*.zip"))
LARGEST = 5_000_000  # bytes


# how good each is on held-out images, as its metrics.json says: at least this; the command is in its README
RESTORING = {"fluorescence-care": {"NRMSE": 0.0280}}
SEGMENTING = {
    "nuclei-stardist": {"AP@0.5": 0.83, "SEG": 0.745},
    "nuclei-flows": {"AP@0.5": 0.825, "SEG": 0.75},
    "nuclei-unet-voidseg": {"AP@0.5": 0.75, "SEG": 0.65},
}


def test_all_are_here():
    assert [p.parent.name for p in PACKAGES] == sorted([*RESTORING, *SEGMENTING])


@pytest.mark.parametrize("path", PACKAGES, ids=lambda p: p.stem)
def test_it_is_whole_and_gives_the_stored_numbers(path):
    assert path.name == f"{path.parent.name}.zip"
    assert path.stat().st_size <= LARGEST
    with open_package(path) as package:
        verify_files(package)
        assert package_domain(package)
        raw, outputs = package.inputs[0], package.outputs
        normalised = apply_operations(raw.operations, raw.test_array(), raw.axes)
        found = load_weights(package, "onnx")([normalised])
        for output, array in zip(outputs, found, strict=True):
            verdict = compare(
                apply_operations(output.operations, array, output.axes), output.test_array(), name=output.id
            )
            assert verdict.passed, f"{output.id}: {verdict.sentence()}"
        findings = lint(package, ["fiji", "zoo"])
        assert not [f for f in findings if f.severity == "error"], text(findings)


@pytest.mark.parametrize("path", PACKAGES, ids=lambda p: p.stem)
def test_its_folder_says_how_good_it_is_and_how_to_make_it(path):
    words = (path.parent / "README.md").read_text(encoding="utf-8")
    assert "zooferry train" in words
    assert "zooferry package" in words
    assert np.isfinite(read_image(path.parent / "example.tif").values).all()


@pytest.mark.parametrize("name", RESTORING)
def test_it_restores_better_than_every_filter(name):
    mean = read_json(FOLDER / name / "metrics.json")["mean"]
    assert {"NRMSE", "PSNR", "SSIM"} <= set(mean["restored"])
    assert mean["restored"]["NRMSE"] < min(v["NRMSE"] for k, v in mean.items() if k != "restored")
    assert mean["restored"]["NRMSE"] <= RESTORING[name]["NRMSE"]


@pytest.mark.parametrize("name", SEGMENTING)
def test_it_segments_better_than_the_classical_filter(name):
    scores = read_json(FOLDER / name / "metrics.json")
    mean, classical = scores["mean"], scores["classical"]["mean"]
    for found in (mean["AP"]["0.5"] - classical["AP"]["0.5"], mean["SEG"] - classical["SEG"]):
        assert found > 0
    assert mean["AP"]["0.5"] >= SEGMENTING[name]["AP@0.5"]
    assert mean["SEG"] >= SEGMENTING[name]["SEG"]
