"""Each scaling once: apply it, and say its own rdf entry. Statistics are of the whole image, never of a tile.

An *operation* is what a bioimage.io description holds: ``{"id": "scale_range", "kwargs": {...}}``. Training,
prediction and packages use the same list of operations, so there is one definition of every normalisation.

The numbers are those of bioimageio.core 0.11.0, also where it departs from the letter of the format:

- a statistic in an input's pre-processing is of the raw tensor, not of what earlier steps made of it;
- `scale_range` and `zero_mean_unit_variance` divide with an eps of 1e-6, whatever `eps` says;
- `clip` by percentiles takes the pixel of that rank, without interpolation, unless the batch is one of its axes.

In two places it raises an error, and the format is followed: `binarize` with a threshold per channel, and a
statistic of an output itself (of what the step before it left).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import special

from zooferry.errors import ZooferryError
from zooferry.instance_steps import LIBRARIES, make_labels, missing_library, needs_library

Operation = Mapping[str, Any]
Labelled = tuple[np.ndarray, tuple[str, ...]]  # an array and its axis ids
References = Mapping[str, Labelled]  # raw input tensors by id
Numbers = float | list[float]
EPS = 1e-6  # the format's default


def percentile_operations(low: float, high: float, axes: Sequence[str], *, each: bool = False) -> tuple[Operation, ...]:
    """Scale so that the image's percentiles `low` and `high` (0-100) become 0 and 1 (Weigert 2018, Methods).

    Parameters
    ----------
    low, high : float
    axes : sequence of str
        The network's axis ids.
    each : bool
        Every channel has percentiles of its own, lest a dim one is lost beside a bright one.
    """
    within = [a for a in axes if a != "batch" and not (each and a == "channel")]
    scale = {"axes": within, "min_percentile": low, "max_percentile": high, "eps": EPS}
    return (_as_float32(), {"id": "scale_range", "kwargs": scale}, _as_float32())


def have_channels(images: Sequence[np.ndarray]) -> bool:
    """Whether the images, C (Z) Y X, have more than one channel."""
    return any(len(image) > 1 for image in images)


def standardising_operations(mean: Numbers, std: Numbers) -> tuple[Operation, ...]:
    """Subtract the training images' mean, divide by their standard deviation (grey values; or lists, by channel)."""
    fixed = {"mean": mean, "std": std, **_by_channel(mean)}
    return (_as_float32(), {"id": "fixed_zero_mean_unit_variance", "kwargs": fixed}, _as_float32())


def linear_operations(gain: Numbers, offset: Numbers) -> tuple[Operation, ...]:
    """Multiply by `gain`, add `offset` (or lists, by channel): back from network units to grey values."""
    return ({"id": "scale_linear", "kwargs": {"gain": gain, "offset": offset, **_by_channel(gain)}}, _as_float32())


def _by_channel(numbers: Numbers) -> dict[str, str]:
    return {"axis": "channel"} if isinstance(numbers, list) else {}


def _as_float32() -> Operation:
    return {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}


def apply_operations(
    operations: Sequence[Operation],
    array: np.ndarray,
    axes: Sequence[str],
    *,
    references: References | None = None,
    own: str | None = None,
) -> np.ndarray:
    """Apply operations in turn.

    Parameters
    ----------
    operations : sequence of dict
        Entries of an rdf's ``preprocessing`` or ``postprocessing``.
    array : ndarray
        One whole image in network order; never changed.
    axes : sequence of str
        Axis ids of `array`, for example ``("batch", "channel", "y", "x")``.
    references : mapping, optional
        Raw input tensors for operations that name a ``reference_tensor``.
    own : str, optional
        The id under which `references` holds the array itself, for pre-processing.

    Returns
    -------
    ndarray
        float32 unless an ``ensure_dtype`` or ``binarize`` says otherwise.

    Raises
    ------
    ZooferryError
        An operation that is not known here, or values that it cannot use.
    """
    ids, references = tuple(axes), references or {}
    for operation in operations:
        name, kwargs = operation["id"], dict(operation.get("kwargs") or {})
        problem = why_impossible([operation])
        if problem:
            raise ZooferryError(problem)
        try:
            if name in STATISTICS:
                source = kwargs.pop("reference_tensor", None) or own
                kwargs["of"] = (array, ids) if source is None else references[source]
            done = OPERATIONS[name](array, ids, **kwargs)
            if done.shape != array.shape and name not in LIBRARIES:
                raise ValueError(f"it would turn shape {array.shape} into {done.shape}")
            array = done
        except KeyError as error:
            raise ZooferryError(f"processing step {name!r} refers to the input {error}, which is not there") from error
        except (TypeError, ValueError, IndexError, OverflowError, AttributeError, MemoryError) as error:
            said = " ".join(str(error).split())[:200]
            raise ZooferryError(
                f"processing step {name!r} cannot be done as declared ({said}); mend rdf.yaml"
            ) from error
    return array


