"""Two images -> one verdict, with the numbers and words of zooferry.comparison.

A value agrees if |actual - expected| <= atol + rtol * |expected|, in double precision; values that are NaN or
infinite never do.
"""

import json

from .errors import ZooferryError

RTOL = ATOL = 1e-4
INFINITE = float("inf")


class Verdict(object):
    """How far planes are from the expected ones.

    `add` takes them one after the other; then `size`, `mismatched`, `mismatched_ppm`, `max_abs`, `max_rel`, `passed`
    and `reason` hold for all of them, and `at` is (plane, index in the plane) of the worst value: the first that is
    not finite, else the largest |d| beyond what is allowed, or, if all agree, the largest |d| as a part of it.
    """

    def __init__(self, name, rtol=RTOL, atol=ATOL, allowed_ppm=0.0):
        self.name, self.rtol, self.atol, self.allowed_ppm = name, rtol, atol, allowed_ppm
        self.size = self.mismatched = self.finite = self.planes = 0
        self.not_finite = [0, 0]
        self.max_abs = self.max_rel = 0.0
        self._worst, self._part = (-INFINITE, None), (-1.0, None)

    def add(self, numbers, count, values):
        """One plane.

        Parameters
        ----------
        numbers : list of float
            What the kernel `Numbers.compare` returns.
        count : int
            Values in the plane.
        values : callable
            Index -> (actual, expected).
        """
        bad, bad_actual, bad_expected, finite, max_abs, max_rel, worst, worst_at, part, part_at = numbers
        self.size += count
        self.mismatched += int(bad)
        self.finite += int(finite)
        self.not_finite = [self.not_finite[0] + int(bad_actual), self.not_finite[1] + int(bad_expected)]
        self.max_abs, self.max_rel = max(self.max_abs, max_abs), max(self.max_rel, max_rel)
        if worst > self._worst[0]:
            self._worst = (worst, (self.planes, int(worst_at)) + tuple(values(int(worst_at))))
        if part > self._part[0]:
            self._part = (part, (self.planes, int(part_at)) + tuple(values(int(part_at))))
        self.planes += 1

    @property
    def at(self):
        return self._place()[:2]

    @property
    def actual(self):
        return self._place()[2]

    @property
    def expected(self):
        return self._place()[3]

    def _place(self):
        return (self._worst if self._worst[0] > 0 else self._part)[1]

    @property
    def mismatched_ppm(self):
        return self.mismatched / float(self.size) * 1e6

    @property
    def reason(self):
        """Why the images disagree, in words; empty if they agree."""
        for what, count in zip(("", "expected "), self.not_finite):
            if count:
                return "%s of %s %svalues of '%s' are NaN or infinite" % (
                    spaced(count), spaced(self.size), what, self.name,
                )  # fmt: skip
        if self.mismatched_ppm <= self.allowed_ppm:
            return ""
        words = "%s of %s values of '%s' disagree" % (spaced(self.mismatched), spaced(self.size), self.name)
        return words + (" (allowed are %g ppm)" % self.allowed_ppm if self.allowed_ppm else "")

    @property
    def passed(self):
        return not self.reason

    def sentence(self, place):
        """One line for people; `place` says where the worst value is."""
        if not self.finite:
            return self.reason
        if self.max_abs == 0 and self.passed:
            return "all %s values are equal" % spaced(self.size)
        actual, expected = self.actual, self.expected
        worst = "worst %s at %s" % (short_number(abs(actual - expected)), place)
        if not (is_finite(actual) and is_finite(expected)):
            worst = "got %s, expected %s at %s" % (_plain(actual), _plain(expected), place)
        elif self.mismatched:
            worst += " (expected %.6g, got %.6g)" % (expected, actual)
        good = self.size - self.mismatched
        return "%s of %s values within %s, %s" % (spaced(good), spaced(self.size), self._allowed(), worst)

    def _allowed(self):
        if self.max_abs <= self.atol:
            return short_number(self.atol)
        return "%s + %s x |expected|" % (short_number(self.atol), short_number(self.rtol))

    def details(self, at):
        """The numbers as a dict for JSON; one that does not exist or is not finite is None."""
        numbers = {"max_abs": self.max_abs if self.finite else None, "max_rel": self.max_rel if self.finite else None}
        numbers.update(actual=self.actual, expected=self.expected)
        result = dict((key, None if value is None or not is_finite(value) else value) for key, value in numbers.items())
        result.update(name=self.name, passed=self.passed, size=self.size, mismatched=self.mismatched)
        result.update(mismatched_ppm=self.mismatched_ppm, at=at, rtol=self.rtol, atol=self.atol)
        return result


def short_number(value):
    """A tolerance or an error as people write it, two digits: 3e-6, 0.25, 12."""
    if value == 0 or not is_finite(value) or 0.01 <= abs(value) < 1000:
        return "%.2g" % value if abs(value) < 100 else "%.0f" % value
    mantissa, _, exponent = ("%.1e" % value).partition("e")
    return "%se%d" % (mantissa[:-2] if mantissa.endswith(".0") else mantissa, int(exponent))


def spaced(count):
    """A count with its thousands apart: 65 536."""
    return "{:,}".format(count).replace(",", " ")


def is_finite(value):
    """Neither NaN nor infinite."""
    return value - value == 0


def _plain(value):
    return "%g" % value if not is_finite(value) else repr(value)


