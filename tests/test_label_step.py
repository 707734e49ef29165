"""Both kinds of package of volumes: heads on every voxel, and the format's own step; labels are those of the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from labelled_images import write_labelled

from zooferry.check import check_package
from zooferry.cli import main
from zooferry.files import write_json
from zooferry.images import read_image
from zooferry.package import open_package
from zooferry.packager import package_run
from zooferry.prediction import predict_outputs
from zooferry.run_folder import read_run
from zooferry.runs import train_method
from zooferry.trained import open_run

VALUES = {
    "steps": 4, "validate_every": 2, "width": 4, "depth": 1, "patch": 32, "patch_z": 8, "batch": 1, "rays": 12,
    "anisotropy": 2.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """StarDist of volumes that has learnt nothing; whatever is likeliest is an object."""
    folder = tmp_path_factory.mktemp("stars")
    data = write_labelled(folder, 2, dims=3)
    made = folder / "run"
    train_method(
        "stardist", made, images=data / "images", targets=data / "labels", values=VALUES, seconds=None, resume=False,
        say=print,
    )  # fmt: skip
    content = read_run(made)
    assert content["instances"]["grid"] == [1, 2, 2]
    image = read_image(data / "images" / "nuclei_1.tif").values[None]
    likely = float(np.quantile(predict_outputs(open_run(made), image)["prob"], 0.998))
    write_json(made / "run.json", {**content, "instances": {**content["instances"], "prob_thresh": likely}})
    return made


@pytest.mark.parametrize("labels_step", [False, True])
def test_packages_of_volumes_give_the_labels_of_the_run(run: Path, tmp_path: Path, labels_step: bool) -> None:
    archive = package_run(run, tmp_path / "stars.zip", card=None, say=print, labels_step=labels_step)
    with open_package(archive) as package:
        shapes = {output.id: output.test_array().shape for output in package.outputs}
        size = package.inputs[0].test_array().shape[2:]
        said = package.content["config"]["zooferry"].get("instances", {})
        assert all("scale" not in axis for output in package.content["outputs"] for axis in output["axes"])
    expected = {"labels": (1, 1, *size)} if labels_step else {"prob": (1, 1, *size), "dist": (1, 12, *size)}
    assert shapes == expected
    assert said.get("repeated") is (None if labels_step else True)
    image = run.parent / "images" / "nuclei_1.tif"
    found = []
    for model in (run, archive):
        assert main(["predict", str(model), str(image), "--out", str(tmp_path / model.stem)]) == 0
        (file,) = [p for p in (tmp_path / model.stem).glob("*.tif") if p.stem in ("nuclei_1", "nuclei_1_labels")]
        found.append(read_image(file).values)
    assert found[0].max() > 0
    np.testing.assert_array_equal(*found)


def test_the_hosts_agree_on_the_heads(run: Path, tmp_path: Path) -> None:
    archive = package_run(run, tmp_path / "stars.zip", card=None, say=print)
    rows = check_package(archive, hosts=["onnx", "torchscript"]).hosts
    assert [row.status for row in rows] == ["passed", "passed"]
    assert [output.name for output in rows[0].outputs] == ["prob", "dist", "labels"]
