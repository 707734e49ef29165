"""Decoding of star-convex polyhedra: objects and labels of stardist 0.9.2 (golden file), and small cases by head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simulated_volumes import VOLUME_CASES, VolumeCase, star_volume

from zooferry.errors import ZooferryError
from zooferry.instance_steps import make_labels, needs_library
from zooferry.instances import solids
from zooferry.instances.declaration import Declaration, decode, read_declaration
from zooferry.instances.polyhedra import labels_from_distances, suppress
from zooferry.instances.star_convex import find_candidates
from zooferry.instances.star_targets import label_anisotropy, volume_rays

GOLDEN = Path(__file__).parent / "golden" / "polyhedra.npz"


def options(case: VolumeCase) -> dict[str, object]:
    return {"grid": case.grid, "prob_thresh": case.prob_thresh, "border": case.border}


@pytest.mark.parametrize("name", VOLUME_CASES)
def test_objects_and_labels_are_those_of_stardist(name: str) -> None:
    case = VOLUME_CASES[name]
    prob, distances = star_volume(case)
    found = find_candidates(prob, distances, **options(case))  # type: ignore[arg-type]
    kept = suppress(found, anisotropy=case.anisotropy, nms_thresh=case.nms_thresh)
    labels = labels_from_distances(
        prob,
        distances,
        anisotropy=case.anisotropy,
        nms_thresh=case.nms_thresh,
        **options(case),  # type: ignore[arg-type]
    )
    with np.load(GOLDEN) as golden:
        np.testing.assert_array_equal(found.points[kept].astype(int), golden[f"points_{name}"].reshape(-1, 3))
        np.testing.assert_array_equal(labels, golden[f"labels_{name}"])
    assert labels.dtype == np.int32


def test_the_golden_file_holds_objects_that_were_suppressed() -> None:
    with np.load(GOLDEN) as golden:
        counts = {name: int(golden[f"labels_{name}"].max()) for name in VOLUME_CASES}
    assert {name for name, count in counts.items() if not count} == {"none"}
    assert sum(counts.values()) > 100
    assert GOLDEN.stat().st_size < 100_000


@pytest.mark.parametrize("count", [12, 17, 96])
def test_faces_close_the_sphere(count: int) -> None:
    faces = solids.ray_faces(count)
    assert len(faces) == 2 * count - 4
    edges = {(int(a), int(b)) for face in faces for a, b in zip(face, np.roll(face, -1), strict=True)}
    assert len(edges) == 3 * len(faces)  # each in one direction
    assert {(b, a) for a, b in edges} == edges
    assert (solids.volumes_of(volume_rays(count)[None], faces) > 0).all()


def test_volume_of_a_ball_of_many_rays() -> None:
    rays = volume_rays(256)
    assert solids.volumes_of(5 * rays[None], solids.ray_faces(256))[0] == pytest.approx(4 / 3 * np.pi * 125, rel=0.03)
    assert solids.inner_radii(5 * rays[None], solids.ray_faces(256))[0] == pytest.approx(5, rel=0.05)


CUBE = np.array([[1, 0, 0, -1], [-1, 0, 0, -1], [0, 1, 0, -1], [0, -1, 0, -1], [0, 0, 1, -1], [0, 0, -1, -1.0]])
# planes more than those of a cube of side 2, point -> volume
PLANES = [((), (0, 0, 0), 8), (((1, 1, 1, 0),), (-0.5, -0.5, -0.5), 4), (((0, 0, 1, -3),), (0, 0, 0), 8)]
PLANES += [(((0, 0, 1, 0),), (0, 0, 0), None), ((), (0, 0, 2), None)]


@pytest.mark.parametrize(("more", "point", "volume"), PLANES)
def test_volume_between_planes(more: tuple[object, ...], point: tuple[float, ...], volume: float | None) -> None:
    planes = np.concatenate([CUBE, np.array(more, float).reshape(-1, 4)])
    found = solids.volume_between(planes, np.array(point, float))
    assert found == (volume if volume is None else pytest.approx(volume))


def ball(radius: float, shape: tuple[int, int, int] = (9, 17, 17)) -> tuple[np.ndarray, np.ndarray]:
    prob = np.zeros(shape, np.float32)
    prob[tuple(n // 2 for n in shape)] = 1
    return prob, np.full((96, *shape), radius, np.float32)


def test_one_ball_holds_its_pixels() -> None:
    labels = labels_from_distances(*ball(6.3), border=0)
    z, y, x = np.indices(labels.shape)
    away = np.sqrt((z - 4) ** 2 + (y - 8) ** 2 + (x - 8) ** 2)
    assert (labels[away < 5.8] == 1).all()
    assert (labels[away > 6.3] == 0).all()


def test_rays_of_thick_slices_are_in_pixels() -> None:
    rays = volume_rays(96, (3.0, 1.0, 1.0))
    np.testing.assert_allclose(np.linalg.norm(rays, axis=1), 1)
    np.testing.assert_array_equal(rays[[0, -1]], [[-1, 0, 0], [1, 0, 0]])
    assert np.median(np.abs(rays[:, 0])) < 0.3


def test_hidden_objects_leave_no_number() -> None:
    prob, distances = ball(4.2)
    prob[4, 8, 9], prob[4, 8, 2] = 0.9, 0.8
    distances[:, 4, 8, 9] = 1.2  # inside the first; nothing of it is left
    labels = labels_from_distances(prob, distances, nms_thresh=1.0, border=0)
    assert sorted(np.unique(labels)) == [0, 1, 2]
    assert labels[4, 8, 0] == 2


def test_label_anisotropy_is_that_of_the_boxes() -> None:
    labels = np.zeros((10, 20, 20), int)
    labels[2:6, 3:11, 4:14], labels[0:2, 0:4, 16:20] = 1, 2  # boxes 4 8 10 and 2 4 4
    assert label_anisotropy([labels]) == pytest.approx((6 + 7) / 2 / 3)
    assert label_anisotropy([labels, np.zeros_like(labels)]) == pytest.approx((6 + 7) / 2 / 3)
    assert label_anisotropy([np.zeros((2, 3, 4), int)]) == 1


STAR = {"method": "star_convex", "outputs": ["prob", "dist"], "volume": True, "grid": [1, 2, 2]}


def said(more: dict[str, object]) -> dict[str, object]:
    return {"config": {"zooferry": {"instances": {**STAR, **more}}}}


def test_declared_volumes_are_decoded() -> None:
    case = VOLUME_CASES["anisotropic"]
    prob, distances = star_volume(case)
    more = {"prob_thresh": case.prob_thresh, "nms_thresh": case.nms_thresh, "anisotropy": [*case.anisotropy]}
    declaration = read_declaration(said(more), ["prob", "dist"])
    assert declaration == Declaration("star_convex", ("prob", "dist"), {"grid": [1, 2, 2], **more}, volume=True)
    with np.load(GOLDEN) as golden:
        expected = golden["labels_anisotropic"]
    np.testing.assert_array_equal(decode(declaration, np.concatenate([prob[None], distances])), expected)
    with pytest.raises(ZooferryError, match=r"\(C Z Y X\) together; star_convex takes at least 4 channels"):
        decode(declaration, distances[:, 0])


WRONG = [
    ({"grid": [2, 2]}, "grid '[2, 2]'; allowed: whole numbers from 1, one for each of Y and X, of a volume for Z too"),
    ({"anisotropy": [1, 0, 1]}, "anisotropy '[1, 0, 1]'; allowed: three numbers above 0"),
    ({"volume": False, "grid": [2, 2], "anisotropy": [1, 1, 1]}, "three numbers above 0, for Z, Y and X of a volume"),
    ({"volume": 1}, "volume '1' for star_convex; allowed: true for star_convex, flows or borders, else false"),
]


@pytest.mark.parametrize(("more", "message"), WRONG)
def test_wrong_declarations_are_refused(more: dict[str, object], message: str) -> None:
    with pytest.raises(ZooferryError) as error:
        read_declaration(said(more), ["prob", "dist"])
    assert message in str(error.value)


def test_the_step_of_the_format_decodes_volumes_without_stardist() -> None:
    case = VOLUME_CASES["anisotropic"]
    prob, distances = star_volume(case)
    kwargs = {"prob_threshold": 0.5, "nms_threshold": 0.3, "grid": [1, 2, 2], "b": 2, "n_rays": case.rays}
    kwargs["anisotropy"] = [*case.anisotropy]
    heads = np.concatenate([prob[None], distances])[None]
    assert not needs_library("stardist_postprocessing", kwargs)
    assert needs_library("stardist_postprocessing", {**kwargs, "overlap_label": -1})
    labels = make_labels("stardist_postprocessing", heads, ("batch", "channel", "z", "y", "x"), kwargs)
    with np.load(GOLDEN) as golden:
        np.testing.assert_array_equal(labels[0, 0], golden["labels_anisotropic"])
