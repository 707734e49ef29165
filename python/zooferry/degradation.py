"""Image formation: what a microscope and its camera do to the truth.

The chain is specimen -> `convolve` with a PSF (see `optics`) -> background -> `expose`. Images are N-dimensional
(Y, X or Z, Y, X) in one code path; light is counted in photons per pixel, camera images in ADU (grey values).
Whatever is random takes a numpy Generator: the same seed gives the same image. Nothing changes its input.

Sources: Foi et al., IEEE Trans. Image Process. 17 (2008), equation 4 (Poisson-Gaussian noise of a camera);
EMVA Standard 1288, release 4.0, section 2 (quantum efficiency, gain, read noise, saturation).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from zooferry.errors import ZooferryError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """A camera with a linear response.

    Attributes
    ----------
    gain : float
        Grey values per photoelectron, ADU/e-.
    offset : float
        Mean grey value in the dark, ADU.
    read_noise : float
        Standard deviation of the Gaussian noise of each read-out, e-.
    quantum_efficiency : float
        Photoelectrons per photon, in (0, 1].
    bit_depth : int
        1 to 16; grey values saturate at ``2**bit_depth - 1``.
    """

    gain: float = 2.0
    offset: float = 100.0
    read_noise: float = 1.6
    quantum_efficiency: float = 0.8
    bit_depth: int = 16

    def __post_init__(self) -> None:
        allowed = {
            "gain": (0 < self.gain < math.inf, "a positive number of ADU per electron"),
            "offset": (0 <= self.offset < math.inf, "a number of ADU, 0 or more"),
            "read_noise": (0 <= self.read_noise < math.inf, "a number of electrons, 0 or more"),
            "quantum_efficiency": (0 < self.quantum_efficiency <= 1, "above 0 and at most 1"),
            "bit_depth": (self.bit_depth in range(1, 17), "a whole number of bits, 1 to 16"),
        }
        for name, (good, words) in allowed.items():
            if not good:
                raise ZooferryError(f"camera {name} is {getattr(self, name)}: it must be {words}")

    @property
    def saturation(self) -> int:
        """The largest grey value, ADU."""
        return int(2**self.bit_depth - 1)

    @property
    def adu_per_photon(self) -> float:
        """Grey values per photon: gain times quantum efficiency."""
        return self.gain * self.quantum_efficiency


def expected_counts(photons: NDArray[Any], camera: Camera) -> NDArray[np.float32]:
    """Noise-free camera image: the mean of endlessly many exposures that do not saturate.

    Parameters
    ----------
    photons : ndarray of any shape, photons per pixel

    Returns
    -------
    ndarray of float32, same shape, ADU
    """
    counts: NDArray[np.float32] = (camera.offset + camera.adu_per_photon * photons).astype(np.float32)
    return counts


def photons_from_counts(counts: NDArray[Any], camera: Camera) -> Floats:
    """The inverse of `expected_counts`: ADU -> photons per pixel, float64; dark pixels become 0."""
    photons = (np.asarray(counts, dtype=np.float64) - camera.offset) / camera.adu_per_photon
    return np.maximum(photons, 0.0)


def expose(photons: NDArray[Any], camera: Camera, *, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Take one picture: Poisson photoelectrons, Gaussian read noise, gain, offset, rounding, saturation.

    Parameters
    ----------
    photons : ndarray of any shape
        Expected photons per pixel.
    camera : Camera
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of uint16, same shape, ADU
        Without saturation mean ``offset + gain QE photons``, variance
        ``gain^2 (QE photons + read_noise^2) + 1/12`` (the last term from rounding).

    Raises
    ------
    ZooferryError
        If `photons` holds negative or non-finite values.
    """
    photons = np.asarray(photons, dtype=np.float64)
    if not (np.isfinite(photons).all() and (photons >= 0).all()):
        raise ZooferryError(
            f"expected photons range from {photons.min():g} to {photons.max():g}: "
            "only finite values of 0 or more can be exposed; subtract the camera offset, then clip at 0"
        )
    electrons = rng.poisson(camera.quantum_efficiency * photons).astype(np.float64)
    electrons += camera.read_noise * rng.standard_normal(photons.shape)
    counts = np.rint(camera.offset + camera.gain * electrons)
    return np.clip(counts, 0, camera.saturation).astype(np.uint16)


