"""Packages from strangers: what is unsafe is refused in one line, within stated limits, and leaves nothing behind."""

import io
import pickle
import re
import shutil
import stat
import struct
import time
import zipfile

import any_package
import numpy as np
import pytest
import yaml
from tiny_package import make_tiny_package

from zooferry import archives, arrays, engines, safe_yaml, trust
from zooferry.check import check_package
from zooferry.errors import ZooferryError
from zooferry.files import sha256
from zooferry.networks import unet
from zooferry.package import load_weights, open_package, verify_files
from zooferry.restoring import restore_files
from zooferry.running import run_package


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A correct unpacked package; read it, do not change it."""
    folder = tmp_path_factory.mktemp("good")
    image = np.random.default_rng(0).random((1, 1, 8, 12)).astype(np.float32)
    return any_package.write_package(
        folder,
        any_package.identity(folder / "net.onnx"),
        [any_package.tensor("raw", any_package.space())],
        [any_package.tensor("out", any_package.like("raw"))],
        arrays={"raw": image, "out": image},
    )


@pytest.fixture
def copy(good, tmp_path):
    return shutil.copytree(good, tmp_path / "copy")


def change(folder, edit):
    """Edit rdf.yaml's content in place."""
    file = folder / "rdf.yaml"
    content = yaml.safe_load(file.read_text())
    edit(content)
    file.write_text(yaml.safe_dump(content))
    return folder


def read_all(path):
    """Everything that opening, verifying and testing read."""
    with open_package(path) as package:
        verify_files(package)
        return [tensor.test_array() for tensor in (*package.inputs, *package.outputs)]


def refused(path, words):
    started = time.monotonic()
    with pytest.raises(ZooferryError, match=words) as caught:
        read_all(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert time.monotonic() - started < 5


def entry(name, mode=0, flags=0):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.flag_bits |= flags
    return info


NAMES = [
    ("../evil", "leads outside"),
    ("a/../../evil", "leads outside"),
    ("/evil", "leads outside"),
    ("\\evil", "leads outside"),
    ("..\\evil", "leads outside"),
    ("C:\\evil", "leads outside"),
    ("C:evil", "leads outside"),
    ("a/D:/evil", "leads outside"),
    ("rdf.yaml:stream", "leads outside"),
    (".", "leads outside"),
    ("a\nb", "control characters"),
    ("n" * 256, "too long"),
    ("n/" * 33 + "n", "too long"),
    ("RDF.yaml", "holds two entries"),
    ("rdf.yaml. ", "holds two entries"),
    ("x/../rdf.yaml", "leads outside"),
    ("./rdf.yaml", "holds two entries"),
    ("rdf.yaml/file", "not a readable zip"),
]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("name", "words"), [*NAMES, ("rdf.yaml", "holds two entries")])
def test_names_in_zips(name, words, tmp_path):
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.writestr("rdf.yaml", "type: model")
        archive.writestr(name, "evil")
    refused(tmp_path / "m.zip", words)
    assert [p.name for p in tmp_path.iterdir()] == ["m.zip"]


def test_a_nul_does_not_cut_a_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.writestr("rdf.yamlXevil", "type: model")
    content = (tmp_path / "m.zip").read_bytes().replace(b"rdf.yamlXevil", b"rdf.yaml\0evil")
    (tmp_path / "m.zip").write_bytes(content)
    refused(tmp_path / "m.zip", "control characters")


@pytest.mark.parametrize(
    ("mode", "words"),
    [(stat.S_IFLNK | 0o777, "symbolic link"), (stat.S_IFIFO, "neither a file"), (stat.S_IFCHR, "neither a file")],
)
def test_kinds_of_entries(mode, words, tmp_path):
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.writestr(entry("rdf.yaml", mode), "/etc/passwd")
    refused(tmp_path / "m.zip", words)


def test_encrypted_and_oddly_compressed_entries(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("rdf.yaml", "type: model")
    refused(tmp_path / "m.zip", "compressed by method 14")
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.writestr("rdf.yaml", "type: model")
    content = bytearray((tmp_path / "m.zip").read_bytes())
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(mark) + place] |= 1
    (tmp_path / "m.zip").write_bytes(content)
    refused(tmp_path / "m.zip", "which is encrypted")


def test_bombs(tmp_path, monkeypatch):
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rdf.yaml", bytes(archives.ALWAYS_ALLOWED_BYTES + 1))
    refused(path, "as in a zip bomb")
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(archives.MAX_ENTRIES + 1):
            archive.writestr(str(number), "")
    refused(path, "unpacks to 10001 files")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rdf.yaml", "type: model" * 100)
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 1000)
    refused(path, "and 1,100 bytes; allowed are")


