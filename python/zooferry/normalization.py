"""Each scaling once: apply it, and say its own rdf entry. Statistics are of the whole image, never of a tile.

An *operation* is what a bioimage.io description holds: ``{"id": "scale_range", "kwargs": {...}}``. Training,
prediction and packages use the same list of operations, so there is one definition of every normalisation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import special

from zooferry.errors import ZooferryError

Operation = Mapping[str, Any]
EPS = 1e-6  # the format's default


def percentile_operations(low: float, high: float, axes: Sequence[str]) -> tuple[Operation, ...]:
    """Scale so that the image's percentiles `low` and `high` (0-100) become 0 and 1 (Weigert 2018, Methods).

    `axes` are the network's axis ids; the statistics run over all but the batch axis.
    """
    within = [a for a in axes if a != "batch"]
    scale = {"axes": within, "min_percentile": low, "max_percentile": high, "eps": EPS}
    return (_as_float32(), {"id": "scale_range", "kwargs": scale}, _as_float32())


def standardising_operations(mean: float, std: float) -> tuple[Operation, ...]:
    """Subtract the training images' mean, divide by their standard deviation (both in grey values)."""
    fixed = {"mean": mean, "std": std}
    return (_as_float32(), {"id": "fixed_zero_mean_unit_variance", "kwargs": fixed}, _as_float32())


def linear_operations(gain: float, offset: float) -> tuple[Operation, ...]:
    """Multiply by `gain`, add `offset`: back from network units to grey values."""
    return ({"id": "scale_linear", "kwargs": {"gain": gain, "offset": offset}}, _as_float32())


def _as_float32() -> Operation:
    return {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}


def apply_operations(operations: Sequence[Operation], array: np.ndarray, axes: Sequence[str]) -> np.ndarray:
    """Apply operations in turn.

    Parameters
    ----------
    operations : sequence of dict
        Entries of an rdf's ``preprocessing`` or ``postprocessing``.
    array : ndarray
        One whole image in network order; never changed.
    axes : sequence of str
        Axis ids of `array`, for example ``("batch", "channel", "y", "x")``.

    Returns
    -------
    ndarray
        float32 unless an ``ensure_dtype`` or ``binarize`` says otherwise.

    Raises
    ------
    ZooferryError
        An operation that is not known here.
    """
    for operation in operations:
        name = operation["id"]
        if name not in OPERATIONS:
            raise ZooferryError(
                f"processing step {name!r} is not supported; allowed are {', '.join(sorted(OPERATIONS))}"
            )
        array = OPERATIONS[name](array, tuple(axes), **operation.get("kwargs", {}))
    return array


# Below, `ids` are the axis ids of the array; an rdf calls the axes of a statistic `axes`.


def _over(ids: tuple[str, ...], within: Sequence[str] | None) -> tuple[int, ...]:
    """Positions of the axes that share one statistic; None means all of them."""
    return tuple(range(len(ids))) if within is None else tuple(ids.index(a) for a in within)


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
    array: np.ndarray, ids: tuple[str, ...], *, axes: Sequence[str] | None = None, eps: float = EPS
) -> np.ndarray:
    over = _over(ids, axes)
    whole = array.astype(np.float64)
    return _affine(array, whole.mean(axis=over, keepdims=True), whole.std(axis=over, keepdims=True) + eps)


def _scale_range(
    array: np.ndarray,
    ids: tuple[str, ...],
    *,
    axes: Sequence[str] | None = None,
    min_percentile: float = 0.0,
    max_percentile: float = 100.0,
    eps: float = EPS,
) -> np.ndarray:
    over = _over(ids, axes)
    # a float32 array would make numpy 2 compute the rank in float32
    low, high = np.percentile(array.astype(np.float64), [min_percentile, max_percentile], axis=over, keepdims=True)
    return _affine(array, low, high - low + eps)


def _clip(
    array: np.ndarray,
    ids: tuple[str, ...],
    *,
    min: float | None = None,
    max: float | None = None,
) -> np.ndarray:
    clipped: np.ndarray = np.clip(array, min, max)
    return clipped


def _sigmoid(array: np.ndarray, ids: tuple[str, ...]) -> np.ndarray:
    return np.asarray(special.expit(array.astype(np.float32)))


def _softmax(array: np.ndarray, ids: tuple[str, ...], *, axis: str = "channel") -> np.ndarray:
    return np.asarray(special.softmax(array.astype(np.float64), axis=ids.index(axis))).astype(np.float32)


def _binarize(array: np.ndarray, ids: tuple[str, ...], *, threshold: Any, axis: str | None = None) -> np.ndarray:
    above: np.ndarray = array > _along(array, ids, axis, threshold)
    return above


OPERATIONS: Mapping[str, Callable[..., np.ndarray]] = {
    "ensure_dtype": _ensure_dtype,
    "scale_linear": _scale_linear,
    "fixed_zero_mean_unit_variance": _fixed_zero_mean_unit_variance,
    "zero_mean_unit_variance": _zero_mean_unit_variance,
    "scale_range": _scale_range,
    "clip": _clip,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "binarize": _binarize,
}
