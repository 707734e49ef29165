"""The test input as an image file and back, without a JVM; what cannot be an image file is skipped in words."""

from types import SimpleNamespace

import numpy as np
import pytest

from zooferry.errors import HostAbsentError, ZooferryError
from zooferry.hosts import imagej, through_tiff
from zooferry.images import read_image, write_image
from zooferry.package import TensorSpec, open_package

SPATIAL = ("y", "x")


def tensor(folder, axes, array, name="raw"):
    file = folder / f"{name}.npy"
    np.save(file, array)
    none = (None,) * len(axes)
    return TensorSpec(name, axes, none, (0,) * len(axes), (), {"y": 0.25, "x": 0.5}, "micrometer", file)


@pytest.mark.parametrize(
    ("axes", "shape", "image_axes"),
    [
        (("batch", "channel", "y", "x"), (1, 1, 5, 7), "yx"),
        (("batch", "channel", "y", "x"), (1, 3, 5, 7), "cyx"),
        (("batch", "channel", "y", "x"), (2, 1, 5, 7), "tyx"),
        (("batch", "channel", "z", "y", "x"), (1, 1, 4, 5, 7), "zyx"),
        (("batch", "channel", "z", "y", "x"), (1, 2, 4, 5, 7), "czyx"),
        (("batch", "z", "y", "x", "channel"), (1, 4, 5, 7, 2), "czyx"),
        (("y", "x"), (5, 7), "yx"),
        (("batch", "channel", "time", "y", "x"), (1, 1, 4, 5, 7), "tyx"),
    ],
)
def test_there_and_back(axes, shape, image_axes, tmp_path):
    array = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    spec = tensor(tmp_path, axes, array)
    image = through_tiff.as_image(spec)
    assert "".join(image.dims) == image_axes
    again = read_image(write_image(tmp_path / "a.tif", image))
    assert again.attrs["pixel_size"] == pytest.approx({"y": 0.25, "x": 0.5})
    np.testing.assert_array_equal(through_tiff.to_tensor(again, spec), array)


def test_a_result_with_other_axes_is_refused(tmp_path):
    volume = through_tiff.as_image(tensor(tmp_path, ("z", "y", "x"), np.zeros((4, 5, 7), np.float32)))
    plane = tensor(tmp_path, ("batch", "channel", "y", "x"), np.zeros((1, 1, 5, 7)))
    with pytest.raises(ZooferryError, match="the result has axes z y x, expected t c y x"):
        through_tiff.to_tensor(volume, plane)


@pytest.fixture
def fake_imagej(monkeypatch):
    """ImageJ replaced by a function that adds one to the image."""
    monkeypatch.setattr(imagej, "availability", lambda: "")

    def run_packages(runs):
        image = read_image(runs[0].images[0])
        result = write_image(runs[0].out / "test_input.tif", (image + 1).astype(np.float32))
        return [SimpleNamespace(results={"restored": result}, message="", engine="none", unsupported=False)]

    monkeypatch.setattr(imagej, "run_packages", run_packages)


@pytest.mark.usefixtures("fake_imagej")
def test_the_raw_test_input_is_what_the_host_gets(tiny_zip_3d, tmp_path):
    run = through_tiff.run(tiny_zip_3d, tmp_path)
    with open_package(tiny_zip_3d) as opened:
        np.testing.assert_array_equal(run.outputs["restored"], opened.inputs[0].test_array() + 1)
    assert run.version == f"ImageJ {imagej.imagej_version()}, none"


@pytest.mark.usefixtures("fake_imagej")
@pytest.mark.parametrize(("unsupported", "error"), [(False, ZooferryError), (True, HostAbsentError)])
def test_a_failure_is_told_and_what_imagej_cannot_do_is_a_skip(tiny_zip, tmp_path, monkeypatch, unsupported, error):
    failed = SimpleNamespace(results={}, message="no flow dynamics yet", engine="none", unsupported=unsupported)
    monkeypatch.setattr(imagej, "run_packages", lambda *_, **__: [failed])
    with pytest.raises(ZooferryError, match="no flow dynamics yet") as raised:
        through_tiff.run(tiny_zip, tmp_path)
    assert type(raised.value) is error


def test_no_java_is_a_skip(tiny_zip, tmp_path, monkeypatch):
    monkeypatch.setattr(imagej, "availability", lambda: "no Java 11-25 found")
    with pytest.raises(HostAbsentError, match="no Java 11-25 found"):
        through_tiff.run(tiny_zip, tmp_path)


def test_what_is_no_image_file_is_a_skip(tmp_path):
    plane = tensor(tmp_path, SPATIAL, np.zeros((5, 7)))
    other = tensor(tmp_path, ("index", *SPATIAL), np.zeros((1, 5, 7)), "other")
    with pytest.raises(HostAbsentError, match="axis 'index' of 'other' has no place in an ImageJ image"):
        through_tiff.require_images([plane, other])


def test_a_vector_comes_as_a_row(tmp_path):
    classes = tensor(tmp_path, ("batch", "channel"), np.zeros((1, 3)))
    row = through_tiff.label_axes(np.array([[1.0, 2.0, 3.0]], np.float32), "yx")
    np.testing.assert_array_equal(through_tiff.to_tensor(row, classes), [[1, 2, 3]])
