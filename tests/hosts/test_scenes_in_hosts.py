"""Labels in plain ImageJ and in a real Fiji: nothing, one giant, at the border, touching, 70,225 objects; as files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import real_fiji  # noqa: E402
from label_scenes import MANY, MANY_PARAMETERS, METHODS, SCENES, heads_of, many, package, parameters, scene  # noqa: E402

from zooferry.axes import label_axes  # noqa: E402
from zooferry.hosts import fiji, imagej  # noqa: E402
from zooferry.images import read_image, write_image  # noqa: E402
from zooferry.instances.declaration import Declaration, decode  # noqa: E402

WHICH = [(method, name) for method in METHODS for name in (*SCENES, "many")]


def runs_in(folder: Path) -> list[imagej.Run]:
    found = []
    for method in METHODS:
        few = package(folder / f"{method}_few", method)
        most = package(folder / f"{method}_many", method, **MANY_PARAMETERS[method])
        for name in (*SCENES, "many"):
            heads = many(method)[0] if name == "many" else heads_of(method, scene(name))
            image = write_image(folder / f"{method}_{name}.tif", label_axes(heads, "cyx"))
            found.append(imagej.Run(most if name == "many" else few, (image,), folder / "out"))
    return found


def expected(method: str, name: str) -> np.ndarray:
    if name == "many":
        return many(method)[1]
    heads = heads_of(method, scene(name))
    seen = heads[:, ::2, ::2] if method == "star_convex" else heads
    return decode(Declaration(method, ("heads",), parameters(method)), seen)


def require_labels(results: dict[Any, imagej.ImageResult]) -> None:
    """The same numbers as in Python, and in the type that holds them."""
    for which, result in results.items():
        assert not result.message, (which, result.message)
        labels = read_image(result.results["labels"])
        assert labels.dtype == (np.float32 if which[1] == "many" else np.uint16), which
        np.testing.assert_array_equal(labels.values, expected(*which), err_msg="-".join(which))
        if which[1] == "many":
            assert len(np.unique(labels.values)) == MANY + 1


def results_of(run: Callable[..., list[imagej.ImageResult]], folder: Path, **more: Any) -> dict[Any, Any]:
    return dict(zip(WHICH, run(runs_in(folder), threads=1, **more), strict=True))


@pytest.mark.jvm
def test_in_plain_imagej(tmp_path: Path) -> None:
    require_labels(results_of(imagej.run_packages, tmp_path))


@pytest.mark.fiji
def test_in_a_real_fiji(tmp_path: Path) -> None:
    pytest.importorskip("imagej", reason="pyimagej is not installed")
    home = real_fiji.copy_fiji(tmp_path / "fiji")
    require_labels(results_of(fiji.run_packages, tmp_path, fiji=home))
