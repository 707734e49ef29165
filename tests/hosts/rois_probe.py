"""Questions to ImageJ and to the library about ROIs; started by test_imagej_rois.py in Jython, sets `answer`."""

# ruff: noqa: UP031 - Python 2.7

import json
import random

from ij import IJ, ImagePlus, ImageStack, WindowManager
from ij.gui import EllipseRoi, Line, OvalRoi, PointRoi, PolygonRoi, Roi, RotatedRectRoi, ShapeRoi, TextRoi
from ij.io import RoiEncoder
from ij.process import ByteProcessor, FloatProcessor
from jarray import array
from zooferry_fiji import correcting, labels, rois

WIDTH, HEIGHT, EACH = 120, 90, 8


def kinds(dice):
    """One ROI of every kind that encloses an area, some of them partly outside of the image."""

    def point(fine):
        place = dice.uniform(-8, WIDTH + 8), dice.uniform(-8, HEIGHT + 8)
        return place if fine else (int(place[0]), int(place[1]))

    def polygon(count, fine, kind):
        points = [point(fine) for _ in range(count)]
        code = "f" if fine else "i"
        return PolygonRoi(array([x for x, _ in points], code), array([y for _, y in points], code), count, kind)

    def box(fine):
        size = dice.uniform(1, 60), dice.uniform(1, 60)
        place = [abs(value) for value in point(fine)] + list(size if fine else (int(size[0]), int(size[1])))
        return place

    x1, y1 = point(True)
    x2, y2 = point(True)
    x, y, width, height = box(False)
    rounded = Roi(x, y, width, height, dice.randint(2, 30))
    two = [OvalRoi(*box(False)), polygon(5, True, Roi.POLYGON), rounded]
    found = {
        "polygon": polygon(dice.randint(3, 9), False, Roi.POLYGON),
        "fine polygon": polygon(dice.randint(3, 9), True, Roi.POLYGON),
        "freehand": polygon(dice.randint(9, 40), False, Roi.FREEROI),
        "fine freehand": polygon(dice.randint(9, 40), True, Roi.FREEROI),
        "rectangle": Roi(*box(False)),
        "fine rectangle": Roi(*box(True)),
        "rounded": two[2],
        "oval": two[0],
        "fine oval": OvalRoi(*box(True)),
        "ellipse": EllipseRoi(x1, y1, x2, y2, dice.uniform(0.2, 1)),
        "rotated": RotatedRectRoi(x1, y1, x2, y2, dice.uniform(2, 30)),
        "united": united(two, "or"),
        "left out": united(two, "xor"),
        "round hole": united([Roi(10, 10, 70, 60), OvalRoi(25, 20, dice.randint(3, 40), dice.randint(3, 40))], "not"),
    }
    return found


def united(parts, how):
    """A composite ROI."""
    result = ShapeRoi(parts[0])
    for part in parts[1:]:
        result = getattr(result, how)(ShapeRoi(part))
    return result


def filled(roi):
    """The pixels that ImageJ fills."""
    plane = ByteProcessor(WIDTH, HEIGHT)
    plane.setValue(255)
    plane.fill(roi)
    return plane


def drawn_in(folder):
    """Each kind some times: its file, and its pixels as a slice of a stack."""
    dice, names, stack = random.Random(5), [], ImageStack(WIDTH, HEIGHT)
    for number in range(EACH):
        for kind, roi in sorted(kinds(dice).items()):
            name = "%s %d" % (kind, number)
            RoiEncoder.save(roi, "%s/%s.roi" % (folder, name))
            names.append(name)
            stack.addSlice(name, filled(roi))
    IJ.save(ImagePlus("filled", stack), folder + "/filled.tif")
    for name, roi in (
        ("line", Line(1, 1, 9, 9)),
        ("point", PointRoi(3, 4)),
        ("text", TextRoi(3, 4, "words")),
        ("freeline", PolygonRoi(array([1, 5, 9], "i"), array([1, 9, 3], "i"), 3, Roi.FREELINE)),
    ):
        RoiEncoder.save(roi, "%s/%s.roi" % (folder, name))
    return names


def of_ours(job):
    """The zip of `zooferry labels` in ImageJ: every ROI filled with its number, into one plane per slice."""
    source = IJ.openImage(job["stack"])
    planes = [FloatProcessor(source.getWidth(), source.getHeight()) for _ in range(source.getStackSize())]
    facts = []
    for roi in rois.read(job["zip"]):
        plane = planes[roi.getPosition() - 1]
        plane.setValue(int(roi.getName().split("-")[0]))
        plane.fill(roi)
        facts.append([roi.getName(), roi.getTypeAsString()])
    stack = ImageStack(source.getWidth(), source.getHeight())
    for plane in planes:
        stack.addSlice(None, plane)
    IJ.save(ImagePlus("filled", stack), job["filled"])
    labels.finish(source, source, roi_zip=job["imagej_zip"], unique=False)
    return facts


def corrected(job):
    """Correct Labels by its macro steps: a model, a ROI zip, a label image, nothing; edits in between."""
    found = {}

    def step(action, image="", start="", output=""):
        return correcting.command({"action": action, "image": image, "labels": start, "output": output})

    found["model"] = step("open", job["images"], job["model"], job["pairs"])
    image = WindowManager.getCurrentImage()
    overlay = image.getOverlay()
    found["names"] = [roi.getName() for roi in overlay.toArray()]
    overlay.remove(0)
    added = OvalRoi(2, 3, 12, 9)
    added.setName("my cell")
    overlay.add(added)
    labels.save_rois(overlay.toArray(), job["edited"])
    found["saved"] = step("save")
    image.close()
    found["next"] = step("open", job["images"], job["pairs"] + "/masks", job["pairs"])
    found["start from ROIs"] = step("open", job["image"], job["edited"], job["again"])
    found["saved again"] = step("save")
    found["from labels"] = step("open", job["image"], job["again"] + "/masks", job["third"])
    found["saved third"] = step("save")
    WindowManager.getCurrentImage().getOverlay().add(Line(1, 1, 9, 9))
    found["a line"] = step("save")
    found["no image"] = step("open", job["images"] + "/absent.tif", "", job["third"])
    found["no labels"] = step("open", job["image"], job["care"], job["third"])
    found["rgb"] = step("open", job["rgb"], "", job["third"])
    stack = IJ.openImage(job["stack"])
    WindowManager.setTempCurrentImage(stack)
    stack.setOverlay(Roi(2, 2, 9, 9), None, 1, None)
    found["no slice"] = step("save", "", "", job["third"])
    stack.getOverlay().get(0).setPosition(3)
    found["stack"] = step("save", "", "", job["third"])
    return found


def answer_all(job):
    """See test_imagej_rois.py."""
    return json.dumps({"kinds": drawn_in(job["folder"]), "ours": of_ours(job), "corrected": corrected(job)})
