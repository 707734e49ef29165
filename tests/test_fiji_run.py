"""The pure part of Run Zooferry Model in CPython."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "fiji_scripts" / "lib"), str(ROOT / "tests")]

import fiji_run_tables  # noqa: E402


def test_tables() -> None:
    fiji_run_tables.run_all()


def test_limits_are_those_of_the_package() -> None:
    from zooferry_fiji import unpacking

    from zooferry import archives

    for name in ("MAX_ENTRIES", "MAX_UNPACKED_BYTES", "MAX_RATIO", "ALWAYS_ALLOWED_BYTES", "MAX_DEPTH"):
        assert getattr(unpacking, name) == getattr(archives, name), name
