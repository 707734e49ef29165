"""Which planes of an image go through the network together; what is ambiguous is asked, never guessed. Pure.

One pass is {"group": g, "channels": [c, ...], "places": [(z, t), ...]}, from 0: what the network sees at a time, the
places along its depth; passes of one group have the same channels.
"""

from .errors import AmbiguousError, ZooferryError
from .settings import channel_numbers

EACH = ("each", "every channel on its own")


def passes(image, model, settings):
    """The passes of one image, in the order of its channels, frames and slices.

    Parameters
    ----------
    image : dict
        "title", "rgb", "channels", "slices", "frames", the current "slice" and "frame" (from 1), and "timed": whether
        a frame interval is known.
    model : dict
        "name", "channels" of its input, and "depth": "z", "time" or "" for a 2D model.
    settings : dict
        See settings.parse.

    Raises
    ------
    AmbiguousError
        If the settings must say more.
    """
    groups = _channel_groups(image, model, settings["channels"])
    return [
        {"group": group, "channels": channels, "places": places}
        for group, channels in enumerate(groups)
        for places in _places(image, model, settings["planes"])
    ]


def _channel_groups(image, model, wanted):
    # lists of channels, from 0, that the network sees together
    taken, count = model["channels"], image["channels"]
    numbers = channel_numbers(wanted)
    if wanted == "each" and taken == 1:
        return [[c] for c in range(count)]
    if not wanted and count == taken and not image["rgb"]:
        return [list(range(count))]
    if not wanted and count >= taken:
        raise _which_channels(image, model)
    if not numbers or len(numbers) != taken or max(numbers) > count:
        asked = " (channels=%s)" % wanted if wanted else ""
        raise ZooferryError(
            "%s has %d channels, model %s takes %d%s: %s"
            % (_name(image), count, model["name"], taken, asked, _cure(count, taken))
        )
    return [[number - 1 for number in numbers]]


def _cure(count, taken):
    if count < taken:
        return "merge the channels that the model knows with Image > Color > Merge Channels"
    if taken == 1:
        return "channels may be each, or one number from 1 to %d" % count
    return "channels may be %d numbers from 1 to %d, such as %s" % (
        taken,
        count,
        ",".join("%d" % (i + 1) for i in range(taken)),
    )


def _which_channels(image, model):
    count, taken = image["channels"], model["channels"]
    colours = (" (red)", " (green)", " (blue)") if image["rgb"] else ("",) * count
    if taken == 1:
        choices = [EACH] + [("%d" % (c + 1), "channel %d%s only" % (c + 1, colours[c])) for c in range(count)]
    else:
        first = ",".join("%d" % (c + 1) for c in range(taken))
        choices = [(first, "channels %s together" % first)]
    what = "is RGB" if image["rgb"] else "has %d channels" % count
    return AmbiguousError("%s %s, model %s takes %d" % (_name(image), what, model["name"], taken), "channels", choices)


def _places(image, model, planes):
    # for each pass its (z, t)
    depth = _depth(image, model, planes)
    slices, frames = range(image["slices"]), range(image["frames"])
    if planes == "current" and depth != "z":
        slices = [image["slice"] - 1]
    if planes == "current" and depth != "time":
        frames = [image["frame"] - 1]
    if depth == "z":
        return [[(z, t) for z in slices] for t in frames]
    if depth == "time":
        return [[(z, t) for t in frames] for z in slices]
    return [[(z, t)] for t in frames for z in slices]


def _depth(image, model, planes):
    # the axis of the image that lies along the network's depth
    depth, title = model["depth"], _name(image)
    exchanged = {"frames as slices": ("z", "time"), "slices as frames": ("time", "z")}.get(planes)
    if exchanged:
        if exchanged[0] != depth:
            raise ZooferryError("planes is %s, but model %s takes %s" % (planes, model["name"], _wanted(depth)))
        depth = exchanged[1]
    elif depth == "z":
        _check_z(image, model, planes)
    elif depth == "time" and image["frames"] < 2 <= image["slices"]:
        raise AmbiguousError(
            "%s has no frames but %d slices, model %s takes time series" % (title, image["slices"], model["name"]),
            "planes",
            [("slices as frames", "the slices are points in time")],
        )
    length = {"z": "slices", "time": "frames"}.get(depth)
    if length and image[length] < 2:
        what = "Z" if depth == "z" else "frames"
        raise ZooferryError("%s has no %s, model %s takes %s" % (title, what, model["name"], _wanted(model["depth"])))
    return depth


def _check_z(image, model, planes):
    title, slices, frames = _name(image), image["slices"], image["frames"]
    words = "%s has %s, model %s takes Z stacks"
    if slices < 2 <= frames:
        raise AmbiguousError(
            words % (title, "no Z but %d frames" % frames, model["name"]),
            "planes",
            [("frames as slices", "the frames are slices of a Z stack")],
        )
    if slices > 1 and frames == 1 and image["timed"] and not planes:
        raise AmbiguousError(
            words % (title, "%d slices and a frame interval: they may be points in time" % slices, model["name"]),
            "planes",
            [("all", "the slices are a Z stack")],
        )


def _wanted(depth):
    return {"z": "Z stacks", "time": "time series"}.get(depth, "single planes")


def _name(image):
    return "image %s" % image["title"]
