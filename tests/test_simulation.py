"""Simulated acquisitions: what is written, from which seed, with which statistics."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from zooferry.degradation import Camera
from zooferry.errors import ZooferryError
from zooferry.images import read_image
from zooferry.metrics import score
from zooferry.optics import Optics, point_spread_function
from zooferry.simulation import (
    AcquisitionSettings,
    default_settings,
    imaging_kernel,
    simulate,
    write_simulation,
)
from zooferry.specimen import CellSettings

FLAT = AcquisitionSettings(shape=(96, 80), train=2, validation=1)
DEEP = replace(default_settings(3), shape=(8, 48, 40), train=1, validation=1)


def first(settings, seed=0):
    return next(simulate(settings, seed=seed))


def fingerprints(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize(
    ("settings", "pixel_size"), [(FLAT, {"y": 0.1, "x": 0.1}), (DEEP, {"z": 0.3, "y": 0.1, "x": 0.1})]
)
def test_arrays_of_an_acquisition(settings, pixel_size):
    fields = list(simulate(settings, seed=1))
    assert len(fields) == settings.train + settings.validation
    for field in fields:
        assert field.noisy.shape == field.clean.shape == field.labels.shape == settings.shape
        assert (field.noisy.dtype, field.clean.dtype, field.labels.dtype) == (np.uint16, np.float32, np.uint16)
        assert field.pixel_size == pixel_size
        np.testing.assert_array_equal(np.unique(field.labels)[1:], np.arange(1, field.labels.max() + 1))


def test_labels_have_no_gaps_where_nuclei_lie_beyond_the_border():
    """A crowded canvas around a small field: most nuclei are cut off."""
    small = AcquisitionSettings(
        shape=(24, 24), train=6, validation=0, cells=CellSettings(nuclei=8, nucleus_radius_um=1)
    )
    for field in simulate(small, seed=0):
        numbers = np.unique(field.labels)
        np.testing.assert_array_equal(numbers[numbers > 0], np.arange(1, field.labels.max() + 1))


@pytest.mark.parametrize(
    ("dims", "shape", "fields", "modality"), [(2, (320, 320), 20, "widefield"), (3, (24, 128, 128), 8, "confocal")]
)
def test_default_series(dims, shape, fields, modality):
    settings = default_settings(dims, photons=12)
    assert settings.shape == shape
    assert settings.train + settings.validation == fields
    assert settings.optics.modality == modality
    assert settings.photons == 12


@pytest.mark.parametrize("settings", [FLAT, DEEP])
def test_the_seed_decides_and_the_number_of_fields_does_not(settings):
    one, again, other = first(settings, 7), first(replace(settings, train=5), 7), first(settings, 8)
    for name in ("noisy", "clean", "labels"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert (one.noisy != other.noisy).mean() > 0.5


@pytest.mark.parametrize("camera", [Camera(), Camera(gain=0.5, offset=50, read_noise=4, quantum_efficiency=1)])
@pytest.mark.parametrize("photons", [10, 200])
def test_noise_has_the_variance_of_the_camera(camera, photons):
    field = first(AcquisitionSettings(photons=photons, camera=camera))
    clean = field.clean.astype(np.float64)
    noise = field.noisy - clean
    variance = camera.gain * (clean - camera.offset) + (camera.gain * camera.read_noise) ** 2 + 1 / 12
    for chosen in (clean < np.median(clean), clean > np.percentile(clean, 90)):
        ratio = noise[chosen] / np.sqrt(variance[chosen])
        assert ratio.mean() == pytest.approx(0, abs=0.05)
        assert ratio.std() == pytest.approx(1, abs=0.03)


def test_noise_of_neighbours_is_independent():
    """What Noise2Void stands on."""
    field = first(AcquisitionSettings())
    noise = field.noisy - field.clean.astype(np.float64)
    for neighbour in ((0, 1), (1, 0)):
        assert abs(np.mean(noise * np.roll(noise, neighbour, (0, 1))) / noise.var()) < 0.02


@pytest.mark.parametrize("settings", [FLAT, DEEP])
@pytest.mark.parametrize("photons", [5.0, 80.0])
def test_photons_set_the_brightness(settings, photons):
    camera = settings.camera
    field = first(replace(settings, photons=photons, background_photons=0))
    brightest = (np.percentile(field.clean, 99.9) - camera.offset) / camera.adu_per_photon
    assert 0.79 * photons < brightest < 1.21 * photons
    assert field.clean.min() >= camera.offset


def test_background_lifts_the_floor():
    dark, lifted = (first(replace(FLAT, background_photons=level)).clean for level in (0, 20))
    step = 20 * FLAT.camera.adu_per_photon
    assert np.mean(lifted - dark) == pytest.approx(step, rel=1e-3)


@pytest.mark.parametrize("settings", [FLAT, DEEP])
def test_restoring_is_worth_it(settings):
    """The raw picture is far from the truth, and even a plain Gaussian comes closer."""
    field = first(settings)
    raw = score(field.noisy, field.clean)
    smoothed = score(ndimage.gaussian_filter(field.noisy.astype(float), 1), field.clean)
    assert raw.gain > 0
    assert smoothed.nrmse < 0.7 * raw.nrmse
    assert smoothed.ssim > raw.ssim + 0.1


def test_kernel_in_3d_is_the_psf():
    kernel = imaging_kernel(DEEP)
    assert all(n % 2 for n in kernel.shape)
    np.testing.assert_allclose(kernel, point_spread_function(DEEP.optics, kernel.shape, pixel_size=DEEP.pixel_size))


def test_kernel_in_2d_is_the_focus_and_haze():
    sharp, half, haze = (imaging_kernel(replace(FLAT, haze=share)) for share in (0, 0.5, 1))
    np.testing.assert_allclose(sharp, point_spread_function(Optics(), sharp.shape, pixel_size=FLAT.pixel_size))
    np.testing.assert_allclose(half, (sharp + haze) / 2)
    assert sharp.max() > 10 * haze.max()
    assert [k.sum() for k in (sharp, half, haze)] == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(("settings", "train", "val"), [(FLAT, 2, 1), (DEEP, 1, 1)])
def test_written_series(tmp_path, settings, train, val):
    seen = []
    out = write_simulation(tmp_path / "new" / "set", settings, seed=3, on_progress=lambda *n: seen.append(n))
    assert out == tmp_path / "new" / "set"
    assert [path.name for path in out.parent.iterdir()] == ["set"]
    names = [f"train/{kind}/sample_{i:03d}.tif" for kind in ("clean", "labels", "noisy") for i in range(train)]
    names += [f"val/{kind}/sample_{i:03d}.tif" for kind in ("clean", "labels", "noisy") for i in range(val)]
    assert sorted(fingerprints(out)) == ["simulation.json", *names]
    assert seen == [(i + 1, train + val) for i in range(train + val)]
    fields = list(simulate(settings, seed=3))
    for part, field in (("train", fields[0]), ("val", fields[-1])):
        for kind in ("noisy", "clean", "labels"):
            image = read_image(out / part / kind / f"sample_{0:03d}.tif")
            np.testing.assert_array_equal(image.values, getattr(field, kind))
            assert image.dims == settings.axes
            assert image.attrs["pixel_size"] == pytest.approx(field.pixel_size)
            assert image.attrs["unit"] == "micrometer"
    with tifffile.TiffFile(out / "train/noisy/sample_000.tif") as tiff:
        assert tiff.is_imagej
    document = json.loads((out / "simulation.json").read_text())
    assert document["seed"] == 3
    assert document["settings"]["shape"] == list(settings.shape)
    assert document["settings"]["camera"]["gain"] == settings.camera.gain


@pytest.mark.parametrize("settings", [FLAT, DEEP])
def test_the_same_seed_writes_the_same_bytes(tmp_path, settings):
    one, again, other = (
        fingerprints(write_simulation(tmp_path / name, settings, seed=seed))
        for name, seed in (("one", 4), ("again", 4), ("other", 5))
    )
    assert one == again
    assert one["train/noisy/sample_000.tif"] != other["train/noisy/sample_000.tif"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_series_leaves_nothing(tmp_path, interruption):
    def interrupt(*_):
        raise interruption

    with pytest.raises((KeyboardInterrupt, ZooferryError)):
        write_simulation(tmp_path / "set", FLAT, seed=0, on_progress=interrupt)
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_filled_and_a_full_one_is_left_alone(tmp_path):
    out = tmp_path / "set"
    out.mkdir()
    write_simulation(out, replace(FLAT, train=1, validation=0), seed=0)
    before = fingerprints(out)
    assert before
    with pytest.raises(ZooferryError, match="not an empty folder"):
        write_simulation(out, FLAT, seed=1)
    assert fingerprints(out) == before


def test_a_path_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooferryError, match="cannot be written"):
        write_simulation(tmp_path / "file" / "set", FLAT, seed=0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"shape": (5,)}, r"shape is \(5,\)"),
        ({"shape": (4, 64)}, "8 pixels or more"),
        ({"pixel_size": (0.1,)}, "one number of um per axis"),
        ({"pixel_size": (0.1, 0)}, "above 0"),
        ({"train": -1}, "train is -1"),
        ({"photons": 0}, "photons is 0"),
        ({"photons": float("nan")}, "photons is nan"),
        ({"background_photons": -1}, "background_photons is -1"),
        ({"haze": 1.5}, "haze is 1.5"),
    ],
)
def test_impossible_settings_are_refused(fields, words):
    with pytest.raises(ZooferryError, match=words):
        replace(FLAT, **fields)


@pytest.mark.parametrize(
    ("settings", "seed", "words"),
    [(FLAT, -1, "seed is -1"), (replace(FLAT, train=0, validation=0), 0, "one field or more")],
)
def test_impossible_series_are_refused(tmp_path, settings, seed, words):
    with pytest.raises(ZooferryError, match=words):
        write_simulation(tmp_path / "set", settings, seed=seed)
    assert not list(tmp_path.iterdir())


def test_other_dims_are_refused():
    with pytest.raises(ZooferryError, match="dims is 4"):
        default_settings(4)
