"""Covers and label pictures: objects in colours of their own over the image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from labelled_images import labelled_array
from matplotlib.image import imread
from simulated_heads import Case, blobs, star_heads

from zooferry.comparison import compare
from zooferry.covers import labels_of, write_cover
from zooferry.figures import output_rows
from zooferry.packaged_tensors import Example
from zooferry.report import HostRow, OutputArrays

CASE = Case(1, (64, 64), 9, (5, 8), rays=16, prob_thresh=0.3)
STAR = {"method": "star_convex", "outputs": ["prob", "dist"], "prob_thresh": 0.3, "nms_thresh": 0.4, "grid": [2, 2]}


def example(**outputs: np.ndarray) -> Example:
    """The raw image is bright where objects are."""
    raw = 20 + 100 * (blobs(CASE) > 0).astype(np.float32)
    return Example(raw[np.newaxis], outputs, None)


def test_a_cover_shows_the_decoded_objects(tmp_path: Path) -> None:
    prob, dist = star_heads(CASE)
    shown = example(prob=prob[np.newaxis], dist=dist)
    labels = labels_of(shown, {"instances": STAR})
    assert labels is not None
    assert labels.shape == (64, 64)
    assert labels.max() > 5
    write_cover(tmp_path / "cover.png", shown, {"instances": STAR})
    cover = np.round(imread(tmp_path / "cover.png")[..., :3] * 255).astype(int)
    assert cover.shape == (512, 1024, 3)
    left, right = cover[:, :512], cover[:, 512:]
    assert (np.ptp(left, axis=2) == 0).all(), "the input is grey"
    coloured = np.ptp(right, axis=2)[4::8, 4::8] > 20
    np.testing.assert_array_equal(coloured, labels > 0)
    step = labels[np.newaxis].astype(np.float32)
    write_cover(tmp_path / "step.png", example(labels=step), {"labels_step": "stardist_postprocessing"})
    np.testing.assert_array_equal(imread(tmp_path / "step.png"), imread(tmp_path / "cover.png"))


def test_a_cover_of_a_restoration_is_grey(tmp_path: Path) -> None:
    shown = example(restored=np.ones((1, 64, 64), np.float32))
    assert labels_of(shown, {}) is None
    write_cover(tmp_path / "cover.png", shown, {})
    cover = imread(tmp_path / "cover.png")
    assert cover.shape[:2] == (512, 1024)
    assert (np.ptp(cover[..., :3], axis=2) == 0).all()


@pytest.mark.parametrize("dims", [2, 3])
def test_the_check_page_shows_objects_by_partners(dims: int) -> None:
    image, labels = labelled_array(1, dims)
    expected = labels.astype(np.int64)
    actual = np.where(expected > 0, 100 - expected, 0)  # other numbers, the same objects
    missing = int(np.count_nonzero(expected[len(expected) // 4] == 1)) if dims == 3 else int((expected == 1).sum())
    actual[expected == 1] = 0
    axes = ("z", "y", "x")[-dims:]
    output = OutputArrays("labels", axes, image, axes, expected, {"onnx": actual}, labels=True)
    verdict = compare(actual.astype(float), expected.astype(float), name="labels")
    rows = output_rows(output, [HostRow("onnx", "1", "failed", "", 1.0, (verdict,))])
    (line,) = rows[0].lines
    assert [picture.title for picture in line] == ["input", "expected objects", "actual objects", "pixels that differ"]
    words = [picture.caption for picture in line[1:]]
    count = len(np.unique(expected)) - 1
    assert words[0].startswith(f"{count} objects")
    assert words[1].startswith(f"{count - 1} objects")
    assert words[2].startswith(f"{missing} of ")
    assert json.dumps([picture.source[:22] for picture in line]).count("data:image/png;base64") == 4
