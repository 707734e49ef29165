"""The pre- and post-processing of the bioimage.io description, as in bioimageio.core 0.11, on whole images.

Pure: pixels are reached through `groups` only (see volume.Volume.groups), whole sets of planes that share one
statistic. `apply_steps` changes the volume in place. Statistics are taken in 64 bit, values stay 32 bit.
"""

import math
import struct

from .errors import ZooferryError

EPS = 1e-6


def check_steps(steps, axes, model, allow_input):
    """Refuse what `apply_steps` could not do exactly.

    Parameters
    ----------
    steps : list of {"id", "kwargs"}
    axes : list of str
        "channel" and the spatial axes of the tensor.
    model : str
        For the message.
    allow_input : bool
        True before the network.
    """
    changed = not allow_input
    where = "pre" if allow_input else "post"
    for number, step in enumerate(steps):
        if step["id"] not in STEPS:
            raise ZooferryError(
                "model %s asks for the %s-processing %s, which does not run here: allowed are %s"
                % (model, where, step["id"], ", ".join(sorted(STEPS)))
            )
        kwargs = step["kwargs"]
        if kwargs.get("reference_tensor"):
            raise ZooferryError("model %s: %s with a reference tensor does not run here" % (model, step["id"]))
        if _needs_statistics(step):
            _check_statistic_axes(step, axes, model)
            if changed and number > 0:
                raise ZooferryError(
                    "model %s takes statistics in %s after another step has changed the values: hosts disagree about "
                    "this, put it first" % (model, step["id"])
                )
        changed = changed or step["id"] != "ensure_dtype"


def apply_steps(steps, volume):
    """Change `volume` (C (Z) Y X) in place, step by step."""
    for step in steps:
        STEPS[step["id"]](volume, step["kwargs"])


def percentile_of_counts(counts, percent, method="linear"):
    """numpy.percentile of integers given by how often each value 0, 1, 2, ... occurs."""
    total = sum(counts)
    low, high, part = _ranks(total, percent, method)
    first = second = None
    seen = 0
    for value, count in enumerate(counts):
        seen += count
        if first is None and seen > low:
            first = value
        if seen > high:
            second = value
            break
    return _between(float(first), float(second), part)


def percentile_of_sorted(values, percent, method="linear"):
    """numpy.percentile of sorted numbers."""
    low, high, part = _ranks(len(values), percent, method)
    return _between(float(values[low]), float(values[high]), part)


def float32_parts(value):
    """Two numbers that 32 bit hold exactly and whose sum is nearer to `value` than 32 bit alone."""
    high = struct.unpack("f", struct.pack("f", value))[0]
    return high, struct.unpack("f", struct.pack("f", value - high))[0]


def _ranks(total, percent, method):
    fraction = percent / 100.0
    if method == "inverted_cdf":
        rank = max(0, int(math.ceil(total * fraction)) - 1)
        return rank, rank, 0.0
    position = (total - 1) * fraction
    low = int(math.floor(position))
    return low, min(low + 1, total - 1), position - low


def _between(first, second, part):
    # numpy's order of operations, so that the last bit agrees
    if part >= 0.5:
        return second - (second - first) * (1.0 - part)
    return first + (second - first) * part


def _ensure_dtype(volume, kwargs):
    dtype = kwargs["dtype"]
    if dtype in ("float32", "float64"):
        return
    if not volume.holds(dtype):
        raise ZooferryError(
            "ensure_dtype %s would round or wrap %s pixels: convert the image first" % (dtype, volume.dtype)
        )


def _zero_mean_unit_variance(volume, kwargs):
    for group in volume.groups(kwargs.get("axes")):
        _add(group, -group.mean())
        group.multiply(1.0 / (group.root_mean_square() + float(kwargs.get("eps", EPS))))


def _fixed_zero_mean_unit_variance(volume, kwargs):
    for group, mean, std in _along_axis(volume, kwargs, "mean", "std"):
        _add(group, -mean)
        group.multiply(1.0 / (std + EPS))


def _scale_linear(volume, kwargs):
    for group, gain, offset in _along_axis(volume, dict({"gain": 1.0, "offset": 0.0}, **kwargs), "gain", "offset"):
        if gain != 1.0:
            group.multiply(gain)
        _add(group, offset)


def _scale_range(volume, kwargs):
    for group in volume.groups(kwargs.get("axes")):
        low, high = group.percentiles(
            [float(kwargs.get("min_percentile", 0.0)), float(kwargs.get("max_percentile", 100.0))], "linear"
        )
        _add(group, -low)
        group.multiply(1.0 / (high - low + float(kwargs.get("eps", EPS))))


def _clip(volume, kwargs):
    for group in volume.groups(kwargs.get("axes")):
        low, high = kwargs.get("min"), kwargs.get("max")
        if kwargs.get("min_percentile") is not None:
            low = group.percentiles([float(kwargs["min_percentile"])], "inverted_cdf")[0]
        if kwargs.get("max_percentile") is not None:
            high = group.percentiles([float(kwargs["max_percentile"])], "inverted_cdf")[0]
        group.clip(low, high)


def _sigmoid(volume, _):
    for group in volume.groups(None):
        group.sigmoid()


def _softmax(volume, kwargs):
    if kwargs.get("axis", "channel") != "channel":
        raise ZooferryError("softmax along %s does not run here: allowed is channel" % kwargs["axis"])
    volume.softmax()


def _binarize(volume, kwargs):
    for group, threshold in _along_axis(volume, kwargs, "threshold"):
        group.binarize(threshold)


def _add(group, value):
    for part in float32_parts(value):
        if part != 0.0:
            group.add(part)


def _along_axis(volume, kwargs, *names):
    # one number for the whole volume, or one per index of kwargs["axis"]
    axis = kwargs.get("axis")
    values = [kwargs[name] if isinstance(kwargs[name], list) else [kwargs[name]] for name in names]
    groups = volume.groups(None) if axis is None else volume.along(axis)
    for index, group in enumerate(groups):
        row = [group]
        for name, numbers in zip(names, values):
            if len(numbers) not in (1, len(groups)):
                raise ZooferryError("%d numbers of %s for %d indices of %s" % (len(numbers), name, len(groups), axis))
            row.append(float(numbers[index if len(numbers) > 1 else 0]))
        yield row


def _needs_statistics(step):
    kwargs = step["kwargs"]
    if step["id"] == "clip":
        return kwargs.get("min_percentile") is not None or kwargs.get("max_percentile") is not None
    return step["id"] in ("zero_mean_unit_variance", "scale_range")


def _check_statistic_axes(step, axes, model):
    given = step["kwargs"].get("axes")
    if given is None:
        return
    unknown = [axis for axis in given if axis not in axes and axis != "batch"]
    if unknown or "y" not in given or "x" not in given:
        raise ZooferryError(
            "model %s takes statistics in %s over %s: allowed are y and x with any of batch, %s"
            % (model, step["id"], " ".join(given), ", ".join(axis for axis in axes if axis not in ("y", "x")))
        )


STEPS = {
    "ensure_dtype": _ensure_dtype,
    "zero_mean_unit_variance": _zero_mean_unit_variance,
    "fixed_zero_mean_unit_variance": _fixed_zero_mean_unit_variance,
    "scale_linear": _scale_linear,
    "scale_range": _scale_range,
    "clip": _clip,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "binarize": _binarize,
}
