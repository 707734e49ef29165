"""`zooferry fiji install`, `uninstall`, `status` and `bundle` on folders laid out as Fiji is; no Java."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from zooferry.cli import main
from zooferry.errors import ZooferryError
from zooferry.fiji import bundle, contents, jars, manifest
from zooferry.fiji.folders import Fiji, find_fiji
from zooferry.fiji.install import install, status, uninstall
from zooferry.files import sha256
from zooferry.hosts import jvm

ROOT = Path(__file__).resolve().parent.parent
KEPT_JARS = Path.home() / ".cache" / "zooferry" / "jars"
STAGED = ".zooferry-installing"
RUNTIME = next(jar for jar in jars.wanted(torchscript=False) if jar.artifact == "onnxruntime")


def quiet(_line: str) -> None:
    """Nobody listens."""


def fake_fiji(folder: Path, *, launcher: str = "fiji-linux-x64", extra: tuple[str, ...] = ()) -> Path:
    """The layout of a Fiji, with jars of no content."""
    names = ("ij-1.54p", "fiji-2.16.0", "snakeyaml-2.3", "groovy-4.0.23", "gson-2.10.1", "jna-5.14.0", *extra)
    for name in ("jars/bio-formats", "plugins", "scripts/Plugins/Utilities", "macros/toolsets"):
        (folder / name).mkdir(parents=True)
    for name in names:
        (folder / "jars" / f"{name}.jar").write_bytes(name.encode())
    (folder / launcher).parent.mkdir(parents=True, exist_ok=True)
    (folder / launcher).touch()
    return folder


def tree(folder: Path) -> dict[str, str]:
    """Every file and empty folder with its hash."""
    return {
        path.relative_to(folder).as_posix(): sha256(path) if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(autouse=True)
def runtime(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file in the place of ONNX Runtime's jar: the real download is a test of its own."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    kept = folder / jars.CACHE / RUNTIME.file_name
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"runtime")
    monkeypatch.setitem(jars.SHA256, RUNTIME.coordinate, sha256(kept))


@pytest.fixture(params=["Fiji", "Fiji.app", "b\u00fcro \u4e2d/my Fiji"])
def fiji(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return fake_fiji(tmp_path / request.param)


def test_install_and_uninstall_leave_nothing_behind(fiji: Path) -> None:
    before = tree(fiji)
    done = install(fiji, say=quiet)
    assert done.up_to_date, done.lines()
    after = tree(fiji)
    for place in ("scripts/Plugins/Zooferry/Run_Zooferry_Model.py", "jars/Lib/zooferry_fiji/run.py", manifest.PLACE):
        assert place in after
    assert f"jars/{RUNTIME.file_name}" in after
    assert {path for path in after if path.endswith(".groovy")}, "the kernels are needed as well"
    assert not [path for path in after if "pyc" in path or STAGED in path]
    assert {path: after[path] for path in before} == before, "a file of Fiji's own was touched"
    uninstall(fiji, say=quiet)
    assert tree(fiji) == before


def test_installing_again_changes_nothing(fiji: Path) -> None:
    install(fiji, say=quiet)
    first = {path: (fiji / path).stat().st_mtime_ns for path in tree(fiji)}
    lines: list[str] = []
    install(fiji, say=lines.append)
    assert "nothing to do" in lines[-1]
    assert {path: (fiji / path).stat().st_mtime_ns for path in tree(fiji)} == first


@pytest.mark.parametrize("given", ["", "Fiji", "Fiji/Fiji.app"])
def test_the_folder_around_fiji_and_the_mac_app_inside_will_do(given: str, tmp_path: Path) -> None:
    fake_fiji(tmp_path / "Fiji", launcher="Fiji.app/Contents/MacOS/fiji-macos")
    assert find_fiji(tmp_path / given).root == (tmp_path / "Fiji").resolve()


@pytest.mark.parametrize(
    ("launcher", "kind"),
    [("fiji-linux-x64", "new"), ("config/jaunch/fiji.toml", "new"), ("ImageJ-linux64", "old"), ("readme", "none")],
)
def test_tracks(launcher: str, kind: str, tmp_path: Path) -> None:
    found = find_fiji(fake_fiji(tmp_path / "Fiji.app", launcher=launcher))
    assert found.launcher == kind
    assert (found.version("ij"), found.version("fiji"), found.version("groovy")) == ("1.54p", "2.16.0", "4.0.23")


@pytest.mark.parametrize(
    ("name", "artifact", "version"),
    [
        ("onnxruntime-1.29.0.jar", "onnxruntime", "1.29.0"),
        ("onnxruntime_gpu-1.15.0.jar", "onnxruntime_gpu", "1.15.0"),
        ("pytorch-native-cpu-2.7.1-linux-x86_64.jar", "pytorch-native-cpu", "2.7.1"),
        ("imagej-legacy-2.0.2-SNAPSHOT.jar", "imagej-legacy", "2.0.2-SNAPSHOT"),
        ("groovy-json-4.0.23.jar", "groovy-json", "4.0.23"),
        ("ij-1.54p.jar", "ij", "1.54p"),
        ("bio-formats_plugins-7.3.1.jar", "bio-formats_plugins", "7.3.1"),
    ],
)
def test_names_of_jars(name: str, artifact: str, version: str, tmp_path: Path) -> None:
    (tmp_path / "jars" / "sub").mkdir(parents=True)
    (tmp_path / "jars" / "sub" / name).touch()
    assert Fiji(tmp_path).jars() == {artifact: (version, f"jars/sub/{name}")}


def test_no_fiji_or_two_of_them_in_words(tmp_path: Path) -> None:
    for given, words in ((tmp_path, "no Fiji in it"), (tmp_path / "absent", "no such folder")):
        with pytest.raises(ZooferryError, match=words):
            find_fiji(given)
    fake_fiji(tmp_path / "Fiji")
    fake_fiji(tmp_path / "Fiji.app")
    with pytest.raises(ZooferryError, match=r"holds Fiji and Fiji\.app; give the one"):
        find_fiji(tmp_path)


def test_upgrade_repairs_replaces_and_keeps_what_the_user_changed(fiji: Path) -> None:
    install(fiji, say=quiet)
    script, library = fiji / "scripts/Plugins/Zooferry/Run_Zooferry_Model.py", fiji / "jars/Lib/zooferry_fiji"
    whole = tree(fiji)
    script.write_text("# mine")
    (library / "run.py").unlink()
    (library / "plan$py.class").write_bytes(b"old byte code")
    (library / "plan.py").write_text("# of an older version")
    (library / "gone.py").write_text("# of an older version")
    note = json.loads((fiji / manifest.PLACE).read_text())
    for entry in note["files"]:
        if entry["path"].endswith("/plan.py"):
            entry.update(sha256=sha256(library / "plan.py"), version="0.0.9")
    note["files"].append(
        {"path": "jars/Lib/zooferry_fiji/gone.py", "size": 1, "sha256": sha256(library / "gone.py"), "version": "0.0.9"}
    )
    note["zooferry"] = "0.0.9"
    (fiji / manifest.PLACE).write_text(json.dumps(note))
    found = status(fiji)
    assert found.version == "0.0.9"
    assert [Path(path).name for path in found.changed] == ["Run_Zooferry_Model.py"]
    assert [Path(path).name for path in found.missing] == ["run.py"]
    assert [Path(path).name for path in found.outdated] == ["gone.py", "plan.py"]
    assert not found.up_to_date
    lines: list[str] = []
    assert install(fiji, say=lines.append).up_to_date
    kept = script.with_name("Run_Zooferry_Model.py.yours")
    assert kept.read_text() == "# mine"
    assert any("your file is kept beside it" in line for line in lines)
    assert not (library / "gone.py").exists()
    assert not (library / "plan$py.class").exists(), "Jython would run the old code"
    kept.unlink()
    assert tree(fiji) == whole


def test_uninstall_leaves_what_the_user_changed_and_the_models(fiji: Path) -> None:
    install(fiji, say=quiet)
    (fiji / "models" / "mine").mkdir(parents=True)
    script = fiji / "scripts/Plugins/Zooferry/Run_Zooferry_Model.py"
    script.write_text("# mine")
    (fiji / "jars/Lib/zooferry_fiji/run$py.class").write_bytes(b"made by Jython")
    lines: list[str] = []
    uninstall(fiji, say=lines.append)
    assert "left: scripts/Plugins/Zooferry/Run_Zooferry_Model.py" in lines[0]
    assert script.read_text() == "# mine"
    assert (fiji / "models" / "mine").is_dir()
    assert not (fiji / "jars" / "Lib").exists()
    with pytest.raises(ZooferryError, match="not installed there; nothing to remove"):
        uninstall(fiji, say=quiet)


RIVALS = [
    (("onnxruntime-1.20.0",), "Fiji has onnxruntime 1.20.0", ""),
    (("onnxruntime_gpu-1.18.0",), "Fiji has onnxruntime_gpu 1.18.0", ""),
    (("onnxruntime-1.16.3",), "", "version 1.16.3, needed is 1.17 or newer"),
    ((f"onnxruntime-{RUNTIME.version}",), "", ""),
]


@pytest.mark.parametrize(("extra", "line", "refusal"), RIVALS)
def test_nothing_is_shadowed(extra: tuple[str, ...], line: str, refusal: str, tmp_path: Path) -> None:
    fiji = fake_fiji(tmp_path / "Fiji", extra=extra)
    before = tree(fiji)
    lines: list[str] = []
    if refusal:
        with pytest.raises(ZooferryError, match=refusal):
            install(fiji, say=lines.append)
        assert tree(fiji) == before
        return
    install(fiji, say=lines.append)
    assert sorted(path.name for path in fiji.glob("jars/onnx*")) == [f"{extra[0]}.jar"]
    assert not line or any(line in said for said in lines)
    uninstall(fiji, say=quiet)
    assert tree(fiji) == before, "a jar that was there before must stay"


def test_a_jar_that_fiji_lacks_is_wanted(tmp_path: Path) -> None:
    fiji = fake_fiji(tmp_path / "Fiji")
    (fiji / "jars/snakeyaml-2.3.jar").unlink()
    found = contents.missing_jars(find_fiji(fiji), set(), torchscript=False, say=quiet)
    assert [jar.artifact for jar in found] == ["onnxruntime", "snakeyaml"]


def test_a_jar_of_the_same_name_may_be_another_library(tmp_path: Path) -> None:
    """Fiji 2.16.0 has jars/api-0.14.0.jar, which is not that of DJL."""
    for package, added in (("other", "jars/djl-api-0.35.1.jar"), ("ai/djl", "")):
        fiji = fake_fiji(tmp_path / package)
        with zipfile.ZipFile(fiji / "jars/api-0.14.0.jar", "w") as archive:
            archive.writestr(f"{package}/Model.class", "")
        found = [jar.place for jar in contents.missing_jars(find_fiji(fiji), set(), torchscript=True, say=quiet)]
        assert [place for place in found if "api-0" in place] == [added] * bool(added)


@pytest.mark.skipif(
    (platform.system(), platform.machine()) not in jvm.LIBTORCH, reason="there is no LibTorch for this computer"
)
def test_libtorch_stays_with_upgrades_and_goes_with_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fiji = fake_fiji(tmp_path / "Fiji")
    before = tree(fiji)
    jar = fiji / "jars/ij-1.54p.jar"
    monkeypatch.setattr(jars, "fetch", lambda _jar, _say: jar)
    for coordinate in jars.SHA256:
        monkeypatch.setitem(jars.SHA256, coordinate, sha256(jar))
    install(fiji, torchscript=True, say=quiet)
    assert (fiji / "jars/pytorch-engine-0.35.1.jar").is_file()
    assert not (fiji / "jars/gson-2.8.6.jar").exists(), "Fiji has gson 2.10.1"
    assert install(fiji, say=quiet).up_to_date
    assert (fiji / "jars/pytorch-engine-0.35.1.jar").is_file()
    uninstall(fiji, say=quiet)
    assert tree(fiji) == before


def test_every_jar_has_a_hash() -> None:
    for place in jvm.LIBTORCH.values():
        assert place in jars.SHA256
    wanted = [jar.coordinate for jar in jars.wanted(torchscript=False)] + list(jvm.TORCHSCRIPT) + list(jars.OF_DJL)
    assert [coordinate for coordinate in wanted if coordinate not in jars.SHA256] == []


@pytest.mark.parametrize("moment", ["manifest", "move", "last"])
def test_a_failure_leaves_fiji_as_it_was(moment: str, fiji: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(fiji, say=quiet)
    for path in list(fiji.glob("jars/Lib/zooferry_fiji/*.py"))[:3]:
        path.unlink()
    before = tree(fiji)
    real_write, real_replace, calls = manifest.write, os.replace, {"write": 0, "replace": 0}

    def write(root: Path, content: manifest.Manifest) -> None:
        calls["write"] += 1
        if (moment == "manifest" and calls["write"] == 1) or (moment == "last" and calls["write"] == 2):
            raise OSError(28, "No space left on device")
        real_write(root, content)

    def replace(source: Path, target: Path) -> None:
        calls["replace"] += Path(target).suffix == ".py"
        if moment == "move" and calls["replace"] == 2:
            calls["replace"] += 1  # once
            raise PermissionError(13, "Permission denied", str(target))
        real_replace(source, target)

    monkeypatch.setattr(manifest, "write", write)
    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(ZooferryError, match=r"cannot be written \(.*Fiji is as it was"):
        install(fiji, say=quiet)
    assert tree(fiji) == before


def test_a_read_only_fiji_in_one_line(fiji: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if os.geteuid() == 0:
        command = [sys.executable, "-c", READ_ONLY, str(fiji)]
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT / "python")}
        )
        code, said = done.returncode, done.stderr
    else:
        (fiji / "scripts").chmod(0o555)
        code, said = main(["fiji", "install", str(fiji)]), capsys.readouterr().err
    assert code == 1, said
    last = said.strip().splitlines()
    assert len(last) == 1
    assert "cannot be written (" in last[0]
    assert "Fiji is as it was" in last[0]
    assert not list(fiji.rglob(f"{STAGED}*"))


# root may write everywhere: without its capabilities it is a user like others
READ_ONLY = """
import os, pathlib, sys
import zooferry.cli, zooferry.fiji.install
from zooferry.fiji import jars
fiji = pathlib.Path(sys.argv[1])
jars.fetch = lambda jar, say: fiji / "jars" / "ij-1.54p.jar"
zooferry.cli.build_parser()
for folder in fiji.parents:
    if not folder.stat().st_mode & 0o005: folder.chmod(0o755)