def test_a_zip_that_lies_about_its_size(tmp_path):
    """Declared 10 bytes, 1 MB inside: what is written never exceeds what was declared."""
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rdf.yaml", bytes(1_000_000))
    content = path.read_bytes().replace(struct.pack("<L", 1_000_000), struct.pack("<L", 10))
    path.write_bytes(content)
    refused(path, "not a readable zip")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
YAMLS = [
    (BOMB, "more than 50,000 nodes once its aliases"),
    ("a: &a [*a]", "of something that is not complete"),
    ("a: *b", "of something that is not complete|not readable"),
    ("[" * 60 + "]" * 60, "nested more than 50 levels"),
    ("[" * 100_000, "nested more than 50 levels|not readable"),
    ("a: {" * 60, "nested more than 50 levels|not readable"),
    ("- x\n" * 60_000, "more than 50,000 nodes"),
    ("x: " + "y" * (1 << 20), "larger than 1 MiB"),
    ("x: !!python/object/apply:os.system [id]", "not readable YAML"),
    ("x: !!python/name:os.system", "not readable YAML"),
    ("x: !local 1", "not readable YAML"),
    (f"x: {'9' * 5000}", "a number of 5000 characters"),
    (f"x: 1{':1' * 50_000}", "a number of 100001 characters"),
    (f"x: 0x{'f' * 5000}", "a number of 5002 characters"),
    ("x: 2026-02-31", "not readable YAML"),
    ("x: \x00", "not readable YAML"),
    ("=: 1", "type|not readable"),
    ("? [a]\n: b", "not readable YAML"),
]


@pytest.mark.parametrize(("text", "words"), YAMLS)
def test_yaml(text, words, tmp_path):
    (tmp_path / "rdf.yaml").write_text(text)
    refused(tmp_path, words)


def test_yaml_of_real_packages_is_read_as_before(tmp_path):
    text = "a: &id001 {x: 1e-06, y: [1.5, yes, null, 2026-01-01]}\nb: *id001\nc: {<<: *id001, z: 07}\n"
    (tmp_path / "rdf.yaml").write_text(text)
    content = safe_yaml.read_yaml(tmp_path / "rdf.yaml")
    assert content["a"] == content["b"]
    assert content["a"]["x"] == 1e-06
    assert content["c"]["z"] == 7


def npy(shape, dtype="<f4", data=b"", version=1):
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    size = struct.pack("<H", len(header)) if version == 1 else struct.pack("<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + data


def pickled():
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return file.getvalue()


ARRAYS = [
    (npy("(1000000000000,)"), "says it holds 4000000000000 bytes; allowed are 2 GiB"),
    (npy(f"({10**30},)"), "allowed are 2 GiB"),
    (npy("(1000,)"), "says it holds 4000 bytes, and has 0"),
    (npy("(-1,)"), "allowed are 8 axes of 0 or more"),
    (npy(str((1,) * 9)), "allowed are 8 axes"),
    (npy("(0, 4)"), "the array is empty"),
    (npy("(1,)", "<c8", bytes(8)), "type complex64"),
    (npy("(1,)", "|O", bytes(8)), "type object"),
    (npy("(1,)", "<U4", bytes(16)), "allowed are plain numbers"),
    (npy("(1,)", "<f4", struct.pack("<f", float("nan"))), "1 of 1 values are NaN or infinite"),
    (npy("(2,)", "<f4", struct.pack("<2f", 1, float("-inf"))), "1 of 2 values are NaN or infinite"),
    (npy("(" * 300 + ")" * 300), "not a numpy array"),
    (npy("__import__('os')"), "not a numpy array"),
    (npy("(1,)", version=3), "version 3.0"),
    (b"", "not a numpy array"),
    (b"PK\3\4 an npz", "not a numpy array"),
    (pickle.dumps([1]), "not a numpy array"),
    (pickled(), "type object"),
]


@pytest.mark.parametrize(("content", "words"), ARRAYS)
def test_arrays(content, words, tmp_path):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ZooferryError, match=words) as caught:
        arrays.read_array(tmp_path / "a.npy")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["net.onnx", "test_raw.npy", "test_out.npy"])
def test_another_file_than_the_hash_says(file, copy):
    expected = sha256(copy / file)
    with (copy / file).open("ab") as content:
        content.write(b"x")
    found = sha256(copy / file)
    words = f"{file} is not the file that rdf.yaml describes: sha256 expected {expected}, found {found}; get"
    refused(copy, words)
    with pytest.raises(ZooferryError, match=words):
        check_package(copy)
    with open_package(copy) as package:
        reads = {"net.onnx": lambda: load_weights(package), "test_raw.npy": package.inputs[0].test_array}
        with pytest.raises(ZooferryError, match="is not the file"):
            reads.get(file, package.outputs[0].test_array)()


