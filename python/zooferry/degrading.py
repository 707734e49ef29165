"""A clean image -> what a poorer microscope would have seen of it: the steps of `degradation`, put together.

The clean image is taken for the light that comes from the specimen. It is blurred, sampled more coarsely, lit up by
background and exposed, in this order. Every number may be a range from which each image draws its own value, so that
a network meets many kinds of bad images; the same seed draws the same ones.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from zooferry.aberrations import require_modes, wavefront
from zooferry.axes import spatial_axes
from zooferry.degradation import (
    Camera,
    convolve,
    downsample,
    enlarge,
    expose,
    fitting_sizes,
    gaussian_blur,
    uneven_background,
)
from zooferry.errors import ZooferryError
from zooferry.optics import MODALITIES, Floats, Optics, point_spread_function
from zooferry.views import Views, draw_view, finish

T = TypeVar("T")
Range = tuple[float, float]
REACH_AIRY, REACH_FOCUS = 6.0, 2.0  # of a PSF's kernel: in Airy radii, and in first dark distances on the axis
UNITS_UM = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3}
VIEWS = ("window", "zoom", "gamma", "soften", "grain", "stretch")
KEYS = (
    "photons", "background", "unevenness", "psf", "aberrations", "downsample", "same_size", "camera", "pixel_size",
    *VIEWS,
)  # fmt: skip


@dataclass(frozen=True)
class Degradation:
    """How images are made worse.

    Attributes
    ----------
    photons : (float, float)
        Light of the brightest structures (99.9 percentile above the 0.1 percentile), photons per pixel of the
        result; drawn evenly on a logarithmic scale.
    background : (float, float)
        Mean light where nothing is, photons per pixel; drawn evenly, on a logarithmic scale where the range does not
        begin at 0.
    unevenness : float
        Of the background, 0 (flat) to 1.
    sigma_um : mapping, optional
        Axis -> standard deviation of a Gaussian PSF.
    optics : Optics, optional
        A theoretical PSF instead.
    aberrations : mapping
        Zernike mode -> range of its root mean square phase in radians; drawn evenly.
    downsample : mapping
        Axis -> whole number, see `zooferry.degradation.downsample`.
    same_size : bool
        Interpolate down-sampled images to the original grid; otherwise they stay small.
    camera : Camera
    pixel_size : mapping
        Axis -> um, for images that carry none.
    views : Views
        Windows, magnifications, contrasts and more, for training on few clean images.
    """

    photons: Range = (30.0, 30.0)
    background: Range = (1.0, 1.0)
    unevenness: float = 0.0
    sigma_um: Mapping[str, float] | None = None
    optics: Optics | None = None
    aberrations: Mapping[str, Range] = field(default_factory=dict)
    downsample: Mapping[str, int] = field(default_factory=dict)
    same_size: bool = True
    camera: Camera = field(default_factory=Camera)
    pixel_size: Mapping[str, float] = field(default_factory=dict)
    views: Views = field(default_factory=Views)

    def factors(self, dims: int) -> tuple[int, ...]:
        """Down-sampling per spatial axis, (z), y, x."""
        return tuple(int(self.downsample.get(axis, 1)) for axis in spatial_axes(dims))


def read_degradation(values: Mapping[str, Any]) -> Degradation:
    """A degradation from what a user wrote.

    Parameters
    ----------
    values : mapping
        Keys as in `KEYS`; numbers of photons, background and aberrations may be ``[low, high]``. ``psf`` has
        ``kind``: gaussian with ``sigma_um`` (a number, or one per axis), or widefield or confocal with the fields of
        `zooferry.optics.Optics`. ``camera`` has the fields of `zooferry.degradation.Camera`. The keys in `VIEWS` are
        the fields of `zooferry.views.Views`.

    Raises
    ------
    ZooferryError
        An unknown key, or a value that cannot be.
    """
    _require_keys("degrade", values, KEYS)
    aberrations = {k: _range(k, v, -20, 20) for k, v in _mapping("aberrations", values).items()}
    require_modes(aberrations)
    sigma, optics = _psf(_mapping("psf", values))
    if aberrations and optics is None:
        raise ZooferryError("degrade: aberrations need a psf of kind widefield or confocal")
    factors = _mapping("downsample", values)
    _require_keys("downsample", factors, ("z", "y", "x"))
    if any(isinstance(f, bool) or f not in range(1, 33) for f in factors.values()):
        raise ZooferryError(f"degrade: downsample is {factors}; allowed are whole numbers, 1 to 32")
    camera = _mapping("camera", values)
    _require_keys("camera", camera, [f.name for f in dataclasses.fields(Camera)])
    sizes = _mapping("pixel_size", values)
    _require_keys("pixel_size", sizes, ("z", "y", "x"))
    return Degradation(
        photons=_range("photons", values.get("photons", 30.0), 1e-3, 1e6),
        background=_range("background", values.get("background", 1.0), 0, 1e6),
        unevenness=_range("unevenness", values.get("unevenness", 0.0), 0, 1)[0],
        sigma_um=sigma,
        optics=optics,
        aberrations=aberrations,
        downsample={axis: int(f) for axis, f in factors.items()},
        same_size=bool(values.get("same_size", True)),
        camera=_made(Camera, camera, "camera"),
        pixel_size={axis: _range("pixel_size", size, 1e-4, 1e3)[0] for axis, size in sizes.items()},
        views=_views(values),
    )


def _views(values: Mapping[str, Any]) -> Views:
    stretch = values.get("stretch")
    return Views(
        window=int(_range("window", values.get("window", 0), 0, 1e5)[0]),
        zoom=_range("zoom", values.get("zoom", 1.0), 0.1, 10),
        gamma=_range("gamma", values.get("gamma", 1.0), 0.1, 10),
        soften=_range("soften", values.get("soften", 0.0), 0, 100),
        grain=_range("grain", values.get("grain", 0.0), 0, 100),
        stretch=None if stretch is None else _range("stretch", stretch, 0, 50),
    )


def _mapping(name: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    found = values.get(name) or {}
    if not isinstance(found, Mapping):
        raise ZooferryError(f"degrade: {name} is {found!r}; allowed: names with values, as in {{name: value}}")
    return found


def _require_keys(what: str, values: Mapping[str, Any], allowed: Sequence[str]) -> None:
    unknown = sorted(set(map(str, values)) - set(allowed))
    if unknown:
        raise ZooferryError(f"{what}: unknown {', '.join(unknown)}; allowed: {', '.join(allowed)}")


def _range(name: str, value: Any, least: float, most: float) -> Range:
    both = list(value) if isinstance(value, (list, tuple)) else [value, value]
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in both)
    if len(both) != 2 or not numbers or not least <= both[0] <= both[1] <= most:
        raise ZooferryError(f"degrade: {name} is {value!r}; allowed: a number or [low, high], {least:g} to {most:g}")
    return float(both[0]), float(both[1])


def _psf(values: Mapping[str, Any]) -> tuple[Mapping[str, float] | None, Optics | None]:
    if not values:
        return None, None
    kind = values.get("kind")
    if kind == "gaussian":
        _require_keys("psf", values, ("kind", "sigma_um"))
        sigma = values.get("sigma_um", 0.1)
        given = sigma if isinstance(sigma, Mapping) else dict.fromkeys(("z", "y", "x"), sigma)
        return {axis: _range("sigma_um", width, 0, 100)[0] for axis, width in given.items()}, None
    if kind not in MODALITIES:
        raise ZooferryError(f"psf: kind is {kind!r}; allowed: gaussian, {', '.join(MODALITIES)}")
    names = [f.name for f in dataclasses.fields(Optics) if f.name != "modality"]
    _require_keys("psf", values, ("kind", *names))
    return None, _made(Optics, {"modality": kind} | {n: v for n, v in values.items() if n != "kind"}, "psf")


def _made(kind: type[T], values: Mapping[str, Any], what: str) -> T:
    try:
        return kind(**values)
    except TypeError as error:
        raise ZooferryError(f"{what}: {dict(values)}; allowed are numbers, except for kind") from error


def pixel_size_um(attrs: Mapping[str, Any], degradation: Degradation, dims: int) -> tuple[float, ...]:
    """Pixel size per spatial axis in um: the image's own, or else that of the settings.

    Raises
    ------
    ZooferryError
        A PSF is asked for, and an axis has none.
    """
    unit = UNITS_UM.get(str(attrs.get("unit", "")))
    own: Mapping[str, float] = attrs.get("pixel_size", {}) if unit else {}
    found = [own[a] * float(unit or 1) if a in own else degradation.pixel_size.get(a) for a in spatial_axes(dims)]
    if None in found and (degradation.optics or degradation.sigma_um):
        raise ZooferryError(
            "degrade: the PSF is in um, and the image carries no pixel size for every axis; give "
            "pixel_size: {" + ", ".join(f"{axis}: 0.1" for axis in spatial_axes(dims)) + "}"
        )
    return tuple(1.0 if size is None else float(size) for size in found)


def degrade(
    image: NDArray[Any],
    degradation: Degradation,
    *,
    pixel_size: Sequence[float],
    rng: np.random.Generator,
    takes: int = 1,
) -> tuple[list[NDArray[np.float32]], NDArray[Any], dict[str, Any]]:
    """Make one image worse.

    Parameters
    ----------
    image : ndarray, axes C (Z) Y X
        Grey values on any linear scale; never changed. All channels go through the same optics.
    degradation : Degradation
    pixel_size : one float per spatial axis, um
    rng : numpy.random.Generator
    takes : int
        Exposures of the same light.

    Returns
    -------
    degraded : list of ndarray of float32, ADU
        One per take, each C (Z) Y X; whole numbers where nothing was interpolated.
    clean : ndarray
        The part (or view) of `image` that it shows: its sizes are multiples of the down-sampling.
    record : dict
        What was drawn.
    """
    dims = image.ndim - 1
    image, viewed = draw_view(image, degradation.views, rng=rng)
    factors = degradation.factors(dims)
    clean = image[(slice(None), *fitting_sizes(image.shape[1:], factors))]
    record: dict[str, Any] = {
        "photons": round(float(np.exp(rng.uniform(*np.log(degradation.photons)))), 4),
        "background": round(_drawn(degradation.background, rng), 4),
        "aberrations": {k: round(float(rng.uniform(*v)), 4) for k, v in degradation.aberrations.items()},
        **viewed,
    }
    kernel = psf_kernel(degradation, clean.shape[1:], pixel_size=pixel_size, coefficients=record["aberrations"])
    light = np.stack([_light(channel, record, degradation, kernel, pixel_size, rng=rng) for channel in clean])
    seen = [expose(light, degradation.camera, rng=rng) for _ in range(takes)]
    if degradation.same_size and max(factors) > 1:
        seen = [np.stack([enlarge(channel, factors) for channel in take]) for take in seen]
    done = [finish(take, degradation.views, rng=rng) for take in seen]
    return [take.astype(np.float32) for take, _ in done], clean, record | done[0][1]


def _drawn(limits: Range, rng: np.random.Generator) -> float:
    low, high = limits
    return float(np.exp(rng.uniform(*np.log(limits)))) if 0 < low < high else float(rng.uniform(low, high))


def _light(
    channel: NDArray[Any],
    record: Mapping[str, Any],
    degradation: Degradation,
    kernel: Floats | None,
    pixel_size: Sequence[float],
    *,
    rng: np.random.Generator,
) -> Floats:
    """What falls on the camera, photons per pixel of the result, (Z) Y X."""
    light = _blurred(_photons(channel, record["photons"]), kernel, degradation, pixel_size)
    light = downsample(light, degradation.factors(light.ndim))
    level, unevenness = record["background"], degradation.unevenness
    return light + uneven_background(light.shape, level=level, unevenness=unevenness, rng=rng)


def _photons(channel: NDArray[Any], brightest: float) -> Floats:
    """Grey values -> photons per pixel: the 0.1 percentile is dark, the 99.9 percentile is `brightest`."""
    low, high = np.percentile(channel, (0.1, 99.9))
    light: Floats = np.maximum(channel.astype(np.float64) - low, 0) * (brightest / max(float(high - low), 1e-12))
    return light


def _blurred(light: Floats, kernel: Floats | None, degradation: Degradation, pixel_size: Sequence[float]) -> Floats:
    if kernel is not None:
        return convolve(light, kernel)
    if degradation.sigma_um is not None:
        sizes = dict(zip(spatial_axes(light.ndim), pixel_size, strict=True))
        sigma = {axis: degradation.sigma_um.get(axis, 0.0) for axis in sizes}
        return gaussian_blur(light, sigma, pixel_size=sizes)
    return light


def psf_kernel(
    degradation: Degradation, sizes: Sequence[int], *, pixel_size: Sequence[float], coefficients: Mapping[str, float]
) -> Floats | None:
    """The theoretical PSF on the image's grid, odd sizes, sum 1; None where there is none.

    Parameters
    ----------
    sizes : sequence of int
        Of the image, (z), y, x; the kernel reaches no further than the image.
    coefficients : mapping
        Zernike mode -> radians.
    """
    optics = degradation.optics
    if optics is None:
        return None
    focus = 2 * optics.refractive_index * optics.emission_um / optics.numerical_aperture**2  # Born & Wolf 8.8.2
    lengths = (REACH_FOCUS * focus, *[REACH_AIRY * optics.airy_radius_um] * 2)[-len(sizes) :]
    reach = [min(math.ceil(a / p), n - 1) for a, p, n in zip(lengths, pixel_size, sizes, strict=True)]
    shape = [2 * r + 1 for r in reach]
    phase = wavefront(coefficients) if coefficients else None
    return point_spread_function(optics, shape, pixel_size=pixel_size, wavefront=phase)