for parent, folders, files in os.walk(fiji): os.chmod(parent, 0o555)
os.setresuid(65534, 65534, 65534)
sys.exit(zooferry.cli.main(["fiji", "install", str(fiji)]))
"""


def test_a_full_disk(tmp_path: Path) -> None:
    """A file system of 256 KiB takes the folders, not the library."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    try:
        fiji = fake_fiji(disk / "Fiji")
        before = tree(fiji)
        with pytest.raises(ZooferryError, match=r"No space left on device\); Fiji is as it was"):
            install(fiji, say=quiet)
        assert tree(fiji) == before
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_no_network_and_wrong_bytes_change_nothing(fiji: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(fiji)
    (Path.home() / jars.CACHE / RUNTIME.file_name).unlink()
    with monkeypatch.context() as offline:
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            offline.setenv(name, "http://127.0.0.1:9")
        with pytest.raises(ZooferryError, match=r"could not be fetched from Maven Central.*nothing was changed"):
            install(fiji, say=quiet)
    monkeypatch.setattr(jars, "_download", lambda _jar, scratch: shutil.copy(__file__, scratch / "x.jar"))
    with pytest.raises(ZooferryError, match="is not the file that it should be"):
        install(fiji, say=quiet)
    assert tree(fiji) == before
    assert list((Path.home() / jars.CACHE).iterdir()) == []


def test_a_manifest_from_a_stranger(fiji: Path) -> None:
    install(fiji, say=quiet)
    note = json.loads((fiji / manifest.PLACE).read_text())
    for content, words in (
        ("{", "damaged"),
        (json.dumps(note | {"files": 3}), "damaged"),
        (json.dumps(note | {"folders": ["../.."]}), "is not inside Fiji"),
        (json.dumps(note | {"files": [note["files"][0] | {"path": "/etc/passwd"}]}), "is not inside Fiji"),
    ):
        (fiji / manifest.PLACE).write_text(content)
        with pytest.raises(ZooferryError, match=words):
            uninstall(fiji, say=quiet)


def test_command_line(fiji: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fiji", "status", str(fiji)]) == 1
    assert "not installed; run: zooferry fiji install" in capsys.readouterr().out
    assert main(["fiji", "install", str(fiji)]) == 0
    assert "up to date" in capsys.readouterr().out
    assert main(["fiji", "status", str(fiji)]) == 0
    assert main(["fiji", "uninstall", str(fiji)]) == 0
    assert main(["fiji", "uninstall", str(fiji)]) == 1
    assert "nothing to remove" in capsys.readouterr().err.splitlines()[-1]


def test_bundle_unpacked_over_fiji_is_an_installation(fiji: Path, tmp_path: Path) -> None:
    before = tree(fiji)
    site = tmp_path / "site"
    made = bundle.make_bundle(tmp_path / "z.zip", update_site=site, say=quiet)
    again = bundle.make_bundle(tmp_path / "again.zip", say=quiet)
    assert made.read_bytes() == again.read_bytes(), "the same content makes the same zip"
    with zipfile.ZipFile(made) as archive:
        archive.extractall(fiji)
        names = archive.namelist()
        assert "care-example" in archive.read("INSTALL-zooferry.txt").decode()
    assert sorted(names) == sorted(p for p, kind in tree(site).items() if kind != "folder" and p != "UPDATE_SITE.txt")
    found = status(fiji)
    assert (found.missing, found.changed) == ((), ())
    assert found.outdated == ("INSTALL-zooferry.txt",)  # an installation needs it not
    assert (fiji / "models/care-example/rdf.yaml").is_file()
    uninstall(fiji, say=quiet)
    shutil.rmtree(fiji / "models")
    assert tree(fiji) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "{tmp}/absent.zip"], "no such file or folder"),
        (["--model", "{example}", "--model", "{example}"], "two models are called care-0.1.0"),
        (["--update-site", "{tmp}"], "is not empty"),
    ],
)
def test_bundles_refused(arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "something").touch()
    filled = [word.format(tmp=tmp_path, example=bundle.example_model()) for word in arguments]
    assert main(["fiji", "bundle", "--out", str(tmp_path / "z.zip"), *filled]) == 1
    assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["something"]


