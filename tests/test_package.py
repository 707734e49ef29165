"""Reading packages: what is no package is refused in one line, nothing leaves its folder."""

import stat
import zipfile

import numpy as np
import pytest
import yaml

from zooferry.errors import ZooferryError
from zooferry.package import open_model, open_package, package_model


def test_package_is_read_as_it_was_declared(packages):
    with open_package(packages["n2v"]) as package:
        assert package.name == "Noise2Void 2D restoration"
        assert len(package.sha256) == 64
        (raw,), (restored,) = package.inputs, package.outputs
        assert (raw.id, restored.id) == ("raw", "restored")
        assert raw.axes == restored.axes == ("batch", "channel", "y", "x")
        assert raw.pixel_size == pytest.approx({"y": 0.1, "x": 0.1})
        assert raw.unit == "micrometer"
        assert restored.halo == (0, 0, 24, 24)
        assert raw.test_array().shape == restored.test_array().shape == (1, 1, 64, 128)
        assert set(package.weights) == {"pytorch_state_dict", "torchscript", "onnx"}
        folder = package.folder
    assert not folder.exists()


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_both_weights_give_the_test_output(packages, kind):
    from zooferry.prediction import predict

    with open_package(packages["care3d"]) as package:
        model = package_model(package, weights=kind)
        restored = predict(model, package.inputs[0].test_array()[0])
        np.testing.assert_allclose(restored, package.outputs[0].test_array()[0], rtol=1e-4, atol=1e-4)


def test_run_folder_package_folder_and_zip_are_all_models(packages, runs, tmp_path):
    with zipfile.ZipFile(packages["care"]) as archive:
        archive.extractall(tmp_path / "care")
    for path in (runs["care"], packages["care"], tmp_path / "care"):
        with open_model(path) as model:
            assert (model.dims, model.channels, model.step, model.minimum) == (2, 1, (4, 4), (16, 16))


def a_zip(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)


def link():
    entry = zipfile.ZipInfo("rdf.yaml")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


BAD_ZIPS = [
    ([("readme.txt", "hello")], "no rdf.yaml in it, so it is no model package"),
    ([("rdf.yaml", "[")], "rdf.yaml is not readable YAML"),
    ([("rdf.yaml", "hello")], "rdf.yaml holds no fields"),
    ([("rdf.yaml", "type: dataset")], "its type is 'dataset'; allowed is 'model'"),
    ([("rdf.yaml", "{type: model, format_version: 0.3.0}")], "format 0.3.0; allowed are 0.4 and 0.5"),
    ([("rdf.yaml", "{type: model, format_version: 0.5.0}")], "rdf.yaml is incomplete"),
    ([("../rdf.yaml", "x: 1")], "leads outside the package"),
    ([("/tmp/rdf.yaml", "x: 1")], "leads outside the package"),
    ([("a/../../b", "x: 1")], "leads outside the package"),
    ([(link(), "/etc/passwd")], "'rdf.yaml', a symbolic link; refused"),
]


@pytest.mark.parametrize(("entries", "message"), BAD_ZIPS)
def test_bad_zips_are_refused(tmp_path, entries, message):
    a_zip(tmp_path / "m.zip", entries)
    with pytest.raises(ZooferryError, match=message) as caught, open_package(tmp_path / "m.zip"):
        pass
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.zip"]


def test_what_is_no_zip_is_refused(tmp_path):
    (tmp_path / "m.zip").write_bytes(b"PK\x03\x04 garbage")
    with pytest.raises(ZooferryError, match="not a readable zip"), open_package(tmp_path / "m.zip"):
        pass
    with pytest.raises(ZooferryError, match="no such file or folder"), open_package(tmp_path / "none.zip"):
        pass


def test_files_outside_the_package_are_refused(packages, tmp_path):
    with zipfile.ZipFile(packages["n2v"]) as archive:
        archive.extractall(tmp_path / "m")
    content = yaml.safe_load((tmp_path / "m" / "rdf.yaml").read_text())
    content["weights"]["onnx"]["source"] = "../secret.onnx"
    (tmp_path / "m" / "rdf.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ZooferryError, match="which lies outside the package"), open_package(tmp_path / "m"):
        pass


def test_weights_that_are_not_there_are_named(packages):
    with (
        open_package(packages["n2v"]) as package,
        pytest.raises(ZooferryError, match="no keras weights; present: onnx"),
    ):
        package_model(package, weights="keras")
