"""Images whose objects have another diameter than the model has learnt: rescaled before it, its results afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from zooferry.diameters import LARGEST, nearest, object_diameter, resized, scaled_shape
from zooferry.errors import ZooferryError
from zooferry.instances.declaration import LABELS, Declaration

if TYPE_CHECKING:
    from zooferry.restoring import Restorer

Guess = Callable[[np.ndarray], float]


def at_own_diameter(
    restorer: Restorer, declaration: Declaration | None, *, diameter: float | None, guess: Guess | None = None
) -> Restorer:
    """The restorer on images that are brought to the diameter which its model declares.

    Parameters
    ----------
    restorer : Restorer
        Gives the labels of what `declaration` says.
    declaration : Declaration, optional
    diameter : float, optional
        Of the objects in the images, in pixels; without it or with 0 each image's own is estimated: guessed, or found
        where the image is taken as it is, and refined by the median of the objects that are found then.
    guess : callable, optional
        Image C Y X -> diameter in pixels.

    Raises
    ------
    ZooferryError
        A diameter is given, and the model declares none; it is beyond what an image may be resized.
    """
    wanted = float(declaration.parameters.get("diameter", 0)) if declaration else 0.0
    if diameter is not None and not 0 <= diameter < np.inf:
        raise ZooferryError(f"--diameter is {diameter:g}; allowed: pixels, or 0 to estimate it")
    if not wanted:
        if diameter:
            raise ZooferryError(
                "--diameter is for models that declare one, trained with --set diameter=17; leave it away"
            )
        return restorer
    if diameter:
        scaled_shape((1, 1), wanted / diameter)

    def restore(images: Sequence[xr.DataArray]) -> dict[str, xr.DataArray]:
        image = images[0].transpose(..., "y", "x")
        own = diameter or _estimated(restorer, image, wanted, guess)
        found = _at(restorer, image, wanted / own)
        found[LABELS].attrs["diameter"] = own
        return found

    return replace(restorer, restore=restore)


def _estimated(restorer: Restorer, image: xr.DataArray, wanted: float, guess: Guess | None) -> float:
    # pixels
    first = guess(_middle(image)) if guess else wanted
    first = float(np.clip(first, wanted / LARGEST, wanted * LARGEST))
    found = object_diameter(_at(restorer, image, wanted / first)[LABELS].values)
    return float(np.clip(found, wanted / LARGEST, wanted * LARGEST)) if found else first


def _at(restorer: Restorer, image: xr.DataArray, factor: float) -> dict[str, xr.DataArray]:
    """Results of the image enlarged by `factor`, at its own size."""
    shape = scaled_shape(image.shape, factor)
    if shape == image.shape[-2:]:
        return dict(restorer.restore([image]))
    seen = xr.DataArray(resized(image.values, shape), dims=image.dims, attrs=image.attrs)
    found: Mapping[str, xr.DataArray] = restorer.restore([seen])
    results = {}
    for name, result in found.items():
        result = result.transpose(..., "y", "x")
        back = nearest if name == LABELS else resized
        values = back(result.values, image.shape[-2:])
        results[name] = xr.DataArray(values, dims=result.dims, attrs=dict(image.attrs))
    return results


def _middle(image: xr.DataArray) -> np.ndarray:
    # C Y X of the plane in the middle
    plane = image.isel({axis: image.sizes[axis] // 2 for axis in image.dims if axis not in ("c", "y", "x")})
    plane = plane if "c" in plane.dims else plane.expand_dims("c")
    return np.asarray(plane.transpose("c", "y", "x").values)