def why_impossible(operations: Sequence[Operation]) -> str:
    """Which of the operations cannot be done here, and why, in words; empty if all can."""
    for operation in operations:
        name = operation["id"]
        if name not in OPERATIONS:
            return f"processing step {str(name)[:80]!r} is not supported; allowed are {', '.join(sorted(OPERATIONS))}"
        library = missing_library(name) if needs_library(name, operation.get("kwargs") or {}) else ""
        if library:
            return f"processing step {name!r} of volumes needs {library}; pip install {library}"
    return ""


# Below, `ids` are the axis ids of the array; an rdf calls the axes of a statistic `axes`; `of` is what it is taken of.


def _over(ids: tuple[str, ...], within: Sequence[str] | None) -> tuple[int, ...]:
    """Positions of the axes that share one statistic; None means all of them."""
    return tuple(range(len(ids))) if within is None else tuple(ids.index(a) for a in within)


def _statistic(
    of: Labelled, ids: tuple[str, ...], axes: Sequence[str] | None, compute: Callable[..., np.ndarray]
) -> np.ndarray:
    """``compute(array, axis=...)`` in float64, ready to broadcast against an array with axes `ids`."""
    array, names = of
    # a float32 array would make numpy 2 compute ranks in float32
    value = compute(array.astype(np.float64), axis=_over(names, axes))
    left = [a for a in names if axes is not None and a not in axes]
    if not set(left) <= set(ids):
        raise ValueError(f"a statistic along {', '.join(left)} for a tensor with axes {', '.join(ids)}")
    value = np.transpose(value, [left.index(a) for a in ids if a in left])
    sizes = iter(np.shape(value))
    return np.reshape(value, [next(sizes) if a in left else 1 for a in ids])


def _quantile(of: Labelled, ids: tuple[str, ...], axes: Sequence[str] | None, rank: tuple[float, str]) -> np.ndarray:
    percentile, method = rank
    return _statistic(of, ids, axes, lambda a, axis: np.quantile(a, percentile / 100, axis=axis, method=method))  # type: ignore[call-overload]


def _along(array: np.ndarray, ids: tuple[str, ...], axis: str | None, value: Any) -> np.ndarray:
    """A scalar, or a vector laid along one axis, ready to broadcast against `array`."""
    vector = np.asarray(value, np.float64)
    if axis is None or vector.ndim == 0:
        return vector.reshape(())
    shape = [1] * array.ndim
    shape[ids.index(axis)] = vector.size
    return vector.reshape(shape)


def _affine(array: np.ndarray, offset: Any, scale: Any) -> np.ndarray:
    """(array - offset) / scale, computed in float64 and stored as float32, as a sum of one rounding."""
    scaled: np.ndarray = (array - np.asarray(offset, np.float64)) / scale
    return scaled.astype(np.float32)


def _ensure_dtype(array: np.ndarray, ids: tuple[str, ...], *, dtype: str) -> np.ndarray:
    if dtype not in DTYPES:
        raise ValueError(f"dtype {str(dtype)[:40]}; allowed are {', '.join(DTYPES)}")
    with np.errstate(invalid="ignore"):  # out of range for the type: as numpy does it
        return array.astype(dtype)


def _scale_linear(
    array: np.ndarray, ids: tuple[str, ...], *, gain: Any = 1.0, offset: Any = 0.0, axis: str | None = None
) -> np.ndarray:
    scaled: np.ndarray = array * _along(array, ids, axis, gain) + _along(array, ids, axis, offset)
    return scaled.astype(np.float32)


def _fixed_zero_mean_unit_variance(
    array: np.ndarray, ids: tuple[str, ...], *, mean: Any, std: Any, axis: str | None = None
) -> np.ndarray:
    return _affine(array, _along(array, ids, axis, mean), _along(array, ids, axis, std) + EPS)


