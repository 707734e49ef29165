"""Rules of the zoo profile: what the format, the collection's checks and its reviewers ask of the description."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping

from zooferry.package import OpenPackage
from zooferry.profiles.findings import LintFinding, Rule, axes, error, note, tensors, warning

FIELDS = (
    "attachments", "authors", "cite", "config", "covers", "description", "documentation", "format_version", "git_repo",
    "icon", "id", "id_emoji", "inputs", "license", "links", "maintainers", "name", "outputs", "packaged_by", "parent",
    "run_mode", "tags", "timestamp", "training_data", "type", "uploader", "version", "version_comment", "weights",
)  # fmt: skip
NAME = re.compile(r"[A-Za-z0-9_+\- ()]{5,128}")
LONG_NAME, LONG_DESCRIPTION = 64, 512
LOGINS = ("admin", "anonymous", "me", "nobody", "root", "todo", "ubuntu", "unknown", "user")
SEMANTIC = re.compile(r"\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?")
PREFIX = "(yocto|zepto|atto|femto|pico|nano|micro|milli|centi|deci|hecto|kilo|mega|giga|tera|peta|exa|zetta|yotta)?"
UNITS = {
    "space": re.compile(f"{PREFIX}meter|angstrom|foot|inch|mile|parsec|yard"),
    "time": re.compile(f"{PREFIX}second|minute|hour|day"),
}
ALERT = "bioimageio.spec raises an alert for its absence"
ASKED = "a zoo-ready package has it: reviewers ask"


def zoo_fields(package: OpenPackage) -> Iterator[LintFinding]:
    """Only fields of the format at the top."""
    for name in package.content:
        if name not in FIELDS:
            yield error(
                "zoo-fields",
                str(name),
                found="a field that the format does not have",
                why="bioimageio.spec refuses unknown top-level fields",
                fix=f"move it below config.{name}, or remove it",
            )


def zoo_name(package: OpenPackage) -> Iterator[LintFinding]:
    """The name's length and characters."""
    name = str(package.content.get("name", ""))
    fix = "5-64 letters, digits, spaces or _ + - ( )"
    if not NAME.fullmatch(name):
        yield error("zoo-name", "name", found=name, why="bioimageio.spec refuses other names", fix=fix)
    elif len(name) > LONG_NAME:
        why = "bioimageio.spec remarks on names longer than 64 characters, which lists cut off"
        yield warning("zoo-name", "name", found=f"{len(name)} characters", why=why, fix=fix)


def zoo_description(package: OpenPackage) -> Iterator[LintFinding]:
    """There is a description, and not too long a one."""
    text = str(package.content.get("description") or "")
    if not text.strip():
        fix = "one or two sentences: what it does, on which images"
        yield warning("zoo-description", "description", found="absent", why=ALERT, fix=fix)
    elif len(text) > LONG_DESCRIPTION:
        why = "bioimageio.spec warns above 512 characters and refuses more than 1024"
        fix = "shorten it; details belong to the documentation"
        yield warning("zoo-description", "description", found=f"{len(text)} characters", why=why, fix=fix)


def zoo_authors(package: OpenPackage) -> Iterator[LintFinding]:
    """People made it."""
    authors = package.content.get("authors") or ()
    if not authors:
        yield warning("zoo-authors", "authors", found="absent", why=ALERT, fix="name every author, best with an ORCID")
    for i, author in enumerate(authors):
        if str(author.get("name", "")).strip().lower() in ("", *LOGINS):
            yield warning(
                "zoo-authors",
                f"authors[{i}].name",
                found=author.get("name", "absent"),
                why="an account's name is nobody whom users can ask or cite",
                fix="write the author's name on the card",
            )


def zoo_maintainers(package: OpenPackage) -> Iterator[LintFinding]:
    """Somebody can be reached on GitHub."""
    people = package.content.get("authors") or ()
    if not package.content.get("maintainers") and not any(a.get("github_user") for a in people):
        why = "bioimageio.spec raises an alert: no maintainer, and no author with a github_user"
        fix = "name a maintainer with a github_user"
        yield warning("zoo-maintainers", "maintainers", found="absent", why=why, fix=fix)


def zoo_cite(package: OpenPackage) -> Iterator[LintFinding]:
    """There is something to cite, with a DOI."""
    entries = package.content.get("cite") or ()
    if not entries:
        yield warning("zoo-cite", "cite", found="absent", why=ALERT, fix="cite the method's and the data's papers")
    for i, entry in enumerate(entries):
        if not entry.get("doi"):
            why = "the format prefers a DOI, which does not rot; an entry with neither doi nor url is refused"
            found = entry.get("url", "no doi")
            yield (warning if entry.get("url") else error)(
                "zoo-cite", f"cite[{i}].doi", found=found, why=why, fix="add the DOI"
            )


def zoo_license(package: OpenPackage) -> Iterator[LintFinding]:
    """There is a licence."""
    found = package.content.get("license")
    if not found:
        yield warning("zoo-license", "license", found="absent", why=ALERT, fix="an SPDX identifier such as CC-BY-4.0")
    elif not isinstance(found, str):
        why = "bioimageio.spec warns: people cannot see what a custom licence file allows"
        yield warning("zoo-license", "license", found="a file", why=why, fix="an SPDX identifier such as CC-BY-4.0")


def zoo_tags(package: OpenPackage) -> Iterator[LintFinding]:
    """There are tags."""
    if not package.content.get("tags"):
        yield warning(
            "zoo-tags", "tags", found="absent", why=ALERT, fix="modality, dimensions, content, network and task"
        )


