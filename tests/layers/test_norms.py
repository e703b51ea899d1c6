"""Normalisation in the papers' forms, against numpy."""

import keras
import numpy as np

from mixer_tf.layers.norms import RaftNormalization, group_norm


def test_raft_normalisation_is_an_ordinary_one_that_knows_its_rafts():
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 6)).astype("float32")
    raft, plain = RaftNormalization(3, epsilon=1e-5), keras.layers.LayerNormalization(epsilon=1e-5)
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
