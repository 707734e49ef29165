"""Restoration scores: NRMSE, PSNR and SSIM after the affine fit of the CARE paper.

A restored image may come on any intensity scale, so it is first fitted to the reference:

1. the reference is scaled so that its 0.1 and 99.9 percentiles become 0 and 1 (values outside are kept);
2. gain and offset of the candidate are chosen by least squares over all pixels of the image;
3. the scores are those of the fitted candidate, with a data range of 1.

Source: Weigert et al., "Content-aware image restoration", Nature Methods 15 (2018), Online Methods,
"Normalized root-mean-square error" and "Structural similarity"; SSIM: Wang et al. 2004, as implemented by
``skimage.metrics.structural_similarity`` with its defaults (7 x 7 uniform window).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooferry.errors import ZooferryError

REFERENCE_PERCENTILES = (0.1, 99.9)
SSIM_WINDOW = 7
SMALLEST_ERROR = 1e-12  # keeps the PSNR of a perfect restoration finite: 240 dB


@dataclass(frozen=True)
class RestorationScore:
    """How close one image came to its reference, after the affine fit.

    Attributes
    ----------
    nrmse : float
        Root mean square error in units of the reference's 0.1-99.9 percentile range; 0 is perfect.
    psnr : float
        ``-20 log10(nrmse)`` in dB; 240 for a perfect restoration.
    ssim : float
        Structural similarity, 1 is perfect; of a volume the mean over its Z slices.
    gain : float
        The fitted factor. Zero or less means that the candidate is flat or inverted: distrust the other three.
    """

    nrmse: float
    psnr: float
    ssim: float
    gain: float


def affine_fit(candidate: NDArray[Any], reference: NDArray[Any]) -> tuple[NDArray[np.float64], float, float]:
    """Fit ``gain * candidate + offset`` to the reference by least squares over all pixels.

    Parameters
    ----------
    candidate, reference : ndarray of any equal shape
        Real numbers, on any two intensity scales.

    Returns
    -------
    fitted : ndarray of float64
        The candidate on the scale of the reference. A flat candidate becomes the reference's mean (gain 0).
    gain, offset : float

    Raises
    ------
    ZooferryError
        If the shapes differ or a value is not finite.
    """
    candidate, reference = _as_float(candidate, "candidate"), _as_float(reference, "reference")
    if candidate.shape != reference.shape:
        raise ZooferryError(
            f"candidate has shape {candidate.shape}, its reference {reference.shape}: "
            "scores need two images of the same shape, axes (Y, X) or (Z, Y, X)"
        )
    centred = candidate - candidate.mean()
    variance = np.mean(centred**2)
    covariance = np.mean(centred * (reference - reference.mean()))
    gain = float(covariance / variance) if variance > 0 else 0.0
    fitted = gain * centred + reference.mean()
    return fitted, gain, float(reference.mean() - gain * candidate.mean())


def normalize_reference(reference: NDArray[Any]) -> NDArray[np.float64]:
    """Scale an image so that its 0.1 and 99.9 percentiles become 0 and 1, without clipping.

    Raises
    ------
    ZooferryError
        If a value is not finite, or if the image is flat between the two percentiles.
    """
    reference = _as_float(reference, "reference")
    low, high = np.percentile(reference, REFERENCE_PERCENTILES)
    if high <= low:
        raise ZooferryError(
            f"reference is flat: its 0.1 and 99.9 percentiles are both {low:g}; "
            "a score needs a reference with structure, leave this image out"
        )
    scaled: NDArray[np.float64] = (reference - low) / (high - low)
    return scaled


def score(candidate: NDArray[Any], reference: NDArray[Any]) -> RestorationScore:
    """Score one restored image against its clean reference.

    Parameters
    ----------
    candidate, reference : ndarray, axes (Y, X) or (Z, Y, X)
        Any real dtype and intensity scale; Y and X at least 7 pixels (the window of SSIM).

    Returns
    -------
    RestorationScore
        NRMSE and PSNR over all pixels of the image or volume, SSIM slice by slice and averaged.

    Raises
    ------
    ZooferryError
        If the shapes differ, the axes are neither 2 nor 3, the image is smaller than the window of SSIM,
        a value is not finite or the reference is flat.
    """
    _refuse_unscorable_shape(np.shape(reference))
    target = normalize_reference(reference)
    fitted, gain, _ = affine_fit(candidate, target)
    nrmse = float(np.sqrt(np.mean((fitted - target) ** 2)))
    psnr = float(-20 * np.log10(max(nrmse, SMALLEST_ERROR)))
    return RestorationScore(nrmse, psnr, _mean_ssim(fitted, target), gain)


def _mean_ssim(fitted: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    from skimage.metrics import structural_similarity  # here, because it is slow to import

    plane = target.shape[-2:]
    slices = zip(target.reshape(-1, *plane), fitted.reshape(-1, *plane), strict=True)
    similarities = [structural_similarity(t, f, data_range=1.0) for t, f in slices]  # type: ignore[no-untyped-call]
    return float(np.mean(similarities))


def _refuse_unscorable_shape(shape: tuple[int, ...]) -> None:
    if len(shape) not in (2, 3):
        raise ZooferryError(
            f"reference has shape {shape}: scores need axes (Y, X) or (Z, Y, X); score each channel and time on its own"
        )
    if min(shape[-2:]) < SSIM_WINDOW or 0 in shape:
        raise ZooferryError(
            f"reference has shape {shape}: SSIM needs at least {SSIM_WINDOW} pixels along Y and X, use a larger image"
        )


def _as_float(image: NDArray[Any], name: str) -> NDArray[np.float64]:
    array = np.asarray(image)
    if array.dtype.kind not in "buif":
        raise ZooferryError(f"{name} has dtype {array.dtype}: scores need real numbers, convert it first")
    array = array.astype(np.float64)
    unusable = array.size - int(np.count_nonzero(np.isfinite(array)))
    if unusable:
        raise ZooferryError(
            f"{name} holds {unusable} of {array.size} values that are NaN or infinite: "
            "only finite values can be scored, replace them first"
        )
    return array
