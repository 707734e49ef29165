"""Rows of pictures of label images for the page of ``zooferry check``: objects in colours over the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from zooferry.comparison import spaced
from zooferry.object_colours import with_objects
from zooferry.pictures import Array, Picture, contrast_window, grey_pictures, spatial_parts, structured_crop
from zooferry.report import OutputArrays
from zooferry.segmentation_metrics import outlines, overlap
from zooferry.segmentation_report import COLOURS, coloured, picture_uri

WHOLE_UP_TO = 384  # pixels; of larger images a part is shown
DIM = 0.62  # of the input's brightness under coloured outlines
FILLED = 0.3  # of an object's colour inside of its outline
PARTNER = 0.5  # IoU from which two objects are one, whatever their numbers


def label_pictures(output: OutputArrays, actual: Array) -> tuple[Picture, ...]:
    """Input, expected objects, actual objects, and the pixels in which they differ.

    Parameters
    ----------
    output : OutputArrays
        Of label images.
    actual : ndarray
        Of the shape of the expected ones.
    """
    raw = _plain(output.input, output.input_axes)
    expected, got = (_plain(array, output.axes) for array in (output.expected, actual))
    expected, got = expected.astype(np.int64), got.astype(np.int64)
    view = ""
    if expected.ndim == 3:
        z = int(np.count_nonzero(expected, axis=(1, 2)).argmax())
        view = f"slice z = {z}, in which most is labelled"
        raw = raw[z] if raw.ndim == 3 else raw
        expected, got = expected[z], _renumbered(got, expected)[z]
    else:
        got = _renumbered(got, expected)
    cut = structured_crop(raw, WHOLE_UP_TO) if max(raw.shape) > WHOLE_UP_TO else (slice(None), slice(None))
    raw, expected, got = raw[cut], expected[cut], got[cut]
    pixel = (output.pixel_size.get("x", 0.0), output.unit)
    first = grey_pictures("input", raw, window=contrast_window(raw), caption="raw, its own contrast", pixel=pixel)[0]
    differing = int(np.count_nonzero(expected != got))
    words = f"{spaced(differing)} of {spaced(expected.size)} pixels: missing, and too many" if differing else "none"
    shown = [
        ("expected objects", _objects(raw, expected), f"{_count(expected)} from the stored test output"),
        ("actual objects", _objects(raw, got), f"{_count(got)}, in the colours of their partners"),
        ("pixels that differ", _difference(raw, expected, got), words),
    ]
    pictures = [
        replace(first, title=title, caption=caption, source=picture_uri(picture), low="", high="",
                width=picture.shape[1], height=picture.shape[0])
        for title, picture, caption in shown
    ]  # fmt: skip
    return tuple(replace(picture, view=view) for picture in (first, *pictures))


def _plain(array: Array, axes: Sequence[str]) -> Array:
    """The first image of a tensor, its first channel."""
    return spatial_parts(array, axes)[0][1]


def _count(labels: Array) -> str:
    count = int(np.unique(labels[labels > 0]).size)
    return f"{count} object{'s' if count != 1 else ''}"


def _renumbered(actual: Array, expected: Array) -> Array:
    """The actual objects with the numbers of their partners, others with numbers that are free."""
    found = overlap(expected, actual)
    beyond = int(expected.max(initial=0)) + 1
    numbers = {int(label): beyond + place for place, label in enumerate(found.predicted)}
    numbers |= {predicted: true for true, predicted, _ in found.pairs(PARTNER)}
    values, places = np.unique(actual, return_inverse=True)
    renamed = np.array([numbers.get(int(value), 0) for value in values], np.int64)
    return np.asarray(renamed[places].reshape(actual.shape))


def _objects(raw: Array, labels: Array) -> Array:
    """uint8 Y X 3: every object in a colour of its own over the dimmed input."""
    mixed = with_objects(coloured(raw, DIM) / 255, labels, outlines(labels), filled=FILLED)
    return np.asarray(np.round(255 * mixed), np.uint8)


def _difference(raw: Array, expected: Array, actual: Array) -> Array:
    picture: Array = coloured(raw, DIM)
    picture[(expected != actual) & (expected > 0)] = COLOURS["FN"]
    picture[(expected != actual) & (actual > 0)] = COLOURS["FP"]
    return picture
