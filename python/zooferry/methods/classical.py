"""Classical filters and deconvolutions that a network must beat to be worth its trouble.

Each has one strength, in units that fit any image: pixels, iterations, or the image's own noise. It is chosen on pairs,
because estimated noise alone is a poor guide: on real images the best strengths were 1.5 to 2.5 times as large.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from zooferry.errors import ZooferryError
from zooferry.metrics import affine_fit, normalize_reference, score

Image = NDArray[np.float32]
Pairs = Sequence[tuple[np.ndarray, np.ndarray]]
SMALLEST_NOISE = 1e-6  # of the image's range: a noise-free image has none to measure strengths by
COARSE, FINE = 9, 6  # trials of strengths on a grid, and then around the best of them


@dataclass(frozen=True)
class Filter:
    """A filter of one strength.

    Attributes
    ----------
    name : str
        As in tables.
    unit : str
        Of the strength.
    apply : callable
        (image, strength) -> image of the same shape; (Z) Y X, float32.
    strengths : tuple of float
        All that are tried; of a `continuous` filter the least and the largest.
    continuous : bool
        Any strength between the two is possible; it is searched on a logarithmic scale.
    """

    name: str
    unit: str
    apply: Callable[[Image, float], Image]
    strengths: tuple[float, ...]
    continuous: bool = True


def gaussian(image: np.ndarray, sigma: float) -> Image:
    """Gaussian filter of an image (Z) Y X; `sigma` in pixels along every axis, float32 out."""
    filtered: Image = ndimage.gaussian_filter(image.astype(np.float32), sigma)
    return filtered


def median(image: np.ndarray, side: float) -> Image:
    """Median of a box of `side` pixels, an odd number, along every axis."""
    filtered: Image = ndimage.median_filter(image.astype(np.float32), round(side))
    return filtered


def total_variation(image: np.ndarray, strength: float) -> Image:
    """Chambolle's total variation (skimage), its weight in units of the image's noise."""
    from skimage.restoration import denoise_tv_chambolle

    noise = noise_level(image)
    found = denoise_tv_chambolle(image.astype(np.float64) / noise, weight=strength)  # type: ignore[no-untyped-call]
    return np.asarray(found * noise, np.float32)


def non_local_means(image: np.ndarray, strength: float) -> Image:
    """Non-local means (skimage, fast form), its cut-off in units of the image's noise."""
    from skimage.restoration import denoise_nl_means

    size = {"patch_size": 5, "patch_distance": 6} if image.ndim == 2 else {"patch_size": 3, "patch_distance": 3}
    h = strength * noise_level(image)
    return np.asarray(denoise_nl_means(image.astype(np.float64), h=h, fast_mode=True, **size), np.float32)


def wavelet(image: np.ndarray, strength: float) -> Image:
    """Soft wavelet thresholds as BayesShrink sets them (skimage, db2), the noise taken `strength` times as strong."""
    from skimage.restoration import denoise_wavelet

    noise = noise_level(image)
    found = denoise_wavelet(image.astype(np.float64) / noise, sigma=strength, wavelet="db2", rescale_sigma=False)
    return np.asarray(found * noise, np.float32)


def noise_level(image: np.ndarray) -> float:
    """Standard deviation of white noise, from the median of the finest diagonal differences (Donoho 1994).

    Parameters
    ----------
    image : ndarray
        (Z) Y X; differences are taken in the planes.
    """
    image = image.astype(np.float64)
    ny, nx = (n - n % 2 for n in image.shape[-2:])
    a, b, c, d = (image[..., y:ny:2, x:nx:2] for y in (0, 1) for x in (0, 1))
    noise = float(np.median(np.abs(a - b - c + d)) / 2 / 0.6744897501960817)
    return max(noise, SMALLEST_NOISE * float(image.max() - image.min()), 1e-30)


FILTERS: tuple[Filter, ...] = (
    Filter("gaussian", "pixels", gaussian, (0.3, 6.0)),
    Filter("median", "pixels", median, (3, 5, 7, 9, 11), continuous=False),
    Filter("total variation", "x noise", total_variation, (0.2, 40.0)),
    Filter("non-local means", "x noise", non_local_means, (0.3, 15.0)),
    Filter("wavelet", "x noise", wavelet, (0.5, 15.0)),
)


def deconvolutions(kernel: NDArray[np.float64]) -> tuple[Filter, ...]:
    """Richardson-Lucy and Wiener deconvolution by a PSF.

    Parameters
    ----------
    kernel : ndarray
        (Z) Y X, odd sizes, sum 1.
    """
    return (
        Filter(
            "richardson-lucy", "iterations", lambda image, n: richardson_lucy(image, kernel, round(n)),
            (1, 2, 3, 5, 8, 12, 20, 35, 60), continuous=False,
        ),
        Filter("wiener", "balance", lambda image, balance: wiener(image, kernel, balance), (1e-4, 1e2)),
    )  # fmt: skip


