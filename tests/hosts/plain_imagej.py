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
COMMANDS = imagej.fiji_scripts() / "scripts" / "Plugins" / "Zooferry"
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


def java(
    home: Path, arguments: Sequence[str], *, options: Sequence[str] = (), without: str = "", screen: str = ""
) -> subprocess.Popen[str]:
    """Begin a Java that runs a Jython file.

    Parameters
    ----------
    home : Path
        See `make_home`.
    arguments : sequence of str
        The file and what it is given.
    options : sequence of str
        More options of Java.
    without : str
        Jars whose names begin so are left out.
    screen : str
        The display of ImageJ's window; empty: headless.
    """
    jars = [str(jar) for jar in jvm._jars(jvm.ENDPOINTS) if not (without and jar.name.startswith(without))]
    kept = [option for option in jvm.HEADLESS if not (screen and "headless" in option)]
    command = [
        str(jvm.find_java().home / "bin" / "java"),
        *kept,
        f"-Dplugins.dir={home}",
        *options,
        *("-cp", os.pathsep.join(jars), "org.python.util.jython", *arguments),
    ]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={**imagej._environment(), **({"DISPLAY": screen} if screen else {})},
    )


def start(
    home: Path, macros: Sequence[str | tuple[Path, str]], *, options: Sequence[str] = (), without: str = ""
) -> subprocess.Popen[str]:
    """Begin a headless ImageJ that runs macros one after the other.

    Parameters
    ----------
    macros : sequence
        Code, or a macro file with its argument.
    home, options, without
        See `java`.
    """
    steps = [{"code": one} if isinstance(one, str) else {"file": str(one[0]), "argument": one[1]} for one in macros]
    return java(home, [str(DRIVER), json.dumps(steps)], options=options, without=without)


def run(
    home: Path,
    macros: Sequence[str | tuple[Path, str]],
    *,
    options: Sequence[str] = (),
    without: str = "",
    seconds: float = 600,
) -> Answer:
    """As `start`, to its end."""
    with start(home, macros, options=options, without=without) as process:
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
