"""Scores of label images: by hand, and against stardist and cellpose.

Expected values of the tables OUTSIDE and BOUNDARY: stardist 0.9.2 (`stardist.matching.matching(a, b, thresh=t)`) and
cellpose 3.1.1.2 (`cellpose.metrics.boundary_scores([a], [b], [2 / cellpose.utils.diameters(a)[0]])`) on discs(seed).
"""

import numpy as np
import pytest

from zooferry.errors import ZooferryError
from zooferry.segmentation_metrics import (
    THRESHOLDS,
    Matching,
    boundary_f,
    outlines,
    overlap,
    pooled,
    score_labels,
    summary,
)


def discs(seed, side=64, cell=16):
    """Discs on a grid, true and predicted: shifted, resized, left out, invented."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    images = np.zeros((2, side, side), np.int64)
    number = [0, 0]
    for top in range(0, side, cell):
        for left in range(0, side, cell):
            cy, cx, r = top + rng.integers(6, 10), left + rng.integers(6, 10), rng.integers(3, 6)
            fate = rng.random()
            here = [fate > 0.12, fate < 0.88]
            dy, dx, dr = rng.integers(-1, 2, 3)
            for k, (a, b, s) in enumerate(((cy, cx, r), (cy + dy, cx + dx, r + dr))):
                if here[k]:
                    number[k] += 1
                    images[k][(y - a) ** 2 + (x - b) ** 2 <= s**2] = number[k]
    return images[0], images[1]


# seed, IoU threshold, TP, FP, FN, accuracy, precision, recall, F1, mean matched score, panoptic quality
OUTSIDE = [
    (0, 0.5, 11, 3, 3, 0.647059, 0.785714, 0.785714, 0.785714, 0.612161, 0.480984),
    (0, 0.75, 2, 12, 12, 0.076923, 0.142857, 0.142857, 0.142857, 0.880435, 0.125776),
    (0, 0.9, 1, 13, 13, 0.037037, 0.071429, 0.071429, 0.071429, 1.0, 0.071429),
    (1, 0.5, 14, 2, 2, 0.777778, 0.875, 0.875, 0.875, 0.608329, 0.532288),
    (2, 0.5, 12, 3, 4, 0.631579, 0.8, 0.75, 0.774194, 0.65615, 0.507987),
    (2, 0.75, 2, 13, 14, 0.068966, 0.133333, 0.125, 0.129032, 0.880435, 0.113604),
    (3, 0.5, 12, 4, 4, 0.6, 0.75, 0.75, 0.75, 0.595167, 0.446375),
    (3, 0.9, 0, 16, 16, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
]
BOUNDARY = [(0, 0.643357), (1, 0.776548), (2, 0.769029), (3, 0.771755)]


@pytest.mark.parametrize("row", OUTSIDE)
def test_counts_and_scores_are_stardists(row):
    seed, threshold, tp, fp, fn, *scores = row
    found = score_labels(*discs(seed)).at(threshold)
    assert (found.matched, found.invented, found.missed) == (tp, fp, fn)
    ours = [found.average_precision, found.precision, found.recall, found.f1, found.matched_iou, found.panoptic_quality]
    assert ours == pytest.approx(scores, abs=1e-6)


@pytest.mark.parametrize(("seed", "expected"), BOUNDARY)
def test_boundary_score_is_cellposes(seed, expected):
    assert boundary_f(*discs(seed), tolerance=2.0) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("true", "predicted", "threshold", "counts"),
    [
        ([0, 1, 1, 1, 1, 0], [0, 7, 7, 0, 0, 0], 0.5, (1, 0, 0, 0.5)),  # an IoU at the threshold is a match
        ([0, 1, 1, 1, 1, 0], [0, 7, 7, 0, 0, 0], 0.55, (0, 1, 1, 0)),
        ([1, 1, 1, 2, 2, 2], [5, 5, 5, 5, 5, 5], 0.5, (1, 0, 1, 0.5)),  # merged: one is missed
        ([1, 1, 1, 1, 0, 0], [5, 5, 6, 6, 0, 0], 0.5, (1, 1, 0, 0.5)),  # split: one is invented
        ([1, 1, 0, 0, 0, 0], [0, 0, 0, 5, 5, 5], 0.5, (0, 1, 1, 0)),
        ([0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], 0.5, (0, 0, 0, 0)),
        ([1, 1, 2, 2, 3, 3], [0, 0, 0, 0, 0, 0], 0.5, (0, 0, 3, 0)),
        ([9000, 9000, 0, 0, 70000, 70000], [1, 1, 0, 0, 2, 2], 0.95, (2, 0, 0, 2)),  # numbers may have gaps
    ],
)
def test_matching_by_hand(true, predicted, threshold, counts):
    found = overlap(np.array([true]), np.array([predicted])).match(threshold)
    assert (found.matched, found.invented, found.missed, found.iou) == pytest.approx(counts)


@pytest.mark.parametrize(
    ("true", "predicted", "seg"),
    [
        ([1, 1, 1, 1], [5, 5, 0, 0], [0]),  # half of the object is not more than half
        ([1, 1, 1, 0], [5, 5, 0, 0], [2 / 3]),
        ([1, 1, 2, 2], [5, 5, 5, 5], [0.5, 0.5]),  # one prediction may count for two objects
        ([1, 1, 2, 2], [0, 0, 0, 0], [0, 0]),
        ([0, 0, 0, 0], [1, 1, 0, 0], []),
    ],
)
def test_seg_by_hand(true, predicted, seg):
    assert overlap(np.array([true]), np.array([predicted])).seg() == pytest.approx(seg)


@pytest.mark.parametrize(
    ("matching", "ap", "precision", "recall", "f1", "quality"),
    [
        (Matching(0, 0, 0, 0), 1, 1, 1, 1, 1),  # nothing there, nothing said
        (Matching(0, 2, 0, 0), 0, 0, 0, 0, 0),
        (Matching(0, 0, 2, 0), 0, 0, 0, 0, 0),
        (Matching(2, 1, 1, 1.5), 0.5, 2 / 3, 2 / 3, 2 / 3, 0.5),
    ],
)
def test_scores_of_counts(matching, ap, precision, recall, f1, quality):
    found = (matching.average_precision, matching.precision, matching.recall, matching.f1, matching.panoptic_quality)
    assert found == pytest.approx((ap, precision, recall, f1, quality))


def test_several_images_pooled_and_in_the_mean():
    scores = [score_labels(*discs(0)), score_labels(*discs(1))]
    mean = summary(scores)
    assert pooled(score.at(0.5) for score in scores).matched == 25
    assert mean["AP"]["0.5"] == pytest.approx((0.647059 + 0.777778) / 2, abs=1e-6)
    assert mean["AP_pooled"]["0.5"] == pytest.approx(25 / 35)
    assert mean["SEG"] == pytest.approx(np.concatenate([score.seg for score in scores]).mean())
    assert list(mean["AP"]) == [str(t) for t in THRESHOLDS]


def test_a_volume_is_one_image():
    true, predicted = (np.stack([labels, labels]) for labels in discs(0))
    assert score_labels(true, predicted).at(0.5) == Matching(11, 3, 3, pytest.approx(6.733772, abs=1e-5))


def test_outlines_by_hand():
    labels = np.array([[0, 0, 0, 0, 0], [1, 1, 1, 2, 2], [1, 1, 1, 2, 2], [1, 1, 1, 0, 0], [0, 0, 0, 0, 0]])
    expected = [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [1, 0, 1, 1, 1], [1, 1, 1, 0, 0], [0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(outlines(labels), np.array(expected, bool))


@pytest.mark.parametrize(
    ("predicted", "words"),
    [
        (np.zeros((3, 4)), "same shape"),
        (np.full((4, 4), 0.5), "whole numbers"),
        (np.full((4, 4), -1), "whole numbers"),
        (np.full((4, 4), np.nan), "whole numbers"),
    ],
)
def test_refusals(predicted, words):
    with pytest.raises(ZooferryError, match=words):
        overlap(np.zeros((4, 4), np.uint16), predicted)
