"""The pages and their pictures: numbers, escaping, nothing loaded from elsewhere, wrong pixels visible."""

import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.image import imread

from zooferry import pictures
from zooferry.comparison import compare
from zooferry.errors import ZooferryError
from zooferry.figures import image_row, output_rows
from zooferry.metrics import score
from zooferry.report import (
    CheckReport,
    DemoReport,
    EvaluatedImage,
    EvaluationReport,
    HostDifference,
    HostRow,
    OutputArrays,
    write_check_report,
    write_demo_report,
    write_evaluation_report,
)

AXES = {2: ("batch", "channel", "y", "x"), 3: ("batch", "channel", "z", "y", "x")}
SPEC = {
    "status": "passed",
    "version": "0.5.12",
    "messages": [{"severity": "alert", "where": "cite", "message": "none"}],
}
MEGABYTE = 1_000_000


def pixels(picture):
    """Red, green and blue (0-255) of the PNG in a picture, axes Y X 3."""
    head, _, data = picture.source.partition(",")
    assert head == "data:image/png;base64"
    image = imread(io.BytesIO(base64.b64decode(data)), format="png")
    return np.round(image[..., :3] * 255).astype(int)


def texture(*shape, seed=0):
    return np.random.default_rng(seed).gamma(2.0, 100.0, shape).astype(np.float32)


class Page(HTMLParser):
    """Collects a page's text, its pictures and everything it would load; complains of unclosed elements."""

    VOID = ("meta", "img", "br", "link", "hr")

    def __init__(self, path):
        super().__init__()
        self.html = path.read_text(encoding="utf-8")
        self.text, self.sources, self.links, self.open = "", [], [], []
        self.feed(self.html)
        self.text = " ".join(self.text.replace("\u00a0", " ").replace("\u2011", "-").split())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.links += [found[name] for name in ("href", "srcset", "action", "data") if name in found]
        self.sources += [found["src"]] if "src" in found else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        self.text += f" {data}"


def require_offline(page):
    assert page.open == []
    assert page.links == []
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    for word in ("<script", "@import", "url(", "http:", "https:"):
        assert word not in page.html


def checked(expected, actual, *, name="nuclei", host="onnx"):
    axes = AXES[expected.ndim - 2]
    verdict = compare(actual, expected, name="restored", axes=axes)
    row = HostRow(host, "onnxruntime 1.2", "passed" if verdict.passed else "failed", verdict.reason, 1.5, (verdict,))
    output = OutputArrays("restored", axes, expected, axes, expected, {host: actual}, {"x": 0.25}, "micrometer")
    skipped = HostRow("imagej", "", "skipped", "no Java 11-25 found", 0.0)
    return CheckReport("nuclei.zip", name, "ab" * 32, "0.1", SPEC, (row, skipped), (output,))


@pytest.mark.parametrize(("dims", "shape", "count"), [(2, (64, 48), 4), (3, (8, 64, 48), 12)])
def test_check_page(dims, shape, count, tmp_path):
    expected = texture(1, 1, *shape)
    write_check_report(tmp_path / "report.html", checked(expected, expected + np.float32(1e-5)))
    page = Page(tmp_path / "report.html")
    require_offline(page)
    assert len(page.sources) == count  # input, expected, actual, difference; in 3D slice, projection and section
    for words in (
        "1 of 1 hosts that ran agree with the stored output 1 skipped",
        "no Java 11-25 found",
        f"{3072 * 8 ** (dims - 2):,} of ".replace(",", " "),
        "alert cite none",
        "2 µm",
    ):
        assert words in page.text, words
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]


def test_check_page_of_a_disagreement(tmp_path):
    expected = texture(1, 1, 64, 48)
    actual = expected.copy()
    actual[0, 0, 40, 7] += 100
    write_check_report(tmp_path / "report.html", checked(expected, actual, name="<script>alert(1)</script>"))
    page = Page(tmp_path / "report.html")
    require_offline(page)
    assert "0 of 1 hosts that ran agree" in page.text
    assert "<script>alert(1)</script>" in page.text
    assert "restored in onnx (disagrees)" in page.text
    assert "at y 40, x 7" in page.text


def test_check_page_without_a_comparable_array(tmp_path):
    expected = texture(1, 1, 64, 48)
    write_check_report(tmp_path / "report.html", checked(expected, expected[..., :-1]))
    page = Page(tmp_path / "report.html")
    assert "shape is 1 x 1 x 64 x 47, expected 1 x 1 x 64 x 48" in page.text
    assert page.sources == []


def test_rows_of_an_output_show_every_disagreement_and_the_worst_agreement():
    expected = np.full((1, 1, 16, 16), 10.0, np.float32)
    arrays = {"a": expected + np.float32(1e-5), "b": expected + np.float32(1e-4), "c": expected + 1, "d": expected + 2}
    output = OutputArrays("restored", AXES[2], expected, AXES[2], expected, arrays)
    hosts = [HostRow(h, "", "", "", 0, (compare(a, expected, name="restored"),)) for h, a in arrays.items()]
    titles = [row.title for row in output_rows(output, hosts)]
    assert titles == [
        "restored in c (disagrees)",
        "restored in d (disagrees)",
        "restored in b (the largest difference of those that agree)",
    ]


