"""One run as it was asked for: which planes of which images, at which size, with which model."""

from . import calibration, choice, grid, instances, pixels, rescaling
from .description import load_rdf, read_model
from .errors import ZooferryError
from .likeness import Likeness
from .provenance import identity

UNKNOWN_SIZE = "rescale=yes needs the pixel size of both: %s; set it in Image > Properties, or leave rescale away"


class Job(object):
    """A checked request.

    Parameters
    ----------
    images : list of ImagePlus
        One per input of the model; only read.
    folder : str
        An unpacked package.
    settings : dict
        See settings.parse.

    Attributes
    ----------
    folder : str
    model : dict
        See description.read_model.
    passes : list of dict
        See choice.passes.
    lengths : dict
        Axis -> pixels that the network sees.
    region : (int, int, int, int) or None
        x, y, width, height of a preview, in pixels of the image.
    warning : str
        On the pixel size; empty if there is nothing to say.
    likeness : likeness.Likeness
    """

    def __init__(self, images, folder, settings):
        rdf = load_rdf(folder)
        self.folder = folder
        self.rdf = rdf
        self.id = identity(rdf)
        self.likeness = Likeness(rdf)
        self.model = read_model(folder, rdf)
        self.settings = settings
        self.images = [pixels.split_colours(image) for image in images]
        self.region = _region(images[0]) if settings["region"] == "visible region" else None
        self.passes = self._passes(images)
        slices = set(place[0] for one in self.passes for place in one["places"])
        instances.require_planes(self.model["instances"], len(slices), self.model["name"])
        self.depth = ([axis["name"] for axis in self.model["grid"] if axis["name"] in grid.DEPTHS] + ["z"])[0]
        self.whole = _lengths(images[0], self.passes[0]["places"], self.depth)
        self._compare_sizes(rdf)
        self.centred = bool(settings["diameter"])
        if self.centred:
            self.factors = self._diameter_factors(float(settings["diameter"]))
        self.lengths = rescaling.scaled_lengths(self.whole, self.factors, images[0].getTitle())

    def _passes(self, images):
        model = self.model
        if len(images) != len(model["inputs"]):
            names = ", ".join(tensor["id"] for tensor in model["inputs"])
            raise ZooferryError(
                "model %s takes %d images (%s), %d came: the menu command gives one, zooferry gives several"
                % (model["name"], len(model["inputs"]), names, len(images))
            )
        settings = dict(self.settings)
        if self.region and not settings["planes"]:
            settings["planes"] = "current"
        found = [
            choice.passes(_facts(image), _wishes(model, tensor), settings if i == 0 else dict(settings, channels=""))
            for i, (image, tensor) in enumerate(zip(images, model["inputs"]))
        ]
        for image, passes, prepared in zip(images, found, self.images):
            if _sizes(image) != _sizes(images[0]) or len(passes) != len(found[0]):
                raise ZooferryError(
                    "images %s and %s have different sizes: crop one of them" % (images[0].getTitle(), image.getTitle())
                )
            pixels.check_finite(prepared, passes)
        if len(images) == 1:
            pixels.check_varied(self.images[0], found[0])
        return [dict(one, channels=[passes[i]["channels"] for passes in found]) for i, one in enumerate(found[0])]

    def _compare_sizes(self, rdf):
        # the pixel size of the image against that of the training data
        image, trained = self.images[0], calibration.trained_size(rdf)
        own = image.getCalibration()
        sizes = {"x": own.pixelWidth, "y": own.pixelHeight, "z": own.pixelDepth}
        known = [axis["name"] for axis in self.model["grid"]]
        found = calibration.factors(sizes, own.getUnit(), dict((a, s) for a, s in trained.items() if a in known))
        self.warning, self.factors, self._seen_sizes = "", {}, ({}, {})
        if self.settings["rescale"] == "no":
            self.warning = calibration.warning(found, trained, self.model["name"])
            self._seen_sizes = (found, trained)
        elif found:
            self.factors = found
        else:
            lacking = "image %s has the unit %s" % (image.getTitle(), own.getUnit())
            raise ZooferryError(
                UNKNOWN_SIZE % (lacking if trained else "model %s does not tell its own" % self.model["name"])
            )

    def _diameter_factors(self, diameter):
        # bring objects of that diameter to the one that the model has learnt
        declared = self.model["instances"] or {}
        wanted = declared.get("diameter") or 0
        if not wanted:
            raise ZooferryError(
                "model %s does not say which diameter it has learnt: leave diameter away" % self.model["name"]
            )
        if self.settings["rescale"] == "yes":
            raise ZooferryError("rescale and diameter both resize the image: leave one of them away")
        factor, most = float(wanted) / diameter, rescaling.LARGEST
        if not 1.0 / most <= factor <= most:
            limits = (diameter, self.model["name"], wanted, wanted / most, wanted * most)
            raise ZooferryError("diameter is %g, model %s has learnt %g: allowed are %.3g to %.3g pixels" % limits)
        return {"y": factor, "x": factor}

    def domain(self):
        """Whether the image is like the training images: see domain.verdict."""
        return self.likeness.verdict(*self._seen_sizes)

    def volumes(self, one, check):
        """The pixels of a pass, one Volume (C (Z) Y X, raw) per input; `check` as in pixels.read_volume."""
        found = [
            pixels.read_volume(image, channels, one["places"], self.depth, check)
            for image, channels in zip(self.images, one["channels"])
        ]
        if self.lengths == self.whole:
            return found
        sizes = [self.lengths.get(name, 1) for name in (self.depth, "y", "x")]
        if self.depth not in [axis["name"] for axis in self.model["grid"]]:
            sizes[0] = 1
        return [rescaling.scaled_volume(volume, sizes, self.centred) for volume in found]

    def restored_sizes(self, tensor):
        """The size of an output along depth Y X, at the image's own pixel size."""
        sizes = [tensor["sizes"].get(name) for name in (self.depth, "y", "x")]
        lengths = [self.whole.get(name, 1) for name in (self.depth, "y", "x")]
        return [1 if size is None else grid.out_length(size, n) for size, n in zip(sizes, lengths)]

    def seen_region(self):
        """The region as ((from, to) along Y, (from, to) along X) in pixels that the network sees; None: all."""
        if self.region is None:
            return None
        x, y, width, height = self.region
        ratios = [float(self.lengths[name]) / self.whole[name] for name in ("y", "x")]
        return tuple((start * r, (start + n) * r) for start, n, r in zip((y, x), (height, width), ratios))


