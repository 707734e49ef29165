"""zooferry labels: ROI files <-> label images, names, slices, flaws, refusals; pixels: hosts/test_imagej_rois.py."""

from __future__ import annotations

import csv
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from roifile import ROI_TYPE, ImagejRoi
from scipy import ndimage

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "fiji_scripts" / "lib")]

from zooferry_fiji import pairing  # noqa: E402
from zooferry_fiji.errors import ZooferryError as FijiError  # noqa: E402

from zooferry.axes import label_axes  # noqa: E402
from zooferry.cli import main  # noqa: E402
from zooferry.errors import ZooferryError  # noqa: E402
from zooferry.images import read_image, write_image  # noqa: E402
from zooferry.rois.drawing import draw, numbers_of  # noqa: E402
from zooferry.rois.files import label_of, read_rois, write_rois  # noqa: E402
from zooferry.rois.flaws import KINDS, find_flaws  # noqa: E402
from zooferry.rois.polygons import filled  # noqa: E402
from zooferry.rois.report import COLOURS  # noqa: E402
from zooferry.rois.tracing import outlines, rois_of  # noqa: E402

SIZE = {"z": 0.5, "y": 0.25, "x": 0.25}


def box(top: int, left: int, height: int, width: int, *, name: str = "", position: int = 0) -> ImagejRoi:
    """A rectangle."""
    roi = ImagejRoi(roitype=ROI_TYPE.RECT, name=name, position=position)
    roi.top, roi.left, roi.bottom, roi.right = top, left, top + height, left + width
    return roi


def save(path: Path, array: np.ndarray) -> Path:
    """A calibrated TIFF of (T) (Z) Y X."""
    image = label_axes(array, "tzyx"[-array.ndim :])
    image.attrs.update(pixel_size={axis: SIZE[axis] for axis in image.dims if axis in SIZE}, unit="micrometer")
    return write_image(path, image)


