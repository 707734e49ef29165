"""The command line is a contract: its commands, its refusals, its exit codes, and how little its help loads."""

import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from zooferry.cli import build_parser, main

COMMANDS = ["demo", "simulate", "methods", "train", "predict", "evaluate", "package", "check", "imagej", "fiji"]
COMMANDS += ["doctor", "labels", "models"]


def write(folder, name, array, **options):
    folder.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(folder / name, array, **options)
    return folder


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 1000, shape).astype(np.uint16)


def no_image(tmp):
    (tmp / "a").mkdir()
    return "train n2v --images a --out run"


def pair_missing(tmp):
    write(tmp / "a", "1.tif", noise(80, 80))
    write(tmp / "b", "2.tif", noise(80, 80))
    return "train care --images a --targets b --out run"


def shapes_differ(tmp):
    write(tmp / "a", "1.tif", noise(80, 80))
    write(tmp / "b", "1.tif", noise(80, 81))
    return "train care --images a --targets b --out run"


def rgb(tmp):
    write(tmp / "a", "1.tif", np.zeros((80, 80, 3), np.uint8), photometric="rgb")
    return "train n2v --images a --out run"


def nan(tmp):
    write(tmp / "a", "1.tif", np.where(np.eye(80) > 0, np.nan, 1).astype(np.float32))
    return "train n2v --images a --out run"


def constant(tmp):
    write(tmp / "a", "1.tif", np.full((80, 80), 7, np.uint8))
    return "train n2v --images a --out run"


def small(tmp):
    write(tmp / "a", "1.tif", noise(40, 80))
    return "train n2v --images a --out run"


def unreadable(tmp):
    (tmp / "a").mkdir()
    (tmp / "a" / "1.tif").write_bytes(b"II*\0nothing")
    return "train n2v --images a --out run"


def unknown_setting(tmp):
    write(tmp / "a", "1.tif", noise(80, 80))
    return "train n2v --images a --out run --set stepz=5"


def unknown_method(tmp):
    write(tmp / "a", "1.tif", noise(80, 80))
    return "train n3n --images a --out run"


def not_writable(tmp):
    write(tmp / "a", "1.tif", noise(80, 80))
    (tmp / "file").touch()
    return "train n2v --images a --out file/run"


def channels_differ(tmp):
    write(tmp / "a", "1.tif", noise(80, 80))
    write(tmp / "a", "2.tif", noise(2, 80, 80), imagej=True, metadata={"axes": "CYX"})
    return "train n2v --images a --out run"


def no_targets(tmp):
    write(tmp / "a", "1.tif", noise(80, 80))
    return "train care --images a --out run"


def no_budget(tmp):
    write(tmp / "a", "1.tif", noise(80, 80))
    return "train n2v --images a --out run --seconds -1"


def no_package(tmp):
    (tmp / "m.zip").write_text("no zip")
    write(tmp / "a", "1.tif", noise(80, 80))
    return "predict m.zip a/1.tif --out out"


def no_package_to_check(tmp):
    (tmp / "m.zip").write_text("no zip")
    return "check m.zip --out out"


def no_run(tmp):
    (tmp / "r").mkdir()
    return "package r --out m.zip"


def one_folder(tmp):
    write(tmp / "a", "1.tif", noise(80, 80))
    return "demo --images a --out out"


def one_pair(tmp):
    write(tmp / "a", "1.tif", noise(80, 80))
    write(tmp / "b", "1.tif", noise(80, 80, seed=1))
    return "demo --images a --targets b --out out"


REFUSED = [
    (no_image, "a: no TIFF in this folder; allowed are files ending in .tif or .tiff"),
    (pair_missing, "2 of 2 files have no partner: a/1.tif, b/2.tif; pairs must have the same name"),
    (shapes_differ, "a/1.tif is y 80 x x 80, its target b/1.tif is y 80 x x 81; partners must have the same shape"),
    (rgb, "a/1.tif: this is an RGB image; allowed are grey-scale images"),
    (nan, "a/1.tif: 80 of 6400 pixels are NaN or infinite"),
    (constant, "a/1.tif: every pixel is 7; a constant image holds nothing to restore"),
    (small, "1.tif: image of 40 x 80 pixels is smaller than a patch of 64 x 64"),
    (unreadable, "a/1.tif: not a readable TIFF"),
    (unknown_setting, "unknown setting stepz; allowed: augment, batch, box"),
    (unknown_method, "unknown method 'n3n'; allowed: n2v, care, rcan, n2n"),
    (not_writable, "file/run: cannot be written"),
    (channels_differ, "2.tif has 2 channel(s), 1.tif has 1; all images must have the same channels"),
    (no_targets, "care learns from pairs; give the folder of clean partners with --targets DIR"),
    (no_budget, "--seconds is -1; allowed: a positive number"),
    (no_package, "m.zip: not a readable zip"),
    (no_package_to_check, "m.zip: not a readable zip"),
    (no_run, "r: no run.json in it, so it is no training run"),
    (one_folder, "give both --images and --targets, or neither"),
    (one_pair, "1 pair; at least 2 are needed"),
]


