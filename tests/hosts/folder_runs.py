"""Folders for Run Zooferry Model on Folder, its macro line and its table."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import tifffile
from test_imagej import noise


def command(source: Path, target: Path, model: Path, more: str = "") -> str:
    """The macro line of the folder command."""
    options = f"input=[{source}] output=[{target}] model=[{model}] threads=1 {more}"
    return f'run("Run Zooferry Model on Folder", "{options.strip()}");'


def rows(target: Path) -> list[dict[str, str]]:
    """The table, read by Python's csv; a last line without an end is left out."""
    path = target / "zooferry_results.csv"
    content = path.read_text(encoding="utf-8") if path.is_file() else ""
    return list(csv.DictReader(content[: content.rfind("\n") + 1].splitlines()))


def write_batch(folder: Path, count: int) -> set[str]:
    """Images of 32 x 32, one in twenty bad in one of five ways; returns the names of the bad ones."""
    bad = set()
    folder.mkdir()
    for number in range(count):
        path = folder / f"cell {number:04d}.tif"
        image = noise(32, 32, seed=number)
        kind = (number // 20) % 5 if number % 20 == 13 else None
        if kind == 0:
            tifffile.imwrite(path, image, imagej=True)
            path.write_bytes(path.read_bytes()[:-300])
        elif kind == 1:
            path.write_bytes(b"")
        elif kind == 2:
            tifffile.imwrite(path, np.zeros((32, 32, 3), np.uint8), photometric="rgb")
        elif kind == 3:
            tifffile.imwrite(path, noise(48, 32), imagej=True)
        elif kind == 4:
            path.write_bytes(b"this is no image\n" * 20)
        else:
            tifffile.imwrite(path, image, imagej=True, resolution=(4.0, 4.0), metadata={"unit": "um"})
        if kind is not None:
            bad.add(path.name)
    return bad
