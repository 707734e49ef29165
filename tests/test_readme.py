"""Every command of the README runs, in the order of the page, in one scratch folder.

Two things differ from what a reader does: training gets 2 seconds instead of its budget, and the two `make` lines are
run dry (the tests run inside one of them, and tests/test_demo.py runs what the other one calls). What needs a Fiji
runs in a copy of one, where there is one; the macro runs in plain ImageJ.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import tifffile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "hosts"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
MACROS = re.findall(r"^```ijm\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
FIJI = "$FIJI_HOME"


def run(command: str, folder: Path, **more: str) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"} | more
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.jvm
def test_every_block_runs(tmp_path):
    commands = [line for block in BLOCKS for line in block.splitlines() if FIJI not in block]
    assert len(commands) > 8
    for command in commands:
        if command.startswith("make "):
            planned = run(f"make --dry-run --assume-old=.venv/.installed {command.removeprefix('make ')}", ROOT)
            assert {"make demo": "zooferry demo", "make test": "python -m pytest"}[command] in planned
        elif command == "zooferry doctor":
            run(f"{command} || true", tmp_path)
        else:
            run(re.sub(r"--seconds \d+", "--seconds 2", command), tmp_path)
    assert (tmp_path / "checked" / "report.html").is_file()
    assert len(list((tmp_path / "restored-in-imagej").glob("*.tif"))) == 4


@pytest.mark.jvm
def test_the_macro_runs(tmp_path):
    import plain_imagej

    macro, labels = MACROS
    assert run_keys(labels) == {"model", "outlines", "rois", "table"}  # tests/hosts/test_imagej_labels.py runs them
    home = plain_imagej.make_home(tmp_path / "ImageJ")
    sample = a_package(tmp_path)
    for name in ("cell.tif", "/data/care.zip", "restored.tif"):
        macro = macro.replace(name, str(sample.parent / Path(name).name))
    answer = plain_imagej.run(home, [macro])
    assert tifffile.imread(sample.parent / "restored.tif").shape == tifffile.imread(sample).shape, answer.output


@pytest.mark.fiji
def test_what_needs_a_fiji_runs(tmp_path):
    import real_fiji

    home = real_fiji.copy_fiji(tmp_path)
    pytest.importorskip("imagej", reason="pyimagej is not installed: pip install 'zooferry[fiji]'")
    sample = a_package(tmp_path)
    noisy = tmp_path / "acquisitions" / "val" / "noisy"
    noisy.mkdir(parents=True)
    sample.rename(noisy / "sample_000.tif")
    commands = [line for block in BLOCKS for line in block.splitlines() if FIJI in block]
    assert len(commands) == 3
    for command in commands:
        run(command, tmp_path, FIJI_HOME=str(home))
    assert (tmp_path / "restored-in-fiji" / "sample_000.tif").is_file()


def run_keys(macro):
    """The keys of its line that runs a model, all of which the command knows."""
    sys.path.insert(0, str(ROOT / "fiji_scripts" / "lib"))
    from zooferry_fiji import settings

    (options,) = re.findall(r'run\("Run Zooferry Model", "(.*)"\)', macro)
    keys = set(re.findall(r"(\w+)=", options))
    assert keys <= set(settings.KEYS)
    return keys


def a_package(folder):
    """care.zip, of an earlier release, and an image for it."""
    shutil.copyfile(ROOT / "tests" / "golden" / "care-0.1.0.zip", folder / "care.zip")
    with zipfile.ZipFile(folder / "care.zip") as archive:
        (folder / "cell.tif").write_bytes(archive.read("sample_input.tif"))
    return folder / "cell.tif"


def test_fences_are_shell_blocks_and_macros_only():
    assert README.count("```") == 2 * (len(BLOCKS) + len(MACROS))


def test_every_room_named_in_the_readme_exists():
    rooms = re.findall(r"^\| ((?:`[a-z_]+(?:\.py|/)`(?:, )?)+) \|", README, re.MULTILINE)
    names = [name for room in rooms for name in re.findall(r"`([a-z_]+(?:\.py|/))`", room)]
    assert len(names) > 20
    missing = [name for name in names if not (ROOT / "python" / "zooferry" / name).exists()]
    assert missing == []
