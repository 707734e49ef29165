"""Results that a Fiji user can go on with, in plain headless ImageJ; one JVM for all checks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from make_packages import TinyNet, make_package
from test_imagej import STANDARD, TESTS, probe
from torch import nn

from zooferry.hosts import imagej
from zooferry.networks.unet import IsotropicUNet

CODE = """
import json, sys
sys.dont_write_bytecode = True
sys.path[:0] = [{tests!r}, {tests!r} + "/hosts"]
import fiji_run_tables, jython_results
given = json.loads({given!a})
from ij import IJ, Macro, WindowManager
from java.lang import Runnable, System, Thread
fiji_run_tables.run_all()

SCRIPT = compile(open({script!r}).read(), "Run_Zooferry_Model.py", "exec")

def command(image, options):
    WindowManager.setTempCurrentImage(image)
    Macro.setOptions(options)
    space = {{}}
    exec(SCRIPT, space)
    return space["restored"], space["status"], json.loads(space["details"])

def restore(image, options):
    restored, status, _ = command(image, options)
    if restored is None:
        raise AssertionError(status)
    return restored

answers = {{"wrong": jython_results.check_all(restore, given["models"])}}
image = jython_results.hyperstack(16)
image.setOverlay(None)
before = len(WindowManager.getIDList() or [])
{more}
answers["left open"] = len(WindowManager.getIDList() or []) - before
answer = json.dumps(answers)
"""

# every way of naming a model; what is refused; a warning; escape; too little memory
MORE = """
System.setProperty("zooferry.models", given["models"])
answers["names"] = []
for word in given["words"]:
    restored, status, details = command(image, "model=[" + word + "] channels=1 planes=current")
    answers["names"].append((details.get("model"), status))
    if restored is not None:
        jython_results._close(restored)
answers["refused"] = [command(image, options)[1] for options in given["refused"]]
restored, answers["warned"], _ = command(image, "model=sized channels=1 planes=current")
jython_results._close(restored)

# the network that is stopped was opened by an earlier import of the library, as in Fiji
jython_results._close(command(image, "model=volume channels=1")[0])
for name in [name for name in sys.modules if name.startswith("zooferry_fiji")]:
    del sys.modules[name]
import zooferry_fiji.run, zooferry_fiji.engine

class Escape(Runnable):
    def run(self):
        Thread.sleep(2500)
        IJ.setKeyDown(27)
        answers["pressed"] = System.nanoTime()

big = IJ.createImage("big.tif", "16-bit ramp", 1000, 1000, 60)
Thread(Escape()).start()
_, answers["escaped"], answers["escaped details"] = command(big, "model=volume")
answers["seconds to cancel"] = (System.nanoTime() - answers.pop("pressed")) / 1e9
big.close()

from zooferry_fiji import engine
from java.lang import OutOfMemoryError
run = engine.Window.run

def small_only(self):
    if self.sources[0].capacity() > 48 * 48:
        raise OutOfMemoryError("Direct buffer memory")
    run(self)

engine.Window.run = small_only
restored, answers["smaller"], answers["smaller details"] = command(image, "model=plain channels=1 planes=current")
jython_results._close(restored)

def never(self):
    raise OutOfMemoryError("Direct buffer memory")

