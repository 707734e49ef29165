"""Rules of the fiji profile: every processing step, compared with numpy behind an identity network (128 x 128 px).

Equal there, and so without a finding: zero_mean_unit_variance over c,y,x or over y,x of one channel,
fixed_zero_mean_unit_variance and scale_linear with scalars, clip with both bounds, sigmoid, scale_range 0-100,
ensure_dtype float32.
"""

from __future__ import annotations

from collections.abc import Iterator

from zooferry.package import OpenPackage
from zooferry.profiles.findings import LintFinding, Rule, Step, error, note, steps, warning

PORTABLE = (
    "binarize", "clip", "ensure_dtype", "fixed_zero_mean_unit_variance", "scale_linear", "scale_range", "sigmoid",
    "zero_mean_unit_variance",
)  # fmt: skip
THROWING = ("softmax", "scale_mean_variance")  # with rules of their own
INSTANCES = ("stardist", "cellpose")
INSIDE = "do it inside the network"


def fiji_zero_mean(package: OpenPackage) -> Iterator[LintFinding]:
    """No statistics per channel of several."""
    for step in _named(package, "zero_mean_unit_variance"):
        within = step.kwargs.get("axes")
        if within is not None and "channel" not in within and step.channels > 1:
            yield error(
                "fiji-zero-mean",
                f"{step.where}.kwargs.axes",
                found=f"{', '.join(within)} of {step.channels} channels",
                why="per channel of several, the result was silently wrong (measured)",
                fix=f"take the statistics over channel, y, x, or {INSIDE}",
            )


def fiji_fixed_axis(package: OpenPackage) -> Iterator[LintFinding]:
    """fixed_zero_mean_unit_variance has scalars."""
    for step in _named(package, "fixed_zero_mean_unit_variance"):
        if _per_axis(step, "mean", "std"):
            yield error(
                "fiji-fixed-axis",
                f"{step.where}.kwargs",
                found=f"values along {step.kwargs.get('axis')}",
                why="with `axis` deepImageJ throws an exception (measured)",
                fix=f"use one mean and one std, or {INSIDE}",
            )


def fiji_linear_axis(package: OpenPackage) -> Iterator[LintFinding]:
    """scale_linear has scalars."""
    for step in _named(package, "scale_linear"):
        if _per_axis(step, "gain", "offset"):
            yield error(
                "fiji-linear-axis",
                f"{step.where}.kwargs",
                found=f"values along {step.kwargs.get('axis')}",
                why="per channel, the result was silently wrong (measured)",
                fix=f"use one gain and one offset, or {INSIDE}",
            )


def fiji_range_batch(package: OpenPackage) -> Iterator[LintFinding]:
    """scale_range does not run over the batch without the channels."""
    for step in _named(package, "scale_range"):
        within = step.kwargs.get("axes") or ()
        if "batch" in within and "channel" not in within:
            yield error(
                "fiji-range-batch",
                f"{step.where}.kwargs.axes",
                found=", ".join(within),
                why="over batch, y, x the result was silently wrong (measured): the c of `batch` is read as channel",
                fix="take the percentiles over channel, y, x",
            )


def fiji_percentiles(package: OpenPackage) -> Iterator[LintFinding]:
    """Percentiles other than 0 and 100 deviate."""
    for step in _named(package, "scale_range"):
        low, high = step.kwargs.get("min_percentile", 0), step.kwargs.get("max_percentile", 100)
        if (low, high) == (0, 100):
            continue
        within = step.kwargs.get("axes")
        whole = within is None or "channel" in within
        yield (note if whole else warning)(
            "fiji-percentiles",
            step.where,
            found=f"percentiles {low:g} and {high:g} over {', '.join(within or ['all axes'])}",
            why="JDLL takes percentiles without interpolation: the scaled image deviates by up to "
            f"{'2e-4' if whole else '0.013'} at 128 x 128 px (measured)",
            fix="accept it, or scale by fixed numbers" if whole else "take them over channel, y, x, where it is 2e-4",
        )