def test_only_bytecode_that_java_8_reads() -> None:
    """Class versions of what is added to a Fiji: 52 is Java 8; newer ones only where Java 8 never looks."""
    kept = sorted(KEPT_JARS.glob("*/*.jar"))
    names = {jar.file_name for jar in jars.wanted(torchscript=False)}
    found = {path.name: path for path in kept if path.name in names}
    if not found:
        pytest.skip("no jar was fetched yet")
    for path in found.values():
        with zipfile.ZipFile(path) as archive:
            classes = [n for n in archive.namelist() if n.endswith(".class") and not n.startswith("META-INF/")]
            for name in classes:
                version = int.from_bytes(archive.read(name)[6:8], "big")
                assert version <= 52 or name == "module-info.class", (path.name, name, version)


def test_the_wheel_holds_scripts_kernels_and_the_example(tmp_path: Path) -> None:
    """Built as pip builds it, and installed from: the checkout is out of sight."""
    hatchling = pytest.importorskip("hatchling.builders.wheel")
    (wheel,) = hatchling.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    place = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    for source in (ROOT / "fiji_scripts").rglob("*"):
        if source.suffix in (".py", ".groovy", ".ijm"):
            assert (place / "zooferry" / "fiji_scripts" / source.relative_to(ROOT / "fiji_scripts")).is_file(), source
    code = (
        "from zooferry.fiji import bundle, contents; print(bundle.example_model());"
        "print(*(p.source for p in contents.own_pieces()), sep='\\n')"
    )
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(place)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) > 20
    assert all(line.startswith(str(place)) for line in lines)
