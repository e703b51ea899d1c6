"""Fewer passes over memory must change no number: everything here against plain Keras or numpy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf import fused


def function(x, y, *, power):
    return keras.ops.tanh(x * y) ** power


plain, compiled = function, fused.one_pass(function)


def value_and_gradients(function, tensors, **constants):
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y = function(*tensors, **constants)
    return y, *tape.gradient(y, tensors, output_gradients=tf.cast(tf.range(tf.size(y)), y.dtype)[:, None])


@pytest.mark.parametrize("in_graph", [False, True])
def test_one_pass_gives_the_same_value_and_gradients(in_graph):
    random = np.random.default_rng(0)
    tensors = [tf.constant(random.normal(size=(7, 1)), "float32") for _ in range(2)]
    run = tf.function(value_and_gradients) if in_graph else value_and_gradients
    for ours, expected in zip(
        run(compiled, tensors, power=3), value_and_gradients(plain, tensors, power=3), strict=True
    ):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_one_pass_of_the_next_batch_size_needs_no_new_function():
    traced = tf.function(lambda x: compiled(x, x, power=2), input_signature=[tf.TensorSpec((None, 1))])
    for size in (5, 3):
        x = np.linspace(-1, 1, size, dtype="float32")[:, None]
        np.testing.assert_allclose(traced(x), np.tanh(x * x) ** 2, atol=1e-6)
    assert traced.experimental_get_tracing_count() == 1


def test_kernel_of_the_batch_norm_gives_the_mean_and_variance_of_numpy():
    x = np.random.default_rng(0).normal(3, 2, size=(5, 4, 3)).astype("float32")
    _, mean, variance = fused.batch_normalization(x, np.ones(3, "float32"), np.zeros(3, "float32"), epsilon=1e-3)
    np.testing.assert_allclose(mean, x.mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(variance, x.var(axis=(0, 1)), rtol=1e-5)
