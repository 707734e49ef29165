"""Packages that make labels, in ImageJ, zooferry and bioimageio.core: declared instances and the format's own steps."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

import any_package  # noqa: E402
import label_packages  # noqa: E402
import yaml  # noqa: E402

from zooferry.axes import label_axes  # noqa: E402
from zooferry.hosts import imagej  # noqa: E402
from zooferry.images import read_image, write_image  # noqa: E402
from zooferry.package import open_package  # noqa: E402
from zooferry.running import run_package  # noqa: E402

ODD = (61, 75)  # Y X, no multiples of 8: the network sees 64 x 80, mirrored
DECLARED = [("declared", method) for method in label_packages.DECLARED]
SPEC = [("spec", method) for method in label_packages.STEPS]
LIBRARIES = {"star_convex": "stardist", "flows": "cellpose"}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    folder = tmp_path_factory.mktemp("decoding")
    found = {}
    for kind, method in (*DECLARED, *SPEC):
        make = label_packages.declared_package if kind == "declared" else label_packages.spec_package
        found[kind, method] = make(folder / f"{kind}_{method}", method, label_packages.heads_of(method))
    volume = label_packages.spec_package(folder / "volume", "flows", label_packages.heads_of("flows"))
    content = yaml.safe_load((volume / "rdf.yaml").read_text())
    content["outputs"][0]["postprocessing"][0]["kwargs"]["do_3D"] = True
    (volume / "rdf.yaml").write_text(yaml.safe_dump(content))
    return {**found, ("volume", "flows"): volume}


@pytest.fixture(scope="module")
def in_imagej(packages: dict[Any, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Any]:
    folder = tmp_path_factory.mktemp("imagej")
    runs = []
    for (kind, method), package in packages.items():
        heads = label_packages.heads_of(method)[:, : ODD[0], : ODD[1]]
        image = write_image(folder / f"{kind}_{method}.tif", label_axes(heads, "cyx"))
        runs.append(imagej.Run(package, (image,), folder / "out"))
    return dict(zip(packages, imagej.run_packages(runs, threads=1), strict=True))


@pytest.mark.jvm
@pytest.mark.parametrize("which", [*DECLARED, *SPEC], ids="-".join)
def test_labels_are_those_of_python(which: tuple[str, str], packages: dict[Any, Path], in_imagej: Any) -> None:
    heads = label_packages.heads_of(which[1])[None, :, : ODD[0], : ODD[1]]
    with open_package(packages[which]) as package:
        expected = list(run_package(package, {"raw": heads}).values())[-1][0, 0]
    result = in_imagej[which]
    assert not result.message
    name = "labels" if which[0] == "declared" else "cells"
    labels = read_image(result.results[name])
    assert labels.dtype == np.uint16
    assert expected.max() > 3
    np.testing.assert_array_equal(labels.values, expected)


@pytest.mark.jvm
def test_volumes_are_refused_in_words(in_imagej: Any) -> None:
    result = in_imagej["volume", "flows"]
    assert result.unsupported
    assert "cellpose_flow_dynamics of such volumes does not run in ImageJ yet" in result.message


@pytest.mark.parametrize("which", SPEC, ids="-".join)
def test_labels_are_those_of_core(which: tuple[str, str], packages: dict[Any, Path]) -> None:
    library = LIBRARIES[which[1]]
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"bioimageio.core needs {library} for this step: pip install {library}")
    heads = label_packages.heads_of(which[1])
    with open_package(packages[which]) as package:
        ours = run_package(package, {"raw": heads[None]})["cells"]
    theirs = any_package.core_prediction(packages[which])["cells"]  # stardist's with the channel as last axis
    assert ours.max() > 3
    np.testing.assert_array_equal(ours.squeeze(), theirs.squeeze())
