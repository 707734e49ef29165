"""Labels in Python: nothing, one giant, at the border, touching, and 70,225 objects in one image; every decoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from label_scenes import MANY, MANY_PARAMETERS, METHODS, SCENES, heads_of, many, package, parameters, scene

from zooferry.axes import label_axes
from zooferry.images import read_image, write_image
from zooferry.instances.declaration import Declaration, decode
from zooferry.instances.images import label_image
from zooferry.restoring import restore_files
from zooferry.segmentation_metrics import overlap


def decoded(method: str, labels: np.ndarray, **more: object) -> np.ndarray:
    heads = heads_of(method, labels)
    seen = heads[:, ::2, ::2] if method == "star_convex" else heads
    return decode(Declaration(method, ("heads",), parameters(method, **more)), seen)


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("method", METHODS)
def test_every_object_is_found_once(method: str, name: str) -> None:
    true = scene(name)
    found = decoded(method, true, **({"largest": 1.0} if method == "flows" else {}))
    count = len(np.unique(true)) - 1
    assert len(np.unique(found)) - 1 == count
    assert overlap(true, found).match(0.7).matched == count


def test_flows_take_what_covers_the_image_for_background() -> None:
    assert {name: bool(decoded("flows", scene(name)).any()) for name in SCENES} == {
        name: kept and name != "empty" for name, kept in SCENES.items()
    }


@pytest.mark.parametrize("method", METHODS)
def test_seventy_thousand_objects_keep_their_numbers(method: str, tmp_path: Path) -> None:
    heads, labels = many(method)
    assert len(np.unique(labels)) == MANY + 1
    declaration = Declaration(method, ("heads",), parameters(method, **MANY_PARAMETERS[method]))
    seen = heads[:, ::2, ::2] if method == "star_convex" else heads
    source = label_axes(heads, "cyx")
    found = label_image(declaration, {"heads": xr.DataArray(seen, dims=("c", "y", "x"))}, source)
    written = read_image(write_image(tmp_path / "labels.tif", found))
    assert written.dtype == np.float32
    np.testing.assert_array_equal(written.values, labels)


def test_a_package_writes_them_too(tmp_path: Path) -> None:
    heads, labels = many("borders")
    folder = package(tmp_path / "package", "borders", **MANY_PARAMETERS["borders"])
    image = write_image(tmp_path / "cells.tif", label_axes(heads, "cyx"))
    assert restore_files(folder, [image], tmp_path / "out", tile=None, say=print) == 0
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "cells_labels.tif").values, labels)
