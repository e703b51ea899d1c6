"""Maps in tiles, and the Dense layer over them."""

import keras
import numpy as np
import pytest

from mixer_tf.layers.tiles import TileDense, convolution_matrices, from_tiles, to_tiles

X = np.random.default_rng(0).normal(size=(2, 4, 6, 10)).astype("float32")


def test_a_tile_holds_neighbours_and_one_channel_of_every_set():
    tiles = keras.ops.convert_to_numpy(to_tiles(X, (2, 3), 5))  # 2 x 2 tiles, 2 groups of 5 channels
    assert tiles.shape == (2 * 2 * 2 * 2, 2, 3, 5)
    np.testing.assert_array_equal(tiles[0], X[0, :2, :3, :5])
    np.testing.assert_array_equal(tiles[1], X[0, :2, :3, 5:])
    np.testing.assert_array_equal(tiles[2], X[0, :2, 3:, :5])
    np.testing.assert_array_equal(tiles[8], X[1, :2, :3, :5])


def test_a_map_of_one_tile_comes_back():
    np.testing.assert_array_equal(from_tiles(to_tiles(X, (4, 6), 5), (4, 6, 10)), X)


def test_several_tiles_come_back_in_the_order_of_the_reference():
    """Cut as (row, column, group), put back as (group, row, column)."""
    back = keras.ops.convert_to_numpy(from_tiles(to_tiles(X, (2, 3), 5), (4, 6, 10)))
    np.testing.assert_array_equal(back[0, :2, :3, :5], X[0, :2, :3, :5])
    np.testing.assert_array_equal(back[0, :2, 3:, :5], X[0, :2, :3, 5:])
    np.testing.assert_array_equal(back[0, 2:, :3, :5], X[0, :2, 3:, :5])


@pytest.mark.parametrize("tile", [(2, 3), (4, 6), (1, 6)])
def test_each_set_has_a_matrix_for_all_its_tiles(tile):
    layer = TileDense(tile, 5)
    layer.build(X.shape)
    layer.bias.assign(np.random.default_rng(1).normal(size=layer.bias.shape))
    pixels = tile[0] * tile[1]
    assert layer.kernel.shape == (5, pixels, pixels)
    tiles = keras.ops.convert_to_numpy(to_tiles(X, tile, 5)).reshape(-1, pixels, 5)
    mixed = np.einsum("soi,nis->nos", layer.kernel.numpy(), tiles) + layer.bias.numpy().T
    expected = from_tiles(mixed.reshape(-1, *tile, 5), (4, 6, 10))
    np.testing.assert_allclose(layer(X), expected, atol=1e-5)


def test_config_round_trip_keeps_every_argument():
    layer = TileDense((2, 3), 5, use_bias=False, kernel_initializer="zeros", name="a")
    copy = TileDense.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert copy(keras.Input((4, 6, 10))).shape == (None, 4, 6, 10)
    assert len(copy.weights) == 1
    np.testing.assert_array_equal(copy.kernel, np.zeros((5, 6, 6)))


@pytest.mark.parametrize("side", [1, 3, 7])  # the last is larger than the tile
def test_a_convolution_is_a_matrix_over_the_pixels(side):
    kernels = np.random.default_rng(2).normal(size=(side, side, 5)).astype("float32")
    tiles = keras.ops.convert_to_numpy(to_tiles(X, (2, 3), 5))
    convolution = keras.ops.depthwise_conv(tiles, kernels[..., None], padding="same")
    mixed = np.einsum("soi,nis->nos", convolution_matrices(kernels, (2, 3)), tiles.reshape(-1, 6, 5))
    np.testing.assert_allclose(mixed.reshape(-1, 2, 3, 5), convolution, atol=1e-5)
