"""Windows are drawn once and cut alike from image and target; images are split, patches never."""

import numpy as np
import pytest

from zooferry.augmentation import flip_and_turn
from zooferry.errors import ZooferryError
from zooferry.patches import PatchSampler, TrainingSample, split_images, split_rows


def sample(*shape, name="a.tif"):
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(1, *shape)
    return TrainingSample(name, image, image + 0.5)


@pytest.mark.parametrize(("shape", "patch"), [((20, 30), (8, 8)), ((6, 20, 30), (4, 8, 8))])
def test_image_and_target_are_cut_alike(shape, patch):
    images, targets = PatchSampler([sample(*shape)], patch).draw(5, np.random.default_rng(0))
    assert images.shape == (5, 1, *patch)
    np.testing.assert_array_equal(targets, images + 0.5)
    assert len({float(p.flat[0]) for p in images}) > 1


def test_every_window_of_an_image_can_be_drawn():
    sampler = PatchSampler([sample(3, 3)], (2, 2))
    corners = {float(sampler.draw(1, np.random.default_rng(s))[0].flat[0]) for s in range(60)}
    assert corners == {0, 1, 3, 4}


def test_background_windows_are_drawn_again():
    image = np.zeros((1, 40, 40), np.float32)
    image[0, :20] = 1
    sampler = PatchSampler([TrainingSample("a", image)], (8, 8), foreground=0.5)
    (drawn,) = sampler.draw(200, np.random.default_rng(0))
    assert np.mean([p.max() for p in drawn]) > 0.97  # without rejection it is about 0.6


@pytest.mark.parametrize(("evenly", "part"), [(False, 0.9), (True, 0.5)])
def test_larger_images_are_drawn_more_often_or_as_often(evenly, part):
    small, large = np.zeros((1, 10, 10), np.float32), np.ones((1, 30, 30), np.float32)
    sampler = PatchSampler([TrainingSample("a", small), TrainingSample("b", large)], (4, 4), evenly=evenly)
    (drawn,) = sampler.draw(2000, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(part, abs=0.05)


def test_image_smaller_than_a_patch_is_refused():
    with pytest.raises(ZooferryError, match=r"b\.tif: image of 5 x 9 pixels is smaller than a patch of 8 x 8"):
        PatchSampler([sample(9, 9), sample(5, 9, name="b.tif")], (8, 8))


@pytest.mark.parametrize(
    ("count", "fraction", "held"), [(1, 0.5, 0), (2, 0.1, 1), (10, 0.1, 1), (10, 0.3, 3), (10, 0.0, 0), (3, 0.9, 2)]
)
def test_images_are_split_without_overlap(count, fraction, held):
    training, validation = split_images(count, fraction, np.random.default_rng(0))
    assert len(validation) == held
    assert sorted(training + validation) == list(range(count))


def test_rows_of_one_image_are_split_without_overlap():
    whole = sample(20, 6)
    first, second = split_rows(whole, 0.1, 8)
    assert (first.image.shape, second.image.shape) == ((1, 12, 6), (1, 8, 6))
    np.testing.assert_array_equal(np.concatenate([first.target, second.target], 1), whole.target)


@pytest.mark.parametrize("shape", [(2, 1, 6, 6), (2, 1, 4, 6, 6)])
def test_flips_and_turns_are_the_same_for_all_arrays_and_keep_their_values(shape):
    image = np.random.default_rng(0).normal(size=shape)
    before = image.copy()
    seen = set()
    for seed in range(150):
        first, second = flip_and_turn((image, image + 1), np.random.default_rng(seed))
        np.testing.assert_array_equal(second, first + 1)
        np.testing.assert_array_equal(np.sort(first, axis=None), np.sort(image, axis=None))
        seen.add(first.tobytes())
    np.testing.assert_array_equal(image, before)
    assert len(seen) == (8 if image.ndim == 4 else 16)
