"""zooferry evaluate and predict: files in, scores and files out."""

import csv
import json

import numpy as np
import pytest

from zooferry import axes
from zooferry.baselines import BaselineChoice
from zooferry.errors import ZooferryError
from zooferry.evaluation import evaluate_model, smooth
from zooferry.evaluation_tables import score_table
from zooferry.images import read_image, write_image
from zooferry.judging import deciding_image, judge_image
from zooferry.methods.classical import gaussian
from zooferry.metrics import affine_fit, score
from zooferry.pairs import read_pairs
from zooferry.report import EvaluatedImage, EvaluationReport
from zooferry.residuals import WORDS
from zooferry.restoring import restore_files


@pytest.mark.parametrize(("name", "pairs"), [("care", "pairs_2d"), ("care3d", "pairs_3d")])
def test_evaluate_writes_scores_that_can_be_made_again(packages, name, pairs, tmp_path, request):
    folder = request.getfixturevalue(pairs)
    evaluate_model(packages[name], folder / "noisy", folder / "clean", tmp_path, say=print)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert list(metrics["mean"]) == ["raw", "gaussian", "restored"]
    for file, scores in metrics["images"].items():
        clean = read_image(folder / "clean" / file).values
        again = score(read_image(tmp_path / "restored" / file).values, clean)
        assert scores["restored"]["NRMSE"] == pytest.approx(again.nrmse)
        assert scores["raw"]["SSIM"] == pytest.approx(score(read_image(folder / "noisy" / file).values, clean).ssim)
    rows = list(csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()))
    assert len(rows) == 3 * (len(metrics["images"]) + 1)
    assert "<html" in (tmp_path / "report.html").read_text()


def test_quality_control_of_every_image(packages, pairs_2d, tmp_path):
    report = evaluate_model(packages["care"], pairs_2d / "noisy", pairs_2d / "clean", tmp_path, say=print)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    quality = metrics["quality"]
    assert list(quality["images"]) == [f"cell_{n}.tif" for n in range(3)]
    assert quality["summary"] == {control.question: control.answer for control in report.controls}
    rows = list(csv.DictReader((tmp_path / "quality.csv").read_text().splitlines()))
    for row, (name, found) in zip(rows, quality["images"].items(), strict=True):
        assert row["image"] == name
        assert float(row["removed"]) == pytest.approx(found["residual"]["removed"])
        raw, restored, clean = (read_image(f / name).values for f in folders(pairs_2d, tmp_path))
        residual = read_image(tmp_path / "quality" / name.replace(".tif", "_residual.tif")).values
        np.testing.assert_allclose(residual, raw - affine_fit(restored, raw)[0], atol=1e-3)
        error = read_image(tmp_path / "quality" / name.replace(".tif", "_error.tif")).values
        assert np.sqrt((error.astype(float) ** 2).mean()) == pytest.approx(score(restored, clean).nrmse, rel=1e-5)
        ssim = read_image(tmp_path / "quality" / name.replace(".tif", "_ssim.tif")).values
        assert ssim[3:-3, 3:-3].mean() == pytest.approx(score(restored, clean).ssim, rel=1e-4)
        power = list(
            csv.DictReader((tmp_path / "quality" / name.replace(".tif", "_power.csv")).read_text().splitlines())
        )
        assert list(power[0]) == ["cycles_per_pixel", "raw", "gaussian", "restored", "reference"]
        assert len(power) == 48
    page = (tmp_path / "report.html").read_text()
    for words in ("Can the restorations be trusted?", "Fourier power", "restored: SSIM", "raw − restored, smoothed"):
        assert words in page, words


def folders(pairs, out):
    return pairs / "noisy", out / "restored", pairs / "clean"


def test_without_clean_partners_the_raw_image_is_the_judge(packages, pairs_2d, tmp_path):
    report = evaluate_model(packages["care"], pairs_2d / "noisy", None, tmp_path, say=print)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["mean"] == {}
    assert all("residual" in image for image in metrics["quality"]["images"].values())
    assert [c.question for c in report.controls][: len(WORDS)] == list(WORDS.values())
    assert score_table(report).startswith("3 images without clean partners: no scores")
    page = (tmp_path / "report.html").read_text()
    assert "Mean scores" not in page
    assert "There is no clean partner" in page
    assert not list((tmp_path / "quality").glob("*_ssim.tif"))
    with pytest.raises(ZooferryError, match="give the clean partners with --targets"):
        evaluate_model(packages["care"], pairs_2d / "noisy", None, tmp_path, say=print, baselines=BaselineChoice())


