"""Objects in colours: outlines full, insides mixed, background untouched."""

import numpy as np

from zooferry.object_colours import with_objects


def test_objects_have_colours_of_their_own():
    labels = np.array([[0, 1, 1], [0, 1, 2], [0, 2, 2]])
    edges = np.zeros(labels.shape, bool)
    edges[1, 1] = True
    grey = np.full((3, 3, 3), 0.5)
    found = with_objects(grey, labels, edges, filled=0.3)
    np.testing.assert_array_equal(found[labels == 0], 0.5)
    full = found[1, 1]
    np.testing.assert_allclose(found[0, 1], 0.7 * 0.5 + 0.3 * full)
    np.testing.assert_array_equal(found[0, 1], found[0, 2])
    assert np.abs(found[1, 2] - found[0, 1]).max() > 0.1
    assert full.max() == 1.0
    assert found.min() >= 0
    assert found.max() <= 1


def test_no_objects_leave_the_picture():
    grey = np.random.default_rng(0).random((4, 5, 3))
    labels = np.zeros((4, 5), int)
    np.testing.assert_array_equal(with_objects(grey, labels, labels > 0, filled=0.5), grey)
