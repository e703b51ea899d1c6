"""Initial values as PyTorch draws them."""

import keras
import numpy as np

from mixer_tf.layers.initializers import NORMAL, TORCH_UNIFORM, Halves, torch_uniform


def kernel(initializer, shape=(50, 400)):
    layer = keras.layers.Dense(shape[1], kernel_initializer=initializer)
    layer.build((None, shape[0]))
    return layer.kernel.numpy()


def test_normal_is_not_cut_at_two_deviations():
    values = kernel(NORMAL)
    np.testing.assert_allclose(values.std(), 0.02, rtol=0.02)
    assert np.abs(values).max() > 0.05


def test_uniform_reaches_the_bound_of_pytorch():
    for initializer in (TORCH_UNIFORM, torch_uniform(fan_in=50)):
        values = kernel(initializer)
        assert 0.99 < np.abs(values).max() * 50**0.5 <= 1
        np.testing.assert_allclose(values.std(), 50**-0.5 / 3**0.5, rtol=0.02)


def test_two_layers_do_not_start_equal():
    for initializer in (NORMAL, TORCH_UNIFORM, torch_uniform(fan_in=50)):
        assert np.abs(kernel(initializer) - kernel(initializer)).max() > 1e-3


def test_each_half_has_its_own_values():
    values = kernel(Halves("ones", NORMAL))
    np.testing.assert_array_equal(values[:, :200], 1)
    np.testing.assert_allclose(values[:, 200:].std(), 0.02, rtol=0.05)


def test_halves_come_back_from_their_config_and_draw_numbers_of_their_own():
    halves = Halves("lecun_normal", "zeros")
    copy = Halves.from_config(halves.get_config())
    assert copy.get_config() == halves.get_config()
    first, second = kernel(halves), kernel(halves.clone())
    assert np.abs(first - second)[:, :200].min() > 0
    np.testing.assert_array_equal(second[:, 200:], 0)
