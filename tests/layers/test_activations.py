"""Activations by name, and that training computes what inference does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.layers.activations import ACTIVATIONS, Activation

# x Phi(x), its tanh approximation, max(0, x), x sigmoid(x) at these places.
PLACES = [-2.0, -0.5, 0.0, 1.0]
VALUES = {
    "gelu": [-0.0455003, -0.1542688, 0.0, 0.8413447],
    "gelu_tanh": [-0.0454023, -0.1542860, 0.0, 0.8411920],
    "relu": [0.0, 0.0, 0.0, 1.0],
    "silu": [-0.2384058, -0.1887703, 0.0, 0.7310586],
}


@tf.function
def value_and_gradient(function, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return y, tape.gradient(y, x)


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_values_are_those_of_the_definition_in_inference_and_in_training(name):
    layer = Activation.from_config(Activation(name).get_config())
    for training in (False, True):
        np.testing.assert_allclose(layer(np.array(PLACES, "float32"), training=training), VALUES[name], atol=1e-6)


@pytest.mark.parametrize("name", list(ACTIVATIONS))
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_gradients_of_training_are_those_of_the_plain_function(name, policy):
    layer = Activation(name, dtype=policy)
    x = tf.cast(tf.linspace(-4.0, 4.0, 33), layer.compute_dtype)  # the steps of 0.25 are exact in bfloat16
    tolerance = 1e-6 if policy == "float32" else 2**-8
    results = value_and_gradient(lambda x: layer(x, training=True), x)
    expected = value_and_gradient(ACTIVATIONS[name], tf.cast(x, "float32"))
    for mine, plain in zip(results, expected, strict=True):
        assert mine.dtype == layer.compute_dtype
        np.testing.assert_allclose(tf.cast(mine, "float32"), plain, rtol=tolerance, atol=tolerance)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="activation must be one of gelu, gelu_tanh, relu, silu; given: 'swish'"):
        Activation("swish")


def test_inference_has_no_compiled_function_so_that_the_graph_optimiser_fuses_the_gelu():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), Activation("gelu")])
    for training in (False, True):
        call = tf.function(lambda x, training=training: model(x, training=training))
        operations = call.get_concrete_function(tf.TensorSpec((5, 3))).graph.get_operations()
        assert any("Call" in operation.type for operation in operations) == training
