"""Sets of pixels that share a statistic, with ImageJ's bulk operations: what operations.py works on."""

import math

from ij.process import Blitter, FloatProcessor
from jarray import zeros
from java.lang import System
from java.util import Arrays

from . import operations
from .errors import UnsupportedError, ZooferryError

# a number whose square lifts the smallest 32-bit difference above 1
HUGE = 1e38
# adding and subtracting it rounds to whole numbers
ROUNDING = 2.0**23


class Group(object):
    """Pixels that share one statistic or one number: planes, or the same rectangle (x, y, width, height) of each."""

    def __init__(self, planes, originals=None, part=None):
        self.planes = planes
        self.originals = originals
        self.part = part
        size = planes[0].getPixelCount() if part is None else part[2] * part[3]
        self.size = size
        self.count = size * len(planes)

    def _selected(self, planes=None):
        for plane in planes or self.planes:
            if self.part is None:
                plane.resetRoi()
            else:
                plane.setRoi(*self.part)
            yield plane

    def moments(self):
        """Mean and population standard deviation."""
        n = self.size
        rows = [(one.mean, one.stdDev) for one in [plane.getStatistics() for plane in self._selected()]]
        mean = sum(row[0] for row in rows) / len(rows)
        squares = sum((row[1] ** 2 * (n - 1) if n > 1 else 0.0) + (row[0] - mean) ** 2 * n for row in rows)
        return mean, math.sqrt(squares / self.count)

    def extremes(self):
        """Lowest and highest value."""
        rows = [plane.getStatistics() for plane in self._selected()]
        return min(row.min for row in rows), max(row.max for row in rows)

    def percentiles(self, percents, method):
        if self.originals:
            counts = _summed([plane.getHistogram() for plane in self._selected(self.originals)])
            return [operations.percentile_of_counts(counts, percent, method, self.count) for percent in percents]
        values = zeros(self.count, "f")
        end = 0
        for plane in self._selected():
            pixels = plane.getPixels() if self.part is None else plane.crop().getPixels()
            System.arraycopy(pixels, 0, values, end, self.size)
            end += self.size
        Arrays.parallelSort(values)
        return [operations.percentile_of_sorted(values, percent, method) for percent in percents]

    def add(self, value):
        for plane in self._selected():
            plane.add(value)

    def multiply(self, value):
        for plane in self._selected():
            plane.multiply(value)

    def clip(self, low, high):
        for plane in self._selected():
            if low is not None:
                plane.min(low)
            if high is not None:
                plane.max(high)

    def softmax(self):
        """exp(value) over the sum of all of them."""
        self.add(-self.extremes()[1])
        for plane in self._selected():
            plane.exp()
        self.multiply(1.0 / (self.moments()[0] * self.count))

    def sigmoid(self):
        for plane in self.planes:
            plane.resetRoi()
            plane.multiply(-1)
            plane.exp()
            plane.add(1.0)
            ones = FloatProcessor(plane.getWidth(), plane.getHeight())
            ones.add(1.0)
            ones.copyBits(plane, 0, 0, Blitter.DIVIDE)
            plane.copyBits(ones, 0, 0, Blitter.COPY)

    def binarize(self, threshold):
        """1 where a value is above the threshold, else 0."""
        for plane in self._selected():
            plane.subtract(threshold)
            plane.min(0)
            plane.multiply(HUGE)
            plane.multiply(HUGE)
            plane.max(1)

    def nonzero(self):
        """1 where a value is not 0."""
        for plane in self._selected():
            plane.abs()
        self.binarize(0.0)

    def truncate(self):
        """Whole numbers, towards 0."""
        for plane in self.planes:
            plane.resetRoi()
            sign = _sign(plane)
            plane.abs()
            if plane.getStatistics().max >= ROUNDING:
                raise UnsupportedError("whole numbers above %d do not run in ImageJ yet" % ROUNDING)
            whole = plane.duplicate()
            whole.add(ROUNDING)
            whole.add(-ROUNDING)
            above = whole.duplicate()
            above.copyBits(plane, 0, 0, Blitter.SUBTRACT)
            Group([above]).binarize(0.0)
            whole.copyBits(above, 0, 0, Blitter.SUBTRACT)
            whole.copyBits(sign, 0, 0, Blitter.MULTIPLY)
            plane.copyBits(whole, 0, 0, Blitter.COPY)


class Volume(object):
    """The planes of one run of the network: `planes[channel][depth]`, each a FloatProcessor (Y X)."""

    def __init__(self, planes, depth="z", originals=None, dtype="float32"):
        self.planes = planes
        self.depth = depth
        self.originals = originals
        self.dtype = dtype

    def groups(self, axes):
        """One group per index of the axes that are not named; None: one group."""
        if axes is None:
            axes = ("channel", self.depth, "y", "x")
        channels = range(len(self.planes))
        depth = range(len(self.planes[0]))
        by_channel = [channels] if "channel" in axes else [[c] for c in channels]
        by_depth = [depth] if self.depth in axes else [[z] for z in depth]
        return [
            self._group(some, slices, part) for some in by_channel for slices in by_depth for part in self._parts(axes)
        ]

    def along(self, axis):
        """One group per index of `axis`."""
        return self.groups([name for name in ("channel", self.depth, "y", "x") if name != axis])

    def holds(self, dtype):
        """Whether a conversion to `dtype` changes no value."""
        return dtype == self.dtype or (self.dtype == "uint8" and dtype in ("uint16", "int16", "int32", "uint32"))

    def softmax(self, axis):
        """exp(value) over its sum along an axis."""
        if axis in ("y", "x"):
            for group in self.groups([axis]):
                group.softmax()
            return
        if axis not in ("channel", self.depth):
            raise ZooferryError("softmax along %s: allowed are channel, %s, y and x" % (axis, self.depth))
        for planes in self.planes if axis == self.depth else zip(*self.planes):
            largest = _combined(planes, Blitter.MAX)
            for plane in planes:
                plane.resetRoi()
                plane.copyBits(largest, 0, 0, Blitter.SUBTRACT)
                plane.exp()
            total = _combined(planes, Blitter.ADD)
            for plane in planes:
                plane.copyBits(total, 0, 0, Blitter.DIVIDE)

    def decode(self, declaration):
        """Turn heads along the channels into labels (one channel), plane by plane."""
        from . import labelling

        self.planes = labelling.decoded(declaration, self.planes)
        self.originals = None

    def _parts(self, axes):
        width, height = self.planes[0][0].getWidth(), self.planes[0][0].getHeight()
        if ("y" in axes or height == 1) and ("x" in axes or width == 1):
            return [None]
        if "x" in axes:
            return [(0, y, width, 1) for y in range(height)]
        return [(x, 0, 1, height) for x in range(width)]

    def _group(self, channels, slices, part):
        planes = [self.planes[c][z] for c in channels for z in slices]
        originals = self.originals and [self.originals[c][z] for c in channels for z in slices]
        return Group(planes, originals, part)


def _combined(planes, mode):
    planes[0].resetRoi()
    result = planes[0].duplicate()
    for plane in planes[1:]:
        result.copyBits(plane, 0, 0, mode)
    return result


def _sign(plane):
    result = plane.duplicate()
    result.multiply(HUGE)
    result.multiply(HUGE)
    result.min(-1)
    result.max(1)
    return result


def _summed(histograms):
    counts = histograms[0]
    for histogram in histograms[1:]:
        counts = [a + b for a, b in zip(counts, histogram)]
    return counts
