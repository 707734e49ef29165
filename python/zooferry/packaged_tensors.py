"""The tensors of a package: test arrays, sample images, and what rdf.yaml says about them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from zooferry import axes
from zooferry.architectures import reach
from zooferry.errors import ZooferryError
from zooferry.images import read_image, write_image
from zooferry.methods.outputs import Output, channel_names, data_description, read_outputs
from zooferry.prediction import predict_outputs
from zooferry.trained import geometry, open_run

INPUT = "raw"
INPUT_TYPES = ("uint8", "uint16")


@dataclass(frozen=True, eq=False)
class Example:
    """The run's example: raw image, outputs by id, and the clean image or None; arrays C (Z) Y X.

    Outputs and clean image of a projection have no z.
    """

    raw: np.ndarray
    outputs: Mapping[str, np.ndarray]
    target: np.ndarray | None

    @property
    def restored(self) -> np.ndarray:
        """The first output."""
        return next(iter(self.outputs.values()))

    @property
    def seen(self) -> np.ndarray:
        """The raw image, or its maximum projection where the outputs have no z."""
        return self.raw if self.raw.ndim == self.restored.ndim else self.raw.max(axis=1)


def write_example(run: Path, parts: Path, content: Mapping[str, Any], example: Path | None = None) -> Example:
    """Write test tensors and sample images; the test outputs are the re-loaded model's on the raw example.

    Parameters
    ----------
    run, parts : Path
        Where the example is, and where the package is being put together.
    content : mapping
        run.json.
    example : Path, optional
        An image to use instead of the run's, which is a part of a validation image.

    Raises
    ------
    ZooferryError
        That image is none the network takes as it is.
    """
    raw = read_image(example or run / "example_input.tif")
    model = open_run(run, content)
    array = next(array for _, array in axes.samples(raw, model.dims))
    if example is not None:
        _require_fitting(example, array, content)
    found = predict_outputs(model, array)
    np.save(parts / "test_input.npy", array[np.newaxis])
    write_image(parts / "sample_input.tif", raw)
    for output, name in zip(read_outputs(content), file_names(found), strict=True):
        np.save(parts / f"test_{name}.npy", found[output.id][np.newaxis])
        write_image(parts / f"sample_{name}.tif", _like(raw, found[output.id]))
    target = run / "example_target.tif"
    flat = len(model.output_axes) - 2
    has_target = example is None and target.exists()
    wanted = next(a for _, a in axes.samples(read_image(target), flat)) if has_target else None
    return Example(array, found, wanted)


def _require_fitting(example: Path, array: np.ndarray, content: Mapping[str, Any]) -> None:
    shape, channels = geometry(content), int(content["channels"][0])
    places = zip(array.shape[1:], shape["minimum"], shape["step"], strict=True)
    if len(array) != channels or any(n < least or (n - least) % step for n, least, step in places):
        sizes = ", ".join(f"{m} + n x {s}" for m, s in zip(shape["minimum"], shape["step"], strict=True))
        raise ZooferryError(
            f"{example}: {len(array)} channel(s) of {array.shape[1:]} pixels; an example for this network has "
            f"{channels} channel(s) and {sizes} pixels along {', '.join(axes.spatial_axes(int(content['dims'])))}"
        )


def file_names(outputs: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """Part of the file names of each output: "output", or of several "output_<id>"."""
    return ["output"] if len(outputs) == 1 else [f"output_{name}" for name in outputs]


def _like(raw: xr.DataArray, found: np.ndarray) -> xr.DataArray:
    image = axes.label_axes(found, ("c", *axes.spatial_axes(found.ndim - 1)))
    image.attrs.update(raw.attrs)
    return image


def describe_input(parts: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of ``inputs`` in rdf.yaml."""
    array = np.load(parts / "test_input.npy")
    return {
        "id": INPUT,
        "description": "raw grey values",
        "axes": [*_batch_and_channels(channel_names(Output(INPUT), array.shape[1])), *_space(content, is_input=True)],
        "data": {"type": str(array.dtype) if str(array.dtype) in INPUT_TYPES else "float32"},
        "test_tensor": {"source": "test_input.npy"},
        "sample_tensor": {"source": "sample_input.tif"},
        "preprocessing": content["preprocessing"],
    }


def describe_outputs(parts: Path, content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of ``outputs`` in rdf.yaml, in the order of the network's results."""
    outputs = read_outputs(content)
    entries = []
    for output, name in zip(outputs, file_names([o.id for o in outputs]), strict=True):
        array = np.load(parts / f"test_{name}.npy")
        channels = channel_names(output, array.shape[1])
        entries.append(
            {
                "id": output.id,
                "description": output.description,
                "axes": [*_batch_and_channels(channels), *_space(content, is_input=False)],
                "data": data_description(output, str(array.dtype)),
                "test_tensor": {"source": f"test_{name}.npy"},
                "sample_tensor": {"source": f"sample_{name}.tif"},
                "postprocessing": list(output.steps),
            }
        )
    return entries


def _batch_and_channels(names: list[str]) -> list[dict[str, Any]]:
    return [{"type": "batch"}, {"type": "channel", "channel_names": names}]


def _space(content: Mapping[str, Any], *, is_input: bool) -> list[dict[str, Any]]:
    """Spatial axes; the minimum is a multiple of the step and output sizes equal input sizes, as Java hosts need.

    Only a network that enlarges has another size, which JDLL (deepImageJ) gets wrong and Zooferry in Fiji does not.

    No pixel size is declared here: JDLL 0.6.3 (deepImageJ) takes an output axis's ``scale`` for a factor and expects
    51 pixels out of 512 where the pixel size is 0.1. It is in ``config.zooferry`` and in the sample images instead.
    """
    shape, factors = geometry(content), reach(content["network"], int(content["dims"])).factors
    found = []
    for i, axis in enumerate(axes.spatial_axes(int(content["dims"]))):
        if factors[i] == 0 and not is_input:
            continue
        entry: dict[str, Any] = {"type": "space", "id": axis}
        if is_input:
            entry["size"] = {"min": shape["minimum"][i], "step": shape["step"][i]}
        else:
            entry["size"] = {"tensor_id": INPUT, "axis_id": axis}
            if factors[i] != 1 and "labels_step" not in content:  # that gives labels of the image's size
                entry["scale"] = 1 / factors[i]  # the format: output = input times its scale, divided by this one
        found.append(entry)
    return found


def described_halo(content: Mapping[str, Any]) -> dict[str, Any]:
    """For ``config.zooferry``: "halo", output id -> axis -> its pixels at the inner borders of a tile that are wrong.

    Not beside the axes, where the format has a place for it: JDLL 0.6.3 (deepImageJ) then mirrors the image by the
    halo before the network sees it, and the outer pixels are others than in Python (0.19 of 1.97 in the worst case).
    """
    shape, factors = geometry(content), reach(content["network"], int(content["dims"])).factors
    names = axes.spatial_axes(int(content["dims"]))
    pixels = {a: math.ceil(n * f) for a, n, f in zip(names, shape["halo"], factors, strict=True) if n * f}
    return {"halo": {output.id: dict(pixels) for output in read_outputs(content)}} if pixels else {}
