"""The direct hosts: our own processing steps around a bare engine, against a result that is known by formula."""

import subprocess
import sys

import numpy as np
import pytest
from tiny_package import blurred, make_tiny_package, test_image

from zooferry.comparison import compare
from zooferry.errors import HostAbsentError, ZooferryError
from zooferry.hosts import HOSTS, direct, onnx, torchscript

HOST_OF = {"onnx": onnx, "torchscript": torchscript}


@pytest.mark.parametrize("host", HOST_OF)
@pytest.mark.parametrize("package", ["tiny_zip", "tiny_zip_3d"])
def test_result_is_the_mean_filter(host, package, request):
    run = HOST_OF[host].run(request.getfixturevalue(package))
    expected = blurred(test_image(2 if package == "tiny_zip" else 3))
    assert list(run.outputs) == ["restored"]
    verdict = compare(run.outputs["restored"], expected, name="restored", rtol=1e-6)
    assert verdict.passed, verdict.sentence()


@pytest.mark.parametrize("host", HOST_OF)
def test_absent_weights(host, tmp_path):
    other = "onnx" if host == "torchscript" else "torchscript"
    package = make_tiny_package(tmp_path / "package", weights=(other,))
    with pytest.raises(HostAbsentError, match=f"the package has no {host} weights"):
        HOST_OF[host].run(package)


def test_another_number_of_outputs_is_refused(tiny_zip):
    with pytest.raises(ZooferryError, match="the network returned 2 outputs, the description has 1"):
        direct.run_test_input(tiny_zip, "onnx", lambda _: lambda inputs: [*inputs, *inputs])


@pytest.mark.parametrize("host", HOST_OF)
def test_loaded_network_takes_other_sizes_and_types(host, tiny_zip):
    weights = {"onnx": "weights.onnx", "torchscript": "weights_torchscript.pt"}[host]
    infer = HOST_OF[host].load(tiny_zip.parent / "parts" / weights)
    (result,) = infer([np.ones((2, 1, 16, 24), np.float64)])
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[:, :, 1:-1, 1:-1], 1, rtol=1e-6)  # inside, the mean of ones is one
    np.testing.assert_allclose(result[:, :, 0, 0], 4 / 9, rtol=1e-6)


def test_the_table_of_hosts_loads_no_engine():
    code = "import sys, zooferry.hosts; print(*sorted({'torch', 'jpype', 'onnxruntime', 'numpy'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
    assert [*HOSTS][:6] == ["core-pytorch", "core-torchscript", "core-onnx", "onnx", "torchscript", "imagej"]
    assert [*HOSTS][6:] == ["fiji", "deepimagej"]
