"""Clean images made worse: the chain, the ranges, seeds, pairs on disk and while training."""

import json

import numpy as np
import pytest
from scipy import ndimage

from zooferry import axes
from zooferry.cli import main
from zooferry.degraded_pairs import write_degraded
from zooferry.degrading import degrade, psf_kernel, read_degradation
from zooferry.errors import ZooferryError
from zooferry.images import read_image, write_image
from zooferry.recipes import names, read_recipe, title
from zooferry.settings import nested

PIXEL = {2: (0.1, 0.1), 3: (0.3, 0.1, 0.1)}


def worse(image, *, seed=0, takes=1, **values):
    found = degrade(
        image, read_degradation(values), pixel_size=PIXEL[image.ndim - 1], rng=np.random.default_rng(seed), takes=takes
    )
    return found[0] if takes > 1 else (found[0][0], *found[1:])


def scene(dims=2):
    """1 C (Z) Y X: dark, with a bright block in the middle."""
    image = np.full((1, *(8, 48, 48)[-dims:]), 100.0, np.float32)
    image[(0, *[slice(n // 4, n // 2) for n in image.shape[1:]])] = 900
    return image


@pytest.mark.parametrize("dims", [2, 3])
def test_photons_and_background_are_what_was_asked_for(dims):
    camera = {"gain": 2.0, "offset": 50, "read_noise": 0, "quantum_efficiency": 0.5}
    image, clean, record = worse(scene(dims), photons=400, background=20, camera=camera)
    np.testing.assert_array_equal(clean, scene(dims))
    bright = clean > 500
    assert image[~bright].mean() == pytest.approx(50 + 20, rel=0.02)
    assert image[bright].mean() == pytest.approx(50 + 420, rel=0.02)
    assert image[~bright].var() == pytest.approx(2 * 20, rel=0.15)  # gain^2 electrons
    assert record == {"photons": 400, "background": 20, "aberrations": {}}
    assert image.dtype == np.float32


@pytest.mark.parametrize("psf", [{"kind": "gaussian", "sigma_um": 0.2}, {"kind": "widefield"}, {"kind": "confocal"}])
@pytest.mark.parametrize("dims", [2, 3])
def test_a_psf_blurs_and_keeps_the_light_in_place(psf, dims):
    point = np.zeros((1, *(17, 65, 65)[-dims:]), np.float32)
    point[(0, *[n // 2 for n in point.shape[1:]])] = 1
    block = ndimage.uniform_filter(point, (0, *[5] * dims))
    image, _, _ = worse(block, photons=1e5, background=0, psf=psf, camera={"offset": 0, "read_noise": 0, "gain": 0.05})
    middle = ndimage.center_of_mass(image[0].astype(float))
    assert middle == pytest.approx([n // 2 for n in image.shape[1:]], abs=0.15)
    assert (image[0] > image.max() / 100).sum() > 1.3 * (block[0] > 0).sum()


@pytest.mark.parametrize(
    ("factors", "same_size", "size"),
    [({"y": 2, "x": 2}, False, (8, 24, 24)), ({"z": 4}, False, (2, 48, 48)), ({"z": 3, "x": 2}, True, (6, 48, 48))],
)
def test_sizes_after_down_sampling(factors, same_size, size):
    image, clean, _ = worse(scene(3), downsample=factors, same_size=same_size)
    assert image.shape[1:] == size
    expected = size if same_size else tuple(n * factors.get(a, 1) for a, n in zip("zyx", size, strict=True))
    assert clean.shape[1:] == expected


def test_seed_and_ranges():
    values = {
        "photons": [5, 500], "background": [1, 3], "psf": {"kind": "widefield"}, "aberrations": {"spherical": [-1, 1]},
    }  # fmt: skip
    first, again = worse(scene(), **values), worse(scene(), **values)
    np.testing.assert_array_equal(first[0], again[0])
    records = [worse(scene(), seed=seed, **values)[2] for seed in range(40)]
    photons = np.array([r["photons"] for r in records])
    assert 5 <= photons.min() < 15 < 150 < photons.max() <= 500
    assert 30 < np.median(photons) < 90  # evenly on a logarithmic scale: 50
    assert {np.sign(r["aberrations"]["spherical"]) for r in records} == {-1, 1}


def test_two_takes_see_the_same_light_and_other_noise():
    first, second = worse(scene(), photons=50, background=2, unevenness=1.0, takes=2)
    assert not np.array_equal(first, second)
    clean = scene()
    noise = [take[clean < 500] - take[clean < 500].mean() for take in (first, second)]
    assert abs(np.corrcoef(*noise)[0, 1]) < 0.25  # only the uneven background is shared


def test_aberrations_blur():
    sharp, bent = (
        psf_kernel(
            read_degradation({"psf": {"kind": "widefield"}, "aberrations": {"spherical": 1}}),
            (64, 64), pixel_size=(0.1, 0.1), coefficients={"spherical": amount},
        )
        for amount in (0.0, 1.0)
    )  # fmt: skip
    assert sharp.sum() == pytest.approx(bent.sum()) == pytest.approx(1)
    assert bent.max() < 0.8 * sharp.max()
    assert all(n % 2 for n in sharp.shape)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"photon": 3}, "degrade: unknown photon; allowed: photons, background"),
        ({"photons": "many"}, "photons is 'many'; allowed: a number or .low, high., 0.001 to 1e.06"),
        ({"photons": [9, 3]}, r"photons is \[9, 3\]; allowed"),
        ({"psf": {"kind": "box"}}, "psf: kind is 'box'; allowed: gaussian, widefield, confocal"),
        ({"psf": {"kind": "widefield", "NA": 1.3}}, "psf: unknown NA; allowed: kind, numerical_aperture"),
        ({"psf": {"kind": "widefield", "numerical_aperture": "x"}}, "psf: .*allowed are numbers"),
        ({"psf": "gaussian"}, "psf is 'gaussian'; allowed: names with values"),
        ({"aberrations": {"spherical": 1}}, "aberrations need a psf of kind widefield or confocal"),
        ({"downsample": {"x": 1.5}}, "downsample is .*; allowed are whole numbers, 1 to 32"),
        ({"downsample": {"t": 2}}, "downsample: unknown t; allowed: z, y, x"),
        ({"camera": {"iso": 100}}, "camera: unknown iso; allowed: gain, offset"),
        ({"camera": {"gain": -1}}, "camera gain is -1"),
    ],
)
def test_wrong_values_are_refused(values, message):
    with pytest.raises(ZooferryError, match=message):
        read_degradation(values)


def clean_folder(folder, dims=2, count=2, **attrs):
    rng = np.random.default_rng(1)
    for number in range(count):
        array = 100 + 300 * ndimage.gaussian_filter(rng.random((8, 90, 100)[-dims:]) > 0.97, 2.0, output=np.float32)
        image = axes.label_axes(array, axes.spatial_axes(dims))
        image.attrs.update(attrs)
        write_image(folder / f"cell_{number}.tif", image)
    return folder


def test_folder_of_pairs_with_record(tmp_path, capsys):
    size = {"pixel_size": {"y": 0.1, "x": 0.1}, "unit": "micrometer"}
    images = clean_folder(tmp_path / "in", **size)
    command = ["degrade", "--images", str(images), "--out", str(tmp_path / "out"), "--takes", "2", "--seed", "3"]
    command += ["--set", "photons=[5, 20]", "--set", "psf.kind=gaussian", "--set", "psf.sigma_um=0.2"]
    assert main([*command, "--set", "downsample={y: 2, x: 2}", "--set", "same_size=false"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out")
    record = json.loads((tmp_path / "out" / "degradation.json").read_text())
    assert [entry["file"] for entry in record["images"]] == ["cell_0.tif", "cell_1.tif"]
    assert record["degradation"]["psf"] == {"kind": "gaussian", "sigma_um": 0.2}
    assert 5 <= record["images"][0]["samples"][0]["photons"] <= 20
    noisy, second, clean = (read_image(tmp_path / "out" / role / "cell_0.tif") for role in ("noisy", "second", "clean"))
    assert (noisy.shape, second.shape, clean.shape) == ((45, 50), (45, 50), (90, 100))
    assert noisy.dtype == second.dtype == np.uint16
    assert noisy.attrs["pixel_size"] == {"y": 0.2, "x": 0.2}
    assert clean.attrs["pixel_size"] == {"y": 0.1, "x": 0.1}
    write_degraded(images, tmp_path / "again", record["degradation"], seed=3, takes=2, say=print)
    np.testing.assert_array_equal(read_image(tmp_path / "again" / "noisy" / "cell_0.tif"), noisy)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["psf.kind=widefield"], "carries no pixel size for every axis; give pixel_size: {y: 0.1, x: 0.1}"),
        (["colour=red"], "degrade: unknown colour"),
        (["downsample={y: 32}", "photons=0"], "photons is 0"),
    ],
)
def test_refusals_leave_nothing_behind(tmp_path, capsys, assignments, message):
    images = clean_folder(tmp_path / "in")
    sets = [word for a in assignments for word in ("--set", a)]
    assert main(["degrade", "--images", str(images), "--out", str(tmp_path / "out"), *sets]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_pixel_size_may_be_given(tmp_path):
    values = {"psf": {"kind": "widefield"}, "pixel_size": {"y": 0.1, "x": 0.1}}
    write_degraded(clean_folder(tmp_path / "in", count=1), tmp_path / "out", values, seed=0, say=print)
    assert read_image(tmp_path / "out" / "noisy" / "cell_0.tif").dtype == np.uint16


def test_dotted_keys():
    assert nested({"psf": {"kind": "confocal", "a": 1}}, {"psf.a": 2, "b": 3}) == {
        "psf": {"kind": "confocal", "a": 2},
        "b": 3,
    }


@pytest.mark.parametrize("name", names())
def test_every_recipe_says_what_it_is_and_can_be_read(name):
    assert title(name)
    degradation = read_degradation(read_recipe(name)["degrade"])
    assert degradation.photons[0] < degradation.photons[1]
