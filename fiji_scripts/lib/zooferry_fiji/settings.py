"""What the user may set for one run, as texts of a macro line. Pure.

| key | values | default |
|---|---|---|
| model | name of an installed model, folder or zip | |
| tile | pixels along each axis, 0: from the free memory | 0 |
| threads | 0: one per processor | 0 |
| planes | all; current; "frames as slices", "slices as frames": exchange Z and time for the network | all |
| channels | each: one after the other; or numbers from 1, such as 2 or 1,3 | those of the image |
| region | visible region: a preview of the current plane | whole image |
| rescale | yes: bring the image to the pixel size of the training data, and the result back | no |
| diameter | pixels: objects of that size become as large as those that the model has learnt | image as it is |
| engine | onnx, torchscript, deepimagej | automatic |
| heads | yes: show also the outputs of which labels were made | no |
| outlines | yes: an overlay of the outlines of labels | no |
| rois | path of a zip: outlines of labels for the ROI Manager | |
| table | path of a CSV file, or yes: show the measurements of labels | |

Where several outputs are labels, the id of each stands before the ending of its files: rois_nuclei.zip.
"""

from .errors import ZooferryError

NUMBERS = ("tile", "threads")
CHOICES = {
    "planes": ("", "all", "current", "frames as slices", "slices as frames"),
    "region": ("whole image", "visible region"),
    "rescale": ("no", "yes"),
    "engine": ("automatic", "onnx", "torchscript", "deepimagej"),
    "heads": ("no", "yes"),
    "outlines": ("no", "yes"),
}
KEYS = (
    "model", "tile", "threads", "planes", "channels", "region", "rescale", "diameter", "engine", "heads", "outlines",
    "rois", "table",
)  # fmt: skip


def parse(given):
    """Checked settings.

    Parameters
    ----------
    given : dict
        Key -> text, number, java.io.File or None; missing keys and empty texts stand for the default.

    Returns
    -------
    dict
        One entry for each of `KEYS`: tile and threads as int, all else as text.
    """
    unknown = sorted(set(given) - set(KEYS))
    if unknown:
        raise ZooferryError("there is no setting %s: allowed are %s" % (unknown[0], ", ".join(KEYS)))
    texts = dict((key, _text(given.get(key))) for key in KEYS)
    settings = dict((key, _number(key, texts[key])) for key in NUMBERS)
    settings.update((key, _choice(key, texts[key])) for key in CHOICES)
    settings.update((key, texts[key]) for key in ("model", "rois", "table"))
    settings.update(channels=_channels(texts["channels"]), diameter=_diameter(texts["diameter"]))
    return settings


def options(settings):
    """The settings that differ from their default, as (key, text) in the order of a macro line."""
    defaults = parse({})
    return [(key, "%s" % settings[key]) for key in KEYS if settings[key] != defaults[key]]


def channel_numbers(channels):
    """The numbers, from 1, in the setting `channels`; empty for "" and "each"."""
    return [] if channels in ("", "each") else [int(word) for word in channels.split(",")]


def _text(value):
    if value is None:
        return ""
    if hasattr(value, "getPath"):
        return value.getPath()
    return ("%s" % value).strip()


def _number(key, word):
    try:
        number = int(float(word or 0))
        fits = number == float(word or 0) and number >= 0
    except (ValueError, OverflowError):
        fits = False
    if not fits:
        raise ZooferryError("%s is %s: allowed are whole numbers from 1, or 0 for automatic" % (key, word))
    return number


def _diameter(word):
    try:
        number = float(word or 0)
        fits = 0 <= number < float("inf")
    except ValueError:
        fits = False
    if not fits:
        raise ZooferryError("diameter is %s: allowed are pixels, or 0 for the image as it is" % word)
    return "%.6g" % number if number else ""


def _choice(key, word):
    allowed = CHOICES[key]
    found = [one for one in allowed if one == " ".join(word.lower().replace("_", " ").split())]
    if word and not found:
        raise ZooferryError("%s is %s: allowed are %s" % (key, word, ", ".join(filter(None, allowed))))
    return found[0] if found else allowed[0]


def _channels(word):
    words = [one for one in word.lower().replace(",", " ").split() if one]
    if words in ([], ["each"]):
        return "".join(words)
    numbers = [int(one) for one in words if one.isdigit()]
    if len(numbers) < len(words) or min(numbers) < 1 or len(set(numbers)) < len(numbers):
        raise ZooferryError("channels is %s: allowed are each, or numbers from 1 such as 2 or 1,3" % word)
    return ",".join("%d" % number for number in numbers)
