"""Whole-image and tiled prediction with halo: the reference that every host is compared with.

The image is padded at the high end of every spatial axis (mirrored without repeating the border pixel) up to a
multiple of the step. Tiles start on multiples of the step; the last tile is shifted inwards so that its outer edge
is the padded image's edge. With a halo that covers the network's reach, tiled and whole prediction are equal.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zooferry.errors import ZooferryError
from zooferry.normalization import Operation, apply_operations

Network = Callable[[np.ndarray], Sequence[np.ndarray]]
Tile = tuple[int, int, int]  # start, first kept pixel, end of the kept pixels; all in pixels of the padded image
INPUT = "input"
MAX_MIRRORED = 1 << 28  # values, 1 GiB as float32
DEFAULT_TILE_PIXELS = {2: 1024 * 1024, 3: 64 * 256 * 256}


@dataclass(frozen=True)
class Model:
    """A network with all that is needed to use it on an image.

    Attributes
    ----------
    name : str
    axes : tuple of str
        Axis ids in network order: batch, channel, (z), y, x.
    channels : int
        Channels the network takes.
    step, minimum, halo : tuple of int
        One entry per spatial axis, in pixels.
    preprocessing : tuple of Operation
        Done on whole images in network order.
    outputs : mapping
        Id of an output -> its post-processing, in the order of the network's results.
    network : callable
        float32 array B C (Z) Y X -> one array per output, of the same sizes times `factors`, with its own channels.
    fixed : tuple of int
        The spatial axes (0 is the first) on which the network takes exactly `minimum` pixels.
    factors : tuple of int
        Output over input pixels per spatial axis; () where all sizes are kept, 0 of an axis that the outputs have not,
        1 / g (g a power of 2) where they have every g-th pixel.
    target : tuple of Operation
        What brings a clean reference image to the units of the first output; () where it is not known.
    matched : str
        "gain" or "affine": a clean reference image is first brought to the grey values of its noisy image, whose
        statistics then count (`zooferry.matching`); "" for neither.
    domain : mapping
        What the training images were like, see `zooferry.domain`; empty where it is not known.
    """

    name: str
    axes: tuple[str, ...]
    channels: int
    step: tuple[int, ...]
    minimum: tuple[int, ...]
    halo: tuple[int, ...]
    preprocessing: tuple[Operation, ...]
    outputs: Mapping[str, tuple[Operation, ...]]
    network: Network
    fixed: tuple[int, ...] = ()
    factors: tuple[float, ...] = ()
    target: tuple[Operation, ...] = ()
    matched: str = ""
    domain: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dims(self) -> int:
        """Number of spatial axes of the input."""
        return len(self.step)

    @property
    def output_axes(self) -> tuple[str, ...]:
        """Axis ids of the outputs: those of the input, without the ones that are projected away."""
        gone = [axis for axis, factor in zip(self.axes[2:], self.factors, strict=False) if factor == 0]
        return tuple(axis for axis in self.axes if axis not in gone)


def plan_tiles(length: int, tile: int, halo: int, step: int) -> list[Tile]:
    """Tiles along one axis.

    Parameters
    ----------
    length : int
        Padded length of the axis, a multiple of `step`.
    tile, halo, step : int
        Tile length, halo on either side and step in pixels; tile and halo are rounded up to multiples of the step.

    Returns
    -------
    list of (start, keep_from, keep_to)
        The kept parts follow each other without gap or overlap.

    Examples
    --------
    >>> plan_tiles(20, 12, 4, 2)
    [(0, 0, 8), (4, 8, 12), (8, 12, 20)]
    """
    tile, halo = -(-tile // step) * step, -(-halo // step) * step
    if tile >= length:
        return [(0, 0, length)]
    core = tile - 2 * halo
    if core <= 0:
        raise ZooferryError(f"a tile of {tile} pixels holds nothing but halo; use at least {2 * halo + step}")
    tiles: list[Tile] = []
    kept = 0
    for start in range(0, length, core):
        start = min(start, length - tile)
        end = length if start == length - tile else start + tile - halo
        tiles.append((start, kept, end))
        kept = end
        if end == length:
            break
    return tiles


def pad(image: np.ndarray, step: Sequence[int], minimum: Sequence[int]) -> np.ndarray:
    """Mirror the high end of the spatial (last) axes up to a multiple of `step` and at least `minimum` pixels."""
    sizes = image.shape[-len(step) :]
    wanted = [-(-max(n, m) // s) * s for n, s, m in zip(sizes, step, minimum, strict=True)]
    return mirror(image, (*image.shape[: -len(step)], *wanted))


def mirror(image: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
    """Mirror the high end of every axis that is shorter than `lengths` says, without repeating the border pixel.

    Raises
    ------
    ZooferryError
        The result would be larger than `MAX_MIRRORED` and many times the image: a description asks for the absurd.
    """
    values = math.prod(max(n, goal) for n, goal in zip(image.shape, lengths, strict=True))
    if values > max(MAX_MIRRORED, 16 * image.size):
        raise ZooferryError(f"the model wants at least shape {tuple(lengths)}; this image has {image.shape}; refused")
    for axis, (size, goal) in enumerate(zip(image.shape, lengths, strict=True)):
        if goal > size:
            width = [(0, 0)] * image.ndim
            width[axis] = (0, goal - size)
            image = np.pad(image, width, mode="reflect" if size > 1 else "edge")
    return image


def choose_tile(shape: Sequence[int], model: Model, tile: int | None) -> tuple[int, ...]:
    """Tile lengths per spatial axis, in pixels.

    An axis without a halo is never tiled, because what the network sees there is unknown. The others share the
    default volume (of the output) evenly, or get the length asked for; the whole image is one tile where it is small.
    An axis on which the network takes one length only is tiled with it.
    """
    halo = [-(-h // s) * s for h, s in zip(model.halo, model.step, strict=True)]
    volume = DEFAULT_TILE_PIXELS[model.dims] // math.prod(max(1, factor) for factor in model.factors)
    if tile is None and np.prod(shape) <= volume:
        return _with_fixed(shape, shape, model)
    whole = [n for n, h in zip(shape, halo, strict=True) if h == 0]
    tiled = model.dims - len(whole)
    even = int((volume / np.prod(whole)) ** (1 / max(1, tiled)))
    tiles = [
        n if h == 0 else max(even if tile is None else tile, (3 if tile is None else 2) * h + s)
        for n, h, s in zip(shape, halo, model.step, strict=True)
    ]
    return _with_fixed(tiles, shape, model)


def _with_fixed(tiles: Sequence[int], shape: Sequence[int], model: Model) -> tuple[int, ...]:
    """The tiles, with the only length that is possible on a fixed axis."""
    chosen = list(tiles)
    for i in model.fixed:
        length, halo = model.minimum[i], model.halo[i]
        if shape[i] > length and not 0 < 2 * halo < length:
            why = f"its halo of {halo} pixels leaves nothing of a tile" if halo else "it declares no halo for tiles"
            raise ZooferryError(
                f"{model.name} takes exactly {length} pixels along {model.axes[i + 2]}; this image has {shape[i]}, and "
                f"{why}; crop or rescale the image"
            )
        chosen[i] = length
    return tuple(chosen)


def run_network(model: Model, image: np.ndarray, *, tile: int | None = None) -> list[np.ndarray]:
    """Run the bare network over one normalised image.

    Parameters
    ----------
    model : Model
    image : ndarray
        float32 B C (Z) Y X.
    tile : int, optional
        Tile length in pixels for every spatial axis; by default chosen from the image's size.

    Returns
    -------
    list of ndarray
        One per output of the model: float32 B C (Z) Y X with the sizes of `image`, times the model's factors.
    """
    factors = model.factors or (1,) * model.dims
    sizes = image.shape[2:]
    padded = pad(image, model.step, model.minimum)
    lengths = padded.shape[2:]
    tiles = choose_tile(lengths, model, tile)
    plans = [plan_tiles(*a) for a in zip(lengths, tiles, model.halo, model.step, strict=True)]
    sides = [-(-min(t, n) // s) * s for t, n, s in zip(tiles, lengths, model.step, strict=True)]
    results: list[np.ndarray] = []
    for windows in itertools.product(*plans):
        read = tuple(slice(start, start + side) for (start, _, _), side in zip(windows, sides, strict=True))
        parts = model.network(np.ascontiguousarray(padded[(slice(None), slice(None), *read)]))
        _require_outputs(model, parts, times(sides, factors))
        results = results or [np.empty((*part.shape[:2], *times(lengths, factors)), np.float32) for part in parts]
        grown = [times(window, (factor,) * 3) for window, factor in zip(windows, factors, strict=True) if factor]
        keep = tuple(slice(first, end) for _, first, end in grown)
        inside = tuple(slice(first - start, end - start) for start, first, end in grown)
        for result, part in zip(results, parts, strict=True):
            result[(slice(None), slice(None), *keep)] = part[(slice(None), slice(None), *inside)]
    return [result[(slice(None), slice(None), *[slice(n) for n in times(sizes, factors)])] for result in results]


def times(sizes: Sequence[int], factors: Sequence[float]) -> tuple[int, ...]:
    """Sizes or places in pixels of a grid that has `factors` times more of them; those with factor 0 are dropped."""
    return tuple(math.ceil(n * f) for n, f in zip(sizes, factors, strict=True) if f)


def _require_outputs(model: Model, parts: Sequence[np.ndarray], sides: tuple[int, ...]) -> None:
    if len(parts) != len(model.outputs):
        raise ZooferryError(f"{model.name}: its network gave {len(parts)} outputs, declared are {len(model.outputs)}")
    for part in parts:
        if part.shape[2:] != sides:
            raise ZooferryError(f"{model.name}: its network turned {sides} pixels into {part.shape[2:]}")


def predict(model: Model, image: np.ndarray, *, tile: int | None = None) -> np.ndarray:
    """The first output of :func:`predict_outputs`, which is the restored image."""
    return next(iter(predict_outputs(model, image, tile=tile).values()))


def predict_outputs(model: Model, image: np.ndarray, *, tile: int | None = None) -> dict[str, np.ndarray]:
    """Restore one raw image: normalise the whole image, run the network in tiles, scale back.

    Parameters
    ----------
    model : Model
    image : ndarray
        Raw grey values C (Z) Y X.

    Returns
    -------
    dict
        Output id -> array C (Z) Y X (see `Model.output_axes`), float32 unless the output's own steps say otherwise.

    Raises
    ------
    ZooferryError
        The image's channels or axes do not fit the model.
    """
    if image.ndim != model.dims + 1:
        raise ZooferryError(f"{model.name} takes {model.dims} spatial axes; this image has {image.ndim - 1}")
    if image.shape[0] != model.channels:
        raise ZooferryError(
            f"image has {image.shape[0]} channel(s), {model.name} takes {model.channels}; "
            "split or merge the channels (ImageJ: Image > Color)"
        )
    steps = [*model.preprocessing, *itertools.chain.from_iterable(model.outputs.values())]
    # whatever the description calls the input: it is the only one that a step can refer to
    named = {INPUT, *[str((step.get("kwargs") or {}).get("reference_tensor")) for step in steps]}
    raw = dict.fromkeys(named, (image[np.newaxis], model.axes))
    batch = apply_operations(model.preprocessing, image[np.newaxis], model.axes, references=raw, own=INPUT)
    results = run_network(model, batch, tile=tile)
    return {
        name: apply_operations(operations, result, model.output_axes, references=raw)[0]
        for (name, operations), result in zip(model.outputs.items(), results, strict=True)
    }
