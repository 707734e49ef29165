"""Tables of the pure part of Run Zooferry Model: test_fiji_run.py runs them in CPython, test_imagej_results in Jython.

Written in the common subset of Python 2.7 and 3. `run_all` raises AssertionError at the first wrong row.
"""

from zooferry_fiji import calibration, choice, models, progress, provenance, rescaling, settings, titles, unpacking
from zooferry_fiji.errors import ZooferryError

# given -> what differs from the defaults
PARSED = [
    ({}, {}),
    ({"tile": None, "planes": "", "engine": " "}, {}),
    ({"tile": "64", "threads": 2.0}, {"tile": 64, "threads": 2}),
    ({"planes": "Frames as Slices"}, {"planes": "frames as slices"}),
    ({"region": "visible_region"}, {"region": "visible region"}),
    ({"channels": "3, 1"}, {"channels": "3,1"}),
    ({"diameter": "17.50"}, {"diameter": "17.5"}),
    ({"diameter": "0"}, {}),
    ({"channels": "Each", "rescale": "YES"}, {"channels": "each", "rescale": "yes"}),
]

# given -> words of the refusal
REFUSED = [
    ({"tile": "-1"}, "tile is -1: allowed are whole numbers"),
    ({"tile": "1.5"}, "tile is 1.5"),
    ({"threads": "many"}, "threads is many"),
    ({"planes": "some"}, "planes is some: allowed are all, current"),
    ({"engine": "tensorflow"}, "engine is tensorflow: allowed are automatic, onnx"),
    ({"channels": "0"}, "channels is 0"),
    ({"channels": "1,1"}, "channels is 1,1"),
    ({"channels": "red"}, "channels is red"),
    ({"diameter": "-3"}, "diameter is -3: allowed are pixels, or 0"),
    ({"diameter": "large"}, "diameter is large"),
    ({"tiles": "4"}, "there is no setting tiles"),
]


def _image(channels, slices, frames, **more):
    facts = {"title": "i", "rgb": False, "channels": channels, "slices": slices, "frames": frames}
    return dict(facts, **dict({"slice": 2, "frame": 1, "timed": False}, **more))


def _model(channels, depth=""):
    return {"name": "m", "channels": channels, "depth": depth}


# image, model, settings -> (channels, places) of each pass
PASSES = [
    ((_image(1, 1, 1), _model(1), {}), [([0], [(0, 0)])]),
    ((_image(1, 2, 2), _model(1), {}), [([0], [p]) for p in ((0, 0), (1, 0), (0, 1), (1, 1))]),
    ((_image(1, 3, 2, frame=2), _model(1), {"planes": "current"}), [([0], [(1, 1)])]),
    ((_image(2, 1, 1), _model(1), {"channels": "each"}), [([0], [(0, 0)]), ([1], [(0, 0)])]),
    ((_image(3, 1, 1), _model(1), {"channels": "2"}), [([1], [(0, 0)])]),
    ((_image(3, 1, 1), _model(2), {"channels": "3,1"}), [([2, 0], [(0, 0)])]),
    ((_image(2, 1, 1), _model(2), {}), [([0, 1], [(0, 0)])]),
    ((_image(3, 1, 1, rgb=True), _model(1), {"channels": "1"}), [([0], [(0, 0)])]),
    ((_image(1, 2, 2), _model(1, "z"), {}), [([0], [(0, 0), (1, 0)]), ([0], [(0, 1), (1, 1)])]),
    ((_image(1, 2, 2), _model(1, "z"), {"planes": "current"}), [([0], [(0, 0), (1, 0)])]),
    ((_image(1, 2, 2), _model(1, "time"), {}), [([0], [(0, 0), (0, 1)]), ([0], [(1, 0), (1, 1)])]),
    ((_image(1, 1, 2), _model(1, "z"), {"planes": "frames as slices"}), [([0], [(0, 0), (0, 1)])]),
    ((_image(1, 2, 1), _model(1, "time"), {"planes": "slices as frames"}), [([0], [(0, 0), (1, 0)])]),
    ((_image(1, 2, 1, timed=True), _model(1, "z"), {"planes": "all"}), [([0], [(0, 0), (1, 0)])]),
]

