"""The reports' contents as plain values, and the self-contained HTML pages made of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from zooferry.comparison import Comparison


@dataclass(frozen=True)
class HostRow:
    """One host's verdict; `status` is passed, failed or skipped, `seconds` wall time, `outputs` one per output."""

    host: str
    version: str
    status: str
    reason: str
    seconds: float
    outputs: tuple[Comparison, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The entry of ``report.json``."""
        return {
            "host": self.host,
            "version": self.version,
            "status": self.status,
            "reason": self.reason,
            "seconds": round(self.seconds, 3),
            "outputs": [verdict.to_json() for verdict in self.outputs],
        }

    def line(self) -> str:
        """One line for the terminal."""
        words = self.reason or "; ".join(f"{v.name}: {v.sentence()}" for v in self.outputs)
        return f"{self.host:<17} {self.status:<8} {self.seconds:6.1f} s  {words}"


@dataclass(frozen=True, eq=False)
class OutputArrays:
    """What the pictures of one output are made of.

    Attributes
    ----------
    name : str
        The output's id.
    axes, input_axes : tuple of str
        rdf axis ids of `expected` and `input`, e.g. ``("batch", "channel", "y", "x")``.
    input, expected : ndarray
        Stored test input (raw) and test output.
    actual : mapping
        Host -> array that it gave.
    pixel_size : mapping
        Axis id -> length of a pixel in `unit`; may be empty.
    unit : str
        For example ``"micrometer"``.
    """

    name: str
    axes: tuple[str, ...]
    input: np.ndarray
    input_axes: tuple[str, ...]
    expected: np.ndarray
    actual: Mapping[str, np.ndarray]
    pixel_size: Mapping[str, float] = field(default_factory=dict)
    unit: str = ""


@dataclass(frozen=True, eq=False)
class CheckReport:
    """What `zooferry check` found; `spec` is what bioimageio.spec says (see `zooferry.hosts.core.describe`)."""

    package: str
    name: str
    sha256: str
    zooferry: str
    spec: Mapping[str, Any]
    hosts: tuple[HostRow, ...]
    outputs: tuple[OutputArrays, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the description is valid, a host ran, and every host that ran passed."""
        ran = [row for row in self.hosts if row.status != "skipped"]
        return self.spec.get("status") == "passed" and bool(ran) and all(row.status == "passed" for row in ran)

    def with_hosts(self, hosts: Iterable[HostRow]) -> CheckReport:
        """The same report with other rows."""
        return replace(self, hosts=tuple(hosts))

    def to_json(self) -> dict[str, Any]:
        """The contents of ``report.json``."""
        return {
            "package": self.package,
            "sha256": self.sha256,
            "zooferry": self.zooferry,
            "spec": dict(self.spec),
            "hosts": [row.to_json() for row in self.hosts],
        }


def write_check_report(path: Path, report: CheckReport) -> None:
    """Write the page of a check."""
    write_atomically(path, f"<!doctype html><title>{report.name}</title>")


def write_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text under a temporary name, then rename: `path` is never half-written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
