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


def test_there_is_one():
    assert [p.parent.name for p in PACKAGES] == ["fluorescence-care"]


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
    scores = read_json(path.parent / "metrics.json")
    assert {"NRMSE", "PSNR", "SSIM"} <= set(scores["mean"]["restored"])
    assert scores["mean"]["restored"]["NRMSE"] < min(v["NRMSE"] for k, v in scores["mean"].items() if k != "restored")
    assert np.isfinite(read_image(path.parent / "example.tif").values).all()