def richardson_lucy(image: np.ndarray, kernel: NDArray[np.float64], iterations: int) -> Image:
    """Richardson-Lucy deconvolution (skimage) of the light above the 0.1 percentile, mirrored at the borders."""
    from skimage.restoration import richardson_lucy as deconvolve

    dark = float(np.percentile(image, 0.1))
    light, inside = _mirrored(np.maximum(image - dark, 0), kernel)
    brightest = max(float(light.max()), 1e-30)
    start = light / brightest + 1e-9
    psf = _cut_to(kernel, light.shape)
    found = deconvolve(start, psf, num_iter=iterations, clip=False, filter_epsilon=1e-9)  # type: ignore[no-untyped-call]
    return np.asarray(found[inside] * brightest + dark, np.float32)


def wiener(image: np.ndarray, kernel: NDArray[np.float64], balance: float) -> Image:
    """Wiener deconvolution (skimage; its regulariser is a Laplacian), mirrored at the borders."""
    from skimage.restoration import wiener as deconvolve

    low, high = float(image.min()), float(image.max())
    light, inside = _mirrored((image - low) / max(high - low, 1e-30), kernel)
    found = deconvolve(light, _cut_to(kernel, light.shape), balance, clip=False)  # type: ignore[no-untyped-call]
    return np.asarray(found[inside] * (high - low) + low, np.float32)


def _mirrored(image: np.ndarray, kernel: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[slice, ...]]:
    """The image with the kernel's reach around it, and where it lies in that."""
    margins = [min(k // 2, n) for k, n in zip(kernel.shape, image.shape, strict=True)]
    padded = np.pad(image.astype(np.float64), [(m, m) for m in margins], mode="symmetric")
    return padded, tuple(slice(m, m + n) for m, n in zip(margins, image.shape, strict=True))


def _cut_to(kernel: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The middle of the kernel, no larger than the image, sum 1."""
    reach = [min(k // 2, (n - 1) // 2) for k, n in zip(kernel.shape, shape, strict=True)]
    cut = kernel[tuple(slice(k // 2 - r, k // 2 + r + 1) for k, r in zip(kernel.shape, reach, strict=True))]
    return np.asarray(cut / cut.sum())


def best_strength(chosen: Filter, pairs: Pairs) -> float:
    """The strength with the lowest mean NRMSE on (noisy, clean) pairs, images (Z) Y X.

    Raises
    ------
    ZooferryError
        There is no pair.
    """
    if not pairs:
        raise ZooferryError("no pair to choose the strength of a filter on; give one noisy image and its clean partner")

    errors: dict[float, float] = {}

    def error(strength: float) -> float:
        strength = float(f"{strength:.3g}")
        if strength not in errors:
            errors[strength] = float(np.mean([_nrmse(chosen.apply(noisy, strength), clean) for noisy, clean in pairs]))
        return errors[strength]

    if not chosen.continuous:
        return min(chosen.strengths, key=error)
    # a coarse look first, and the best of all tried: skimage's total variation stops early, its errors go up and down
    coarse = np.geomspace(chosen.strengths[0], chosen.strengths[1], COARSE)
    best = int(np.argmin([error(float(strength)) for strength in coarse]))
    low, high = np.log(coarse[[max(best - 1, 0), min(best + 1, COARSE - 1)]])
    options = {"xatol": 0.03, "maxiter": FINE}
    optimize.minimize_scalar(lambda x: error(math.exp(x)), bounds=(low, high), method="bounded", options=options)
    return min(errors, key=lambda strength: errors[strength])


def _nrmse(candidate: np.ndarray, clean: np.ndarray) -> float:
    target = normalize_reference(clean)
    fitted, _, _ = affine_fit(candidate, target)
    return float(np.sqrt(np.mean((fitted - target) ** 2)))


def best_gaussian(pairs: Pairs, largest: float = 6.0) -> float:
    """Width in pixels with the lowest mean NRMSE on (noisy, clean) pairs, so that nobody is fooled by a weak baseline.

    Parameters
    ----------
    pairs : sequence of (ndarray, ndarray)
        Images (Z) Y X.
    largest : float
        Largest width that is tried.
    """

    def error(sigma: float) -> float:
        return float(np.mean([score(gaussian(noisy, sigma), clean).nrmse for noisy, clean in pairs]))

    found = optimize.minimize_scalar(error, bounds=(0.3, largest), method="bounded", options={"xatol": 0.05})
    return round(float(found.x), 2)
