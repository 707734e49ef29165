"""The theoretical point spread function of a wide-field or confocal microscope.

Scalar theory: the light of a point fills the pupil of the objective, a disc of radius NA / wavelength in spatial
frequency; the field in a plane at depth z is the Fourier transform of the pupil function times the defocus phase
``2 pi z sqrt((n / wavelength)^2 - f^2)``, the intensity its squared modulus.

Sources: Born & Wolf, "Principles of Optics", 8.5 and 8.8 (Airy pattern, axial intensity); Richards & Wolf 1959
(aplanatic apodisation); Hanser et al., J. Microscopy 216 (2004), equations 1 and 2 (pupil functions);
Wilson, "Confocal Microscopy" (1990), chapter 3 (illumination times pinhole-blurred detection).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from zooferry.errors import ZooferryError

Floats = NDArray[np.float64]
Wavefront = Callable[[Floats, Floats], Floats]
"""Aberration: (pupil radius 0..1, pupil angle in radians) -> phase in radians, all of the same shape."""

MODALITIES = ("widefield", "confocal")
PADDING = 3  # the field is computed on a grid this many times wider: worst error 0.8 % of the peak (2: 2.0 %, 4: 0.4 %)


@dataclass(frozen=True)
class Optics:
    """An objective and the light that goes through it.

    Attributes
    ----------
    modality : {"widefield", "confocal"}
    numerical_aperture : float
        Below `refractive_index`.
    emission_um, excitation_um : float
        Vacuum wavelengths in um; the second is used by "confocal" only.
    refractive_index : float
        Of immersion and specimen alike (no index mismatch).
    pinhole_airy : float
        Diameter of the confocal pinhole in Airy discs of the emission, 1.22 wavelength / NA.
    """

    modality: Literal["widefield", "confocal"] = "widefield"
    numerical_aperture: float = 1.3
    emission_um: float = 0.52
    excitation_um: float = 0.488
    refractive_index: float = 1.515
    pinhole_airy: float = 1.0

    def __post_init__(self) -> None:
        if self.modality not in MODALITIES:
            raise ZooferryError(f"modality is {self.modality!r}: allowed are {', '.join(MODALITIES)}")
        for name in ("numerical_aperture", "emission_um", "excitation_um", "refractive_index", "pinhole_airy"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ZooferryError(f"{name} is {value}: it must be a positive number (lengths in um)")
        if self.numerical_aperture >= self.refractive_index:
            raise ZooferryError(
                f"numerical_aperture {self.numerical_aperture} is not below refractive_index "
                f"{self.refractive_index}: use the index of the immersion (air 1.0, water 1.33, oil 1.515)"
            )

    @property
    def airy_radius_um(self) -> float:
        """First zero of the in-focus pattern: 0.61 wavelength / NA (Born & Wolf 8.5.2)."""
        return 0.61 * self.emission_um / self.numerical_aperture


def point_spread_function(
    optics: Optics,
    shape: Sequence[int],
    *,
    pixel_size: Sequence[float],
    wavefront: Wavefront | None = None,
) -> Floats:
    """Image of a point, as the pixels of a camera see it.

    Parameters
    ----------
    optics : Optics
    shape : (Y, X) or (Z, Y, X)
        The point is in the centre of pixel ``n // 2`` of each axis; (Y, X) is the plane in focus.
    pixel_size : one float per axis of `shape`, um
    wavefront : callable, optional
        An aberration of the pupil: ``wavefront(radius, angle)`` in radians of phase.

    Returns
    -------
    ndarray of float64, `shape`
        Not negative, sum 1.

    Raises
    ------
    ZooferryError
        If `shape` and `pixel_size` are not 2 or 3 positive numbers each.
    """
    if len(shape) not in (2, 3) or len(pixel_size) != len(shape) or min(*shape, *pixel_size) <= 0:
        raise ZooferryError(
            f"PSF of shape {tuple(shape)} with pixel size {tuple(pixel_size)} um: "
            "both must be positive and hold one value per axis, (Y, X) or (Z, Y, X)"
        )
    planes = shape[0] if len(shape) == 3 else 1
    spacing = pixel_size[0] if len(shape) == 3 else 0.0
    depths = [spacing * (plane - planes // 2) for plane in range(planes)]
    psf = psf_planes(optics, shape[-2:], pixel_size=pixel_size[-2:], depths_um=depths, wavefront=wavefront)
    normalized: Floats = psf.reshape(tuple(shape)) / psf.sum()
    return normalized


def psf_planes(
    optics: Optics,
    plane_shape: Sequence[int],
    *,
    pixel_size: Sequence[float],
    depths_um: Sequence[float],
    wavefront: Wavefront | None = None,
) -> Floats:
    """Images of one point at any distances from the focal plane, on one intensity scale.

    Parameters
    ----------
    optics : Optics
    plane_shape : (Y, X)
    pixel_size : (Y, X), um
    depths_um : sequence of float, um
        Distance of each plane from the focus.
    wavefront : callable, optional
        See `point_spread_function`.

    Returns
    -------
    ndarray of float64, axes (plane, Y, X)
        A wide-field plane sums to 1 but for what falls outside `plane_shape`; confocal planes sum to less the
        further they are from focus (optical sectioning), and to at most 1.
    """
    over = _oversampling(optics, pixel_size)
    fine_shape = tuple(over * PADDING * n for n in plane_shape)
    fine_pixel = tuple(size / over for size in pixel_size)
    blur = _pinhole_transfer(optics, fine_shape, fine_pixel)
    emission = Pupil.of(optics, fine_shape, pixel_size=fine_pixel, wavefront=wavefront)
    planes = [emission.intensity(z) for z in depths_um]
    if optics.modality == "confocal":
        illuminating = replace(optics, emission_um=optics.excitation_um)
        excitation = Pupil.of(illuminating, fine_shape, pixel_size=fine_pixel, wavefront=wavefront)
        peak = excitation.intensity(0.0).max()
        planes = [
            excitation.intensity(z) / peak * np.maximum(fft.ifft2(fft.fft2(plane) * blur).real, 0)
            for z, plane in zip(depths_um, planes, strict=True)
        ]
    return np.stack([_bin_centre(fft.fftshift(plane), plane_shape, over) for plane in planes])


@dataclass(frozen=True, eq=False)
class Pupil:
    """A pupil function on the frequency grid of an image, axes (Y, X) in FFT order.

    Attributes
    ----------
    transmission : ndarray of complex128
        Amplitude and aberration; 0 outside the aperture.
    axial_frequency : ndarray of float64, 1/um
        ``sqrt((n / wavelength)^2 - f^2)``.
    """

    transmission: NDArray[np.complex128]
    axial_frequency: Floats

    @classmethod
    def of(
        cls,
        optics: Optics,
        shape: Sequence[int],
        *,
        pixel_size: Sequence[float],
        wavefront: Wavefront | None = None,
    ) -> Pupil:
        """The aplanatic pupil of an objective for the emission wavelength, its edge smoothed over one sample."""
        fy, fx = _frequencies(shape, pixel_size)
        f = np.hypot(fy, fx)
        cutoff = optics.numerical_aperture / optics.emission_um
        medium = optics.refractive_index / optics.emission_um
        step = max(1 / (n * size) for n, size in zip(shape, pixel_size, strict=True))
        axial = np.sqrt(np.maximum(medium**2 - f**2, 0))
        # sine condition: amplitude sqrt(cos) per solid angle is 1 / sqrt(cos) per area of the pupil
        apodisation = np.sqrt(medium / np.maximum(axial, 0.1 * math.sqrt(medium**2 - cutoff**2)))
        transmission = np.clip((cutoff - f) / step + 0.5, 0, 1) * apodisation
        if wavefront is not None:
            transmission = transmission * np.exp(1j * wavefront(f / cutoff, np.arctan2(fy, fx)))
        return cls(transmission.astype(np.complex128), axial)

    def intensity(self, depth_um: float) -> Floats:
        """Intensity of a point at a distance from the focus, axes (Y, X) in FFT order, sum 1."""
        field = fft.ifft2(self.transmission * np.exp(2j * np.pi * depth_um * self.axial_frequency))
        intensity = np.abs(field) ** 2
        normalized: Floats = intensity / intensity.sum()
        return normalized


def _frequencies(shape: Sequence[int], pixel_size: Sequence[float]) -> tuple[Floats, Floats]:
    fy, fx = (fft.fftfreq(n, size) for n, size in zip(shape, pixel_size, strict=True))
    return fy[:, None], fx[None, :]


def _oversampling(optics: Optics, pixel_size: Sequence[float]) -> int:
    """Odd factor that brings the pixels below half the Nyquist distance of the intensity, wavelength / (4 NA)."""
    wavelength = min(optics.emission_um, optics.excitation_um)
    factor = math.ceil(max(pixel_size) * 8 * optics.numerical_aperture / wavelength)
    return factor + 1 - factor % 2


def _pinhole_transfer(optics: Optics, shape: Sequence[int], pixel_size: Sequence[float]) -> Any:
    """Fourier transform of a round pinhole of unit area, ``2 J1(x) / x``, axes (Y, X) in FFT order."""
    fy, fx = _frequencies(shape, pixel_size)
    x = 2 * np.pi * np.hypot(fy, fx) * optics.pinhole_airy * optics.airy_radius_um
    return 2 * special.j1(x) / np.where(x == 0, 1, x) + (x == 0)


def _bin_centre(fine: Floats, plane_shape: Sequence[int], over: int) -> Floats:
    """Sum the fine samples that lie in each camera pixel; (Y fine, X fine) -> (Y, X)."""
    starts = [n // 2 - over // 2 - over * (m // 2) for n, m in zip(fine.shape, plane_shape, strict=True)]
    ny, nx = plane_shape
    window = fine[starts[0] : starts[0] + over * ny, starts[1] : starts[1] + over * nx]
    pixels: Floats = window.reshape(ny, over, nx, over).sum(axis=(1, 3))  # (Y, over, X, over) -> (Y, X)
    return pixels
