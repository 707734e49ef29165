"""Arrays -> pictures that a page can carry in itself: grey images, coloured difference maps, scale bars.

A picture's array has axes (Y, X) or (Z, Y, X); a volume is shown as middle slice, projection and middle section.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Window = tuple[float, float]
WINDOW_PERCENTILES = (0.5, 99.8)
DIFFERENCE_PERCENTILE = 99.9
LARGEST = 384  # pixels along an edge; larger images are binned
BLURRED_FROM = 300  # pixels; smaller pictures are enlarged with visible pixels
CHANNELS_SHOWN = 3
# blue - white - red, readable for the colour-blind: fraction -> red, green, blue
DIVERGING = {0.0: (20, 60, 140), 0.25: (95, 150, 210), 0.5: (250, 250, 250), 0.75: (230, 130, 90), 1.0: (150, 20, 35)}
GREY = {0.0: (0, 0, 0), 1.0: (255, 255, 255)}


@dataclass(frozen=True)
class ScaleBar:
    """A bar of `percent` of the picture's width, with what that is: ``"5 µm"``."""

    percent: float
    label: str


@dataclass(frozen=True)
class Box:
    """A frame over a picture, in percent of its width and height; `kind` sets its colour."""

    kind: str
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Picture:
    """One picture with its words.

    `view` says what of a volume is seen, empty in 2D; `source` is a PNG as a data URI of `width` x `height`
    pixels; `low` and `high` name the ends of the colour range, in words; `signed` says that the colours are a
    difference; `bar` is None without a pixel size. `row` is where a profile was taken, in percent from the top.
    """

    title: str
    view: str
    caption: str
    source: str
    width: int
    height: int
    low: str
    high: str
    signed: bool
    bar: ScaleBar | None
    row: float | None = None
    boxes: tuple[Box, ...] = ()

    @property
    def pixelated(self) -> bool:
        """Whether single pixels should be seen when the page enlarges the picture."""
        return max(self.width, self.height) < BLURRED_FROM


def spatial_parts(array: Array, axes: Sequence[str]) -> list[tuple[str, Array]]:
    """Cut a tensor into images: the first batch entry, every channel (at most three).

    Parameters
    ----------
    array : ndarray
        Axes as named in `axes`, rdf ids such as ``("batch", "channel", "z", "y", "x")``.

    Returns
    -------
    list of (str, ndarray)
        Label (empty for a single channel) and array Y X or Z Y X.
    """
    for axis in [a for a in axes if a not in ("channel", "z", "y", "x")]:
        position = list(axes).index(axis)
        array, axes = array.take(0, position), [a for a in axes if a != axis]
    if "channel" not in axes:
        return [("", array)]
    channels = np.moveaxis(array, list(axes).index("channel"), 0)
    if len(channels) == 1:
        return [("", channels[0])]
    return [(f"channel {n}", channel) for n, channel in enumerate(channels[:CHANNELS_SHOWN])]


def contrast_window(array: Array) -> Window:
    """Grey values shown as black and white: the array's 0.5 and 99.8 percentiles, never empty."""
    finite = array[np.isfinite(array)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(finite, WINDOW_PERCENTILES))
    return (low, high) if high > low else (low, low + 1.0)


def difference_limit(difference: Array, tolerance: float) -> float:
    """Grey values shown in full colour: what is tolerated, or more where the differences are larger."""
    finite = np.abs(difference[np.isfinite(difference)])
    return max(float(np.percentile(finite, DIFFERENCE_PERCENTILE)) if finite.size else 0.0, tolerance) or 1.0


def grey_pictures(
    title: str, array: Array, *, window: Window, caption: str = "", pixel: tuple[float, str] = (0.0, "")
) -> list[Picture]:
    """Pictures of an image: one in 2D; middle slice, maximum projection and middle section z-x in 3D.

    Parameters
    ----------
    title, caption : str
        Words above and below.
    array : ndarray, axes (Y, X) or (Z, Y, X)
    window : (float, float)
        Grey values shown as black and as white.
    pixel : (float, str)
        Size along x and its unit, for the scale bar; 0 if it is not known.
    """
    pictures = []
    for view, plane in _planes(array, signed=False):
        small = _binned(plane, signed=False)
        bar = scale_bar(plane.shape[1], pixel[0], unit=pixel[1])
        pictures.append(
            Picture(
                title=title,
                view=view,
                caption=caption,
                source=_palette_uri(_levels(small, window), GREY),
                width=small.shape[1],
                height=small.shape[0],
                low=_value(window[0]),
                high=_value(window[1]),
                signed=False,
                bar=bar,
            )
        )
    return pictures


