"""Clean partners on the scale of their noisy images.

Pairs are often saved each with a contrast of its own. Then the gain between the two differs from pair to pair for no
reason that a network could see in the noisy image, and learning it spoils what it learns of the structures. Matched
by gain and offset, what is left to learn is the noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zooferry.axes import network_axes
from zooferry.errors import ZooferryError
from zooferry.normalization import Operation, apply_operations

OWN = "raw"
MATCHINGS = ("gain", "affine")


def matching_of(settings: Any, channels: tuple[int, int]) -> str:
    """What `scaled_like` shall do; "" where targets are not to be matched, or have other channels than the images."""
    chosen = str(getattr(settings, "match", "none"))
    return chosen if chosen in MATCHINGS and channels[0] == channels[1] else ""


def matched(target: np.ndarray, image: np.ndarray, name: str = "") -> np.ndarray:
    """The target on the grey values of its noisy image, by least squares over all pixels of a channel.

    Parameters
    ----------
    target, image : ndarray
        C (Z) Y X, of the same shape.
    name : str
        For the message.

    Returns
    -------
    ndarray of float32
        ``gain * target + offset`` for every channel. The noise of `image` does not bias the fit, clipped pixels do.

    Raises
    ------
    ZooferryError
        The target does not get brighter where its image does.
    """
    found = np.empty(target.shape, np.float32)
    for channel, (clean, noisy) in enumerate(zip(target, image, strict=True)):
        first, second = clean.astype(np.float64), noisy.astype(np.float64)
        centred = first - first.mean()
        power = float(np.mean(centred**2))
        gain = float(np.mean(centred * second)) / power if power else 0.0
        if gain <= 0 < power:
            raise ZooferryError(
                f"{name or 'a target'}: its clean partner is not brighter where the image is (gain {gain:.3g}), so it "
                "cannot be matched; look whether the two belong together, or say --set match=none"
            )
        found[channel] = gain * centred + second.mean()
    return found


def scaled_like(
    preprocessing: Sequence[Operation], target: np.ndarray, image: np.ndarray, *, matching: str, name: str = ""
) -> np.ndarray:
    """A target in the network's units, scaled with the statistics of its image; both C (Z) Y X.

    Parameters
    ----------
    preprocessing : sequence of Operation
        Of the image, with a ``scale_range``.
    target, image : ndarray
        Grey values.
    matching : str
        "affine": gain and offset of `matched` count. "gain": its gain alone, and the target's own lower percentile
        becomes 0, so that the dark of every image is at 0 however strong its noise.
    name : str
        For the message of `matched`.
    """
    names = network_axes(image.ndim - 1)
    raw = {OWN: (image[np.newaxis], names)}
    fitted = matched(target, image, name)[np.newaxis]
    scaled: np.ndarray = apply_operations(preprocessing, fitted, names, references=raw, own=OWN)[0]
    if matching == "affine":
        return scaled
    kwargs = next(o["kwargs"] for o in preprocessing if o["id"] == "scale_range")
    first = 0 if "channel" in kwargs["axes"] else 1  # all channels together, or each
    over = tuple(range(first, scaled.ndim))
    dark = np.percentile(scaled.astype(np.float64), kwargs["min_percentile"], axis=over, keepdims=True)
    return np.asarray(scaled - dark, np.float32)
