"""The agreement table: one package and image in Python, plain ImageJ, Fiji (window, headless, pyimagej), deepImageJ.

python tests/bench/bench_agreement.py [package.zip] [--fiji DIR]      (deepImageJ: ZOOFERRY_DEEPIMAGEJ=DIR)

The package has a sample_input.tif, its test input; all are compared with its stored test output. A second table is of
labels: those of a package that decodes flows, compared with Python's. The Fiji must have zooferry. Seconds are wall
time with every start (Python, Java, Fiji).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "hosts"))

import cell_package
import every_way

from zooferry.comparison import compare
from zooferry.errors import HostAbsentError
from zooferry.hosts import fiji

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "care-0.1.0.zip"


def main() -> int:
    """Print the table; 0 if all agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=Path, nargs="?", default=GOLDEN)
    parser.add_argument("--fiji", type=Path)
    options = parser.parse_args()
    found = fiji.find(options.fiji)
    fiji.require(found)
    agreed = []
    with tempfile.TemporaryDirectory(prefix="zooferry-agreement-") as scratch:
        package = every_way.package_folder(options.package, Path(scratch) / "package")
        stored = np.load(package / "test_output.npy").squeeze()
        for name, array, seconds in every_way.results(package, found.root, Path(scratch)):
            agreed.append(row(name, array, stored, seconds))
        try:
            mended = every_way.package_folder(options.package, Path(scratch) / "mended", mended=True)
            array, seconds, version = every_way.of_deepimagej(mended, Path(scratch) / "deepimagej")
            agreed.append(row("deepImageJ", array, stored, seconds))
            print(f"deepImageJ is {version}; without the halo, files named by plain strings")
        except HostAbsentError as absence:
            print(f"deepImageJ: {absence}")
        agreed += labels(Path(scratch) / "labels", found.root)
    return 0 if all(agreed) else 1


def row(name: str, array: np.ndarray, stored: np.ndarray, seconds: float) -> bool:
    """One line of the table."""
    verdict = compare(array, stored, name="restored", axes=("y", "x"))
    print(f"| {name:<14} | {seconds:5.1f} s | {verdict.sentence()} |", flush=True)
    return verdict.passed


def labels(folder: Path, home: Path) -> list[bool]:
    """The table of labels; for each way whether every pixel has the label that it has in Python."""
    package, agreed = cell_package.cell_package(folder / "package"), []
    expected = None
    for name, array, seconds in every_way.results(package, home, folder, ending="labels"):
        expected = array if expected is None else expected
        agreed.append(array.shape == expected.shape and bool((array == expected).all()))
        same = np.count_nonzero(array == expected) if array.shape == expected.shape else 0
        print(
            f"| {name:<14} | {seconds:5.1f} s | {array.max()} labels; {same} of {expected.size} pixels as in Python |"
        )
    return agreed


if __name__ == "__main__":
    sys.exit(main())
