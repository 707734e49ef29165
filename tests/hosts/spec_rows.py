"""The rows of test_imagej_spec.py: one package for every processing step and axis kind of the format.

The networks are a few ONNX operators; no torch is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import any_package
import numpy as np
from onnx import helper

PLANE, STACK = "batch channel y x", "batch channel z y x"
NO_STATISTICS_OF_OUTPUTS = "KeyError"  # bioimageio.core 0.11.0 takes all statistics before the network


def grey(*shape: int, seed: int = 0, dtype: Any = np.uint16) -> np.ndarray:
    """Poisson counts with a slope along the last axis, each channel brighter than the one before."""
    rate = np.broadcast_to(60.0 + 2 * np.arange(shape[-1]), shape)
    if len(shape) > 3:
        rate = rate * np.arange(1, shape[1] + 1).reshape(-1, *[1] * (len(shape) - 2))
    return np.random.default_rng(seed).poisson(rate).astype(dtype)


def step(name: str, **kwargs: Any) -> dict[str, Any]:
    """One entry of pre- or postprocessing."""
    return {"id": name, "kwargs": kwargs}


TO_FLOAT = step("ensure_dtype", dtype="float32")
SIGMOID = {"id": "sigmoid"}  # it takes no kwargs at all


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    """One operator of the network; ``_`` is an input that is left out."""
    return helper.make_node(kind, ["" if n == "_" else n for n in inputs.split()], outputs.split(), **attributes)


def constant(name: str, values: Any) -> Any:
    """A tensor inside the network."""
    array = np.asarray(values)
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    return node("Constant", "", name, value=helper.make_tensor(name, kind, array.shape, array.ravel()))


def axes_of(names: str, shape: Sequence[int], **more: dict[str, Any]) -> list[dict[str, Any]]:
    """Axes of a tensor; sizes are {min: 4, step: 4} unless `more` says otherwise by axis."""
    result = []
    for name, length in zip(names.split(), shape, strict=True):
        kind = name if name in ("batch", "channel", "time", "index") else "space"
        entry: dict[str, Any] = {"type": kind}
        if kind == "channel":
            entry["channel_names"] = [f"c{i}" for i in range(length)]
        elif kind != "batch":
            entry |= {"id": name, "size": {"min": 4, "step": 4}} | more.get(name, {})
        result.append(entry)
    return result


def following(names: str, channels: int = 1, **more: dict[str, Any]) -> list[dict[str, Any]]:
    """Axes of an output that follow those of the input raw; `more` by axis."""
    sizes = {n: {"size": {"tensor_id": "raw", "axis_id": n}} | more.get(n, {}) for n in names.split()}
    return axes_of(names, [channels] * len(names.split()), **sizes)


@dataclass
class Row:
    """One package: `core` and `skipped` are words of why bioimageio.core fails and why ImageJ cannot run it."""

    name: str
    arrays: dict[str, np.ndarray] = field(default_factory=lambda: {"raw": grey(1, 2, 24, 36)})
    axes: str = PLANE
    pre: Sequence[Any] = (TO_FLOAT,)
    post: Sequence[Any] = ()
    nodes: Sequence[Any] = (node("Identity", "raw", "out"),)
    outputs: list[dict[str, Any]] | None = None
    sizes: dict[str, Any] = field(default_factory=dict)
    core: str = ""
    skipped: str = ""

    def write(self, folder: Path) -> Path:
        """The package as a folder."""
        shapes = {name: array.shape for name, array in self.arrays.items()}
        channels = dict(zip(self.axes.split(), shapes["raw"], strict=True)).get("channel", 1)
        outputs = self.outputs or [any_package.tensor("out", following(self.axes, channels), self.post)]
        network = any_package.write_network(
            folder / "net.onnx",
            self.nodes,
            {name: len(shape) for name, shape in shapes.items()},
            {entry["id"]: len(entry["axes"]) for entry in outputs},
        )
        inputs = [
            any_package.tensor(name, axes_of(self.axes, shape, **self.sizes), self.pre, str(self.arrays[name].dtype))
            for name, shape in shapes.items()
        ]
        return any_package.write_package(folder, network, inputs, outputs, arrays=self.arrays)


def pre(name: str, *steps: Any, **more: Any) -> Row:
    """A row for pre-processing, from uint16 to float32."""
    return Row(f"pre_{name}", pre=[*steps, TO_FLOAT], **more)


def post(name: str, *steps: Any, **more: Any) -> Row:
    """A row for post-processing of the raw values divided by 100."""
    divide = (constant("by", np.float32(0.01)), node("Mul", "raw by", "out"))
    return Row(f"post_{name}", post=list(steps), nodes=divide, **more)


WHOLE, EACH = ["channel", "y", "x"], ["y", "x"]
STEPS = [
    pre("range", step("scale_range", axes=WHOLE, min_percentile=3.0, max_percentile=99.8)),
    pre("range_each", step("scale_range", axes=EACH, min_percentile=1, max_percentile=99)),
    pre("range_batch", step("scale_range", axes=["batch", *WHOLE], min_percentile=5.0, max_percentile=95.0)),
    pre("range_rows", step("scale_range", axes=["channel", "x"], min_percentile=5.0, max_percentile=95.0)),
    pre("range_default", step("scale_range")),
    pre("range_eps", step("scale_range", axes=WHOLE, eps=0.1)),
    pre("variance", step("zero_mean_unit_variance", axes=WHOLE)),
    pre("variance_each", step("zero_mean_unit_variance", axes=EACH, eps=0.1)),
    pre("variance_columns", step("zero_mean_unit_variance", axes=["y"])),
    pre("variance_rows", step("zero_mean_unit_variance", axes=["x"])),
    pre("variance_default", step("zero_mean_unit_variance")),
    pre("variance_pixels", step("zero_mean_unit_variance", axes=["channel"]), skipped="separately for each pixel"),
    pre("fixed", step("fixed_zero_mean_unit_variance", mean=101.3, std=17.1)),
    pre("fixed_each", step("fixed_zero_mean_unit_variance", axis="channel", mean=[101.3, 9.0], std=[17.1, 3.0])),
    pre("fixed_rows", step("fixed_zero_mean_unit_variance", axis="y", mean=[*range(24)], std=[2.0] * 24)),
    pre("linear", step("scale_linear", gain=0.02, offset=-1.5)),
    pre("linear_each", step("scale_linear", axis="channel", gain=[0.02, 1.0], offset=[-1.5, 3.0])),
    pre("linear_columns", step("scale_linear", axis="x", gain=[n / 36 for n in range(36)], offset=1.0)),
    pre("clip", step("clip", min=80.0, max=100.0)),
    pre("clip_one", step("clip", min=80.0)),
    pre("clip_percentiles", step("clip", axes=EACH, min_percentile=5.0, max_percentile=95.0)),
    pre("clip_percentiles_all", step("clip", min_percentile=5.0, max_percentile=95.0)),
    pre("clip_mixed", step("clip", axes=WHOLE, min=90.0, max_percentile=99.0)),
    pre("statistics_are_of_the_raw_image", step("scale_linear", gain=2.0), step("scale_range", axes=WHOLE)),
    pre("binarize", step("binarize", threshold=100.0)),
    pre("binarize_each", step("binarize", axis="channel", threshold=[100.0, 120.0]), core="could not be broadcast"),
    pre("sigmoid", TO_FLOAT, step("scale_linear", gain=0.1, offset=-10.0), SIGMOID),
    pre("softmax", step("scale_linear", gain=0.1), step("softmax", axis="channel")),
    pre("softmax_columns", step("scale_linear", gain=0.1), step("softmax", axis="y")),
    pre("softmax_rows", step("scale_linear", gain=0.1), step("softmax", axis="x")),
    pre("uint8", step("scale_linear", gain=0.7137, offset=0.4141), step("ensure_dtype", dtype="uint8")),
    pre("int16", step("scale_linear", gain=0.7137, offset=-60.4141), step("ensure_dtype", dtype="int16")),
    pre("bool", step("scale_linear", offset=-100.0), step("ensure_dtype", dtype="bool")),
    pre("wraps", step("scale_linear", gain=9.0), step("ensure_dtype", dtype="uint8"), skipped="would wrap"),
    pre("float64", step("ensure_dtype", dtype="float64"), step("scale_range", axes=WHOLE)),
    post("none"),
    post("binarize", step("binarize", threshold=1.0)),
    post("clip", step("clip", min=0.9, max=1.2)),
    post("sigmoid", SIGMOID),
    post("softmax", step("softmax", axis="channel")),
    post("linear_each", step("scale_linear", axis="channel", gain=[2.0, 3.0], offset=[0.5, -1.0])),
    post("fixed", step("fixed_zero_mean_unit_variance", mean=1.0, std=0.3)),
    post("variance", step("zero_mean_unit_variance", axes=EACH), core=NO_STATISTICS_OF_OUTPUTS),
    post("range", step("scale_range", axes=WHOLE, max_percentile=90.0), core=NO_STATISTICS_OF_OUTPUTS),
    post("range_of_raw", step("scale_range", axes=WHOLE, reference_tensor="raw")),
    post("mean", step("scale_mean_variance", axes=EACH, reference_tensor="raw"), core=NO_STATISTICS_OF_OUTPUTS),
    post("mean_default", step("scale_mean_variance", reference_tensor="raw"), core=NO_STATISTICS_OF_OUTPUTS),
    post("uint8", step("scale_linear", gain=71.37), step("ensure_dtype", dtype="uint8")),
    post(
        "cellpose_volume",
        step("cellpose_flow_dynamics", cellprob_threshold=0.0, flow_threshold=0.4, do_3D=True),
        skipped="cellpose_flow_dynamics of such volumes does not run in ImageJ yet",
        core="any",
    ),
    post(
        "custom",
        {"id": "custom", "source": "mine.py", "callable": "mine", "kwargs": {}},
        skipped="custom, and ImageJ cannot do this yet",
        core="any",
    ),
]

TWICE = {"scale": 0.5}
DOUBLE = constant("sizes", np.array([1, 1, 2, 2], np.float32))
MEAN = "AveragePool"
SHAPES = [
    Row("yx", {"raw": grey(24, 36)}, "y x"),
    Row("byx", {"raw": grey(1, 24, 36)}, "batch y x"),
    Row("cyx", {"raw": grey(1, 3, 24, 36)[0]}, "channel y x"),
    Row("bcyx_float", {"raw": grey(1, 1, 24, 36, dtype=np.float32)}),
    Row("byxc", {"raw": grey(1, 1, 24, 36).reshape(1, 24, 36, 1)}, "batch y x channel"),
    Row("byxc2", {"raw": grey(1, 24, 36, 2)}, "batch y x channel"),
    Row("bzyxc", {"raw": grey(1, 8, 24, 36, 3)}, "batch z y x channel"),
    Row("bycx", {"raw": grey(1, 24, 3, 36)}, "batch y channel x"),
    Row("byxz", {"raw": grey(1, 24, 36, 8)}, "batch y x z", skipped="x as last axis, or y, x and channel"),
    Row("bczyx", {"raw": grey(1, 2, 8, 24, 36)}, STACK, [step("scale_range", axes=["z", *EACH]), TO_FLOAT]),
    Row("bzcyx", {"raw": grey(1, 8, 2, 24, 36)}, "batch z channel y x", [step("scale_range", axes=EACH), TO_FLOAT]),
    Row("zyx", {"raw": grey(1, 1, 8, 24, 36)[0, 0]}, "z y x", [TO_FLOAT, step("softmax", axis="z"), TO_FLOAT]),
    Row("bctyx", {"raw": grey(1, 2, 8, 24, 36)}, "batch channel time y x"),
    Row("biyx", {"raw": grey(1, 4, 24, 36)}, "batch index y x", skipped="axis 'index' of 'raw'"),
    Row("batch", {"raw": grey(3, 1, 24, 36)}, pre=[step("scale_linear", gain=0.5), TO_FLOAT]),
    Row("fixed", sizes={"y": {"size": 24}, "x": {"size": 36}}),
    Row(
        "larger",
        nodes=(DOUBLE, node("Resize", "raw _ sizes", "out", mode="nearest")),
        outputs=[any_package.tensor("out", following(PLANE, 2, y=TWICE, x=TWICE))],
    ),
    Row(
        "smaller",
        nodes=(node(MEAN, "raw", "out", kernel_shape=[2, 2], strides=[2, 2]),),
        outputs=[any_package.tensor("out", following(PLANE, 2, y={"scale": 2.0}, x={"scale": 2.0}))],
    ),
    Row(
        "offset",
        nodes=(node(MEAN, "raw", "out", kernel_shape=[3, 5]),),
        outputs=[
            any_package.tensor(
                "out",
                following(
                    PLANE,
                    2,
                    y={"size": {"tensor_id": "raw", "axis_id": "y", "offset": -2}},
                    x={"size": {"tensor_id": "raw", "axis_id": "x", "offset": -4}},
                ),
            )
        ],
    ),
    Row(
        "fixed_output",
        sizes={"y": {"size": 24}, "x": {"size": 36}},
        nodes=(node(MEAN, "raw", "out", kernel_shape=[3, 5], strides=[3, 4]),),
        outputs=[any_package.tensor("out", axes_of(PLANE, [1, 2, 8, 8], y={"size": 8}, x={"size": 8}))],
    ),
    Row(
        "projection",
        {"raw": grey(1, 2, 8, 24, 36)},
        STACK,
        nodes=(node("ReduceMax", "raw", "out", axes=[2], keepdims=0),),
        outputs=[any_package.tensor("out", following(PLANE, 2))],
    ),
    Row(
        "classes",
        nodes=(node("ReduceMean", "raw", "out", axes=[2, 3], keepdims=0),),
        outputs=[any_package.tensor("out", axes_of("batch channel", [1, 2]), [step("scale_linear", gain=0.1)])],
    ),
    Row(
        "two_and_two",
        {"raw": grey(1, 1, 24, 36), "mask": grey(1, 1, 24, 36, seed=1)},
        pre=[step("scale_range", axes=EACH), TO_FLOAT],
        nodes=(node("Sub", "raw mask", "difference"), node("Mul", "raw mask", "product")),
        outputs=[
            any_package.tensor("difference", following(PLANE), [SIGMOID]),
            any_package.tensor("product", following(PLANE), [step("scale_range", axes=EACH, reference_tensor="mask")]),
        ],
    ),
    Row(
        "depends_on_data",
        outputs=[any_package.tensor("out", following(PLANE, 2, x={"size": {"min": 1, "max": 99}}))],
        skipped="depends on the pixels",
    ),
]


TEN = {axis: {"size": {"min": 10, "step": 4}} for axis in "yx"}
FIXED = {"y": {"size": 24}, "x": {"size": 36}}


def smooth(result: str = "out") -> Any:
    """A mean of 3 x 3 pixels."""
    return node(MEAN, "raw", result, kernel_shape=[3, 3], pads=[1] * 4)


def tiled(name: str, *nodes: Any, sizes: dict[str, Any] | None = None, **more: Any) -> Row:
    """A row whose output has a halo along y and x, and `more` properties of its axes."""
    shape = more.pop("shape", (24, 36))
    twelve = {axis: {"size": {"min": 12, "step": 4}} for axis in "yx"}
    outputs = [any_package.tensor("out", following(PLANE, y=more, x=more))]
    return Row(name, {"raw": grey(1, 1, *shape)}, nodes=nodes, sizes=sizes or twelve, outputs=outputs)


TILED = [
    tiled("halo", smooth(), halo=4),
    tiled("stepped", smooth(), sizes=TEN, halo=4, shape=(22, 34)),
    tiled("fixed_halo", smooth(), sizes=FIXED, halo=4),
    tiled("fixed_whole", smooth(), sizes=FIXED),
    tiled("halo_larger", DOUBLE, smooth("in"), node("Resize", "in _ sizes", "out", mode="nearest"), halo=8, scale=0.5),
    tiled(
        "halo_smaller", smooth("in"), node(MEAN, "in", "out", kernel_shape=[2, 2], strides=[2, 2]), halo=2, scale=2.0
    ),
]
LAST = "batch y x channel"
TILED.append(
    Row(
        "halo_last",
        {"raw": grey(1, 24, 36, 2)},
        LAST,
        sizes=FIXED,
        outputs=[any_package.tensor("out", following(LAST, 2, y={"halo": 4}, x={"halo": 4}))],
    )
)
# name -> row, image Y X or C Y X, tile, and the result's sizes or words of the refusal
SIZES: dict[str, tuple[str, tuple[int, ...], int | None, tuple[int, ...] | str]] = {
    "tiles": ("halo", (61, 83), 12, (61, 83)),
    "tiles_of_odd_minimum": ("stepped", (61, 83), 18, (61, 83)),
    "tiles_of_fixed_size": ("fixed_halo", (61, 83), None, (61, 83)),
    "less_than_fixed_size": ("fixed_halo", (20, 30), None, (20, 30)),
    "tiles_with_channels_last": ("halo_last", (2, 61, 83), None, (2, 61, 83)),
    "tiles_that_grow": ("halo_larger", (61, 83), 16, (122, 166)),
    "tiles_that_shrink": ("halo_smaller", (62, 84), 16, (31, 42)),
    "more_than_fixed_size": ("fixed_whole", (61, 83), None, "exactly 24 pixels along y and declares no halo"),
}
ROWS = [*STEPS, *SHAPES, *TILED]
