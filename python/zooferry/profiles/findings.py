"""What a rule yields, and the ways in which rules walk through a description."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from zooferry.package import OpenPackage

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class LintFinding:
    """One place in a package at which a rule has something to say.

    Attributes
    ----------
    rule : str
        For example ``fiji-onnx-opset``.
    profile : str
        The first word of `rule`.
    severity : str
        ``error``: a host fails or computes silently wrong numbers, or the collection refuses the package;
        ``warning``: a deviation or loss that could have been avoided; ``note``: cannot be avoided, so it is explained.
    where : str
        Path in the description, for example ``outputs[0].axes[2].halo``.
    found : str
        What is there.
    why : str
        One line of evidence.
    fix : str
        What to do.
    """

    rule: str
    profile: str
    severity: Severity
    where: str
    found: str
    why: str
    fix: str

    def to_json(self) -> dict[str, str]:
        """The finding as an entry of a report in JSON."""
        return dict(vars(self))


Rule = Callable[[OpenPackage], Iterator[LintFinding]]


def error(rule: str, where: str, *, found: object, why: str, fix: str) -> LintFinding:
    """A finding because of which a host fails or is wrong; see :class:`LintFinding`."""
    return LintFinding(rule, rule.partition("-")[0], "error", where, str(found), why, fix)


def warning(rule: str, where: str, *, found: object, why: str, fix: str) -> LintFinding:
    """A finding that could have been avoided; see :class:`LintFinding`."""
    return LintFinding(rule, rule.partition("-")[0], "warning", where, str(found), why, fix)


def note(rule: str, where: str, *, found: object, why: str, fix: str) -> LintFinding:
    """A finding that cannot be avoided; see :class:`LintFinding`."""
    return LintFinding(rule, rule.partition("-")[0], "note", where, str(found), why, fix)


@dataclass(frozen=True)
class Axis:
    """One axis of a tensor; `size` and `scale` as declared, `name` its id or, without one, its type."""

    where: str
    is_output: bool
    type: str
    name: str
    size: Any
    scale: float
    content: Mapping[str, Any]

    @property
    def is_spatial(self) -> bool:
        """Whether it is z, y or x."""
        return self.type == "space"


@dataclass(frozen=True)
class Step:
    """One processing step; `channels` is the number of its tensor's channels."""

    where: str
    is_output: bool
    id: str
    kwargs: Mapping[str, Any]
    channels: int


def tensors(package: OpenPackage) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every input and output with its path."""
    for role in ("inputs", "outputs"):
        for i, tensor in enumerate(package.content.get(role) or ()):
            yield f"{role}[{i}]", tensor


def axes(package: OpenPackage) -> Iterator[Axis]:
    """Every axis of every tensor."""
    for where, tensor in tensors(package):
        for i, axis in enumerate(tensor["axes"]):
            yield Axis(
                where=f"{where}.axes[{i}]",
                is_output=where.startswith("outputs"),
                type=str(axis["type"]),
                name=str(axis.get("id", axis["type"])),
                size=axis.get("size"),
                scale=float(axis.get("scale", 1.0)),
                content=axis,
            )


def steps(package: OpenPackage) -> Iterator[Step]:
    """Every step of pre- and post-processing."""
    for where, tensor in tensors(package):
        is_output = where.startswith("outputs")
        stage = "postprocessing" if is_output else "preprocessing"
        names = next((a.get("channel_names") for a in tensor["axes"] if a["type"] == "channel"), None)
        for i, step in enumerate(tensor.get(stage) or ()):
            yield Step(
                where=f"{where}.{stage}[{i}]",
                is_output=is_output,
                id=str(step["id"]),
                kwargs=step.get("kwargs") or {},
                channels=len(names) if names else 1,
            )


def bioimageio_config(package: OpenPackage) -> Mapping[str, Any]:
    """The description's ``config.bioimageio``, {} without one."""
    return (package.content.get("config") or {}).get("bioimageio") or {}
