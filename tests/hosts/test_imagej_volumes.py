"""Packages whose objects go through slices, in ImageJ and zooferry: declared instances and the format's own step."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

import any_package  # noqa: E402
import label_packages  # noqa: E402
from simulated_volumes import VolumeCase, smooth_volume, star_volume  # noqa: E402

from zooferry.axes import label_axes  # noqa: E402
from zooferry.hosts import imagej  # noqa: E402
from zooferry.images import read_image, write_image  # noqa: E402
from zooferry.package import open_package  # noqa: E402
from zooferry.running import run_package  # noqa: E402

CASE = VolumeCase(21, (12, 32, 32), 6, (5, 7), rays=16, grid=(1, 1, 1))
GRID = (1, 2, 2)
ODD = (11, 29, 30)  # Z Y X, no multiples of 4: the network sees 12 x 32 x 32, mirrored
STAR = {"prob_thresh": 0.5, "nms_thresh": 0.3, "grid": [*GRID], "border": 0, "anisotropy": [2.0, 1.0, 1.0]}
STEP = {
    "id": "stardist_postprocessing",
    "kwargs": {
        "prob_threshold": 0.5, "nms_threshold": 0.3, "grid": [*GRID], "b": 0, "n_rays": 16,
        "anisotropy": [2.0, 1.0, 1.0],
    },
}  # fmt: skip
WHICH = ("star", "borders", "step")


def heads_of(which: str) -> np.ndarray:
    if which == "borders":
        classes = np.exp(3 * smooth_volume(np.random.default_rng(1), (3, *CASE.shape), 2))
        return np.asarray(classes / classes.sum(axis=0), np.float32)
    prob, distances = star_volume(CASE)
    return np.concatenate([prob[None], distances])


def cut(name: str, channels: tuple[int, int], grid: tuple[int, ...]) -> list[Any]:
    numbers = {
        "from": [channels[0], 0, 0, 0], "to": [channels[1], *[1 << 30] * 3], "along": [1, 2, 3, 4], "by": [1, *grid],
    }  # fmt: skip
    made = [helper.make_node("Constant", [], [f"{name}_{key}"], value_ints=value) for key, value in numbers.items()]
    return [*made, helper.make_node("Slice", ["raw", *[f"{name}_{key}" for key in numbers]], [name])]


def package(folder: Path, which: str) -> Path:
    heads, fields = heads_of(which), {}
    grid = (1, 1, 1) if which == "borders" else GRID
    counts = {"star": {"prob": 1, "dist": 16}, "borders": {"classes": 3}, "step": {"cells": 17}}[which]
    nodes, outputs, first = [], [], 0
    for name, count in counts.items():
        axes = any_package.like("raw", names="zyx", channels=1 if which == "step" else count)
        for axis, side in zip(axes[2:], grid, strict=True):
            axis["scale"] = 1.0 if which == "step" else float(side)
        steps, dtype = ([STEP], "int32") if which == "step" else ([], "float32")
        outputs.append(any_package.tensor(name, axes, steps, dtype))
        nodes += cut(name, (first, first + count), grid)
        first += count
    if which != "step":
        said = {"method": "star_convex", "outputs": ["prob", "dist"], **STAR}
        said = {"method": "borders", "outputs": ["classes"], "grow": 2} if which == "borders" else said
        fields = {"config": {"zooferry": {"instances": {**said, "volume": True}}}}
    axes = any_package.space({"min": 4, "step": 4}, names="zyx", scale=1.0)
    axes[1]["channel_names"] = [f"head{n}" for n in range(len(heads))]
    network = any_package.write_network(folder / "net.onnx", nodes, {"raw": 5}, {one["id"]: 5 for one in outputs})
    inputs = [any_package.tensor("raw", axes)]
    return any_package.write_package(folder, network, inputs, outputs, arrays={"raw": heads[None]}, **fields)


def flows_package(folder: Path) -> Path:
    views = {"outputs": ["flow", "prob"], "method": "flows", "volume": True, "anisotropy": [2.0, 1.0, 1.0]}
    fields = {"config": {"zooferry": {"instances": views}}}
    return label_packages.declared_package(folder, "flows", label_packages.heads_of("flows"), **fields)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("packages")
    return {which: package(folder / which, which) for which in WHICH} | {"flows": flows_package(folder / "flows")}


@pytest.fixture(scope="module")
def in_imagej(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("imagej")
    runs = []
    for which in WHICH:
        heads = heads_of(which)[:, : ODD[0], : ODD[1], : ODD[2]]
        image = label_axes(np.stack([heads, heads]), "tczyx")
        runs.append(imagej.Run(packages[which], (write_image(folder / f"{which}.tif", image),), folder / "out"))
    plane = label_packages.heads_of("flows")
    for name, array, order in (("plane", plane, "cyx"), ("stack", np.stack([plane, plane]), "zcyx")):
        image = write_image(folder / f"{name}.tif", label_axes(array, order))
        runs.append(imagej.Run(packages["flows"], (image,), folder / "out"))
    return dict(zip((*WHICH, "plane", "stack"), imagej.run_packages(runs, threads=1), strict=True))


@pytest.mark.jvm
@pytest.mark.parametrize("which", WHICH)
def test_labels_are_those_of_python(which: str, packages: dict[str, Path], in_imagej: dict[str, Any]) -> None:
    heads = heads_of(which)[None, :, : ODD[0], : ODD[1], : ODD[2]]
    with open_package(packages[which]) as opened:
        expected = list(run_package(opened, {"raw": heads}).values())[-1][0, 0]
    result = in_imagej[which]
    assert not result.message
    labels = read_image(result.results["cells" if which == "step" else "labels"])
    assert labels.dtype == np.uint16
    assert labels.dims == ("t", "z", "y", "x")
    assert expected.max() > 3
    np.testing.assert_array_equal(labels.values[0], expected)
    np.testing.assert_array_equal(labels.values[1], np.where(expected, expected + expected.max(), 0))


@pytest.mark.jvm
def test_flows_from_three_sides_are_refused_in_words_but_planes_run(in_imagej: dict[str, Any]) -> None:
    assert in_imagej["stack"].unsupported
    assert "finds objects through 2 slices from views of three sides" in in_imagej["stack"].message
    assert "take one plane, or use zooferry predict" in in_imagej["stack"].message
    assert not in_imagej["plane"].message
    assert read_image(in_imagej["plane"].results["labels"]).values.max() > 3
