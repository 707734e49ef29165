"""Write a network as state dict, TorchScript and ONNX, and compare each with the network at once.

What Java hosts can read sets the forms: TorchScript by trace (libtorch 2.0 loads it), ONNX by the TorchScript-based
exporter with opset 17 and IR version 8 (onnxruntime 1.15 and older engines load it), both with free batch and
spatial sizes.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from zooferry.comparison import compare
from zooferry.engines import Infer
from zooferry.errors import ZooferryError

OPSET = 17
LARGEST_IR = 8


def write_state_dict(network: torch.nn.Module, path: Path) -> None:
    """Weights only, contiguous, on the CPU; loads with ``weights_only=True``."""
    state = {name: value.detach().cpu().contiguous().clone() for name, value in network.state_dict().items()}
    torch.save(state, path)


def write_torchscript(network: torch.nn.Module, path: Path, example: np.ndarray) -> None:
    """Trace the network on a float32 batch B C (Z) Y X; spatial sizes stay free.

    The same network gives the same bytes as the first trace of a process; torch numbers the class names of later
    ones (``___torch_mangle_54``), and has no way to start over.
    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch 2.15 calls TorchScript deprecated; Java hosts need it
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]
            _plain(network), torch.from_numpy(example), check_trace=False
        )
        torch.jit.save(traced, str(path))


def write_onnx(
    network: torch.nn.Module, path: Path, example: np.ndarray, *, names: tuple[str, str], axes: Sequence[str]
) -> None:
    """Export with opset 17; every axis but the channels is dynamic.

    Parameters
    ----------
    network : Module
    path : Path
    example : ndarray
        float32 batch B C (Z) Y X.
    names : (str, str)
        Names of the input and the output tensor.
    axes : sequence of str
        Axis ids of both.

    Raises
    ------
    ZooferryError
        The exporter wrote an opset or IR version that Java engines cannot read.
    """
    import onnx

    free = {i: axis for i, axis in enumerate(axes) if axis != "channel"}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that Java engines can read is the old one
        torch.onnx.export(
            _plain(network),
            (torch.from_numpy(example),),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=[names[0]],
            output_names=[names[1]],
            dynamic_axes={name: free for name in names},
        )
    model = onnx.load(str(path))
    opset = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset > OPSET or model.ir_version > LARGEST_IR:
        raise ZooferryError(
            f"ONNX export has opset {opset} and IR {model.ir_version}; Java engines read opset <= {OPSET} and "
            f"IR <= {LARGEST_IR}; use a torch version whose exporter writes them"
        )


def _plain(network: torch.nn.Module) -> torch.nn.Module:
    """A CPU copy in the ordinary memory layout, in evaluation mode; the given network is not touched."""
    return copy.deepcopy(network).cpu().to(memory_format=torch.contiguous_format).eval()


def run_eager(network: torch.nn.Module, batch: np.ndarray) -> np.ndarray:
    """The network itself on a float32 batch B C (Z) Y X."""
    with torch.inference_mode():
        result: np.ndarray = _plain(network)(torch.from_numpy(batch)).numpy()
    return result


def require_agreement(what: str, run: Infer, network: torch.nn.Module, shapes: Sequence[tuple[int, ...]]) -> float:
    """Compare written weights with the network on random batches of the given shapes; the largest difference.

    Raises
    ------
    ZooferryError
        A value differs by more than 1e-4 + 1e-4 of the network's own value.
    """
    rng = np.random.default_rng(0)
    worst = 0.0
    for shape in shapes:
        batch = rng.normal(size=shape).astype(np.float32)
        verdict = compare(run([batch])[0], run_eager(network, batch), name=what)
        if not verdict.passed:
            raise ZooferryError(f"the {what} weights disagree with the network on shape {shape}: {verdict.reason}")
        worst = max(worst, verdict.max_abs)
    return worst
