"""Axes: cut an image into network samples and put it back."""

import numpy as np
import pytest
import xarray as xr

from zooferry import axes
from zooferry.errors import ZooferryError

# axes of the file, shape, spatial axes of the network, number of samples, shape of a sample
CUTS = [
    ("yx", (5, 6), 2, 1, (1, 5, 6)),
    ("cyx", (2, 5, 6), 2, 1, (2, 5, 6)),
    ("zyx", (4, 5, 6), 2, 4, (1, 5, 6)),
    ("zyx", (4, 5, 6), 3, 1, (1, 4, 5, 6)),
    ("tzcyx", (3, 4, 2, 5, 6), 2, 12, (2, 5, 6)),
    ("tzcyx", (3, 4, 2, 5, 6), 3, 3, (2, 4, 5, 6)),
    ("tcyx", (3, 2, 5, 6), 2, 3, (2, 5, 6)),
]


@pytest.mark.parametrize(("names", "shape", "dims", "count", "sample"), CUTS)
def test_cut_and_assemble_gives_the_image_back(names, shape, dims, count, sample):
    image = axes.label_axes(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), names)
    image.attrs["unit"] = "micrometer"
    cut = list(axes.samples(image, dims))
    assert len(cut) == count
    assert all(array.shape == sample for _, array in cut)
    back = axes.assemble(image, [(where, array) for where, array in cut])
    xr.testing.assert_identical(back, image)


def test_a_3d_network_refuses_a_plane():
    with pytest.raises(ZooferryError, match="needs a stack with a z axis; this image has axes yx"):
        next(axes.samples(axes.label_axes(np.zeros((4, 4)), "yx"), 3))


def test_single_length_axes_go_but_y_and_x_stay():
    assert axes.label_axes(np.zeros((1, 1, 1, 7)), "tcyx").dims == ("y", "x")


def test_imagej_order_is_tzcyx():
    image = axes.label_axes(np.zeros((2, 3, 4, 5, 6)), "tczyx")
    array, names = axes.to_imagej(image)
    assert (array.shape, names) == ((2, 4, 3, 5, 6), "TZCYX")


@pytest.mark.parametrize(("dims", "expected"), [(2, ("y", "x")), (3, ("z", "y", "x"))])
def test_spatial_axes(dims, expected):
    assert axes.spatial_axes(dims) == expected
    assert axes.network_axes(dims) == ("batch", "channel", *expected)


def test_other_dimensions_are_refused():
    with pytest.raises(ZooferryError, match="dims is 4; allowed are 2"):
        axes.spatial_axes(4)
