"""Packages whose network hands through exact heads that lie in the channels of its input: for tests of decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import any_package
import numpy as np
from onnx import helper
from simulated_heads import Case, flow_heads, smooth, star_heads

SHAPE = (64, 80)  # Y X of the image
RAYS = 16
STEPS = {
    "star_convex": {
        "id": "stardist_postprocessing",
        "kwargs": {"prob_threshold": 0.3, "nms_threshold": 0.4, "n_rays": RAYS, "grid": [2, 2], "b": 1},
    },
    "flows": {
        "id": "cellpose_flow_dynamics",
        "kwargs": {"cellprob_threshold": 0.0, "flow_threshold": 0.4, "do_3D": False, "min_size": 15},
    },
}
DECLARED: dict[str, dict[str, Any]] = {
    "star_convex": {"outputs": ["prob", "dist"], "prob_thresh": 0.3, "nms_thresh": 0.4, "grid": [2, 2], "border": 1},
    "flows": {"outputs": ["flow", "prob"]},
    "borders": {"outputs": ["classes"], "min_size": 9, "grow": 2},
}


def heads_of(method: str, seed: int = 1) -> np.ndarray:
    """The channels of the input, C Y X float32: exact heads at every pixel of the image."""
    case = Case(seed, SHAPE, 9, (5, 8), rays=RAYS, prob_thresh=0.3, noise=0.1)
    if method == "star_convex":
        prob, distances = star_heads(case)
        return np.concatenate([prob[None], distances])
    if method == "flows":
        logit, flows = flow_heads(case)
        return np.concatenate([flows, logit[None]])
    classes = np.exp(3 * smooth(np.random.default_rng(seed), (3, *SHAPE), 2))
    return np.asarray(classes / classes.sum(axis=0), np.float32)


def declared_package(folder: Path, method: str, heads: np.ndarray, **fields: Any) -> Path:
    """A package with one output for each head and the section config.zooferry.instances."""
    counts = {"star_convex": {"prob": 1, "dist": RAYS}, "flows": {"flow": 2, "prob": 1}, "borders": {"classes": 3}}[
        method
    ]
    grid = 2 if method == "star_convex" else 1
    nodes, outputs, first = [], [], 0
    for name, count in counts.items():
        nodes.append(_cut(name, channels=(first, first + count), grid=grid))
        outputs.append(any_package.tensor(name, any_package.like("raw", channels=count, scale=float(grid))))
        first += count
    config = {"config": {"zooferry": {"instances": {"method": method, **DECLARED[method]}}}}
    return _write(folder, nodes, outputs, heads, {**config, **fields})


def spec_package(folder: Path, method: str, heads: np.ndarray) -> Path:
    """A package with one output of labels, made by the format's own step."""
    grid = 2 if method == "star_convex" else 1
    outputs = [any_package.tensor("cells", any_package.like("raw"), [STEPS[method]], "int32")]
    return _write(folder, [_cut("cells", channels=(0, len(heads)), grid=grid)], outputs, heads, {})


def _cut(name: str, *, channels: tuple[int, int], grid: int) -> Any:
    # channels of the input, at every second pixel for a grid of 2
    numbers = {
        "from": [channels[0], 0, 0],
        "to": [channels[1], 1 << 30, 1 << 30],
        "along": [1, 2, 3],
        "by": [1, grid, grid],
    }
    made = [helper.make_node("Constant", [], [f"{name}_{key}"], value_ints=value) for key, value in numbers.items()]
    return [*made, helper.make_node("Slice", ["raw", *[f"{name}_{key}" for key in numbers]], [name])]


def _write(
    folder: Path, nodes: Sequence[Any], outputs: Sequence[Any], heads: np.ndarray, fields: Mapping[str, Any]
) -> Path:
    axes = any_package.space({"min": 8, "step": 8}, scale=1.0)
    axes[1]["channel_names"] = [f"head{n}" for n in range(len(heads))]
    flat = [node for several in nodes for node in several]
    network = any_package.write_network(folder / "net.onnx", flat, {"raw": 4}, {one["id"]: 4 for one in outputs})
    inputs = [any_package.tensor("raw", axes)]
    return any_package.write_package(folder, network, inputs, outputs, arrays={"raw": heads[None]}, **fields)
