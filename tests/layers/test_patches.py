"""Patch embeddings."""

import keras
import numpy as np
import pytest

from mixer_tf.layers.patches import MultiScalePatchEmbedding, check_divisible, unfold


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


def test_multi_scale_embedding_projects_all_windows_around_a_patch_with_one_matrix():
    """As in the paper: windows of both sizes, each flattened channel by channel, in one vector."""
    x = np.random.default_rng(0).normal(size=(2, 6, 10, 3)).astype("float32")
    layer = MultiScalePatchEmbedding(5, (2, 4))
    y = layer(x).numpy()
    kernel = layer.kernel.numpy()
    assert kernel.shape == (3 * (4 + 16), 5)
    layer.bias.assign(np.arange(5.0))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for row, column in np.ndindex(3, 5):
        patch = x[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        window = padded[:, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4]
        vector = np.concatenate([part.transpose(0, 3, 1, 2).reshape(2, -1) for part in (patch, window)], axis=1)
        np.testing.assert_allclose(y[:, row, column], vector @ kernel, atol=1e-5)
    np.testing.assert_allclose(layer(x), y + np.arange(5.0), atol=1e-6)


@pytest.mark.parametrize("kernels", [(4, 6), (4, 2), (1, 2)])
def test_windows_that_cannot_be_centred_on_the_patch_are_refused(kernels):
    with pytest.raises(ValueError, match=r"kernels must be multiples of the first, \d, and wider by an even number"):
        MultiScalePatchEmbedding(5, kernels)


def test_config_round_trip_keeps_every_argument():
    layer = MultiScalePatchEmbedding(5, (2, 4), kernel_initializer="zeros", name="a")
    copy = MultiScalePatchEmbedding.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert copy(keras.Input((6, 10, 3))).shape == (None, 3, 5, 5)
    np.testing.assert_array_equal(copy.kernel, np.zeros((60, 5)))


def test_refusal_says_what_must_divide_the_image():
    with pytest.raises(ValueError, match=r"must be divisible by the last stage's stride 8; nearest: \(24, 40, 3\)"):
        check_divisible((25, 40, 3), 8, what="the last stage's stride")
