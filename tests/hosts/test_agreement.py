"""The same package and image in every way that a user has: the numbers agree. In a real Fiji, or skipped."""

from pathlib import Path

import cell_package
import every_way
import numpy as np
import pytest
import real_fiji

from zooferry.errors import HostAbsentError
from zooferry.hosts import deepimagej

GOLDEN = Path(__file__).parent.parent / "golden" / "care-0.1.0.zip"
BAR = {"rtol": 1e-4, "atol": 1e-4}


@pytest.mark.fiji
def test_python_imagej_and_fiji_agree(tmp_path: Path) -> None:
    home = real_fiji.copy_fiji(tmp_path)
    pytest.importorskip("imagej")
    package = every_way.package_folder(GOLDEN, tmp_path / "care")
    stored = np.load(package / "test_output.npy").squeeze()
    names = []
    for name, array, _ in every_way.results(package, home, tmp_path):
        assert array.dtype == np.float32, name
        np.testing.assert_allclose(array, stored, **BAR, err_msg=name)
        names.append(name)
    assert names == ["Python", "plain ImageJ", "pyimagej", "Fiji, headless", "Fiji, window"]


@pytest.mark.fiji
def test_labels_are_identical(tmp_path: Path) -> None:
    home = real_fiji.copy_fiji(tmp_path)
    pytest.importorskip("imagej")
    package = cell_package.cell_package(tmp_path / "cells")
    found = {name: array for name, array, _ in every_way.results(package, home, tmp_path, ending="labels")}
    assert list(found) == ["Python", "plain ImageJ", "pyimagej", "Fiji, headless", "Fiji, window"]
    assert found["Python"].max() == 70
    for name, labels in found.items():
        np.testing.assert_array_equal(labels, found["Python"], err_msg=name)


@pytest.mark.fiji
def test_deepimagej_agrees(tmp_path: Path) -> None:
    try:
        deepimagej.find()
    except HostAbsentError as absence:
        pytest.skip(str(absence))
    package = every_way.package_folder(GOLDEN, tmp_path / "care", mended=True)
    array, _, version = every_way.of_deepimagej(package, tmp_path / "scratch")
    np.testing.assert_allclose(array, np.load(package / "test_output.npy").squeeze(), **BAR)
    assert "engine pytorch-" in version
