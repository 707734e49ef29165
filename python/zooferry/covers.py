"""The cover picture of a package: what goes in and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zooferry.instances.declaration import LABELS, decode, read_declaration
from zooferry.object_colours import with_objects
from zooferry.packaged_tensors import Example

SIDE = 512  # pixels of a tile
FILLED = 0.45  # of an object's colour inside of its outline


def write_cover(path: Path, example: Example, content: Mapping[str, Any]) -> None:
    """Write a picture of the first channel and the middle plane, cropped to squares as the zoo wants them.

    Input on the left and output on the right; with three outputs or more, a square of the input and these. Of a
    segmentation the objects stand on the right, each in a colour of its own over the input.

    Parameters
    ----------
    path : Path
    example : Example
    content : mapping
        run.json.
    """
    from matplotlib.image import imsave

    labels = labels_of(example, content)
    if labels is not None:
        plane = _plane(example.seen, example)
        tiles = [_grey_tile(plane), _object_tile(plane, _middle(labels))]
    else:
        tiles = [_grey_tile(_plane(array, example)) for array in (example.seen, *example.outputs.values())]
    rows = [tiles[:2], tiles[2:4]] if len(tiles) > 3 else [tiles[:2]]
    picture = np.vstack([np.hstack(row) for row in rows])
    imsave(path, np.round(255 * picture).astype(np.uint8), format="png", metadata={"Software": ""})


def labels_of(example: Example, content: Mapping[str, Any]) -> np.ndarray | None:
    """The objects of the example, (Z) Y X; None of a model that makes none."""
    if "labels_step" in content:
        return np.asarray(example.outputs[LABELS][0], np.int64)
    if "instances" not in content:
        return None
    said = {"config": {"zooferry": {"instances": content["instances"]}}}
    declaration = read_declaration(said, list(example.outputs))
    assert declaration is not None
    heads = np.concatenate([example.outputs[name] for name in declaration.outputs])
    shape = example.raw.shape[1:]
    if heads.ndim == 4 and not declaration.volume:  # C Z Y X whose planes are decoded one by one
        return np.stack([decode(declaration, plane, shape[1:]) for plane in np.moveaxis(heads, 1, 0)])
    return decode(declaration, heads, shape)


def _middle(labels: np.ndarray) -> np.ndarray:
    return labels if labels.ndim == 2 else np.asarray(labels[len(labels) // 2])


def _plane(array: np.ndarray, example: Example) -> np.ndarray:
    """The middle slice, or where the network makes z finer the middle section z-x, its slices as thick as they were."""
    if array.ndim == 3:
        return np.asarray(array[0])
    finest = example.restored.shape[1]
    if finest > example.raw.shape[1]:
        return np.repeat(array[0, :, array.shape[2] // 2], finest // array.shape[1], axis=0)
    return np.asarray(array[0, array.shape[1] // 2])


def _square(plane: np.ndarray) -> np.ndarray:
    """The middle of a plane Y X, with pixels of several pixels where it is small."""
    side = min(plane.shape)
    top, left = ((n - side) // 2 for n in plane.shape)
    grow = max(1, SIDE // side)
    part = plane[top : top + side, left : left + side]
    return np.repeat(np.repeat(part, grow, axis=0), grow, axis=1)


def _grey_tile(plane: np.ndarray) -> np.ndarray:
    """Y X 3 from 0 to 1."""
    square = _square(plane)
    low, high = np.percentile(square, (0.5, 99.8))
    grey = np.clip((square - low) / max(high - low, 1e-9), 0, 1)
    return np.repeat(grey[..., np.newaxis], 3, axis=2)


def _object_tile(plane: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The same with coloured objects, their outlines in full colour."""
    from zooferry.segmentation_metrics import outlines

    square = _square(labels)
    edges = outlines(square)
    edges |= outlines(np.where(edges, 0, square))
    return with_objects(_grey_tile(plane), square, edges, filled=FILLED)
