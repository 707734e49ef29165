"""Packages of every kind for tests: a description that the test says, around a tiny ONNX network made by hand."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from onnx import TensorProto, helper, save

from zooferry.files import sha256

FLOAT = TensorProto.FLOAT
Tensors = Sequence[Mapping[str, Any]]


def write_network(path: Path, nodes: Sequence[Any], inputs: Mapping[str, int], outputs: Mapping[str, int]) -> Path:
    """An ONNX file (opset 17, IR 8) of float32 tensors; `inputs` and `outputs` map names to numbers of axes."""
    make = helper.make_tensor_value_info
    given = [make(name, FLOAT, [f"{name}{i}" for i in range(n)]) for name, n in inputs.items()]
    wanted = [make(name, FLOAT, [f"{name}{i}" for i in range(n)]) for name, n in outputs.items()]
    graph = helper.make_graph(list(nodes), "tiny", given, wanted)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    save(model, str(path))
    return path


def identity(path: Path, axes: int = 4) -> Path:
    """out = in."""
    return write_network(path, [helper.make_node("Identity", ["in"], ["out"])], {"in": axes}, {"out": axes})


def space(size: Any = None, *, names: str = "yx", **more: Any) -> list[dict[str, Any]]:
    """Batch, one channel and spatial axes; `size` for all of them, `more` for the spatial ones."""
    size = {"min": 4, "step": 4} if size is None else size
    return [
        {"type": "batch"},
        {"type": "channel", "channel_names": ["grey"]},
        *[{"type": "space", "id": n, "size": size, **more} for n in names],
    ]


def like(tensor: str, *, names: str = "yx", channels: int = 1, **more: Any) -> list[dict[str, Any]]:
    """Axes whose spatial sizes refer to the input `tensor`."""
    return [
        {"type": "batch"},
        {"type": "channel", "channel_names": [f"c{i}" for i in range(channels)]},
        *[{"type": "space", "id": n, "size": {"tensor_id": tensor, "axis_id": n}, **more} for n in names],
    ]


def tensor(name: str, axes: Any, steps: Sequence[Mapping[str, Any]] = (), dtype: str = "float32") -> dict[str, Any]:
    """One input or output; `write_package` knows under which key its steps belong."""
    return {"id": name, "axes": axes, "data": {"type": dtype}, "steps": list(steps)}


def write_package(
    folder: Path, network: Path, inputs: Tensors, outputs: Tensors, *, arrays: Mapping[str, np.ndarray], **fields: Any
) -> Path:
    """An unpacked package of format 0.5 in `folder`.

    Parameters
    ----------
    folder : Path
        Made if absent.
    network : Path
        ONNX file in `folder`.
    inputs, outputs : sequence of dict
        As `tensor` makes them.
    arrays : mapping
        Tensor id -> stored test tensor; zeros of the input's shape for outputs that are absent.
    fields : Any
        More fields of the description.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first = next(iter(arrays.values()))
    content: dict[str, Any] = {
        "type": "model",
        "format_version": "0.5.12",
        "id": "any",
        "name": "any package",
        "inputs": [],
        "outputs": [],
        "weights": {"onnx": {"source": network.name, "sha256": sha256(network), "opset_version": 17}},
        **fields,
    }
    for role, stage, tensors in (("inputs", "preprocessing", inputs), ("outputs", "postprocessing", outputs)):
        for entry in tensors:
            file = folder / f"test_{entry['id']}.npy"
            np.save(file, arrays.get(entry["id"], np.zeros(first.shape, np.float32)))
            kept = {k: v for k, v in entry.items() if k != "steps"}
            test = {"source": file.name, "sha256": sha256(file)}
            content[role].append(kept | {stage: list(entry["steps"]), "test_tensor": test})
    (folder / "rdf.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return folder


def core_prediction(folder: Path) -> dict[str, np.ndarray]:
    """What bioimageio.core makes of the stored test inputs with the ONNX weights."""
    from bioimageio.core import create_prediction_pipeline
    from bioimageio.core.digest_spec import get_test_input_sample
    from bioimageio.spec import load_model_description

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # files left open, percentiles of a data set that is one image
        description = load_model_description(folder / "rdf.yaml", perform_io_checks=False, format_version="latest")
        with create_prediction_pipeline(description, devices=["cpu"], weight_format="onnx") as pipeline:
            sample = get_test_input_sample(description)
            result = pipeline.predict_sample_without_blocking(
                sample, skip_input_padding=True, skip_output_cropping=True
            )
        gc.collect()
    return {str(name): np.asarray(member.data) for name, member in result.members.items()}
