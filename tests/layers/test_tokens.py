"""The learned vectors beside the patches."""

import keras
import numpy as np
import pytest

from mixer_tf.layers.resize import bicubic_matrix
from mixer_tf.layers.tokens import ClassToken, LayerScale, MaskToken, PositionEmbedding


def tokens(batch=2, count=15, channels=4):
    return np.random.default_rng(0).normal(size=(batch, count, channels)).astype("float32")


def test_class_token_comes_first_and_is_the_same_for_all():
    layer = ClassToken()
    layer.build((None, 15, 4))
    layer.token.assign(np.arange(4.0).reshape(1, 1, 4))
    y = layer(tokens()).numpy()
    np.testing.assert_array_equal(y[:, 0], [np.arange(4.0)] * 2)
    np.testing.assert_array_equal(y[:, 1:], tokens())


def test_mask_token_changes_nothing_and_is_not_trained():
    layer = MaskToken()
    np.testing.assert_array_equal(layer(tokens()), tokens())
    assert [weight.shape for weight in layer.non_trainable_weights] == [(1, 4)]
    assert layer.trainable_weights == []


def test_positions_are_resized_by_the_bicubic_rule_but_for_the_class_token():
    layer = PositionEmbedding(grid=(2, 7), stored_grid=(3, 5))
    y = layer(np.zeros((1, 1 + 2 * 7, 4), "float32")).numpy()
    table = layer.table.numpy()
    assert table.shape == (1, 1 + 3 * 5, 4)
    expected = np.einsum("yh,xw,hwc->yxc", bicubic_matrix(3, 2), bicubic_matrix(5, 7), table[0, 1:].reshape(3, 5, 4))
    np.testing.assert_array_equal(y[:, 0], table[:, 0])
    np.testing.assert_allclose(y[0, 1:], expected.reshape(-1, 4), atol=1e-6)


def test_layer_scale_multiplies_each_channel():
    layer = LayerScale(initial=0.5)
    np.testing.assert_allclose(layer(tokens()), tokens() / 2)
    layer.gamma.assign(np.arange(4.0))
    np.testing.assert_allclose(layer(tokens()), tokens() * np.arange(4.0))


@pytest.mark.parametrize(
    "layer",
    [
        ClassToken(name="a"),
        MaskToken(name="b"),
        PositionEmbedding((2, 7), (3, 5), name="c"),
        LayerScale(0.3, name="d"),
    ],
)
def test_config_round_trip_keeps_every_argument(layer):
    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert copy(keras.Input((15, 4))).shape == layer(keras.Input((15, 4))).shape
