"""The activations of the papers."""

import keras
from keras import layers, ops

from mixer_tf.fused import one_pass


def _gelu(x):
    return keras.activations.gelu(x, approximate=False)


def _gelu_tanh(x):
    return keras.activations.gelu(x, approximate=True)


def _in_training(function):
    """One pass over memory, in float32 within, as XLA would round after every step in half precision."""
    return one_pass(lambda x: ops.cast(function(ops.cast(x, "float32")), x.dtype))


ACTIVATIONS = {"gelu": _gelu, "gelu_tanh": _gelu_tanh, "relu": keras.activations.relu, "silu": keras.activations.silu}
IN_TRAINING = {name: _in_training(ACTIVATIONS[name]) for name in ("gelu", "gelu_tanh", "silu")}


@keras.saving.register_keras_serializable(package="mixer_tf")
class Activation(layers.Layer):
    """An activation by its name, element by element; in training on a CPU it takes one pass over memory.

    Args:
        activation: `gelu` (the exact erf form), `gelu_tanh` (its approximation in Google's JAX code and in GPT-2),
            `relu` or `silu`.

    Raises:
        ValueError: when the name is none of these.
    """

    def __init__(self, activation: str, **kwargs):
        super().__init__(**kwargs)
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}; given: {activation!r}")
        self.activation = activation

    def call(self, x, training=False):
        function = IN_TRAINING.get(self.activation) if training else None
        return (function or ACTIVATIONS[self.activation])(x)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "activation": self.activation}
