"""Multi-head self-attention, as ViT, BERT and GPT-2 share it, and what keeps it from looking at some tokens."""

import keras
from keras import layers, ops


def attention(
    x,
    num_heads: int,
    *,
    name: str,
    bias=None,
    qkv_bias: bool = True,
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
    qkv_initializer=None,
    projection_initializer="glorot_uniform",
):
    """Multi-head self-attention: `[b, s, c] -> [b, s, c]`; the maps `[b, heads, s, s]` are layer `<name>_softmax`.

    Query, key and value come from one packed product, in that order, each with the heads one after the other.

    Args:
        x: tokens.
        num_heads: number of heads; it must divide the channels.
        name: first part of the layers' names.
        bias: added to the scores before the softmax, `[b, 1, 1 or s, s]`, such as `attention_bias` gives; None for
            none.
        qkv_bias: give the packed product a bias.
        dropout: rate after the projection.
        attention_dropout: rate of the maps.
        qkv_initializer: of the packed kernel; None for Glorot's, as if each third stood alone.
        projection_initializer: of the projection's kernel.

    Raises:
        ValueError: when `num_heads` does not divide the channels.
    """
    tokens, channels = x.shape[1:]
    if channels % num_heads:
        raise ValueError(f"num_heads must divide hidden_dim; given: num_heads {num_heads}, hidden_dim {channels}")
    head_dim = channels // num_heads
    # Glorot's limit for three square kernels side by side, each drawn as if it stood alone.
    packed_glorot = keras.initializers.VarianceScaling(2.0, mode="fan_avg", distribution="uniform")
    qkv = layers.Dense(
        3 * channels, use_bias=qkv_bias, kernel_initializer=qkv_initializer or packed_glorot, name=f"{name}_qkv"
    )(ops.reshape(x, (-1, channels)))
    qkv = layers.Reshape((3, num_heads, head_dim), name=f"{name}_heads")(qkv)  # [b * s, 3, heads, d]
    qkv = ops.transpose(ops.reshape(qkv, (-1, tokens, 3, num_heads, head_dim)), (2, 0, 3, 1, 4))
    query, key, value = ops.unstack(qkv)  # [b, heads, s, d]
    scores = ops.matmul(query * head_dim**-0.5, ops.swapaxes(key, 2, 3))  # [b, heads, s, s]
    weights = layers.Softmax(name=f"{name}_softmax")(scores if bias is None else scores + bias)
    weights = (
        layers.Dropout(attention_dropout, name=f"{name}_softmax_dropout")(weights) if attention_dropout else weights
    )
    y = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))  # [b, s, heads, d]
    y = layers.Dense(channels, kernel_initializer=projection_initializer, name=f"{name}_projection")(
        ops.reshape(y, (-1, channels))
    )
    y = layers.Dropout(dropout, name=f"{name}_dropout")(y) if dropout else y
    return ops.reshape(y, (-1, tokens, channels))


def attention_bias(padding_mask, *, causal: bool = False):
    """What hides padding, and with `causal` also the future: `[b, t] -> [b, 1, 1, t]`, causal `[b, 1, t, t]`.

    0 where a token may be looked at and a number so low elsewhere that the softmax gives exactly 0. It is finite, and
    added once only, so that a row without any token to look at gives equal weights and no NaN, in half precision too.

    Args:
        padding_mask: 1 for a real token, 0 for padding.
        causal: let every token see only itself and those before it.
    """
    dtype = keras.config.dtype_policy().compute_dtype  # that of the scores
    lowest = -3e4 if dtype == "float16" else -1e9
    seen = ops.cast(padding_mask, dtype)[:, None, :]  # [b, 1, t]
    if causal:
        seen = ops.tril(seen * ops.swapaxes(ops.ones_like(seen), 1, 2))  # [b, t, t]
    return ((1.0 - seen) * lowest)[:, None]
