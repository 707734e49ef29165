"""How the further outputs of a model look: the predicted width of each grey value, and where an ensemble disagrees.

The colour tables are our own, for plain ImageJ has few. A package says in config.zooferry.kinds what its outputs are.
"""

from ij.process import LUT
from jarray import array

KEY = "zooferry.kind"  # property of such an image
DARK_TO_PALE = ((0, 0, 4), (80, 18, 123), (182, 54, 121), (251, 136, 97), (252, 253, 191))
EMBERS = ((0, 0, 0), (130, 0, 0), (230, 60, 0), (255, 190, 0), (255, 255, 150))  # bright is not to be trusted
# kind -> colours, evenly spaced, between which lies a straight line; highest shown value, None: nearly the brightest
LOOKS = {"scale": (DARK_TO_PALE, None), "fraction": (EMBERS, 1.0), "probability": (EMBERS, 1.0)}


def kind_of(rdf, output):
    """What the numbers of an output (its id) are; empty where the package does not say, or they look like an image."""
    kinds = ((rdf.get("config") or {}).get("zooferry") or {}).get("kinds")
    kind = kinds.get(output) if isinstance(kinds, dict) else ""
    return kind if kind in LOOKS else ""


def table(kind):
    """The colour table of a kind."""
    colours = LOOKS[kind][0]
    channels = [[_between(colours, channel, step) for step in range(256)] for channel in range(3)]
    return LUT(*[array([(value + 128) % 256 - 128 for value in values], "b") for values in channels])


def _between(colours, channel, step):
    place = step / 255.0 * (len(colours) - 1)
    first = min(int(place), len(colours) - 2)
    low, high = colours[first][channel], colours[first + 1][channel]
    return int(round(low + (high - low) * (place - first)))


def display_range(kind, brightest):
    """Lowest and highest shown value: from 0 always; up to 1 for parts of a whole, else up to `brightest`."""
    high = LOOKS[kind][1] or brightest
    return 0.0, high if high > 0 else 1.0