def fiji_reference_tensor(package: OpenPackage) -> Iterator[LintFinding]:
    """No statistics of another tensor."""
    for step in steps(package):
        if step.kwargs.get("reference_tensor") and step.id != "scale_mean_variance":
            yield error(
                "fiji-reference-tensor",
                f"{step.where}.kwargs.reference_tensor",
                found=step.kwargs["reference_tensor"],
                why="JDLL ignores reference_tensor: silently wrong (measured)",
                fix=INSIDE,
            )


def fiji_clip(package: OpenPackage) -> Iterator[LintFinding]:
    """clip has both bounds, as numbers."""
    for step in _named(package, "clip"):
        if step.kwargs.get("min") is None or step.kwargs.get("max") is None:
            yield error(
                "fiji-clip",
                f"{step.where}.kwargs",
                found=", ".join(f"{k} {v}" for k, v in step.kwargs.items()) or "no bound",
                why="clip without one of min and max throws an exception (measured)",
                fix="write both min and max",
            )


def fiji_softmax(package: OpenPackage) -> Iterator[LintFinding]:
    """No softmax."""
    for step in _named(package, "softmax"):
        yield error(
            "fiji-softmax", step.where, found="softmax", why="deepImageJ throws an exception (measured)", fix=INSIDE
        )


def fiji_scale_mean_variance(package: OpenPackage) -> Iterator[LintFinding]:
    """No scale_mean_variance."""
    for step in _named(package, "scale_mean_variance"):
        yield error(
            "fiji-scale-mean-variance",
            step.where,
            found="scale_mean_variance",
            why="deepImageJ throws an exception (measured)",
            fix=f"use scale_linear with fixed numbers, or {INSIDE}",
        )


def fiji_instances(package: OpenPackage) -> Iterator[LintFinding]:
    """No instance post-processing."""
    for step in steps(package):
        if step.id.startswith(INSTANCES):
            yield error(
                "fiji-instances",
                step.where,
                found=step.id,
                why="every stardist or cellpose step throws an exception (measured; JDLL issue 47)",
                fix="end the package at the network's output and make instances in a plugin",
            )


def fiji_unknown_step(package: OpenPackage) -> Iterator[LintFinding]:
    """Only steps of the format."""
    for step in steps(package):
        if step.id not in (*PORTABLE, *THROWING) and not step.id.startswith(INSTANCES):
            yield error(
                "fiji-unknown-step",
                f"{step.where}.id",
                found=step.id,
                why="JDLL looks for a class of this name and throws when there is none (read)",
                fix=f"use one of {', '.join(PORTABLE)}",
            )


def fiji_binarize(package: OpenPackage) -> Iterator[LintFinding]:
    """binarize differs at the threshold itself, and takes one threshold."""
    for step in _named(package, "binarize"):
        several = _per_axis(step, "threshold")
        yield (error if several else note)(
            "fiji-binarize",
            step.where,
            found=f"threshold {step.kwargs.get('threshold')}",
            why="JDLL takes one number only (read)" if several else "JDLL uses >= where the format says > (measured)",
            fix=INSIDE if several else "choose a threshold that no pixel has",
        )


def fiji_ensure_dtype(package: OpenPackage) -> Iterator[LintFinding]:
    """ensure_dtype is to float32."""
    for step in _named(package, "ensure_dtype"):
        kind = step.kwargs.get("dtype")
        if kind not in ("float32", None):
            yield error(
                "fiji-ensure-dtype",
                f"{step.where}.kwargs.dtype",
                found=kind,
                why="JDLL skips ensure_dtype (read), so values are neither rounded nor wrapped; only float32 was equal "
                "(measured)",
                fix="leave the values in float32",
            )


def _named(package: OpenPackage, name: str) -> Iterator[Step]:
    return (step for step in steps(package) if step.id == name)


def _per_axis(step: Step, *arguments: str) -> bool:
    return step.kwargs.get("axis") is not None or any(isinstance(step.kwargs.get(a), list) for a in arguments)


RULES: tuple[Rule, ...] = (
    fiji_zero_mean, fiji_fixed_axis, fiji_linear_axis, fiji_range_batch, fiji_percentiles, fiji_reference_tensor,
    fiji_clip, fiji_softmax, fiji_scale_mean_variance, fiji_instances, fiji_unknown_step, fiji_binarize,
    fiji_ensure_dtype,
)  # fmt: skip
