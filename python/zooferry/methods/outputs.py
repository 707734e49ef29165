"""What a network gives out: one restored image, or several named ones, each with what its numbers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from zooferry.errors import ZooferryError

if TYPE_CHECKING:
    from zooferry.normalization import Operation

KINDS = ("grey values", "scale", "probability", "fraction", "labels")
ANY_UNIT = "arbitrary unit"


@dataclass(frozen=True)
class Output:
    """One output of a network.

    Attributes
    ----------
    id : str
        Letters, digits and underscores: it is the tensor's name everywhere, and part of file names.
    description : str
        One line for the package.
    kind : str
        "grey values"; "scale", a width on the axis of the grey values, such as a standard deviation;
        "probability" and "fraction", both 0 to 1; "labels", whole numbers from 0 that the network emits as float32,
        because deepImageJ fails where a type is changed afterwards.
    unit : str
        As the format spells units, for example "micrometer".
    classes : int
        For labels: how many values there are; 0 where they are counted objects.
    postprocessing : tuple of Operation, optional
        None where it follows from the kind, see :func:`postprocessing_of`.
    """

    id: str = "restored"
    description: str = "restored image"
    kind: str = "grey values"
    unit: str = ANY_UNIT
    classes: int = 0
    postprocessing: tuple[Operation, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what no package could hold.

        Raises
        ------
        ZooferryError
            An unknown kind, or an id that is no name.
        """
        if self.kind not in KINDS:
            raise ZooferryError(f"output {self.id!r} is of kind {self.kind!r}; allowed: {', '.join(KINDS)}")
        if not self.id.isidentifier():
            raise ZooferryError(f"output id {self.id!r}; allowed: letters, digits and underscores")

    @property
    def steps(self) -> tuple[Operation, ...]:
        """The post-processing, () where there is none."""
        return self.postprocessing or ()


RESTORED = (Output(),)


def complete(outputs: Sequence[Output], operations: Sequence[Operation]) -> list[dict[str, Any]]:
    """The entries ``outputs`` of run.json, with the post-processing of each spelled out.

    Parameters
    ----------
    outputs : sequence of Output
        In the order of the network's results.
    operations : sequence of Operation
        What brings the network's units back to grey values.
    """
    entries = []
    for output in outputs:
        steps = output.postprocessing
        own = postprocessing_of(output.kind, operations) if steps is None else steps
        entries.append({**asdict(output), "postprocessing": list(own)})
    return entries


def read_outputs(content: Mapping[str, Any]) -> tuple[Output, ...]:
    """The outputs of a run from run.json's content; runs of release 0.1.0 name none and have one."""
    entries = content.get("outputs") or complete(RESTORED, content["postprocessing"])
    return tuple(Output(**{**entry, "postprocessing": tuple(entry["postprocessing"])}) for entry in entries)


def postprocessing_of(kind: str, operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """What becomes of an output of that kind when the network's units go back to grey values.

    A scale is a difference of two grey values: it is multiplied by the gain and never shifted. Probabilities,
    fractions and labels have no grey values.

    Raises
    ------
    ZooferryError
        A scale cannot follow a step that is not linear.
    """
    if kind == "grey values":
        return tuple(operations)
    return tuple(_of_a_scale(step) for step in operations) if kind == "scale" else ()


def _of_a_scale(step: Operation) -> Operation:
    if step["id"] == "ensure_dtype":
        return step
    if step["id"] != "scale_linear":
        raise ZooferryError(f"a scale cannot go through {step['id']!r}; allowed: scale_linear and ensure_dtype")
    kwargs = dict(step.get("kwargs") or {})
    gain = kwargs.get("gain", 1.0)
    widths = [abs(float(g)) for g in gain] if isinstance(gain, (list, tuple)) else abs(float(gain))
    return {"id": "scale_linear", "kwargs": {**kwargs, "gain": widths, "offset": 0.0}}


def data_description(output: Output, dtype: str) -> dict[str, Any]:
    """The field ``data`` of an output in rdf.yaml."""
    if output.kind == "labels" and output.classes:
        return {"values": list(range(output.classes)), "type": dtype}
    ranges = {"scale": [0.0, None], "labels": [0.0, None], "probability": [0.0, 1.0], "fraction": [0.0, 1.0]}
    found: dict[str, Any] = {"type": dtype}
    if output.kind in ranges:
        found["range"] = ranges[output.kind]
    return found | ({"unit": output.unit} if output.unit != ANY_UNIT else {})


def channel_names(output: Output, count: int) -> list[str]:
    """What the channels of an output are called."""
    words = {"grey values": "channel" if count > 1 else "intensity", "labels": "label"}
    name = words.get(output.kind, output.id)
    return [name] if count == 1 else [f"{name}{i}" for i in range(count)]
