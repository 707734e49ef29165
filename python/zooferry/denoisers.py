"""A U-Net that restores images, before one for segmentation or as its start (Prakash et al., VoidSeg, ISBI 2020)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from zooferry import axes
from zooferry.architectures import ARCHITECTURES, name_of
from zooferry.errors import ZooferryError
from zooferry.methods.tensors import as_tensor, fitting_layout
from zooferry.networks.segmentation import SegmentationUNet
from zooferry.networks.sequential import SequentialUNet
from zooferry.prediction import Model, predict_outputs
from zooferry.settings import Settings
from zooferry.trained import geometry

if TYPE_CHECKING:
    from zooferry.methods import Scalings
    from zooferry.runs import Task
    from zooferry.training_data import RawData
    from zooferry.transfer import Parent

Say = Callable[[str], None]
DENOISED = "denoised"
OWN = ("width", "depth", "kernel", "residual")  # arguments of a denoiser that the network of both keeps


def fitting(arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Width, depth and kernel of a U-Net for segmentation that can take over the weights of one that restores.

    With a grid, the levels before the grid count as well, each with half the channels of the next.
    """
    grid = int(getattr(settings, "grid", 1))
    depth = int(arguments["depth"]) - grid.bit_length() + 1
    return {"width": arguments["width"] * grid, "depth": depth, "kernel": arguments["kernel"], "widest": 0}


def take_what_fits(
    weights: Mapping[str, torch.Tensor], arguments: Mapping[str, Any], network: SegmentationUNet, *, name: str
) -> None:
    """Copy weights of a U-Net that restores into one for segmentation, level by level.

    All levels on the way down, and those on the way up that have the same channels; never the last convolution.

    Parameters
    ----------
    weights, arguments : mapping
        Of the first.
    network : SegmentationUNet
    name : str
        Of the run or package, for messages.

    Raises
    ------
    ZooferryError
        The levels on the way down differ.
    """
    state, coarser = network.state_dict(), len(network.coarser)
    for key, value in state.items():
        block, _, rest = key.partition(".")
        level, _, inner = rest.partition(".")
        theirs = {"coarser": f"down.{rest}", "down": f"down.{int(level) + coarser}.{inner}" if inner else ""}
        found = weights.get(theirs.get(block, key))
        if block != "last" and found is not None and found.shape == value.shape:
            state[key] = found
        elif block not in ("up", "last"):
            has = ", ".join(f"{word} {arguments[word]}" for word in ("width", "depth", "kernel", "in_channels"))
            raise ZooferryError(
                f"{name} is a U-Net of {has}, whose weights do not fit here; leave --set width, depth and kernel away, "
                "so that they follow from it, or choose another model to start from"
            )
    network.load_state_dict(state)


@dataclass(frozen=True, eq=False)
class Front:
    """A denoiser in front of a segmentation.

    Attributes
    ----------
    denoiser : Parent
    raw : RawData
        The training images as the segmentation is given them: denoised and rescaled.
    gain, offset : tuple of float
        By channel: what brings the denoised training images to a mean of 0 and a standard deviation of 1.
    """

    denoiser: Parent
    raw: RawData
    gain: tuple[float, ...]
    offset: tuple[float, ...]

    def joined(self, network: torch.nn.Module, entry: Mapping[str, Any]) -> tuple[torch.nn.Module, dict[str, Any]]:
        """One network of both, with their weights, and run.json's entry for it; `entry` is that of `network`."""
        own = {key: self.denoiser.arguments[key] for key in OWN}
        both = {"denoiser": own, "gain": list(self.gain), "offset": list(self.offset)}
        name = f"sequential.Sequential{name_of(network).partition('.')[2]}"
        if name not in ARCHITECTURES:
            raise ZooferryError("a denoiser can go before unet, and before stardist in 2D; leave it away here")
        arguments = {**entry["arguments"], **both}
        found = ARCHITECTURES[name](**arguments)
        assert isinstance(found, SequentialUNet)
        found.denoiser.load_state_dict(dict(self.denoiser.weights))
        found.segmenter.load_state_dict(network.state_dict())
        return fitting_layout(found, self.raw.dims), {"architecture": name, "arguments": arguments}


