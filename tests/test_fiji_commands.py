"""The pure parts of Install, Check and Compare in CPython; test_imagej_commands.py runs all of them in ImageJ."""

from __future__ import annotations

import base64
import io
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "fiji_scripts" / "lib"
sys.path[:0] = [str(LIBRARY), str(ROOT / "tests" / "hosts")]

from make_packages import rdf, write_rdf  # noqa: E402
from zooferry_fiji import installing, npy, report  # noqa: E402
from zooferry_fiji.errors import ZooferryError  # noqa: E402

from zooferry.files import sha256  # noqa: E402


def saved(array: np.ndarray, path: Path, version: tuple[int, int] | None = None) -> Path:
    """As .npy, of a version of the format."""
    with path.open("wb") as file:
        np.lib.format.write_array(file, array, version)
    return path


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "|u1", "|i1", "|b1", "<u2", ">i2", "<u4", "<i8", "<f2"])
def test_headers_of_npy(dtype: str, order: Any, version: tuple[int, int], tmp_path: Path) -> None:
    array = np.zeros((2, 3, 5), dtype, order=order)
    tensor = npy.read_header(str(saved(array, tmp_path / "a.npy", version)))
    assert tensor.shape == [2, 3, 5]
    assert tensor.kind == dtype[1:]
    assert tensor.big == (dtype[0] == ">")
    assert tensor.steps == [stride // array.itemsize for stride in array.strides]
    assert tensor.begin + array.nbytes == (tmp_path / "a.npy").stat().st_size


def header(shape: str, dtype: str = "<f4", data: bytes = b"", *, version: int = 1) -> bytes:
    """A .npy file that says what the test wants."""
    said = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + len(said).to_bytes(2, "little") + said + data


def pickled() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header("(1000000000,)"), "says it holds 4000000000 bytes and has 0"),
        (header("(1000,)"), "says it holds 4000 bytes and has 0"),
        (header("(-1,)"), "allowed are 8 axes of 1 or more"),
        (header("(0, 4)"), "allowed are 8 axes of 1 or more"),
        (header(str((1,) * 9)), "allowed are 8 axes"),
        (header("(True,)"), "allowed are 8 axes"),
        (header("(1,)", "<c8", bytes(8)), "type <c8: allowed are plain numbers"),
        (header("(1,)", "|O", bytes(8)), "allowed are plain numbers"),
        (header("__import__('os')"), "not a numpy array"),
        (header("(" * 300 + ")" * 300), "not a numpy array"),
        (header("(1,)", version=3), "version 3, allowed are 1 and 2"),
        (b"", "not a numpy array"),
        (b"PK\3\4 an npz", "not a numpy array"),
        (pickled(), "allowed are plain numbers"),
    ],
)
def test_npy_from_a_stranger(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ZooferryError, match=re.escape(words)) as refusal:
        npy.read_header(str(tmp_path / "a.npy"))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("/a/care-0.1.0.zip", "care-0.1.0"),
        ("/a/My Model.ZIP", "My Model"),
        ("/a/m\u00f6del \u4e2d.zip", "m\u00f6del \u4e2d"),
        ("/a/a:b*c?.zip", "a_b_c_"),
        ("/a/.zip", "_"),
        ("/a/con.zip", "_con"),
        ("/a/model. ", "model"),
    ],
)
def test_names_of_models(source: str, name: str) -> None:
    assert installing.model_name(source) == name


@pytest.mark.parametrize(
    ("path", "inside"),
    [("a.onnx", 1), ("sub/a.onnx", 1), ("../a", 0), ("/a", 0), ("\\a", 0), ("C:/a", 0), ("a/../b", 0), ("", 0)],
)
def test_paths_inside(path: str, inside: int) -> None:
    assert installing.is_inside(path) == bool(inside)


def package(folder: Path, **changes: Any) -> Path:
    """A description with the hash of its weights."""
    folder.mkdir(parents=True)
    (folder / "weights.onnx").write_bytes(b"weights")
    weights = {"onnx": {"source": "weights.onnx", "sha256": sha256(folder / "weights.onnx")}}
    write_rdf(folder, {**rdf(["y", "x"], 1, {}), "weights": weights, **changes})
    return folder


