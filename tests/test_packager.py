"""Writing packages: what Java hosts can read, what the official check passes, the same bytes twice."""

import os
import shutil
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import onnx
import pytest
import tifffile
import torch
import yaml

from zooferry.card import read_card
from zooferry.errors import ZooferryError
from zooferry.images import read_image
from zooferry.linting import lint
from zooferry.package import open_package, package_model
from zooferry.packager import package_run, require_official_check
from zooferry.prediction import predict
from zooferry.trained import rounded

NAMES = ["n2v", "care", "care3d"]


@pytest.fixture
def unpacked(packages, tmp_path):
    """A function that unpacks one of the packages."""

    def unpack(name):
        with zipfile.ZipFile(packages[name]) as archive:
            archive.extractall(tmp_path / name)
        return tmp_path / name, yaml.safe_load((tmp_path / name / "rdf.yaml").read_text())

    return unpack


@pytest.mark.parametrize("name", NAMES)
def test_package_keeps_to_what_java_hosts_can_read(unpacked, name):
    folder, rdf = unpacked(name)
    model = onnx.load(folder / "weights.onnx")
    assert max(o.version for o in model.opset_import) <= 17
    assert model.ir_version <= 8
    assert rdf["format_version"].startswith("0.5")
    assert rdf["id"]
    (raw,), (restored,) = rdf["inputs"], rdf["outputs"]
    assert raw["axes"][1]["channel_names"]
    for before, after in zip(raw["axes"][2:], restored["axes"][2:], strict=True):
        assert before["size"]["min"] % before["size"]["step"] == 0
        assert after["size"] == {"tensor_id": "raw", "axis_id": before["id"]}
        assert not {"scale", "unit"} & {*before, *after}  # deepImageJ takes a scale for a factor
    operations = [*raw.get("preprocessing", []), *restored.get("postprocessing", [])]
    portable = {"ensure_dtype", "fixed_zero_mean_unit_variance", "scale_linear", "scale_range"}
    assert {o["id"] for o in operations} <= portable
    assert all("axis" not in o.get("kwargs", {}) for o in operations)


@pytest.mark.parametrize("name", NAMES)
def test_bioimageio_core_passes_every_weight_format(packages, name):
    from bioimageio.core import test_description

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside torch and bioimageio do not concern the package
        summary = test_description(packages[name])
    assert summary.status == "passed", summary.format()


@pytest.mark.parametrize("tool", ["zip -q -r ../again.zip .", "jar -c -M -f ../again.zip .", "python"])
def test_package_zipped_again_by_other_tools_still_passes(packages, tmp_path, tool):
    command = tool.split() if tool != "python" else [sys.executable, "-m", "zipfile", "-c", "../again.zip", "."]
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} on this machine")
    with zipfile.ZipFile(packages["care"]) as archive:
        archive.extractall(tmp_path / "parts")
    subprocess.run(command, cwd=tmp_path / "parts", check=True)
    require_official_check(tmp_path / "again.zip", ("pytorch_state_dict", "torchscript", "onnx"))
    with open_package(tmp_path / "again.zip") as package:
        assert package.name == "CARE 2D restoration"


def test_weights_load_without_pickled_code(unpacked):
    folder, _ = unpacked("care")
    assert set(torch.load(folder / "weights.pt", weights_only=True))


def test_samples_open_with_their_pixel_size(unpacked):
    folder, _ = unpacked("care3d")
    for name in ("sample_input.tif", "sample_output.tif"):
        image = read_image(folder / name)
        assert image.dims == ("z", "y", "x")
        assert image.attrs["pixel_size"] == pytest.approx({"z": 0.3, "y": 0.1, "x": 0.1})
        with tifffile.TiffFile(folder / name) as tiff:
            assert tiff.is_imagej


def test_pixel_size_is_kept_beside_the_axes(unpacked):
    _, rdf = unpacked("care3d")
    assert rdf["config"]["zooferry"]["pixel_size"] == pytest.approx({"z": 0.3, "y": 0.1, "x": 0.1})
    assert rdf["config"]["zooferry"]["unit"] == "micrometer"


def test_test_input_is_the_raw_image(unpacked):
    folder, rdf = unpacked("n2v")
    raw = np.load(folder / "test_input.npy")
    assert raw.dtype == np.uint16
    assert rdf["inputs"][0]["data"]["type"] == "uint16"
    assert raw.min() > 50


def test_readme_has_a_validation_section_and_no_placeholder(unpacked):
    text = (unpacked("care")[0] / "README.md").read_text()
    assert "\n# Validation\n" in text
    assert "| restored |" in text
    assert not {"TODO", "None", "nan", "{", "}"} & set(text.split())


def test_same_run_gives_the_same_bytes(runs, tmp_path):
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    for name in ("first.zip", "second.zip"):
        command = [sys.executable, "-m", "zooferry", "package", str(runs["n2v"]), "--out", str(tmp_path / name)]
        subprocess.run(command, check=True, env=environment, capture_output=True)
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()


