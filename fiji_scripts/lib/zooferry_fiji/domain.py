"""Is an image like those that the model was trained on? The twin of python/zooferry/domain.py. Pure.

The package keeps, in config.zooferry.domain, the range of each feature over the training images and what is allowed;
likeness.py measures an image.
"""

import math

from . import calibration

NAMES = ("dark", "range", "noise", "background", "fine", "coarse", "dark_texture", "structure", "blocks")  # as measured
# feature -> words
FEATURES = (
    ("dark", "darkest grey value %s; training images %s to %s"),
    ("range", "%s grey values from dark to bright; training images %s to %s"),
    ("noise", "noise %s of the range; training images %s to %s"),
    ("background", "median at %s of the range; training images %s to %s"),
    ("fine", "detail at 2 pixels %s times that at 1; training images %s to %s"),
    ("coarse", "detail at 8 pixels %s times that at 4; training images %s to %s"),
    ("dark_texture", "dark areas have %s times the detail of middle ones; training images %s to %s"),
)
STRUCTURE = "structure"
EMPTY = "no structure beyond noise, as of an empty field"
INSIDE, NOT_KNOWN = "inside", "not known"
UNTOLD = "the package does not tell what it was trained on: whether these images are like that cannot be said"


def read_domain(rdf):
    """The domain of a package.

    Parameters
    ----------
    rdf : dict
        The description as it stands in rdf.yaml.

    Returns
    -------
    dict
        "dims"; "channels": for each a dict feature -> {"seen": [low, high], "allowed": [low, high]}, None for no bound.
        Empty where the package does not tell.
    """
    try:
        said = rdf["config"]["zooferry"]["domain"]
        names = [name for name, _ in FEATURES] + [STRUCTURE]
        channels = [dict((name, _bounds(channel[name])) for name in names) for channel in said["channels"]]
        return {"dims": 3 if said["dims"] == 3 else 2, "channels": channels}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return {}


def _bounds(feature):
    low, high = feature["seen"]
    least, most = [None if bound is None else float(bound) for bound in feature["allowed"]]
    return {"seen": [float(low), float(high)], "allowed": [least, most]}


def findings(domain, measured):
    """What of one sample lies outside.

    Parameters
    ----------
    domain : dict
        See `read_domain`.
    measured : list of list of float
        For each channel the features in the order of `NAMES`; empty where the image is too small.

    Returns
    -------
    list of str or None
        In words; None where it cannot be said.
    """
    known = domain["channels"]
    if len(measured) != len(known) or not all(measured):
        return None
    found = []
    for number, (channel, numbers) in enumerate(zip(known, measured), 1):
        prefix = "channel %d: " % number if len(known) > 1 else ""
        values = dict(zip(NAMES, numbers))
        noise_alone = 1 + 2.5 * math.sqrt(2 / values["blocks"])
        if values[STRUCTURE] < max(channel[STRUCTURE]["allowed"][0] or 0.0, noise_alone):
            found.append(prefix + EMPTY)
        for name, words in FEATURES:
            low, high = channel[name]["allowed"]
            if (high is not None and values[name] > high) or (low is not None and values[name] < low):
                numbers = [values[name]] + channel[name]["seen"]
                found.append(prefix + words % tuple(number_text(number) for number in numbers))
    return found


def number_text(value):
    """Three digits, and all before the point."""
    return "%.0f" % value if abs(value) >= 100 else "%.3g" % value


def size_findings(factors, trained):
    """One line where the pixels have another size than those of the training images.

    Parameters
    ----------
    factors, trained : dict
        See calibration.factors and calibration.trained_size.
    """
    beyond = calibration.deviating(factors)
    axis = ([axis for axis in ("x", "y", "z") if axis in beyond] + [""])[0]
    if not axis:
        return []
    sizes = (number_text(factors[axis] * trained[axis]), axis, number_text(trained[axis]))
    return ["pixel size %s um in %s; training images %s um" % sizes]


def verdict(judged, sizes, what):
    """One verdict on an image.

    Parameters
    ----------
    judged : list
        The findings of each sample, None where it cannot be said.
    sizes : list of str
        See `size_findings`.
    what : str
        "planes" or "stacks".

    Returns
    -------
    str
        "inside", "not known", or "outside: " with the findings of the sample that has most of them; of several samples
        with their number.
    """
    outside = [each for each in judged if each]
    worst = [each for each in outside if len(each) == max(len(one) for one in outside)][:1]
    words = list(sizes) + (worst[0] if worst else [])
    if not words:
        return INSIDE if any(each is not None for each in judged) else NOT_KNOWN
    where = " in %d of %d %s" % (len(outside), len(judged), what) if outside and len(judged) > 1 else ""
    return "outside%s: %s" % (where, "; ".join(words))


def worse(first, second):
    """Of two verdicts (the first may be None) the one that gives more cause for thought."""
    return second if first is None or second.startswith("outside") or first == INSIDE else first
