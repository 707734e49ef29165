"""Packages of earlier releases must still load, predict and pass the check (tests/golden/make_golden.py made them)."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from zooferry.comparison import compare
from zooferry.package import open_package, package_model
from zooferry.prediction import predict

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.zip"))


def test_there_is_a_golden_package_and_it_is_small():
    assert [p.name for p in GOLDEN][:1] == ["care-0.1.0.zip"]
    assert all(p.stat().st_size < 1_000_000 for p in GOLDEN)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.stem)
@pytest.mark.parametrize("weights", ["onnx", "torchscript"])
def test_golden_package_gives_its_stored_output(path, weights):
    with open_package(path) as package:
        image, expected = package.inputs[0].test_array(), package.outputs[0].test_array()
        restored = predict(package_model(package, weights=weights), image[0])[np.newaxis]
    verdict = compare(restored, expected, name=path.stem)
    assert verdict.passed, verdict.sentence()
    tiled = compare(restored, expected * 1.01, name="a wrong output")
    assert not tiled.passed


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.stem)
def test_golden_package_passes_the_official_test(path):
    from bioimageio.core import test_description

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside torch and bioimageio do not concern the package
        assert test_description(path).status == "passed"
