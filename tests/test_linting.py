"""Every rule of the linter: a package that breaks it, and a like one that keeps it."""

from __future__ import annotations

import dataclasses
import functools
import gc
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest
from lint_fiji import FIJI
from lint_package import (
    Change,
    both,
    drop,
    good_content,
    none,
    onnx_file,
    post,
    pre,
    put,
    remove,
    write_description,
    write_good_package,
)  # fmt: skip
from lint_zoo import ZOO

import zooferry
from zooferry.errors import ZooferryError
from zooferry.linting import PROFILES, lint, summary, text
from zooferry.package import OpenPackage, open_package
from zooferry.profiles import zoo_spec
from zooferry.profiles.findings import LintFinding, note
from zooferry.profiles.zoo_spec import SpecSummary, read_spec

COMPLETE = SpecSummary(completeness=1.0, owed=(), errors=())
ALWAYS = {"fiji-onnx-choice", "fiji-step", "fiji-whole-image"}  # notes on every package that is as portable as can be
LEAVES_FILES_OPEN = pytest.mark.filterwarnings("ignore::ResourceWarning")  # bioimageio.spec does
ROWS = FIJI + ZOO
UNOPENABLE = {"fiji-format", "fiji-channel-names"}  # open_package refuses these itself, so only `content` is changed


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The good package as a folder; copy it before you change it."""
    folder = tmp_path_factory.mktemp("good")
    write_good_package(folder)
    return folder


@pytest.fixture
def collected() -> Iterator[None]:
    """Collect what bioimageio.spec left open, which else warns in a later test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def changed(good: Path, folder: Path, change: Change, *, after_opening: bool = False) -> OpenPackage:
    """A changed copy of the good package in `folder`."""
    shutil.copytree(good, folder)
    content = good_content()
    change(content, folder)
    if not after_opening:
        write_description(folder, content)
    with open_package(folder) as package:
        return dataclasses.replace(package, content=content) if after_opening else package


@pytest.mark.parametrize(("rule", "severity", "where", "breaks", "keeps"), ROWS, ids=[row[0] for row in ROWS])
def test_a_rule_sees_exactly_its_own_fault(
    rule: str, severity: str, where: str, breaks: Change, keeps: Change, good: Path, tmp_path: Path
) -> None:
    opened = functools.partial(changed, good, after_opening=rule in UNOPENABLE)
    profile = rule.partition("-")[0]
    bad = lint(opened(tmp_path / "bad", breaks), [profile], spec=COMPLETE)
    kept = {finding.rule for finding in lint(opened(tmp_path / "kept", keeps), [profile], spec=COMPLETE)}
    assert {finding.rule for finding in bad} - kept == {rule}
    first = next(finding for finding in bad if finding.rule == rule)
    assert (first.severity, first.where, first.profile) == (severity, where, profile)
    assert all(line and "\n" not in line for line in (first.found, first.why, first.fix))


def test_every_rule_has_a_row() -> None:
    names = {profile: [r.__name__.replace("_", "-") for r in rules] for profile, rules in PROFILES.items()}
    assert all(name.startswith(f"{profile}-") for profile, ids in names.items() for name in ids)
    assert sorted({row[0] for row in ROWS}) == sorted(name for ids in names.values() for name in ids)


@pytest.mark.parametrize("change", [none, post("sigmoid"), pre("fixed_zero_mean_unit_variance", mean=3.0, std=2.0)])
def test_a_portable_package_has_notes_only(change: Change, good: Path, tmp_path: Path) -> None:
    found = lint(changed(good, tmp_path / "p", change), ["fiji", "zoo"], spec=COMPLETE)
    assert {(f.rule, f.severity) for f in found} == {(name, "note") for name in ALWAYS}


def test_several_faults_are_all_named_errors_first(good: Path, tmp_path: Path) -> None:
    change = both(onnx_file(opset=20, ir=10), drop("tags"), put("outputs[0].axes[2].size.offset", 8))
    found = lint(changed(good, tmp_path / "p", change), ["zoo", "fiji"], spec=COMPLETE)
    assert [f.rule for f in found if f.severity == "error"] == [
        "zoo-float-size", "fiji-onnx-opset", "fiji-onnx-ir", "fiji-size-offset",
    ]  # fmt: skip
    assert [f.rule for f in found if f.severity == "warning"] == ["zoo-tags", "fiji-onnx-declared"]
    assert {f.rule for f in found[-3:]} == ALWAYS


def test_an_unknown_profile_is_refused_with_those_there_are(good: Path) -> None:
    with open_package(good) as package, pytest.raises(ZooferryError, match=r"'napari'; allowed are fiji, zoo"):
        lint(package, ["fiji", "napari"])


@pytest.mark.parametrize(
    ("profile", "rule", "change"),
    [
        ("zoo", "zoo-authors", put("authors", ["Ada"])),
        ("zoo", "zoo-covers", put("covers", 3)),
        ("zoo", "zoo-parent", put("weights", [])),
        ("fiji", "fiji-channel-names", put("outputs[0].axes[2].scale", "wide")),
        ("fiji", "fiji-hash", put("cite[0]", {"source": "n" * 5000, "sha256": "0"})),
        ("fiji", "fiji-size-scale", put("outputs[0].axes[2].scale", float("inf"))),
        ("fiji", "fiji-size-min", drop("inputs[0].axes[2].size.min")),
        ("fiji", "fiji-id", both(drop("id"), put("config", ["a"]))),
    ],
)
def test_a_description_of_odd_form_ends_in_words(profile: str, rule: str, change: Change, good: Path) -> None:
    content = good_content()
    change(content, good)
    with open_package(good) as package, pytest.raises(ZooferryError, match=f"rule {rule} cannot read the description"):
        lint(dataclasses.replace(package, content=content), [profile], spec=COMPLETE)