def convolve(image: NDArray[Any], kernel: NDArray[Any]) -> Floats:
    """Convolve by FFT, with the image mirrored at its borders.

    Parameters
    ----------
    image : ndarray, axes (Y, X) or (Z, Y, X) or any N
    kernel : ndarray with the same number of axes
        Its centre is pixel ``n // 2`` of each axis, so that an odd kernel moves nothing.

    Returns
    -------
    ndarray of float64, shape of `image`
        Where neither input is negative, rounding errors below 0 are set to 0.

    Raises
    ------
    ZooferryError
        If the two have different numbers of axes, or one is empty.
    """
    image, kernel = np.asarray(image, np.float64), np.asarray(kernel, np.float64)
    if image.ndim != kernel.ndim or 0 in (*image.shape, *kernel.shape):
        raise ZooferryError(
            f"image of shape {image.shape} and kernel of shape {kernel.shape}: both need the same axes, none empty"
        )
    # output[i] = sum_k kernel[k] image[i + n // 2 - k], so n - 1 - n // 2 pixels are needed before, n // 2 after
    margins = [(n - 1 - n // 2, n // 2) for n in kernel.shape]
    mirrored = np.pad(image, margins, mode="symmetric")
    result: Floats = signal.fftconvolve(mirrored, kernel, mode="valid")
    if image.min() >= 0 and kernel.min() >= 0:
        result = np.maximum(result, 0.0)
    return result


def gaussian_blur(
    image: NDArray[Any], sigma_um: float | Mapping[str, float], *, pixel_size: Mapping[str, float]
) -> Floats:
    """Blur by a Gaussian whose width is given in um, on pixels of any aspect.

    Parameters
    ----------
    image : ndarray
        One axis per entry of `pixel_size`, in its order.
    sigma_um : float, or axis -> float
        Standard deviation in um, of all axes or of each.
    pixel_size : axis -> float, um
        For example ``{"z": 0.3, "y": 0.1, "x": 0.1}``.

    Returns
    -------
    ndarray of float64, shape of `image`

    Raises
    ------
    ZooferryError
        If the number of axes differs, or an axis has no sigma.
    """
    widths = dict(sigma_um) if isinstance(sigma_um, Mapping) else dict.fromkeys(pixel_size, sigma_um)
    if image.ndim != len(pixel_size) or set(widths) != set(pixel_size):
        raise ZooferryError(
            f"image with {image.ndim} axes, pixel size for {', '.join(pixel_size)}, sigma for {', '.join(widths)}: "
            "give one pixel size and one sigma for each axis of the image"
        )
    sigma = [widths[axis] / size for axis, size in pixel_size.items()]
    blurred: Floats = ndimage.gaussian_filter(np.asarray(image, np.float64), sigma, mode="reflect")
    return blurred


def uneven_background(shape: tuple[int, ...], *, level: float, unevenness: float, rng: np.random.Generator) -> Floats:
    """Background light that changes slowly across the field: a random tilt and bowl along each axis.

    Parameters
    ----------
    shape : tuple of int
        Any N axes.
    level : float
        Mean, photons per pixel.
    unevenness : float
        Largest relative deviation from the unscaled mean, 0 (flat) to 1.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float64, `shape`, photons per pixel, none below 0, mean `level`

    Raises
    ------
    ZooferryError
        If `level` is negative or `unevenness` is not in 0 to 1.
    """
    if not (0 <= level < math.inf and 0 <= unevenness <= 1):
        raise ZooferryError(
            f"background level {level}, unevenness {unevenness}: allowed are a level of 0 or more and 0 to 1"
        )
    field = np.zeros(shape)
    for axis, n in enumerate(shape):
        position = np.linspace(-1, 1, n) if n > 1 else np.zeros(n)
        tilt, bowl = rng.uniform(-1, 1, 2)
        along = [n if a == axis else 1 for a in range(len(shape))]
        field += (tilt * position + bowl * (position**2 - 1 / 3)).reshape(along)
    uneven = 1 + unevenness * field / max(float(np.abs(field).max()), 1e-12)
    scaled: Floats = level * uneven / uneven.mean()
    return scaled


def downsample(image: NDArray[Any], factors: Sequence[int]) -> Floats:
    """Take fewer samples: larger camera pixels along y and x, fewer slices along z.

    Parameters
    ----------
    image : ndarray, axes (Y, X) or (Z, Y, X)
        Sizes are multiples of the factors, see `fitting_sizes`.
    factors : sequence of int
        One per axis. A pixel becomes the mean of ``factor`` by ``factor`` pixels; of ``factor`` slices the middle
        one is kept (the upper of the two in the middle), because a section of the microscope is as thin as before.

    Returns
    -------
    ndarray of float64, sizes divided by the factors
    """
    image = np.asarray(image, np.float64)
    if image.ndim == 3:
        image = image[factors[0] // 2 :: factors[0]]
    ny, nx = (n // f for n, f in zip(image.shape[-2:], factors[-2:], strict=True))
    blocks = image.reshape(*image.shape[:-2], ny, factors[-2], nx, factors[-1])  # (Z) y Y' x X'
    return np.asarray(blocks.mean(axis=(-3, -1)))


def enlarge(image: NDArray[Any], factors: Sequence[int]) -> Floats:
    """Bring what `downsample` gave back to the original grid by linear interpolation; nothing is moved.

    Parameters
    ----------
    image : ndarray, axes (Y, X) or (Z, Y, X)
    factors : sequence of int
        As given to `downsample`.

    Returns
    -------
    ndarray of float64, sizes times the factors
    """
    image = np.asarray(image, np.float64)
    # where the first sample lies on the fine grid: the middle of its pixels, or the slice that was kept
    first = [f // 2 if image.ndim == 3 and axis == 0 else (f - 1) / 2 for axis, f in enumerate(factors)]
    enlarged: Floats = ndimage.affine_transform(
        image,
        [1 / f for f in factors],
        offset=[-where / f for where, f in zip(first, factors, strict=True)],
        output_shape=tuple(n * f for n, f in zip(image.shape, factors, strict=True)),
        order=1,
        mode="nearest",
    )
    return enlarged


def fitting_sizes(sizes: Sequence[int], factors: Sequence[int]) -> tuple[slice, ...]:
    """The part of an image, from its first pixel, whose sizes are multiples of the factors.

    Raises
    ------
    ZooferryError
        An axis is shorter than its factor.
    """
    if any(n < f for n, f in zip(sizes, factors, strict=True)):
        raise ZooferryError(f"image of {tuple(sizes)} pixels is smaller than the down-sampling {tuple(factors)}")
    return tuple(slice(n - n % f) for n, f in zip(sizes, factors, strict=True))
