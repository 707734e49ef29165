"""Decoding of heads: labels of stardist 0.9.2 and cellpose 3.1.1.2 (golden files), and small cases by head."""

from __future__ import annotations

from pathlib import Path

import label_packages
import numpy as np
import pytest
from simulated_heads import FLOW_CASES, STAR_CASES, Case, blobs, flow_heads, star_heads

from zooferry.axes import label_axes
from zooferry.errors import ZooferryError
from zooferry.images import read_image, write_image
from zooferry.instance_steps import declared
from zooferry.instances.borders import labels_from_classes
from zooferry.instances.declaration import Declaration, decode, read_declaration
from zooferry.instances.flows import fill_and_drop, in_order, labels_from_flows
from zooferry.instances.heat import centre_of, flow_errors, flows_of_labels
from zooferry.instances.star_convex import find_candidates, labels_from_distances, shared_areas
from zooferry.package import open_package
from zooferry.restoring import restore_files
from zooferry.running import run_package

GOLDEN = Path(__file__).parent / "golden" / "instances.npz"


def golden(name: str) -> np.ndarray:
    with np.load(GOLDEN) as found:
        return np.asarray(found[name].astype(np.int32))


@pytest.mark.parametrize("name", STAR_CASES)
def test_star_convex_labels_are_those_of_stardist(name: str) -> None:
    case = STAR_CASES[name]
    labels = labels_from_distances(
        *star_heads(case),
        grid=case.grid,
        prob_thresh=case.prob_thresh,
        nms_thresh=case.nms_thresh,
        border=case.border,
    )
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, golden(f"star_{name}"))


@pytest.mark.parametrize("name", FLOW_CASES)
def test_flow_labels_are_those_of_cellpose(name: str) -> None:
    case = FLOW_CASES[name]
    labels = labels_from_flows(
        *flow_heads(case), prob_thresh=case.prob_thresh, flow_thresh=case.flow_thresh, min_size=case.min_size
    )
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, golden(f"flow_{name}"))


def test_golden_files_hold_objects() -> None:
    counts = {name: len(np.unique(golden(name))) - 1 for name in np.load(GOLDEN).files}
    assert {name for name, count in counts.items() if not count} == {"star_none", "flow_none"}
    assert counts["star_one"] == counts["flow_giant"] == 1
    assert np.bincount(golden("flow_too_large").ravel())[1:].max() < 0.4 * 96 * 96
    assert GOLDEN.stat().st_size < 200_000


def star(centre: tuple[float, float], radius: float, rays: int = 32) -> np.ndarray:
    angles = 2 * np.pi * np.arange(rays) / rays
    return np.stack([centre[0] + radius * np.sin(angles), centre[1] + radius * np.cos(angles)])


SQUARE = np.array([[0, 0, 4, 4], [0, 4, 4, 0.0]])  # Y X, corners
# moved by Y X -> area that both squares share
SHIFTS = [((0, 0), 16), ((1, 1), 9), ((0, 4), 0), ((9, 0), 0), ((0, 2.5), 6), ((-3, 1), 3)]


@pytest.mark.parametrize(("shift", "area"), SHIFTS)
@pytest.mark.parametrize("turned", [False, True])
def test_shared_area_of_squares(shift: tuple[float, float], area: float, turned: bool) -> None:
    other = SQUARE + np.reshape(shift, (2, 1))
    one = SQUARE[:, ::-1] if turned else SQUARE
    others = (other[:, ::-1] if turned else other)[:, None]
    assert shared_areas(one, others) == pytest.approx([area], abs=1e-12)


def test_shared_area_of_turned_squares_is_that_of_the_octagon() -> None:
    diamond, square = star((0, 0), np.sqrt(2), 4), star((0, 0), np.sqrt(2), 8)[:, 1::2]
    assert shared_areas(diamond, square[:, None]) == pytest.approx([8 * (np.sqrt(2) - 1)])
    assert shared_areas(diamond, np.stack([diamond, square], 1)[:, :0]).shape == (0,)


def test_an_object_on_the_frame_is_cut() -> None:
    prob = np.zeros((12, 12), np.float32)
    prob[3, 3] = 1
    labels = labels_from_distances(prob, np.full((32, 12, 12), 5, np.float32))
    assert labels.max() == 1
    assert labels[0, 0] == labels[0, 3] == labels[3, 0] == labels[3, 8] == 1
    assert labels[3, 9] == 0


def test_a_better_candidate_suppresses_and_lies_on_top() -> None:
    prob = np.zeros((40, 40), np.float32)
    prob[20, 12], prob[20, 14], prob[20, 24] = 0.8, 0.9, 0.7  # the first overlaps with the second, the third hardly
    distances = np.full((32, 40, 40), 7, np.float32)
    labels = labels_from_distances(prob, distances)
    assert sorted(np.unique(labels)) == [0, 1, 2]
    assert labels[20, 14] == 1
    assert labels[20, 24] == 2
    assert labels[20, 20] == 1  # where both are


