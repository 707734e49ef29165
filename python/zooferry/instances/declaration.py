"""What a package says about the instances that its outputs hold: the section ``config.zooferry.instances``.

.. code-block:: yaml

    config:
      zooferry:
        instances:
          method: star_convex     # or flows, borders
          outputs: [prob, dist]   # their channels, one after the other, are the heads that the method takes
          prob_thresh: 0.48       # parameters of the method, each with a default
          nms_thresh: 0.3
          grid: [2, 2]

``volume: true`` says that the heads are those of stacks Z Y X, whose objects go through slices; without it every plane
is decoded by itself. A grid has then three numbers, and star_convex takes the `anisotropy` of its rays: pixel sizes
along z, y, x in any unit. ``repeated: true`` says that its heads have the size of the image, each value of the grid for
all pixels of its place, as hosts need it that know no grid.

Flows of a 2D network are of three views, see `zooferry.three_views`; there `anisotropy` says how the slices are
interpolated, and the check of flows is for planes alone.

==============  ==============================================================================================
method          heads along the channel axis; parameters
==============  ==============================================================================================
star_convex     probability, distances along the rays; those of `star_convex.labels_from_distances`, not shape
flows           flow along Y, flow along X, logit of the probability; those of `flows.labels_from_flows`
borders         probabilities of background, object, border; those of `borders.labels_from_classes`
==============  ==============================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from zooferry.errors import ZooferryError

# method -> parameter -> what its value must be
PARAMETERS: dict[str, dict[str, str]] = {
    "star_convex": {
        "grid": "steps",
        "prob_thresh": "number",
        "nms_thresh": "number",
        "border": "whole",
        "anisotropy": "sizes",
        "repeated": "flag",
    },
    "flows": {
        "prob_thresh": "number",
        "flow_thresh": "number",
        "min_size": "whole",
        "steps": "whole",
        "largest": "number",
        "renumber": "flag",
        "anisotropy": "sizes",
        "diameter": "number",
    },
    "borders": {"threshold": "number", "min_size": "whole", "grow": "whole"},
}
VOLUMES = ("star_convex", "flows", "borders")  # methods that take stacks as a whole
LABELS = "labels"  # the id of the output that decoding adds


@dataclass(frozen=True)
class Declaration:
    """How the outputs named `outputs` become labels.

    `parameters` are arguments of the method's function, `volume` says that it takes stacks instead of planes.
    """

    method: str
    outputs: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    volume: bool = False


def read_declaration(content: Mapping[str, Any], outputs: Sequence[str]) -> Declaration | None:
    """The declaration of a description with these output ids, None if there is none.

    Raises
    ------
    ZooferryError
        It is incomplete or wrong.
    """
    config = content.get("config")
    ours = config.get("zooferry") if isinstance(config, Mapping) else None
    said = ours.get("instances") if isinstance(ours, Mapping) else None
    if said is None:
        return None
    if not isinstance(said, Mapping) or said.get("method") not in PARAMETERS:
        method = said.get("method") if isinstance(said, Mapping) else said
        raise _wrong(f"the method {str(method)[:40]!r}", f"{', '.join(PARAMETERS)}")
    names = said.get("outputs")
    if not isinstance(names, list) or not names or not all(name in outputs for name in names):
        raise _wrong(f"the outputs {str(names)[:80]}", f"a list of some of {', '.join(outputs)}")
    known = PARAMETERS[said["method"]]
    parameters = {key: value for key, value in said.items() if key not in ("method", "outputs", "volume")}
    volume = said.get("volume", False)
    if not isinstance(volume, bool) or (volume and said["method"] not in VOLUMES):
        raise _wrong(
            f"volume {str(volume)[:40]!r} for {said['method']}",
            f"true for {', '.join(VOLUMES[:-1])} or {VOLUMES[-1]}, else false",
        )
    for key, value in parameters.items():
        if key not in known:
            raise _wrong(f"the parameter {str(key)[:40]!r} of {said['method']}", ", ".join(known))
        if not _is(known[key], value, 3 if volume else 2):
            raise _wrong(f"{key} {str(value)[:40]!r}", KINDS[known[key]])
    return Declaration(str(said["method"]), tuple(names), parameters, volume)


KINDS = {
    "number": "a number",
    "whole": "a whole number from 0",
    "flag": "true or false",
    "steps": "whole numbers from 1, one for each of Y and X, of a volume for Z too",
    "sizes": "three numbers above 0, for Z, Y and X of a volume",
}


def _is(kind: str, value: Any, axes: int) -> bool:
    if kind == "flag":
        return isinstance(value, bool)
    if kind in ("steps", "sizes"):
        right = (
            isinstance(value, list) and len(value) == (axes if kind == "steps" else 3) and (kind, axes) != ("sizes", 2)
        )
        return right and all(_is("whole" if kind == "steps" else "number", n, axes) and n > 0 for n in value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return False
    return kind == "number" or (isinstance(value, int) and value >= 0)


def _wrong(came: str, allowed: str) -> ZooferryError:
    return ZooferryError(f"config.zooferry.instances names {came}; allowed: {allowed}")


def decode(declaration: Declaration, heads: np.ndarray, shape: Sequence[int] | None = None) -> np.ndarray:
    """Labels of one image.

    Parameters
    ----------
    declaration : Declaration
    heads : ndarray
        C Y X, or C Z Y X for a volume, see the table above.
    shape : sequence of int, optional
        Y X of the image, for a grid that does not divide it.

    Returns
    -------
    ndarray
        int32, Y X or Z Y X.

    Raises
    ------
    ZooferryError
        The heads are not what the method takes.
    """
    from zooferry.instances import borders, flows, flows_volume, polyhedra, star_convex

    parameters = dict(declaration.parameters)
    if declaration.method == "star_convex":
        _require(heads, declaration, heads.shape[0] >= 4, "at least 4 channels: probability and distances")
        kind = polyhedra if declaration.volume else star_convex
        if not declaration.volume:
            parameters.pop("anisotropy", None)  # of no meaning in a plane
        if parameters.pop("repeated", False):
            steps = parameters.get("grid", (1,) * (heads.ndim - 1))
            shape = heads.shape[1:] if shape is None else shape
            heads = np.ascontiguousarray(heads[(slice(None), *[slice(None, None, step) for step in steps])])
        found: np.ndarray = kind.labels_from_distances(heads[0], heads[1:], shape=shape, **parameters)
        return found
    if declaration.method == "flows":
        parameters.pop("anisotropy", None)
        parameters.pop("diameter", None)
        if declaration.volume and heads.ndim == 4:
            _require(heads, declaration, heads.shape[0] == 4, "4 channels")
            of_planes = ("flow_thresh", "renumber")
            rest = {key: value for key, value in parameters.items() if key not in of_planes}
            return flows_volume.labels_from_flows(heads[3], heads[:3], **rest)
        _require(heads, replace(declaration, volume=False), heads.shape[0] == 3, "3 channels")
        return flows.labels_from_flows(heads[2], heads[:2], **parameters)
    _require(heads, declaration, heads.shape[0] == 3, "3 channels")
    return borders.labels_from_classes(heads, **parameters)


def _require(heads: np.ndarray, declaration: Declaration, right: bool, wanted: str) -> None:
    axes = "C Z Y X" if declaration.volume else "C Y X"
    if heads.ndim != len(axes.split()) or not right:
        raise ZooferryError(
            f"the outputs {', '.join(declaration.outputs)} have shape {heads.shape} ({axes}) together; "
            f"{declaration.method} takes {wanted}"
        )
