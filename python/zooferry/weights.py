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
    network: torch.nn.Module, path: Path, example: np.ndarray, *, names: Sequence[str], axes: Sequence[str]
) -> None:
    """Export with opset 17; every axis but the channels is dynamic.

    Parameters
    ----------
    network : Module
    path : Path
    example : ndarray
        float32 batch B C (Z) Y X.
    names : sequence of str
        Names of the input and of every output tensor.
    axes : sequence of str
        Axis ids of the input; those of an output that has fewer are the last ones, after batch and channel.

    Raises
    ------
    ZooferryError
        The exporter wrote an opset or IR version that Java engines cannot read.
    """
    import onnx

    found = run_eager(network, example)
    free = {n: _free(axes, array.ndim) for n, array in zip(names, (example, *found), strict=True)}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that Java engines can read is the old one
        torch.onnx.export(
            _plain(network),
            (torch.from_numpy(example),),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=[names[0]],
            output_names=list(names[1:]),
            dynamic_axes=free,
        )
    model = onnx.load(str(path))
    opset = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset > OPSET or model.ir_version > LARGEST_IR:
        raise ZooferryError(
            f"ONNX export has opset {opset} and IR {model.ir_version}; Java engines read opset <= {OPSET} and "
            f"IR <= {LARGEST_IR}; use a torch version whose exporter writes them"
        )


def _free(axes: Sequence[str], count: int) -> dict[int, str]:
    return {i: axis for i, axis in enumerate((*axes[:2], *axes[len(axes) - count + 2 :])) if axis != "channel"}


def _plain(network: torch.nn.Module) -> torch.nn.Module:
    """A CPU copy in the ordinary memory layout, in evaluation mode; the given network is not touched."""
    return copy.deepcopy(network).cpu().to(memory_format=torch.contiguous_format).eval()


def run_eager(network: torch.nn.Module, batch: np.ndarray) -> list[np.ndarray]:
    """The network itself on a float32 batch B C (Z) Y X; one array per output."""
    with torch.inference_mode():
        found = _plain(network)(torch.from_numpy(batch))
    several = found if isinstance(found, tuple) else (found,)
    return [result.numpy() for result in several]


def require_agreement(what: str, run: Infer, network: torch.nn.Module, shapes: Sequence[tuple[int, ...]]) -> float:
    """Compare written weights with the network on random batches of the given shapes; the largest difference.

    Every output is compared.

    Raises
    ------
    ZooferryError
        The number of outputs differs, or a value by more than 1e-4 + 1e-4 of the network's own value.
    """
    rng = np.random.default_rng(0)
    worst = 0.0
    for shape in shapes:
        batch = rng.normal(size=shape).astype(np.float32)
        found, expected = run([batch]), run_eager(network, batch)
        if len(found) != len(expected):
            raise ZooferryError(f"the {what} weights give {len(found)} outputs, the network {len(expected)}")
        for actual, wanted in zip(found, expected, strict=True):
            verdict = compare(actual, wanted, name=what)
            if not verdict.passed:
                raise ZooferryError(f"the {what} weights disagree with the network on shape {shape}: {verdict.reason}")
            worst = max(worst, verdict.max_abs)
    return worst
