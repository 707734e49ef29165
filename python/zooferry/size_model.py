"""From a trained network's style to the diameter of an image's objects: fitted after training, asked before prediction.

Stringer et al., Cellpose, Nature Methods 2021, section "Size model": the style is the mean over the image of the
deepest features, of length 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zooferry import run_folder
from zooferry.diameters import (
    SizeModel,
    fit_size_model,
    nearest,
    object_diameter,
    read_size_model,
    resized,
    scaled_shape,
)
from zooferry.files import write_json
from zooferry.methods.tensors import as_tensor
from zooferry.normalization import apply_operations
from zooferry.prediction import mirror
from zooferry.trained import build_trained_network, geometry
from zooferry.training_data import RawData

SCALES = (0.5, 0.71, 1.0, 1.41, 2.0)
MOST_IMAGES = 100
LARGEST = 512  # pixels along an axis: more of an image is not looked at


def with_diameter(raw: RawData, diameter: float, *, zoom: float, smallest: int) -> RawData:
    """Each image and its labels rescaled so that its objects have the wanted median diameter.

    Parameters
    ----------
    raw : RawData
        2D, with label images; images without objects stay as they are.
    diameter : float
        Pixels.
    zoom : float
        Patches will be enlarged by 1 to this: images are made smaller by its root, so that sizes spread about the
        wanted one.
    smallest : int
        Pixels along Y and X that every image has then; smaller ones are mirrored.
    """
    samples = []
    for sample in raw.samples:
        assert sample.target is not None
        own = object_diameter(sample.target)
        shape = scaled_shape(sample.image.shape, diameter / own / zoom**0.5) if own else sample.image.shape[-2:]
        lengths = [1, *(max(n, smallest) for n in shape)]
        image = mirror(resized(sample.image, shape), [len(sample.image), *lengths[1:]])
        target = mirror(nearest(sample.target, shape), lengths)
        samples.append(replace(sample, image=image, target=target))
    return replace(raw, samples=samples)


def add_size_model(run: Path, raw: RawData, say: Callable[[str], None]) -> None:
    """Fit the size model of a run on its images, each at several scales; it becomes ``size_model`` of run.json."""
    look = style_finder(run)
    styles, diameters = [], []
    for sample in raw.samples[:: -(-len(raw.samples) // MOST_IMAGES)]:
        assert sample.target is not None
        diameter = object_diameter(sample.target)
        for scale in SCALES if diameter else ():
            image = resized(sample.image, scaled_shape(sample.image.shape, scale))
            styles.append(look(image))
            diameters.append(diameter * scale)
    fitted = fit_size_model(styles, diameters)
    errors = [abs(np.log(fitted.diameter(style) / d)) for style, d in zip(styles, diameters, strict=True)]
    content = run_folder.read_run(run)
    write_json(run / run_folder.RUN_FILE, {**content, "size_model": fitted.entry()})
    wrong = 100 * (np.exp(np.median(errors)) - 1)
    say(f"size model: diameters of {len(diameters)} images at {len(SCALES)} scales, half of them within {wrong:.0f} %")


def style_finder(run: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Image C Y X in grey values -> style, float32."""
    content = run_folder.read_run(run)
    network: Any = build_trained_network(run)
    step = geometry(content)["step"]

    def look(image: np.ndarray) -> np.ndarray:
        seen = image[np.newaxis, :, :LARGEST, :LARGEST]
        normalised = apply_operations(content["preprocessing"], seen, ("batch", "channel", "y", "x"))
        lengths = [-(-n // s) * s for n, s in zip(seen.shape[2:], step, strict=True)]
        with torch.inference_mode():
            features = as_tensor(mirror(normalised, (1, len(image), *lengths)), network)
            for level, block in enumerate(network.down):
                features = block(network.pool(features) if level else features)
            style: np.ndarray = network.style_of(features)[0].cpu().numpy()
        return style

    return look


def diameter_finder(run: Path) -> Callable[[np.ndarray], float]:
    """Image C Y X in grey values -> diameter of its objects in pixels, by the size model of a run."""
    model: SizeModel = read_size_model(run_folder.read_run(run)["size_model"])
    look = style_finder(run)
    return lambda image: model.diameter(look(image))