def test_of_equals_the_later_one_goes_first() -> None:
    prob = np.zeros((30, 30), np.float32)
    prob[10:20, 10:20] = 0.75
    prob[12, 12] = 0.8
    found = find_candidates(prob, np.ones((8, 30, 30)), grid=(1, 2), prob_thresh=0.5)
    assert found.points[:3].tolist() == [[12, 24], [19, 38], [19, 36]]
    assert found.points[-1].tolist() == [10, 20]


def test_flow_field_of_one_disc_points_inwards() -> None:
    y, x = np.mgrid[:21, :21]
    labels = (np.hypot(y - 10, x - 10) < 8).astype(np.int32) * 3
    flows = flows_of_labels(labels)
    inside = (labels > 0) & ((y != 10) | (x != 10))
    np.testing.assert_allclose(np.hypot(*flows)[inside], 1)
    assert (flows[0] * (10 - y) + flows[1] * (10 - x))[inside].min() > 0
    assert not flows[:, labels == 0].any()
    errors = flow_errors(labels, flows.astype(np.float32))
    assert errors.shape == (4,)
    assert errors == pytest.approx([0, 0, 0, 0], abs=1e-12)
    assert flow_errors(labels, -flows.astype(np.float32))[3] == pytest.approx(4, rel=0.02)


def test_centre_is_the_pixel_nearest_to_the_mean() -> None:
    mask = np.zeros((5, 7), bool)
    mask[[0, 0, 0, 4], [0, 1, 6, 3]] = True  # mean at Y 1, X 2.5
    assert centre_of(mask) == (0, 1)


def test_small_objects_go() -> None:
    row = np.array([[1, 1, 1, 1, 0, 2, 0, 3, 3, 3, 3]], np.int32)
    assert fill_and_drop(row, 3).tolist() == [[1, 1, 1, 1, 0, 0, 0, 2, 2, 2, 2]]
    assert fill_and_drop(row, 0).tolist() == row.tolist()


def test_cellpose_drops_another_object_than_the_small_one() -> None:
    # 3 is missing, so that the fourth size, 1, is taken for that of number 4; cellpose 3.1.1.2 gives the same
    row = np.array([[1, 1, 1, 0, 2, 2, 2, 0, 4, 4, 4, 0, 5]], np.int32)
    assert fill_and_drop(row, 3).tolist() == [[1, 1, 1, 0, 2, 2, 2, 0, 0, 0, 0, 0, 0]]
    assert fill_and_drop(in_order(row), 3).tolist() == [[1, 1, 1, 0, 2, 2, 2, 0, 3, 3, 3, 0, 0]]


def test_holes_are_filled() -> None:
    ring = np.ones((5, 5), np.int32)
    ring[1:4, 1:4] = 0
    assert fill_and_drop(np.pad(ring, 1), 15).sum() == 25
    ring[0, 2] = 0  # open to the outside
    assert fill_and_drop(np.pad(ring, 1), 15).sum() == 15


def test_numbers_are_in_order() -> None:
    labels = np.array([[0, 7, 7], [3, 3, 9]])
    assert in_order(labels).tolist() == [[0, 1, 1], [2, 2, 3]]


CLASSES = np.zeros((3, 5, 9), np.float32)
CLASSES[0] = 0.6
CLASSES[:, 1:4, 1:3] = CLASSES[:, 1:4, 5:7] = np.reshape([0.1, 0.8, 0.1], (3, 1, 1))
CLASSES[:, 1:4, 3:5] = np.reshape([0.1, 0.2, 0.7], (3, 1, 1))
# grow -> middle row
BORDERS = [(0, [0, 1, 1, 0, 0, 2, 2, 0, 0]), (1, [0, 1, 1, 1, 2, 2, 2, 0, 0]), (9, [0, 1, 1, 1, 2, 2, 2, 0, 0])]


@pytest.mark.parametrize(("grow", "row"), BORDERS)
def test_objects_grow_into_their_border(grow: int, row: list[int]) -> None:
    assert labels_from_classes(CLASSES, grow=grow)[2].tolist() == row


def test_classes_of_a_volume() -> None:
    volume = np.stack([CLASSES, CLASSES], axis=1)
    labels = labels_from_classes(volume, min_size=6)
    assert labels.shape == (2, 5, 9)
    assert labels.max() == 2
    assert labels_from_classes(volume, min_size=13).max() == 0


def test_seventy_thousand_objects_keep_their_numbers() -> None:
    classes = np.zeros((3, 530, 530), np.float32)
    classes[1, ::2, ::2] = 1
    labels = labels_from_classes(classes)
    assert labels.max() == 265 * 265
    assert len(np.unique(labels)) == 265 * 265 + 1


def heads_of(method: str) -> np.ndarray:
    if method == "borders":
        return CLASSES
    case = Case(1, (64, 80), 6, prob_thresh=0.0)
    if method == "flows":
        cellprob, flows = flow_heads(case)
        return np.concatenate([flows, cellprob[None]])
    prob, distances = star_heads(case)
    return np.concatenate([prob[None], distances])