def _lengths(image, places, depth):
    return {depth: len(places), "y": image.getHeight(), "x": image.getWidth()}


def _sizes(image):
    return image.getWidth(), image.getHeight(), image.getNSlices(), image.getNFrames()


def _facts(image):
    rgb = image.getBitDepth() == 24
    return {
        "title": image.getTitle(),
        "rgb": rgb,
        "channels": 3 if rgb else image.getNChannels(),
        "slices": image.getNSlices(),
        "frames": image.getNFrames(),
        "slice": image.getSlice(),
        "frame": image.getFrame(),
        "timed": image.getCalibration().frameInterval > 0,
    }


def _wishes(model, tensor):
    depth = [axis for axis in tensor["axes"] if axis in grid.DEPTHS]
    return {"name": model["name"], "channels": tensor["channels"], "depth": "".join(depth)}


def _region(image):
    # the area that is selected, or else what the window shows
    roi, whole = image.getRoi(), (0, 0, image.getWidth(), image.getHeight())
    bounds = roi.getBounds() if roi is not None and roi.isArea() else None
    if bounds is None and image.getCanvas() is not None:
        bounds = image.getCanvas().getSrcRect()
    if bounds is None:
        return whole
    x, y = max(bounds.x, 0), max(bounds.y, 0)
    right, bottom = min(bounds.x + bounds.width, whole[2]), min(bounds.y + bounds.height, whole[3])
    if right <= x or bottom <= y:
        raise ZooferryError("the selection lies outside image %s: move it, or remove it" % image.getTitle())
    return x, y, right - x, bottom - y
