"""The Dense layer over tokens."""

import keras
import numpy as np
import pytest

from mixer_tf.layers.token_dense import TokenDense


def tokens():
    return np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")


@pytest.mark.parametrize("arguments", [{}, {"use_bias": False}, {"activation": "relu"}])
def test_it_is_a_dense_between_two_transpositions(arguments):
    layer, dense = TokenDense(7, bias_initializer="ones", **arguments), keras.layers.Dense(7, **arguments)
    y = layer(tokens())
    dense.build((2, 3, 5))
    dense.set_weights(layer.get_weights())
    np.testing.assert_allclose(y, np.swapaxes(dense(np.swapaxes(tokens(), 1, 2)), 1, 2), atol=1e-6)
    assert layer.kernel.shape == (5, 7)


def test_shape_is_known_without_running():
    assert TokenDense(7)(keras.Input((5, 3))).shape == (None, 7, 3)


def test_another_number_of_tokens_is_refused():
    layer = TokenDense(5)
    layer(tokens())
    with pytest.raises(ValueError, match="expected axis 1 of input shape to have value 5"):
        layer(np.zeros((2, 6, 3), "float32"))


def test_bfloat16_policy():
    assert TokenDense(7, dtype="mixed_bfloat16")(tokens()).dtype == "bfloat16"


def test_config_round_trip_keeps_every_argument():
    layer = TokenDense(7, use_bias=False, activation="relu", kernel_initializer="ones", name="a")
    copy = TokenDense.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
