"""External attention and its parts."""

import keras
import numpy as np
import pytest

from mixer_tf.layers.external_attention import (
    Transposed,
    external_attention_2d,
    multihead_external_attention,
    read_memory,
    tied_initializers,
)

PARTS = ("keys", "values")


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def memory(shape, **arguments):
    x = keras.Input(shape)
    normal = keras.initializers.RandomNormal(stddev=0.5)
    y = read_memory(x, 7, key_initializer=normal, value_initializer=normal.clone(), name="read", **arguments)
    return keras.Model(x, y)


def test_weights_are_normalised_over_the_tokens_and_then_over_the_units():
    model, x = memory((5, 3)), random(2, 5, 3)
    keys, values = (model.get_layer(f"read_{part}") for part in PARTS)
    scores = np.exp(x @ keys.kernel.numpy())
    over_tokens = scores / scores.sum(axis=1, keepdims=True)
    weights = over_tokens / over_tokens.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(model(x), weights @ values.kernel.numpy(), atol=1e-5)


def test_heads_share_the_memory_and_do_not_meet():
    model, x = memory((5, 4, 3)), random(2, 5, 4, 3)
    one_head = memory((5, 3))
    one_head.set_weights(model.get_weights())
    np.testing.assert_allclose(model(x)[:, :, 2], one_head(x[:, :, 2]), atol=1e-6)


def test_a_bias_of_the_keys_changes_nothing():
    """The softmax over the tokens removes it."""
    model, x = memory((5, 3)), random(2, 5, 3)
    before = model(x)
    model.get_layer("read_keys").bias.assign(random(7))
    np.testing.assert_allclose(model(x), before, atol=1e-6)


@pytest.mark.parametrize(
    ("block", "shape"),
    [
        (lambda x: external_attention_2d(x, memory_units=7), (4, 5, 6)),
        (lambda x: multihead_external_attention(x, 3, memory_units=7), (5, 6)),
    ],
)
def test_blocks_keep_the_shape_and_the_float_type(block, shape):
    for policy in ("float32", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        x = keras.Input(shape)
        model = keras.Model(x, block(x))
        assert model.output.shape == (None, *shape)
        assert model.output.dtype == keras.config.dtype_policy().compute_dtype
        assert np.isfinite(np.asarray(keras.ops.cast(model(random(2, *shape)), "float32"))).all()


def test_order_of_the_tokens_does_not_matter():
    """External attention knows no positions."""
    x = keras.Input((5, 6))
    model, tokens, order = keras.Model(x, multihead_external_attention(x, 2)), random(2, 5, 6), [3, 0, 4, 1, 2]
    np.testing.assert_allclose(model(tokens[:, order]).numpy(), model(tokens).numpy()[:, order], atol=1e-5)


def test_channels_that_the_heads_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="num_heads must divide the 6 channels; given: 4"):
        multihead_external_attention(keras.Input((5, 6)), 4)


def test_memory_starts_with_values_that_are_the_keys_transposed():
    x = keras.Input((4, 5, 6))
    models = [keras.Model(x, external_attention_2d(x, memory_units=7)) for _ in range(2)]
    keys, values = ([m.get_layer(f"external_attention_{part}").kernel.numpy() for m in models] for part in PARTS)
    np.testing.assert_array_equal(values, np.swapaxes(keys, 1, 2))
    assert np.abs(keys[0] - keys[1]).max() > 0.01  # every model draws its own


def test_initializers_come_back_from_their_config():
    keys, values = tied_initializers(keras.initializers.TruncatedNormal(stddev=0.02))
    copy = Transposed.from_config(values.get_config())
    np.testing.assert_array_equal(copy((3, 4)), np.transpose(keys((4, 3))))
