"""Multi-head self-attention and what it may look at."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.layers.attention import attention, attention_bias


def tokens(batch=2, count=5, channels=12):
    return np.random.default_rng(0).normal(size=(batch, count, channels)).astype("float32")


def network(*, causal=False, masked=False, **arguments):
    x, mask = keras.Input((5, 12)), keras.Input((5,), dtype="int32")
    bias = attention_bias(mask, causal=causal) if masked or causal else None
    inputs = [x] if bias is None else [x, mask]
    return keras.Model(inputs, attention(x, 3, bias=bias, name="attention", **arguments))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def by_hand(model, x, allowed):
    """The formula of the paper, head by head; query, key and value one after the other in the packed kernel."""
    packed, projection = model.get_layer("attention_qkv"), model.get_layer("attention_projection")
    query, key, value = np.split(x @ packed.kernel.numpy() + packed.bias.numpy(), 3, axis=-1)
    heads = []
    for i in range(3):
        q, k, v = (part[..., 4 * i : 4 * i + 4] for part in (query, key, value))
        scores = np.where(allowed, q @ k.transpose(0, 2, 1) / 2, -np.inf)  # the root of 4 channels
        heads.append(softmax(scores) @ v)
    return np.concatenate(heads, axis=-1) @ projection.kernel.numpy() + projection.bias.numpy()


MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        ({}, np.ones((1, 5, 5))),
        ({"masked": True}, MASK[:, None, :]),
        ({"causal": True}, np.tril(np.ones((5, 5))) * MASK[:, None, :]),
    ],
)
def test_every_head_is_the_papers_formula(arguments, allowed):
    model, random = network(**arguments), np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(random.normal(scale=0.4, size=weight.shape))
    inputs = [tokens(), MASK][: len(model.inputs)]
    np.testing.assert_allclose(model(inputs), by_hand(model, tokens(), allowed == 1), atol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_hidden_tokens_get_no_weight_at_all_and_a_row_without_any_token_no_nan(policy):
    keras.config.set_dtype_policy(policy)
    model = network(causal=True)
    maps = keras.Model(model.inputs, model.get_layer("attention_softmax").output)
    mask = np.array([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0]])
    weights = keras.ops.convert_to_numpy(maps([10 * tokens(), mask])).astype("float32")
    assert (weights[0][:, np.tril(np.ones((5, 5))) * mask[0] == 0] == 0).all()
    assert np.isfinite(weights).all()
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=0.02)
    assert model([10 * tokens(), mask]).dtype == keras.config.dtype_policy().compute_dtype


def test_bias_and_dropouts_are_the_callers_choice():
    assert network(qkv_bias=False).get_layer("attention_qkv").bias is None
    model = network(dropout=0.3, attention_dropout=0.2)
    assert model.get_layer("attention_dropout").rate == 0.3
    assert model.get_layer("attention_softmax_dropout").rate == 0.2
    names = [layer.name for layer in network().layers if "dropout" in layer.name]
    assert names == []


def test_each_third_of_the_packed_kernel_starts_as_if_it_stood_alone():
    kernel = network().get_layer("attention_qkv").kernel.numpy()
    limit = (6 / (12 + 12)) ** 0.5  # Glorot's, for 12 channels in and out
    assert 0.9 * limit < np.abs(kernel).max() <= limit


def test_heads_must_divide_the_channels():
    with pytest.raises(ValueError, match="num_heads must divide hidden_dim; given: num_heads 5, hidden_dim 12"):
        attention(keras.Input((5, 12)), 5, name="attention")


def test_gradient_of_the_packed_product_fills_no_tensor_with_zeros():
    """The gradient of a slice writes the whole packed tensor anew for each of query, key and value."""
    model, x = network(), tf.constant(tokens())

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            y = model(x)
        return tape.gradient(y, [weight.value for weight in model.trainable_variables])

    assert not [o for o in gradients.get_concrete_function().graph.get_operations() if o.type == "StridedSliceGrad"]
