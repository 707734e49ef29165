"""What was found in annotations, as CSV, JSON, a picture per image, and a page."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooferry import __version__
from zooferry.files import make_folder, write_atomically, write_json, write_text
from zooferry.pictures import png_uri
from zooferry.rois.converting import Checked
from zooferry.rois.flaws import KINDS, Flaw
from zooferry.segmentation_metrics import outlines

# the palette of Okabe and Ito, which the colour-blind tell apart
COLOURS = {
    "overlap": "#e69f00", "cut off": "#0072b2", "hole": "#56b4e9", "pieces": "#009e73", "tiny": "#f0e442",
    "thin": "#cc79a7", "without label": "#d55e00",
}  # fmt: skip
FINE = (120, 160, 190)  # outlines of objects in which nothing was found
PLANES = 3  # of a stack that are shown, those with most flaws
SMALLEST, LARGEST = 600, 1400  # pixels of a picture's longer edge
COLUMNS = ("image", "number", "flaw", "label", "other", "plane", "y", "x", "pixels", "words")


def write_labels_report(folder: Path, checked: Sequence[Checked]) -> Path:
    """Write labels.csv, labels.json, report.html and one PNG for each image with flaws.

    Returns
    -------
    Path
        The page.
    """
    from zooferry.report import write_page

    make_folder(folder)
    write_text(folder / "labels.csv", as_csv(checked))
    write_json(folder / "labels.json", as_json(checked))
    rows = []
    for image in sorted(checked, key=lambda one: -len(one.flaws)):
        picture = b""
        if image.labels is not None and [flaw for flaw in image.flaws if flaw.place]:
            picture = draw_flaws(image)
            write_atomically(folder / f"{image.name}.png", partial(Path.write_bytes, data=picture))
        source = png_uri(picture) if picture else ""
        rows.append({"image": image, "source": source, "count": counts_of([image])})
    content = {
        "checked": checked, "rows": rows, "kinds": KINDS, "colours": COLOURS, "total": counts_of(checked),
    }  # fmt: skip
    write_page(folder / "report.html", "labels.html", content)
    return folder / "report.html"


def counts_of(checked: Sequence[Checked]) -> dict[str, int]:
    """Kind of flaw -> how many, in the order of `KINDS`, those that there are."""
    found = Counter(flaw.kind for image in checked for flaw in image.flaws)
    return {kind: found[kind] for kind in KINDS if found[kind]}


def objects_in(image: Checked) -> int:
    """How many objects an image has."""
    return 0 if image.labels is None else int(np.unique(image.labels[image.labels > 0]).size)


def as_csv(checked: Sequence[Checked]) -> str:
    """One line per flaw; `number` stands beside it in the picture, planes count from 1, y and x from 0."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for image in checked:
        for number, flaw in enumerate(image.flaws, 1):
            place = (flaw.place[0] + 1, *flaw.place[1:]) if flaw.place else ("", "", "")
            row = [image.name, number, flaw.kind, flaw.label or "", flaw.other or "", *place, flaw.pixels, flaw.words]
            writer.writerow(row)
        if image.said:
            writer.writerow([image.name, "", "not converted", "", "", "", "", "", "", image.said])
    return text.getvalue()


def as_json(checked: Sequence[Checked]) -> dict[str, Any]:
    """Numbers of objects and flaws, and every flaw."""
    return {
        "zooferry": __version__,
        "flaws": counts_of(checked),
        "images": {
            image.name: {
                "objects": objects_in(image),
                "message": image.said,
                "flaws": [
                    {
                        "number": number, "flaw": flaw.kind, "label": flaw.label, "other": flaw.other,
                        "plane": flaw.place[0] + 1 if flaw.place else None, "yx": list(flaw.place[1:]),
                        "pixels": flaw.pixels, "words": flaw.words,
                    }
                    for number, flaw in enumerate(image.flaws, 1)
                ],
            }
            for image in checked
        },
    }  # fmt: skip


def draw_flaws(image: Checked) -> bytes:
    """A PNG: outlines of all objects over the image, those with flaws coloured, each with its number."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    assert image.labels is not None
    planes = image.labels.reshape(-1, *image.labels.shape[-2:])
    grey = None if image.grey is None else image.grey.reshape(planes.shape)
    most = Counter(flaw.place[0] for flaw in image.flaws if flaw.place).most_common(PLANES)
    shown = sorted(plane for plane, _ in most)
    height, width = planes.shape[1:]
    scale = min(LARGEST, max(SMALLEST, height, width)) / max(height, width)
    size = scale * width / 100, scale * height / 100
    figure = Figure(figsize=(size[0], (size[1] + 0.35) * len(shown) + 0.5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, plane in zip(np.atleast_1d(figure.subplots(len(shown), 1)), shown, strict=True):
        flaws = [(n, flaw) for n, flaw in enumerate(image.flaws, 1) if flaw.place and flaw.place[0] == plane]
        background = planes[plane] > 0 if grey is None else grey[plane]
        axes.imshow(_outlined(background, planes[plane], flaws), interpolation="nearest")
        axes.set_axis_off()
        axes.set_title(f"{image.name}, plane {plane + 1}" if len(planes) > 1 else image.name, fontsize=10, loc="left")
        for number, flaw in flaws:
            _mark(axes, number, flaw, (height, width))
    kinds = list(dict.fromkeys(flaw.kind for flaw in image.flaws if flaw.place))
    handles = [_key(kind) for kind in kinds]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(kinds), 4), frameon=False, fontsize=9)
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": ""})
    return file.getvalue()


def _key(kind: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], marker="o", linestyle="", color=COLOURS[kind], label=kind)


def _mark(axes: Any, number: int, flaw: Flaw, shape: tuple[int, int]) -> None:
    """A circle at the place, and the number beside it, inside of the picture."""
    y, x = flaw.place[1:]
    aside = -7 if x > 0.9 * shape[1] else 7, 7 if y > 0.1 * shape[0] else -7
    axes.plot(x, y, "o", markersize=7, markerfacecolor="none", markeredgecolor=COLOURS[flaw.kind], markeredgewidth=1.6)
    axes.annotate(
        str(number), (x, y), aside, textcoords="offset points", fontsize=9, color="black", ha="center", va="center",
        bbox={"boxstyle": "round,pad=0.12", "facecolor": COLOURS[flaw.kind], "edgecolor": "none"},
    )  # fmt: skip


def _outlined(grey: NDArray[Any], labels: NDArray[np.int64], flaws: Sequence[tuple[int, Flaw]]) -> NDArray[np.uint8]:
    from matplotlib.colors import to_rgb

    from zooferry.segmentation_report import coloured

    picture = coloured(np.asarray(grey, np.float64))
    edges = outlines(labels)
    picture[edges] = FINE
    for _, flaw in flaws:
        for label in {flaw.label, flaw.other} - {0}:
            picture[edges & (labels == label)] = [round(255 * part) for part in to_rgb(COLOURS[flaw.kind])]
    return picture
