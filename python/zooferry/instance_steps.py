"""Processing steps that make label images: by `zooferry.instances`, but volumes of flows by cellpose."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np

from zooferry.instances.declaration import Declaration

LIBRARIES = {"stardist_postprocessing": "stardist", "cellpose_flow_dynamics": "cellpose"}


def missing_library(name: str) -> str:
    """The library that bioimageio.core needs for the step `name`, and this computer has not; empty if it is there."""
    library = LIBRARIES.get(name, "")
    return library if library and importlib.util.find_spec(library) is None else ""


def is_volume(kwargs: Mapping[str, Any]) -> bool:
    """Whether a step with these arguments works on volumes."""
    grid = kwargs.get("grid")
    return bool(kwargs.get("do_3D")) or (isinstance(grid, list | tuple) and len(grid) == 3)


def needs_library(name: str, kwargs: Mapping[str, Any]) -> bool:
    """Whether a step works on volumes in a way that only its library has."""
    return is_volume(kwargs) and (name == "cellpose_flow_dynamics" or kwargs.get("overlap_label") is not None)


def make_labels(name: str, array: np.ndarray, ids: tuple[str, ...], kwargs: Mapping[str, Any]) -> np.ndarray:
    """Turn a network's output into labels.

    Parameters
    ----------
    name : str
        A key of `LIBRARIES`.
    array : ndarray
        Probability and distances (stardist), or flows and cell probability (cellpose), along the channel axis.
    ids : tuple of str
        Axis ids of `array`.
    kwargs : mapping
        As rdf.yaml says.

    Returns
    -------
    ndarray
        int32 (stardist; sizes times its grid) or the declared type (cellpose), one channel, axes `ids`.
    """
    return (_theirs if needs_library(name, kwargs) else _ours)(name, array, ids, kwargs)


def _ours(name: str, array: np.ndarray, ids: tuple[str, ...], kwargs: Mapping[str, Any]) -> np.ndarray:
    from zooferry.instances.images import decode_planes

    inner = ["channel", *(["z"] if is_volume(kwargs) else []), "y", "x"]
    order: list[str] = [axis for axis in ("batch", *inner) if axis in ids]
    if sorted(order) != sorted(ids) or order[-len(inner) :] != inner:
        raise ValueError(f"axes {', '.join(ids)}; it takes batch, {', '.join(inner)}")
    heads = array.transpose([ids.index(axis) for axis in order])
    outer = heads.shape[: -len(inner)]
    labels = decode_planes(declared(name, kwargs), heads.reshape(-1, *heads.shape[len(outer) :]), unique=False)
    labels = labels.reshape(*outer, 1, *labels.shape[1:])
    dtype = kwargs.get("output_dtype", "uint16") if name == "cellpose_flow_dynamics" else "int32"
    return np.asarray(labels.transpose([order.index(axis) for axis in ids]).astype(dtype))


def declared(name: str, kwargs: Mapping[str, Any]) -> Declaration:
    """A step of the format as a declaration of ours."""
    if name == "cellpose_flow_dynamics":
        names = {"prob_thresh": "cellprob_threshold", "flow_thresh": "flow_threshold"}
        known = {ours: kwargs[theirs] for ours, theirs in names.items()}
        return Declaration("flows", (name,), {**known, "min_size": kwargs.get("min_size", 15)})
    names = {"prob_thresh": "prob_threshold", "nms_thresh": "nms_threshold", "grid": "grid", "border": "b"}
    names |= {"anisotropy": "anisotropy"} if is_volume(kwargs) else {}
    return Declaration(
        "star_convex", (name,), {ours: kwargs[theirs] for ours, theirs in names.items()}, is_volume(kwargs)
    )


def _theirs(name: str, array: np.ndarray, ids: tuple[str, ...], kwargs: Mapping[str, Any]) -> np.ndarray:
    from bioimageio.core import proc_ops
    from bioimageio.core._ops_cellpose import CellposeFlowDynamics
    from bioimageio.core.axis import AxisId
    from bioimageio.core.common import MemberId
    from bioimageio.core.sample import Sample
    from bioimageio.core.tensor import Tensor
    from bioimageio.spec.model import v0_5

    entry = {"id": name, "kwargs": dict(kwargs)}
    key = MemberId("labels")
    described: Any
    operator: Any
    if name == "cellpose_flow_dynamics":
        described = v0_5.CellposeFlowDynamicsDescr.model_validate(entry)
        operator = CellposeFlowDynamics.from_proc_descr(described, key)
    else:
        described = v0_5.StardistPostprocessingDescr.model_validate(entry)
        volume = isinstance(described.kwargs, v0_5.StardistPostprocessingKwargs3D)
        kind: Any = proc_ops.StardistPostprocessing3D if volume else proc_ops.StardistPostprocessing2D
        operator = kind.from_proc_descr(described, key)
    sample = Sample(members={key: Tensor(array, dims=[AxisId(a) for a in ids])}, stat={}, id=None)
    operator(sample)
    return np.asarray(sample.members[key].data.transpose(*ids))
