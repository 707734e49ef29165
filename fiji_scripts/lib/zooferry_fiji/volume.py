"""Sets of planes that share a statistic, with ImageJ's bulk operations: what operations.py works on."""

import math

from ij.process import Blitter, FloatProcessor
from jarray import zeros
from java.lang import System
from java.util import Arrays

from . import operations
from .errors import ZooferryError

# a number whose square lifts the smallest 32-bit difference above 1
HUGE = 1e38


class Group(object):
    """Planes that share one statistic or one number."""

    def __init__(self, planes, originals):
        self.planes = planes
        self.originals = originals
        self.count = sum(plane.getPixelCount() for plane in planes)

    def mean(self):
        return sum(plane.getStatistics().mean * plane.getPixelCount() for plane in self.planes) / self.count

    def root_mean_square(self):
        """Of the values as they are now: the population standard deviation once the mean is 0."""
        total = 0.0
        for plane in self.planes:
            n = plane.getPixelCount()
            statistics = plane.getStatistics()
            total += statistics.stdDev**2 * (n - 1) + statistics.mean**2 * n
        return math.sqrt(total / self.count)

    def percentiles(self, percents, method):
        if self.originals:
            counts = _summed([plane.getHistogram() for plane in self.originals])
            return [operations.percentile_of_counts(counts, percent, method) for percent in percents]
        values = zeros(self.count, "f")
        end = 0
        for plane in self.planes:
            System.arraycopy(plane.getPixels(), 0, values, end, plane.getPixelCount())
            end += plane.getPixelCount()
        Arrays.parallelSort(values)
        return [operations.percentile_of_sorted(values, percent, method) for percent in percents]

    def add(self, value):
        for plane in self.planes:
            plane.add(value)

    def multiply(self, value):
        for plane in self.planes:
            plane.multiply(value)

    def clip(self, low, high):
        for plane in self.planes:
            if low is not None:
                plane.min(low)
            if high is not None:
                plane.max(high)

    def sigmoid(self):
        for plane in self.planes:
            plane.multiply(-1)
            plane.exp()
            plane.add(1.0)
            ones = FloatProcessor(plane.getWidth(), plane.getHeight())
            ones.add(1.0)
            ones.copyBits(plane, 0, 0, Blitter.DIVIDE)
            plane.copyBits(ones, 0, 0, Blitter.COPY)

    def binarize(self, threshold):
        """1 where a value is above the threshold, else 0."""
        for plane in self.planes:
            plane.subtract(threshold)
            plane.min(0)
            plane.multiply(HUGE)
            plane.multiply(HUGE)
            plane.max(1)


class Volume(object):
    """The planes of one run of the network: `planes[channel][z]`, each a FloatProcessor (Y X)."""

    def __init__(self, planes, originals=None, dtype="float32"):
        self.planes = planes
        self.originals = originals
        self.dtype = dtype

    def groups(self, axes):
        """One group per index of the axes that are not named; None: one group."""
        channels = range(len(self.planes))
        depth = range(len(self.planes[0]))
        if axes is None:
            axes = ("channel", "z")
        by_channel = [channels] if "channel" in axes else [[c] for c in channels]
        by_z = [depth] if "z" in axes else [[z] for z in depth]
        return [self._group(some, slices) for some in by_channel for slices in by_z]

    def along(self, axis):
        """One group per index of `axis`: channel or z."""
        if axis not in ("channel", "z"):
            raise ZooferryError("numbers along the axis %s: allowed are channel and z" % axis)
        return self.groups(("z",) if axis == "channel" else ("channel",))

    def holds(self, dtype):
        """Whether a conversion to `dtype` changes no value."""
        return dtype == self.dtype or (self.dtype == "uint8" and dtype in ("uint16", "int16", "int32", "uint32"))

    def softmax(self):
        """exp(value) over its sum along the channels."""
        for z in range(len(self.planes[0])):
            planes = [channel[z] for channel in self.planes]
            largest = _combined(planes, Blitter.MAX)
            for plane in planes:
                plane.copyBits(largest, 0, 0, Blitter.SUBTRACT)
                plane.exp()
            total = _combined(planes, Blitter.ADD)
            for plane in planes:
                plane.copyBits(total, 0, 0, Blitter.DIVIDE)

    def _group(self, channels, slices):
        planes = [self.planes[c][z] for c in channels for z in slices]
        originals = self.originals and [self.originals[c][z] for c in channels for z in slices]
        return Group(planes, originals)


def _combined(planes, mode):
    result = planes[0].duplicate()
    for plane in planes[1:]:
        result.copyBits(plane, 0, 0, mode)
    return result


def _summed(histograms):
    counts = list(histograms[0])
    for histogram in histograms[1:]:
        counts = [a + b for a, b in zip(counts, histogram)]
    return counts
