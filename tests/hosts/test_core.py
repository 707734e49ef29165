"""bioimageio.core as a host, in the worker process in which `zooferry check` runs it."""

import zipfile

import numpy as np
import pytest
from tiny_package import blurred, make_tiny_package, test_image

from zooferry.hosts.processes import run_hosts

CORE = ["core-pytorch", "core-torchscript", "core-onnx"]
FORMATS = dict(zip(CORE, ["pytorch_state_dict", "torchscript", "onnx"], strict=True))


def run_unpacked(package, scratch, hosts):
    folder = scratch / "unpacked"
    zipfile.ZipFile(package).extractall(folder)
    results = scratch / "results"
    results.mkdir()
    return dict(run_hosts(folder, results, hosts, seconds=300))


@pytest.fixture(scope="module")
def volume(tiny_zip_3d, tmp_path_factory):
    return run_unpacked(tiny_zip_3d, tmp_path_factory.mktemp("volume"), CORE)


@pytest.mark.parametrize("host", CORE)
def test_own_prediction_of_a_volume(host, volume):
    result = volume[host]
    assert (result["status"], result["reason"]) == ("ran", "")
    (output,) = result["outputs"]
    assert output["name"] == "restored"
    np.testing.assert_allclose(np.load(output["file"]), blurred(test_image(3)), rtol=1e-5)
    assert result["version"].startswith("bioimageio.core 0.11.0, ")


def test_what_the_format_says(volume):
    spec = volume["spec"]
    assert (spec["status"], spec["format_version"]) == ("passed", "0.5.12")
    assert 0 < spec["metadata_completeness"] < 1
    assert {"severity": "alert", "where": "inputs.0.sample_tensor"}.items() <= spec["messages"][0].items()


@pytest.mark.parametrize("wrong", CORE)
def test_exactly_the_wrong_format_is_named(wrong, tmp_path):
    package = make_tiny_package(tmp_path / "package", wrong=FORMATS[wrong])
    results = run_unpacked(package, tmp_path, CORE)
    assert {host for host in CORE if results[host]["status"] == "failed"} == {wrong}
    reason = results[wrong]["reason"]
    assert reason.startswith(f"Reproduce test outputs from test inputs ({FORMATS[wrong]}): Output 'restored': 3072 of")
    assert "\n" not in reason
    assert len(results[wrong]["outputs"]) == 1  # the wrong array is there to be looked at


def test_a_size_that_breaks_is_found(tmp_path):
    """Their test tries several sizes and batches; an early stop would not see this."""
    package = make_tiny_package(
        tmp_path / "package", in_forward="assert len(x) == 1, 'one at a time'", weights=("pytorch_state_dict",)
    )
    results = run_unpacked(package, tmp_path, ["core-pytorch"])
    assert results["core-pytorch"]["status"] == "failed"
    assert "batch_size: 2" in results["core-pytorch"]["reason"]
    assert "one at a time" in results["core-pytorch"]["reason"]