def difference_pictures(title: str, difference: Array, *, limit: float, caption: str = "") -> list[Picture]:
    """Pictures of a signed difference, white where it is 0 and in full colour from `limit` on.

    In 3D: the middle slice, and for each pixel the largest difference of its Z column. Binning keeps the
    largest difference too, so a single wrong pixel stays visible.
    """
    pictures = []
    for view, plane in _planes(difference, signed=True):
        small = _binned(plane, signed=True)
        pictures.append(
            Picture(
                title=title,
                view=view,
                caption=caption,
                source=_palette_uri(_levels(small, (-limit, limit)), DIVERGING),
                width=small.shape[1],
                height=small.shape[0],
                low=f"−{_value(limit)}",
                high=f"+{_value(limit)}",
                signed=True,
                bar=None,
            )
        )
    return pictures


def scale_bar(width: int, pixel_size: float, *, unit: str) -> ScaleBar | None:
    """A bar of 1, 2 or 5 times a power of ten, about a fifth of `width` pixels; None without a pixel size."""
    if pixel_size <= 0 or not unit:
        return None
    fifth = width * pixel_size / 5
    decade = 10.0 ** np.floor(np.log10(fifth))
    length = max(step * decade for step in (1, 2, 5) if step * decade <= fifth * 1.0001)
    short = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm"}.get(unit, unit)
    return ScaleBar(percent=100 * length / (width * pixel_size), label=f"{length:g} {short}")


def structured_crop(array: Array, edge: int) -> tuple[slice, slice]:
    """The window of `edge` x `edge` pixels (Y, X) with the largest variance, on a grid of half windows.

    A smaller axis is taken whole. `array` has axes (Y, X) or (Z, Y, X); of a volume the projection counts.
    """
    plane = array.max(axis=0) if array.ndim == 3 else array
    starts = [range(0, max(n - edge, 0) + 1, max(edge // 2, 1)) for n in plane.shape]
    windows = [(slice(y, y + edge), slice(x, x + edge)) for y in starts[0] for x in starts[1]]
    return max(windows, key=lambda window: float(np.var(plane[window])))


def _planes(array: Array, *, signed: bool) -> list[tuple[str, Array]]:
    if array.ndim == 2:
        return [("", array)]
    z, y = (n // 2 for n in array.shape[:2])
    projection = _largest_along(array, 0) if signed else array.max(axis=0)
    return [(f"slice z = {z}", array[z]), ("maximum along z", projection), (f"section y = {y}, z down", array[:, y])]


def _largest_along(array: Array, axis: int) -> Array:
    """The value of largest magnitude along an axis, with its sign."""
    best = np.argmax(np.abs(np.nan_to_num(array, nan=np.inf)), axis=axis)
    largest: Array = np.take_along_axis(array, np.expand_dims(best, axis), axis).squeeze(axis)
    return largest


def _binned(plane: Array, *, signed: bool) -> Array:
    """Bin to at most `LARGEST` pixels an edge: the mean, or for a difference the largest."""
    factor = -(-max(plane.shape) // LARGEST)
    if factor == 1:
        return plane
    height, width = (max(n // factor, 1) for n in plane.shape)
    cut = plane[: height * factor, : width * factor]
    blocks = cut.reshape(height, cut.shape[0] // height, width, cut.shape[1] // width).transpose(0, 2, 1, 3)
    flat = blocks.reshape(height, width, -1)
    return _largest_along(flat, 2) if signed else np.asarray(flat.mean(axis=2))


def _levels(plane: Array, window: Window) -> NDArray[np.uint8]:
    """Grey values to 0-254; 255 marks a value that is not finite."""
    low, high = window
    scaled = (np.clip(plane.astype(np.float64), low, high) - low) / (high - low)
    levels = np.where(np.isfinite(plane), np.round(np.nan_to_num(scaled) * 254), 255)
    return levels.astype(np.uint8)


def _palette_uri(levels: NDArray[np.uint8], colours: Mapping[float, tuple[int, int, int]]) -> str:
    """A PNG with a palette; level 255 is magenta."""
    stops = sorted(colours)
    ramp = [np.interp(np.linspace(0, 1, 255), stops, [colours[s][part] for s in stops]) for part in range(3)]
    palette = np.vstack([np.round(np.stack(ramp, axis=1)), (255, 0, 255)]).astype(np.uint8)
    height, width = levels.shape
    rows = np.hstack([np.zeros((height, 1), np.uint8), levels]).tobytes()
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data)
        for kind, data in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", palette.tobytes()),
            (b"IDAT", zlib.compress(rows, 9)),
            (b"IEND", b""),
        )
    )
    return png_uri(png)


def png_uri(png: bytes) -> str:
    """The bytes of a PNG file as a data URI, for a page that carries its pictures in itself."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _value(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
