"""Rows of test_imagej_spec.py whose description has format 0.4."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from spec_rows import DOUBLE, Row, node


@dataclass
class Older(Row):
    """A description of format 0.4."""

    kwargs: dict[str, Any] = field(default_factory=dict)
    step: str = "zero_mean_unit_variance"
    reference: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """The package as a folder."""
        super().write(folder)
        content = yaml.safe_load((folder / "rdf.yaml").read_text())
        shape = list(self.arrays["raw"].shape)
        axes = {"axes": "bczyx" if len(shape) == 5 else "bcyx", "data_type": "float32"}
        implicit = {"reference_tensor": "raw", "scale": [1] * len(shape), "offset": [0] * len(shape)} | self.reference
        sizes = {"min": [1, shape[1], *[4] * (len(shape) - 2)], "step": [0, 0, *[4] * (len(shape) - 2)]}
        steps = [{"name": self.step, "kwargs": self.kwargs}]
        content |= {
            "format_version": "0.4.10",
            "inputs": [{"name": "raw", **axes, "shape": sizes, "preprocessing": steps, "data_type": "uint16"}],
            "outputs": [{"name": "out", **axes, "shape": implicit}],
            "test_inputs": ["test_raw.npy"],
            "test_outputs": ["test_out.npy"],
            "authors": [{"name": "A. Tester"}],
            "cite": [{"text": "none", "doi": "10.1234/none"}],
            "description": "A test.",
            "documentation": "README.md",
            "license": "MIT",
            "timestamp": "2024-01-01T00:00:00",
        }
        (folder / "README.md").write_text("# A test\n")
        (folder / "rdf.yaml").write_text(yaml.safe_dump(content))
        return folder


OLDER = [
    Older("older_fixed", kwargs={"mode": "fixed", "axes": "cyx", "mean": 101.3, "std": 17.1}),
    Older("older_fixed_each", kwargs={"mode": "fixed", "axes": "yx", "mean": [101.3, 9.0], "std": [17.1, 3.0]}),
    Older("older_sample", kwargs={"mode": "per_sample", "axes": "yx"}),
    Older("older_dataset", kwargs={"mode": "per_dataset", "axes": "cyx"}),
    Older("older_range", kwargs={"mode": "per_sample", "axes": "yx", "max_percentile": 99.0}, step="scale_range"),
    Older("older_linear", kwargs={"axes": "yx", "gain": [0.5, 2.0], "offset": [1.0, 2.0]}, step="scale_linear"),
    Older("older_clip", kwargs={"min": 80.0, "max": 90.0}, step="clip"),
    Older(
        "older_larger",
        kwargs={"gain": 0.5, "offset": 0.0},
        step="scale_linear",
        nodes=(DOUBLE, node("Resize", "raw _ sizes", "out", mode="nearest")),
        reference={"scale": [1, 1, 2, 2]},
    ),
]
