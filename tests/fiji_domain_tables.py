# ruff: noqa: B905  Python 2.7
"""Verdicts on features, the same in zooferry.domain and in the Fiji library's domain.py; CPython and Jython run them.

Written in the common subset of Python 2.7 and 3. `run_all` raises AssertionError at the first wrong row.
"""

from zooferry_fiji import domain

NAMES = ("dark", "range", "noise", "background", "fine", "coarse", "dark_texture", "structure")
TYPICAL = (100.0, 1000.0, 0.05, 0.2, 1.5, 4.0, 0.5, 10.0)
LOW = (50.0, 500.0, 0.02, 0.1, 1.0, 2.0, None, 1.4)
HIGH = (150.0, 2000.0, 0.1, 0.4, 3.0, 8.0, 1.1, None)
SEEN = dict((name, [value * 0.9, value * 1.1]) for name, value in zip(NAMES, TYPICAL))
CHANNEL = dict((name, {"seen": SEEN[name], "allowed": [low, high]}) for name, low, high in zip(NAMES, LOW, HIGH))
DOMAIN = {"dims": 2, "images": 9, "channels": [CHANNEL], "pixel_size": {"y": 0.1, "x": 0.1}, "unit": "micrometer"}
TWO = dict(DOMAIN, channels=[CHANNEL, CHANNEL])


def features(**changed):
    """Typical ones but for some, with 256 blocks."""
    return [changed.get(name, value) for name, value in zip(NAMES, TYPICAL)] + [changed.get("blocks", 256.0)]


# features of each channel of each sample -> verdict
VERDICTS = [
    ([[features()]], "inside"),
    ([[features(noise=0.1, fine=1.0)]], "inside"),  # the bounds themselves
    ([[features(noise=0.31)]], "outside: noise 0.31 of the range; training images 0.045 to 0.055"),
    ([[features(dark=-3.0)]], "outside: darkest grey value -3; training images 90 to 110"),
    ([[features(range=12345.6)]], "outside: 12346 grey values from dark to bright; training images 900 to 1100"),
    ([[features(background=0.45)]], "outside: median at 0.45 of the range; training images 0.18 to 0.22"),
    ([[features(fine=9.8765)]], "outside: detail at 2 pixels 9.88 times that at 1; training images 1.35 to 1.65"),
    ([[features(coarse=1.25)]], "outside: detail at 8 pixels 1.25 times that at 4; training images 3.6 to 4.4"),
    (
        [[features(dark_texture=2.0)]],
        "outside: dark areas have 2 times the detail of middle ones; training images 0.45 to 0.55",
    ),
    ([[features(dark_texture=1e-4)]], "inside"),  # dark areas may be as empty as they like
    ([[features(structure=1.39)]], "outside: no structure beyond noise, as of an empty field"),
    ([[features(structure=1.41)]], "inside"),
    ([[features(structure=1.41, blocks=16.0)]], "outside: no structure beyond noise, as of an empty field"),
    (
        [[features()], [features(noise=0.3)]],
        "outside in 1 of 2 planes: noise 0.3 of the range; training images 0.045 to 0.055",
    ),
    (
        [[features(noise=0.3)], [features(noise=0.2, fine=4.0)], [features()]],
        "outside in 2 of 3 planes: noise 0.2 of the range; training images 0.045 to 0.055; "
        "detail at 2 pixels 4 times that at 1; training images 1.35 to 1.65",
    ),
    ([[[]]], "not known"),  # too small
    ([[[]], [features()]], "inside"),
    ([[features(), features()]], "not known"),  # two channels, one was trained on
]

SECOND = "outside: channel 2: noise 0.3 of the range; training images 0.045 to 0.055"

# factor of each axis -> words; the training images have pixels of 0.1 um
SIZES = [
    ({}, []),
    ({"x": 1.2, "y": 0.81}, []),
    ({"x": 2.0, "y": 2.0}, ["pixel size 0.2 um in x; training images 0.1 um"]),
    ({"x": 1.0, "y": 0.5}, ["pixel size 0.05 um in y; training images 0.1 um"]),
]

# what rdf.yaml says instead of a domain -> unusable
UNUSABLE = [
    None,
    "no",
    [],
    {},
    {"dims": 2, "images": 3, "channels": None},
    {"dims": 2, "images": 3, "channels": [{}]},
    {"dims": 2, "images": 3, "channels": [dict(CHANNEL, noise={"seen": [0, 1], "allowed": ["a", 2]})]},
    {"dims": 2, "images": 3, "channels": [dict(CHANNEL, noise={"seen": [0], "allowed": [0, 2]})]},
    {"images": 3, "channels": [CHANNEL]},
]

# verdicts of the images in one file -> that of the file
WORSE = [
    ((None, "inside"), "inside"),
    (("inside", "not known"), "not known"),
    (("not known", "inside"), "not known"),
    (("outside: a", "inside"), "outside: a"),
    (("inside", "outside: b"), "outside: b"),
]


def verdict(samples, known=DOMAIN, sizes=()):
    """As the Fiji library words it."""
    return domain.verdict([domain.findings(known, sample) for sample in samples], list(sizes), "planes")


def rdf(said):
    """A description with a domain."""
    return {"config": {"zooferry": {"domain": said}}}


def run_all():
    """Every row."""
    for samples, expected in VERDICTS:
        assert verdict(samples) == expected, (samples, verdict(samples))
    assert verdict([[features(), features(noise=0.3)]], TWO) == SECOND
    for factors, expected in SIZES:
        found = domain.size_findings(factors, {"x": 0.1, "y": 0.1})
        assert found == expected, (factors, found)
    words = "outside: pixel size 0.2 um in x; training images 0.1 um"
    assert verdict([[features()]], sizes=["pixel size 0.2 um in x; training images 0.1 um"]) == words
    for said in UNUSABLE:
        assert domain.read_domain(rdf(said)) == {}, said
    for description in ({}, {"config": None}, {"config": {"zooferry": None}}):
        assert domain.read_domain(description) == {}, description
    assert domain.read_domain(rdf(DOMAIN)) == {"dims": 2, "channels": [CHANNEL]}
    for pair, expected in WORSE:
        assert domain.worse(*pair) == expected, pair