@pytest.mark.parametrize(("prepare", "message"), REFUSED, ids=lambda value: getattr(value, "__name__", ""))
def test_bad_input_is_one_line_an_exit_code_and_nothing_written(tmp_path, monkeypatch, capsys, prepare, message):
    monkeypatch.chdir(tmp_path)
    command = prepare(tmp_path)
    before = sorted(str(p) for p in tmp_path.rglob("*") if p.is_file())
    assert main(command.split()) == 1
    error = capsys.readouterr().err
    assert error.startswith("zooferry: ")
    assert error.count("\n") == 1
    assert message in error
    assert sorted(str(p) for p in tmp_path.rglob("*") if p.is_file()) == before
    assert not (tmp_path / "run").exists()


CHANNELS = [("predict", "n2v"), ("predict", "care")]


@pytest.mark.parametrize(("command", "name"), CHANNELS)
def test_two_channels_into_a_one_channel_model(tmp_path, packages, capsys, command, name):
    write(tmp_path / "a", "1.tif", noise(2, 80, 80), imagej=True, metadata={"axes": "CYX"})
    assert main([command, str(packages[name]), str(tmp_path / "a" / "1.tif"), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "image has 2 channel(s)" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.jvm
@pytest.mark.parametrize("prepare", [nan, constant, rgb, unreadable, channels_differ])
def test_imagej_refuses_what_training_refuses(tmp_path, packages, capsys, monkeypatch, prepare):
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    image = "a/2.tif" if prepare is channels_differ else "a/1.tif"
    assert main(["imagej", "run", str(packages["n2v"]), image, "--out", "out"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("zooferry: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("prepare", [nan, constant, rgb, unreadable])
def test_predict_refuses_what_training_refuses(tmp_path, packages, capsys, monkeypatch, prepare):
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    assert main(["predict", str(packages["n2v"]), "a/1.tif", "--out", "out"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_all_commands_of_the_contract_are_there():
    text = build_parser().format_help()
    assert all(f"    {command} " in text for command in COMMANDS)


def test_a_wrong_command_line_ends_with_2(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["train"])
    assert caught.value.code == 2
    assert "METHOD" in capsys.readouterr().err


def test_methods_names_dimensions_data_and_paper(capsys):
    assert main(["methods"]) == 0
    text = capsys.readouterr().out
    assert "n2v" in text
    assert "2D and 3D; needs noisy images" in text
    assert "Weigert et al., Nature Methods 15:1090 (2018)" in text


def test_train_package_predict_evaluate_by_the_command_line(tmp_path, pairs_2d, capsys):
    run, package = tmp_path / "run", tmp_path / "m.zip"
    small = ["--set", "steps=4", "--set", "width=4", "--set", "validate_every=2"]
    images = ["--images", str(pairs_2d / "noisy"), "--targets", str(pairs_2d / "clean")]
    assert main(["train", "care", *images, "--out", str(run), *small]) == 0
    assert main(["train", "care", *images, "--out", str(run), "--resume"]) == 0  # finished: nothing is left to do
    assert main(["package", str(run), "--out", str(package)]) == 0
    for model in (run, package):
        out = tmp_path / f"out-{model.name}"
        assert main(["predict", str(model), str(pairs_2d / "noisy" / "cell_0.tif"), "--out", str(out)]) == 0
    results = [tifffile.imread(tmp_path / f"out-{name}" / "cell_0.tif") for name in ("run", "m.zip")]
    np.testing.assert_allclose(*results, atol=1e-5)
    assert main(["evaluate", str(package), *images, "--out", str(tmp_path / "scores")]) == 0
    assert json.loads((tmp_path / "scores" / "metrics.json").read_text())["mean"]["raw"]["NRMSE"] > 0
    assert "restored" in capsys.readouterr().out


def child(code):
    """CPU seconds and output of a fresh interpreter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=os.environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def test_help_loads_neither_torch_nor_a_jvm_nor_numpy():
    code = (
        "import sys\nfrom zooferry.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('LOADED', *sorted(m for m in sys.modules if '.' not in m))"
    )
    loaded = child(code)[1].rpartition("LOADED")[2].split()
    assert not {"torch", "scyjava", "jpype", "numpy", "xarray", "bioimageio", "onnxruntime"} & set(loaded)


@pytest.mark.parametrize(("option", "engine"), [([], None), (["--engine", "torchscript"], "torchscript")])
def test_all_images_and_the_engine_reach_one_imagej(tiny_zip, tmp_path, monkeypatch, option, engine):
    from zooferry.hosts import imagej

    asked = []

    def run_images(package, images, out, *, tile, engine):  # noqa: ARG001
        assert package.is_dir()
        out.mkdir()
        asked.append((images, engine))
        return [imagej.ImageResult(i, out / i.name, "", 1.0, "", 1.0) for i in images]

    monkeypatch.setattr(imagej, "run_images", run_images)
    images = [tmp_path / "a.tif", tmp_path / "b.tif"]
    line = ["imagej", "run", str(tiny_zip), *map(str, images), "--out", str(tmp_path / "out"), *option]
    assert main(line) == 0
    assert asked == [(images, engine)]


def test_an_unknown_engine_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["imagej", "run", "m.zip", "a.tif", "--out", "o", "--engine", "tensorflow"])
    assert "invalid choice: 'tensorflow'" in capsys.readouterr().err
