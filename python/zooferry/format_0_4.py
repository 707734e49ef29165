"""Model descriptions of format 0.4 in the words of format 0.5, as bioimageio.spec converts them; no network is asked.

Only what running a model needs is converted: inputs, outputs, weights and their files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

AXES = {
    "b": ("batch", "batch"), "c": ("channel", "channel"), "i": ("index", "index"), "t": ("time", "time"),
    "z": ("space", "z"), "y": ("space", "y"), "x": ("space", "x"),
}  # fmt: skip  # letter -> type and id
Entry = Mapping[str, Any]


def convert(content: Entry) -> dict[str, Any]:
    """The description with its tensors and weights in the form of format 0.5.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError, IndexError
        It is not a description of format 0.4.
    """
    inputs = [_input(t, s) for t, s in zip(content["inputs"], content["test_inputs"], strict=True)]
    given = dict(zip((t["id"] for t in inputs), content["inputs"], strict=True))
    outputs = [_output(t, s, given) for t, s in zip(content["outputs"], content["test_outputs"], strict=True)]
    weights = {kind: _weights(entry) for kind, entry in content["weights"].items() if entry}
    return {**content, "inputs": inputs, "outputs": outputs, "weights": weights}


def _input(entry: Entry, test: Any) -> dict[str, Any]:
    shape = entry["shape"]
    least = shape["min"] if isinstance(shape, Mapping) else shape
    steps = shape["step"] if isinstance(shape, Mapping) else [0] * len(shape)
    axes = []
    for letter, low, step in zip(str(entry["axes"]), least, steps, strict=True):
        axes.append(_axis(letter, {"min": low, "step": step} if step else low))
    last = {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}  # what format 0.4 takes for granted
    operations = [_operation(o, entry["axes"]) for o in entry.get("preprocessing") or ()]
    return _tensor(entry, axes, test) | {"preprocessing": [*operations, last]}


def _output(entry: Entry, test: Any, given: Mapping[str, Entry]) -> dict[str, Any]:
    shape = entry["shape"]
    letters = str(entry["axes"])
    halo = entry.get("halo") or [0] * len(letters)
    if isinstance(shape, Mapping):
        axes = [_referring_axis(letters, number, shape, given) for number in range(len(letters))]
    else:
        axes = [_axis(letter, size) for letter, size in zip(letters, shape, strict=True)]
    axes = [axis | ({"halo": h} if h else {}) for axis, h in zip(axes, halo, strict=True)]
    operations = [_operation(o, letters) for o in entry.get("postprocessing") or ()]
    return _tensor(entry, axes, test) | {"postprocessing": operations}


def _tensor(entry: Entry, axes: Sequence[Entry], test: Any) -> dict[str, Any]:
    return {"id": entry["name"], "axes": axes, "data": {"type": entry["data_type"]}, "test_tensor": {"source": test}}


def _axis(letter: str, size: Any) -> dict[str, Any]:
    kind, name = AXES[letter]
    if kind == "batch":
        return {"type": kind}
    if kind == "channel":
        count = size["min"] if isinstance(size, Mapping) else size
        return {"type": kind, "channel_names": [f"channel{i}" for i in range(min(int(count), 10_000))]}
    return {"type": kind, "id": name, "size": size}


def _referring_axis(letters: str, number: int, shape: Entry, given: Mapping[str, Entry]) -> dict[str, Any]:
    """Format 0.4 says out = in * scale + 2 * offset; format 0.5 says out = in * in_scale / out_scale + offset."""
    letter, tensor = letters[number], str(shape["reference_tensor"])
    if tensor not in given:
        tensor = tensor.partition(".")[0]  # "tensor.axis", an older spelling
    scale, offset = shape["scale"][number], int(2 * shape["offset"][number])
    if not scale:  # an axis that the input does not have
        return _axis(letter, offset)
    if AXES[letter][0] in ("batch", "channel"):
        place = str(given[tensor]["axes"]).index(letter)
        source = given[tensor]["shape"]
        count = (source["min"] if isinstance(source, Mapping) else source)[place]
        return _axis(letter, int(count * scale) + offset)
    reference = {"tensor_id": tensor, "axis_id": AXES[letter][1], "offset": offset}
    return _axis(letter, reference) | {"scale": 1.0 / float(scale)}


def _operation(entry: Entry, letters: str) -> dict[str, Any]:
    name, said = entry["name"], dict(entry.get("kwargs") or {})
    mode, within = (
        said.pop("mode", "fixed" if name == "zero_mean_unit_variance" else "per_sample"),
        said.pop("axes", None),
    )
    fixed = name == "zero_mean_unit_variance" and mode == "fixed"
    if fixed or name == "scale_linear":
        rest = [a for a in letters if a != "b" and a not in within] if within is not None else []
        if rest:
            said["axis"] = AXES[rest[0]][1]
        kept = ("mean", "std", "axis") if fixed else ("gain", "offset", "axis")
        said = {k: v for k, v in said.items() if k in kept}
        return {"id": "fixed_zero_mean_unit_variance" if fixed else name, "kwargs": said}
    said = {k: v for k, v in said.items() if v is not None and k not in ("mean", "std")}
    if within:
        batch = ["batch"] if mode == "per_dataset" and "b" not in within else []
        said["axes"] = [*batch, *[AXES[letter][1] for letter in within]]
    return {"id": name, "kwargs": said}


def _weights(entry: Entry) -> dict[str, Any]:
    """A state dict's architecture is ``file.py:Name`` or ``package.module.Name``."""
    said = entry.get("architecture")
    if not said:
        return dict(entry)
    source, colon, name = str(said).rpartition(":")
    module, _, last = str(said).rpartition(".")
    place = {"source": source, "callable": name} if colon else {"import_from": module, "callable": last}
    digest = entry.get("architecture_sha256")
    architecture = place | {"kwargs": entry.get("kwargs") or {}} | ({"sha256": digest} if colon and digest else {})
    return {**entry, "architecture": architecture}
