"""One ROI of ImageJ -> the pixels that ImageJ would fill; only those that enclose an area."""

from __future__ import annotations

import math
import struct

import numpy as np
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi

from zooferry.errors import ZooferryError
from zooferry.rois import polygons
from zooferry.rois.polygons import Points, Region

AREAS = "polygon, freehand, traced, rectangle, oval, ellipse and composite selections"
CORNERS = 72  # of the polygon that ImageJ makes of an ellipse
# kinds of pieces of a composite outline
MOVE, LINE, QUADRATIC, CUBIC, CLOSE = range(5)
NUMBERS = {MOVE: 2, LINE: 2, QUADRATIC: 4, CUBIC: 6, CLOSE: 0}
WORDS = {
    ROI_TYPE.LINE: "a line", ROI_TYPE.FREELINE: "a freehand line", ROI_TYPE.POLYLINE: "a segmented line",
    ROI_TYPE.ANGLE: "an angle", ROI_TYPE.POINT: "a point selection", ROI_TYPE.NOROI: "no selection",
}  # fmt: skip


def pixels(roi: ImagejRoi) -> Region:
    """The pixels of a ROI, numbered as those of the image; parts outside of it are there as well.

    Raises
    ------
    ZooferryError
        It encloses no area (line, point, text, image), or it is a fitted spline.
    """
    _require_area(roi)
    if roi.composite:
        return polygons.shape(outlines(roi))
    if roi.roitype in (ROI_TYPE.RECT, ROI_TYPE.OVAL):
        return _of_box(roi)
    if roi.roitype == ROI_TYPE.FREEHAND and roi.subtype == ROI_SUBTYPE.ELLIPSE:
        return polygons.rounded_polygon(_ellipse(roi))
    if roi.roitype == ROI_TYPE.FREEHAND and roi.subtype == ROI_SUBTYPE.ROTATED_RECT:
        return polygons.rounded_polygon(_rotated(roi))
    if roi.subpixelresolution and roi.subpixel_coordinates is not None:
        return polygons.fine_polygon(roi.subpixel_coordinates)
    return polygons.whole_polygon(_whole(roi))


def _require_area(roi: ImagejRoi) -> None:
    words = WORDS.get(roi.roitype, "")
    if roi.subtype in (ROI_SUBTYPE.TEXT, ROI_SUBTYPE.IMAGE):
        words = f"a {roi.subtype.name.lower()}"
    if words:
        raise ZooferryError(f"ROI {roi.name}: it is {words}, which encloses no pixels; allowed are {AREAS}")
    if roi.options & ROI_OPTIONS.SPLINE_FIT:
        raise ZooferryError(
            f"ROI {roi.name}: it is a fitted spline; make a polygon of it in ImageJ: Edit > Selection > Interpolate"
        )
    if not roi.composite and roi.roitype in (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED):
        special = roi.subtype in (ROI_SUBTYPE.ELLIPSE, ROI_SUBTYPE.ROTATED_RECT)
        if not special and roi.n_coordinates < 3:
            raise ZooferryError(f"ROI {roi.name}: an outline of {roi.n_coordinates} points; allowed are 3 or more")


def _whole(roi: ImagejRoi) -> Points:
    assert roi.integer_coordinates is not None
    return np.add(roi.integer_coordinates.astype(np.int64), (roi.left, roi.top))


def _of_box(roi: ImagejRoi) -> Region:
    if roi.subpixelrect:
        # ImageJ fills whole pixels: from the one in which the box begins, so many as its size takes
        top, left = math.trunc(roi.yd), math.trunc(roi.xd)
        height, width = (max(math.ceil(n), 1) for n in (roi.heightd, roi.widthd))
    else:
        top, left = roi.top, roi.left
        height, width = max(roi.bottom - roi.top, 1), max(roi.right - roi.left, 1)
    if roi.roitype == ROI_TYPE.OVAL:
        return polygons.oval(top, left, height, width)
    if roi.rounded_rect_arc_size > 0:
        outline = polygons.rounded_rectangle((left, top, width, height), roi.rounded_rect_arc_size)
        return polygons.shape(outline)
    return Region(top, left, np.ones((height, width), np.bool_))


def _parameter(roi: ImagejRoi) -> float:
    """A float that lies where other kinds of ROIs have the style of an arrow and the size of a corner."""
    parts = (roi.arrow_style_or_aspect_ratio, roi.arrow_head_size, roi.rounded_rect_arc_size)
    return float(struct.unpack(">f", struct.pack(">BBh", *parts))[0])


def _ellipse(roi: ImagejRoi) -> Points:
    """Corners (n 2: x, y) of the polygon for an ellipse with the long axis from (x1, y1) to (x2, y2)."""
    dx, dy = roi.x2 - roi.x1, roi.y2 - roi.y1
    major, turned = math.hypot(dx, dy), math.atan2(dy, dx)
    minor = major * _parameter(roi)
    angle = np.arange(CORNERS) * 2 * np.pi / CORNERS
    x, y = np.cos(angle) * major / 2, np.sin(angle) * minor / 2
    around, far = np.arctan2(y, x) + turned, np.hypot(x, y)
    centre = (roi.x1 + dx / 2, roi.y1 + dy / 2)
    return np.stack([centre[0] + np.cos(around) * far, centre[1] + np.sin(around) * far], axis=1).astype(np.float32)


def _rotated(roi: ImagejRoi) -> Points:
    """Corners of a rectangle along the line from (x1, y1) to (x2, y2)."""
    dx, dy = roi.x2 - roi.x1, roi.y2 - roi.y1
    half = _parameter(roi) / 2 / math.hypot(dx, dy)
    aside = np.array([half * dy, -half * dx])
    start, end = np.array([roi.x1, roi.y1]), np.array([roi.x2, roi.y2])
    return np.array([start + aside, end + aside, end - aside, start - aside], np.float32)


def outlines(roi: ImagejRoi) -> list[Points]:
    """The outlines (n 2: x, y, float32) of a composite ROI, curves as straight pieces.

    Raises
    ------
    ZooferryError
        Its pieces are damaged.
    """
    values = np.asarray(roi.multi_coordinates, np.float32)
    found: list[list[Points]] = []
    place = 0
    while place < len(values):
        kind = int(values[place]) if values[place] in NUMBERS else -1
        count = NUMBERS.get(kind, 0)
        given = values[place + 1 : place + 1 + count].reshape(-1, 2)
        if kind < 0 or 2 * len(given) < count or (kind != MOVE and not found):
            raise ZooferryError(f"ROI {roi.name}: its outline is damaged; draw it again in ImageJ")
        if kind == MOVE:
            found.append([given[0]])
        elif kind == LINE:
            found[-1].append(given[0])
        elif kind in (QUADRATIC, CUBIC):
            found[-1] += polygons.flattened(found[-1][-1], list(given))
        place += 1 + count
    return [np.array(points, np.float32) for points in found]