engine.Window.run = never
_, answers["no memory"], _ = command(image, "model=plain channels=1 planes=current")
engine.Window.run = run
"""

REFUSED = {
    "model=plain": "set channels=each (every channel on its own), or channels=1",
    "model=volume channels=1 planes=[frames as slices] engine=torchscript": "has no weights for the engine torchscript",
    "model=plain channels=1 tile=some": "tile is some: allowed are whole numbers",
    "model=nothing": "there is no model nothing: installed are ",
    "channels=1": "no model was given",
    "model=[{broken}]": "is not a readable zip",
    "model=plain channels=1 rescale=yes": "does not tell its own",
}


class Larger(nn.Module):
    """Two pixels for one."""

    def __init__(self) -> None:
        super().__init__()
        self.net = TinyNet(2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """B 1 Y X -> B 1 2Y 2X."""
        return nn.functional.interpolate(self.net(image), scale_factor=2.0, mode="nearest")


def change(folder: Path, **more: Any) -> None:
    """Entries of rdf.yaml; `scale` of the output's axes y and x, or the one of z: `finer`."""
    path = folder / "rdf.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    for axis in content["outputs"][0]["axes"][-2:]:
        axis.update({"scale": more["scale"]} if "scale" in more else {})
    if "finer" in more:
        content["inputs"][0]["axes"][2]["size"] = {"min": 1, "step": 1}
        content["outputs"][0]["axes"][2].update(scale=more["finer"], halo=16)
    content.update({key: value for key, value in more.items() if key not in ("scale", "finer")})
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def make_models(folder: Path) -> Path:
    """The packages that jython_results.py runs."""
    make_package(folder / "plain", steps=STANDARD)
    change(make_package(folder / "larger", steps=STANDARD, network=Larger()), scale=0.5)
    torch.manual_seed(0)
    isotropic = IsotropicUNet(factor=4, width=4, depth=1, residual=False)
    change(make_package(folder / "finer", dims=3, steps=STANDARD, network=isotropic, step=2, halo=12), finer=0.25)
    size = {"pixel_size": {"x": 420.0, "y": 220.0}, "unit": "nanometer"}
    sized = make_package(folder / "sized", steps=STANDARD)
    change(sized, name="Sized \u00fc", id="some-id", config={"zooferry": size, "bioimageio": {"nickname": "kind-cow"}})
    volume = make_package(folder / "volume", dims=3, steps=STANDARD, halo={"z": 0, "y": 8, "x": 8})
    change(volume, name="A volume")
    return folder


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("mod els_\u00fc \u4e2d")
    models = make_models(folder / "models")
    archive = shutil.make_archive(str(folder / "zip \u00fc \u4e2d"), "zip", models / "plain")
    broken = folder / "broken.zip"
    broken.write_bytes(Path(archive).read_bytes()[:500])
    words = ["sized", "SIZED", "Sized \u00fc", "some-id", "kind-cow", str(models / "sized"), archive]
    refused = [options.format(broken=broken) for options in REFUSED]
    given = json.dumps({"models": str(models), "words": words, "refused": refused})
    script = str(imagej.fiji_scripts() / imagej.SCRIPT)
    code = CODE.format(tests=str(TESTS), script=script, given=given, more=MORE)
    return dict(json.loads(probe(folder, code=code)["answer"]))


@pytest.mark.jvm
def test_what_a_result_keeps(answers: dict[str, Any]) -> None:
    assert answers["wrong"] == []


@pytest.mark.jvm
def test_a_model_has_many_names(answers: dict[str, Any]) -> None:
    assert [name for name, _ in answers["names"]] == ["Sized \u00fc"] * 6 + ["Tiny test network"], answers["names"]


@pytest.mark.jvm
def test_refusals(answers: dict[str, Any]) -> None:
    for status, words in zip(answers["refused"], REFUSED.values(), strict=True):
        assert words in status
        assert "\n" not in status


@pytest.mark.jvm
def test_warned_of_the_pixel_size(answers: dict[str, Any]) -> None:
    assert "pixels of this image are 2 times smaller in x" in answers["warned"]
    assert "rescale=yes" in answers["warned"]


@pytest.mark.jvm
def test_escape(answers: dict[str, Any]) -> None:
    assert answers["escaped"] == "cancelled"
    assert answers["escaped details"]["cancelled"]
    assert answers["seconds to cancel"] < 5
    assert answers["left open"] == 0


@pytest.mark.jvm
def test_smaller_tiles_when_the_memory_is_short(answers: dict[str, Any]) -> None:
    assert "not enough memory for tiles of 52 x 72: going on with" in answers["smaller"]
    assert answers["smaller details"]["note"]
    assert answers["no memory"].startswith("not enough memory, although tiles were made as small as")
