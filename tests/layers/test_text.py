"""From token ids to vectors, and back."""

import keras
import numpy as np
import pytest

from mixer_tf.layers.text import Bias, TextPositions, text_inputs, token_embedding, token_mask


def test_inputs_have_names_and_whole_numbers():
    inputs = text_inputs(5, segments=True)
    assert list(inputs) == ["token_ids", "segment_ids", "padding_mask"]
    assert {(tensor.name, tensor.shape, tensor.dtype) for tensor in inputs.values()} == {
        (name, (None, 5), "int32") for name in inputs
    }
    assert list(text_inputs(5)) == ["token_ids", "padding_mask"]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_one_table_embeds_and_gives_logits(policy):
    keras.config.set_dtype_policy(policy)
    ids = keras.Input((5,), dtype="int32")
    x = token_embedding(ids, 7, 4, initializer="ones")
    table = keras.Model(ids, x).get_layer("token_embedding")
    assert [tuple(weight.shape) for weight in table.weights] == [(7, 4)]
    assert x.dtype == keras.config.dtype_policy().compute_dtype
    table.embeddings.assign(np.arange(28).reshape(7, 4) / 8)
    vectors = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    logits = table(vectors, reverse=True)
    assert logits.dtype == "float32"
    np.testing.assert_allclose(logits, vectors @ table.embeddings.numpy().T, atol=1e-5)


def test_mask_has_the_type_of_the_tokens():
    for policy, dtype in (("float32", "float32"), ("mixed_bfloat16", "bfloat16")):
        keras.config.set_dtype_policy(policy)
        mask = token_mask(keras.Input((5,), dtype="int32"))
        assert (mask.shape, mask.dtype) == ((None, 5, 1), dtype)


def test_positions_are_the_first_rows_of_the_table():
    layer = TextPositions(6)
    y = layer(np.zeros((2, 4, 3), "float32")).numpy()
    assert layer.table.shape == (6, 3)
    np.testing.assert_array_equal(y, np.broadcast_to(layer.table.numpy()[:4], (2, 4, 3)))


def test_a_text_longer_than_the_table_is_refused():
    with pytest.raises(ValueError, match="sequence_length must be at most max_positions 6; given: 7; cut the text"):
        TextPositions(6)(keras.Input((7, 3)))


def test_bias_is_added_to_each_channel_and_starts_at_zero():
    layer, x = Bias(), np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    np.testing.assert_array_equal(layer(x), x)
    layer.bias.assign([1.0, 2.0, 3.0])
    np.testing.assert_allclose(layer(x), x + np.arange(1, 4), rtol=1e-6)


@pytest.mark.parametrize(
    "layer", [TextPositions(9, keras.initializers.RandomNormal(stddev=0.3), name="a"), Bias(name="b", dtype="float32")]
)
def test_config_round_trip_keeps_every_argument(layer):
    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert copy(keras.Input((5, 4))).shape == layer(keras.Input((5, 4))).shape
