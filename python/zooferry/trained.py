"""A training run as a network and as a model for prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zooferry import axes, run_folder
from zooferry.architectures import ARCHITECTURES, build, reach
from zooferry.domain import read_domain
from zooferry.errors import ZooferryError
from zooferry.methods.outputs import read_outputs
from zooferry.methods.tensors import as_tensor, fitting_layout
from zooferry.prediction import Model

SMALLEST = 16  # pixels along Y and X


def baked(content: Mapping[str, Any]) -> dict[str, Any]:
    """run.json's content with the percentile normalisation inside the network, for whole images only.

    Raises
    ------
    ZooferryError
        The method does not normalise by percentiles, or there is no such form of its network.
    """
    (scale,) = [o["kwargs"] for o in content["preprocessing"] if o["id"] == "scale_range"] or [None]
    if scale is None:
        raise ZooferryError(f"{content['method']} scales by fixed numbers, equal in every host; leave --bake away")
    inside = {"low": scale["min_percentile"], "high": scale["max_percentile"], "eps": scale["eps"]}
    if "channel" not in scale["axes"]:
        inside["each"] = True
    architecture = content["network"]["architecture"].replace(".", ".Percentile")
    if architecture not in ARCHITECTURES:
        raise ZooferryError(f"{content['method']}: only U-Nets take their normalisation inside; leave --bake away")
    network = {"architecture": architecture, "arguments": content["network"]["arguments"] | inside}
    plain = [o for o in content["preprocessing"] if o["id"] == "ensure_dtype"][:1]
    return {**content, "network": network, "preprocessing": plain, "baked": True}


def build_trained_network(
    run: Path, content: Mapping[str, Any] | None = None, weights: str = "best.pt"
) -> torch.nn.Module:
    """The run's network with its best weights, in evaluation mode; `content` stands in for run.json (see `baked`).

    Raises
    ------
    ZooferryError
        The folder is no run, or nothing was trained yet.
    """
    content = content or run_folder.read_run(run)
    path = run / weights
    if not path.exists():
        raise ZooferryError(f"{run}: no trained weights yet; go on with 'zooferry train ... --resume'")
    network = build(content["network"], run)
    state = torch.load(path, weights_only=True, map_location="cpu")
    bits = content.get("significant_bits")
    network.load_state_dict({key: rounded(value, bits) for key, value in state.items()} if bits else state)
    return network.eval()


def rounded(weights: torch.Tensor, bits: int) -> torch.Tensor:
    """float32 weights of so many significant bits, 2 to 24, as numpy rounds halves; others as they are.

    They are as large as before, but their last bits are 0, so that a zip of them is smaller.
    """
    if weights.dtype != torch.float32:
        return weights
    part, exponent = torch.frexp(weights)
    return torch.ldexp(torch.round(part * 2.0**bits) / 2.0**bits, exponent)


def open_run(run: Path, content: Mapping[str, Any] | None = None, *, weights: str = "best.pt") -> Model:
    """A run folder as a model for prediction; `content` stands in for run.json (see `baked`), `weights` is a file."""
    content = content or run_folder.read_run(run)
    dims = int(content["dims"])
    network = fitting_layout(build_trained_network(run, content, weights), dims)
    network.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))

    def restore(batch: np.ndarray) -> Sequence[np.ndarray]:
        with torch.inference_mode():
            found = network(as_tensor(batch, network))
        several = found if isinstance(found, tuple) else (found,)
        return [result.float().cpu().numpy() for result in several]

    return Model(
        name=run.resolve().name,
        axes=axes.network_axes(dims),
        channels=int(content["channels"][0]),
        **geometry(content),
        preprocessing=tuple(content["preprocessing"]),
        outputs={output.id: output.steps for output in read_outputs(content)},
        network=restore,
        factors=reach(content["network"], dims).factors,
        target=tuple(content.get("target", ())),
        matched=str(content.get("matched", "")),
        domain=read_domain(content.get("domain")),
    )


def geometry(content: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Step, minimum and halo per spatial axis, in pixels, from the architecture's arguments.

    The minimum is a multiple of the step, as deepImageJ needs it; stacks may be one step thin.
    """
    found = reach(content["network"], int(content["dims"]))
    never_tiled = content.get("baked") or content.get("whole_images")
    lateral = -(-SMALLEST // found.step[-1]) * found.step[-1]
    said = content["network"].get("code") or {}
    return {
        "step": found.step,
        "minimum": tuple(said.get("minimum") or (*found.step[:-2], lateral, lateral)),
        "halo": (0,) * len(found.halo) if never_tiled else found.halo,
    }