def zoo_git_repo(package: OpenPackage) -> Iterator[LintFinding]:
    """The source is named."""
    if not package.content.get("git_repo"):
        yield warning("zoo-git-repo", "git_repo", found="absent", why=ASKED, fix="the repository that trains the model")


def zoo_uploader(package: OpenPackage) -> Iterator[LintFinding]:
    """The uploader can be written to."""
    uploader = package.content.get("uploader") or {}
    if "@" not in str(uploader.get("email", "")):
        why = "bioimageio.spec refuses an uploader without email" if uploader else ASKED
        found, yields = ("no email", error) if uploader else ("absent", warning)
        yield yields("zoo-uploader", "uploader", found=found, why=why, fix="the uploader's name and email")


def zoo_version(package: OpenPackage) -> Iterator[LintFinding]:
    """The version is semantic."""
    found = package.content.get("version")
    if found is None or not SEMANTIC.fullmatch(str(found)):
        why = "the format asks for semantic versions (SemVer 2.0); reviewers tell versions apart by it"
        yield warning("zoo-version", "version", found=found or "absent", why=why, fix="for example 0.1.0")


def zoo_timestamp(package: OpenPackage) -> Iterator[LintFinding]:
    """The time stamp is ISO 8601."""
    found = package.content.get("timestamp")
    if not isinstance(found, datetime.datetime) and not _is_time(str(found)):
        why = "bioimageio.spec refuses other times" if found else ASKED
        fix = "for example 2026-01-31T12:00:00+00:00"
        yield (error if found else warning)("zoo-timestamp", "timestamp", found=found or "absent", why=why, fix=fix)


def _is_time(text: str) -> bool:
    try:
        datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return False
    return True


def zoo_training_data(package: OpenPackage) -> Iterator[LintFinding]:
    """The training data are named."""
    if not package.content.get("training_data"):
        fix = "the id of a dataset in the zoo, or a description of one"
        yield warning("zoo-training-data", "training_data", found="absent", why=ASKED, fix=fix)


def zoo_parent(package: OpenPackage) -> Iterator[LintFinding]:
    """One weights entry is the original, from which the others were made."""
    entries = {k: v for k, v in package.content["weights"].items() if isinstance(v, Mapping)}
    for name, entry in entries.items():
        if entry.get("parent") and entry["parent"] not in entries:
            why = "bioimageio.spec refuses a parent that is not among the weights"
            where = f"weights.{name}.parent"
            yield error("zoo-parent", where, found=entry["parent"], why=why, fix="add those weights, or name others")
    originals = [name for name, entry in entries.items() if not entry.get("parent")]
    if len(originals) != 1:
        yield warning(
            "zoo-parent",
            "weights",
            found=f"{len(originals)} entries without parent",
            why="bioimageio.spec warns: exactly one entry is the original, the others name what they were made from",
            fix="give every converted entry `parent: <the original's format>`",
        )


def zoo_java(package: OpenPackage) -> Iterator[LintFinding]:
    """A Java program can run some of the weights."""
    if not {"torchscript", "onnx", "tensorflow_saved_model_bundle"} & set(package.weights):
        yield warning(
            "zoo-java",
            "weights",
            found=", ".join(package.weights) or "none",
            why="no Java program of the community runs such weights (CAREamics issue 312)",
            fix="add TorchScript and ONNX",
        )


def zoo_unit(package: OpenPackage) -> Iterator[LintFinding]:
    """Units are spelled out, and the same where sizes refer to each other."""
    declared = {(role, a.get("id", a["type"])): a.get("unit") for role, a in _axes_by_tensor(package)}
    for axis in axes(package):
        unit = axis.content.get("unit")
        if unit is not None and not _is_unit(str(unit), axis.type):
            why = "bioimageio.spec refuses abbreviated units"
            yield error("zoo-unit", f"{axis.where}.unit", found=unit, why=why, fix="spell it out: micrometer")
        elif isinstance(axis.size, Mapping) and "tensor_id" in axis.size:
            other = declared.get((axis.size["tensor_id"], axis.size.get("axis_id")))
            if other != unit:
                why = "bioimageio.spec refuses an axis that refers to one with another unit"
                fix = f"write {other!r} on both"
                yield error("zoo-unit", f"{axis.where}.unit", found=f"{unit}, not {other}", why=why, fix=fix)


def _axes_by_tensor(package: OpenPackage) -> Iterator[tuple[str, Mapping[str, object]]]:
    for _, tensor in tensors(package):
        for axis in tensor["axes"]:
            yield str(tensor["id"]), axis


def _is_unit(unit: str, kind: str) -> bool:
    allowed = UNITS.get(kind)
    return allowed is not None and bool(allowed.fullmatch(unit))


def zoo_tensor_descriptions(package: OpenPackage) -> Iterator[LintFinding]:
    """Every tensor says what it holds."""
    for where, tensor in tensors(package):
        if not str(tensor.get("description") or "").strip():
            why = "users of a model with several tensors, or in another field, cannot know what the numbers mean"
            yield note("zoo-tensor-descriptions", where, found="no description", why=why, fix="describe it in a line")


RULES: tuple[Rule, ...] = (
    zoo_fields, zoo_name, zoo_description, zoo_authors, zoo_maintainers, zoo_cite, zoo_license, zoo_tags, zoo_git_repo,
    zoo_uploader, zoo_version, zoo_timestamp, zoo_training_data, zoo_parent, zoo_java, zoo_unit,
    zoo_tensor_descriptions,
)  # fmt: skip
