"""Which windows of a padded image the network sees, and which part of each result is kept.

Lengths are pixels along one axis. An image is padded at the high end of each axis only (`padded_length`,
`reflected_index`). Tiles start on multiples of the step and are shifted inwards at the border, so that their
outer edge coincides with that of the padded image: no tile is padded, and tiled equals whole.
"""

from .errors import ZooferryError


def padded_length(length, smallest, step):
    """The first of `smallest`, `smallest` + `step`, ... that is not below `length`; step 0: one size, or the image."""
    return max(length, smallest) if step == 0 else smallest + rounded_up(max(0, length - smallest), step)


def reflected_index(index, length):
    """Which pixel stands at `index` >= `length`: numpy.pad(mode="reflect"), and mode="edge" for length 1.

    The last pixel is not repeated (0 1 2 3 | 2 1 0 1 2 ...); the pattern goes on for paddings of any length.
    """
    if length == 1:
        return 0
    period = 2 * (length - 1)
    index = index % period
    return index if index < length else period - index


def rounded_up(length, step):
    """The smallest multiple of `step` that is not below `length`."""
    return -(-length // step) * step


def plan_tiles(length, tile, halo, step, smallest=0):
    """The windows of one axis; where `smallest` is a multiple of `step` as `zooferry.prediction.plan_tiles`.

    Parameters
    ----------
    length : int
        Pixels of the padded axis, `smallest` plus a multiple of `step`.
    tile, halo : int
        Pixels of one window, and of those at its inner borders that are thrown away; rounded up to what `step` allows.
    step : int
        Window starts are multiples of it (the network's own grid).
    smallest : int
        The network's smallest size.

    Returns
    -------
    list of (start, keep_from, keep_to)
        Positions on the padded axis; the kept parts follow each other without a gap.
    """
    tile, halo = padded_length(tile, smallest, step), rounded_up(halo, step)
    if tile >= length:
        return [(0, 0, length)]
    core = (tile - 2 * halo) // step * step
    if core < 1:
        raise ZooferryError("a tile of %d pixels holds nothing but halo: use at least %d" % (tile, 2 * halo + step))
    plan = []
    start = kept = 0
    while kept < length:
        start = min(start, length - tile)
        end = length if start == length - tile else start + tile - halo
        plan.append((start, kept, end))
        kept = end
        start += core
    return plan


def choose_tile(lengths, axes, pixels):
    """Even tiles whose product is not above `pixels`; the longest axis is divided first.

    An axis without a halo is never divided, because what the network sees there is unknown.

    Parameters
    ----------
    lengths : list of int
        Padded size along (Z) Y X.
    axes : list of dict
        "min", "step" (0: fixed size) and "halo" of each of these axes, in pixels.
    pixels : int
        What the memory allows for one run of the network.

    Returns
    -------
    list of int
        Along (Z) Y X; the whole image where it fits or has no halo, never below twice the halo plus one step.
    """
    counts = [1] * len(lengths)
    while True:
        tile = [_even_tile(*one) for one in zip(lengths, axes, counts)]
        finer = [_even_tile(length, axis, n + 1) for length, axis, n in zip(lengths, axes, counts)]
        divisible = [i for i in range(len(tile)) if finer[i] < tile[i]]
        if _product(tile) <= pixels or not divisible:
            return tile
        counts[max(divisible, key=lambda i: tile[i])] += 1


def fit_tile(wanted, lengths, axes):
    """The user's tile length (pixels) as sizes that the network takes, along (Z) Y X.

    A tile larger than the image becomes the image, as along an axis without a halo; one that is nothing but halo is
    enlarged: the result is the same.
    """
    return [_fitting_tile(wanted, length, axis) for length, axis in zip(lengths, axes)]


def _fitting_tile(wanted, length, axis):
    if axis["step"] == 0:
        return axis["min"]
    if axis["halo"] == 0:
        return length
    return min(length, max(padded_length(wanted, axis["min"], axis["step"]), _smallest_tile(axis)))


def _smallest_tile(axis):
    step = axis["step"]
    return padded_length(2 * rounded_up(axis["halo"], step) + step, axis["min"], step)


def _even_tile(length, axis, count):
    # the smallest tile of which `count` cover the length
    if axis["step"] == 0:
        return axis["min"]
    if axis["halo"] == 0:
        return length
    halo = rounded_up(axis["halo"], axis["step"])
    tile = padded_length(-(-(length + 2 * halo * (count - 1)) // count), axis["min"], axis["step"])
    return min(length, max(tile, _smallest_tile(axis)))


def _product(numbers):
    result = 1
    for number in numbers:
        result *= number
    return result
