"""ROIs -> a label image: which slice and which number each has, and what gets lost on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from roifile import ImagejRoi

from zooferry.errors import ZooferryError
from zooferry.instances.images import LARGEST_16_BIT
from zooferry.rois.files import label_of
from zooferry.rois.flaws import Flaw
from zooferry.rois.regions import pixels


@dataclass(frozen=True, eq=False)
class Drawn:
    """A label image (axes among t z y x) with its calibration, the names of its objects, and what was wrong."""

    labels: xr.DataArray
    names: dict[int, str]
    flaws: list[Flaw] = field(default_factory=list)


def draw(rois: Sequence[ImagejRoi], like: xr.DataArray) -> Drawn:
    """A label image of ROIs.

    A name such as 00012 or 00012-2 says the object's number; all others get new numbers in their order. Where ROIs
    overlap the later one wins, as if they were filled one after the other in ImageJ.

    Parameters
    ----------
    rois : sequence of ImagejRoi
    like : DataArray
        Of the shape and calibration that the labels get; axes among t c z y x, of which c is left out.

    Raises
    ------
    ZooferryError
        A ROI without area, or one whose slice the image has not.
    """
    frame = like.isel(c=0, drop=True) if "c" in like.dims else like
    planes = np.zeros((max(int(np.prod(frame.shape[:-2])), 1), *frame.shape[-2:]), np.int64)
    numbers = numbers_of(rois)
    flaws: list[Flaw] = []
    for roi, number in zip(rois, numbers, strict=True):
        plane = _plane(roi, frame, like.sizes.get("c", 1))
        flaws += _draw_one(planes[plane], roi, number, plane)
    left = set(np.unique(planes).tolist())
    named = dict(zip(numbers, [roi.name for roi in rois], strict=True))
    flaws = _merged(flaws, numbers)
    flaws += [
        Flaw("hidden", label, words="nothing of it is left: other ROIs lie over it, or it is empty")
        for label in dict.fromkeys(numbers)
        if label not in left
    ]
    kind = np.uint16 if planes.max(initial=0) <= LARGEST_16_BIT else np.float32
    labels = xr.DataArray(planes.reshape(frame.shape).astype(kind), dims=frame.dims, attrs=dict(like.attrs))
    return Drawn(labels, named, flaws)


def numbers_of(rois: Sequence[ImagejRoi]) -> list[int]:
    """The label of each ROI."""
    said = [label_of(roi.name) for roi in rois]
    following = max(said, default=0)
    numbers = []
    for number in said:
        following += not number
        numbers.append(number or following)
    return numbers


def _plane(roi: ImagejRoi, frame: xr.DataArray, channels: int) -> int:
    """Index of the plane on which a ROI lies, frames before slices."""
    slices, frames = frame.sizes.get("z", 1), frame.sizes.get("t", 1)
    count = slices * frames
    hyper = roi.z_position > 0 or roi.t_position > 0
    lost = (not roi.z_position and slices > 1) or (not roi.t_position and frames > 1) if hyper else not roi.position
    if lost and count > 1:
        raise ZooferryError(
            f"ROI {roi.name}: it belongs to no single slice of the {count}; select it in the ROI Manager, then "
            "Properties > Position"
        )
    if hyper:
        z, t = max(roi.z_position, 1), max(roi.t_position, 1)
        place, inside = (t - 1) * slices + z - 1, z <= slices and t <= frames
        said = f"slice {z}, frame {t}"
    else:
        place = (max(roi.position, 1) - 1) // channels
        inside, said = place < count, f"slice {roi.position}"
    if not inside:
        raise ZooferryError(
            f"ROI {roi.name}: it lies on {said}, the image has {slices} slice(s) and {frames} frame(s); give the "
            "image on which it was drawn"
        )
    return place


def _draw_one(plane: NDArray[np.int64], roi: ImagejRoi, number: int, index: int) -> list[Flaw]:
    region = pixels(roi)
    height, width = plane.shape
    top, left = max(region.top, 0), max(region.left, 0)
    mask = region.mask[top - region.top : max(height - region.top, 0), left - region.left : max(width - region.left, 0)]
    flaws = []
    total, seen = int(region.mask.sum()), int(mask.sum())
    if seen < total:
        inside = min(top, height - 1), min(left, width - 1)
        flaws.append(Flaw("cut off", number, (index, *inside), total - seen))
    window = plane[top : top + mask.shape[0], left : left + mask.shape[1]]
    under = window[mask]
    others, counts = np.unique(under[(under > 0) & (under != number)], return_counts=True)
    for other, count in zip(others.tolist(), counts.tolist(), strict=True):
        y, x = (int(n[0]) for n in np.nonzero(mask & (window == other)))
        flaws.append(Flaw("overlap", number, (index, top + y, left + x), count, other=other))
    window[mask] = number
    return flaws


def _merged(flaws: Sequence[Flaw], numbers: Sequence[int]) -> list[Flaw]:
    """The same flaw of the same objects on several slices as one, with words."""
    found: dict[tuple[str, int, int], Flaw] = {}
    for flaw in flaws:
        key = (flaw.kind, flaw.label, flaw.other)
        found[key] = (
            replace(flaw, pixels=flaw.pixels + found[key].pixels, place=found[key].place) if key in found else flaw
        )
    order = {number: place for place, number in enumerate(reversed(numbers))}
    return sorted((_said(flaw) for flaw in found.values()), key=lambda flaw: -order[flaw.label])


def _said(flaw: Flaw) -> Flaw:
    if flaw.kind == "cut off":
        return replace(flaw, words=f"{flaw.pixels} of its pixels lie outside of the image and are cut off")
    words = f"{flaw.pixels} pixels of object {flaw.other} are under it; {flaw.label} wins, the later one in the list"
    return replace(flaw, words=words)
