"""Tables of the pure part of the Fiji library; run in CPython by test_fiji_lib.py and in Jython by test_imagej.py.

Written in the common subset of Python 2.7 and 3. `run_all` raises AssertionError at the first wrong row.
"""

from zooferry_fiji import operations, tiling
from zooferry_fiji.errors import ZooferryError

# length, tile, halo, step -> plan
PLANS = [
    ((20, 20, 4, 2), [(0, 0, 20)]),
    ((20, 12, 4, 2), [(0, 0, 8), (4, 8, 12), (8, 12, 20)]),
    ((20, 11, 3, 2), [(0, 0, 8), (4, 8, 12), (8, 12, 20)]),
    ((32, 16, 0, 4), [(0, 0, 16), (16, 16, 32)]),
    ((28, 16, 4, 4), [(0, 0, 12), (8, 12, 20), (12, 20, 28)]),
    ((16, 64, 8, 4), [(0, 0, 16)]),
]

# index, length -> reflected index; 0 1 2 3 | 2 1 0 1 2 3 2
REFLECTED = [
    ((4, 4), 2),
    ((5, 4), 1),
    ((6, 4), 0),
    ((7, 4), 1),
    ((9, 4), 3),
    ((10, 4), 2),
    ((3, 2), 1),
    ((2, 2), 0),
    ((7, 1), 0),
]

# length, smallest, step -> padded length
PADDED = [((333, 16, 8), 336), ((5, 64, 16), 64), ((64, 64, 16), 64), ((65, 64, 16), 80), ((500, 16, 1), 500)]

# values, percent, method -> numpy 2.4.6's percentile of int64
PERCENTILES = [
    (([0, 1, 2, 3, 4], 50.0, "linear"), 2.0),
    (([0, 1, 2, 3, 4], 37.5, "linear"), 1.5),
    (([7], 99.8, "linear"), 7.0),
    (([1, 1, 1, 9], 99.0, "linear"), 8.76),
    (([0, 10], 0.0, "linear"), 0.0),
    (([0, 10], 100.0, "linear"), 10.0),
    (([1, 2, 3, 4], 50.0, "inverted_cdf"), 2.0),
    (([1, 2, 3, 4], 51.0, "inverted_cdf"), 3.0),
    (([1, 2, 3, 4], 0.0, "inverted_cdf"), 1.0),
]

AXIS = {"min": 16, "step": 8, "halo": 20}

FLAT = {"min": 16, "step": 8, "halo": 0}

# lengths, pixels, axes -> even tiles; an axis without halo stays whole
WHOLE = [
    (([32, 1024, 1024], 32 * 600000, [FLAT, AXIS, AXIS]), [32, 536, 1024]),
    (([1024, 1024], 1, [FLAT, FLAT]), [1024, 1024]),
]

# wanted tile, lengths, axes -> tiles
WHOLE_FITTED = [((24, [64, 256, 256], [FLAT, AXIS, AXIS]), [64, 56, 56]), ((8, [64], [FLAT]), [64])]

# lengths, pixels -> even tiles
CHOSEN = [
    (([64, 64], 4096), [64, 64]),
    (([1024, 1024], 600000), [536, 1024]),
    (([1024, 1024], 300000), [536, 536]),
    (([16, 16], 1), [16, 16]),
]

# wanted tile, lengths -> tiles
FITTED = [((64, [256, 40]), [64, 40]), ((60, [256, 256]), [64, 64]), ((8, [256, 256]), [56, 56])]

# steps of a tensor channel y x of the input raw -> words that the refusal must hold
REFUSED = [
    ([{"id": "watershed", "kwargs": {}}], "watershed, and ImageJ cannot do this yet"),
    ([{"id": "scale_range", "kwargs": {"reference_tensor": "other"}}], "refers to other"),
    ([{"id": "zero_mean_unit_variance", "kwargs": {"axes": ["channel"]}}], "separately for each pixel"),
    ([{"id": "zero_mean_unit_variance", "kwargs": {"axes": ["z", "y"]}}], "has the axes channel y x"),
    ([{"id": "softmax", "kwargs": {"axis": "z"}}], "softmax along z"),
]


def run_all():
    """Every row of every table."""
    for arguments, expected in PLANS:
        _same(tiling.plan_tiles(*arguments), expected, arguments)
    for arguments, expected in REFLECTED:
        _same(tiling.reflected_index(*arguments), expected, arguments)
    for arguments, expected in PADDED:
        _same(tiling.padded_length(*arguments), expected, arguments)
    for (lengths, pixels), expected in CHOSEN:
        _same(tiling.choose_tile(lengths, [AXIS] * len(lengths), pixels), expected, (lengths, pixels))
    for (wanted, lengths), expected in FITTED:
        _same(tiling.fit_tile(wanted, lengths, [AXIS] * len(lengths)), expected, (wanted, lengths))
    for (lengths, pixels, axes), expected in WHOLE:
        _same(tiling.choose_tile(lengths, axes, pixels), expected, (lengths, pixels))
    for (wanted, lengths, axes), expected in WHOLE_FITTED:
        _same(tiling.fit_tile(wanted, lengths, axes), expected, (wanted, lengths))
    for (values, percent, method), expected in PERCENTILES:
        arguments = (values, percent, method)
        _same(operations.percentile_of_sorted(values, percent, method), expected, arguments)
        counts = [values.count(value) for value in range(max(values) + 1)]
        _same(operations.percentile_of_counts(counts, percent, method), expected, arguments)
    for steps, words in REFUSED:
        _same(words in _refusal(steps), True, (steps, words))
    _same(sum(operations.float32_parts(0.1)), 0.1, "nearer than 32 bit")


def _refusal(steps):
    try:
        operations.check_steps(steps, ["channel", "y", "x"], ["raw"], "m")
    except ZooferryError as problem:
        return problem.args[0]
    return ""


def _same(actual, expected, arguments):
    if isinstance(expected, float):
        assert abs(actual - expected) < 1e-12, (arguments, actual, expected)
    else:
        assert actual == expected, (arguments, actual, expected)