def put_in_front(denoiser: Parent, raw: RawData, training: Sequence[int], *, say: Say) -> Front:
    """Denoise the training images once, and learn from those that train how they are rescaled.

    Parameters
    ----------
    denoiser : Parent
        A U-Net that restores; where it was a part of a trained network, that one's numbers are kept.
    raw : RawData
        Grey values.
    training : sequence of int
        Indices of the samples that train.
    say : callable
        Gets a line of progress.

    Raises
    ------
    ZooferryError
        The denoiser takes other images, or is no plain U-Net.
    """
    _require_denoiser(denoiser, raw)
    say(f"denoising {len(raw.samples)} images with {denoiser.name}")
    model = _as_model(denoiser, raw.dims)
    images = [predict_outputs(model, sample.image)[DENOISED] for sample in raw.samples]
    gain, offset = denoiser.rescaling or _standardising([images[i] for i in training])
    shape = (-1, *[1] * raw.dims)
    scale, shift = (np.reshape(np.array(numbers, np.float32), shape) for numbers in (gain, offset))
    samples = [replace(s, image=image * scale + shift) for s, image in zip(raw.samples, images, strict=True)]
    return Front(denoiser, replace(raw, samples=samples), gain, offset)


def _require_denoiser(denoiser: Parent, raw: RawData) -> None:
    if not denoiser.restores:
        raise ZooferryError(
            f"{denoiser.name}: its network is {denoiser.architecture}; a denoiser is a plain U-Net with its "
            "normalisation outside, as methods n2v, n2n and care (not probabilistic) train it"
        )
    wanted = {"dims": raw.dims, "in_channels": raw.channels[0], "out_channels": raw.channels[0]}
    for key, value in wanted.items():
        if denoiser.arguments[key] != value:
            raise ZooferryError(f"{denoiser.name} has {key} {denoiser.arguments[key]}, these images need {value}")


def _as_model(denoiser: Parent, dims: int) -> Model:
    """It gives images in the network's own units."""
    entry = {"architecture": denoiser.architecture, "arguments": dict(denoiser.arguments)}
    network = ARCHITECTURES[denoiser.architecture](**denoiser.arguments).eval()
    network.load_state_dict(dict(denoiser.weights))
    network = fitting_layout(network, dims).to("cuda" if torch.cuda.is_available() else "cpu")

    def restore(batch: np.ndarray) -> Sequence[np.ndarray]:
        with torch.inference_mode():
            return [network(as_tensor(batch, network)).float().cpu().numpy()]

    sides: dict[str, Any] = geometry({"network": entry, "dims": dims})
    return Model(
        name=denoiser.name,
        axes=axes.network_axes(dims),
        channels=int(denoiser.arguments["in_channels"]),
        **sides,
        preprocessing=denoiser.preprocessing,
        outputs={DENOISED: ()},
        network=restore,
    )


def _standardising(images: Sequence[np.ndarray]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Gain and offset by channel of images C (Z) Y X."""
    gains, offsets = [], []
    for channel in zip(*images, strict=True):
        pixels = np.concatenate([image.ravel() for image in channel]).astype(np.float64)
        deviation = float(pixels.std()) or 1.0
        gains.append(1 / deviation)
        offsets.append(-float(pixels.mean()) / deviation)
    return tuple(gains), tuple(offsets)


def scaled_like_parent(task: Task, scalings: Scalings) -> Scalings:
    """The scaling of the images where another network decides it: a denoiser, or one that scales by fixed numbers."""
    if task.denoiser is not None:
        return replace(scalings, preprocessing=task.denoiser.preprocessing)
    parent, own = task.parent, scalings.preprocessing
    percentiles = any("min_percentile" in (step.get("kwargs") or {}) for step in own)
    if parent is None or parent.percentiles or not parent.preprocessing or not percentiles:
        return scalings
    return replace(scalings, preprocessing=parent.preprocessing)


def in_parts(task: Task) -> Task:
    """The task with its parent taken apart into a denoiser and a segmentation, where it is a sequential network."""
    parent = task.parent
    if parent is None or not parent.is_sequential:
        return task
    arguments = dict(parent.arguments)
    own, gain, offset = (arguments.pop(key) for key in ("denoiser", "gain", "offset"))
    channels = arguments["in_channels"]
    denoiser = replace(
        parent,
        architecture="unet.UNet",
        arguments={"dims": arguments["dims"], "in_channels": channels, "out_channels": channels, **own},
        weights=_under("denoiser.", parent.weights),
        rescaling=(tuple(map(float, gain)), tuple(map(float, offset))),
    )
    segmentation = replace(
        parent,
        architecture=f"segmentation.{parent.architecture.partition('.Sequential')[2]}",
        arguments=arguments,
        weights=_under("segmenter.", parent.weights),
    )
    return replace(task, denoiser=denoiser, parent=segmentation)


def _under(prefix: str, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
