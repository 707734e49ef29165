"""The macro key diameter= in plain ImageJ: labels are those of zooferry predict --diameter, bit by bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

import label_packages  # noqa: E402
from simulated_heads import Case, flow_heads  # noqa: E402

from zooferry.axes import label_axes  # noqa: E402
from zooferry.hosts.imagej import _environment  # noqa: E402
from zooferry.images import read_image, write_image  # noqa: E402
from zooferry.restoring import restore_files  # noqa: E402

LEARNT = 16.0
DIAMETERS = ("9.3", "16", "23", "32")
# settings -> words of the refusal
REFUSED = [
    ({"diameter": "500"}, "diameter is 500, model any package has learnt 16: allowed are 2 to 128 pixels"),
    ({"diameter": "20", "rescale": "yes"}, "rescale"),
    ({"diameter": "wide"}, "diameter is wide: allowed are pixels, or 0 for the image as it is"),
]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("diameter")
    logit, flows = flow_heads(Case(3, (61, 75), 9, (6, 9), prob_thresh=0.0, noise=0.1))
    heads = np.concatenate([flows, logit[None]])
    said = {"method": "flows", **label_packages.DECLARED["flows"], "diameter": LEARNT}
    package = label_packages.declared_package(
        folder / "tiny", "flows", heads[:, :56, :64], config={"zooferry": {"instances": said}}
    )
    return package, write_image(folder / "cells.tif", label_axes(heads, "cyx"))


@pytest.fixture(scope="module")
def in_imagej(scene: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    package, image = scene
    folder = tmp_path_factory.mktemp("imagej")
    wanted = [({"diameter": word}, folder / f"{word}.tif") for word in DIAMETERS]
    wanted += [(settings, folder / "none.tif") for settings, _ in REFUSED]
    job = {"runs": [[str(image), str(package), settings, str(out)] for settings, out in wanted]}
    (folder / "job.json").write_text(json.dumps(job))
    command = [sys.executable, str(HERE / "diameter_probe.py"), str(folder / "job.json")]
    result = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return json.loads(result.stdout.splitlines()[-1]), folder


@pytest.mark.jvm
@pytest.mark.parametrize("number", range(len(DIAMETERS)))
def test_labels_are_those_of_python(
    number: int, scene: tuple[Path, Path], in_imagej: tuple[list[str], Path], tmp_path: Path
) -> None:
    said, folder = in_imagej
    word = DIAMETERS[number]
    assert restore_files(scene[0], [scene[1]], tmp_path, tile=None, say=print, diameter=float(word)) == 0
    expected = read_image(tmp_path / "cells_labels.tif").values
    assert expected.max() > 3
    assert expected.shape == (61, 75)
    assert (folder / f"{word}.tif").is_file(), said[number]
    np.testing.assert_array_equal(read_image(folder / f"{word}.tif").values, expected)
    if word != "16":
        assert "zooferry rescale: to the object diameter of the training data and back" in said[number]


@pytest.mark.jvm
def test_refusals(in_imagej: tuple[list[str], Path]) -> None:
    for answer, (settings, words) in zip(in_imagej[0][-len(REFUSED) :], REFUSED, strict=True):
        assert words in answer, settings
