"""Make tests/golden/care-VERSION.zip, once per release: a small CARE package that every later release must still read.

    python tests/golden/make_golden.py

Simulated images only; the weights are those of a minute's training and of no other use.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from zooferry import __version__
from zooferry.card import demo_card
from zooferry.packager import package_run
from zooferry.runs import train_method
from zooferry.simulation import AcquisitionSettings, write_simulation

EPOCH = "1767225600"  # 2026-01-01, so that the bytes can be made again


def main() -> None:
    """Simulate, train, package."""
    os.environ["SOURCE_DATE_EPOCH"] = EPOCH
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_simulation(folder / "data", AcquisitionSettings(shape=(160, 160), train=6, validation=1), seed=1)
        train = folder / "data" / "train"
        values = {"steps": 400, "width": 8}
        train_method(
            "care", folder / "run", images=train / "noisy", targets=train / "clean", values=values, seconds=None,
            resume=False, say=print,
        )  # fmt: skip
        card = demo_card(folder / "card.yaml", "CARE golden")
        out = Path(__file__).parent / f"care-{__version__}.zip"
        package_run(folder / "run", out, card=card, say=print)
        print(out, out.stat().st_size)


if __name__ == "__main__":
    main()
