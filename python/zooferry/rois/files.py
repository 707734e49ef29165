"""ROI files of ImageJ: a zip of the ROI Manager, or a single .roi."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path

from roifile import ImagejRoi

from zooferry.errors import ZooferryError
from zooferry.files import make_folder, write_atomically

SUFFIXES = (".zip", ".roi")
NUMBERED = re.compile(r"(\d{5,})(?:-[1-9]\d{0,3})?")  # 00012, 00012-2; the ROI Manager's own are 0012-0345
MOST_BYTES = 1 << 30  # of all ROIs of a zip, unpacked


def read_rois(path: Path) -> list[ImagejRoi]:
    """The ROIs of a file, in its order.

    Raises
    ------
    ZooferryError
        It is missing, damaged, or holds no ROI.
    """
    if not path.is_file():
        raise ZooferryError(f"{path}: no such file; give a zip of the ROI Manager, or a .roi")
    try:
        content = _zipped(path) if path.suffix.lower() == ".zip" else {path.stem: path.read_bytes()}
    except (OSError, zipfile.BadZipFile, RuntimeError, EOFError, NotImplementedError) as error:
        raise ZooferryError(f"{path}: not a readable zip ({error}); save it again in the ROI Manager") from error
    found = [_decoded(path, name, data) for name, data in content.items()]
    return found


def _zipped(path: Path) -> dict[str, bytes]:
    """Name without .roi -> content."""
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename.lower().endswith(".roi")]
        if sum(entry.file_size for entry in entries) > MOST_BYTES:
            raise ZooferryError(f"{path}: its ROIs take more than {MOST_BYTES >> 20} MiB; this is no zip of ROIs")
        if not entries and "no objects.txt" not in archive.namelist():
            raise ZooferryError(f"{path}: there is no ROI in this zip; save one in the ROI Manager: More >> Save")
        return {Path(entry.filename).name[:-4]: archive.read(entry) for entry in entries}


def _decoded(path: Path, name: str, data: bytes) -> ImagejRoi:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            roi = ImagejRoi.frombytes(data)
    except Exception as error:  # roifile raises whatever broken bytes provoke
        said = " ".join(str(error).split())[:120]
        raise ZooferryError(f"{path}: ROI {name} is damaged ({said}); draw it again in ImageJ") from error
    roi.name = name  # in the ROI Manager too the name of the file counts
    return roi


def label_of(name: str) -> int:
    """The number that a name such as 00012 or 00012-2 says; 0 for other names."""
    found = NUMBERED.fullmatch(name)
    return int(found[1]) if found else 0


def write_rois(path: Path, rois: Sequence[ImagejRoi]) -> Path:
    """Write a zip that the ROI Manager opens; a name that is there already gets -2, -3 ...

    Raises
    ------
    ZooferryError
        The folder cannot be written to.
    """
    content = io.BytesIO()
    used: dict[str, int] = {}
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for roi in rois:
            used[roi.name] = used.get(roi.name, 0) + 1
            roi.name += f"-{used[roi.name]}" if used[roi.name] > 1 else ""
            archive.writestr(zipfile.ZipInfo(f"{roi.name}.roi"), roi.tobytes(), zipfile.ZIP_DEFLATED)
        if not rois:
            archive.writestr(zipfile.ZipInfo("no objects.txt"), "")  # an empty zip is no zip
    make_folder(path.parent)
    write_atomically(path, lambda part: part.write_bytes(content.getvalue()))
    return path
