"""One depthwise convolution with several kernel sizes, against one for each group."""

import keras
import numpy as np
import pytest

from mixer_tf.layers.mixed_depthwise import MixedDepthwiseConv2D

SIZES, WIDTHS = (1, 3, 7, 5), (3, 3, 3, 2)


def layer():
    mixed = MixedDepthwiseConv2D(SIZES, name="mix")
    mixed.build((None, 4, 6, 11))
    return mixed


def test_each_group_has_its_own_kernel():
    x, mixed = np.random.default_rng(0).normal(size=(2, 4, 6, 11)).astype("float32"), layer()
    start, expected = 0, []
    for n, (size, width) in enumerate(zip(SIZES, WIDTHS, strict=True)):
        single = keras.layers.DepthwiseConv2D(size, padding="same")
        group = x[..., start : start + width]
        single.build(group.shape)
        single.set_weights([mixed.kernels[n], mixed.biases[n]])
        expected.append(single(group))
        start += width
    np.testing.assert_allclose(mixed(x), np.concatenate(expected, axis=-1), atol=1e-5)


def test_weights_are_kept_for_each_group():
    shapes = {variable.name: tuple(variable.shape) for variable in layer().weights}
    for n, (size, width) in enumerate(zip(SIZES, WIDTHS, strict=True)):
        assert shapes[f"kernel{n}"] == (size, size, width, 1)
        assert shapes[f"bias{n}"] == (width,)
    assert len(shapes) == 8


def test_weights_start_within_one_over_the_square_root_of_the_taps():
    mixed = MixedDepthwiseConv2D((1, 5))
    mixed.build((None, 4, 6, 2000))
    for kernel, bias, size in zip(mixed.kernels, mixed.biases, (1, 5), strict=True):
        for values in (kernel.numpy(), bias.numpy()):
            assert 0.95 / size < np.abs(values).max() <= 1 / size


def test_config_round_trip_and_half_precision():
    mixed = layer()
    copy = MixedDepthwiseConv2D.from_config(mixed.get_config())
    assert copy.get_config() == mixed.get_config()
    assert copy(keras.Input((4, 6, 11))).shape == (None, 4, 6, 11)
    low = MixedDepthwiseConv2D(SIZES, dtype="mixed_bfloat16")
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 11)).astype("float32")
    low.build(x.shape)
    low.set_weights(mixed.get_weights())
    assert low(x).dtype == "bfloat16"
    np.testing.assert_allclose(keras.ops.cast(low(x), "float32"), mixed(x), atol=0.1)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"kernel_sizes must be odd; given: \(1, 2\)"):
        MixedDepthwiseConv2D((1, 2))
    with pytest.raises(ValueError, match=r"channels must give 5 groups of .*; given: 12 channels, 4 groups"):
        MixedDepthwiseConv2D((1, 1, 1, 1, 1)).build((None, 4, 6, 12))