def test_a_tree_of_yaml_aliases_ends(good: Path) -> None:
    tree: dict[str, object] = {"source": "README.md", "sha256": "0" * 64}
    for _ in range(100):
        tree = {"left": tree, "right": tree}
    with open_package(good) as package:
        content = {**good_content(), "config": {"bioimageio": {}, "other": tree}}
        found = lint(dataclasses.replace(package, content=content), ["fiji"])
    assert [f.rule for f in found if f.severity == "error"] == ["fiji-hash"]


@pytest.mark.parametrize("source", ["../outside.md", "/etc/hostname"])
def test_files_outside_the_package_are_not_read(source: str, good: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.md").write_text("TODO", encoding="utf-8")
    change = both(put("documentation", {"source": source, "sha256": "0" * 64}), put("covers[0]", source))
    found = lint(changed(good, tmp_path / "p", change), ["fiji", "zoo"], spec=COMPLETE)
    assert [f.rule for f in found if f.severity != "note"] == [
        "fiji-documentation",
        "zoo-documentation",
        "zoo-covers",
    ]


@LEAVES_FILES_OPEN
@pytest.mark.usefixtures("collected")
def test_what_bioimageio_spec_says(good: Path, tmp_path: Path) -> None:
    package = changed(good, tmp_path / "p", none)
    spec = read_spec(package)
    assert spec.errors == ()
    assert 0.3 < spec.completeness < 0.7
    assert {"config.bioimageio.modality", "config.bioimageio.training.optimizer", "id_emoji"} <= set(spec.owed)
    assert not {"config.bioimageio.task", "config.bioimageio.training", "git_repo", "weights.keras_hdf5"} & {*spec.owed}
    broken = read_spec(changed(good, tmp_path / "q", both(put("license", "free"), put("version", "1.0.0"))))
    assert any("license" in where for where, _ in broken.errors)
    assert (broken.completeness, broken.owed) == (0.0, ())


@LEAVES_FILES_OPEN
@pytest.mark.usefixtures("collected")
def test_errors_of_the_zoo_profile_are_what_bioimageio_spec_refuses(good: Path, tmp_path: Path) -> None:
    refused = []
    for number, row in enumerate(ZOO):
        refused.append(bool(read_spec(changed(good, tmp_path / str(number), row[3])).errors))
    surprises = [row[:3] for row, is_refused in zip(ZOO, refused, strict=True) if is_refused != (row[1] == "error")]
    assert surprises == [("zoo-test-tensors", "error", "outputs[0].test_tensor")]  # NaN, which no test can reproduce


@LEAVES_FILES_OPEN
@pytest.mark.usefixtures("collected")
def test_the_spec_is_asked_for_the_zoo_profile_only(good: Path, tmp_path: Path) -> None:
    package = changed(good, tmp_path / "p", remove("net.py"))
    assert {f.rule for f in lint(package, ["fiji"])} == ALWAYS
    found = [f for f in lint(package, ["zoo"]) if f.severity == "error"]
    assert {f.rule for f in found} == {"zoo-spec"}
    assert any("net.py" in f.found for f in found)


def test_owed_fields_are_a_note_and_errors_hide_them() -> None:
    assert [f for rule in zoo_spec.RULES for f in rule(COMPLETE)] == []
    owing = SpecSummary(completeness=0.5, owed=("git_repo", "links"), errors=())
    (finding,) = (f for rule in zoo_spec.RULES for f in rule(owing))
    assert (finding.rule, finding.severity) == ("zoo-completeness", "note")
    assert finding.found == "0.50; still owed: git_repo, links"
    wrong = SpecSummary(completeness=0.0, owed=("git_repo",), errors=tuple((f"name{i}", "no") for i in range(9)))
    found = [f for rule in zoo_spec.RULES for f in rule(wrong)]
    assert [(f.rule, f.severity, f.where) for f in found] == [("zoo-spec", "error", f"name{i}") for i in range(5)]


def finding(found: str = "here") -> LintFinding:
    return note("fiji-some", "outputs[0]", found=found, why="it was measured", fix="mend it")


def test_findings_as_text_and_json() -> None:
    assert text([finding()]).splitlines() == [
        "note     fiji-some                outputs[0]: here",
        "         why: it was measured",
        "         fix: mend it",
        "0 errors, 0 warnings, 1 note",
    ]
    assert text([]) == "0 errors, 0 warnings, 0 notes"
    assert max(map(len, text([finding("word " * 90)]).splitlines())) <= 110
    assert summary([finding(), finding()]) == "0 errors, 0 warnings, 2 notes"
    assert finding().to_json() == {
        "rule": "fiji-some", "profile": "fiji", "severity": "note", "where": "outputs[0]", "found": "here",
        "why": "it was measured", "fix": "mend it",
    }  # fmt: skip


def test_the_page_shows_and_escapes_them() -> None:
    loader = jinja2.FileSystemLoader(Path(zooferry.__file__).parent / "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string('{% import "findings.html" as lint %}{{ lint.findings(found) }}')
    shown = page.render(found=(finding("<script>"),))
    assert "fiji-some" in shown
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown
    assert "Nothing to remark" in page.render(found=())
