"""Pixel sizes: of the image, of the data that a model was trained on, and what lies between them. Pure."""

# factor between pixel sizes above which a model sees structures of a size that it does not know
TOLERATED = 1.25
MICROMETRES = {
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "\\u00b5m": 1.0,  # as some files spell it
    "nm": 1e-3,
    "nanometer": 1e-3,
    "nanometre": 1e-3,
    "mm": 1e3,
    "millimeter": 1e3,
    "millimetre": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "centimetre": 1e4,
    "m": 1e6,
    "meter": 1e6,
    "metre": 1e6,
    "a": 1e-4,
    "angstrom": 1e-4,
    "inch": 25400.0,
    "in": 25400.0,
}
# of bytes, for "\u00b5" is six letters in Jython 2.7 and ruff takes the u of u"" away
MICRO, ANGSTROM = (b"\xc2\xb5".decode("utf-8"), b"\xce\xbc".decode("utf-8")), b"\xc3\x85".decode("utf-8")


def micrometres(unit):
    """Length of a unit in micrometres; None if the unit is no length, such as "pixel"."""
    word = (unit or "").strip()
    for sign in MICRO:
        word = word.replace(sign, "u")
    word = word.replace(ANGSTROM, "a").lower()
    return MICROMETRES.get(word, MICROMETRES.get(word[:-1] if word.endswith("s") else word))


def trained_size(rdf):
    """Pixel size of the training data.

    Parameters
    ----------
    rdf : dict
        The description as it stands in rdf.yaml.

    Returns
    -------
    dict
        Axis (x, y, z) -> um; empty if the package does not say.
    """
    said = (rdf.get("config") or {}).get("zooferry") or {}
    sizes, unit = said.get("pixel_size"), said.get("unit")
    if isinstance(sizes, dict) and micrometres(unit):
        return _positive((axis, float(size) * micrometres(unit)) for axis, size in sizes.items())
    return _of_axes((rdf.get("inputs") or [{}])[0].get("axes"))


def _of_axes(axes):
    # format 0.5 gives scale and unit of each axis
    found = [axis for axis in axes or [] if isinstance(axis, dict) and axis.get("type") == "space"]
    known = [axis for axis in found if axis.get("scale") and micrometres(axis.get("unit"))]
    return _positive((axis.get("id"), float(axis["scale"]) * micrometres(axis["unit"])) for axis in known)


def _positive(sizes):
    return dict((axis, size) for axis, size in sizes if axis in ("x", "y", "z") and size > 0)


def factors(sizes, unit, trained):
    """How many times larger a pixel of the image is than one of the training data.

    Parameters
    ----------
    sizes : dict
        Axis -> size in `unit`.
    unit : str
    trained : dict
        See `trained_size`.

    Returns
    -------
    dict
        Axis -> factor; empty where either is unknown.
    """
    length = micrometres(unit)
    if not length:
        return {}
    return dict((axis, sizes[axis] * length / trained[axis]) for axis in trained if sizes.get(axis) and sizes[axis] > 0)


def deviating(found):
    """The axes of `factors` that lie beyond `TOLERATED`."""
    return sorted(axis for axis, factor in found.items() if max(factor, 1.0 / factor) > TOLERATED + 1e-9)


def warning(found, trained, model):
    """One line on a pixel size that is not that of the training data; empty if it fits or is unknown.

    Parameters
    ----------
    found, trained : dict
        See `factors` and `trained_size`.
    model : str
        Name.
    """
    axes = deviating(found)
    if not axes:
        return ""
    axis = "x" if "x" in axes else axes[0]
    larger = found[axis] > 1
    return (
        "pixels of this image are %.3g times %s in %s than those model %s was trained on (%.4g um): structures may be "
        "missed; rescale=yes brings the image to that size and the result back"
        % (
            found[axis] if larger else 1.0 / found[axis],
            "larger" if larger else "smaller",
            axis,
            model,
            trained[axis],
        )
    )
