"""Training that starts from another lab's network: trusted, trained, packaged; and what is refused."""

import numpy as np
import pytest
import torch
import yaml
from any_package import identity, like, space, tensor, write_package

from zooferry import foreign, run_folder
from zooferry.cli import main
from zooferry.errors import ZooferryError
from zooferry.files import sha256
from zooferry.package import open_package
from zooferry.packager import package_run
from zooferry.trained import open_run
from zooferry.transfer import open_parent

CODE = """
import torch
from torch import nn


class Smoother(nn.Module):
    def __init__(self, width=3, channels=1, size=1):
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        self.size = size

    def forward(self, image):
        found = self.last(torch.relu(self.first(image)))
        return found if self.size == 1 else nn.functional.interpolate(found, scale_factor=self.size)
"""
TRAINING = ["--set", "steps=4", "--set", "validate_every=2", "--set", "patch=32", "--set", "batch=2"]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def package(folder, *, entry=None, steps=(), sizes=None, **kwargs):
    """A package of another lab: its own architecture, state dict and ONNX; percentiles as its normalisation."""
    folder.mkdir(parents=True)
    (folder / "smoother.py").write_text(CODE, encoding="utf-8")
    spaces = {}
    exec(CODE, spaces)
    torch.manual_seed(3)
    torch.save(spaces["Smoother"](**kwargs).state_dict(), folder / "state.pt")
    onnx = identity(folder / "weights.onnx")
    code = {"source": "smoother.py", "sha256": sha256(folder / "smoother.py"), "callable": "Smoother", "kwargs": kwargs}
    weights = {
        "onnx": {"source": onnx.name, "sha256": sha256(onnx), "opset_version": 17},
        "pytorch_state_dict": {
            "source": "state.pt",
            "sha256": sha256(folder / "state.pt"),
            "architecture": entry or code,
            "pytorch_version": "2.0",
        },
    }
    return write_package(
        folder,
        onnx,
        [tensor("in", space(sizes), steps)],
        [tensor("out", like("in", halo=2))],
        arrays={"in": np.zeros((1, 1, 32, 32), np.float32)},
        weights=weights,
        id="their-model",
    )


def train(parent, pairs, out, *more):
    words = [
        "train",
        "care",
        "--from",
        str(parent),
        "--images",
        str(pairs / "noisy"),
        "--targets",
        str(pairs / "clean"),
    ]
    return main([*words, "--out", str(out), *TRAINING, *more])


def test_it_is_trained_opened_and_packaged(tmp_path, pairs_2d):
    range_ = {"id": "scale_range", "kwargs": {"min_percentile": 3.0, "max_percentile": 99.0, "axes": ["y", "x"]}}
    theirs = package(tmp_path / "theirs", steps=[range_], width=5)
    assert train(theirs, pairs_2d, tmp_path / "run", "--trust-code") == 0
    content = run_folder.read_run(tmp_path / "run")
    assert content["network"]["architecture"] == "smoother.Smoother"
    assert content["network"]["arguments"] == {"width": 5}
    assert content["parent"] == {
        "name": "any package", "id": "their-model", "sha256": open_parent(theirs, trust_code=True).sha256,
    }  # fmt: skip
    (scale,) = [o["kwargs"] for o in content["preprocessing"] if o["id"] == "scale_range"]
    assert (scale["min_percentile"], scale["max_percentile"]) == (3, 99)
    before = torch.load(theirs / "state.pt", weights_only=True)
    after = torch.load(tmp_path / "run" / "best.pt", weights_only=True)
    assert before.keys() == after.keys()
    assert not torch.equal(before["last.weight"], after["last.weight"])
    torch.testing.assert_close(before["first.weight"], after["first.weight"], rtol=0, atol=0.02)
    model = open_run(tmp_path / "run")
    assert (model.step, model.minimum, model.halo) == ((4, 4), (4, 4), (2, 2))
    made = package_run(tmp_path / "run", tmp_path / "mine.zip", card=None, say=print)
    with open_package(made) as opened:
        assert opened.architecture.callable == "Smoother"
        assert opened.content["parent"] == {"id": "their-model"}
        assert "as its parent's package says" in (opened.folder / "README.md").read_text(encoding="utf-8")


def test_a_run_goes_on_and_is_itself_a_parent(tmp_path, pairs_2d):
    theirs = package(tmp_path / "theirs")
    assert train(theirs, pairs_2d, tmp_path / "run", "--trust-code") == 0
    words = ["train", "care", "--images", str(pairs_2d / "noisy"), "--targets", str(pairs_2d / "clean"), "--resume"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    assert train(tmp_path / "run", pairs_2d, tmp_path / "child") == 0
    assert (tmp_path / "child" / "smoother.py").read_text(encoding="utf-8") == CODE


@pytest.mark.parametrize(
    ("change", "more", "words"),
    [
        ({}, [], "--trust-code"),
        ({"entry": {"callable": "system", "import_from": "os"}}, ["--trust-code"], "installed module os.system"),
        ({"channels": 2}, ["--trust-code"], "does not turn patches"),
        ({"size": 2}, ["--trust-code"], "does not turn patches"),
        ({"sizes": 32}, ["--trust-code"], "fixed sizes"),
        ({}, ["--trust-code", "--set", "probabilistic=true"], "probabilistic is True"),
        ({}, ["--trust-code", "--set", "freeze=1"], "0 levels"),
    ],
)
def test_refusals(tmp_path, pairs_2d, capsys, change, more, words):
    theirs = package(tmp_path / "theirs", **change)
    assert train(theirs, pairs_2d, tmp_path / "run", *more) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert words in said[0]
    assert not (tmp_path / "run").exists()


def test_code_that_was_changed_or_never_trusted_is_not_run(tmp_path, pairs_2d, monkeypatch):
    theirs = package(tmp_path / "theirs")
    assert train(theirs, pairs_2d, tmp_path / "run", "--trust-code") == 0
    monkeypatch.setenv("HOME", str(tmp_path / "another home"))
    with pytest.raises(ZooferryError, match="never trusted on this computer"):
        open_run(tmp_path / "run")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "run" / "smoother.py").write_text(CODE + "\n# more", encoding="utf-8")
    with pytest.raises(ZooferryError, match="not the code"):
        open_run(tmp_path / "run")


@pytest.mark.parametrize("name", ["../evil.py", "evil.txt", "/tmp/evil.py"])
def test_the_file_stays_in_the_run_folder(tmp_path, name):
    with pytest.raises(ZooferryError, match="plain name"):
        foreign.source_file({"code": {"source": name}}, tmp_path)


def test_the_description_is_that_of_any_package(tmp_path):
    content = yaml.safe_load((package(tmp_path / "theirs") / "rdf.yaml").read_text(encoding="utf-8"))
    assert content["weights"]["pytorch_state_dict"]["architecture"]["callable"] == "Smoother"