def evaluated(*shape, name="cell.tif", pictured=True):
    reference = texture(*shape)
    candidates = {
        "raw": reference + texture(*shape, seed=1),
        "restored": 2 * reference + 5 + 0.1 * texture(*shape, seed=2),
    }
    scores = {key: score(array, reference) for key, array in candidates.items()}
    return EvaluatedImage(name, reference, candidates if pictured else {}, scores, 0.1, "micrometer")


def test_evaluation_page(tmp_path):
    images = (
        *(evaluated(40, 50, name=f"cell {n}.tif") for n in range(5)),
        evaluated(40, 50, name="unpictured", pictured=False),
    )
    report = EvaluationReport("Held-out & scored", images, {"model": "care.zip"})
    write_evaluation_report(tmp_path / "report.html", report)
    page = Page(tmp_path / "report.html")
    require_offline(page)
    assert len(page.sources) == 4 * 6  # four images: raw, restored, reference, two errors, similarity
    assert "Held-out & scored model care.zip" in page.text
    raw, restored = (images[0].scores[key] for key in ("raw", "restored"))
    assert f"raw {raw.nrmse:.4f} {raw.psnr:.2f} {raw.ssim:.3f}" in page.text
    assert f"restored {restored.nrmse:.4f} {restored.psnr:.2f} {restored.ssim:.3f}" in page.text
    assert page.text.count("unpictured") == 1
    assert page.html.count(f'best">{restored.nrmse:.4f}<') == 1


def test_means_and_best():
    report = EvaluationReport("", (evaluated(40, 50), evaluated(60, 50)))
    expected = np.mean([image.scores["raw"].psnr for image in report.images])
    assert report.mean("raw", "psnr") == pytest.approx(expected)
    assert [report.best(name) for name in ("nrmse", "psnr", "ssim")] == ["restored"] * 3
    assert report.candidates == ("raw", "restored")


def test_page_without_images(tmp_path):
    write_evaluation_report(tmp_path / "report.html", EvaluationReport("none", ()))
    assert "There is no image to score." in Page(tmp_path / "report.html").text


@pytest.mark.parametrize(("factor", "passed"), [(1.0, True), (1.01, False)])
def test_demo_page(factor, passed, tmp_path):
    image = evaluated(16, 600, 700)
    expected = image.candidates["restored"]
    verdict = compare(factor * expected, expected, name="restored", axes=("z", "y", "x"))
    difference = HostDifference("n2v: ImageJ minus Python", factor * expected, expected, verdict)
    small = texture(1, 1, 64, 48)
    report = DemoReport(
        "demo", EvaluationReport("", (image,)), (difference,), (checked(small, small),), {"training": 12.34}
    )
    assert report.passed is passed
    write_demo_report(tmp_path / "report.html", report)
    page = Page(tmp_path / "report.html")
    require_offline(page)
    assert ("Every host agrees" in page.text) is passed
    assert "training 12.3" in page.text
    assert len(page.sources) == 3 * 5 + 1 + 3 * 3  # the similarity of the middle slice
    assert len(page.html) < 5 * MEGABYTE


def test_largest_evaluation_stays_small(tmp_path):
    report = EvaluationReport("", tuple(evaluated(4, 600, 600) for _ in range(5)))
    write_evaluation_report(tmp_path / "report.html", report)
    assert 0.5 * MEGABYTE < (tmp_path / "report.html").stat().st_size < 5 * MEGABYTE


def test_a_failed_write_leaves_the_old_page(tmp_path, monkeypatch):
    write_evaluation_report(tmp_path / "report.html", EvaluationReport("old", ()))

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(ZooferryError, match="disk full"):
        write_evaluation_report(tmp_path / "report.html", EvaluationReport("new", ()))
    assert "old" in Page(tmp_path / "report.html").text
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]


# ---- pictures


def test_grey_picture_has_the_values_of_its_window():
    (picture,) = pictures.grey_pictures("t", np.array([[0.0, 5.0, 10.0, 99.0, -9.0]]), window=(0, 10))
    np.testing.assert_array_equal(pixels(picture)[0, :, 0], [0, 128, 255, 255, 0])
    assert (picture.width, picture.height, picture.low, picture.high) == (5, 1, "0", "10")
    assert (pixels(picture)[..., 0] == pixels(picture)[..., 2]).all()


def test_difference_picture_is_white_at_zero_blue_below_red_above_magenta_if_not_finite():
    (picture,) = pictures.difference_pictures("t", np.array([[-2.0, 0.0, 1.0, np.nan]]), limit=1.0)
    below, zero, above, nan = pixels(picture)[0]
    assert tuple(zero) == pictures.DIVERGING[0.5]
    assert below[2] > below[0]
    assert above[0] > above[2]
    assert tuple(nan) == (255, 0, 255)


