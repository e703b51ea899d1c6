"""Cycle FC."""

import keras
import numpy as np
import pytest

from mixer_tf.layers.cycle import CycleFC, cycle_steps

KERNELS = [(1, 3), (3, 1), (7, 1), (1, 4), (1, 1)]


def images(shape=(2, 4, 5, 8)):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_steps_go_around_in_a_cycle():
    np.testing.assert_array_equal(cycle_steps(7, (1, 3))[:, 1], [0, 1, -1, 0, 1, -1, 0])
    np.testing.assert_array_equal(cycle_steps(8, (7, 1))[:, 0], [0, 1, 2, 3, -3, -2, -1, 0])
    np.testing.assert_array_equal(cycle_steps(5, (1, 4))[:, 1], [0, 1, -2, -1, 0])
    assert not cycle_steps(7, (1, 3))[:, 0].any()


@pytest.mark.parametrize("kernel_size", KERNELS)
def test_every_channel_is_read_at_its_step_and_zero_outside_of_the_picture(kernel_size):
    layer, x = CycleFC(3, kernel_size), images()
    y = layer(x)
    layer.bias.assign([1.0, 2.0, 3.0])
    y = layer(x).numpy()
    moved = np.zeros_like(x)
    for i, (row, column) in enumerate(cycle_steps(8, kernel_size)):
        for p, q in np.ndindex(4, 5):
            if 0 <= p + row < 4 and 0 <= q + column < 5:
                moved[:, p, q, i] = x[:, p + row, q + column, i]
    np.testing.assert_allclose(y, moved @ layer.kernel.numpy() + layer.bias.numpy(), atol=1e-5)


def test_it_has_the_weights_of_a_dense_layer_and_its_layout():
    layer = CycleFC(3, (1, 3))
    layer.build((None, 4, 5, 8))
    assert [tuple(weight.shape) for weight in layer.weights] == [(8, 3), (3,)]
    assert isinstance(layer, keras.layers.Dense)


def test_config_round_trip_keeps_every_argument():
    layer = CycleFC(3, (5, 1), use_bias=False, name="cycle")
    copy = CycleFC.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert (copy.kernel_size, copy.use_bias) == ((5, 1), False)
    assert copy(keras.Input((4, 5, 8))).shape == (None, 4, 5, 3)


def test_bfloat16_policy():
    layer = CycleFC(3, (1, 3), dtype="mixed_bfloat16")
    assert layer(images()).dtype == "bfloat16"
    assert layer.kernel.dtype == "float32"
