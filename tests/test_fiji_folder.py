"""The pure part of the folder command in CPython; its TIFF check against files of tifffile."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "fiji_scripts" / "lib"), str(ROOT / "tests")]

import fiji_folder_tables  # noqa: E402
from zooferry_fiji import integrity  # noqa: E402
from zooferry_fiji.errors import ZooferryError  # noqa: E402

KINDS = {
    "plain": {"imagej": True},
    "pages": {},
    "big endian": {"byteorder": ">"},
    "strips": {"rowsperstrip": 5},
    "tiles": {"tile": (16, 16)},
    "zlib": {"compression": "zlib"},
    "zlib tiles": {"compression": "zlib", "tile": (16, 16)},
    "ome": {"ome": True},
}


def test_tables() -> None:
    fiji_folder_tables.run_all()


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_tifffile(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    stack = np.random.default_rng(0).integers(0, 999, (4, 48, 64)).astype(np.uint16)
    tifffile.imwrite(path, stack, photometric="minisblack", **KINDS[kind])
    integrity.check_file(str(path))
    whole = path.read_bytes()
    for lost in (len(whole) // 4, len(whole) // 2, len(whole) - 200):
        path.write_bytes(whole[:-lost])
        with pytest.raises(ZooferryError, match="cut off"):
            integrity.check_file(str(path))


def test_a_link_to_a_parent_is_not_entered(tmp_path: Path) -> None:
    from zooferry_fiji import files

    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.tif").write_bytes(b"x")
    try:
        (tmp_path / "deep" / "again").symlink_to(tmp_path)
    except OSError:
        pytest.skip("this computer makes no symbolic links")
    assert files.find_files(str(tmp_path), "*.tif", True) == ["deep/a.tif"]
