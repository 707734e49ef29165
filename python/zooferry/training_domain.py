"""The domain of a training run: what its images are like, the ones that are made while training included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from zooferry.domain import measure
from zooferry.on_the_fly import take_again
from zooferry.settings import Settings
from zooferry.training_data import RawSample

T = TypeVar("T")
MEASURED = 256  # samples at most
EXPOSURES, EXPOSED = 3, 24  # further ones of each made image, and of all of them together


def training_domain(samples: Sequence[RawSample], settings: Settings, calibration: Mapping[str, Any]) -> dict[str, Any]:
    """See `zooferry.domain.measure`.

    Images that are made from clean ones are made a few more times, because training makes them anew all the time.

    Parameters
    ----------
    samples : sequence of RawSample
        Those that train.
    settings : Settings
        With ``degrade`` where there are made ones.
    calibration : mapping
        "pixel_size" and "unit" of the images.
    """
    chosen = spread(samples, MEASURED)
    images = [sample.image for sample in chosen]
    made = spread([(i, s.source) for i, s in enumerate(chosen) if s.source is not None], EXPOSED)
    for number, source in made:
        for exposure in range(max(1, min(EXPOSURES, EXPOSED // len(made)))):
            rng = np.random.default_rng([settings.seed, number, 1 + exposure])
            images.append(take_again(source, settings, dict(calibration), rng)[0])
    return measure(images, calibration=calibration, independent=len({sample.file for sample in samples}))


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most so many of the items, evenly spread."""
    if len(items) <= most:
        return list(items)
    return [items[i * len(items) // most] for i in range(most)]