def _zero_mean_unit_variance(
    array: np.ndarray, ids: tuple[str, ...], *, of: Labelled, axes: Sequence[str] | None = None, eps: float = EPS
) -> np.ndarray:
    mean, std = _statistic(of, ids, axes, np.mean), _statistic(of, ids, axes, np.std)
    return _affine(array, mean, std + EPS)


def _scale_mean_variance(
    array: np.ndarray, ids: tuple[str, ...], *, of: Labelled, axes: Sequence[str] | None = None, eps: float = EPS
) -> np.ndarray:
    own = (array, ids)
    mean, std = _statistic(own, ids, axes, np.mean), _statistic(own, ids, axes, np.std) + eps
    wanted: np.ndarray = _statistic(of, ids, axes, np.std) + eps
    scaled: np.ndarray = (array - mean) / std * wanted + _statistic(of, ids, axes, np.mean)
    return scaled.astype(np.float32)


def _scale_range(
    array: np.ndarray,
    ids: tuple[str, ...],
    *,
    of: Labelled,
    axes: Sequence[str] | None = None,
    min_percentile: float = 0.0,
    max_percentile: float = 100.0,
    eps: float = EPS,
) -> np.ndarray:
    low, high = (_quantile(of, ids, axes, (p, "linear")) for p in (min_percentile, max_percentile))
    return _affine(array, low, high - low + EPS)


def _clip(
    array: np.ndarray,
    ids: tuple[str, ...],
    *,
    of: Labelled,
    axes: Sequence[str] | None = None,
    **bounds: float | None,
) -> np.ndarray:
    """`bounds` are min or min_percentile, and max or max_percentile."""
    unknown = set(bounds) - {"min", "max", "min_percentile", "max_percentile"}
    if unknown or all(value is None for value in bounds.values()):
        raise ValueError(f"{', '.join(sorted(unknown)) or 'no bounds'}; allowed are min, max and their percentiles")
    method = "linear" if axes is None or "batch" in axes else "inverted_cdf"
    for name, limit in (("min", np.maximum), ("max", np.minimum)):
        bound: Any = bounds.get(name)
        if bounds.get(f"{name}_percentile") is not None:
            bound = _quantile(of, ids, axes, (float(bounds[f"{name}_percentile"] or 0.0), method))
        if bound is not None:
            array = limit(array, np.asarray(bound, np.float64)).astype(_float_or(array.dtype), copy=False)
    return array


def _float_or(dtype: np.dtype[Any]) -> Any:
    """A bound may be 0.5: integers become float32."""
    return dtype if dtype.kind == "f" else np.float32


def _sigmoid(array: np.ndarray, ids: tuple[str, ...]) -> np.ndarray:
    return np.asarray(special.expit(array.astype(np.float32)))


def _softmax(array: np.ndarray, ids: tuple[str, ...], *, axis: str = "channel") -> np.ndarray:
    return np.asarray(special.softmax(array.astype(np.float64), axis=ids.index(axis))).astype(np.float32)


def _binarize(array: np.ndarray, ids: tuple[str, ...], *, threshold: Any, axis: str | None = None) -> np.ndarray:
    limit = _along(array, ids, axis, threshold)
    above: np.ndarray = array > limit.astype(array.dtype if array.dtype.kind == "f" else np.float64)
    return above


def _stardist(array: np.ndarray, ids: tuple[str, ...], **kwargs: Any) -> np.ndarray:
    return make_labels("stardist_postprocessing", array, ids, kwargs)


def _cellpose(array: np.ndarray, ids: tuple[str, ...], **kwargs: Any) -> np.ndarray:
    return make_labels("cellpose_flow_dynamics", array, ids, kwargs)


OPERATIONS: Mapping[str, Callable[..., np.ndarray]] = {
    "ensure_dtype": _ensure_dtype,
    "scale_linear": _scale_linear,
    "fixed_zero_mean_unit_variance": _fixed_zero_mean_unit_variance,
    "zero_mean_unit_variance": _zero_mean_unit_variance,
    "scale_mean_variance": _scale_mean_variance,
    "scale_range": _scale_range,
    "clip": _clip,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "binarize": _binarize,
    "stardist_postprocessing": _stardist,
    "cellpose_flow_dynamics": _cellpose,
}
STATISTICS = ("zero_mean_unit_variance", "scale_mean_variance", "scale_range", "clip")
DTYPES = (
    "float32", "float64", "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"
)  # fmt: skip
