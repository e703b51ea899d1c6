"""External attention: Beyond Self-attention, External Attention using Two Linear Layers for Visual Tasks.

Guo et al. 2021, arXiv 2105.02358. Reference code: MenghaoGuo/EANet.

The idea: tokens do not look at each other but at a small learned memory that all pictures share, so that the cost grows
with the number of tokens and not with its square. Two linear layers are the memory's keys and values. Between them the
weights are normalised twice: a softmax over the tokens, then a division by their sum over the memory's units.
"""

import math

import keras
from keras import layers, ops

from mixer_tf.layers.activations import Activation
from mixer_tf.layers.initializers import TRUNCATED_NORMAL
from mixer_tf.layers.mlp import dense
from mixer_tf.layers.norms import BatchNormalization


def external_attention_2d(
    x,
    *,
    memory_units: int = 64,
    activation: str = "relu",
    norm_epsilon: float = 1e-5,
    norm_momentum: float = 0.9,
    l1_epsilon: float = 1e-9,
    name: str = "external_attention",
):
    """External attention over the pixels of a feature map, with a residual around it: `[b, h, w, c] -> [b, h, w, c]`.

    It is the block of EANet, which segments pictures with it: a 1x1 convolution, the memory, a 1x1 convolution with
    BatchNormalization, the residual and the activation.

    Args:
        x: the feature map.
        memory_units: size of the memory.
        activation: after the residual; as in `mixer_tf.layers.mlp`.
        norm_epsilon: added to the variance by the BatchNormalization.
        norm_momentum: weight of its old moving statistics.
        l1_epsilon: added to the sum over the units, against a division by zero.
        name: start of the layers' names.

    Example:
        >>> import keras
        >>> external_attention_2d(keras.Input((6, 5, 16))).shape
        (None, 6, 5, 16)
    """
    *grid, channels = x.shape[1:]
    he = keras.initializers.RandomNormal(stddev=math.sqrt(2 / channels))
    keys, values = tied_initializers(he)
    y = dense(x, channels, kernel_initializer=he.clone(), name=f"{name}_input")
    y = read_memory(
        ops.reshape(y, (-1, math.prod(grid), channels)),  # [b, s, c]
        memory_units,
        key_bias=False,
        value_bias=False,
        key_initializer=keys,
        value_initializer=values,
        l1_epsilon=l1_epsilon,
        name=name,
    )
    y = dense(y, channels, use_bias=False, kernel_initializer=he.clone(), name=f"{name}_output")
    y = BatchNormalization(momentum=norm_momentum, epsilon=norm_epsilon, name=f"{name}_norm")(y)
    y = layers.Add(name=f"{name}_add")([x, ops.reshape(y, (-1, *grid, channels))])
    return Activation(activation, name=f"{name}_activation")(y)


def multihead_external_attention(
    x,
    num_heads: int,
    *,
    memory_units: int = 64,
    expansion: int = 4,
    dropout: float = 0.0,
    l1_epsilon: float = 1e-9,
    name: str = "external_attention",
):
    """External attention in heads that share one memory: `[b, s, c] -> [b, s, c]`.

    The channels are first multiplied, and with them the heads, so that a head keeps `c / num_heads` channels.

    Args:
        x: the tokens.
        num_heads: number of heads before the expansion; it must divide the channels.
        memory_units: size of the memory; in the authors' code 256 divided by the expansion.
        expansion: how many times more channels, and heads, there are inside.
        dropout: rate after the last projection, 0 to 1.
        l1_epsilon: added to the sum over the units, against a division by zero.
        name: start of the layers' names.

    Raises:
        ValueError: when `num_heads` does not divide the channels.

    Example:
        >>> import keras
        >>> multihead_external_attention(keras.Input((15, 16)), num_heads=2).shape
        (None, 15, 16)
    """
    tokens, channels = x.shape[1:]
    if channels % num_heads:
        raise ValueError(f"num_heads must divide the {channels} channels; given: {num_heads}")

    y = dense(x, expansion * channels, kernel_initializer=TRUNCATED_NORMAL, name=f"{name}_expansion")
    y = ops.reshape(y, (-1, tokens, expansion * num_heads, channels // num_heads))  # [b, s, heads, d]
    y = read_memory(
        y,
        memory_units,
        key_initializer=TRUNCATED_NORMAL,
        value_initializer=TRUNCATED_NORMAL,
        l1_epsilon=l1_epsilon,
        name=name,
    )
    y = ops.reshape(y, (-1, tokens, expansion * channels))
    y = dense(y, channels, kernel_initializer=TRUNCATED_NORMAL, name=f"{name}_projection")
    return layers.Dropout(dropout, name=f"{name}_dropout")(y) if dropout else y


def read_memory(
    x,
    memory_units: int,
    *,
    name: str,
    key_initializer,
    value_initializer,
    key_bias: bool = True,
    value_bias: bool = True,
    dropout: float = 0.0,
    l1_epsilon: float = 1e-9,
):
    """Compare every token with the memory's keys and mix its values: `[b, s, ..., c] -> [b, s, ..., c]`.

    The maps `[b, s, ..., units]` before the second normalisation are layer `<name>_softmax`.
    """
    y = dense(x, memory_units, use_bias=key_bias, kernel_initializer=key_initializer, name=f"{name}_keys")
    # In float32 under every policy: over thousands of tokens each weight is small.
    y = layers.Softmax(axis=1, dtype="float32", name=f"{name}_softmax")(y)
    y = ops.cast(y / (l1_epsilon + ops.sum(y, axis=-1, keepdims=True)), x.dtype)
    y = layers.Dropout(dropout, name=f"{name}_dropout1")(y) if dropout else y
    return dense(y, x.shape[-1], use_bias=value_bias, kernel_initializer=value_initializer, name=f"{name}_values")


@keras.saving.register_keras_serializable(package="mixer_tf")
class Transposed(keras.initializers.Initializer):
    """The transposed values of another initializer."""

    def __init__(self, initializer):
        self.initializer = keras.initializers.get(initializer)

    def __call__(self, shape, dtype=None):
        return ops.transpose(self.initializer(shape[::-1], dtype))

    def get_config(self):
        return {"initializer": keras.initializers.serialize(self.initializer)}


def tied_initializers(initializer: keras.initializers.Initializer):
    """Initializers for a memory's keys and values, of which the second gives the first's values transposed.

    The authors start so, and train the two as independent weights.
    """
    seeded = type(initializer).from_config({**initializer.get_config(), "seed": initializer.seed})
    return seeded, Transposed(seeded)
