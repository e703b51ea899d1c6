"""Regions of rows and columns."""

import numpy as np
import pytest

from mixer_tf.layers.regions import from_regions, to_regions, wrapped
from mixer_tf.layers.shifts import COLUMNS, ROWS

X = np.arange(2 * 5 * 7 * 3).reshape(2, 5, 7, 3).astype("float32")


@pytest.mark.parametrize("axis", [ROWS, COLUMNS])
@pytest.mark.parametrize(("start", "count"), [(0, 5), (2, 5), (-1, 6), (-3, 17), (4, 1)])
def test_wrapped_goes_on_at_the_other_side(start, count, axis):
    expected = np.take(X, np.arange(start, start + count), axis=axis, mode="wrap")
    np.testing.assert_array_equal(wrapped(X, start, count, axis), expected)


@pytest.mark.parametrize("step", [0, 1, 2, 9])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 11])
def test_regions_of_a_rolled_map_filled_up_with_its_first_pixels(size, step):
    rolled = np.roll(X, step, axis=1)
    padded = np.pad(rolled, ((0, 0), (0, -5 % size), (0, 0), (0, 0)), mode="wrap")
    expected = padded.reshape(2, -1, size, 7, 3).transpose(0, 1, 3, 2, 4)
    np.testing.assert_array_equal(to_regions(X, size, step, ROWS), expected)

    transposed = to_regions(X.transpose(0, 2, 1, 3), size, step, COLUMNS)
    np.testing.assert_array_equal(transposed, expected.transpose(0, 2, 1, 3, 4))


@pytest.mark.parametrize("axis", [ROWS, COLUMNS])
@pytest.mark.parametrize("step", [0, 1, 2, 9])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 11])
def test_from_regions_is_the_inverse_for_any_size(size, step, axis):
    regions = to_regions(X, size, step, axis)
    np.testing.assert_array_equal(from_regions(regions, X.shape[axis], step, axis), X)
