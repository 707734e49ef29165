"""``python -m zooferry.hosts.worker PACKAGE SCRATCH HOST...``: run hosts in this process, one after the other.

Each leaves ``SCRATCH/HOST/<n>.npy``, one per output, and then ``SCRATCH/HOST/result.json``. A host without that
file has taken the process down with it. The name ``spec`` stands for the format's own validation.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from zooferry.errors import HostAbsentError, ZooferryError
from zooferry.hosts import HOSTS, HostRun

SPEC = "spec"
RESULT = "result.json"


def main(arguments: list[str]) -> int:
    """Run the hosts named on the command line; 0 unless the process dies."""
    package, scratch, *names = arguments
    for name in names:
        folder = Path(scratch) / name
        folder.mkdir(parents=True, exist_ok=True)
        print(f"--- {name}", flush=True)
        _write_result(folder, _describe(Path(package)) if name == SPEC else _run(name, Path(package), folder))
    return 0


def _describe(package: Path) -> dict[str, Any]:
    from zooferry.hosts import core

    return core.describe(package)


def _run(name: str, package: Path, folder: Path) -> dict[str, Any]:
    start = time.perf_counter()
    result: dict[str, Any] = {"status": "ran", "reason": "", "version": "", "outputs": []}
    try:
        run = HOSTS[name](package, folder)
    except HostAbsentError as absent:
        result |= {"status": "skipped", "reason": str(absent)}
    except ZooferryError as error:
        result |= {"status": "failed", "reason": str(error)}
    except Exception as error:  # noqa: BLE001  whatever an engine throws is the reason in this host's row
        result |= {"status": "failed", "reason": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    else:
        result |= {"version": run.version, "outputs": _save_outputs(run, folder)}
        if run.problems:
            result |= {"status": "failed", "reason": "; ".join(run.problems)}
    return result | {"seconds": time.perf_counter() - start}


def _save_outputs(run: HostRun, folder: Path) -> list[dict[str, str]]:
    saved = []
    for number, (name, array) in enumerate(run.outputs.items()):
        file = folder / f"{number}.npy"
        np.save(file, array, allow_pickle=False)
        saved.append({"name": name, "file": str(file)})
    return saved


def _write_result(folder: Path, result: dict[str, Any]) -> None:
    partial = folder / "result.json.part"
    partial.write_text(json.dumps(result), encoding="utf-8")
    os.replace(partial, folder / RESULT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
