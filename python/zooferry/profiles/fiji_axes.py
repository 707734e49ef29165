"""Rules of the fiji profile: axes, sizes, halos, and how deepImageJ tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zooferry.package import OpenPackage
from zooferry.profiles.findings import Axis, LintFinding, Rule, axes, error, note, warning

LETTERS = {"batch": "b", "channel": "c"}  # JDLL writes the axes of a tensor as a word of letters


def fiji_time_axis(package: OpenPackage) -> Iterator[LintFinding]:
    """No time axis."""
    for axis in axes(package):
        if axis.type == "time":
            yield error(
                "fiji-time-axis",
                axis.where,
                found=f"a time axis named {axis.name}",
                why="`time` is read as four axes t, i, m, e and the run fails (measured)",
                fix="let frames be the batch or the channels",
            )


def fiji_axis_name(package: OpenPackage) -> Iterator[LintFinding]:
    """Every axis is one of b, c, z, y, x."""
    for axis in axes(package):
        letters = LETTERS.get(axis.type, axis.name)
        if axis.type != "time" and letters not in ("b", "c", "z", "y", "x"):
            yield error(
                "fiji-axis-name",
                f"{axis.where}.id",
                found=axis.name,
                why="axes are read letter by letter (measured for `time`); an ImageJ image has only x, y, c, z and t",
                fix="name the spatial axes z, y, x and use no index axis",
            )


def fiji_size_scale(package: OpenPackage) -> Iterator[LintFinding]:
    """An output that refers to an input's size has scale 1, which a pixel size is not."""
    for axis in _referenced_outputs(package):
        if axis.scale != 1:
            yield error(
                "fiji-size-scale",
                f"{axis.where}.scale",
                found=f"{axis.scale:g}",
                why="the format says out = in * in_scale / out_scale + offset, JDLL computes in * out_scale + 2 * "
                f"offset (measured): of 512 px it expects {int(512 * axis.scale)}",
                fix="only outputs of the input's size with scale 1 are portable: resize inside the network, and tell "
                "the pixel size elsewhere than in the output's (and then also its input's) axes (isotropic: train with "
                "--set same_size=true, and interpolate volumes along z before)",
            )


def fiji_size_offset(package: OpenPackage) -> Iterator[LintFinding]:
    """An output that refers to an input's size has no offset."""
    for axis in _referenced_outputs(package):
        offset = axis.size.get("offset", 0)
        if offset:
            yield error(
                "fiji-size-offset",
                f"{axis.where}.size.offset",
                found=offset,
                why="JDLL adds twice the offset, the format once (measured)",
                fix="pad inside the network, so that the output is as large as the input",
            )


def fiji_size_data(package: OpenPackage) -> Iterator[LintFinding]:
    """No output size depends on the data."""
    for axis in axes(package):
        if axis.is_output and isinstance(axis.size, Mapping) and "tensor_id" not in axis.size:
            yield error(
                "fiji-size-data",
                f"{axis.where}.size",
                found=dict(axis.size),
                why="JDLL refuses output sizes that are neither fixed nor refer to an input (measured)",
                fix="let the output refer to the input's axis",
            )


def fiji_size_min(package: OpenPackage) -> Iterator[LintFinding]:
    """`min` is a multiple of `step`."""
    for axis in _variable_inputs(package):
        least, step = int(axis.size["min"]), int(axis.size["step"])
        if step and least % step:
            yield error(
                "fiji-size-min",
                f"{axis.where}.size",
                found=f"min {least}, step {step}",
                why="JDLL tries multiples of step and demands min + n * step: every size is refused (measured)",
                fix=f"write min: {-(-least // step) * step}",
            )


def fiji_step(package: OpenPackage) -> Iterator[LintFinding]:
    """Images whose size is not a multiple of the step differ at the border."""
    stepped = [a for a in _variable_inputs(package) if int(a.size["step"]) > 1]
    if stepped:
        largest = max(int(a.size["step"]) for a in stepped)
        yield note(
            "fiji-step",
            f"{stepped[0].where}.size.step",
            found=largest,
            why=f"deepImageJ fails on images smaller than {largest} px, and of sizes that {largest} does not divide a "
            "border of up to 20 px differs (measured)",
            fix="crop or pad such images before",
        )


def fiji_whole_image(package: OpenPackage) -> Iterator[LintFinding]:
    """The tile is the whole image."""
    if any(a.is_spatial for a in _variable_inputs(package)):
        yield note(
            "fiji-whole-image",
            "inputs[0].axes",
            found="variable size",
            why="deepImageJ's tile is the whole image; above 4096 * 4096 * 3 = 50,331,648 px it never ends (measured)",
            fix="cut larger images into overlapping tiles before, or use a host that tiles",
        )


def fiji_fixed_input(package: OpenPackage) -> Iterator[LintFinding]:
    """A fixed input size means tiles of that size."""
    for axis in axes(package):
        if not axis.is_output and axis.is_spatial and isinstance(axis.size, int) and axis.size > 1:
            yield note(
                "fiji-fixed-input",
                f"{axis.where}.size",
                found=axis.size,
                why="every larger image is cut into tiles of this size: the result depends on where they meet (read)",
                fix="where the network allows it, declare min and step instead",
            )


def fiji_halo_fixed(package: OpenPackage) -> Iterator[LintFinding]:
    """No halo on an output of fixed size."""
    for axis in axes(package):
        if axis.is_output and axis.content.get("halo") and not isinstance(axis.size, Mapping):
            yield error(
                "fiji-halo-fixed",
                f"{axis.where}.halo",
                found=f"halo {axis.content['halo']}, size {axis.size}",
                why="with a fixed output size JDLL applies the halo to the first axis only: seams (measured)",
                fix="let the output's size refer to the input's axis, of variable size",
            )


def fiji_halo(package: OpenPackage) -> Iterator[LintFinding]:
    """No halo where the image is one tile anyway."""
    for axis in axes(package):
        if axis.is_output and axis.content.get("halo") and isinstance(axis.size, Mapping):
            yield warning(
                "fiji-halo",
                f"{axis.where}.halo",
                found=axis.content["halo"],
                why="JDLL mirrors the image by the halo first: the outer pixels are others than in Python, by 0.19 of "
                "a range of 1.97 in the worst case, the inner ones are equal (measured)",
                fix="leave it out if deepImageJ should give Python's numbers; Zooferry reads config.zooferry.halo",
            )


def _referenced_outputs(package: OpenPackage) -> Iterator[Axis]:
    return (a for a in axes(package) if a.is_output and isinstance(a.size, Mapping) and "tensor_id" in a.size)


def _variable_inputs(package: OpenPackage) -> Iterator[Axis]:
    return (a for a in axes(package) if not a.is_output and isinstance(a.size, Mapping) and "step" in a.size)


RULES: tuple[Rule, ...] = (
    fiji_time_axis, fiji_axis_name, fiji_size_scale, fiji_size_offset, fiji_size_data, fiji_size_min, fiji_step,
    fiji_whole_image, fiji_fixed_input, fiji_halo_fixed, fiji_halo,
)  # fmt: skip
