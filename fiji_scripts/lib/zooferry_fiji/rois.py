"""ROIs of ImageJ: from files, from label images, into label images; where the user sees them."""

import os

from ij import ImagePlus, ImageStack
from ij.gui import ImageRoi, Overlay, TextRoi
from ij.io import RoiDecoder
from ij.process import FloatProcessor
from jarray import array, zeros
from java.io import ByteArrayOutputStream, FileInputStream, IOException
from java.lang import Throwable
from java.util import Arrays
from java.util.zip import ZipFile

from . import ask, kernels, labels, opening, pairing
from .errors import ZooferryError

NO_AREA = "ROI %s: it encloses no area: remove it, or draw it with a tool for areas (polygon, freehand, oval, wand)"
MOST_WORDS = 4  # overlaps that are told one by one


def read(path):
    """The ROIs of a zip or a .roi, named as their files.

    Raises
    ------
    ZooferryError
        Damaged.
    """
    try:
        if path.lower().endswith(".roi"):
            return [_decoded(_bytes(FileInputStream(path)), os.path.splitext(os.path.basename(path))[0])]
        archive = ZipFile(path)
        try:
            entries = [entry for entry in archive.entries() if entry.getName().lower().endswith(".roi")]
            return [_decoded(_bytes(archive.getInputStream(one)), _entry_name(one.getName())) for one in entries]
        finally:
            archive.close()
    except IOException as problem:
        raise ZooferryError("%s cannot be read (%s): save the ROIs again" % (path, opening.words(problem)))


def _entry_name(name):
    return name.replace("\\", "/").rpartition("/")[2][:-4]


def _bytes(stream):
    content, part = ByteArrayOutputStream(), zeros(1 << 16, "b")
    try:
        count = stream.read(part)
        while count >= 0:
            content.write(part, 0, count)
            count = stream.read(part)
    finally:
        stream.close()
    return content.toByteArray()


def _decoded(data, name):
    try:
        roi = RoiDecoder(data, name).getRoi()
    except Throwable as problem:  # of damaged bytes: of any kind
        raise ZooferryError("ROI %s is damaged (%s): draw it again" % (name, opening.words(problem)))
    if roi is None:
        raise ZooferryError("ROI %s is damaged: draw it again" % name)
    roi.setName(name)
    return roi


def of_labels(image):
    """The ROIs of a label image, each named after its number."""
    return [roi for _, roi in labels.outlines(image)]


def draw(rois, image):
    """A label image of ROIs; where they overlap the later one wins, as if ImageJ filled one after the other.

    Parameters
    ----------
    rois : list of Roi
    image : ImagePlus
        Of the size and calibration that the labels get: one channel, its slices and frames.

    Returns
    -------
    (ImagePlus, list of str)
        16 bit up to 65,535, else 32 bit; and what got lost, in words.

    Raises
    ------
    ZooferryError
        A ROI without area, or on no slice of the image.
    """
    sizes = (image.getNChannels(), image.getNSlices(), image.getNFrames())
    planes = [zeros(image.getWidth() * image.getHeight(), "f") for _ in range(sizes[1] * sizes[2])]
    numbers = pairing.numbers_of([roi.getName() for roi in rois])
    kernel, overlaps, cut = kernels.load("drawing"), {}, {}
    for roi, number in zip(rois, numbers):
        _require_area(roi)
        box = roi.getBounds()
        mask = roi.getMask()
        corners = array([box.x, box.y, box.width, box.height], "i")
        pixels = mask.getPixels() if mask is not None else None
        found = kernel.draw(planes[_plane(roi, sizes)], image.getWidth(), pixels, corners, number)
        if found[0]:
            cut[number] = cut.get(number, 0) + found[0]
        for other, count in zip(found[2::2], found[3::2]):
            overlaps[number, other] = overlaps.get((number, other), 0) + count
    known = zeros(max(numbers + [0]) + 1, "z")
    for plane in planes:
        kernel.seen(plane, known)
    hidden = sorted(set(number for number in numbers if not known[number]))
    return _label_image(planes, image), _words(overlaps, cut, hidden)


def _require_area(roi):
    if not roi.isArea() or isinstance(roi, (TextRoi, ImageRoi)):
        raise ZooferryError(NO_AREA % roi.getName())


