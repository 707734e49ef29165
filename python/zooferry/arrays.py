"""Read a stored test tensor (.npy) from a stranger: its header is read first, nothing is unpickled.

Limits: 2 GiB, 8 axes, plain numbers, as many bytes in the file as the header says, at least one value, all finite.
"""

from __future__ import annotations

import math
import tokenize
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from zooferry.errors import ZooferryError

MAX_BYTES = 2 << 30
MAX_AXES = 8
KINDS = "biuf"  # bool, integers, floating point
DAMAGED = (
    ValueError, TypeError, OSError, EOFError, SyntaxError, OverflowError, MemoryError, RecursionError,
    tokenize.TokenError,
)  # fmt: skip  # what numpy raises on damaged headers


def read_array(path: Path) -> np.ndarray:
    """The array of a .npy file.

    Raises
    ------
    ZooferryError
        It is no such file, larger than it may be, no plain numbers, empty, or has NaN or infinite values.
    """
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's hints about files of Python 2
            _require_plain(path, *_header(file), path.stat().st_size - file.tell())
            file.seek(0)
            array: np.ndarray = np.load(file, allow_pickle=False)
    except DAMAGED as error:
        said = " ".join(str(error).split())[:160]
        raise ZooferryError(f"{path.name}: not a numpy array ({said}); package the model again") from error
    if array.size == 0:
        raise ZooferryError(f"{path.name}: the array is empty, shape {array.shape}; package the model again")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise ZooferryError(f"{path.name}: {bad} of {array.size} values are NaN or infinite; package the model again")
    return array


def _header(file: BinaryIO) -> tuple[Any, Any]:
    """Shape and dtype as the file says."""
    version = npy.read_magic(file)
    reader = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if reader is None:
        raise ValueError(f"version {version[0]}.{version[1]} of the .npy format; allowed are 1.0 and 2.0")
    shape, _, dtype = reader(file)
    return shape, dtype


def _require_plain(path: Path, shape: Any, dtype: Any, present: int) -> None:
    if dtype.kind not in KINDS or dtype.hasobject:
        raise ZooferryError(f"{path.name}: holds values of type {str(dtype)[:40]}; allowed are plain numbers")
    if len(shape) > MAX_AXES or any(not isinstance(n, int) or n < 0 for n in shape):
        raise ZooferryError(f"{path.name}: shape {str(shape)[:60]}; allowed are {MAX_AXES} axes of 0 or more values")
    wanted = math.prod(shape) * dtype.itemsize
    if wanted > MAX_BYTES:
        raise ZooferryError(
            f"{path.name}: says it holds {str(wanted)[:30]} bytes; allowed are {MAX_BYTES >> 30} GiB; refused"
        )
    if wanted > present:
        raise ZooferryError(f"{path.name}: says it holds {wanted} bytes, and has {present}; get the package again")
