"""Install, Check and Compare in a real headless ImageJ 1.54p: one Java process for the library, one for macro lines."""

from __future__ import annotations

import json
import re
import shutil
import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import plain_imagej
import pytest
import real_fiji
from test_imagej import probe
from tiny_package import make_tiny_package

from zooferry.cli import main
from zooferry.comparison import compare

TESTS = Path(__file__).resolve().parent.parent
GOLDEN = TESTS / "golden" / "care-0.1.0.zip"
CODE = """
import sys
sys.path.insert(0, {folder!r})
import json
import commands_probe
with open({job!r}) as stream:
    answer = commands_probe.answer_all(json.load(stream))
"""
KINDS = ["<f4", ">f4", "<f8", "<f2", "|u1", "|i1", "|b1", "<u2", ">u2", "<i2", "<u4", "<i4", "<i8", "<u8"]
LAYOUTS = [
    (("batch", "channel", "y", "x"), (1, 2, 3, 4)),
    (("batch", "y", "x", "channel"), (2, 3, 4, 2)),
    (("batch", "channel", "z", "y", "x"), (1, 1, 3, 2, 5)),
    (("batch", "time", "y", "x"), (1, 3, 2, 4)),
    (("batch", "x"), (1, 5)),
]


def numbers(kind: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Values that float32 holds, the ends of small integers among them."""
    generator = np.random.default_rng(seed)
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        return generator.normal(0, 100, shape).astype(np.float16).astype(dtype)
    if dtype.kind == "b":
        return generator.random(shape) > 0.5
    limits = np.iinfo(dtype)
    array = generator.integers(max(limits.min, -(2**20)), min(limits.max, 2**20), shape, endpoint=True).astype(dtype)
    if dtype.itemsize < 4:
        array.flat[:2] = limits.min, limits.max
    if kind == "<u8":
        array.flat[0] = 2**63 + 2**40
    return array


def by_place(array: np.ndarray, axes: tuple[str, ...]) -> dict[tuple[int, int, int], np.ndarray]:
    """(c, z, t) -> Y X, as numpy sees it."""
    names = ["t" if axis == "time" or (axis == "batch" and "time" not in axes) else axis[:1] for axis in axes]
    if "time" in axes:
        array, names = array.take(0, names.index("b")), [name for name in names if name != "b"]
    for missing in [name for name in "czty" if name not in names]:
        array, names = array[None], [missing, *names]
    ordered = array.transpose([names.index(name) for name in "cztyx"]).astype(np.float32)
    return {place: ordered[place] for place in np.ndindex(*ordered.shape[:3])}


def pairs() -> list[tuple[np.ndarray, np.ndarray, float, float, float]]:
    """actual, expected (T Z C Y X), rtol, atol, allowed ppm."""
    generator = np.random.default_rng(5)
    expected = generator.normal(0, 10, (2, 3, 2, 7, 9)).astype(np.float32)
    near = (expected * (1 + 3e-5 * generator.normal(size=expected.shape))).astype(np.float32)
    odd = near.copy()
    odd[1, 2, 0, 3, 4], odd[0, 1, 1, 2, 2] = np.nan, np.inf
    missing = expected.copy()
    missing[0, 0, 1, 6, 8] = np.nan
    return [
        (expected, expected, 1e-4, 1e-4, 0.0),
        (near, expected, 1e-4, 1e-4, 0.0),
        (near, expected, 1e-3, 0.0, 0.0),
        (near, expected, 0.0, 1e-4, 0.0),
        (near, expected, 1e-5, 1e-5, 9e5),
        (near + 1, expected, 1e-4, 1e-4, 100.0),
        (odd, expected, 1e-4, 1e-4, 0.0),
        (near, missing, 1e-4, 1e-4, 1e6),
        (odd, missing, 0.0, 0.0, 0.0),
        (expected[:1, :1, :1] * np.nan, expected[:1, :1, :1], 1e-4, 1e-4, 0.0),
        (expected[:1, :1, :1, :1, :1], expected[:1, :1, :1, :1, :1] * 2, 1e-4, 1e-4, 0.0),
        (expected * 0, expected * 0, 0.0, 0.0, 0.0),
    ]


def zips(folder: Path) -> list[tuple[Path, str]]:
    """Packages that must not be installed, and the words."""
    with zipfile.ZipFile(GOLDEN) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}

    def write(name: str, **changes: Any) -> Path:
        path = folder / f"{name}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            for entry, data in (content | changes.get("more", {})).items():
                if entry not in changes.get("less", ()):
                    made.writestr(entry, data)
        return path

    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with_link = write("link")
    with zipfile.ZipFile(with_link, "a") as made:
        made.writestr(link, "/etc/passwd")
    (folder / "cut.zip").write_bytes(GOLDEN.read_bytes()[:300_000])
    (folder / "no.zip").write_text("no zip")
    return [
        (write("outside", more={"../evil": b"x"}), "leads outside"),
        (write("absolute", more={"/evil": b"x"}), "leads outside"),
        (write("twice", more={"RDF.yaml": b"x"}), "there twice"),
        (with_link, "holds a link or a device"),
        (write("wrong", more={"weights.onnx": b"other"}), "weights.onnx is not the file that rdf.yaml describes"),
        (write("empty", less=("rdf.yaml",)), "holds no rdf.yaml"),
        (write("lost", less=("weights.onnx", "weights_torchscript.pt")), "which are not in"),
        (write("bomb", more={"zeros": bytes(160 << 20)}), "zip bomb"),
        (folder / "cut.zip", "not a readable zip"),
        (folder / "no.zip", "not a readable zip"),
        (folder / "absent.zip", "there is no"),
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("com mands_\u00e4 \u4e2d")


@pytest.fixture(scope="module")
def refused(home: Path) -> list[tuple[Path, str]]:
    (home / "zips").mkdir()
    return zips(home / "zips")


@pytest.fixture(scope="module")
def packages(home: Path) -> dict[str, Path]:
    good = home / "m\u00f6del \u4e2d.zip"
    shutil.copy(GOLDEN, good)
    wrong = make_tiny_package(home / "one", wrong="onnx", weights=("onnx",), name="one per cent")
    volume = make_tiny_package(home / "three", dims=3, weights=("onnx",), name="volume")
    return {"good": good, "wrong": wrong, "volume": volume}


@pytest.fixture(scope="module")
def answer(home: Path, packages: dict[str, Path], refused: list[tuple[Path, str]]) -> dict[str, Any]:
    """What the library in ImageJ says to all of it."""
    tensors: list[Any] = []
    for number, (kind, (axes, shape)) in enumerate([(k, layout) for k in KINDS for layout in LAYOUTS]):
        path = home / f"{number}.npy"
        array = numbers(kind, shape, number)
        np.save(path, np.asfortranarray(array) if number % 2 else array)
        tensors.append([str(path), axes])
    comparisons: list[Any] = []
    for number, (actual, expected, *tolerances) in enumerate(pairs()):
        paths = [home / f"{role}{number}.npy" for role in "ae"]
        for path, array in zip(paths, (actual, expected), strict=True):
            np.save(path, array)
        comparisons.append([*map(str, paths), *tolerances])
    install = [[str(path), False] for path, _ in refused]
    install += [[str(packages["good"]), False], [str(packages["good"]), False]]
    job = {
        "tensors": tensors,
        "comparisons": comparisons,
        "models": str(home / "Fiji" / "models"),
        "install": install,
        "check": ["m\u00f6del \u4e2d", str(packages["wrong"]), str(packages["volume"]), "absent"],
    }
    (home / "job_commands.json").write_text(json.dumps(job))
    # Jython reads the code as ASCII: the folder's name goes by a link without other letters
    link = home.parent / "probe_link"
    link.symlink_to(home)
    code = CODE.format(folder=str(TESTS / "hosts"), job=str(link / "job_commands.json"))
    return dict(json.loads(probe(home, code=code)["answer"]))


@pytest.mark.jvm
def test_tensors_are_those_of_numpy(answer: dict[str, Any]) -> None:
    cases = [(kind, layout) for kind in KINDS for layout in LAYOUTS]
    for number, ((kind, (axes, shape)), (height, width, planes)) in enumerate(
        zip(cases, answer["tensors"], strict=True)
    ):
        expected = by_place(numbers(kind, shape, number), axes)
        assert {tuple(place) for place, _ in planes} == set(expected), (kind, axes)
        for place, values in planes:
            np.testing.assert_array_equal(np.float32(values).reshape(height, width), expected[tuple(place)], f"{kind}")


@pytest.mark.jvm
def test_verdicts_are_those_of_python(answer: dict[str, Any]) -> None:
    for (actual, expected, rtol, atol, allowed), found in zip(pairs(), answer["comparisons"], strict=True):
        wanted = compare(actual, expected, name="a", rtol=rtol, atol=atol, allowed_ppm=allowed, axes=tuple("tzcyx"))
        assert found["reason"] == wanted.reason
        assert found["sentence"] == wanted.sentence()
        assert (found["mismatched"], found["size"], found["passed"]) == (wanted.mismatched, wanted.size, wanted.passed)
        assert tuple(found["at"][axis] for axis in "tzcyx") == wanted.at
        for key in ("mismatched_ppm", "max_abs", "max_rel", "actual", "expected"):
            number = wanted.to_json()[key]
            assert found[key] == (None if number is None else pytest.approx(number, rel=1e-12)), key


@pytest.mark.jvm
def test_install_refuses_in_words_and_leaves_nothing(
    answer: dict[str, Any], refused: list[tuple[Path, str]], home: Path
) -> None:
    for (passed, words, folder), (path, wanted) in zip(answer["installed"], refused, strict=False):
        assert (passed, folder) == (False, ""), path
        assert wanted in words
        assert "\n" not in words
    (first, again) = answer["installed"][len(refused) :]
    target = home / "Fiji" / "models" / "m\u00f6del \u4e2d"
    assert first == [True, f"installed CARE golden demo on simulated cells in {target}", str(target)]
    assert again[1].startswith("CARE golden demo on simulated cells is installed already")
    assert [path.name for path in (home / "Fiji" / "models").iterdir()] == [target.name]
    with zipfile.ZipFile(GOLDEN) as archive:
        for name in archive.namelist():
            assert (target / name).read_bytes() == archive.read(name)


@pytest.mark.jvm
def test_check_tells_good_from_bad(answer: dict[str, Any]) -> None:
    good, wrong, volume, absent = answer["checks"]
    assert good[0], good[1]
    assert "CARE golden demo on simulated cells passes in ONNX Runtime" in good[1]
    assert good[2]["outputs"]["restored"]["mismatched"] == 0
    titles = [title for title, _, _ in good[3]]
    assert titles == ["expected_restored", "actual_restored", "difference_restored"]
    assert good[2]["outputs"]["restored"]["max_abs"] < 1e-4
    assert good[3][2][2] == pytest.approx(-1e-4)  # what does not matter is grey
    assert not wrong[0]
    found = wrong[2]["outputs"]["restored"]
    assert found["mismatched_ppm"] > 900_000
    assert found["max_rel"] == pytest.approx(0.01, rel=0.3)  # its weights are 1 % too large
    assert "one per cent FAILS in ONNX Runtime" in wrong[1]
    assert volume[0], volume[1]
    assert [dimensions for _, dimensions, _ in volume[3]] == [[48, 32, 1, 8, 1]] * 3
    assert absent[:2] == [False, absent[2]["error"]]
    assert "there is no model absent: installed are CARE golden demo" in absent[1]


@pytest.mark.jvm
def test_installation_list(answer: dict[str, Any], home: Path) -> None:
    rows = {name: (state, what) for state, name, what, _ in answer["rows"]}
    assert [name for name, (state, _) in rows.items() if state == "bad"] == []
    assert "a test network ran" in rows["ONNX Runtime"][1]
    assert "a kernel was compiled and ran" in rows["Groovy"][1]
    assert rows["ImageJ"][1].startswith("plain ImageJ, ImageJ 1.54p")
    assert rows["model m\u00f6del \u4e2d"] == ("ok", "CARE golden demo on simulated cells 0.1.0 (onnx, torchscript)")
    assert rows["models folder"][1] == f"{home / 'Fiji' / 'models'} can be written"
    assert answer["signed"] == [
        [-5.0, 7.0],
        "image rgb is RGB: convert both with Image > Type > 8-bit, or split their channels",
    ]


LINES = [
    'run("Install Zooferry Model", "model=[{zip}]");',
    'run("Check Zooferry Model", "model=[{stem}]"); return "" + nImages;',
    'run("Compare Zooferry Images", "actual=actual_restored expected=expected_restored"); return getInfo("log");',
    'run("Compare Zooferry Images", "actual=actual_restored expected=expected_restored rtol=0 atol=0"); '
    'return getInfo("log");',
    'run("Compare Zooferry Images", "actual=actual_restored expected=nothing"); return getInfo("log");',
    'run("Compare Zooferry Images", "actual=actual_restored expected=expected_restored rtol=much"); '
    'return getInfo("log");',
    'run("Check Zooferry Installation"); return getInfo("log");',
]


@pytest.mark.jvm
def test_macro_lines(packages: dict[str, Path], tmp_path: Path) -> None:
    """As they are recorded; no dialog could open, and a failure makes the exit code 1 where that is asked for."""
    home = plain_imagej.make_home(tmp_path / "Image J")
    name = packages["good"]
    lines = [line.format(zip=name, stem=name.stem) for line in LINES]
    options = [f"-Dzooferry.models={home / 'models'}"]
    done = plain_imagej.run(home, lines, options=options)
    assert done.code == 0, done.output
    assert (home / "models" / name.stem / "rdf.yaml").is_file(), done.output
    for words in (
        "Install Zooferry Model: installed CARE golden demo on simulated cells",
        "Check Zooferry Model: CARE golden demo on simulated cells passes in ONNX Runtime",
        "Compare Zooferry Images: agree: 16 384 of 16 384 values within 1e-4, worst",
        "Compare Zooferry Images: DISAGREE: ",
        "Compare Zooferry Images: there is no image nothing: open are",
        "Compare Zooferry Images: rtol is much: a number is needed",
        "ok       ONNX Runtime",
    ):
        assert words in done.output, words
    for line in (
        'run("Check Zooferry Model", "model=absent");',
        'newImage("a", "8-bit", 9, 9, 1); run("Run Zooferry Model", "model=absent");',
    ):
        failing = plain_imagej.run(home, [line, 'print("came this far");'], options=["-Dzooferry.exit=true"])
        assert failing.code == 1, failing.output
        assert "came this far" not in failing.output


@pytest.mark.fiji
def test_recorded_lines_in_a_fresh_fiji(packages: dict[str, Path], tmp_path: Path) -> None:
    """Installed as users do it, the lines as the Recorder wrote them; then Fiji is as it was before."""
    home = real_fiji.copy_fiji(tmp_path / "Fi ji \u4e2d")
    before = {path.relative_to(home) for path in home.rglob("*") if "zooferry" not in str(path).lower()}
    macro = tmp_path / "recorded.ijm"
    name = packages["good"]
    lines = [line.format(zip=name, stem=name.stem).replace("return", "print") for line in LINES]
    lines = [re.sub(r"print (.*);$", r"print(\1);", line) for line in lines]
    lines.append('selectImage("difference_restored"); getStatistics(a, m, lo, hi); print("largest " + (hi < 1e-5));')
    macro.write_text("\n".join([*lines, 'print("end");']), encoding="utf-8")
    code, output = real_fiji.headless(home, ["-macro", str(macro)])
    for words in (
        "Install Zooferry Model: installed CARE golden demo on simulated cells",
        "Check Zooferry Model: CARE golden demo on simulated cells passes in ONNX Runtime",
        "Compare Zooferry Images: agree: 16 384 of 16 384 values within 1e-4, worst",
        "Compare Zooferry Images: DISAGREE: ",
        "Compare Zooferry Images: there is no image nothing: open are",
        "all as installed",
        "largest 1",
        "end",
    ):
        assert words in output, (words, output[-4000:])
    assert code == 0
    assert main(["fiji", "uninstall", str(home)]) == 0
    left = {path.relative_to(home) for path in home.rglob("*")} - before
    assert {path.parts[0] for path in left} == {"models"}, left