# image, model, settings -> setting that must decide ("": no setting helps), words
UNCLEAR = [
    ((_image(2, 1, 1), _model(1), {}), "channels", "has 2 channels, model m takes 1: set channels=each"),
    ((_image(3, 1, 1, rgb=True), _model(1), {}), "channels", "is RGB, model m takes 1"),
    ((_image(3, 1, 1, rgb=True), _model(3), {}), "channels", "channels=1,2,3 (channels 1,2,3 together)"),
    ((_image(3, 1, 1), _model(2), {}), "channels", "channels=1,2"),
    ((_image(1, 1, 5), _model(1, "z"), {}), "planes", "no Z but 5 frames, model m takes Z stacks"),
    ((_image(1, 5, 1, timed=True), _model(1, "z"), {}), "planes", "may be points in time"),
    ((_image(1, 5, 1), _model(1, "time"), {}), "planes", "planes=[slices as frames]"),
    ((_image(1, 1, 1), _model(2), {}), "", "has 1 channels, model m takes 2: merge"),
    ((_image(3, 1, 1), _model(1), {"channels": "4"}), "", "(channels=4): channels may be each"),
    ((_image(3, 1, 1), _model(2), {"channels": "each"}), "", "2 numbers from 1 to 3"),
    ((_image(1, 1, 1), _model(1, "z"), {}), "", "has no Z, model m takes Z stacks"),
    ((_image(1, 1, 1), _model(1, "time"), {}), "", "has no frames, model m takes time series"),
    ((_image(1, 1, 4), _model(1), {"planes": "frames as slices"}), "", "model m takes single planes"),
]

# unit -> micrometres
SIGNS = [sign.decode("utf-8") for sign in (b"\xc2\xb5", b"\xce\xbc", b"\xc3\x85")]  # micro, mu, angstrom
UNITS = [
    ("um", 1.0), ("micron", 1.0), ("Microns", 1.0), (SIGNS[0] + "m", 1.0), (SIGNS[1] + "m", 1.0), (SIGNS[2], 1e-4),
    ("nm", 1e-3), ("mm", 1e3),
    ("micrometer", 1.0), ("pixel", None), ("", None), (None, None), ("inches", None),
]  # fmt: skip

# size of the image, unit, training size -> deviating axes
SIZES = [
    (({"x": 0.5, "y": 0.5}, "um", {"x": 0.5, "y": 0.5}), []),
    (({"x": 0.6, "y": 0.5}, "um", {"x": 0.5, "y": 0.5}), []),
    (({"x": 0.625, "y": 0.5}, "um", {"x": 0.5, "y": 0.5}), []),
    (({"x": 0.65, "y": 0.5}, "um", {"x": 0.5, "y": 0.5}), ["x"]),
    (({"x": 500.0, "y": 100.0}, "nm", {"x": 0.5, "y": 0.5}), ["y"]),
    (({"x": 1.0, "y": 1.0}, "pixel", {"x": 0.5, "y": 0.5}), []),
]

# title, output, taken -> title
TITLES = [
    (("nuclei.tif", "restored", []), "nuclei_restored"),
    (("nuclei.ome.tif", "restored", []), "nuclei_restored"),
    (("a.b c", "restored", []), "a.b c_restored"),
    ((".tif", "restored", []), ".tif_restored"),
    (("nuclei", "restored", ["nuclei_restored"]), "nuclei_restored-1"),
    (("nuclei", "x", ["nuclei_x", "nuclei_x-1"]), "nuclei_x-2"),
]

# done, total, seconds -> text
LINES = [
    ((0, 12, 0.0), "0 of 12 tiles"),
    ((3, 12, 3.0), "3 of 12 tiles, 9 s left"),
    ((3, 12, 0.01), "3 of 12 tiles, 1 s left"),
    ((1, 61, 5.0), "1 of 61 tiles, 5 min left"),
    ((1, 721, 10.0), "1 of 721 tiles, 2 h 00 min left"),
    ((12, 12, 3.0), "12 of 12 tiles"),
]

# entries of a zip of 1000 bytes -> words, or "" if they are fine
ZIPS = [
    ([("rdf.yaml", 10), ("sub/", 0), ("sub/a.onnx", 100)], ""),
    ([("../a", 1)], "leads outside"),
    ([("/a", 1)], "leads outside"),
    ([("a\\..\\b", 1)], "leads outside"),
    ([("C:/a", 1)], "leads outside"),
    ([("a\nb", 1)], "control characters"),
    ([("a", 1), ("A. ", 1)], "twice"),
    ([("x" * 300, 1)], "too long"),
    ([("a", 1 << 40)], "it is no model package"),
    ([("a", 1 << 30)], "zip bomb"),
    ([("a", 1)] * 10001, "10001 files"),
]

