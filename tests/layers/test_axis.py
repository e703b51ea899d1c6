"""The Dense layer along one axis of a map."""

import keras
import numpy as np
import pytest

from mixer_tf.layers.axis import AxisDense
from mixer_tf.layers.shifts import COLUMNS, ROWS

X = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")


@pytest.mark.parametrize(("axis", "size", "formula"), [(ROWS, 4, "oh,bhwc->bowc"), (COLUMNS, 5, "ow,bhwc->bhoc")])
def test_mixes_one_axis_alike_for_all_channels(axis, size, formula):
    layer = AxisDense(axis)
    layer.build(X.shape)
    layer.bias.assign(np.arange(size))
    bias = np.arange(size).reshape((-1, 1, 1) if axis == ROWS else (-1, 1))
    np.testing.assert_allclose(layer(X), np.einsum(formula, layer.kernel.numpy(), X) + bias, atol=1e-5)


def test_unknown_axis_is_refused():
    with pytest.raises(ValueError, match=r"axis must be 1 \(rows\) or 2 \(columns\); given: 3"):
        AxisDense(3)


def test_config_round_trip_keeps_every_argument():
    layer = AxisDense(COLUMNS, kernel_initializer="zeros", name="a")
    copy = AxisDense.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert copy(keras.Input((4, 5, 3))).shape == (None, 4, 5, 3)
    np.testing.assert_array_equal(copy.kernel, np.zeros((5, 5)))