def test_a_folder_is_installed_once_and_replaced_on_request(tmp_path: Path) -> None:
    source, home = package(tmp_path / "new" / "net"), tmp_path / "Fi ji \u4e2d" / "models"
    target, words = installing.install(str(source), str(home))
    assert (target, words) == (str(home / "net"), f"installed Tiny test network in {home / 'net'}")
    assert installing.install(str(source), str(home))[1].startswith("Tiny test network is installed already")
    (source / "more.txt").write_text("more")
    with pytest.raises(ZooferryError, match=r"another model is installed in .*allow it to be replaced \(replace\)"):
        installing.install(str(source), str(home))
    assert not (home / "net" / "more.txt").exists()
    installing.install(str(source), str(home), replace=True)
    assert (home / "net" / "more.txt").read_text() == "more"
    assert [path.name for path in home.iterdir()] == ["net"], "no scratch folder is left"


OUTSIDE = {"onnx": {"source": "../weights.onnx"}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights": {"onnx": {"source": "weights.onnx", "sha256": "0" * 64}}}, "not the file that rdf.yaml describes"),
        ({"weights": OUTSIDE}, "lies outside the package"),
        ({"documentation": {"source": "/etc/passwd"}}, "lies outside the package"),
        ({"format_version": "0.3.2"}, "this version reads 0.4 and 0.5"),
        ({"weights": {"keras_hdf5": {"source": "w.h5"}}}, "neither ONNX nor TorchScript"),
        ({"description": "x" * (1 << 20)}, "rdf.yaml of more than 1 MiB"),
        ({"type": "dataset"}, "does not describe a model"),
    ],
)
def test_what_is_not_installed(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    home = tmp_path / "models"
    with pytest.raises(ZooferryError, match=re.escape(words)) as refusal:
        installing.install(str(package(tmp_path / "net", **changes)), str(home))
    assert "\n" not in str(refusal.value)
    assert list(home.iterdir()) == []


def test_links_in_a_folder_are_refused(tmp_path: Path) -> None:
    source = package(tmp_path / "net")
    (source / "link").symlink_to("/etc/passwd")
    with pytest.raises(ZooferryError, match="holds the link link: it is refused"):
        installing.install(str(source), str(tmp_path / "models"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ZooferryError, match="holds no rdf"):
        installing.install(str(tmp_path / "empty"), str(tmp_path / "models"))


ROWS = [
    (report.OK, "Java", "17 <b>", ""),
    (report.BAD, "ONNX Runtime", "not installed", "install & restart"),
    (report.WARNING, "disk", "0.1 GiB", "make room"),
]


def test_report() -> None:
    assert report.summary(ROWS) == "1 bad: ONNX Runtime; 1 to look at: disk"
    assert report.summary(ROWS[:1]) == "all is well (1 checks)"
    assert report.as_text(ROWS).splitlines()[1:4] == [
        "ok       Java          17 <b>",
        "bad      ONNX Runtime  not installed",
        "                       -> install & restart",
    ]
    html = report.as_html(ROWS)
    assert "17 &lt;b&gt;" in html
    assert "<i>install &amp; restart</i>" in html
    assert report.COLOURS[report.BAD] in html


def test_the_tiny_network_is_what_its_comment_says() -> None:
    source = (LIBRARY / "zooferry_fiji" / "examine.py").read_text()
    content = re.search(r'TINY_ONNX = "([^"]+)"', source)
    assert content is not None
    make = helper.make_tensor_value_info
    values = [make(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "t", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="")
    assert base64.b64decode(content[1]) == model.SerializeToString()


def test_wrong_files_of_a_manifest(tmp_path: Path) -> None:
    for name in ("kept", "changed"):
        (tmp_path / "sub").mkdir(exist_ok=True)
        (tmp_path / "sub" / name).write_text(name)
    files = [{"path": f"sub/{n}", "sha256": sha256(tmp_path / "sub" / "kept")} for n in ("kept", "changed", "gone")]
    assert installing.wrong_files(str(tmp_path), files) == (["sub/gone"], ["sub/changed"])