def compare_planes(verdict, pairs):
    """Add (actual, expected) float[] of equal lengths to a verdict."""
    from .kernels import load

    kernel = load("numbers")
    for actual, expected in pairs:
        numbers = kernel.compare(actual, expected, verdict.rtol, verdict.atol)
        verdict.add(numbers, len(actual), lambda i, a=actual, e=expected: (a[i], e[i]))


def compare_images(actual, expected, rtol=RTOL, atol=ATOL, allowed_ppm=0.0):
    """The agreement of two images, plane by plane.

    Parameters
    ----------
    actual, expected : ImagePlus
        Of equal sizes; raw values, signed 16 bit as such. Neither is changed.
    rtol, atol : float
    allowed_ppm : float
        Parts per million of the values that may disagree.

    Returns
    -------
    Verdict, str
        And where its worst value is: "y 3, x 17", with c, z and t where the image has them.

    Raises
    ------
    ZooferryError
        RGB, or different sizes.
    """
    _check_comparable(actual, expected)
    verdict = Verdict(actual.getTitle(), rtol, atol, allowed_ppm)
    compare_planes(verdict, _pairs(actual, expected))
    return verdict, place_of(verdict, actual)


def place_of(verdict, image):
    """Where the worst value is; axes of length 1 are left out."""
    place = position(verdict, image)
    width, height, channels, slices, frames = image.getDimensions()
    lengths = zip("tzcyx", (frames, slices, channels, height, width))
    return ", ".join("%s %d" % (axis, place[axis]) for axis, length in lengths if length > 1) or "the only value"


def position(verdict, image):
    """Axis -> index of the worst value, from 0."""
    plane, index = verdict.at
    c, z, t = [number - 1 for number in image.convertIndexToPosition(plane + 1)]
    return {"t": t, "z": z, "c": c, "y": index // image.getWidth(), "x": index % image.getWidth()}


def _check_comparable(actual, expected):
    for image in (actual, expected):
        if image.getBitDepth() == 24:
            raise ZooferryError(
                "image %s is RGB: convert both with Image > Type > 8-bit, or split their channels" % image.getTitle()
            )
    if list(actual.getDimensions()) != list(expected.getDimensions()):
        raise ZooferryError(
            "images %s (%s) and %s (%s) have different sizes: crop or rearrange one of them"
            % (actual.getTitle(), size_text(actual), expected.getTitle(), size_text(expected))
        )


def size_text(image):
    """Such as "x 64 y 48 z 5"."""
    lengths = zip("xyczt", image.getDimensions())
    return " ".join("%s %d" % (axis, length) for axis, length in lengths if length > 1 or axis in "xy")


def _pairs(actual, expected):
    for number in range(1, actual.getStackSize() + 1):
        yield tuple(raw_floats(image, number) for image in (actual, expected))


def raw_floats(image, number):
    """The raw values of one plane (from 1), row by row, as float[]; those of a 32-bit image are not copied."""
    plane = image.getStack().getProcessor(number)
    if plane.getBitDepth() == 32:
        return plane.getPixels()
    plane.setCalibrationTable(None)
    plane = plane.convertToFloatProcessor()
    if image.getLocalCalibration().isSigned16Bit():
        plane.add(-32768)
    return plane.getPixels()


def rows():
    """The parameters of the menu command: see asking.values. The two images that were used last come first."""
    from ij import WindowManager

    current = WindowManager.getCurrentImage()
    titles = [current.getTitle()] if current is not None else []
    titles += [title for title in WindowManager.getImageTitles() or [] if title not in titles]
    titles = titles or [""]
    return [
        ("actual", "image to judge (actual)", titles),
        ("expected", "image it should equal (expected)", titles[1:] + titles[:1]),
        ("rtol", "allowed part of |expected| (rtol)", RTOL),
        ("atol", "allowed in any case (atol)", ATOL),
        ("allowed", "values that may disagree (ppm)", 0.0),
    ]


def asked(title, rows, given):
    """Ask if needed, compare, and say how it went: what `command` returns, and the values (None if cancelled)."""
    from . import asking

    try:
        chosen = asking.values(title, rows, given)
    except ZooferryError as problem:
        return False, problem.args[0], json.dumps({"passed": False, "error": problem.args[0]}), []
    if chosen is None:
        return False, "cancelled", "{}", None
    return command(*chosen) + (chosen,)


def command(actual, expected, rtol, atol, allowed_ppm):
    """What the menu command does.

    Parameters
    ----------
    actual, expected : ImagePlus or str
        Open images, or their titles.
    rtol, atol, allowed_ppm : float

    Returns
    -------
    (bool, str, str)
        Whether the images agree; one line for the user; JSON with "passed", "size", "mismatched", "mismatched_ppm",
        "max_abs", "max_rel", "at", "actual", "expected", or "error".
    """
    from . import asking

    try:
        images = [one if hasattr(one, "getTitle") else asking.image(one) for one in (actual, expected)]
        verdict, place = compare_images(images[0], images[1], rtol or 0.0, atol or 0.0, allowed_ppm or 0.0)
    except ZooferryError as problem:
        return False, problem.args[0], json.dumps({"passed": False, "error": problem.args[0]})
    status = "%s: %s" % ("agree" if verdict.passed else "DISAGREE", verdict.sentence(place))
    if verdict.mismatched and verdict.finite:
        status += "; %.6g ppm disagree, largest |d| %s, relative %s" % (
            verdict.mismatched_ppm, short_number(verdict.max_abs), short_number(verdict.max_rel),
        )  # fmt: skip
    return verdict.passed, status, json.dumps(verdict.details(position(verdict, images[0])))
