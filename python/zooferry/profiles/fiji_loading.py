"""Rules of the fiji profile: whether deepImageJ 3 (JDLL 0.6) lists and opens a package.

Where a rule says "measured", toy packages were run through JDLL 0.6.1 and 0.6.3; "read" is from JDLL's sources only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from zooferry.files import sha256
from zooferry.package import OpenPackage
from zooferry.profiles.findings import LintFinding, Rule, axes, bioimageio_config, error, note, warning
from zooferry.profiles.weight_files import hashed_files

FORMATS = ("0.4", "0.5")


def fiji_format(package: OpenPackage) -> Iterator[LintFinding]:
    """Formats 0.4 and 0.5 are read."""
    version = str(package.content.get("format_version"))
    if ".".join(version.split(".")[:2]) not in FORMATS:
        yield error(
            "fiji-format",
            "format_version",
            found=version,
            why="deepImageJ opens formats 0.4 and 0.5, any patch; 0.3 and 0.6 were refused (measured)",
            fix="save it as 0.5, e.g. with bioimageio.spec",
        )


def fiji_id(package: OpenPackage) -> Iterator[LintFinding]:
    """With a config and no id there is a null pointer."""
    if package.content.get("id") or bioimageio_config(package).get("nickname"):
        return
    why = "a 0.5 package with config but neither id nor config.bioimageio.nickname ends in a null pointer (measured)"
    found = error if package.content.get("config") else warning
    yield found("fiji-id", "id", found="absent", why=why, fix="write a top-level id")


def fiji_channel_names(package: OpenPackage) -> Iterator[LintFinding]:
    """A channel axis has names."""
    for axis in axes(package):
        if axis.type == "channel" and not axis.content.get("channel_names"):
            yield error(
                "fiji-channel-names",
                f"{axis.where}.channel_names",
                found="absent",
                why="JDLL counts the names: without them a null pointer (measured; instanseg issue 104)",
                fix="name every channel",
            )


def fiji_tiling(package: OpenPackage) -> Iterator[LintFinding]:
    """No config.deepimagej, or one that allows tiling."""
    section = _deepimagej(package)
    if section is None or (isinstance(section, dict) and section.get("allow_tiling") is True):
        return
    varies = any(isinstance(a.size, dict) for a in axes(package))
    yield (error if varies else warning)(
        "fiji-tiling",
        "config.deepimagej.allow_tiling",
        found=section.get("allow_tiling", "absent") if isinstance(section, dict) else section,
        why="absent means false inside config.deepimagej, and false breaks every variable size (measured)",
        fix="remove config.deepimagej, or write allow_tiling: true",
    )


def fiji_macro(package: OpenPackage) -> Iterator[LintFinding]:
    """ImageJ macros of the older deepImageJ are not executed."""
    section = _deepimagej(package)
    prediction = section.get("prediction") if isinstance(section, dict) else None
    for stage in ("preprocess", "postprocess"):
        entries = prediction.get(stage) if isinstance(prediction, dict) else None
        if any(isinstance(e, dict) and e.get("spec") for e in entries or ()):
            yield error(
                "fiji-macro",
                f"config.deepimagej.prediction.{stage}",
                found="an ImageJ macro",
                why="JDLL parses macros in the description and never executes them (read): the numbers differ silently",
                fix=f"say it as {stage}ing steps of the format, or put it inside the network",
            )


def fiji_attachments(package: OpenPackage) -> Iterator[LintFinding]:
    """Attached programs are not run."""
    for i, entry in enumerate(package.content.get("attachments") or ()):
        source = str(entry.get("source") if isinstance(entry, dict) else entry)
        if PurePosixPath(source).suffix in (".ijm", ".py", ".groovy", ".bsh", ".js", ".class", ".jar"):
            yield note(
                "fiji-attachments",
                f"attachments[{i}]",
                found=source,
                why="deepImageJ never runs an attachment (measured)",
                fix="tell the user in the documentation when to run it",
            )


def fiji_hash(package: OpenPackage) -> Iterator[LintFinding]:
    """Files are those that the description means."""
    for where, source, expected in hashed_files(package.content):
        file = (package.folder / source).resolve()
        if not file.is_relative_to(package.folder.resolve()) or not file.is_file():
            continue
        found = sha256(file)
        if found != expected.lower():
            yield error(
                "fiji-hash",
                f"{where}.sha256",
                found=f"{source} has {found[:12]}..., not {expected[:12]}...",
                why="JDLL does not compare hashes (measured): Fiji computes with the other file and says nothing",
                fix="get the package again, or package the model again",
            )


def fiji_documentation(package: OpenPackage) -> Iterator[LintFinding]:
    """The documentation is a plain file name."""
    if isinstance(package.content.get("documentation"), dict):
        yield error(
            "fiji-documentation",
            "documentation",
            found="a map",
            why="JDLL takes it for text: a class cast exception, and the model is not listed (measured, JDLL 0.6.3)",
            fix="write format_version 0.5.10 or older and the file name alone, which bioimageio.spec reads as well",
        )


def fiji_covers(package: OpenPackage) -> Iterator[LintFinding]:
    """Covers are plain file names."""
    for i, cover in enumerate(package.content.get("covers") or ()):
        if isinstance(cover, dict):
            yield error(
                "fiji-covers",
                f"covers[{i}]",
                found="a map",
                why="deepImageJ's window stays at 'loading' for all models (measured, deepImageJ 3.1.0)",
                fix="write format_version 0.5.10 or older and the file name alone, which bioimageio.spec reads as well",
            )


def fiji_inputs(package: OpenPackage) -> Iterator[LintFinding]:
    """The macro takes one image."""
    count = len(package.content.get("inputs") or ())
    if count > 1:
        yield warning(
            "fiji-inputs",
            "inputs",
            found=f"{count} inputs",
            why="two inputs run through JDLL's Java API; the macro command takes one (measured)",
            fix="make one input with several channels, or tell users to call the Java API",
        )


def _deepimagej(package: OpenPackage) -> Any:
    return (package.content.get("config") or {}).get("deepimagej")


RULES: tuple[Rule, ...] = (
    fiji_format, fiji_id, fiji_channel_names, fiji_tiling, fiji_macro, fiji_attachments, fiji_hash, fiji_inputs,
    fiji_documentation, fiji_covers,
)  # fmt: skip
