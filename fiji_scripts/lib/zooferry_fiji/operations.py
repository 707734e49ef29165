"""The pre- and post-processing of the bioimage.io description, as in bioimageio.core 0.11, on whole images.

Pure: pixels are reached through `groups` only (see volume.Volume.groups), sets of pixels that share one statistic.
`apply_steps` changes the volume in place. Statistics are taken in 64 bit, values stay 32 bit.

Where bioimageio.core 0.11.0 departs from the format we follow it, for its numbers are what packages are tested with:
all statistics of inputs are those of the raw image, whatever steps come before (`measure_inputs`); the `eps` of
scale_range and zero_mean_unit_variance is ignored; percentiles of clip interpolate if the axes hold batch or are not
named. Statistics of outputs and binarize along an axis, at which it fails, are as the format says.
"""

import math
import struct

from . import instances
from .errors import UnsupportedError, ZooferryError

EPS = 1e-6
INTEGERS = {
    "bool": (0, 1),
    "uint8": (0, 255),
    "int8": (-128, 127),
    "uint16": (0, 65535),
    "int16": (-32768, 32767),
    "uint32": (0, 2**32 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint64": (0, 2**64 - 1),
    "int64": (-(2**63), 2**63 - 1),
}


def check_steps(steps, axes, inputs, model):
    """Refuse what `apply_steps` could not do exactly.

    Parameters
    ----------
    steps : list of {"id", "kwargs"}
    axes, inputs : list of str
        Of the tensor, and ids of the model's inputs.
    model : str
        For the message.
    """
    for step in steps:
        if step["id"] not in STEPS:
            raise UnsupportedError(
                "model %s asks for %s, and ImageJ cannot do this yet: it knows %s"
                % (model, step["id"], ", ".join(sorted(STEPS)))
            )
        reference = step["kwargs"].get("reference_tensor")
        if reference and reference not in inputs:
            raise UnsupportedError(
                "model %s: %s refers to %s, and ImageJ cannot do this yet: it refers to inputs, %s"
                % (model, step["id"], reference, ", ".join(inputs))
            )
        if needs_statistics(step):
            _check_statistic_axes(step, axes, model)
        if step["id"] in instances.SPEC_STEPS:
            instances.check_step(step, axes, model)
        axis = step["kwargs"].get("axis")
        if axis is not None and axis not in axes:
            raise ZooferryError(
                "model %s: %s along %s, its tensor has the axes %s" % (model, step["id"], axis, " ".join(axes))
            )


def needs_statistics(step):
    """Whether the numbers of a step come from the image."""
    kwargs = step["kwargs"]
    if step["id"] == "clip":
        return kwargs.get("min_percentile") is not None or kwargs.get("max_percentile") is not None
    return step["id"] in ("zero_mean_unit_variance", "scale_range", "scale_mean_variance")


def measure_inputs(model, volumes):
    """The statistics that come from the raw inputs.

    Parameters
    ----------
    model : dict
        See description.read_model.
    volumes : dict
        Input id -> volume of raw pixels.

    Returns
    -------
    dict
        Tensor id -> list with one entry per step: what `measure` returns, or None.
    """
    result = {}
    for tensor in model["inputs"] + model["outputs"]:
        result[tensor["id"]] = [
            measure(step, volumes[source]) if needs_statistics(step) and source in volumes else None
            for step, source in [(s, s["kwargs"].get("reference_tensor") or tensor["id"]) for s in tensor["steps"]]
        ]
    return result


def measure(step, volume):
    """Two numbers per group: mean and standard deviation, or two percentiles."""
    kwargs = step["kwargs"]
    axes = kwargs.get("axes")
    groups = volume.groups(axes)
    if step["id"] in ("zero_mean_unit_variance", "scale_mean_variance"):
        return [group.moments() for group in groups]
    method = "linear"
    if step["id"] == "clip" and axes is not None and "batch" not in axes:
        method = "inverted_cdf"
    low, high = kwargs.get("min_percentile"), kwargs.get("max_percentile")
    percents = [0.0 if low is None else float(low), 100.0 if high is None else float(high)]
    return [group.percentiles(percents, method) for group in groups]


def apply_steps(steps, volume, measured=None):
    """Change `volume` (C (Z) Y X) in place, step by step; `measured` as from `measure_inputs`."""
    for number, step in enumerate(steps):
        known = measured[number] if measured else None
        if needs_statistics(step) and (known is None or step["id"] == "scale_mean_variance"):
            own = measure(step, volume)
            known = own if known is None else list(zip(own, _spread(known, own, step["id"])))
        elif known is not None:
            known = _spread(known, volume.groups(step["kwargs"].get("axes")), step["id"])
        STEPS[step["id"]](volume, step["kwargs"], known)


def _spread(known, groups, what):
    if len(known) not in (1, len(groups)):
        raise ZooferryError("%s: %d statistics for %d parts of the image" % (what, len(known), len(groups)))
    return list(known) * (len(groups) // len(known))


def percentile_of_counts(counts, percent, method="linear", total=None):
    """numpy.percentile of integers given by how often each value 0, 1, 2, ... occurs; `total`: their sum, if known."""
    total = total or sum(counts)
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


def _ensure_dtype(volume, kwargs, _):
    dtype = kwargs["dtype"]
    if dtype.startswith("float") or volume.holds(dtype):
        return
    lowest, highest = INTEGERS[dtype]
    for group in volume.groups(None):
        if dtype == "bool":
            group.nonzero()
            continue
        low, high = group.extremes()
        if low <= lowest - 1 or high >= highest + 1:
            raise UnsupportedError(
                "ensure_dtype %s meets values from %g to %g, which would wrap around differently on each computer: put "
                "a clip before it" % (dtype, low, high)
            )
        group.truncate()


def _zero_mean_unit_variance(volume, kwargs, measured):
    for group, (mean, std) in zip(volume.groups(kwargs.get("axes")), measured):
        _add(group, -mean)
        group.multiply(1.0 / (std + EPS))


def _fixed_zero_mean_unit_variance(volume, kwargs, _):
    for group, mean, std in _along_axis(volume, kwargs, "mean", "std"):
        _add(group, -mean)
        group.multiply(1.0 / (std + EPS))


def _scale_linear(volume, kwargs, _):
    for group, gain, offset in _along_axis(volume, dict({"gain": 1.0, "offset": 0.0}, **kwargs), "gain", "offset"):
        if gain != 1.0:
            group.multiply(gain)
        _add(group, offset)


def _scale_range(volume, kwargs, measured):
    for group, (low, high) in zip(volume.groups(kwargs.get("axes")), measured):
        _add(group, -low)
        group.multiply(1.0 / (high - low + EPS))


def _scale_mean_variance(volume, kwargs, measured):
    eps = float(kwargs.get("eps", EPS))
    for group, ((mean, std), (wanted_mean, wanted_std)) in zip(volume.groups(kwargs.get("axes")), measured):
        _add(group, -mean)
        group.multiply((wanted_std + eps) / (std + eps))
        _add(group, wanted_mean)


def _clip(volume, kwargs, measured):
    groups = volume.groups(kwargs.get("axes") if measured else None)
    for group, (low, high) in zip(groups, measured or [(None, None)]):
        group.clip(
            _bound(kwargs, "min", low if kwargs.get("min_percentile") is not None else None),
            _bound(kwargs, "max", high if kwargs.get("max_percentile") is not None else None),
        )


def _bound(kwargs, name, percentile):
    return percentile if kwargs.get(name) is None else float(kwargs[name])


def _sigmoid(volume, _kwargs, _):
    for group in volume.groups(None):
        group.sigmoid()


def _softmax(volume, kwargs, _):
    volume.softmax(kwargs.get("axis", "channel"))


def _binarize(volume, kwargs, _):
    for group, threshold in _along_axis(volume, kwargs, "threshold"):
        group.binarize(threshold)


def _stardist(volume, kwargs, _):
    volume.decode(instances.from_step({"id": "stardist_postprocessing", "kwargs": kwargs}))


def _cellpose(volume, kwargs, _):
    volume.decode(instances.from_step({"id": "cellpose_flow_dynamics", "kwargs": kwargs}))


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


def _check_statistic_axes(step, axes, model):
    given = step["kwargs"].get("axes")
    if given is None:
        return
    unknown = [axis for axis in given if axis not in axes and axis != "batch"]
    words = "model %s takes statistics in %s over %s" % (model, step["id"], " ".join(given))
    if unknown:
        raise ZooferryError("%s: its tensor has the axes %s" % (words, " ".join(axes)))
    if "y" not in given and "x" not in given and ("y" in axes or "x" in axes):
        raise UnsupportedError("%s, separately for each pixel, and ImageJ cannot do this yet" % words)


STEPS = {
    "ensure_dtype": _ensure_dtype,
    "zero_mean_unit_variance": _zero_mean_unit_variance,
    "fixed_zero_mean_unit_variance": _fixed_zero_mean_unit_variance,
    "scale_linear": _scale_linear,
    "scale_range": _scale_range,
    "scale_mean_variance": _scale_mean_variance,
    "clip": _clip,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "binarize": _binarize,
    "stardist_postprocessing": _stardist,
    "cellpose_flow_dynamics": _cellpose,
}