@pytest.mark.parametrize("source", ["../secret", "/etc/passwd", "a\0b", "n" * 5000])
@pytest.mark.parametrize("where", ["weights", "attachments"])
def test_files_outside(where, source, copy):
    def edit(content):
        if where == "weights":
            content["weights"]["onnx"]["source"] = source
        else:
            content["attachments"] = [{"source": source, "sha256": "0" * 64}]

    refused(change(copy, edit), "outside the package|no file name")


def test_links_in_folders(copy, tmp_path):
    (tmp_path / "secret.npy").write_bytes(b"secret")
    (copy / "test_raw.npy").unlink()
    (copy / "test_raw.npy").symlink_to(tmp_path / "secret.npy")
    refused(copy, "outside the package")


def put(content, path, value):
    *parents, last = path
    for key in parents:
        content = content[key]
    content[last] = value


NUMBERS = [
    (("inputs", 0, "axes", 2, "size", "step"), 0),
    (("inputs", 0, "axes", 2, "size", "min"), 10**90),
    (("inputs", 0, "axes", 2, "size", "min"), -4),
    (("inputs", 0, "axes", 2, "size", "min"), float("inf")),
    (("inputs", 0, "axes", 2, "scale"), float("nan")),
    (("inputs", 0, "axes", 2, "scale"), 10**400),
    (("outputs", 0, "axes", 2, "halo"), 1 << 40),
    (("outputs", 0, "axes", 2, "size", "offset"), 10**40),
    (("inputs",), []),
    (("inputs",), "raw"),
    (("inputs", 0, "axes"), [{"type": "batch"}] * 2),
    (("inputs", 0, "preprocessing"), [{"id": ["a"]}]),
    (("inputs", 0, "preprocessing"), [{"id": "clip", "kwargs": {"min": 0}}] * 65),
    (("outputs", 0, "postprocessing"), [{"id": "scale_range", "kwargs": {"reference_tensor": "nothing"}}]),
    (("weights", "onnx"), "net.onnx"),
    (("format_version",), [0, 5]),
    (("format_version",), "0.50"),
]


@pytest.mark.parametrize(("path", "value"), NUMBERS)
def test_odd_values(path, value, copy):
    refused(change(copy, lambda content: put(content, path, value)), "rdf.yaml|format")


# code


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """A package whose architecture file leaves a mark where it is imported."""
    folder = tmp_path_factory.mktemp("foreign")
    mark = folder / "mark"
    package = make_tiny_package(folder / "package", weights=("pytorch_state_dict", "onnx"))
    unpacked = folder / "unpacked"
    zipfile.ZipFile(package).extractall(unpacked)
    code = (unpacked / "tiny_net.py").read_text() + f"\nopen({str(mark)!r}, 'w').close()\n"
    (unpacked / "tiny_net.py").write_text(code)
    digest = sha256(unpacked / "tiny_net.py")
    return change(unpacked, lambda c: put(c, ("weights", "pytorch_state_dict", "architecture", "sha256"), digest)), mark


def test_code_is_never_imported_without_trust(foreign):
    folder, mark = foreign
    report = check_package(folder, hosts=["core-pytorch", "core-onnx"])
    assert [(r.host, r.status, r.reason) for r in report.hosts] == [
        ("core-pytorch", "skipped", "this package brings code (tiny_net.py); run with --trust-code"),
        ("core-onnx", "passed", ""),
    ]
    with open_package(folder) as package, pytest.raises(ZooferryError, match="run with --trust-code"):
        load_weights(package, "pytorch_state_dict")
    assert not mark.exists()


def test_trusted_code_runs_and_only_after_its_hash_was_verified(foreign, tmp_path):
    folder = shutil.copytree(foreign[0], tmp_path / "copy")
    with open_package(folder) as package:
        infer = load_weights(package, "pytorch_state_dict", trust_code=True)
        (result,) = infer([np.ones((1, 1, 8, 8), np.float32)])
        assert result[0, 0, 4, 4] == pytest.approx(1)
    foreign[1].unlink()
    with (folder / "tiny_net.py").open("a") as code:
        code.write("# changed\n")
    with open_package(folder) as package, pytest.raises(ZooferryError, match=r"tiny_net\.py is not the file"):
        load_weights(package, "pytorch_state_dict", trust_code=True)
    change(folder, lambda c: c["weights"]["pytorch_state_dict"]["architecture"].pop("sha256"))
    with open_package(folder) as package, pytest.raises(ZooferryError, match="gives no sha256 for tiny_net"):
        load_weights(package, "pytorch_state_dict", trust_code=True)
    assert not foreign[1].exists()


