"""Run a package's own test images in this ImageJ and compare the results with those that the package promises."""

import json
import os

from ij import IJ, CompositeImage, ImagePlus, ImageStack
from ij.process import FloatProcessor

from . import comparing, installing, models, npy, results, titles
from .description import load_rdf, read_model, text
from .errors import ZooferryError

LEGIBLE, MOST_ZOOM = 280, 8.0  # pixels of a window whose title can be read
OTHER = "the folder or zip below"


def rows():
    """The parameters of the menu command: see asking.values; the second is for the dialog only."""
    from . import asking

    names = [name for name, _ in models.installed()]
    return [("model", "", names + [OTHER]), ("path", "or another folder or zip", asking.FILE)]


def model_only(chosen):
    """The values of `rows` with the path in the model's place, where that was meant."""
    model, path = chosen
    return [path or (model if model != OTHER else "")]


def command(word):
    """What the menu command does.

    Parameters
    ----------
    word : str
        See models.resolve.

    Returns
    -------
    (bool, str, str, list of ImagePlus)
        Whether all outputs agree; one line for the user; JSON with "passed", "model", "engine", "outputs" (see
        comparing.Verdict.details), or "error"; the images to show.
    """
    try:
        name, engine, found = check(_folder(word))
    except ZooferryError as problem:
        return False, problem.args[0], json.dumps({"passed": False, "error": problem.args[0]}), []
    passed = all(verdict.passed for _, verdict, _ in found)
    lines = ["%s: %s" % (output, verdict.sentence(place)) for output, verdict, (place, _, _) in found]
    status = "%s %s in %s: %s" % (name, "passes" if passed else "FAILS", engine, "; ".join(lines))
    details = {
        "passed": passed,
        "model": name,
        "engine": engine,
        "outputs": dict((output, verdict.details(at)) for output, verdict, (_, at, _) in found),
    }
    return passed, status, json.dumps(details), [image for _, _, (_, _, images) in found for image in images]


def _folder(word):
    from .asking import repaired

    try:
        return models.resolve(word)
    except ZooferryError:
        if repaired(word) == word:
            raise
        return models.resolve(repaired(word))


def check(folder):
    """Run the test inputs of an unpacked package.

    Returns
    -------
    (str, str, list)
        The model's name, the engine, and for each output: its id, a comparing.Verdict, and (where the worst value is
        in words, the same as a dict, images expected, actual and difference).

    Raises
    ------
    ZooferryError
        The package is damaged or holds no test images, or the model cannot run here.
    """
    installing.check(folder, folder)
    rdf, model = load_rdf(folder), read_model(folder)
    inputs = [
        as_image(tensor["id"], npy.read(path), tensor["axes"])
        for tensor, path in zip(model["inputs"], test_files(folder, rdf, "inputs"))
    ]
    wanted = [npy.read(path) for path in test_files(folder, rdf, "outputs")]
    restored, engine = _restore(inputs, folder)
    found = []
    for tensor, expected in zip(model["outputs"], wanted):
        found.append((tensor["id"],) + _judge(tensor, expected, restored[tensor["id"]]))
    return model["name"], engine, found


def test_files(folder, rdf, role):
    """The .npy files of the package's test inputs or outputs (`role`)."""
    if text(rdf.get("format_version", "")).startswith("0.4"):
        sources = rdf.get("test_" + role) or []
    else:
        sources = [(entry.get("test_tensor") or {}).get("source") for entry in rdf[role]]
    sources = [source.get("source") if hasattr(source, "items") else source for source in sources]
    if len(sources) != len(rdf[role]) or None in sources:
        raise ZooferryError("the package names no test tensors for its %s: package the model again" % role)
    paths = [os.path.join(folder, *source.split("/")) for source in sources]
    for path in paths:
        if not os.path.isfile(path):
            raise ZooferryError("the package lacks the test tensor %s: get it again" % os.path.basename(path))
    return paths


