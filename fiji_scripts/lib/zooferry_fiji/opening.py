"""Open and write image files without any dialog."""

import os

from ij import IJ
from ij.io import FileSaver, Opener, TiffDecoder
from java.io import File, IOException, RandomAccessFile
from java.lang import Class, ClassNotFoundException, Thread, Throwable

from . import integrity, kernels
from .errors import ZooferryError
from .journal import replace

OPTIONS = "loci.plugins.in.ImporterOptions"
RESERVE = 1 << 16  # bytes of a TIFF besides its pixels
UNPACKERS = {
    integrity.LZW: lambda content, wanted: kernels.load("strips").lzw(content, wanted),
    integrity.PACKBITS: lambda content, wanted: kernels.load("strips").packBits(content, wanted),
}


class Quiet(object):
    """Errors of ImageJ's own classes go to the log: no dialog, and the macro that called us goes on.

    ImageJ's IJ.error ends the macro whose command is running, without an exception on the first call and with
    "Macro canceled" on the next ones (observed: a folder run that lost its macro at the first file that was no image).
    """

    def __enter__(self):
        self._name = Thread.currentThread().getName()
        Thread.currentThread().setName("zooferry-folder")  # ImageJ knows the threads of macros by their names
        self._macro = _exchange("ij.IJ", "macroInterpreter", None)
        redirect_errors()

    def __exit__(self, kind, problem, trace):
        IJ.redirectErrorMessages(False)
        _exchange("ij.IJ", "macroInterpreter", self._macro)
        _exchange("ij.Macro", "abort", False)
        Thread.currentThread().setName(self._name)


def redirect_errors():
    """The next error of ImageJ goes to the log; it forgets this after each error."""
    IJ.redirectErrorMessages(True)


def _exchange(owner, name, value):
    # a field that ImageJ keeps to itself; its value before
    field = Class.getDeclaredField(Class.forName(owner, True, IJ.getClassLoader()), name)
    field.setAccessible(True)
    before = field.get(None)
    field.set(None, value)
    return before


def open_images(path):
    """All images of a file: one, or as many as the series that Bio-Formats finds in it.

    Returns
    -------
    list of ImagePlus
        Not shown; titled as the file.

    Raises
    ------
    ZooferryError
        If the file is empty, damaged, or of a kind that this ImageJ cannot read.
    """
    if not os.path.isfile(path):
        raise ZooferryError("Java cannot find the file: if its name is not plain ASCII, start Fiji with LC_ALL=C.UTF-8")
    ome = "<OME " in integrity.check_file(path, UNPACKERS)
    image = None if ome else _open_plain(path)
    images = [image] if image is not None else _open_bioformats(path)
    if not images and ome:
        image = _open_plain(path)
        if image is not None and image.getStackSize() > 1:
            raise ZooferryError("an OME-TIFF of several planes needs Bio-Formats, which Fiji has: it is not here")
        images = [image] if image is not None else []
    if not images:
        raise ZooferryError(_unreadable(path))
    for image in images:
        image.setTitle(os.path.basename(path))
    return images


def _open_plain(path):
    opener = Opener()
    opener.setSilentMode(True)
    known = opener.getFileType(path) not in (Opener.UNKNOWN, Opener.TEXT, Opener.JAVA_OR_TEXT, Opener.ROI, Opener.ZIP)
    return opener.openImage(path) if known else None  # of a file it does not know it would ask a plugin that asks back


def _open_bioformats(path):
    # its package is called "in", which Python cannot import by name
    try:
        loader = IJ.getClassLoader()
        options = Class.forName(OPTIONS, True, loader).getConstructor([]).newInstance([])
        from loci.plugins import BF
    except (ClassNotFoundException, ImportError):
        return []
    options.setId(path)
    options.setQuiet(True)
    options.setWindowless(True)
    options.setOpenAllSeries(True)
    options.setAutoscale(False)
    try:
        return list(BF.openImagePlus(options))
    except Throwable as problem:  # of every reader in Bio-Formats
        raise ZooferryError("Bio-Formats cannot read it: %s" % words(problem))


def _unreadable(path):
    try:
        folder, name = os.path.split(path)
        TiffDecoder(folder + os.sep, name).getTiffInfo()
    except IOException as problem:
        if problem.getMessage():
            return "ImageJ cannot read it: %s" % problem.getMessage()
    except TypeError:
        pass
    return "ImageJ cannot read it: allowed are TIFF, PNG, JPEG, and with Bio-Formats (in Fiji) what that reads"


def save_tiff(image, path):
    """Write an ImageJ TIFF under a temporary name, look at it again, then rename it.

    Raises
    ------
    ZooferryError
        If it cannot be written; nothing is left then.
    """
    part = os.path.join(os.path.dirname(path), ".%s.part.tif" % os.path.basename(path)[:-4])
    try:
        _check_space(image, os.path.dirname(path))
        if not FileSaver(image).saveAsTiff(part):
            raise ZooferryError("cannot write %s: is the disk full, the folder read-only?" % path)
        try:
            integrity.check_file(part)
            _to_disk(part)
        except (ZooferryError, IOException) as problem:
            raise ZooferryError("cannot write %s: %s" % (path, words(problem)))
        replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)


def _check_space(image, folder):
    wanted = image.getSizeInBytes() + RESERVE
    free = File(folder).getUsableSpace()
    if free < wanted:
        raise ZooferryError(
            "the disk is full: the result takes %d kB, %s has %d kB left" % (wanted // 1024, folder, free // 1024)
        )


def _to_disk(path):
    file = RandomAccessFile(path, "rw")
    try:
        file.getFD().sync()
    finally:
        file.close()


def words(problem):
    text = problem.getMessage() if hasattr(problem, "getMessage") else "%s" % problem
    return " ".join((text or problem.getClass().getSimpleName()).split())[:300]
