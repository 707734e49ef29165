"""Macros in plain ImageJ 1.54p, as its users run them: our scripts in plugins/, the library in jars/Lib.

The Java process is a plain `java`, not this one: it can be killed, and its exit code is ImageJ's.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zooferry.hosts import imagej, jvm

DRIVER = Path(__file__).with_name("plain_imagej_driver.py")
ANSWER = "@plain "


@dataclass(frozen=True)
class Answer:
    """What one Java process did: its exit code, what each macro returned, all that was printed."""

    code: int
    returned: list[str]
    output: str


def make_home(folder: Path, scripts: Path | None = None) -> Path:
    """An ImageJ folder with the Zooferry commands in plugins/Zooferry/ and the library in jars/Lib/."""
    scripts = scripts or imagej.fiji_scripts()
    shutil.copytree(scripts / "scripts" / "Plugins" / "Zooferry", folder / "plugins" / "Zooferry")
    leave_out = shutil.ignore_patterns("*.class", "__pycache__", "*.pyc")
    shutil.copytree(scripts / "lib", folder / "jars" / "Lib", ignore=leave_out)
    (folder / "models").mkdir()
    return folder


def start(
    home: Path, macros: Sequence[str | tuple[Path, str]], *, options: Sequence[str] = ()
) -> subprocess.Popen[str]:
    """Begin a headless ImageJ that runs macros one after the other.

    Parameters
    ----------
    home : Path
        See `make_home`.
    macros : sequence
        Code, or a macro file with its argument.
    options : sequence of str
        More options of Java.
    """
    steps = [{"code": one} if isinstance(one, str) else {"file": str(one[0]), "argument": one[1]} for one in macros]
    jars = os.pathsep.join(map(str, jvm._jars(jvm.ENDPOINTS)))
    command = [
        str(jvm.find_java().home / "bin" / "java"),
        *jvm.HEADLESS,
        f"-Dplugins.dir={home}",
        *options,
        *("-cp", jars, "org.python.util.jython", str(DRIVER), json.dumps(steps)),
    ]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=imagej._environment(),
    )


def run(
    home: Path, macros: Sequence[str | tuple[Path, str]], *, options: Sequence[str] = (), seconds: float = 600
) -> Answer:
    """As `start`, to its end."""
    with start(home, macros, options=options) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except BaseException:
            process.kill()
            raise
    returned = []
    for line in output.splitlines():
        if line.startswith(ANSWER):
            with contextlib.suppress(ValueError):
                returned.append(str(json.loads(line[len(ANSWER) :])))
    return Answer(process.returncode, returned, output)
