"""Where training pairs go, which annotation belongs to an image, and which object each ROI is. Pure."""

import os
import re
import zipfile

from .errors import ZooferryError
from .files import find_files
from .titles import KNOWN_ENDINGS

IMAGES, MASKS = "images", "masks"
PATTERN = ";".join("*." + ending for ending in KNOWN_ENDINGS if ending not in ("zip", "ome"))
TIFF = (".tif", ".tiff")
ROIS = (".zip", ".roi")
NUMBERED = re.compile(r"(\d{5,})(-[1-9]\d{0,3})?$")  # 00012, 00012-2; the ROI Manager's own are 0012-0345
AROUND = re.compile(r"(?i)^roi(set)?s?[-_ ]+|[-_ ]+roi(set)?s?$")  # cell_rois.zip and RoiSet_cell.zip are of cell


def label_of(name):
    """The number that a ROI's name says; 0 for other names. The same as zooferry.rois.files.label_of."""
    found = NUMBERED.match(name or "")
    return int(found.group(1)) if found else 0


def numbers_of(names):
    """The object's number of each ROI: that of its name, all others get new ones in their order."""
    said = [label_of(name) for name in names]
    following = max(said + [0])
    numbers = []
    for number in said:
        if not number:
            following += 1
        numbers.append(number or following)
    return numbers


def plane_of(position, sizes):
    """Index of the plane on which a ROI lies, frames before slices.

    Parameters
    ----------
    position : (int, int, int)
        Position in the stack, slice and frame, from 1; 0 is none.
    sizes : (int, int, int)
        Channels, slices and frames of the image.

    Raises
    ------
    ZooferryError
        None, several, or one that the image has not; the words follow the ROI's name.
    """
    plain, z, t = position
    channels, slices, frames = sizes
    count = slices * frames
    if z or t:
        lost = (not z and slices > 1) or (not t and frames > 1)
        place, inside = (max(t, 1) - 1) * slices + max(z, 1) - 1, z <= slices and t <= frames
    else:
        lost, place = not plain, (max(plain, 1) - 1) // channels
        inside = place < count
    if lost and count > 1:
        raise ZooferryError(
            "it belongs to no single slice of the %d; select it in the ROI Manager, then Properties > Position" % count
        )
    if not inside:
        raise ZooferryError("it lies on a slice that the image has not; remove it")
    return place


def stem_of(title):
    """nuclei.tif -> nuclei, nuclei.ome.tif as well."""
    stem = os.path.basename(title)
    while True:
        start, _, ending = stem.rpartition(".")
        if not start or ending.lower() not in KNOWN_ENDINGS:
            return stem
        stem = start


def pair(folder, name):
    """The paths of image and label image of a training pair."""
    return [os.path.join(folder, part, name + ".tif") for part in (IMAGES, MASKS)]


def images_of(path):
    """The image files that are meant: one, or those of a folder in the order of their names.

    Raises
    ------
    ZooferryError
        There is none, or two would make the same pair.
    """
    if not os.path.isdir(path):
        if not os.path.isfile(path):
            raise ZooferryError("there is no file or folder %s: choose an image or a folder of images" % path)
        return [path]
    found = [os.path.join(path, name) for name in find_files(path, PATTERN, False)]
    stems = [stem_of(file) for file in found]
    twice = sorted(set(stem for stem in stems if stems.count(stem) > 1))
    if twice:
        raise ZooferryError("%s holds several images called %s: rename one of them" % (path, twice[0]))
    return found


def waiting(images, folder):
    """Those of the image files that have no pair in the folder yet."""
    return [image for image in images if not all(os.path.isfile(part) for part in pair(folder, stem_of(image)))]


def is_annotation(path):
    """Whether a word means ROIs or label images, and no model: a TIFF, a .roi, a zip of ROIs, or a folder of such."""
    if os.path.isdir(path):
        return not [name for name in ("rdf.yaml", "model.yaml") if os.path.isfile(os.path.join(path, name))]
    ending = os.path.splitext(path)[1].lower()
    if ending != ".zip" or not os.path.isfile(path):
        return os.path.isfile(path) and ending in TIFF + ROIS
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipfile, EnvironmentError, RuntimeError):
        raise ZooferryError("%s is not a readable zip: save the ROIs again, or get the package again" % path)
    return "no objects.txt" in names or bool([name for name in names if name.lower().endswith(".roi")])


def annotation_of(path, name):
    """The annotation of the image called `name`: the file itself, or that of its name in a folder; None: not there."""
    if not os.path.isdir(path):
        return path
    for file in sorted(os.listdir(path)):
        stem, ending = os.path.splitext(file)
        if ending.lower() in TIFF and name in (stem, stem_of(file)):
            return os.path.join(path, file)
        if ending.lower() in ROIS and name in (stem, AROUND.sub("", stem)):
            return os.path.join(path, file)
    return None


def advice(folder, model):
    """The command that trains on the pairs."""
    start = "--from %s " % _quoted(model) if model else ""
    images, masks = [_quoted(os.path.join(folder, part)) for part in (IMAGES, MASKS)]
    return "zooferry train METHOD %s--images %s --labels %s --out RUN" % (start, images, masks)


def _quoted(path):
    return '"%s"' % path if " " in path else path
