"""Every command of the README runs, in the order of the page, in one scratch folder.

Two things differ from what a reader does: training gets 2 seconds instead of its budget, and the two `make` lines are
run dry (the tests run inside one of them, and tests/test_demo.py runs what the other one calls).
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def run(command: str, folder: Path) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.jvm
def test_every_block_runs(tmp_path):
    commands = [line for block in BLOCKS for line in block.splitlines()]
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


def test_fences_are_shell_blocks_only():
    assert README.count("```") == 2 * len(BLOCKS)


def test_every_room_named_in_the_readme_exists():
    rooms = re.findall(r"^\| ((?:`[a-z_]+(?:\.py|/)`(?:, )?)+) \|", README, re.MULTILINE)
    names = [name for room in rooms for name in re.findall(r"`([a-z_]+(?:\.py|/))`", room)]
    assert len(names) > 20
    missing = [name for name in names if not (ROOT / "python" / "zooferry" / name).exists()]
    assert missing == []
