"""A small bioimage.io package for tests: one blurring convolution with all three weight formats.

What it computes can be checked by head: the network is ``y = x * kernel`` with a kernel of ones / 3**dims
(zeros outside the image), and the linear scalings before and after it cancel.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

ARCHITECTURE = '''"""One convolution, for tests."""

import torch
from torch import nn


class TinyNet(nn.Module):
    """Convolve B C (Z) Y X with `kernel_size` ** `dims` weights; the size stays."""

    def __init__(self, dims: int = 2, kernel_size: int = 3) -> None:
        super().__init__()
        convolution = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
        self.convolution = convolution(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pass  # here
        return self.convolution(x)
'''
README = "# Tiny\nA blur, for tests.\n\n# Validation\nThe output is compared with a mean filter.\n"
GAIN, OFFSET = 1 / 1024, -0.125
SIZES = {2: (64, 48), 3: (8, 32, 48)}


def make_tiny_package(
    folder: Path,
    *,
    dims: int = 2,
    wrong: str = "",
    weights: tuple[str, ...] = (),
    name: str = "tiny blur",
    in_forward: str = "pass",
    tolerance: dict[str, Any] | None = None,
) -> Path:
    """Write ``folder/tiny.zip`` and return its path.

    Parameters
    ----------
    folder : Path
        Made if absent; the unpacked files stay in ``folder/parts``.
    dims : int
        2 (batch, channel, y, x: 1, 1, 64, 48) or 3 (batch, channel, z, y, x: 1, 1, 8, 32, 48).
    wrong : str
        A weight format (``pytorch_state_dict``, ``torchscript``, ``onnx``) whose weights are 1 % too large, so
        that exactly this format disagrees with the stored test output.
    weights : tuple of str
        Formats to include; empty means all three.
    name : str
        The package's name.
    in_forward : str
        A statement that the shipped architecture file runs before it convolves, e.g. one that crashes.
    tolerance : dict, optional
        An entry of ``config.bioimageio.reproducibility_tolerance``.
    """
    from bioimageio.spec import save_bioimageio_package

    parts = folder / "parts"
    parts.mkdir(parents=True)
    (parts / "tiny_net.py").write_text(ARCHITECTURE.replace("pass  # here", in_forward), encoding="utf-8")
    (parts / "README.md").write_text(README, encoding="utf-8")
    image = test_image(dims)
    np.save(parts / "test_input.npy", image)
    np.save(parts / "test_output.npy", blurred(image))
    formats = weights or ("pytorch_state_dict", "torchscript", "onnx")
    _write_weights(parts, dims, formats, wrong)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # bioimageio.spec leaves the files open that it hashes
        config = {"config": {"bioimageio": {"reproducibility_tolerance": [tolerance]}}} if tolerance else {}
        description = _description(parts, dims, formats, {"name": name, **config})
        return Path(save_bioimageio_package(description, output_path=folder / "tiny.zip"))


def test_image(dims: int) -> np.ndarray:
    """Raw uint16 grey values around 300-900 with some spots; batch, channel, (z,) y, x."""
    rng = np.random.default_rng(7)
    image = rng.poisson(300, (1, 1, *SIZES[dims])).astype(np.uint16)
    image[..., 10:20, 12:30] += 500
    return image


test_image.__test__ = False  # a name that pytest would collect


def blurred(image: np.ndarray) -> np.ndarray:
    """What the package computes: scale, mean over 3 ** dims with zeros outside, scale back (float32)."""
    scaled = image.astype(np.float64) * GAIN + OFFSET
    for axis in range(2, image.ndim):
        width = [(1, 1) if a == axis else (0, 0) for a in range(image.ndim)]
        padded = np.pad(scaled, width)
        n = image.shape[axis]
        scaled = sum(np.take(padded, range(i, i + n), axis) for i in range(3)) / 3
    return ((scaled - OFFSET) / GAIN).astype(np.float32)


def _write_weights(parts: Path, dims: int, formats: tuple[str, ...], wrong: str) -> None:
    import torch

    namespace: dict[str, Any] = {}
    exec(compile(ARCHITECTURE, "tiny_net.py", "exec"), namespace)
    net = namespace["TinyNet"](dims).eval()
    example = torch.zeros(1, 1, *SIZES[dims])
    sizes = {0: "batch", **{axis: "zyx"[axis - dims - 2] for axis in range(2, dims + 2)}}
    for weight_format in formats:
        value = (1.01 if weight_format == wrong else 1.0) / 3**dims
        torch.nn.init.constant_(net.convolution.weight, value)
        with warnings.catch_warnings():
            # tracing and the exporter without dynamo are deprecated, and the only ones that Java engines read
            warnings.simplefilter("ignore")
            if weight_format == "pytorch_state_dict":
                torch.save(net.state_dict(), parts / "weights.pt")
            elif weight_format == "torchscript":
                torch.jit.trace(net, example).save(str(parts / "weights_torchscript.pt"))
            else:
                torch.onnx.export(
                    net,
                    (example,),
                    str(parts / "weights.onnx"),
                    dynamo=False,
                    opset_version=17,
                    input_names=["raw"],
                    output_names=["restored"],
                    dynamic_axes={"raw": sizes, "restored": sizes},
                )


def _description(parts: Path, dims: int, formats: tuple[str, ...], said: dict[str, Any]) -> Any:
    from bioimageio.spec import ValidationContext, build_description

    content = {
        "type": "model",
        "format_version": "0.5.12",
        "id": "tiny-blur",
        **said,
        "description": "A mean filter, for tests.",
        "authors": [{"name": "Nobody"}],
        "cite": [{"text": "none", "url": "https://example.org"}],
        "license": "BSD-3-Clause",
        "tags": ["test"],
        "documentation": {"source": str(parts / "README.md")},
        "inputs": [_tensor(parts, dims, "raw")],
        "outputs": [_tensor(parts, dims, "restored")],
        "weights": _weights(parts, dims, formats),
    }
    return build_description(content, context=ValidationContext(root=parts, perform_io_checks=True))


def _tensor(parts: Path, dims: int, name: str) -> dict[str, Any]:
    is_input = name == "raw"
    space = []
    for axis in "zyx"[-dims:]:
        size: Any = {"min": 8, "step": 8} if is_input else {"tensor_id": "raw", "axis_id": axis}
        scale = 1.0 if axis == "z" else 0.25
        space.append({"type": "space", "id": axis, "size": size, "scale": scale, "unit": "micrometer"})
    gain, offset = (GAIN, OFFSET) if is_input else (1 / GAIN, -OFFSET / GAIN)
    float32 = {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}
    steps = [{"id": "scale_linear", "kwargs": {"gain": gain, "offset": offset}}, float32]
    return {
        "id": name,
        "axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["intensity"]}, *space],
        "data": {"type": "uint16" if is_input else "float32"},
        "test_tensor": {"source": str(parts / f"test_{'input' if is_input else 'output'}.npy")},
        "preprocessing" if is_input else "postprocessing": steps,
    }


def _weights(parts: Path, dims: int, formats: tuple[str, ...]) -> dict[str, Any]:
    import torch

    architecture = {"source": str(parts / "tiny_net.py"), "callable": "TinyNet", "kwargs": {"dims": dims}}
    version = torch.__version__.partition("+")[0]
    entries: dict[str, Any] = {
        "pytorch_state_dict": {
            "source": str(parts / "weights.pt"),
            "architecture": architecture,
            "pytorch_version": version,
        },
        "torchscript": {"source": str(parts / "weights_torchscript.pt"), "pytorch_version": version},
        "onnx": {"source": str(parts / "weights.onnx"), "opset_version": 17},
    }
    kept = {weight_format: entries[weight_format] for weight_format in formats}
    for weight_format in formats[1:]:
        kept[weight_format]["parent"] = formats[0]
    return kept
