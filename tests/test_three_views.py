"""A 2D network on volumes: where the three views' flows come together, and the planes that it learns from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import xarray as xr

from zooferry.instances.declaration import Declaration
from zooferry.three_views import averaged_heads, interpolated, slice_thickness, with_side_views
from zooferry.training_data import RawData, RawSample


def slopes(images: Sequence[xr.DataArray]) -> dict[str, xr.DataArray]:
    """Heads of a network that gives the slope along rows and columns, and the image itself."""
    (image,) = images
    order = (*[axis for axis in image.dims if axis not in ("y", "x")], "y", "x")
    stack = image.transpose(*order)
    rows, columns = np.gradient(stack.values, axis=(-2, -1))
    parts = [xr.DataArray(part, dims=order) for part in (rows, columns)]
    return {"flow": xr.concat(parts, dim="c"), "prob": stack.expand_dims("c")}


def plane(shape: tuple[int, ...]) -> xr.DataArray:
    z, y, x = np.indices(shape, np.float32)
    return xr.DataArray(2 * z + 3 * y + 5 * x, dims=("z", "y", "x"), attrs={"unit": "um"})


@pytest.mark.parametrize("order", [("z", "y", "x"), ("t", "z", "y", "x")])
def test_flows_along_each_axis_are_the_mean_of_two_views(order: tuple[str, ...]) -> None:
    image = plane((4, 5, 6))
    image = image.expand_dims("t") if "t" in order else image
    heads = averaged_heads(slopes, image, Declaration("flows", ("flow", "prob"), {}, volume=True))
    flow = heads["flow"].transpose("c", ...)
    for channel, slope in enumerate((2, 3, 5)):
        np.testing.assert_allclose(flow.values[channel], slope)
    assert flow.dims[1:] == order
    np.testing.assert_allclose(heads["prob"].transpose("c", ...).values[0], image.values)
    assert heads["flow"].attrs == {"unit": "um"}


def test_thick_slices_are_interpolated_for_the_views() -> None:
    image = plane((6, 4, 4))
    said = Declaration("flows", ("flow", "prob"), {"anisotropy": [2.0, 1.0, 1.0]}, volume=True)
    heads = averaged_heads(slopes, image, said)
    assert heads["flow"].sizes["z"] == 6
    np.testing.assert_allclose(heads["flow"].isel(c=0).values[1:-1], 1, atol=1e-6)  # half of a slope per slice
    np.testing.assert_allclose(heads["flow"].isel(c=2).values, 5, atol=1e-5)


# slices that there are, wanted -> values of a ramp 0, 1, 2, ...
RAMPS = [(2, 4, [0, 0.25, 0.75, 1]), (3, 3, [0, 1, 2]), (4, 2, [0.5, 2.5]), (1, 3, [0, 0, 0])]


@pytest.mark.parametrize(("length", "count", "expected"), RAMPS)
def test_interpolation(length: int, count: int, expected: list[float]) -> None:
    assert interpolated(np.arange(length), count).tolist() == expected


def test_labels_are_not_mixed() -> None:
    assert interpolated(np.array([3, 9]), 4, nearest=True).tolist() == [3, 3, 9, 9]


def test_thickness() -> None:
    assert slice_thickness([0.5, 0.2, 0.3]) == pytest.approx(2)


def test_planes_of_all_three_views_are_learnt() -> None:
    volume = np.arange(2 * 4 * 5, dtype=np.float32).reshape(1, 2, 4, 5)
    samples = [RawSample(0, f"a.tif z={z}", volume[:, z], volume[:, z]) for z in range(2)]
    raw = RawData(2, samples, [{"file": "a.tif"}], {})
    found = with_side_views(raw, thickness=2, smallest=4).samples
    assert [s.name for s in found] == [
        "a.tif z=0", "a.tif z=1", *[f"a.tif y={n}" for n in range(4)], *[f"a.tif x={n}" for n in range(5)]
    ]  # fmt: skip
    np.testing.assert_array_equal(found[3].target, volume[:, [0, 0, 1, 1], 1])
    np.testing.assert_array_equal(found[-1].target, volume[:, [0, 0, 1, 1]][..., 4])
    assert found[-1].image.shape == (1, 4, 4)
    assert len(with_side_views(raw, thickness=2, smallest=5).samples) == 2
