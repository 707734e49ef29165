"""The host fiji: where it is looked for, what it refuses in words, and images through a real Fiji by pyimagej."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import any_package
import every_way
import label_packages
import numpy as np
import pytest
import real_fiji
import tifffile
from onnx import helper

from zooferry.axes import label_axes
from zooferry.check import check_package
from zooferry.cli import main
from zooferry.errors import HostAbsentError, ZooferryError
from zooferry.fiji import manifest
from zooferry.hosts import fiji, fiji_worker, imagej, jvm
from zooferry.images import read_image, write_image
from zooferry.package import open_package
from zooferry.running import run_package

GOLDEN = Path(__file__).parent.parent / "golden" / "care-0.1.0.zip"


def fake_fiji(folder: Path, *, installed: bool = True, launcher: str = "fiji-linux-x64") -> Path:
    """The layout of a Fiji, which cannot be started."""
    (folder / "jars").mkdir(parents=True)
    (folder / "plugins").mkdir()
    for name in ("ij-1.54p.jar", "fiji-2.16.0.jar"):
        (folder / "jars" / name).touch()
    (folder / launcher).parent.mkdir(parents=True, exist_ok=True)
    (folder / launcher).touch()
    if installed:
        manifest.write(folder, manifest.Manifest("0.0.0"))
    return folder


@pytest.mark.parametrize(
    ("image", "outputs", "expected"),
    [
        ("nuclei.tif", ["restored"], ["nuclei_restored"]),
        ("nuclei.tif", ["any id"], ["nuclei_restored"]),
        ("nuclei.tif", ["labels"], ["nuclei_labels"]),
        ("nuclei.ome.tif", ["restored"], ["nuclei_restored"]),
        ("a.b.TIF", ["u", "v 1"], ["a.b_u", "a.b_v 1"]),
        (".tif", ["restored"], [".tif_restored"]),
        ("plain", ["restored"], ["plain_restored"]),
        ("a.tif.b", ["restored"], ["a.tif.b_restored"]),
    ],
)
def test_titles_are_those_of_the_menu_command(
    image: str, outputs: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(imagej.fiji_scripts() / "lib"))
    from zooferry_fiji.titles import result_title

    labels = outputs == ["labels"]
    assert fiji.titles(image, outputs, labels=labels) == expected
    endings = outputs if len(outputs) > 1 or labels else ["restored"]
    assert [result_title(image, ending) for ending in endings] == expected


def test_which_fiji(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.delenv("FIJI_HOME", raising=False)
    with pytest.raises(HostAbsentError, match=r"no Fiji: .*Fiji\.app: no such folder.*with FIJI_HOME"):
        fiji.find()
    own = fake_fiji(home / "Fiji.app")
    assert fiji.find().root == own
    other = fake_fiji(tmp_path / "other")
    monkeypatch.setenv("FIJI_HOME", str(other))
    assert fiji.find().root == other
    assert fiji.find(own).root == own
    if importlib.util.find_spec("imagej"):  # its version is named beside Fiji's
        assert fiji.version(fiji.find()).startswith("Fiji 2.16.0, ImageJ 1.54p")


def test_a_fiji_without_zooferry_and_a_python_without_pyimagej(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = fake_fiji(tmp_path / "bare", installed=False)
    assert fiji.availability(bare) == f"zooferry is not installed in {bare}: run  zooferry fiji install {bare}"
    image, out = tmp_path / "image.tif", tmp_path / "out"
    assert main(["fiji", "run", str(GOLDEN), str(image), "--out", str(out), "--fiji", str(bare)]) == 1
    assert "is not installed in" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "imagej", None)
    monkeypatch.setattr(fiji.importlib.util, "find_spec", lambda _: None)
    ready = fake_fiji(tmp_path / "ready")
    assert fiji.availability(ready) == "pyimagej is not installed: pip install 'zooferry[fiji]'"
    with pytest.raises(HostAbsentError, match="pyimagej is not installed"):
        jvm.start_fiji(ready)
    assert not out.exists()


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"tile": "0"}, "tile is 0: allowed are numbers from 1"),
    ({"images": ["a.tif", "other/a.tif"]}, "have the same name"),
    ({"images": ["out/a.tif"]}, "would replace the image itself"),
    ({"model": "nowhere.zip"}, "no such file"),
    ({"fiji": "nowhere"}, "no Fiji: nowhere: no such folder"),
    ({"out": "a file"}, "a file"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSALS)
def test_refusals_before_fiji_starts(
    changes: dict[str, Any],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fiji.importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(fiji, "run_worker", lambda *_: pytest.fail("Fiji was started"))
    fake_fiji(tmp_path / "Fiji.app")
    for folder in ("other", "out"):
        (tmp_path / folder).mkdir()
    for name in ("a.tif", "other/a.tif", "out/a.tif"):
        tifffile.imwrite(tmp_path / name, np.ones((8, 8), np.uint8))
    (tmp_path / "a file").touch()
    given = {"model": str(GOLDEN), "images": ["a.tif"], "out": "out", "fiji": "Fiji.app", **changes}
    options = ["--out", given["out"], "--fiji", given["fiji"], *(["--tile", given["tile"]] if "tile" in given else [])]
    assert main(["fiji", "run", given["model"], *given["images"], *options]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.tif"]


def two_outputs(folder: Path) -> Path:
    """A package whose outputs are the image and its negative."""
    folder.mkdir(parents=True)
    nodes = [helper.make_node("Identity", ["in"], ["u"]), helper.make_node("Neg", ["in"], ["v"])]
    network = any_package.write_network(folder / "weights.onnx", nodes, {"in": 4}, {"u": 4, "v": 4})
    outputs = [any_package.tensor(name, any_package.like("raw")) for name in ("same", "not same")]
    raw = any_package.tensor("raw", any_package.space())
    array = np.zeros((1, 1, 16, 16), np.float32)
    return any_package.write_package(folder, network, [raw], outputs, arrays={"raw": array})


def test_what_a_macro_line_cannot_say_is_refused(tmp_path: Path) -> None:
    package = two_outputs(tmp_path / "a]b")
    with pytest.raises(ZooferryError, match="cannot name a folder with a ']'"):
        fiji._entry(imagej.Run(package, (tmp_path / "a.tif",), tmp_path))
    entry = fiji._entry(imagej.Run(two_outputs(tmp_path / "pack age"), (tmp_path / 'a "b".tif',), tmp_path, 64))
    assert entry["titles"] == {"same": 'a "b"_same', "not same": 'a "b"_not same'}
    lines = fiji_worker._lines({**entry, "threads": 2, "engine": ""}, dict.fromkeys(entry["titles"], Path("p.tif")))
    first, *others = lines.splitlines()
    assert first == f'run("Run Zooferry Model", "model=[{tmp_path / "pack age"}] tile=64 threads=2");'
    assert others[0] == 'if (!isOpen("a \\"b\\"_same")) return "";'
    assert others[-1] == "return info;"


@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"compression": "zlib"}])
@pytest.mark.parametrize("lost", [1, 3000])
def test_a_result_that_was_cut_off_is_not_kept(lost: int, options: dict[str, Any], tmp_path: Path) -> None:
    part, path = tmp_path / ".part.tif", tmp_path / "whole.tif"
    array = np.random.default_rng(0).integers(0, 999, (3, 32, 40)).astype(np.uint16)
    tifffile.imwrite(part, array, photometric="minisblack", **options)
    content = part.read_bytes()
    with tifffile.TiffFile(part) as file:
        page = file.pages[-1]
        end = page.dataoffsets[-1] + page.databytecounts[-1]
    part.write_bytes(content[: end - lost])
    with pytest.raises(ZooferryError, match=r"could not write .*cut off.*is the disk full"):
        fiji_worker._keep(part, path)
    assert not path.exists()
    part.write_bytes(content)
    assert fiji_worker._keep(part, path) == path
    assert not part.exists()


SYSTEMS = [
    ("Linux", "x86_64", "fiji-linux-x64", "fiji-linux-x64"),
    ("Linux", "x86_64", "ImageJ-linux64", "ImageJ-linux64"),
    ("Darwin", "arm64", "Fiji.app/Contents/MacOS/fiji-macos-arm64", "fiji-macos-arm64"),
    ("Darwin", "arm64", "Contents/MacOS/ImageJ-macosx", "ImageJ-macosx"),
    ("Windows", "AMD64", "fiji-windows-x64.exe", "fiji-windows-x64.exe"),
    ("Windows", "AMD64", "ImageJ-win64.exe", "ImageJ-win64.exe"),
    ("Linux", "riscv64", "nothing", "java"),
]


@pytest.mark.parametrize(("system", "machine", "launcher", "expected"), SYSTEMS)
def test_launchers_of_both_tracks(
    system: str, machine: str, launcher: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = fake_fiji(tmp_path / "Fiji", launcher=launcher)
    monkeypatch.setattr(jvm.platform, "system", lambda: system)
    monkeypatch.setattr(jvm.platform, "machine", lambda: machine)
    command = jvm.fiji_command(home)
    assert Path(command[0]).name == expected
    assert ("--headless" in command) is (expected != "java")
    assert ("-Djava.awt.headless=true" in command) is (expected == "java")


def test_the_check_says_why_fiji_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = fake_fiji(tmp_path / "bare", installed=False)
    monkeypatch.setenv("FIJI_HOME", str(bare))
    monkeypatch.delenv("ZOOFERRY_DEEPIMAGEJ", raising=False)
    report = check_package(GOLDEN, hosts=["fiji", "deepimagej"])
    reasons = {row.host: (row.status, row.reason) for row in report.hosts}
    assert reasons["fiji"] == (
        "skipped",
        f"zooferry is not installed in {bare}: run  zooferry fiji install {bare}",
    )
    assert reasons["deepimagej"][0] == "skipped"
    assert f"deepImageJ and dl-modelrunner not in {bare}" in reasons["deepimagej"][1]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("imagej")
    return real_fiji.copy_fiji(tmp_path_factory.mktemp("fiji"))


@pytest.mark.fiji
def test_good_and_bad_images_in_one_fiji(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    package = two_outputs(tmp_path / "pack age")
    folder = tmp_path / "bil\u0111er \u4e2d"
    folder.mkdir()
    array = np.random.default_rng(0).poisson(90, (3, 41, 50)).astype(np.uint16)
    size = {"resolution": (1 / 0.32, 1 / 0.25), "metadata": {"axes": "ZYX", "spacing": 0.7, "unit": "um"}}
    tifffile.imwrite(folder / "a b.tif", array, imagej=True, **size)
    tifffile.imwrite(folder / "c.ome.tif", array, metadata={"axes": "TYX"})
    content = (folder / "a b.tif").read_bytes()
    (folder / "cut.tif").write_bytes(content[:-5000])
    (folder / "text.tif").write_text("no image")
    tifffile.imwrite(folder / "colours.tif", np.stack([array[0]] * 2), imagej=True, metadata={"axes": "CYX"})
    monkeypatch.chdir(tmp_path)
    names = ["a b.tif", "c.ome.tif", "cut.tif", "text.tif", "colours.tif", "none.tif"]
    out = Path("out")
    images = [str(folder / name) for name in names]
    assert main(["fiji", "run", str(package), *images, "--out", "out", "--fiji", str(home)]) == 1
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().err.splitlines())
    assert "damaged or cut off" in lines["cut.tif"]
    assert "Fiji cannot open" in lines["text.tif"]
    assert "has 2 channels" in lines["colours.tif"]
    assert "there is no image" in lines["none.tif"]
    assert lines["zooferry"].startswith("4 of 6 images could not be restored")
    wanted = ["a b_not_same.tif", "a b_same.tif", "c.ome_not_same.tif", "c.ome_same.tif"]
    assert sorted(path.name for path in out.iterdir()) == wanted
    for name, sign in (("same", 1.0), ("not_same", -1.0)):
        with tifffile.TiffFile(out / f"a b_{name}.tif") as file:
            np.testing.assert_array_equal(file.asarray(), sign * array)
            assert file.imagej_metadata is not None
            assert file.imagej_metadata["spacing"] == 0.7
        np.testing.assert_array_equal(tifffile.imread(out / f"c.ome_{name}.tif"), sign * array)


@pytest.mark.fiji
def test_the_check_in_fiji(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIJI_HOME", str(home))
    (row,) = check_package(GOLDEN, hosts=["fiji"]).hosts
    assert (row.status, row.reason) == ("passed", "")
    assert row.outputs[0].sentence().startswith("16 384 of 16 384 values within 1e-4")
    assert "pyimagej" in row.version
    assert "ONNX Runtime" in row.version


@pytest.mark.fiji
def test_settings_arrive(home: Path, tmp_path: Path) -> None:
    package = every_way.package_folder(GOLDEN, tmp_path / "care")
    lines: list[str] = []
    run = imagej.Run(package, (package / "sample_input.tif",), tmp_path / "out", tile=64)
    (done,) = fiji.run_packages([run], fiji=home, threads=1, engine="onnx", on_line=lines.append)
    assert done.message == ""
    assert 0 < done.inference_seconds < done.seconds
    assert done.engine.startswith("ONNX Runtime")
    assert any("Run Zooferry Model" in line for line in lines)
    assert done.result is not None
    with tifffile.TiffFile(done.result) as file:
        stored = np.load(package / "test_output.npy").squeeze()
        np.testing.assert_allclose(file.asarray(), stored, rtol=1e-4, atol=1e-4)
        assert file.imagej_metadata is not None
        info = file.imagej_metadata["Info"]
    assert "zooferry tile: 64 x 64" in info
    assert "zooferry threads: 1" in info


LABELS = [("spec", "star_convex"), ("spec", "flows"), ("declared", "star_convex"), ("declared", "borders")]


@pytest.mark.fiji
def test_labels_are_those_of_python(home: Path, tmp_path: Path) -> None:
    runs, expected = [], []
    for kind, method in LABELS:
        heads = label_packages.heads_of(method)
        make = label_packages.spec_package if kind == "spec" else label_packages.declared_package
        package = make(tmp_path / kind / method, method, heads)
        image = write_image(tmp_path / f"{kind}_{method}.tif", label_axes(heads, "cyx"))
        runs.append(imagej.Run(package, (image,), tmp_path / "out"))
        with open_package(package) as opened:
            expected.append(list(run_package(opened, {"raw": heads[None]}).values())[-1][0, 0])
    for which, result, wanted in zip(LABELS, fiji.run_packages(runs, fiji=home), expected, strict=True):
        assert not result.message, which
        labels = read_image(list(result.results.values())[-1])
        assert wanted.max() > 3, which
        np.testing.assert_array_equal(labels.values, wanted, err_msg=str(which))


@pytest.mark.fiji
def test_a_fiji_that_does_not_start(tmp_path: Path) -> None:
    pytest.importorskip("imagej")
    home = fake_fiji(tmp_path / "Fiji")
    package = two_outputs(tmp_path / "package")
    with pytest.raises(HostAbsentError, match="could not be started") as absence:
        fiji.run_packages([imagej.Run(package, (tmp_path / "a.tif",), tmp_path / "out")], fiji=home)
    assert "\n" not in str(absence.value)
