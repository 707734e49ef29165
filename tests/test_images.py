"""Reading and writing TIFF: calibration survives, refusals are one line."""

import numpy as np
import pytest
import tifffile
import xarray as xr

from zooferry import axes, images
from zooferry.errors import ZooferryError

CALIBRATIONS = [
    ("yx", (8, 9), np.uint8, {"y": 0.1, "x": 0.1}, "micrometer"),
    ("yx", (8, 9), np.float32, {"y": 0.32, "x": 0.325}, "micrometer"),
    ("zyx", (4, 8, 9), np.uint16, {"z": 0.2837, "y": 0.1268, "x": 0.1268}, "micrometer"),
    ("tczyx", (2, 3, 4, 8, 9), np.uint16, {"z": 1.5, "y": 65.0, "x": 65.0}, "nanometer"),
    ("cyx", (2, 8, 9), np.uint16, {}, ""),
]


@pytest.mark.parametrize(("names", "shape", "dtype", "size", "unit"), CALIBRATIONS)
def test_written_image_reads_back_the_same(tmp_path, names, shape, dtype, size, unit):
    image = axes.label_axes(np.random.default_rng(0).integers(0, 200, shape).astype(dtype), names)
    if size:
        image.attrs.update(pixel_size=size, unit=unit)
    if "t" in names:
        image.attrs["frame_interval"] = 2.5
    back = images.read_image(images.write_image(tmp_path / "a.tif", image))
    np.testing.assert_array_equal(back.values, image.values)
    assert back.dims == image.dims
    assert back.dtype == dtype
    assert back.attrs.get("unit", "") == unit
    assert back.attrs.get("pixel_size", {}) == pytest.approx(size)
    assert back.attrs.get("frame_interval") == image.attrs.get("frame_interval")


def test_ome_tiff_keeps_axes_and_pixel_size(tmp_path):
    array = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)
    metadata = {
        "axes": "CZYX", "PhysicalSizeX": 0.1, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.1,
        "PhysicalSizeYUnit": "µm", "PhysicalSizeZ": 0.5, "PhysicalSizeZUnit": "µm",
    }  # fmt: skip
    tifffile.imwrite(tmp_path / "a.ome.tif", array, ome=True, metadata=metadata)
    image = images.read_image(tmp_path / "a.ome.tif")
    assert image.dims == ("c", "z", "y", "x")
    assert image.attrs == {"pixel_size": {"z": 0.5, "y": 0.1, "x": 0.1}, "unit": "micrometer"}


def test_plain_tiff_in_pixels_per_centimetre_has_a_pixel_size(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.eye(4, dtype=np.uint8), resolution=(31250, 31250), resolutionunit=3)
    assert images.read_image(tmp_path / "a.tif").attrs["pixel_size"] == {"y": 0.32, "x": 0.32}


def test_plain_multipage_tiff_is_a_z_stack(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 6, 7), np.uint8), photometric="minisblack")
    assert images.read_image(tmp_path / "a.tif").dims == ("z", "y", "x")


def test_labels_beyond_16_bit_are_written_as_float(tmp_path):
    labels = axes.label_axes(np.array([[0, 70_000]], np.int32), "yx")
    back = images.read_image(images.write_image(tmp_path / "a.tif", labels))
    assert back.dtype == np.float32
    assert back.values.tolist() == [[0, 70_000]]


def broken(path):
    path.write_bytes(b"II*\x00garbage")


def rgb(path):
    tifffile.imwrite(path, np.zeros((6, 7, 3), np.uint8), photometric="rgb")


def complex_pixels(path):
    tifffile.imwrite(path, np.zeros((6, 7), np.complex64))


REFUSED = [
    (broken, "not a readable TIFF"),
    (rgb, "this is an RGB image; allowed are grey-scale"),
    (complex_pixels, "pixels of type complex64"),
    (lambda path: path.write_text("hello"), "not a readable TIFF"),
    (lambda _path: None, "no such file"),
]


@pytest.mark.parametrize(("write", "message"), REFUSED)
def test_unusable_files_are_refused_in_one_line(tmp_path, write, message):
    write(tmp_path / "a.tif")
    with pytest.raises(ZooferryError, match=message) as caught:
        images.read_image(tmp_path / "a.tif")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [([[1.0, np.nan]], "1 of 2 pixels are NaN"), ([[np.inf, 0]], "1 of 2"), ([[3, 3]], "every pixel is 3")],
)
def test_unusable_pixels_are_refused(tmp_path, values, message):
    with pytest.raises(ZooferryError, match=message):
        images.require_usable(tmp_path / "a.tif", xr.DataArray(np.array(values), dims=("y", "x")))


def touch(folder, *names):
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    return folder


def test_pairs_are_matched_by_name_in_natural_order(tmp_path):
    noisy = touch(tmp_path / "noisy", "a10.tif", "a2.tif", "note.txt", ".hidden.tif")
    clean = touch(tmp_path / "clean", "a2.tiff", "a10.tif")
    assert [(a.name, b.name) for a, b in images.match_pairs(noisy, clean)] == [
        ("a2.tif", "a2.tiff"),
        ("a10.tif", "a10.tif"),
    ]


def test_files_without_partner_are_listed(tmp_path):
    noisy = touch(tmp_path / "noisy", "a.tif", "b.tif")
    clean = touch(tmp_path / "clean", "b.tif", "c.tif")
    with pytest.raises(ZooferryError, match=r"2 of 4 files have no partner: noisy/a.tif, clean/c.tif"):
        images.match_pairs(noisy, clean)


def test_empty_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(ZooferryError, match="no TIFF in this folder"):
        images.list_images(touch(tmp_path / "empty", "a.png"))
    with pytest.raises(ZooferryError, match="no such folder"):
        images.list_images(tmp_path / "none")


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ZooferryError, match="cannot be written"):
        images.write_image(tmp_path / "file" / "a.tif", axes.label_axes(np.eye(3, dtype=np.float32), "yx"))