def discs(shape: tuple[int, int] = (80, 100)) -> np.ndarray:
    """Six round objects of radius 7."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int64)
    for number, (row, column) in enumerate([(r, c) for r in (15, 45) for c in (15, 45, 75)], 1):
        labels[(y - row) ** 2 + (x - column) ** 2 <= 49] = number
    return labels


@pytest.mark.parametrize(
    ("picture", "count"),
    [
        (["#"], 1),
        (["##.", "##.", "..#"], 1),  # touching at a corner
        ([".##", ".##", "#.."], 1),
        (["#.#"], 2),
        (["###", "#.#", "###"], 2),  # a hole has an outline of its own
        ([".#.", "#.#", ".#."], 2),
        (["#.", ".#", "#."], 1),
        (["#####", "#...#", "#.#.#", "#...#", "#####"], 3),
    ],
)
def test_outlines_by_head(picture: list[str], count: int) -> None:
    mask = np.array([[letter == "#" for letter in line] for line in picture])
    found = outlines(mask)
    assert len(found) == count
    np.testing.assert_array_equal(filled(found, *mask.shape), mask)
    for outline in found:
        steps = np.abs(np.roll(outline, -1, axis=0) - outline)
        assert ((steps == 0).sum(axis=1) == 1).all(), "every piece runs along one axis"


@pytest.mark.parametrize("seed", range(4))
def test_any_label_image_comes_back(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, (2, 3, 23, 31)) * (rng.random((2, 3, 23, 31)) > 0.3)
    if seed == 3:
        labels[:] = rng.integers(1, 3, labels.shape) * 70_000  # no background, numbers beyond 16 bit
    source = save(tmp_path / "a.tif", labels[0, 0] if seed == 0 else labels[0] if seed == 1 else labels)
    assert main(["labels", str(source), "--out", str(tmp_path / "rois")]) == 0
    assert main(["labels", str(tmp_path / "rois"), "--images", str(tmp_path), "--out", str(tmp_path / "back")]) == 0
    first, again = read_image(source), read_image(tmp_path / "back" / "a.tif")
    np.testing.assert_array_equal(first.values, again.values)
    assert first.dims == again.dims
    assert first.attrs["pixel_size"] == again.attrs["pixel_size"]
    assert again.dtype == (np.float32 if seed == 3 else np.uint16)


def test_many_objects_keep_their_numbers() -> None:
    labels = np.zeros((1, 600, 600), np.int64)
    labels[0, ::2, ::2] = np.arange(1, 90_001).reshape(300, 300)
    part = labels[:, 500:, 500:]
    rois = [roi for _, _, roi in rois_of(part)]
    drawn = draw(rois, xr.DataArray(np.zeros((100, 100)), dims=("y", "x")))
    np.testing.assert_array_equal(drawn.labels.values, part[0])
    assert drawn.labels.values.max() == 90_000
    assert len(np.unique(drawn.labels.values)) == 2501


# name -> the number that it says
NAMES = [("00012", 12), ("00012-2", 12), ("00012-1234", 12), ("100000", 100000), ("0012", 0), ("0012-0345", 0),
         ("00012-00345", 0), ("00012-0345", 0), ("cell 3", 0), ("00012-0", 0), ("", 0)]  # fmt: skip


@pytest.mark.parametrize(("name", "number"), NAMES)
def test_numbers_in_names(name: str, number: int) -> None:
    assert label_of(name) == pairing.label_of(name) == number


def test_unnamed_rois_get_the_numbers_that_follow() -> None:
    names = ["0012-0034", "00007", "mitosis", "00003-2"]
    assert numbers_of([ImagejRoi(name=name) for name in names]) == pairing.numbers_of(names) == [8, 7, 9, 3]


def test_the_later_one_wins_and_everything_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rois = [box(10, 10, 20, 20, name="a"), box(20, 20, 20, 20, name="b"), box(21, 21, 4, 4, name="c"),
            box(22, 22, 2, 2, name="d"), box(70, -5, 20, 10, name="e"), box(21, 21, 4, 4, name="f")]  # fmt: skip
    write_rois(tmp_path / "RoiSet_cell.zip", rois)
    save(tmp_path / "images" / "cell.tif", np.zeros((80, 100), np.uint8))
    out, report = tmp_path / "out", tmp_path / "report"
    arguments = ["labels", str(tmp_path / "RoiSet_cell.zip"), "--images", str(tmp_path / "images"), "--out", str(out)]
    assert main([*arguments, "--report", str(report)]) == 0
    labels = read_image(out / "cell.tif")
    assert [int(labels.values[y, x]) for y, x in ((15, 15), (25, 35), (22, 22), (75, 2))] == [1, 2, 6, 5]
    said = capsys.readouterr()
    assert said.out.strip() == "overlap: 5; hidden: 2; cut off: 1; hole: 1; tiny: 1"
    assert "overlap: object 2: 100 pixels of object 1 are under it; 2 wins, the later one in the list" in said.err
    assert "cut off: object 5: 150 of its pixels lie outside of the image and are cut off" in said.err
    assert "hidden: object 3: nothing of it is left" in said.err
    with (report / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["flaw"] for row in rows].count("overlap") == 5
    cut = next(row for row in rows if row["flaw"] == "cut off")
    assert (cut["image"], cut["label"], cut["plane"], cut["y"], cut["x"], cut["pixels"]) == ("cell", "5", "1", "70", "0", "150")  # fmt: skip # noqa: E501
    content = json.loads((report / "labels.json").read_text())
    assert content["flaws"] == {"overlap": 5, "hidden": 2, "cut off": 1, "hole": 1, "tiny": 1}
    assert content["images"]["cell"]["objects"] == 4
    assert (report / "cell.png").read_bytes().startswith(b"\x89PNG")
    assert "2 wins, the later one in the list" in (report / "report.html").read_text()
    assert main([*arguments, "--strict"]) == 1


def test_names_survive(tmp_path: Path) -> None:
    write_rois(tmp_path / "a.zip", [box(1, 1, 5, 5, name="mitosis \u00e4"), box(9, 9, 5, 5, name="00007")])
    assert main(["labels", str(tmp_path / "a.zip"), "--size", "30,40", "--out", str(tmp_path / "a.tif")]) == 0
    assert main(["labels", str(tmp_path / "a.tif"), "--out", str(tmp_path / "b.zip")]) == 0
    assert [roi.name for roi in read_rois(tmp_path / "b.zip")] == ["00007", "mitosis \u00e4"]
    np.testing.assert_array_equal(np.unique(read_image(tmp_path / "a.tif").values), [0, 7, 8])


def test_slices_and_frames() -> None:
    frame = xr.DataArray(np.zeros((2, 3, 20, 20)), dims=("t", "z", "y", "x"))
    placed = box(1, 1, 4, 4, name="a")
    placed.z_position, placed.t_position = 2, 2
    found = draw([box(2, 2, 3, 3, name="b", position=3), placed], frame).labels
    assert (int(found.values[0, 2].sum()), int(found.values[1, 1].sum())) == (9, 32)
    for roi, words in (
        (box(1, 1, 4, 4, name="a"), "belongs to no single slice of the 6"),
        (box(1, 1, 4, 4, name="a", position=7), "lies on slice 7, the image has 3 slice"),
    ):
        with pytest.raises(ZooferryError, match=words):
            draw([roi], frame)


# position, slice, frame; channels, slices, frames -> plane, as in Python
PLANES = [((3, 0, 0), (1, 5, 1), 2), ((0, 2, 2), (1, 3, 2), 4), ((0, 0, 0), (1, 1, 1), 0), ((5, 0, 0), (2, 3, 1), 2),
          ((0, 0, 2), (1, 1, 4), 1)]  # fmt: skip


@pytest.mark.parametrize(("position", "sizes", "plane"), PLANES)
def test_planes_are_those_of_imagej(position: tuple[int, ...], sizes: tuple[int, ...], plane: int) -> None:
    roi = box(1, 1, 4, 4, name="a", position=position[0])
    roi.z_position, roi.t_position = position[1:]
    image = xr.DataArray(np.zeros((sizes[2], sizes[0], sizes[1], 9, 9)), dims=("t", "c", "z", "y", "x"))
    found = draw([roi], image).labels.values.reshape(-1, 9, 9)
    assert np.flatnonzero(found.any(axis=(1, 2))).tolist() == [pairing.plane_of(position, sizes)] == [plane]


def flawed() -> np.ndarray:
    """Discs: 1 has a hole, 2 two pieces, 3 is tiny, 4 thin, 5 and 6 are well."""
    labels = discs()
    labels[14:17, 13:16] = 0
    labels[labels == 2] = np.where(np.indices(labels.shape)[1][labels == 2] == 45, 0, 2)
    labels[labels == 3], labels[12:14, 70:75] = 0, 3
    labels[labels == 4], labels[40:42, 5:30] = 0, 4
    return labels


def test_flaws_by_head() -> None:
    found = [(flaw.kind, flaw.label, flaw.pixels) for flaw in find_flaws(flawed())]
    assert found == [("hole", 1, 9), ("pieces", 2, 134), ("tiny", 3, 10), ("thin", 4, 50)]
    assert find_flaws(discs()) == []
    assert find_flaws(np.zeros((9, 9), np.int64)) == []
    assert find_flaws(np.ones((9, 9), np.int64), np.ones((9, 9))) == []
    volume = np.zeros((5, 20, 20), np.int64)
    volume[1:4, 2:9, 2:9], volume[2, 5, 5] = 1, 0
    assert [(flaw.kind, flaw.place) for flaw in find_flaws(volume)] == [("hole", (2, 5, 5))]


def picture(labels: np.ndarray, seed: int = 0, contrast: float = 60.0) -> np.ndarray:
    """A noisy image of the objects."""
    bright = ndimage.gaussian_filter((labels > 0).astype(np.float64), 1)
    return np.random.default_rng(seed).poisson(20 + contrast * bright).astype(np.float64)


def test_a_bright_object_without_label_is_noticed() -> None:
    labels = discs()
    known = np.where(labels == 5, 0, labels)
    found = find_flaws(known, picture(labels))
    assert [flaw.kind for flaw in found] == ["without label"]
    assert labels[found[0].place[1:]] == 5
    assert find_flaws(labels, picture(labels)) == [], "rims of annotated objects are none"
    assert find_flaws(known, picture(labels, contrast=0)) == [], "nothing is bright there"
    noise = picture(labels)
    noise[60:62, 20:22] += 200
    assert find_flaws(labels, noise) == [], "a speck is no object"


def test_a_folder_goes_on_after_a_bad_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rois = tmp_path / "rois"
    for name in ("one", "two_rois"):
        write_rois(rois / f"{name}.zip", [box(1, 1, 5, 5)])
    line = ImagejRoi(roitype=ROI_TYPE.LINE, name="a line")
    (rois / "three.roi").write_bytes(line.tobytes())
    for name in ("one", "two", "three"):
        save(tmp_path / "images" / f"{name}.tif", np.zeros((20, 20), np.uint8))
    out = tmp_path / "out"
    assert main(["labels", str(rois), "--images", str(tmp_path / "images"), "--out", str(out),
                 "--report", str(tmp_path / "report")]) == 1  # fmt: skip
    assert sorted(path.name for path in out.iterdir()) == ["one.tif", "two.tif"]
    said = capsys.readouterr().err
    assert "zooferry: 1 of 3 could not be converted" in said
    assert "ROI three: it is a line, which encloses no pixels" in said
    assert "it is a line" in (tmp_path / "report" / "report.html").read_text()


def written(folder: Path) -> dict[str, Path]:
    """What the refusals below are about."""
    write_rois(folder / "a.zip", [box(1, 1, 5, 5)])
    write_rois(folder / "mixed" / "a.zip", [box(1, 1, 5, 5)])
    save(folder / "mixed" / "b.tif", np.zeros((9, 9), np.uint8))
    save(folder / "big.tif", np.zeros((9, 9), np.uint8))
    save(folder / "grey" / "grey.tif", np.full((9, 9), 0.5, np.float32))
    save(folder / "labels.tif", np.ones((7, 7), np.uint8))
    (folder / "broken.zip").write_bytes(b"PK no zip")
    (folder / "broken.roi").write_bytes(b"Iout" + bytes(30))
    (folder / "cell.png").write_bytes(b"")
    (folder / "empty").mkdir()
    with zipfile.ZipFile(folder / "other.zip", "w") as archive:
        archive.writestr("rdf.yaml", "")
    write_rois(folder / "twice" / "cell.zip", [box(1, 1, 5, 5)])
    write_rois(folder / "twice" / "cell_rois.zip", [box(1, 1, 5, 5)])
    return {}


REFUSALS: list[tuple[list[str], str]] = [
    (["absent.zip", "--out", "o"], "no such file or folder; give ROI files"),
    (["a.zip"], "say where its label image goes: --out"),
    (["a.zip", "--out", "o"], "give its image with --images, or its size with --size"),
    (["a.zip", "--out", "o.zip", "--size", "9,9"], "ends in .tif"),
    (["a.zip", "--out", "o", "--size", "9"], "--size 9: allowed are Y,X or Z,Y,X"),
    (["a.zip", "--out", "o", "--images", "empty"], "no TIFF in this folder"),
    (["a.zip", "--out", "o", "--images", "mixed"], "has no image a.tif in"),
    (["mixed", "--out", "o"], "holds ROI files (a.zip) and images (b.tif)"),
    (["empty", "--out", "o"], "neither ROI files"),
    (["twice", "--out", "o", "--size", "9,9"], "two files would become cell.tif"),
    (["grey/grey.tif", "--out", "o"], "a whole number for each object"),
    (["labels.tif", "--out", "o", "--images", "big.tif"], "they must be alike"),
    (["broken.zip", "--out", "o", "--size", "9,9"], "not a readable zip"),
    (["broken.roi", "--out", "o", "--size", "9,9"], "is damaged"),
    (["other.zip", "--out", "o", "--size", "9,9"], "there is no ROI in this zip"),
    (["cell.png", "--out", "o"], "neither a ROI file"),
    (["grey", "--out", "o.zip"], "of a folder a folder is made"),
    (["grey", "--out", "o", "--images", "big.tif"], "a folder of images is needed"),
    (["grey", "--out", "grey"], "this is where the annotation is"),
]


@pytest.mark.parametrize(("arguments", "words"), REFUSALS)
def test_refusals(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    assert main(["labels", *arguments]) == 1
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert words in said, said
    assert not (tmp_path / "o").exists()


def test_every_visible_flaw_has_a_colour() -> None:
    assert set(COLOURS) == set(KINDS) - {"hidden"}
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_pairs_of_fiji(tmp_path: Path) -> None:
    for name in ("b.ome.tif", "a.tif", "c.png", "notes.txt"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).touch()
    found = pairing.images_of(str(tmp_path / "in"))
    assert [pairing.stem_of(path) for path in found] == ["a", "b", "c"]
    for path in pairing.pair(str(tmp_path / "out"), "b"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
    assert [Path(path).name for path in pairing.waiting(found, str(tmp_path / "out"))] == ["a.tif", "c.png"]
    write_rois(tmp_path / "ann" / "RoiSet-a.zip", [])
    assert pairing.annotation_of(str(tmp_path / "ann"), "a") == str(tmp_path / "ann" / "RoiSet-a.zip")
    assert pairing.annotation_of(str(tmp_path / "ann"), "b") is None
    assert pairing.is_annotation(str(tmp_path / "ann" / "RoiSet-a.zip"))
    assert not pairing.is_annotation("a name")
    assert not pairing.is_annotation(str(Path(__file__).parent / "golden" / "care-0.1.0.zip"))
    (tmp_path / "in" / "a.tiff").touch()
    with pytest.raises(FijiError, match="holds several images called a"):
        pairing.images_of(str(tmp_path / "in"))
