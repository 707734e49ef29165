"""Predicted scales that hold on images which the network was not fitted to.

A likelihood is minimised on the training images, on other images the scales are then somewhat too small. One factor,
that of least expected calibration error on the validation images, mends that. The package holds it as a processing step
of the output `scale`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zooferry.calibration import in_units_of, widening
from zooferry.prediction import predict_outputs
from zooferry.trained import open_run
from zooferry.training_data import RawSample

FACTOR = "scale_factor"  # in run.json
SCALE = "scale"


def with_recalibrated_scale(run: Path, content: Mapping[str, Any], held: Sequence[RawSample]) -> dict[str, Any]:
    """run.json's content with the factor in the processing of `scale`; as it is where no scale is predicted.

    Parameters
    ----------
    run : Path
        With trained weights.
    content : mapping
        Of run.json; an earlier factor is replaced.
    held : sequence of RawSample
        Validation images with targets; without any, the content stays as it is.
    """
    plain = _without_factor(content)
    if not held or all(output["id"] != SCALE for output in plain["outputs"]):
        return plain
    model = open_run(run, plain)
    parts: list[tuple[np.ndarray, ...]] = []
    for sample in held:
        found = predict_outputs(model, sample.image)
        mean, scale = next(iter(found.values())), found[SCALE]
        truth = in_units_of(model, np.asarray(sample.target), mean=mean, noisy=sample.image)
        parts.append((truth.ravel(), mean.ravel(), scale.ravel()))
    factor = round(widening(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True))), 4)
    step = {"id": "scale_linear", "kwargs": {"gain": factor, "offset": 0.0}}
    outputs = [
        {**output, "postprocessing": [*output["postprocessing"], step]} if output["id"] == SCALE else output
        for output in plain["outputs"]
    ]
    return {**plain, "outputs": outputs, FACTOR: factor}


def _without_factor(content: Mapping[str, Any]) -> dict[str, Any]:
    if FACTOR not in content:
        return dict(content)
    outputs = [
        {**output, "postprocessing": output["postprocessing"][:-1]} if output["id"] == SCALE else output
        for output in content["outputs"]
    ]
    return {key: value for key, value in content.items() if key != FACTOR} | {"outputs": outputs}
