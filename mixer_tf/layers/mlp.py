"""The one two-layer MLP of the house."""

import keras
from keras import layers, ops

from mixer_tf.layers.activations import Activation
from mixer_tf.layers.initializers import Halves


def mlp(
    x,
    hidden_dim: int,
    *,
    name: str,
    activation: str = "gelu",
    output_dim: int | None = None,
    gated: bool = False,
    use_bias: bool = True,
    dropout: float = 0.0,
    kernel_initializer="lecun_normal",
    bias_initializer="zeros",
    output_initializer=None,
    dtype=None,
):
    """Dense, activation, Dense on the last axis; layers `<name>_fc1`, `<name>_activation` and `<name>_fc2`.

    `[b, ..., c] -> [b, ..., output_dim]`, or `c` channels again where no `output_dim` is given. Every MLP of the
    package is this one. Flattened to a matrix, TensorFlow's graph optimiser fuses product, bias and exact GELU into
    one CPU kernel, which it does not do for a Dense on three or four axes. `output_initializer` is for the second
    kernel, where it differs from the first; `dtype` is that of both layers, where the policy's will not do.

    With `gated` it is a gated linear unit (Shazeer 2020, arXiv 2002.05202): the activation is that of the second half
    of the hidden channels alone, which multiplies the first half; layer `<name>_gate`. As in timm, every gate starts
    open to the same degree, with weights near zero and a bias of one.

    Raises:
        ValueError: when the activation is unknown, or gates are wanted of an odd `hidden_dim`.
    """
    if hidden_dim < 1:
        raise ValueError(
            f"{name} must have a hidden width of at least 1; given: {hidden_dim}; raise the width or the ratio"
        )
    if gated and hidden_dim % 2:
        raise ValueError(f"hidden_dim of a gated MLP must be even, half of it for the gates; given: {hidden_dim}")
    channels, inner_shape = x.shape[-1], x.shape[1:-1]
    output_dim = output_dim or channels

    def dense(units, suffix, kernel_initializer=kernel_initializer, bias_initializer=bias_initializer):
        return layers.Dense(
            units,
            use_bias=use_bias,
            kernel_initializer=_fresh(kernel_initializer),
            bias_initializer=_fresh(bias_initializer),
            dtype=dtype,
            name=f"{name}_{suffix}",
        )

    y = ops.reshape(x, (-1, channels))  # [b * s, c]
    if gated:
        gates_start = keras.initializers.RandomNormal(stddev=1e-6)
        kernel, bias = Halves(kernel_initializer, gates_start), Halves(bias_initializer, "ones")
        y, gate = ops.split(dense(hidden_dim, "fc1", kernel, bias)(y), 2, axis=-1)
        y = y * Activation(activation, dtype=dtype, name=f"{name}_gate")(gate)
    else:
        y = Activation(activation, dtype=dtype, name=f"{name}_activation")(dense(hidden_dim, "fc1")(y))
    y = layers.Dropout(dropout, name=f"{name}_dropout1")(y) if dropout else y
    y = dense(output_dim, "fc2", output_initializer or kernel_initializer)(y)
    y = layers.Dropout(dropout, name=f"{name}_dropout2")(y) if dropout else y
    return ops.reshape(y, (-1, *inner_shape, output_dim))


def dense(x, units: int, *, name: str, activation: str | None = None, **arguments):
    """One Dense on the last axis, flattened as in `mlp`: `[b, ..., c] -> [b, ..., units]`; also a 1x1 convolution.

    An activation is layer `<name>_activation`; further arguments are those of `keras.layers.Dense`. What has a number
    of places that differs from batch to batch is not flattened.
    """
    inner_shape, flat = x.shape[1:-1], None not in x.shape[1:-1]
    y = layers.Dense(units, name=name, **arguments)(ops.reshape(x, (-1, x.shape[-1])) if flat else x)
    y = Activation(activation, name=f"{name}_activation")(y) if activation else y
    return ops.reshape(y, (-1, *inner_shape, units)) if flat else y


def _fresh(initializer):
    """A copy that draws numbers of its own: Keras gives the same ones to all layers that share an initializer."""
    return initializer.clone() if isinstance(initializer, keras.initializers.Initializer) else initializer
