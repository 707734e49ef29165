"""Whether the images of a job are like those that its model was trained on: measured while they are read.

The formulas are those of python/zooferry/image_features.py, with ImageJ's bulk operations. A Groovy kernel did it as
fast, but took 5 CPU seconds for the first image of a session, more than all the rest.
"""

import math

from ij import IJ
from ij.process import Blitter, FloatProcessor, ImageProcessor
from java.util import Arrays

from . import ask, domain

TILE, BLOCK = 32, 16
MOST_TILES, FEWEST_TILES = 256, 4
GOLDEN = 0.6180339887498949
LARGEST_RATIO = 65536.0


class Likeness(object):
    """Looks at every pass of a job.

    Parameters
    ----------
    rdf : dict
        The description as it stands in rdf.yaml.
    """

    def __init__(self, rdf):
        self.domain = domain.read_domain(rdf)
        self._judged = {}

    def look(self, one, volume):
        """Measure the raw pixels of a pass (see job.passes); a pass that is done again counts once."""
        if self.domain:
            place = (one["group"], tuple(one["places"]))
            self._judged[place] = domain.findings(self.domain, [features(planes) for planes in volume.planes])

    def verdict(self, factors, trained):
        """See domain.verdict; `factors` and `trained` as for domain.size_findings."""
        if not self.domain:
            return domain.NOT_KNOWN
        judged = [self._judged[place] for place in sorted(self._judged)]
        what = "planes" if self.domain["dims"] == 2 else "stacks"
        return domain.verdict(judged, domain.size_findings(factors, trained), what)

    def tell(self, title, details):
        """A line in the Log; where a user looks on, no Log is opened to say that all is well."""
        text = details["domain"]
        if not text.startswith("outside") and ask.somebody_there() and IJ.getLog() is None:
            return
        if not self.domain:
            IJ.log("Zooferry: model %s: %s" % (details["model"], domain.UNTOLD))
        else:
            IJ.log("Zooferry: %s, compared with the training images of %s: %s" % (title, details["model"], text))


def features(planes):
    """The features of one channel in the order of domain.NAMES.

    Parameters
    ----------
    planes : list of FloatProcessor
        Y X, raw grey values; only read.

    Returns
    -------
    list of float
        Empty for less than 4 tiles.
    """
    strip = _strip(planes)
    if strip is None:
        return []
    values = _quarter(strip, 1, 1).getPixels()
    Arrays.sort(values)
    dark, middle, bright = [_quantile(values, part) for part in (0.001, 0.5, 0.999)]
    strip.add(-values[0])
    energies, diagonals, sums = _details(strip)
    n, span = len(sums), bright - dark
    means = [math.fsum(row) / n for row in energies]
    rows = [math.sqrt(energies[1][i] + energies[2][i] + energies[3][i]) for i in sorted(range(n), key=sums.__getitem__)]
    dark_texture = _ratio(_mean(rows[: n // 8]), _mean(rows[3 * n // 8 : 5 * n // 8]))
    noise = math.sqrt(_median(energies[0])) / span if span > 0 else 0.0
    background = (middle - dark) / span if span > 0 else 0.0
    fine, coarse = _ratio(means[1], means[0]), _ratio(means[3], means[2])
    return [dark, span, noise, background, fine, coarse, dark_texture, _ratio(diagonals[3], diagonals[0]), float(n)]


def _strip(planes):
    # the chosen tiles below each other; None if they are too few
    columns, rows = planes[0].getWidth() // TILE, planes[0].getHeight() // TILE
    count = len(planes) * rows * columns
    if count < FEWEST_TILES:
        return None
    strip = FloatProcessor(TILE, TILE * min(count, MOST_TILES))
    if count <= MOST_TILES:
        places = [(plane, x, 0, rows) for plane in planes for x in range(columns)]
    else:
        chosen = [int(math.floor((i * GOLDEN - math.floor(i * GOLDEN)) * count)) for i in range(MOST_TILES)]
        cut = [divmod(one, rows * columns) for one in chosen]
        places = [(planes[z], place // rows, place % rows, 1) for z, place in cut]
    end = 0
    for plane, x, y, length in places:
        plane.setRoi(x * TILE, y * TILE, TILE, length * TILE)
        strip.insert(plane.crop(), 0, end)
        plane.resetRoi()
        end += length * TILE
    return strip


def _details(image):
    # for each step the mean squared details of all blocks; those of the diagonals; sums of the blocks / 16
    energies, diagonals = [], []
    for _ in range(4):
        a, b, c, d = [_quarter(image, x, y) for y in (0, 1) for x in (0, 1)]
        above, below = _added(a, b), _added(c, d)
        right, left = _subtracted(a, b), _subtracted(c, d)
        diagonal = _subtracted(right, left)
        diagonal.sqr()
        diagonals.append(diagonal.getStatistics().mean / 4)
        image = _added(above, below)
        image.multiply(0.5)
        squares = _added(right, left)
        squares.sqr()
        vertical = _subtracted(above, below)
        vertical.sqr()
        squares.copyBits(vertical, 0, 0, Blitter.ADD)
        squares.copyBits(diagonal, 0, 0, Blitter.ADD)
        while squares.getWidth() > TILE // BLOCK:
            parts = [_quarter(squares, x, y) for y in (0, 1) for x in (0, 1)]
            squares = _added(_added(parts[0], parts[1]), _added(parts[2], parts[3]))
            squares.multiply(0.25)
        energies.append([float(value) / 12 for value in squares.getPixels()])
    return energies, diagonals, list(image.getPixels())


def _quarter(image, x, y):
    # every second pixel of every second row, from x, y
    shifted = FloatProcessor(image.getWidth(), image.getHeight())
    shifted.insert(image, -x, -y)
    shifted.setInterpolationMethod(ImageProcessor.NONE)
    return shifted.resize(image.getWidth() // 2, image.getHeight() // 2)


def _added(first, second):
    result = first.duplicate()
    result.copyBits(second, 0, 0, Blitter.ADD)
    return result


def _subtracted(first, second):
    result = first.duplicate()
    result.copyBits(second, 0, 0, Blitter.SUBTRACT)
    return result


def _mean(values):
    return math.fsum(values) / len(values)


def _median(values):
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _quantile(ordered, part):
    rank = part * (len(ordered) - 1)
    low = int(math.floor(rank))
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def _ratio(upper, lower):
    if lower == 0:
        return 1.0 if upper == 0 else LARGEST_RATIO
    return min(max(upper / lower, 1 / LARGEST_RATIO), LARGEST_RATIO)