def test_baked_package_gives_the_same_numbers_without_preprocessing(runs, packages, tmp_path):
    path = package_run(runs["care"], tmp_path / "baked.zip", card=None, say=print, bake=True)
    with open_package(path) as inside, open_package(packages["care"]) as outside:
        assert [o["id"] for o in inside.inputs[0].operations] == ["ensure_dtype"]
        assert inside.outputs[0].halo == (0, 0, 0, 0)
        np.testing.assert_allclose(
            inside.outputs[0].test_array(), outside.outputs[0].test_array(), rtol=1e-4, atol=1e-5
        )
        image = inside.inputs[0].test_array()
        for weights in ("onnx", "torchscript"):
            restored = predict(package_model(inside, weights=weights), image[0])
            np.testing.assert_allclose(restored, outside.outputs[0].test_array()[0], rtol=1e-4, atol=1e-5)
        assert not [f for f in lint(inside, ["fiji"]) if f.severity != "note" or f.rule == "fiji-percentiles"]


def test_baking_is_refused_where_it_would_do_nothing(runs, tmp_path):
    with pytest.raises(ZooferryError, match="n2v scales by fixed numbers, equal in every host; leave --bake away"):
        package_run(runs["n2v"], tmp_path / "m.zip", card=None, say=print, bake=True)
    assert not any(tmp_path.iterdir())


def test_fewer_bits_make_a_smaller_zip_of_the_same_numbers(runs, packages, tmp_path):
    small = package_run(runs["n2v"], tmp_path / "n2v.zip", card=None, say=print, bits=8)
    weights = []
    for path in (packages["n2v"], small):
        with zipfile.ZipFile(path) as archive:
            weights.append(archive.getinfo("weights.pt").compress_size)
            rdf = archive.read("rdf.yaml").decode()
    assert weights[1] < 0.7 * weights[0]
    assert "rounded to 8 significant bits" in rdf
    image = read_image(runs["n2v"] / "example_input.tif").values[None]
    found = []
    for path in (packages["n2v"], small):
        with open_package(path) as package:
            found.append(predict(package_model(package), image))
    np.testing.assert_allclose(*found, atol=0.02 * np.ptp(found[0]))


@pytest.mark.parametrize(("bits", "expected"), [(2, [1.0, -1.5, 0.0, 12.0]), (4, [1.0, -1.625, 0.0, 11.0])])
def test_rounded_weights(bits, expected):
    weights = torch.tensor([1.0, -1.6, 0.0, 11.0])
    torch.testing.assert_close(rounded(weights, bits), torch.tensor(expected), rtol=0, atol=0)
    whole = torch.tensor([7])
    assert rounded(whole, bits) is whole


def test_24_bits_are_all_of_them():
    weights = torch.randn(1000) * 10.0 ** torch.randint(-30, 30, (1000,))
    torch.testing.assert_close(rounded(weights, 24), weights, rtol=0, atol=0)


@pytest.mark.parametrize("bits", [7, 25])
def test_other_numbers_of_bits_are_refused(runs, tmp_path, bits):
    with pytest.raises(ZooferryError, match=f"--bits is {bits}; allowed: 8 to 24"):
        package_run(runs["n2v"], tmp_path / "n2v.zip", card=None, say=print, bits=bits)


def test_card_fills_the_description(runs, tmp_path):
    card = tmp_path / "card.yaml"
    card.write_text(
        "name: Fly wing denoiser\nauthors: [{name: Ada Lovelace, affiliation: Analytical Engines}]\n"
        "license: MIT\nmodality: confocal microscopy\n"
    )
    out = package_run(runs["n2v"], tmp_path / "m.zip", card=card, say=print)
    with zipfile.ZipFile(out) as archive:
        rdf = yaml.safe_load(archive.read("rdf.yaml"))
    assert (rdf["name"], rdf["id"], rdf["license"]) == ("Fly wing denoiser", "fly-wing-denoiser", "MIT")
    assert rdf["authors"][0]["name"] == "Ada Lovelace"
    assert rdf["config"]["bioimageio"]["modality"] == "confocal microscopy"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("licence: MIT", "unknown field licence; allowed: id, name"),
        ("- a", "holds no fields"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_wrong_cards_are_refused(tmp_path, text, message):
    (tmp_path / "card.yaml").write_text(text)
    with pytest.raises(ZooferryError, match=message):
        read_card(tmp_path / "card.yaml")


def test_a_card_that_the_format_refuses_leaves_nothing_behind(runs, tmp_path):
    (tmp_path / "card.yaml").write_text("name: ab\n")
    with pytest.raises(ZooferryError, match=r"bioimageio\.spec refuses the package: name"):
        package_run(runs["n2v"], tmp_path / "out" / "m.zip", card=tmp_path / "card.yaml", say=print)
    assert not any((tmp_path / "out").iterdir())


def test_wrong_weights_never_become_a_package(runs, tmp_path, monkeypatch):
    from zooferry import engines

    honest = engines.load_onnx
    monkeypatch.setattr(engines, "load_onnx", lambda path: lambda batches: [honest(path)(batches)[0] * 1.001])
    with pytest.raises(ZooferryError, match="the ONNX weights disagree with the network on shape"):
        package_run(runs["n2v"], tmp_path / "m.zip", card=None, say=print)
    assert not any(tmp_path.iterdir())
