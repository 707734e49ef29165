"""The flows that a label image has: heat that spreads from each object's centre. Stringer et al. 2021, as `flows`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

TOGETHER = 1 << 15  # pixels of objects whose heat spreads together: they stay in the processor's cache
# centre, up, down, left, right, and the four corners: the order in which neighbours are added
NEIGHBOURS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


def flow_errors(labels: np.ndarray, flows: np.ndarray) -> np.ndarray:
    """How far flows are from those of the labels.

    Parameters
    ----------
    labels : ndarray
        Y X, 0 is background.
    flows : ndarray
        2 Y X, float32, unit vectors.

    Returns
    -------
    ndarray
        float64, for each number from 0 to the highest label the mean squared distance inside of it; 0 for 0.
    """
    own = flows_of_labels(labels)
    numbers = labels.ravel()
    sizes = np.maximum(np.bincount(numbers), 1)
    errors = np.zeros(len(sizes))
    for axis in range(len(flows)):
        errors += np.bincount(numbers, ((own[axis] - flows[axis]) ** 2).ravel()) / sizes
    errors[0] = 0
    return errors


def flows_of_labels(labels: np.ndarray) -> np.ndarray:
    """float64, 2 Y X: inside objects unit vectors up the heat, 0 where there is no slope and outside."""
    flows = np.zeros((2, *labels.shape))
    for objects in _alike(labels):
        masks, windows = zip(*objects, strict=True)
        height, width = (max(mask.shape[axis] for mask in masks) + 2 for axis in (0, 1))
        inside = np.zeros((len(masks), height, width))
        for n, mask in enumerate(masks):
            inside[n, 1 : mask.shape[0] + 1, 1 : mask.shape[1] + 1] = mask
        heat = _spread(inside, [centre_of(mask) for mask in masks], [_steps(mask) for mask in masks])
        slopes = np.zeros((2, len(masks), height, width))
        slopes[0, :, 1:-1] = heat[:, 2:] - heat[:, :-2]
        slopes[1, :, :, 1:-1] = heat[:, :, 2:] - heat[:, :, :-2]
        slopes /= 1e-60 + np.sqrt(slopes[0] ** 2 + slopes[1] ** 2)
        for n, (mask, window) in enumerate(zip(masks, windows, strict=True)):
            rows, columns = (slice(1, length + 1) for length in mask.shape)
            flows[(slice(None), *window)][:, mask] = slopes[:, n, rows, columns][:, mask]
    return flows


def centre_of(mask: np.ndarray) -> tuple[int, int]:
    """The pixel of an object that is nearest to the mean of all of them, the first one of several; Y X."""
    y, x = np.nonzero(mask)
    nearest = np.argmin((x - x.mean()) ** 2 + (y - y.mean()) ** 2)
    return int(y[nearest]), int(x[nearest])


def _steps(mask: np.ndarray) -> int:
    height, width = mask.shape
    return 2 * (int(height) + int(width) + 4)


def _alike(labels: np.ndarray) -> Iterator[list[tuple[np.ndarray, tuple[slice, ...]]]]:
    # objects as (mask, window), in groups of similar size, the smallest first
    windows = [(n, w) for n, w in enumerate(ndimage.find_objects(labels), 1) if w is not None]
    objects = sorted(((labels[w] == n, w) for n, w in windows), key=lambda one: _steps(one[0]))
    group: list[tuple[np.ndarray, tuple[slice, ...]]] = []
    height = width = 0
    for one in objects:
        height, width = max(height, one[0].shape[0] + 2), max(width, one[0].shape[1] + 2)
        if group and (len(group) + 1) * height * width > TOGETHER:
            yield group
            group, height, width = [], one[0].shape[0] + 2, one[0].shape[1] + 2
        group.append(one)
    if group:
        yield group


def _spread(inside: np.ndarray, centres: list[tuple[int, int]], steps: list[int]) -> np.ndarray:
    # N Y X of 0 and 1, with a frame of 0; `steps` grow with N; each step adds 1 at the centre and takes means of 3 x 3.
    # All objects lie one behind the other in a line; what comes in from the next one meets the frame
    _, height, width = inside.shape
    allowed, heat = inside.ravel(), np.zeros(inside.size)
    begins = np.arange(len(steps)) * height * width
    rows, columns = np.asarray(centres).T + 1
    middles = begins + rows * width + columns
    shifts = [down * width + right for down, right in NEIGHBOURS]
    first = 0
    for step in range(steps[-1]):
        while steps[first] == step:
            first += 1
        heat[middles[first:]] += 1
        begin, end = begins[first] + width + 1, heat.size - width - 1
        total = heat[begin:end] + heat[begin + shifts[1] : end + shifts[1]]
        for shift in shifts[2:]:
            total += heat[begin + shift : end + shift]
        total *= 1 / 9.0
        np.multiply(total, allowed[begin:end], out=heat[begin:end])
    return heat.reshape(inside.shape)
