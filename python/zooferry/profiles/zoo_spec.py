"""Rules of the zoo profile that ask bioimageio.spec itself: is the description valid, which fields are still owed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zooferry.package import DESCRIPTION_NAMES, OpenPackage
from zooferry.profiles.findings import LintFinding, error, note

# Fields that the format counts, and that most models cannot have: other weight formats, a parent model ...
NOT_OWED = (
    "attachments", "config.bioimageio.new_version", "config.stardist", "icon", "packaged_by", "parent", "run_mode",
    "weights",
)  # fmt: skip
SHOWN_ERRORS = 5


@dataclass(frozen=True)
class SpecSummary:
    """What bioimageio.spec says.

    Attributes
    ----------
    completeness : float
        Its ``metadata_completeness``, 0-1, by which the zoo orders models.
    owed : tuple of str
        Fields that the author could still fill in.
    errors : tuple of (str, str)
        Path in the description and message; not empty means that the description is not valid.
    """

    completeness: float
    owed: tuple[str, ...]
    errors: tuple[tuple[str, str], ...]


SpecRule = Callable[[SpecSummary], Iterator[LintFinding]]


def read_spec(package: OpenPackage) -> SpecSummary:
    """Validate the package by bioimageio.spec, whose first import takes a second or two."""
    file = next(package.folder / name for name in DESCRIPTION_NAMES if (package.folder / name).is_file())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # third-party deprecations and files left open do not concern the package
        return _summarise(file)


def _summarise(file: Path) -> SpecSummary:
    from bioimageio.spec import InvalidDescr, load_description

    description: Any = load_description(file, perform_io_checks=True)
    summary = description.validation_summary
    given, every = set(), set()
    if not isinstance(description, InvalidDescr):
        given = set(_keys(description.model_dump(mode="json", exclude_unset=True)))
        every = set(_keys(description.model_dump(mode="json")))
    found = [e for detail in summary.details for e in detail.errors] if summary.status == "failed" else []
    return SpecSummary(
        completeness=float(summary.metadata_completeness or 0.0),
        owed=_owed(every - given),
        errors=tuple((".".join(map(str, e.loc)), " ".join(e.msg.split())) for e in found),
    )


def _keys(content: Mapping[str, Any], within: str = "") -> Iterator[str]:
    for key, value in content.items():
        yield within + key
        if isinstance(value, dict):
            yield from _keys(value, f"{within}{key}.")


def _owed(absent: set[str]) -> tuple[str, ...]:
    """Leaves only: a section is not owed beside the fields in it."""
    sections = {key.rpartition(".")[0] for key in absent}
    return tuple(sorted(key for key in absent - sections if not _excused(key)))


def _excused(key: str) -> bool:
    return any(key == field or key.startswith(f"{field}.") for field in NOT_OWED)


def zoo_spec(spec: SpecSummary) -> Iterator[LintFinding]:
    """The description is valid."""
    for where, message in spec.errors[:SHOWN_ERRORS]:
        yield error(
            "zoo-spec",
            where,
            found=message,
            why="bioimageio.spec refuses the description, and the collection's first check is bioimageio.spec",
            fix="mend the field; `bioimageio validate-format` shows every message",
        )


def zoo_completeness(spec: SpecSummary) -> Iterator[LintFinding]:
    """Nothing is left for the author to fill in."""
    if spec.owed and not spec.errors:
        yield note(
            "zoo-completeness",
            "config.bioimageio",
            found=f"{spec.completeness:.2f}; still owed: {', '.join(spec.owed)}",
            why="the zoo orders models by metadata_completeness",
            fix="fill them in on the card",
        )


RULES: tuple[SpecRule, ...] = (zoo_spec, zoo_completeness)
