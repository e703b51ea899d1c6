"""The one MLP of the house."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.layers.drop_path import drop_path, drop_path_rates
from mixer_tf.layers.mlp import mlp


def model(**arguments):
    x = keras.Input((5, 3, 6))
    return keras.Model(x, mlp(x, 7, name="mix", **arguments))


def test_two_dense_layers_on_the_last_axis_whatever_the_others():
    x = np.random.default_rng(0).normal(size=(2, 5, 3, 6)).astype("float32")
    network = model()
    first, last = network.get_layer("mix_fc1"), network.get_layer("mix_fc2")
    hidden = tf.nn.gelu(x @ first.kernel.numpy() + first.bias.numpy(), approximate=False)
    np.testing.assert_allclose(network(x), hidden @ last.kernel.numpy() + last.bias.numpy(), atol=1e-5)
    assert first.kernel.shape == (6, 7)


def test_the_two_forms_of_gelu_differ():
    x = np.random.default_rng(0).normal(size=(2, 5, 3, 6)).astype("float32")
    exact, tanh = model(), model(activation="gelu_tanh")
    tanh.set_weights(exact.get_weights())
    assert 1e-5 < np.abs(exact(x) - tanh(x)).max() < 1e-2


def test_dense_runs_on_a_matrix_so_that_the_graph_optimiser_fuses_it():
    assert model().get_layer("mix_fc1").input.shape == (None, 6)


def test_drop_path_drops_whole_examples_and_keeps_the_mean():
    x = keras.Input((4, 3))
    network = keras.Model(x, drop_path(x, 0.25, name="drop"))
    y = network(np.ones((4000, 4, 3), "float32"), training=True).numpy()
    np.testing.assert_allclose(np.unique(y), [0, 4 / 3], rtol=1e-6)
    np.testing.assert_array_equal(y.min(axis=(1, 2)), y.max(axis=(1, 2)))
    assert y.mean() == pytest.approx(1, abs=0.05)
    np.testing.assert_array_equal(network(np.ones((2, 4, 3), "float32")), np.ones((2, 4, 3)))


def test_rates_rise_from_zero_to_the_last_block():
    assert drop_path_rates(0.3, 4) == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert drop_path_rates(0.3, 1) == [0.0]


def test_layers_that_are_given_one_initializer_draw_numbers_of_their_own():
    """Keras gives every layer that shares an initializer the same ones."""
    network = model(kernel_initializer=keras.initializers.RandomNormal(), output_dim=7)
    first, last = (network.get_layer(f"mix_fc{n}").kernel.numpy() for n in (1, 2))
    assert np.abs(first[:6, :6] - last[:6, :6]).min() > 0


def test_second_kernel_may_start_in_another_way():
    network = model(output_initializer="zeros")
    assert not network.get_layer("mix_fc2").kernel.numpy().any()
    assert network.get_layer("mix_fc1").kernel.numpy().any()


def gated_mlp(hidden_dim=8):
    x = keras.Input((6,))
    return keras.Model(x, mlp(x, hidden_dim, gated=True, activation="silu", name="mix"))


def test_second_half_of_a_gated_mlp_gates_the_first():
    network, x = gated_mlp(), np.random.default_rng(0).normal(size=(2, 6)).astype("float32")
    first, last = network.get_layer("mix_fc1"), network.get_layer("mix_fc2")
    first.kernel.assign(np.random.default_rng(1).normal(size=(6, 8)))
    values, gates = np.split(x @ first.kernel.numpy() + first.bias.numpy(), 2, axis=1)
    hidden = values * gates / (1 + np.exp(-gates))
    np.testing.assert_allclose(network(x), hidden @ last.kernel.numpy() + last.bias.numpy(), atol=1e-5)
    assert last.kernel.shape == (4, 6)


def test_gates_start_open_to_the_same_degree():
    first = gated_mlp().get_layer("mix_fc1")
    assert np.abs(first.kernel.numpy()[:, 4:]).max() < 1e-5 < 1e-3 < np.abs(first.kernel.numpy()[:, :4]).max()
    np.testing.assert_array_equal(first.bias, [0, 0, 0, 0, 1, 1, 1, 1])


def test_gates_of_an_odd_width_are_refused():
    with pytest.raises(ValueError, match="hidden_dim of a gated MLP must be even, half of it for the gates; given: 7"):
        gated_mlp(7)