def _plane(roi, sizes):
    hyper = roi.hasHyperStackPosition()
    position = (0, roi.getZPosition(), roi.getTPosition()) if hyper else (roi.getPosition(), 0, 0)
    try:
        return pairing.plane_of(position, sizes)
    except ZooferryError as problem:
        raise ZooferryError("ROI %s: %s" % (roi.getName(), problem.args[0]))


def _label_image(planes, image):
    stack = ImageStack(image.getWidth(), image.getHeight())
    for index, pixels in enumerate(planes):
        z, t = index % image.getNSlices() + 1, index // image.getNSlices() + 1
        several = image.getStackSize() > 1
        name = image.getStack().getSliceLabel(image.getStackIndex(1, z, t)) if several else None
        stack.addSlice(name, FloatProcessor(image.getWidth(), image.getHeight(), pixels))
    result = ImagePlus(pairing.stem_of(image.getTitle()) + "_labels", stack)
    result.setDimensions(1, image.getNSlices(), image.getNFrames())
    calibration = image.getCalibration().copy()
    calibration.disableDensityCalibration()
    result.setCalibration(calibration)
    result.setOpenAsHyperStack(image.getNFrames() > 1)
    labels.finish(result, result, unique=False)
    return result


def _words(overlaps, cut, hidden):
    found = [
        "%05d lies over %05d (%d pixels) and wins, being later in the list" % (pair + (overlaps[pair],))
        for pair in sorted(overlaps)
    ]
    found += ["%d pixels of %05d lie outside of the image and are cut off" % (cut[one], one) for one in sorted(cut)]
    found += ["nothing of %05d is left" % one for one in hidden]
    more = len(found) - MOST_WORDS
    return found[:MOST_WORDS] + (["and %d more of this kind" % more] if more > 0 else [])


class Shown(object):
    """The ROIs that belong to an image, where the user edits them: the ROI Manager; without a window the overlay."""

    def __init__(self, image):
        self.image = image

    def put(self, rois):
        """Show these, and no others."""
        if not ask.has_window():
            overlay = Overlay()
            for roi in rois:
                overlay.add(roi)
            self.image.setOverlay(overlay)
            return
        manager = _manager()
        manager.reset()
        for roi in rois:
            manager.add(self.image, roi, -1)
        self.image.deleteRoi()
        manager.runCommand(self.image, "Show All with labels" if len(rois) < 300 else "Show All without labels")

    def get(self):
        """All of them, in their order."""
        if ask.has_window():
            return list(_manager().getRoisAsArray())
        overlay = self.image.getOverlay()
        return list(overlay.toArray()) if overlay is not None else []

    def drawn(self):
        """A selection of the image that is none of them, or None."""
        roi = self.image.getRoi()
        if roi is None:
            return None
        bare = _without_image(roi)
        return None if [one for one in self.get() if bare.equals(_without_image(one))] else roi

    def state(self):
        """Names, places and pixels of them: what a label image would show."""
        return [_pixels_of(roi) for roi in self.get()]


def _pixels_of(roi):
    # not ImageJ's bytes of the ROI: these change when the ROI Manager draws it
    box, mask = roi.getBounds(), roi.getMask() if roi.isArea() else None
    inside = Arrays.hashCode(mask.getPixels()) if mask is not None else roi.getType()
    place = (roi.getPosition(), roi.getZPosition(), roi.getTPosition())
    return roi.getName(), place, (box.x, box.y, box.width, box.height), inside


def _without_image(roi):
    # the lengths of outlines are compared too, and with an image they are in its unit
    copy = roi.clone()
    copy.setImage(None)
    return copy


def others():
    """How many ROIs the ROI Manager holds now."""
    if not ask.has_window():
        return 0
    from ij.plugin.frame import RoiManager

    manager = RoiManager.getInstance()
    return manager.getCount() if manager is not None else 0


def place_beside(x, y, screen):
    """Move the ROI Manager there, if there is room; its lower edge, in a list."""
    manager = _manager()
    if x + manager.getWidth() <= screen.width:
        manager.setLocation(x, y)
        return [y + manager.getHeight()]
    return []


def forget():
    """Empty the ROI Manager."""
    if others():
        _manager().reset()


def _manager():
    from ij.plugin.frame import RoiManager

    return RoiManager.getRoiManager()