def as_image(title, tensor, axes):
    """A test tensor as an image: 8 or 16 bit if it is unsigned of that size, else 32 bit."""
    planes, height, width = npy.planes(tensor, axes)
    convert = {
        "u1": lambda plane: plane.convertToByteProcessor(False),
        "u2": lambda plane: plane.convertToShortProcessor(False),
    }.get(tensor.kind, lambda plane: plane)
    return _image(title, planes, lambda values: convert(FloatProcessor(width, height, values)))


def _image(title, planes, processor):
    # {(c, z, t): float[]} -> ImagePlus
    channels, depth, frames = [max(place[i] for place in planes) + 1 for i in range(3)]
    order = [(c, z, t) for t in range(frames) for z in range(depth) for c in range(channels)]
    processors = [processor(planes[place]) for place in order]
    stack = ImageStack(processors[0].getWidth(), processors[0].getHeight())
    for one in processors:
        stack.addSlice(None, one)
    image = ImagePlus(title, stack)
    image.setDimensions(channels, depth, frames)
    image.setOpenAsHyperStack(channels * depth * frames > 1)
    return CompositeImage(image, CompositeImage.GRAYSCALE) if channels > 1 else image


def _judge(tensor, expected, actual):
    planes, height, width = npy.planes(expected, tensor["axes"])
    image = _image("expected_" + tensor["id"], planes, lambda values: FloatProcessor(width, height, values))
    if list(image.getDimensions()) != list(actual.getDimensions()):
        raise ZooferryError(
            "output %s is %s, the package promises %s"
            % (tensor["id"], comparing.size_text(actual), comparing.size_text(image))
        )
    verdict = comparing.Verdict(tensor["id"])
    numbers = range(1, image.getStackSize() + 1)
    comparing.compare_planes(
        verdict, [(comparing.raw_floats(actual, n), comparing.raw_floats(image, n)) for n in numbers]
    )
    actual.setTitle("actual_" + tensor["id"])
    images = [image, actual, _difference(tensor["id"], actual, image)]
    _set_ranges(images, verdict)
    return verdict, (comparing.place_of(verdict, actual), comparing.position(verdict, actual), images)


def _difference(output, actual, expected):
    from .kernels import load

    subtract = load("numbers").difference
    planes = {}
    for number in range(1, expected.getStackSize() + 1):
        c, z, t = [place - 1 for place in expected.convertIndexToPosition(number)]
        planes[c, z, t] = subtract(*[comparing.raw_floats(image, number) for image in (actual, expected)])
    width, height = expected.getWidth(), expected.getHeight()
    return _image("difference_" + output, planes, lambda values: FloatProcessor(width, height, values))


def _set_ranges(images, verdict):
    # expected and actual alike; the difference as far as it goes, zero in the middle
    expected, actual, difference = images
    expected.resetDisplayRange()
    low, high = expected.getDisplayRangeMin(), expected.getDisplayRangeMax()
    far = max(verdict.max_abs, verdict.atol)  # grey if nothing matters
    for image, begin, end in ((expected, low, high), (actual, low, high), (difference, -far, far)):
        for channel in range(image.getNChannels(), 0, -1):
            image.setC(channel)
            image.setDisplayRange(begin, end)


def _restore(inputs, folder):
    # (images by the id of their output, the engine's name); heads, too, of which labels are made
    from . import run

    restored, details = run.restore(inputs, folder, options={"heads": "yes"})
    return dict(zip(details["outputs"], restored)), details["engine"]


def show(images, module):
    """Show expected, actual and difference side by side, one row for each output; `module` is Fiji's, or None."""
    taken = results.open_titles()
    for image in images:
        image.setTitle(titles.unique_title(image.getTitle(), taken))
    results.show(images, module)
    place = None
    for number, image in enumerate(images):
        window = image.getWindow()
        if window is None:
            continue
        canvas = image.getCanvas()  # a window's own width lags behind
        while image.getWidth() * canvas.getMagnification() < LEGIBLE and canvas.getMagnification() < MOST_ZOOM:
            canvas.zoomIn(0, 0)
        screen, size = IJ.getScreenSize(), window.getSize()
        place = (20, place[1] + size.height if place else 150) if number % 3 == 0 else (place[0] + size.width, place[1])
        window.setLocation(min(place[0], max(0, screen.width - size.width)), min(place[1], screen.height // 2))