def test_an_image_that_decides_the_mean_and_a_background_that_was_cut_off_are_told():
    reference = np.maximum(np.random.default_rng(0).normal(0, 1, (64, 64)), 0).astype(np.float32)
    images = []
    for number, noise in enumerate((0.1, 0.1, 0.1, 2.0)):
        restored = reference + np.random.default_rng(number + 10).normal(0, noise, reference.shape)
        candidates = {"raw": reference, "restored": restored}
        scores = {name: score(image, reference) for name, image in candidates.items()}
        image = EvaluatedImage(f"{number}.tif", reference, candidates, scores)
        images.append(judge_image(image, restored, None))
    said = deciding_image(EvaluationReport("", tuple(images)))
    errors = [image.scores["restored"].nrmse for image in images]
    assert said.startswith("3.tif decides the mean")
    assert f"is {np.mean(errors[:3]):.4f} instead of {np.mean(errors):.4f}" in said
    assert deciding_image(EvaluationReport("", tuple(images[:3]))) == ""
    assert any("% of the clean image is at its minimum (0): its background was cut off" in n for n in images[0].notes)


def test_restored_files_keep_the_calibration(packages, pairs_3d, tmp_path):
    source = pairs_3d / "noisy" / "cell_0.tif"
    assert restore_files(packages["care3d"], [source], tmp_path, tile=None, say=print) == 0
    before, after = read_image(source), read_image(tmp_path / "cell_0.tif")
    assert after.dtype == np.float32
    assert (after.dims, after.shape) == (before.dims, before.shape)
    assert after.attrs == before.attrs


def test_a_2d_model_restores_every_slice_and_time_point(packages, tmp_path):
    image = axes.label_axes(np.random.default_rng(0).integers(90, 300, (2, 3, 60, 70)).astype(np.uint16), "tzyx")
    write_image(tmp_path / "a.tif", image)
    restore_files(packages["n2v"], [tmp_path / "a.tif"], tmp_path / "out", tile=None, say=print)
    whole = read_image(tmp_path / "out" / "a.tif")
    write_image(tmp_path / "b.tif", image.isel(t=1, z=2))
    restore_files(packages["n2v"], [tmp_path / "b.tif"], tmp_path / "out", tile=None, say=print)
    np.testing.assert_allclose(whole.isel(t=1, z=2), read_image(tmp_path / "out" / "b.tif"), rtol=1e-5)


def test_a_bad_image_does_not_stop_the_others(packages, pairs_2d, tmp_path):
    (tmp_path / "bad.tif").write_text("no image")
    said = []
    sources = [tmp_path / "bad.tif", pairs_2d / "noisy" / "cell_0.tif"]
    assert restore_files(packages["n2v"], sources, tmp_path / "out", tile=None, say=said.append) == 1
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["cell_0.tif"]
    assert "not a readable TIFF" in said[0]


def test_an_image_is_never_replaced_by_its_restoration(packages, pairs_2d):
    source = pairs_2d / "noisy" / "cell_0.tif"
    with pytest.raises(ZooferryError, match="would replace the image itself"):
        restore_files(packages["n2v"], [source], source.parent, tile=None, say=print)


def test_images_of_the_same_name_are_refused(packages, pairs_2d, tmp_path):
    sources = [pairs_2d / role / "cell_0.tif" for role in ("noisy", "clean")]
    with pytest.raises(ZooferryError, match="have the same name; restore them into two folders"):
        restore_files(packages["n2v"], sources, tmp_path, tile=None, say=print)


def test_pairs_of_other_shapes_are_refused(pairs_2d, tmp_path):
    for number in range(3):
        image = read_image(pairs_2d / "clean" / f"cell_{number}.tif")
        write_image(tmp_path / f"cell_{number}.tif", image[:-1] if number == 1 else image)
    with pytest.raises(ZooferryError, match=r"cell_1\.tif has shape \(96, 128\)"):
        read_pairs(pairs_2d / "noisy", tmp_path)


def test_smoothing_stays_within_a_channel():
    image = axes.label_axes(np.random.default_rng(0).normal(size=(2, 3, 20, 20)).astype(np.float32), "tcyx")
    smoothed = smooth(image, 1.5)
    assert smoothed.dims == image.dims
    np.testing.assert_allclose(smoothed.values[1, 2], gaussian(image.values[1, 2], 1.5))
