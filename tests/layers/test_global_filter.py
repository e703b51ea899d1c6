"""GFNet's filter over frequencies."""

import keras
import numpy as np
import pytest

from mixer_tf.layers.global_filter import GlobalFilter


def filtered(shape):
    random = np.random.default_rng(0)
    layer = GlobalFilter()
    x = random.normal(size=(2, *shape)).astype("float32")
    layer.build(x.shape)
    layer.complex_weight.assign(random.normal(size=layer.complex_weight.shape))
    return layer, x


@pytest.mark.parametrize("shape", [(6, 8, 3), (7, 5, 3), (5, 8, 2), (4, 1, 2), (1, 2, 2)])
def test_equals_the_real_fft_also_where_the_weight_is_not_hermitian(shape):
    layer, x = filtered(shape)
    weight = layer.complex_weight.numpy()
    spectrum = np.fft.rfft2(x, axes=(1, 2)) * (weight[..., 0] + 1j * weight[..., 1])
    expected = np.fft.irfft2(spectrum, s=shape[:2], axes=(1, 2))
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


def test_weight_of_ones_is_the_identity():
    layer, x = filtered((6, 5, 3))
    weight = np.zeros(layer.complex_weight.shape)
    weight[..., 0] = 1
    layer.complex_weight.assign(weight)
    np.testing.assert_allclose(layer(x), x, atol=1e-5)


def test_computes_in_float32_under_a_policy_of_half_precision():
    layer, x = filtered((6, 8, 3))
    half = GlobalFilter(dtype="mixed_bfloat16")
    half.build(x.shape)
    half.complex_weight.assign(layer.complex_weight)
    y = half(keras.ops.cast(x, "bfloat16"))
    assert y.dtype == "bfloat16"
    exact = layer(keras.ops.cast(keras.ops.cast(x, "bfloat16"), "float32"))
    np.testing.assert_array_equal(keras.ops.cast(exact, "bfloat16"), y)


def test_config_round_trip():
    layer = GlobalFilter(name="a")
    copy = GlobalFilter.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert copy(keras.Input((6, 8, 3))).shape == (None, 6, 8, 3)