@pytest.mark.parametrize(("method", "count"), [("star_convex", 6), ("flows", 6), ("borders", 2)])
def test_declared_decoding(method: str, count: int) -> None:
    content = {"config": {"zooferry": {"instances": {"method": method, "outputs": ["heads"]}}}}
    declaration = read_declaration(content, ["heads"])
    assert declaration == Declaration(method, ("heads",))
    assert decode(declaration, heads_of(method)).max() == count
    with pytest.raises(ZooferryError, match="have shape"):
        decode(declaration, heads_of(method)[:2])


@pytest.mark.parametrize("cut", [0, 3])
def test_heads_that_repeat_their_grid(cut: int) -> None:
    case = STAR_CASES["grid_uneven"]
    prob, distances = star_heads(case)
    heads = np.concatenate([prob[None], distances])
    repeated = heads.repeat(2, axis=1).repeat(4, axis=2)[:, :, : case.shape[1] - cut]
    plain = Declaration("star_convex", ("heads",), {"grid": [2, 4]})
    declaration = Declaration("star_convex", ("heads",), {"grid": [2, 4], "repeated": True})
    expected = decode(plain, heads, repeated.shape[1:])
    assert expected.max() > 3
    np.testing.assert_array_equal(decode(declaration, repeated), expected)


WRONG = [
    ({"method": "watershed", "outputs": ["a"]}, "the method 'watershed'; allowed: star_convex, flows, borders"),
    ({"method": "flows"}, "the outputs None; allowed: a list of some of a, b"),
    ({"method": "flows", "outputs": ["c"]}, "allowed: a list of some of a, b"),
    ({"method": "flows", "outputs": ["a"], "nms_thresh": 0.4}, "the parameter 'nms_thresh' of flows; allowed: prob"),
    ({"method": "flows", "outputs": ["a"], "min_size": -1}, "min_size '-1'; allowed: a whole number from 0"),
    ({"method": "flows", "outputs": ["a"], "renumber": 1}, "renumber '1'; allowed: true or false"),
    ({"method": "flows", "outputs": ["a"], "prob_thresh": "x"}, "prob_thresh 'x'; allowed: a number"),
    ({"method": "star_convex", "outputs": ["a"], "grid": 2}, "grid '2'; allowed: whole numbers from 1"),
    ("flows", "the method 'flows'; allowed"),
]


@pytest.mark.parametrize(("said", "message"), WRONG)
def test_wrong_declarations_are_refused(said: object, message: str) -> None:
    with pytest.raises(ZooferryError, match=r"config\.zooferry\.instances names ") as error:
        read_declaration({"config": {"zooferry": {"instances": said}}}, ["a", "b"])
    assert message in str(error.value)


@pytest.mark.parametrize("content", [{}, {"config": None}, {"config": {"zooferry": {"target_preprocessing": []}}}])
def test_no_declaration(content: dict[str, object]) -> None:
    assert read_declaration(content, ["a"]) is None


def test_blobs_touch() -> None:
    labels = blobs(STAR_CASES["grid_2"])
    assert ((labels[:, 1:] != labels[:, :-1]) & (labels[:, 1:] > 0) & (labels[:, :-1] > 0)).any()


@pytest.mark.parametrize("method", ["star_convex", "flows", "borders"])
def test_a_package_that_declares_instances_gives_labels(method: str, tmp_path: Path) -> None:
    heads = label_packages.heads_of(method)
    folder = label_packages.declared_package(tmp_path / "package", method, heads)
    said = {key: value for key, value in label_packages.DECLARED[method].items() if key != "outputs"}
    seen = heads[:, ::2, ::2] if method == "star_convex" else heads
    expected = decode(Declaration(method, ("heads",), said), seen)
    assert expected.max() > 3
    with open_package(folder) as package:
        found = run_package(package, {"raw": heads[None]})
    assert list(found)[-1] == "labels"
    np.testing.assert_array_equal(found["labels"], expected[None, None])
    image = label_axes(np.stack([heads, heads]), "zcyx")
    image.attrs.update(pixel_size={"z": 2.0, "y": 0.5, "x": 0.5}, unit="micrometer")
    restore_files(folder, [write_image(tmp_path / "cells.tif", image)], tmp_path / "out", tile=None, say=print)
    labels = read_image(tmp_path / "out" / "cells_labels.tif")
    assert labels.dtype == np.uint16
    assert labels.attrs["pixel_size"] == {"z": 2.0, "y": 0.5, "x": 0.5}
    np.testing.assert_array_equal(labels[0], expected)
    np.testing.assert_array_equal(labels[1], np.where(expected, expected + expected.max(), 0))


@pytest.mark.parametrize("method", ["star_convex", "flows"])
def test_the_steps_of_the_format(method: str, tmp_path: Path) -> None:
    heads = label_packages.heads_of(method)
    with open_package(label_packages.spec_package(tmp_path, method, heads)) as package:
        found = run_package(package, {"raw": heads[None]})["cells"]
    seen = heads[:, ::2, ::2] if method == "star_convex" else heads
    step = label_packages.STEPS[method]
    expected = decode(declared(step["id"], step["kwargs"]), seen)
    assert expected.max() > 3
    np.testing.assert_array_equal(found, expected[None, None])
    assert found.dtype == (np.int32 if method == "star_convex" else np.uint16)