# word -> folders; each with its folder's name and other words
MODELS = [("/m/n2v", ["n2v", "Denoiser", "id/1"]), ("/m/care", ["care", "Denoiser", "n2v"]), ("/m/Big", ["Big"])]
MATCHES = [
    ("n2v", ["/m/n2v"]),
    ("Denoiser", ["/m/n2v", "/m/care"]),
    ("big", ["/m/Big"]),
    ("id/1", ["/m/n2v"]),
    ("x", []),
]

# length, wanted -> (low, high, weight)
WEIGHTS = [
    ((2, 4), [(0, 1, 0.0), (0, 1, 0.25), (0, 1, 0.75), (0, 1, 1.0)]),
    ((4, 2), [(0, 1, 0.5), (2, 3, 0.5)]),
    ((1, 2), [(0, 0, 0.0), (0, 0, 0.0)]),
]


def run_all():
    """Every row of the tables above."""
    _settings()
    _planes()
    _sizes()
    for (title, output, taken), wanted in TITLES:
        assert titles.unique_title(titles.result_title(title, output), taken) == wanted, title
    for arguments, wanted in LINES:
        assert progress.progress_text(*arguments) == wanted, (arguments, progress.progress_text(*arguments))
    for entries, words in ZIPS:
        said = _said(unpacking.check_entries, "z.zip", 1000, entries)
        assert words in said, said
        assert bool(words) == bool(said), said
    for word, folders in MATCHES:
        assert models.matching(word, MODELS) == folders, word
    info = provenance.info({"model": "m", "note": "", "tile": "3 x 4"}, "old")
    assert info.split("\n")[1:] == ["zooferry model: m", "zooferry tile: 3 x 4", "old"], info


def _settings():
    defaults = settings.parse({})
    for given, differing in PARSED:
        found = settings.parse(given)
        assert found == dict(defaults, **differing), (given, found)
        again = settings.parse(dict(settings.options(found)))
        assert again == found, (again, found)
    for given, words in REFUSED:
        assert words in _said(settings.parse, given), (given, _said(settings.parse, given))


def _planes():
    for (image, model, given), wanted in PASSES:
        found = choice.passes(image, model, settings.parse(given))
        assert [(one["channels"], one["places"]) for one in found] == wanted, (image, model, given, found)
    for (image, model, given), key, words in UNCLEAR:
        problem = _problem(choice.passes, image, model, settings.parse(given))
        assert words in problem.args[0], problem.args[0]
        assert getattr(problem, "key", "") == key, problem.args[0]
        for value, _ in getattr(problem, "choices", []):  # every answer is one that settles it
            choice.passes(image, model, settings.parse(dict(given, **{key: value})))


def _sizes():
    for unit, wanted in UNITS:
        assert calibration.micrometres(unit) == wanted, unit
    for arguments, wanted in SIZES:
        assert calibration.deviating(calibration.factors(*arguments)) == wanted, arguments
    rdf = {"config": {"zooferry": {"pixel_size": {"x": 200.0, "z": 0.0}, "unit": "nm"}}}
    found = calibration.trained_size(rdf)
    assert list(found) == ["x"], found
    assert abs(found["x"] - 0.2) < 1e-12, found
    axes = [{"type": "space", "id": "y", "scale": 0.3, "unit": "micrometer"}, {"type": "batch"}]
    assert calibration.trained_size({"inputs": [{"axes": axes}]}) == {"y": 0.3}
    words = calibration.warning({"x": 0.5}, {"x": 0.4}, "m")
    assert "pixels of this image are 2 times smaller in x" in words, words
    for arguments, wanted in WEIGHTS:
        assert rescaling.linear_weights(*arguments) == wanted, arguments
    lengths = rescaling.scaled_lengths({"x": 100, "y": 101, "z": 7}, {"x": 0.5, "y": 1.001}, "i")
    assert lengths == {"x": 50, "y": 101, "z": 7}, lengths
    assert "check pixel size and unit" in _said(rescaling.scaled_lengths, {"x": 1}, {"x": 100.0}, "i")


def _said(call, *arguments):
    problem = _problem(call, *arguments)
    return problem.args[0] if problem else ""


def _problem(call, *arguments):
    try:
        call(*arguments)
    except ZooferryError as problem:
        return problem
    return None
