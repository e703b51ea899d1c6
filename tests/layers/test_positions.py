"""Position tables: a learned grid, and sines and cosines."""

import keras
import numpy as np
import pytest

from mixer_tf.layers.positions import GridPositionEmbedding, SinusoidPositions, sinusoid_table


def zeros(tokens, channels=4):
    return np.zeros((2, tokens, channels), "float32")


def test_class_token_has_its_own_row_and_patches_are_numbered_row_by_row():
    layer = GridPositionEmbedding((2, 3))
    y = layer(zeros(7)).numpy()
    np.testing.assert_array_equal(y[1, 0], layer.class_row[0, 0])
    np.testing.assert_array_equal(y[1, 1:], layer.table.numpy().reshape(6, 4))


def test_a_grid_of_twice_the_sides_gives_the_means_of_its_cells():
    layer = GridPositionEmbedding((2, 3), (4, 6))
    y = layer(zeros(7)).numpy()
    cells = layer.table.numpy().reshape(2, 2, 3, 2, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(y[0, 1:], cells.reshape(6, 4), atol=1e-7)
    np.testing.assert_array_equal(y[0, 0], layer.class_row[0, 0])


def test_sines_stand_in_even_columns_and_cosines_in_odd_ones():
    table = sinusoid_table(9, 6)
    assert table.dtype == np.float32
    np.testing.assert_allclose(table[:, 0], np.sin(np.arange(9)), atol=1e-6)
    np.testing.assert_allclose(table[:, 1], np.cos(np.arange(9)), atol=1e-6)
    np.testing.assert_allclose(table[:, 5], np.cos(np.arange(9) / 10000 ** (4 / 6)), atol=1e-6)


def test_fixed_positions_are_a_weight_that_is_not_trained():
    layer = SinusoidPositions()
    y = layer(zeros(5)).numpy()
    np.testing.assert_allclose(y[1], sinusoid_table(5, 4))
    assert [weight.shape for weight in layer.non_trainable_weights] == [(1, 5, 4)]
    assert layer.trainable_weights == []


@pytest.mark.parametrize("layer", [GridPositionEmbedding((2, 3), (4, 5), name="a"), SinusoidPositions(name="b")])
def test_config_round_trip_keeps_every_argument(layer):
    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert copy(keras.Input((7, 4))).shape == (None, 7, 4)
    assert type(layer)(**{**layer.get_config(), "dtype": "mixed_bfloat16"})(zeros(7)).dtype == "bfloat16"


def test_class_row_and_grid_start_with_numbers_of_their_own():
    layer = GridPositionEmbedding((2, 3))
    layer.build((None, 7, 5))
    assert np.abs(layer.class_row.numpy().ravel() - layer.table.numpy().ravel()[:5]).max() > 1e-4
