"""Methods: the blind spot of Noise2Void, the scalings of both, the list."""

import numpy as np
import pytest
import torch

from zooferry import axes, methods
from zooferry.errors import ZooferryError
from zooferry.methods import care, n2v
from zooferry.methods.classical import best_gaussian, gaussian
from zooferry.normalization import apply_operations


@pytest.mark.parametrize("shape", [(3, 1, 20, 30), (3, 2, 20, 30), (2, 1, 8, 20, 20)])
def test_masked_pixels_hold_a_neighbours_value_and_the_rest_is_untouched(shape):
    patches = np.random.default_rng(0).normal(size=shape).astype(np.float32)  # all values differ
    before = patches.copy()
    masked, places = n2v.mask_pixels(patches, 5, 5, np.random.default_rng(1))
    np.testing.assert_array_equal(patches, before)
    changed = np.zeros(shape, bool)
    changed[(places[0], slice(None), *places[1:])] = True
    assert (masked != patches)[changed].all()  # never the pixel itself
    np.testing.assert_array_equal(masked[~changed], patches[~changed])
    assert changed.mean() == pytest.approx(1 / 5 ** (len(shape) - 2), rel=0.7)
    for index in zip(*places, strict=True):
        around = tuple(slice(max(0, i - 2), i + 3) for i in index[1:])
        assert masked[(index[0], 0, *index[1:])] in patches[index[0], 0][around]


def test_noise2void_loss_looks_at_masked_pixels_only():
    class Blind(torch.nn.Module):
        """Gives the input back; at a masked pixel that is a neighbour's value."""

        def __init__(self):
            super().__init__()
            self.anchor = torch.nn.Parameter(torch.zeros(1))

        def forward(self, image):
            return image

    patches = np.random.default_rng(0).normal(size=(4, 1, 40, 40)).astype(np.float32)
    settings = n2v.N2VSettings()
    loss = float(n2v.loss(Blind(), (patches,), settings, np.random.default_rng(0)))
    assert loss == pytest.approx(2.0, rel=0.3)  # the difference of two independent unit normals
    flat = np.zeros_like(patches)
    assert float(n2v.loss(Blind(), (flat,), settings, np.random.default_rng(0))) == 0


@pytest.mark.parametrize("dims", [2, 3])
def test_noise2void_scales_with_the_training_images_and_back(dims):
    names = axes.network_axes(dims)
    images = [np.random.default_rng(s).normal(200, 30, (1, *(8, 9, 10)[-dims:])) for s in range(2)]
    scalings = n2v.scalings(n2v.N2VSettings(), images, names)
    scaled = [apply_operations(scalings.preprocessing, i[np.newaxis], names) for i in images]
    everything = np.concatenate([s.ravel() for s in scaled])
    assert everything.mean() == pytest.approx(0, abs=1e-5)
    assert everything.std() == pytest.approx(1, abs=1e-5)
    back = apply_operations(scalings.postprocessing, scaled[0], names)[0]
    np.testing.assert_allclose(back, images[0], rtol=1e-5)


def test_care_scales_each_image_by_its_own_percentiles():
    names = axes.network_axes(2)
    settings = care.CareSettings(low=0.0, high=100.0)
    scalings = care.scalings(settings, [], names)
    for image in (np.arange(16.0).reshape(1, 1, 4, 4), np.arange(16.0).reshape(1, 1, 4, 4) * 100 + 7):
        scaled = apply_operations(scalings.preprocessing, image, names)
        assert (float(scaled.min()), float(scaled.max())) == pytest.approx((0, 1), abs=1e-6)
    assert scalings.target[1]["kwargs"] == scalings.preprocessing[1]["kwargs"] | {"axes": ["y", "x"]}


def test_care_loss_is_the_mean_absolute_error():
    network = torch.nn.Conv2d(1, 1, 1)
    torch.nn.init.zeros_(network.weight)
    torch.nn.init.constant_(network.bias, 0.25)
    arrays = (np.zeros((2, 1, 4, 4), np.float32), np.ones((2, 1, 4, 4), np.float32))
    loss = care.loss(network, arrays, care.CareSettings(), np.random.default_rng(0))
    assert loss.item() == 0.75


def test_unknown_method_lists_the_known():
    with pytest.raises(ZooferryError, match="unknown method 'n3n'; allowed: n2v, care, rcan, n2n"):
        methods.facts("n3n")


# what follows from the images in a run
FITTED = {"isotropic": {"factor": 2.0, "pixel_um": 0.1, "psf": {"kind": "gaussian", "sigma_um": {"z": 0.2}}}}


OTHERS = [m for m in methods.METHODS if not m.needs_labels]  # those are in test_segmentation_training


@pytest.mark.parametrize(("name", "dims"), [(m.name, dims) for m in OTHERS for dims in m.dims])
def test_every_method_gives_a_network_and_a_loss_in_its_dimensions(name, dims):
    method = methods.load(name)
    settings = method.SETTINGS(width=4, batch=2, **FITTED.get(name, {}))
    torch.manual_seed(0)
    network = method.build_network(settings, dims, 1, 1)
    shapes = [(8, 64, 64)[-dims:], (64, 64) if name == "projection" else (8, 64, 64)[-dims:]]
    arrays = tuple(np.random.default_rng(s).normal(size=(2, 1, *shape)) for s, shape in enumerate(shapes))
    loss = method.loss(network, arrays[: 1 + methods.facts(name).needs_targets], settings, np.random.default_rng(0))
    loss.backward()
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)


def test_best_gaussian_finds_the_width_that_was_used():
    rng = np.random.default_rng(0)
    noisy = rng.normal(size=(64, 64)).astype(np.float32)
    assert best_gaussian([(noisy, gaussian(noisy, 2.0))]) == pytest.approx(2.0, abs=0.1)


def test_channels_have_statistics_of_their_own():
    """A channel ten times as bright changes nothing for the other one, there and back."""
    names = axes.network_axes(2)
    image = np.random.default_rng(0).normal(200, 30, (2, 40, 50))
    brighter = image * [[[10]], [[1]]]
    kept = []
    for module in (n2v, care):
        for images in ([image], [brighter]):
            scalings = module.scalings(module.SETTINGS(), images, names)
            kept.append(apply_operations(scalings.preprocessing, images[0][np.newaxis], names))
            if module is n2v:
                back = apply_operations(scalings.postprocessing, kept[-1], names)[0]
                np.testing.assert_allclose(back, images[0], rtol=1e-4)
        np.testing.assert_allclose(kept[-1], kept[-2], atol=1e-4)
    np.testing.assert_allclose(kept[0].mean(axis=(0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(np.percentile(kept[-1][0, 1], (2, 99.8)), (0, 1), atol=1e-5)
