"""Labels in ImageJ: the kernels give those of Python, number by number, on many random cases in one JVM."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

from simulated_heads import FLOW_CASES, STAR_CASES, Case, flow_heads, smooth, star_heads  # noqa: E402
from simulated_volumes import VOLUME_CASES, VolumeCase, smooth_volume, star_volume  # noqa: E402

from zooferry.hosts.imagej import _environment  # noqa: E402
from zooferry.instances.declaration import PARAMETERS, Declaration, decode  # noqa: E402

DEFAULTS: dict[str, dict[str, Any]] = {
    "star_convex": {
        "grid": [1, 1],
        "prob_thresh": 0.5,
        "nms_thresh": 0.4,
        "border": 2,
        "anisotropy": [1.0, 1.0, 1.0],
        "repeated": False,
    },
    "flows": {
        "prob_thresh": 0.0,
        "flow_thresh": 0.4,
        "min_size": 15,
        "steps": 200,
        "largest": 0.4,
        "renumber": False,
        "anisotropy": [1.0, 1.0, 1.0],
        "diameter": 0.0,
    },
    "borders": {"threshold": 0.5, "min_size": 0, "grow": 0},
}


def star_case(case: Case) -> tuple[dict[str, Any], np.ndarray]:
    prob, distances = star_heads(case)
    said = {"prob_thresh": case.prob_thresh, "nms_thresh": case.nms_thresh, "grid": [*case.grid], "border": case.border}
    return {"method": "star_convex", **said}, np.concatenate([prob[None], distances])


def polyhedra_case(case: VolumeCase) -> tuple[dict[str, Any], np.ndarray]:
    prob, distances = star_volume(case)
    said = {"prob_thresh": case.prob_thresh, "nms_thresh": case.nms_thresh, "border": case.border}
    said |= {"grid": [*case.grid], "anisotropy": [*case.anisotropy], "volume": True}
    return {"method": "star_convex", **said}, np.concatenate([prob[None], distances])


def flow_case(case: Case, **more: Any) -> tuple[dict[str, Any], np.ndarray]:
    logit, flows = flow_heads(case)
    said = {"prob_thresh": case.prob_thresh, "flow_thresh": case.flow_thresh, "min_size": case.min_size}
    return {**DEFAULTS["flows"], "method": "flows", **said, **more}, np.concatenate([flows, logit[None]])


def random_cases() -> dict[str, tuple[dict[str, Any], np.ndarray]]:
    cases = {}
    for seed in range(30):
        rng = np.random.default_rng(seed)
        shape = tuple(int(n) for n in rng.integers(33, 90, 2))
        noise = float(rng.choice([0, 0.1, 0.3, 0.6]))
        case = Case(
            seed,
            shape,  # type: ignore[arg-type]
            int(rng.integers(1, 30)),
            (2, 10),
            noise=noise,
            rays=int(rng.choice([3, 8, 16, 32, 33])),
            grid=tuple(int(n) for n in rng.choice([1, 2, 4], 2)),  # type: ignore[arg-type]
            prob_thresh=float(rng.choice([0.1, 0.3])),
            nms_thresh=float(rng.choice([0.1, 0.3, 0.5])),
            border=int(rng.integers(0, 3)),
            flow_thresh=float(rng.choice([0, 0.3, 0.5])),
            min_size=int(rng.choice([0, 10, 25])),
        )
        cases[f"star {seed}"] = star_case(case)
        cases[f"flows {seed}"] = flow_case(case, renumber=bool(seed % 2), steps=int(rng.choice([1, 7, 200])))
        classes = np.exp(3 * smooth(rng, (3, *shape), 1.5)).astype(np.float32)
        said = {"threshold": 0.6, "min_size": int(rng.integers(0, 9)), "grow": int(rng.integers(0, 4))}
        cases[f"borders {seed}"] = {"method": "borders", **said}, classes / classes.sum(axis=0)
    return cases


def volume_cases() -> dict[str, tuple[dict[str, Any], np.ndarray]]:
    cases = {}
    for seed in range(8):
        rng = np.random.default_rng(100 + seed)
        shape = tuple(int(n) for n in rng.integers(1, 30, 3))
        classes = np.exp(3 * smooth(rng, (3, *shape), 1.5)).astype(np.float32)
        said = {"threshold": 0.4, "min_size": int(rng.integers(0, 9)), "grow": int(rng.integers(0, 4))}
        cases[f"volume borders {seed}"] = {"method": "borders", "volume": True, **said}, classes / classes.sum(axis=0)
    for name, case in VOLUME_CASES.items():
        cases[f"volume star {name}"] = polyhedra_case(case)
    star = cases["volume star fine_grid"]
    rough = star[1] * (1 + 0.3 * smooth_volume(rng, star[1].shape, 1) ** 2)
    said, heads = polyhedra_case(VOLUME_CASES["uneven"])
    repeated = heads.repeat(2, axis=2).repeat(4, axis=3)[..., :-1, :]
    cases["volume star repeated"] = ({**said, "repeated": True}, repeated)
    cases["volume star rough"] = ({**star[0], "nms_thresh": 0.6}, rough.astype(np.float32))
    short = np.where(smooth_volume(rng, star[1].shape, 2) > 0.5, 0.01, star[1])
    cases["volume star short distances"] = (star[0], short.astype(np.float32))
    equal = np.concatenate([np.round(star[1][:1], 1), star[1][1:]])
    cases["volume star equal probabilities"] = ({**star[0], "border": [[0, 1], [2, 0], [1, 3]]}, equal)
    return cases


def special_cases() -> dict[str, tuple[dict[str, Any], np.ndarray]]:
    rng = np.random.default_rng(0)
    flat = np.full((33, 40, 50), 4, np.float32)
    flat[0] = 0.75  # probabilities that are all the same
    star = {**DEFAULTS["star_convex"], "method": "star_convex"}
    zero = np.zeros((3, 20, 30), np.float32)
    said, heads = star_case(STAR_CASES["grid_uneven"])
    repeated = heads.repeat(2, axis=1).repeat(4, axis=2)[:, :, :-3]
    noise = smooth(rng, (33, 40, 50), 1).astype(np.float32)
    return {
        "equal probabilities": (star, flat),
        "negative distances": ({**star, "prob_thresh": -0.5}, noise),
        "repeated": ({**said, "repeated": True}, repeated),
        "uneven border": ({**star, "border": [[0, 5], [3, 1]]}, flat),
        "no flow": ({**DEFAULTS["flows"], "method": "flows", "prob_thresh": -1.0, "largest": 1.0}, zero),
        "flow beyond the edge": ({**DEFAULTS["flows"], "method": "flows", "prob_thresh": -9.0}, 20 * noise[:3]),
        "one pixel": ({**DEFAULTS["flows"], "method": "flows", "prob_thresh": -1.0}, zero[:, :1, :1]),
        "no object": ({**DEFAULTS["borders"], "method": "borders"}, zero),
    }


@pytest.fixture(scope="module")
def cases() -> dict[str, tuple[dict[str, Any], np.ndarray]]:
    golden = {f"star_{name}": star_case(case) for name, case in STAR_CASES.items()}
    golden |= {f"flow_{name}": flow_case(case) for name, case in FLOW_CASES.items()}
    return golden | random_cases() | volume_cases() | special_cases()


@pytest.fixture(scope="module")
def in_imagej(cases: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    folder = tmp_path_factory.mktemp("instances")
    job = []
    for n, (declaration, heads) in enumerate(cases.values()):
        np.save(folder / f"heads{n}.npy", heads)
        job.append([declaration, str(folder / f"heads{n}.npy"), str(folder / f"labels{n}.npy")])
    (folder / "job.json").write_text(json.dumps({"cases": job}))
    command = [sys.executable, str(HERE / "instances_probe.py"), str(folder / "job.json")]
    result = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return {name: np.load(folder / f"labels{n}.npy") for n, name in enumerate(cases)}


@pytest.mark.jvm
@pytest.mark.parametrize("method", ["star", "flow", "borders", "volume", ""])
def test_labels_are_those_of_python(method: str, cases: dict[str, Any], in_imagej: dict[str, np.ndarray]) -> None:
    mine = [name for name in cases if (name.startswith(method) if method else name in special_cases())]
    assert len(mine) >= 7
    with np.load(HERE.parent / "golden" / "polyhedra.npz") as golden:
        polyhedra = dict(golden)
    objects = 0
    for name in mine:
        declaration, heads = cases[name]
        parameters = {key: value for key, value in declaration.items() if key not in ("method", "volume")}
        volume = declaration.get("volume", False)
        key = f"labels_{name.removeprefix('volume star ')}"
        if method == "volume" and key in polyhedra:  # Python's are the same: tests/test_polyhedra.py
            expected = polyhedra[key]
        else:
            expected = decode(Declaration(declaration["method"], ("heads",), parameters, volume), heads)
        np.testing.assert_array_equal(in_imagej[name], expected, err_msg=name)
        objects += len(np.unique(expected)) - 1
    assert objects > 2 * len(mine)


@pytest.mark.jvm
def test_labels_are_those_of_stardist_and_cellpose(in_imagej: dict[str, np.ndarray]) -> None:
    with np.load(HERE.parent / "golden" / "instances.npz") as golden:
        for name in golden.files:
            np.testing.assert_array_equal(in_imagej[name], golden[name], err_msg=name)


def test_parameters_are_the_same_in_both() -> None:
    sys.path.insert(0, str(HERE.parent.parent / "fiji_scripts" / "lib"))
    from zooferry_fiji import instances

    assert instances.METHODS == DEFAULTS
    assert {name: set(known) for name, known in PARAMETERS.items()} == {n: set(v) for n, v in DEFAULTS.items()}