@pytest.mark.parametrize("value", [3.0, -3.0])
def test_one_wrong_pixel_of_a_large_volume_stays_visible(value):
    difference = np.zeros((9, 2000, 1500))
    difference[7, 1234, 777] = value
    middle, projection, _ = pictures.difference_pictures("t", difference, limit=3.0)
    assert max(projection.width, projection.height) <= pictures.LARGEST
    assert (pixels(middle) == 250).all()
    coloured = np.argwhere((pixels(projection) != 250).any(axis=2))
    np.testing.assert_array_equal(coloured, [[1234 // 6, 777 // 6]])
    assert tuple(pixels(projection)[tuple(coloured[0])]) == pictures.DIVERGING[1.0 if value > 0 else 0.0]


def test_volume_is_shown_as_middle_slice_projection_and_middle_section():
    volume = np.zeros((5, 4, 6))
    volume[2, 1, 1] = volume[4, 3, 3] = volume[1, 2, 0] = volume[3, 2, 5] = volume[4, 2, 5] = 1
    found = pictures.grey_pictures("t", volume, window=(0, 1))
    assert [p.view for p in found] == ["slice z = 2", "maximum along z", "section y = 2, z down"]
    assert [int((pixels(p)[..., 0] == 255).sum()) for p in found] == [1, 4, 3]
    assert [(p.width, p.height) for p in found] == [(6, 4), (6, 4), (6, 5)]


@pytest.mark.parametrize(
    ("axes", "shape", "labels", "part"),
    [
        (AXES[2], (2, 1, 4, 6), [""], (4, 6)),
        (AXES[3], (1, 2, 3, 4, 6), ["channel 0", "channel 1"], (3, 4, 6)),
        (AXES[2], (1, 5, 4, 6), ["channel 0", "channel 1", "channel 2"], (4, 6)),
        (("y", "x", "channel"), (4, 6, 1), [""], (4, 6)),
        (("y", "x"), (4, 6), [""], (4, 6)),
    ],
)
def test_spatial_parts(axes, shape, labels, part):
    parts = pictures.spatial_parts(np.zeros(shape), axes)
    assert [label for label, _ in parts] == labels
    assert {array.shape for _, array in parts} == {part}


@pytest.mark.parametrize(
    ("width", "size", "unit", "label", "percent"),
    [
        (100, 1.0, "micrometer", "20 µm", 20.0),
        (512, 0.1, "micrometer", "10 µm", 100 * 10 / 51.2),
        (256, 65.0, "nanometer", "2000 nm", 100 * 2000 / (256 * 65)),
        (128, 0.3, "parsec", "5 parsec", 100 * 5 / 38.4),
    ],
)
def test_scale_bar(width, size, unit, label, percent):
    bar = pictures.scale_bar(width, size, unit=unit)
    assert bar.label == label
    assert bar.percent == pytest.approx(percent)


@pytest.mark.parametrize(("size", "unit"), [(0.0, "micrometer"), (1.0, "")])
def test_no_scale_bar_without_calibration(size, unit):
    assert pictures.scale_bar(100, size, unit=unit) is None


@pytest.mark.parametrize(
    ("values", "window"),
    [([3.0, 3.0], (3.0, 4.0)), ([np.nan], (0.0, 1.0)), (np.r_[np.arange(1001.0), np.nan], (5.0, 998.0))],
)
def test_contrast_window(values, window):
    assert pictures.contrast_window(np.array(values)) == pytest.approx(window)


@pytest.mark.parametrize(
    ("largest", "tolerance", "limit"), [(1e-6, 0.01, 0.01), (5.0, 0.01, 5.0), (0.0, 0.0, 1.0), (np.nan, 0.5, 0.5)]
)
def test_difference_limit(largest, tolerance, limit):
    assert pictures.difference_limit(np.full((8, 8), largest), tolerance) == pytest.approx(limit)


def test_structured_crop_finds_the_structure():
    plane = np.zeros((600, 1000))
    plane[300:420, 700:800:2] = 1
    y, x = pictures.structured_crop(plane, 256)
    assert y.start <= 300 < 420 <= y.stop
    assert x.start <= 700 < 800 <= x.stop
    assert pictures.structured_crop(np.zeros((10, 20)), 256) == (slice(0, 256), slice(0, 256))


def test_error_maps_stand_below_their_candidates():
    row = image_row(evaluated(40, 50))
    (shown, errors, charts) = row.lines
    assert [chart.title for chart in charts] == ["profile", "Fourier power"]
    assert shown[0].row == shown[2].row is not None
    assert [p and p.title for p in shown] == ["raw", "restored", "reference"]
    assert [p and p.title for p in errors] == ["raw − reference", "restored − reference", "restored: SSIM"]
    # the restored image is 2 x reference + 5 with little noise: fitted, its error is far smaller than the raw one
    spread = [np.abs(pixels(p).astype(float) - 250).mean() for p in errors[:2]]
    assert spread[1] < 0.25 * spread[0]
