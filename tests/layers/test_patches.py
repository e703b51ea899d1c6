"""Windows of a picture."""

import keras
import numpy as np
import pytest

from mixer_tf.layers.patches import check_divisible, unfold


def test_windows_are_laid_out_by_row_column_and_channel_with_zeros_outside():
    x = np.random.default_rng(0).normal(size=(2, 8, 12, 3)).astype("float32")
    image = keras.Input((8, 12, 3))
    windows = keras.Model(image, unfold(image, 7, 4, 2))(x).numpy()
    assert windows.shape == (2, 2, 3, 7 * 7 * 3)
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
    for row, column in ((0, 0), (1, 2)):
        window = padded[:, 4 * row : 4 * row + 7, 4 * column : 4 * column + 7]
        np.testing.assert_array_equal(windows[:, row, column], window.reshape(2, -1))


def test_what_must_divide_the_image_is_named():
    with pytest.raises(ValueError, match=r"\(40, 48, 3\) must be divisible by the stem's stride 16; nearest: \(32, 48"):
        check_divisible((40, 48, 3), 16, what="the stem's stride")
