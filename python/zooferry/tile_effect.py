"""What tiles do to a network that looks at the whole image: measured for each package, as no halo makes them exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zooferry.architectures import reach
from zooferry.foreign import is_foreign
from zooferry.prediction import Model, predict


@dataclass(frozen=True)
class TileEffect:
    """Tiled minus whole prediction, in parts of the whole one's range (percentiles 0.1 to 99.9).

    `tile` is the side of the tiles in pixels, `largest` the largest difference, `rms` the root mean square.
    """

    tile: int
    largest: float
    rms: float


def tile_effect(model: Model, image: np.ndarray) -> TileEffect:
    """Compare tiles of half the image's side (or the smallest possible ones) with the whole image.

    Parameters
    ----------
    model : Model
        With a halo along y and x.
    image : ndarray
        Raw grey values C (Z) Y X.
    """
    tile = max(2 * max(model.halo) + max(model.step), min(image.shape[-2:]) // 2)
    whole = predict(model, image)
    difference = np.abs(predict(model, image, tile=tile) - whole)
    low, high = np.percentile(whole, (0.1, 99.9))
    scaled = difference / max(float(high - low), 1e-12)
    return TileEffect(tile, float(scaled.max()), float(np.sqrt(np.mean(scaled**2))))


def tile_words(run: Path, content: Mapping[str, Any], image: np.ndarray) -> str:
    """Sentences for the package's README; empty for networks whose tiles are exact.

    Parameters
    ----------
    run : Path
    content : mapping
        run.json.
    image : ndarray
        The run's example, raw, C (Z) Y X.
    """
    found = reach(content["network"], int(content["dims"]))
    words = ""
    if max(found.factors) > 1:
        sizes = " x ".join(map(str, found.factors))
        words = f"The output has {sizes} times as many pixels (y, x last), which deepImageJ cannot run.\n"
        if "IsotropicUNet" in content["network"]["architecture"]:
            words += "Trained with `same_size=true`, it would take volumes interpolated along z, there too.\n"
    if found.exact:
        return words
    if is_foreign(content["network"]) and not max(found.halo):
        return words + "Its parent's package declares no halo, so it is never cut into tiles."
    if content.get("whole_images"):
        return words + "Its channel attention averages over the image, so it is never cut into tiles."
    from zooferry.trained import open_run

    effect = tile_effect(open_run(run, content), image)
    why = "Its channel attention averages over what it sees, so tiles are not exact."
    if is_foreign(content["network"]):
        why = "How far a pixel reaches in it is as its parent's package says."
    return words + (
        f"{why} On the example, tiles of "
        f"{effect.tile} pixels differ from the whole image by {effect.largest:.1e} of the image's range at most, "
        f"{effect.rms:.1e} in root mean square. Compare results only if they were tiled alike."
    )
