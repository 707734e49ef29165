"""How one image goes through the network: padded sizes, windows, and where a tensor's pixels lie. Pure."""

from . import grid, tiling

# larger windows gain nothing: the first touch of their memory costs more than the halo of smaller ones
LARGEST_WINDOW = {2: 1536 * 1536, 3: 64 * 256 * 256}


def _channels(tensor):
    # what a tensor takes for each pixel of a window; of an enlarged output as many times more
    result = tensor["channels"]
    for size in tensor.get("sizes", {}).values():
        result *= max(1, int(round(size["ratio"])))
    return result


class Plan(object):
    """Sizes and windows along (depth) Y X, in pixels.

    Parameters
    ----------
    model : dict
        See description.read_model.
    lengths : dict
        Axis -> pixels of the image.
    tile : int
        Length asked for; 0: automatic.
    affordable : int
        Pixels of one channel that the memory allows in a window.
    """

    def __init__(self, model, lengths, tile, affordable):
        axes = model["grid"]
        for axis in axes:
            grid.require_fixed(lengths[axis["name"]], axis, model["name"])
        self.names = [axis["name"] for axis in axes]
        self.depth = ([name for name in self.names if name in grid.DEPTHS] + ["z"])[0]
        self.lengths = dict((name, lengths[name]) for name in self.names)
        padded = [tiling.padded_length(lengths[axis["name"]], axis["min"], axis["step"]) for axis in axes]
        self.channels = max(_channels(tensor) for tensor in model["inputs"] + model["outputs"])
        if tile:
            sizes = tiling.fit_tile(tile, padded, axes)
        else:
            sizes = tiling.choose_tile(padded, axes, min(LARGEST_WINDOW[len(axes)], affordable // self.channels))
        self.padded = dict(zip(self.names, padded))
        self.tile = dict(zip(self.names, sizes))
        self.whole = [tensor["id"] for tensor in model["outputs"] if tensor.get("labels")]
        self.windows = dict(
            (axis["name"], tiling.plan_tiles(length, size, axis["halo"], axis["step"] or 1, axis["min"]))
            for length, size, axis in zip(padded, sizes, axes)
        )

    def tile_text(self):
        """Such as 64 x 256 x 256."""
        return " x ".join("%d" % self.tile[name] for name in self.names)

    def pixels(self):
        """Of one channel of a window."""
        result = 1
        for length in self.tile.values():
            result *= length
        return result

    def places(self, region=None):
        """One dict per window: axis -> (start, keep_from, keep_to), z of one pixel for a 2D model.

        `region` ((from, to) along Y, (from, to) along X) leaves out the windows that keep nothing of it.
        """
        windows = [self.windows.get(name, [(0, 0, 1)]) for name in (self.depth, "y", "x")]
        triples = [(z, y, x) for z in windows[0] for y in windows[1] for x in windows[2]]
        inside = [one for one in triples if all(w[1] < n for w, n in zip(one, self._image_sizes()))]
        inside = triples if self.whole else inside
        if region is not None:
            inside = [
                one for one in inside if all(w[1] < end and w[2] > start for w, (start, end) in zip(one[1:], region))
            ]
        return [dict(zip((self.depth, "y", "x"), one)) for one in inside]

    def _image_sizes(self):
        return [self.lengths.get(name, 1) for name in (self.depth, "y", "x")]

    def padded_sizes(self):
        """Padded image along depth Y X."""
        return [self.padded.get(name, 1) for name in (self.depth, "y", "x")]

    def input_box(self, place):
        """The window along depth Y X: ((start, size), ...)."""
        return [(place[name][0], self.tile.get(name, 1)) for name in (self.depth, "y", "x")]

    def output_box(self, place, tensor):
        """What to keep of an output's window: along depth Y X ((first in the window, from, to), ...)."""
        lengths = self._lengths(tensor)
        return [self._kept(place[name], tensor["sizes"].get(name), name, lengths) for name in (self.depth, "y", "x")]

    def _lengths(self, tensor):
        # labels are made of the heads of the padded image
        return self.padded if tensor["id"] in self.whole else self.lengths

    def _kept(self, window, size, name, lengths):
        if size is None:
            return (0, 0, 1)
        if len(self.windows.get(name, [0])) == 1:
            return (0, 0, grid.out_length(size, lengths.get(name, 1)))
        start, keep_from, keep_to = [int(round(position * size["ratio"])) for position in window]
        return (keep_from - start, keep_from, min(keep_to, grid.out_length(size, lengths[name])))

    def output_sizes(self, tensor):
        """The whole output along depth Y X."""
        sizes = [tensor["sizes"].get(name) for name in (self.depth, "y", "x")]
        lengths = [self._lengths(tensor).get(name, 1) for name in (self.depth, "y", "x")]
        return [1 if size is None else grid.out_length(size, n) for size, n in zip(sizes, lengths)]

    def shape(self, tensor):
        """Of one window's tensor, in network order."""
        return [self._length(axis, tensor) for axis in tensor["axes"]]

    def _length(self, axis, tensor):
        if axis == "batch":
            return 1
        if axis == "channel":
            return tensor["channels"]
        if "sizes" in tensor:
            return grid.out_length(tensor["sizes"][axis], self.tile.get(axis, 1))
        return self.tile[axis]

    def strides(self, tensor):
        """How far apart neighbours along channel, depth, Y and X lie in one window's buffer; 0: no such axis."""
        strides, step = {}, 1
        for axis, length in reversed(list(zip(tensor["axes"], self.shape(tensor)))):
            strides[axis] = step
            step *= length
        return [strides.get(name, 0) for name in ("channel", self.depth, "y", "x")]
