"""Shifts, against the same written with indices."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.layers.shifts import COLUMNS, ROWS, ShiftChannels, chunk_widths, quarter_widths, shift_groups

BORDERS = ("zeros", "edge", "wrap")


def feature_map(channels=11, height=4, width=6):
    return np.random.default_rng(0).normal(size=(2, height, width, channels)).astype("float32")


def moved(x, rows, columns, border):
    """`y[p] = x[p - move]`, pixel by pixel."""
    height, width = x.shape[1:3]
    y = np.zeros_like(x)
    for p in range(height):
        for q in range(width):
            r, s = p - rows, q - columns
            if border == "wrap":
                y[:, p, q] = x[:, r % height, s % width]
            elif 0 <= r < height and 0 <= s < width:
                y[:, p, q] = x[:, r, s]
            elif border == "edge":
                y[:, p, q] = x[:, p, q]
    return y


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("size", [(4, 6), (1, 3), (2, 1)])
def test_each_group_by_its_own_distance(border, size):
    x, distances = feature_map(11, *size), (-2, -1, 0, 1, 2)
    for axis in (ROWS, COLUMNS):
        y = shift_groups(x, distances, axis, border=border)
        for group, distance in zip((slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 11)), distances, strict=False):
            move = (distance, 0) if axis == ROWS else (0, distance)
            np.testing.assert_array_equal(y[..., group], moved(x[..., group], *move, border))


@pytest.mark.parametrize("border", BORDERS)
def test_rows_and_columns_at_once(border):
    x, moves, widths = feature_map(6), ((1, -2), (0, 3), (-7, 0)), (1, 2, 3)
    y = ShiftChannels(moves, widths, border=border)(x)
    for start, width, move in zip((0, 1, 3), widths, moves, strict=True):
        group = slice(start, start + width)
        np.testing.assert_array_equal(y[..., group], moved(x[..., group], *move, border))


def test_groups_are_cut_as_the_references_cut_them():
    for channels in range(1, 40):
        for groups in range(1, 8):
            size = -(-channels // groups)
            expected = [len(range(channels)[i : i + size]) for i in range(0, channels, size)]
            assert list(chunk_widths(channels, groups)) == expected
        c = channels
        assert quarter_widths(c) == (c // 4, c // 2 - c // 4, 3 * c // 4 - c // 2, c - 3 * c // 4)


@pytest.mark.parametrize("border", BORDERS)
def test_half_precision_moves_the_same_numbers(border):
    x = tf.cast(feature_map(), "bfloat16")
    y = ShiftChannels(((1, 0), (0, -2)), (5, 6), border=border, dtype="bfloat16")(x)
    assert y.dtype == tf.bfloat16
    expected = moved(x.numpy().astype("float32")[..., 5:], 0, -2, border)
    np.testing.assert_array_equal(y.numpy().astype("float32")[..., 5:], expected)


@pytest.mark.parametrize("border", BORDERS)
def test_gradient_goes_back_the_same_way(border):
    x, layer = tf.constant(feature_map()), ShiftChannels(((1, 0), (0, -2)), (5, 6), border=border)
    weights = tf.constant(np.random.default_rng(1).normal(size=x.shape).astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(layer(x) * weights)
    gradient = tape.gradient(loss, x).numpy()
    step = np.zeros_like(x)
    step[0, 0, 5, 7] = 1  # at a border
    np.testing.assert_allclose((gradient * step).sum(), tf.reduce_sum(layer(step) * weights), rtol=1e-5)


def test_layer_has_no_weights_and_comes_back_from_its_config():
    layer = ShiftChannels(((1, 0), (0, -2)), (5, 6), border="wrap", name="shift")
    copy = ShiftChannels.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert copy(keras.Input((4, 6, 11))).shape == (None, 4, 6, 11)
    assert copy.weights == []
    np.testing.assert_array_equal(copy(feature_map()), layer(feature_map()))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="border must be one of zeros, edge, wrap; given: 'mirror'"):
        ShiftChannels(((1, 0),), (3,), border="mirror")
    with pytest.raises(ValueError, match="widths must name one width per move; given: 2, 1 moves"):
        ShiftChannels(((1, 0),), (3, 8))
    with pytest.raises(ValueError, match=r"widths must add up to 11 channels; given: \(3, 7\)"):
        ShiftChannels(((1, 0), (0, 1)), (3, 7))(feature_map())
