"""The host deepimagej: which engines it needs, what it makes of what the plugin prints, and the plugin itself."""

from __future__ import annotations

import json
import os
import shutil
import stat
import zipfile
from pathlib import Path

import every_way
import pytest

from zooferry.check import check_package
from zooferry.errors import HostAbsentError, ZooferryError
from zooferry.hosts import deepimagej, jvm
from zooferry.package import open_package

GOLDEN = Path(__file__).parent.parent / "golden" / "care-0.1.0.zip"
SYSTEM = "linux-x86_64"
REPOSITORY = "https://repo1.maven.org/maven2/"
ENGINES = [
    {"framework": "pytorch", "pythonVersion": "2.0.0", "version": "2.0.0", "os": SYSTEM, "cpu": True, "gpu": True},
    {"framework": "onnx", "pythonVersion": "17", "version": "1.12.1", "os": SYSTEM, "cpu": True, "gpu": False},
    {"framework": "onnx", "pythonVersion": "18", "version": "1.13.1", "os": SYSTEM, "cpu": True, "gpu": False},
    {"framework": "onnx", "pythonVersion": "9", "version": "9", "os": "windows-x86_64", "cpu": True, "gpu": False},
]
PYTORCH, ONNX = f"pytorch-2.0.0-2.0.0-{SYSTEM}-cpu-gpu", f"onnx-17-1.12.1-{SYSTEM}-cpu"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The layout of a Fiji with deepImageJ and two engines of two jars, which cannot be started."""
    folder = tmp_path / "Fi ji"
    for name in ("jars", "plugins", f"engines/{PYTORCH}", f"engines/{ONNX}"):
        (folder / name).mkdir(parents=True)
    for name in ("jars/ij-1.54p.jar", "jars/fiji-2.16.0.jar", "plugins/DeepImageJ-3.1.0-SNAPSHOT.jar"):
        (folder / name).touch()
    known = [{**entry, "jars": [f"{REPOSITORY}a/{n}.jar" for n in ("one-1.0", "two-2.0")]} for entry in ENGINES]
    with zipfile.ZipFile(folder / "jars/dl-modelrunner-0.6.3.jar", "w") as library:
        library.writestr(deepimagej.VERSIONS, json.dumps({"versions": known}))
    for engine in (PYTORCH, ONNX):
        for jar in ("one-1.0.jar", "two-2.0.jar"):
            (folder / "engines" / engine / jar).write_bytes(b"jar")
    monkeypatch.setenv("ZOOFERRY_DEEPIMAGEJ", str(folder))
    monkeypatch.setattr(deepimagej, "_platform", lambda: SYSTEM)
    return folder


def absence() -> str:
    """Why the golden package cannot be run; empty if it can."""
    try:
        with open_package(GOLDEN) as package:
            deepimagej.require_engines(deepimagej.find(), package)
    except HostAbsentError as reason:
        return str(reason)
    return ""


def test_engines_that_would_be_fetched_make_it_absent(home: Path) -> None:
    assert absence() == ""
    (home / "engines" / PYTORCH / "two-2.0.jar").write_bytes(b"")
    assert f"{PYTORCH} is incomplete (two-2.0.jar is missing), it would fetch it again" in absence()
    shutil.rmtree(home / "engines" / PYTORCH)
    assert "has no pytorch engine" in absence()
    assert "for the torchscript weights" in absence()
    (home / "engines" / ONNX / "one-1.0.jar").unlink()
    assert f"{ONNX} is incomplete (one-1.0.jar is missing)" in absence()
    (home / "engines" / ONNX).rename(home / "engines" / "onnx-of-another-system")
    assert "has no onnx engine" in absence()


def test_no_plugin(home: Path) -> None:
    (home / "plugins" / "DeepImageJ-3.1.0-SNAPSHOT.jar").unlink()
    with pytest.raises(HostAbsentError, match=r"^deepImageJ not in .*; set ZOOFERRY_DEEPIMAGEJ"):
        deepimagej.find()


PRINTED = [
    ([], ""),
    (["Fiji folder: /x", "DL engine not supported by JDLL: pytorch_state_dict"], ""),
    (
        [
            "java.lang.ClassCastException: class java.util.LinkedHashMap cannot be cast to class java.lang.String",
            "\tat io.bioimage.modelrunner.bioimageio.description.ModelDescriptor.build(ModelDescriptor.java:216)",
        ],
        "ClassCastException: class java.util.LinkedHashMap cannot be cast to class java.lang.String",
    ),
    (
        [
            'Exception in thread "main" java.lang.RuntimeException: io.bioimage.RunModelException: wrong',
            "Caused by: io.bioimage.modelrunner.exceptions.LoadEngineException: no engine",
        ],
        "LoadEngineException: no engine",
    ),
    (["java.lang.NullPointerException", "\tat x"], "NullPointerException"),
    (["#  SIGSEGV (0xb) at pc=0x00007f", "# C  [libonnxruntime.so+0x1]"], "Java was ended by SIGSEGV"),
]


@pytest.mark.parametrize(("printed", "expected"), PRINTED)
def test_what_the_plugin_prints_in_one_line(printed: list[str], expected: str) -> None:
    assert deepimagej.problem(printed) == expected


def stand_in(home: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in the place of Fiji's launcher."""
    launcher = home / "fiji-linux-x64"
    launcher.write_text("#!/bin/sh\n" + script)
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(jvm, "fiji_command", lambda _: [str(launcher), "--headless"])


