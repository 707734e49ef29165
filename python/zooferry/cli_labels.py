"""The command ``zooferry labels``; importing this loads nothing heavy."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from zooferry.errors import ZooferryError

if TYPE_CHECKING:
    from zooferry.cli import Commands
    from zooferry.rois.converting import Checked, Place

ABOUT = (
    "ROI files of ImageJ become label images, label images become ROI zips; without --out a label image is only looked "
    "at. A ROI named 00012 (or 00012-2) is object 12, all others are numbered; where ROIs overlap the later one wins."
)


def add_labels(commands: Commands) -> None:
    """Add the command."""
    p = commands.add_parser("labels", help="ROI zips <-> label images; what looks wrong in them", description=ABOUT)
    p.add_argument("source", type=Path, metavar="SOURCE", help="ROI zip, .roi or label TIFF, or a folder of such")
    p.add_argument("--out", type=Path, metavar="PATH", help="file or folder: label TIFFs of ROIs, ROI zips of labels")
    p.add_argument("--images", type=Path, metavar="PATH", help="the image, or a folder of images of the same names")
    p.add_argument("--size", metavar="Y,X", help="of the label image, where there is no image; Z,Y,X of a stack")
    p.add_argument("--report", type=Path, metavar="DIR", help="gets labels.csv, labels.json, report.html, pictures")
    p.add_argument("--strict", action="store_true", help="exit code 1 if anything looks wrong")
    p.set_defaults(run=_labels)


def _labels(options: argparse.Namespace) -> int:
    size = None if options.size is None else _size(options.size)
    from zooferry.rois.converting import places
    from zooferry.rois.report import counts_of, write_labels_report

    planned = places(options.source, options.out, options.images)
    if options.out is not None and options.source.resolve() == options.out.resolve():
        raise ZooferryError(f"{options.out}: this is where the annotation is; choose another place")
    checked = [_one(place, size, alone=len(planned) == 1) for place in planned]
    if options.report is not None:
        page = write_labels_report(options.report, checked)
        print(f"report: {page}", file=sys.stderr, flush=True)
    found, failed = counts_of(checked), sum(bool(image.said) for image in checked)
    print("; ".join(f"{kind}: {count}" for kind, count in found.items()) or "nothing looks wrong")
    if failed:
        print(f"zooferry: {failed} of {len(checked)} could not be converted; see the lines above", file=sys.stderr)
    return 1 if failed or (options.strict and found) else 0


def _one(place: Place, size: tuple[int, ...] | None, *, alone: bool) -> Checked:
    """Convert one; of several a failure is a line, and the others go on."""
    from zooferry.rois.converting import Checked, convert, stem_of
    from zooferry.rois.report import objects_in

    try:
        done = convert(place, size)
    except ZooferryError as error:
        if alone:
            raise
        done = Checked(stem_of(place.source), said=" ".join(str(error).split()))
    words = done.said or f"{objects_in(done)} objects" + (f" -> {place.out}" if place.out else "")
    print(f"{place.source.name}: {words}", file=sys.stderr, flush=True)
    for flaw in done.flaws:
        who = f"object {flaw.label}" if flaw.label else f"at {', '.join(map(str, flaw.place))}"
        print(f"  {flaw.kind}: {who}: {flaw.words}", file=sys.stderr, flush=True)
    return done


def _size(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (2, 3) or not all(part.isdigit() and 0 < int(part) <= 1 << 20 for part in parts):
        raise ZooferryError(f"--size {text}: allowed are Y,X or Z,Y,X in pixels, as in --size 512,700")
    return tuple(int(part) for part in parts)