@pytest.mark.parametrize(
    ("steps", "architecture", "weights", "reason"),
    [
        ([], {"import_from": "os", "callable": "system"}, "pytorch_state_dict", "brings code (os.system)"),
        ([], {"import_from": "os", "callable": "system"}, "onnx", ""),
        ([{"id": "custom", "source": "evil.py", "callable": "f"}], None, "onnx", "brings code (evil.py)"),
        ([], {"source": "unet.py", "callable": "UNet"}, "pytorch_state_dict", ""),
        ([], {"source": "unet.py", "callable": "exit"}, "pytorch_state_dict", "brings code (unet.py)"),
        ([], {"source": "changed.py", "callable": "UNet"}, "pytorch_state_dict", "brings code (changed.py)"),
    ],
)
def test_what_counts_as_code(steps, architecture, weights, reason, copy):
    shutil.copyfile(unet.__file__, copy / "unet.py")
    (copy / "changed.py").write_bytes((copy / "unet.py").read_bytes() + b"\n")

    def edit(content):
        content["outputs"][0]["postprocessing"] = steps
        content["weights"]["pytorch_state_dict"] = {"source": "weights.pt", "architecture": architecture}

    with open_package(change(copy, edit)) as package:
        found = trust.why_untrusted(package, weights)
    assert reason in found
    assert bool(found) is bool(reason)


def test_pickles_are_not_weights(copy):
    class Evil:
        def __reduce__(self):
            return (print, ("evil",))

    shutil.copyfile(unet.__file__, copy / "unet.py")
    (copy / "weights.pt").write_bytes(pickle.dumps(Evil(), protocol=2))

    def edit(content):
        architecture = {"source": "unet.py", "callable": "UNet", "kwargs": {"width": 2, "depth": 1}}
        content["weights"]["pytorch_state_dict"] = {"source": "weights.pt", "architecture": architecture}

    with open_package(change(copy, edit)) as package, pytest.raises(ZooferryError, match="state dict cannot be used"):
        load_weights(package, "pytorch_state_dict")


PROGRAMS = [
    ("torch.save(x, 'f')", "calls torch.save(...), a file access; refused"),
    ("torch.from_file('f')", "a file access; refused"),
    ("ops.aten.save(x, 'f')", "a file access; refused"),
    ("x", "cannot be loaded"),
]


@pytest.mark.parametrize(("code", "words"), PROGRAMS)
def test_programs_that_reach_files(code, words, tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("net/code/__torch__.py", f"def forward(x):\n  {code}\n")
    with pytest.raises(ZooferryError, match=re.escape(words)):
        engines.load("net", engines.load_torchscript, tmp_path / "net.pt")


def test_a_script_that_writes_a_file_is_not_run_by_any_host(copy, tmp_path):
    mark = tmp_path / "mark"
    with zipfile.ZipFile(copy / "net.pt", "w") as archive:
        archive.writestr("net/code/__torch__.py", f"torch.save(x, {str(mark)!r})")
    weights = {"torchscript": {"source": "net.pt", "sha256": sha256(copy / "net.pt")}}
    change(copy, lambda c: put(c, ("weights",), weights))
    report = check_package(copy, hosts=["core-torchscript", "torchscript", "imagej", "fiji", "deepimagej"])
    assert [r.status for r in report.hosts] == ["failed"] * 5
    assert all("its program calls torch.save(...), a file access; refused" in r.reason for r in report.hosts)
    assert not mark.exists()


def test_our_own_packages_bring_no_untrusted_code(packages):
    with open_package(packages["n2v"]) as package:
        assert trust.why_untrusted(package, trust.STATE_DICT) == ""
        image = package.inputs[0].test_array()
        eager = run_package(package, {"raw": image}, weights=trust.STATE_DICT)["restored"]
        np.testing.assert_allclose(eager, package.outputs[0].test_array(), rtol=1e-4, atol=1e-3)


def test_predict_leaves_nothing_of_a_refused_package(copy, tmp_path):
    (copy / "net.onnx").write_bytes(b"no network")
    with pytest.raises(ZooferryError, match="is not the file"):
        restore_files(copy, [tmp_path / "image.tif"], tmp_path / "out", tile=None, say=print)
    assert not (tmp_path / "out").exists()
