"""Which windows of a padded image the network sees, and which part of each result is kept.

Lengths are pixels along one axis. An image is padded at the high end of each axis only (`padded_length`,
`reflected_index`). Tiles start on multiples of the step and are shifted inwards at the border, so that their
outer edge coincides with that of the padded image: no tile is padded, and tiled equals whole.
"""

from .errors import ZooferryError


def padded_length(length, smallest, step):
    """The smallest size `smallest + n * step` that is not below `length`."""
    if length <= smallest:
        return smallest
    return smallest + -(-(length - smallest) // step) * step


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


def plan_tiles(length, tile, halo, step):
    """The windows of one axis.

    Parameters
    ----------
    length, tile : int
        Pixels of the padded axis and of one window.
    halo : int
        Pixels at an inner window border that are thrown away; rounded up to a multiple of `step`.
    step : int
        Window starts are multiples of it (the network's own grid).

    Returns
    -------
    list of (start, keep_from, keep_to)
        Positions on the padded axis; the kept parts follow each other without a gap.
    """
    halo = rounded_up(halo, step)
    if tile >= length:
        return [(0, 0, length)]
    stride = (tile - 2 * halo) // step * step
    if stride < 1:
        raise ZooferryError(
            "tile of %d pixels is too small for a halo of %d: use at least %d" % (tile, halo, 2 * halo + step)
        )
    plan = []
    start = kept = 0
    while True:
        start = min(start, length - tile)
        last = start + tile >= length
        keep_to = length if last else start + tile - halo
        plan.append((start, kept, keep_to))
        if last:
            return plan
        kept = keep_to
        start += stride


def choose_tile(lengths, axes, pixels):
    """Tile lengths whose product is not above `pixels`, halving the longest axis first.

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
        Along (Z) Y X; the whole image where it fits, never below twice the halo plus one step.
    """
    tile = [axis["min"] if axis["step"] == 0 else n for n, axis in zip(lengths, axes)]
    while _product(tile) > pixels:
        order = sorted(range(len(tile)), key=lambda i: -tile[i])
        shrunk = [(i, _halved(tile[i], axes[i])) for i in order]
        shrunk = [(i, n) for i, n in shrunk if n < tile[i]]
        if not shrunk:
            break
        tile[shrunk[0][0]] = shrunk[0][1]
    return tile


def fit_tile(wanted, lengths, axes):
    """The user's tile length (pixels) as a size that the network takes, along (Z) Y X.

    A tile larger than the image becomes the image; one too small for the halo is refused.
    """
    tile = []
    for length, axis in zip(lengths, axes):
        if axis["step"] == 0:
            tile.append(axis["min"])
            continue
        fitting = min(length, padded_length(wanted, axis["min"], axis["step"]))
        if fitting < length and fitting < _smallest_tile(axis):
            raise ZooferryError(
                "tile of %d pixels is too small for the model's halo of %d: use at least %d, or 0 for automatic"
                % (wanted, axis["halo"], _smallest_tile(axis))
            )
        tile.append(fitting)
    return tile


def _smallest_tile(axis):
    step = axis["step"]
    return padded_length(2 * rounded_up(axis["halo"], step) + step, axis["min"], step)


def _halved(length, axis):
    if axis["step"] == 0:
        return length
    return max(padded_length(length // 2, axis["min"], axis["step"]), 2 * _smallest_tile(axis))


def _product(numbers):
    result = 1
    for number in numbers:
        result *= number
    return result
