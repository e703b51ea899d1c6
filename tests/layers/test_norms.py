"""Normalisation in the papers' forms, against numpy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.layers.norms import BatchNormalization, LayerNormalization, RaftNormalization, group_norm


def value_and_gradients(layer, x, output_gradients, training):
    """The output, the gradients of the input and of the weights, and what the other weights have become."""

    @tf.function
    def in_graph():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=training)
        weights = [weight.value for weight in layer.trainable_variables]
        return [y, *tape.gradient(y, [x, *weights], tf.cast(output_gradients, y.dtype))]

    return [*in_graph(), *(weight.value for weight in layer.non_trainable_variables)]


def assert_same_as_keras(ours, keras_layer, shape, *, training, dtype="float32"):
    """Equal to Keras's own in value, gradients and moving statistics."""
    random = np.random.default_rng(0)
    x, output_gradients = (tf.cast(random.normal(1, 2, size=shape), dtype) for _ in range(2))
    for layer in (ours, keras_layer):
        layer.build(shape)
    values = [random.uniform(0.5, 2, size=weight.shape) for weight in keras_layer.weights]
    for layer in (ours, keras_layer):
        layer.set_weights(values)
    results = [value_and_gradients(layer, x, output_gradients, training) for layer in (ours, keras_layer)]
    assert len(results[0]) == len(results[1])
    assert results[0][0].dtype == results[1][0].dtype == dtype
    tolerance = {"float32": 2e-5, "bfloat16": 2e-2}[dtype]
    for mine, expected in zip(*results, strict=True):
        mine, expected = (tf.cast(value, "float32").numpy() for value in (mine, expected))
        np.testing.assert_allclose(mine, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("shape", [(6, 5), (4, 7, 5), (2, 4, 3, 5)])
@pytest.mark.parametrize("name", ["LayerNormalization", "BatchNormalization"])
def test_layers_compute_what_those_of_keras_do(name, shape, policy, training):
    arguments = {"epsilon": 1e-4, "dtype": policy}
    ours = {"LayerNormalization": LayerNormalization, "BatchNormalization": BatchNormalization}[name](**arguments)
    dtype = policy.removeprefix("mixed_")
    assert_same_as_keras(ours, getattr(keras.layers, name)(**arguments), shape, training=training, dtype=dtype)


@pytest.mark.parametrize("arguments", [{"trainable": False}, {"synchronized": True}, {"momentum": 0.7}])
def test_batch_norm_in_its_other_forms_computes_what_that_of_keras_does(arguments):
    layers = BatchNormalization(**arguments), keras.layers.BatchNormalization(**arguments)
    assert_same_as_keras(*layers, (2, 4, 3, 5), training=True)


def test_batch_norm_skips_what_a_mask_hides_as_that_of_keras_does():
    x, mask = np.random.default_rng(0).normal(size=(4, 7, 5)).astype("float32"), np.arange(7) < [[7], [3], [5], [1]]
    ours, expected = BatchNormalization(), keras.layers.BatchNormalization()
    np.testing.assert_array_equal(ours(x, training=True, mask=mask), expected(x, training=True, mask=mask))
    np.testing.assert_array_equal(ours.moving_mean, expected.moving_mean)


def test_raft_normalisation_is_an_ordinary_one_that_knows_its_rafts():
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 6)).astype("float32")
    raft, plain = RaftNormalization(3, epsilon=1e-5), LayerNormalization(epsilon=1e-5)
    raft.build(x.shape)
    raft.gamma.assign(np.arange(6.0))
    plain.build(x.shape)
    plain.set_weights(raft.get_weights())
    np.testing.assert_array_equal(raft(x), plain(x))
    copy = RaftNormalization.from_config(raft.get_config())
    assert copy.raft_size == 3
    assert copy.get_config() == raft.get_config()


def model(epsilon=1e-5):
    x = keras.Input((4, 6, 5))
    return keras.Model(x, group_norm(x, epsilon=epsilon, name="norm"))


def test_one_mean_and_variance_for_each_picture_and_one_scale_and_shift_for_each_channel():
    random = np.random.default_rng(0)
    x = random.normal(3, 2, size=(2, 4, 6, 5)).astype("float32")
    network, gamma, beta = model(), random.normal(size=5), random.normal(size=5)
    network.set_weights([gamma, beta])
    assert [weight.path for weight in network.weights] == ["norm/gamma", "norm/beta"]
    mean, variance = x.mean(axis=(1, 2, 3), keepdims=True), x.var(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(network(x), (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta, rtol=1e-4, atol=1e-5)


def test_epsilon_is_the_given_one():
    x = np.random.default_rng(0).normal(0, 0.01, size=(2, 4, 6, 5)).astype("float32")
    deviation = np.sqrt(x.var(axis=(1, 2, 3)) + 1e-3)
    np.testing.assert_allclose(model(1e-3)(x).numpy().std(axis=(1, 2, 3)), x.std(axis=(1, 2, 3)) / deviation, rtol=1e-4)


def test_statistics_are_float32_under_a_half_precision_policy():
    keras.config.set_dtype_policy("mixed_float16")
    x = np.random.default_rng(0).normal(300, 100, size=(2, 4, 6, 5)).astype("float16")  # squares beyond 65,504
    y = model()(x).numpy()
    assert y.dtype == np.float16
    np.testing.assert_allclose(y.astype("float32").std(axis=(1, 2, 3)), 1, rtol=1e-2)
