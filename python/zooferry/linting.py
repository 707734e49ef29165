"""Rules about a package: will deepImageJ compute the same numbers (fiji), will the collection take it (zoo)?"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from zooferry.errors import ZooferryError
from zooferry.package import OpenPackage
from zooferry.profiles import (
    fiji_axes,
    fiji_loading,
    fiji_processing,
    fiji_weights,
    zoo_description,
    zoo_files,
    zoo_spec,
)
from zooferry.profiles.findings import LintFinding, Rule
from zooferry.profiles.zoo_spec import SpecSummary, read_spec

PROFILES: Mapping[str, tuple[Rule, ...]] = {
    "fiji": (*fiji_loading.RULES, *fiji_weights.RULES, *fiji_axes.RULES, *fiji_processing.RULES),
    "zoo": (*zoo_description.RULES, *zoo_files.RULES),
}
SEVERITIES = ("error", "warning", "note")
WIDTH = 110
UNREADABLE = (AttributeError, IndexError, KeyError, OSError, OverflowError, RecursionError, TypeError, ValueError)
INDENT = " " * 9


def lint(package: OpenPackage, profiles: Sequence[str], *, spec: SpecSummary | None = None) -> list[LintFinding]:
    """Apply the rules of some profiles.

    Parameters
    ----------
    package : OpenPackage
    profiles : sequence of str
        ``fiji`` (what deepImageJ 3 does with it) and ``zoo`` (what the model collection asks).
    spec : SpecSummary, optional
        What bioimageio.spec says, for the zoo profile; read from the package by default.

    Returns
    -------
    list of LintFinding
        Errors first, then warnings, then notes; each in the order of the profiles and their rules.

    Raises
    ------
    ZooferryError
        An unknown profile, or a description in which a rule cannot find its way.
    """
    unknown = [name for name in profiles if name not in PROFILES]
    if unknown:
        raise ZooferryError(f"unknown profile {unknown[0]!r}; allowed are {', '.join(PROFILES)}")
    findings = [finding for name in profiles for rule in PROFILES[name] for finding in _apply(rule, package)]
    if "zoo" in profiles:
        summary = spec or read_spec(package)
        findings += [finding for rule in zoo_spec.RULES for finding in rule(summary)]
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def _apply(rule: Rule, package: OpenPackage) -> Iterator[LintFinding]:
    try:
        yield from rule(package)
    except UNREADABLE as problem:
        raise ZooferryError(
            f"{package.name}: rule {rule.__name__.replace('_', '-')} cannot read the description "
            f"({type(problem).__name__}: {problem}); bring it into the form of format 0.5"
        ) from problem


def text(findings: Iterable[LintFinding]) -> str:
    """The findings as lines for a terminal: severity, rule, where and what; below it why and the fix."""
    found = list(findings)
    lines = []
    for finding in found:
        head = f"{finding.severity:<8} {finding.rule:<24} {finding.where}: {finding.found}"
        lines += textwrap.wrap(head, WIDTH, subsequent_indent=INDENT, break_long_words=False)
        for line in (f"why: {finding.why}", f"fix: {finding.fix}"):
            lines += textwrap.wrap(line, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT + " " * 5)
    return "\n".join([*lines, summary(found)])


def summary(findings: Iterable[LintFinding]) -> str:
    """One line: ``1 error, 0 warnings, 2 notes``."""
    counts = {severity: 0 for severity in SEVERITIES}
    for finding in findings:
        counts[finding.severity] += 1
    return ", ".join(f"{n} {severity}{'' if n == 1 else 's'}" for severity, n in counts.items())