# what Fiji does -> what the check says; it always ends with 0
ENDINGS = [
    ("echo java.lang.IllegalStateException: broken; exit 0", "deepImageJ: IllegalStateException: broken"),
    ("exit 0", "deepImageJ: no output 'restored' was written, and nothing was said"),
    ("sleep 60", "deepImageJ: ended after 1 s without a result"),
    ("echo $JAVA_TOOL_OPTIONS | grep -q proxyHost=127.0.0.1 && echo a.BError: offline", "deepImageJ: BError: offline"),
]


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for Fiji is a shell script")
@pytest.mark.parametrize(("script", "reason"), ENDINGS)
def test_endings_without_a_result(
    script: str, reason: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deepimagej, "SECONDS", 1.0)
    stand_in(home, script, monkeypatch)
    (tmp_path / "scratch").mkdir()
    with pytest.raises(ZooferryError) as failure:
        deepimagej.run(GOLDEN, tmp_path / "scratch")
    assert str(failure.value) == reason


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for Fiji is a shell script")
def test_a_fiji_that_stays_open_is_ended(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deepimagej, "GRACE_SECONDS", 0.5)
    sample = every_way.package_folder(GOLDEN, tmp_path / "care") / "sample_output.tif"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    stand_in(
        home, f"cp {sample} {scratch}/restored/test_input_restored.tif; echo {deepimagej.DONE}; sleep 60", monkeypatch
    )
    done = deepimagej.run(GOLDEN, scratch)
    assert done.outputs["restored"].shape == (1, 1, 128, 128)
    assert done.version == "deepImageJ 3.1.0-SNAPSHOT, JDLL 0.6.3, Fiji 2.16.0, engine not told"
    macro = (scratch / "deepimagej.ijm").read_text()
    assert f"model_path=[{scratch}/models/package] input_path=[{scratch}/test_input.tif]" in macro
    assert (scratch / "models" / "package" / "rdf.yaml").is_file()


@pytest.mark.fiji
def test_the_plugin_refuses_files_that_are_maps() -> None:
    try:
        deepimagej.find()
    except HostAbsentError as reason:
        pytest.skip(str(reason))
    (row,) = check_package(GOLDEN, hosts=["deepimagej"]).hosts
    assert row.status == "failed"
    assert row.reason.startswith("deepImageJ: ClassCastException: class java.util.LinkedHashMap")
    assert "\n" not in row.reason
