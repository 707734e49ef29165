"""What a package says about the differences that it allows: ``config.bioimageio.reproducibility_tolerance``.

`zooferry check` measures with its own strict limits. Where only they are exceeded, and the authors declared looser
ones, the host's row says "tolerated" with both, so that the reader can judge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zooferry.comparison import short_number

STATUS = "tolerated"


@dataclass(frozen=True)
class Tolerance:
    """``|actual - expected| <= absolute + relative * |expected|`` but for `ppm` values in a million."""

    relative: float
    absolute: float
    ppm: float

    def words(self) -> str:
        """Such as "1e-3 + 0.01 x |expected| for all but 100 ppm"."""
        values = f"{short_number(self.absolute)} + {short_number(self.relative)} x |expected|"
        return f"{values} for all but {self.ppm:g} ppm" if self.ppm else values


FORMAT = Tolerance(1e-3, 1e-3, 100)  # bioimageio.spec's defaults for what an entry leaves out
LARGEST = Tolerance(1e-2, math.inf, 1000)  # what bioimageio.spec lets an entry say


def declared_tolerance(content: Mapping[str, Any], output: str, weights: str) -> Tolerance | None:
    """The first entry that is for this output and weight format, as bioimageio.core 0.11.0 chooses it.

    Parameters
    ----------
    content : mapping
        A description.
    output : str
        The output's id.
    weights : str
        "pytorch_state_dict", "torchscript" or "onnx".

    Returns
    -------
    Tolerance or None
        None where nothing is declared, or what is declared is nothing that the format allows.
    """
    config = content.get("config")
    section = config.get("bioimageio") if isinstance(config, Mapping) else None
    entries = section.get("reproducibility_tolerance") if isinstance(section, Mapping) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping) and _is_for(entry, output, weights):
            return _read(entry)
    return None


def _is_for(entry: Mapping[str, Any], output: str, weights: str) -> bool:
    for key, name in (("output_ids", output), ("weights_formats", weights)):
        names = entry.get(key) or ()
        if names and not (isinstance(names, list) and name in names):
            return False
    return True


def _read(entry: Mapping[str, Any]) -> Tolerance | None:
    keys = ("relative_tolerance", "absolute_tolerance", "mismatched_elements_per_million")
    defaults = (FORMAT.relative, FORMAT.absolute, FORMAT.ppm)
    limits = (LARGEST.relative, LARGEST.absolute, LARGEST.ppm)
    values = [entry.get(key, default) for key, default in zip(keys, defaults, strict=True)]
    for value, limit in zip(values, limits, strict=True):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        if not (math.isfinite(value) and 0 <= value <= limit):
            return None
    return Tolerance(*[float(value) for value in values])
