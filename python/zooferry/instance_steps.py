"""Processing steps that make label images, by bioimageio.core's own operators around stardist and cellpose."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np

LIBRARIES = {"stardist_postprocessing": "stardist", "cellpose_flow_dynamics": "cellpose"}


def missing_library(name: str) -> str:
    """The library that the step `name` needs and this computer has not; empty if it can be done."""
    library = LIBRARIES.get(name, "")
    return library if library and importlib.util.find_spec(library) is None else ""


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
