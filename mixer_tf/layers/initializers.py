"""Initial values that several papers share.

Each is a dictionary, from which every layer makes an initialiser of its own: layers that share one *instance* of
Keras's random initialisers share its seed and start with equal values.
"""

import keras
from keras import ops

NORMAL = {"class_name": "RandomNormal", "config": {"stddev": 0.02}}
"""timm's `trunc_normal_(std=.02)`: it truncates at plus and minus 2, not at two deviations, which is never reached."""

TRUNCATED_NORMAL = {"class_name": "TruncatedNormal", "config": {"stddev": 0.02}}
"""Google's `truncated_normal_initializer(0.02)` of BERT, which draws no number beyond two deviations."""

TORCH_UNIFORM = {
    "class_name": "VarianceScaling",
    "config": {"scale": 1 / 3, "mode": "fan_in", "distribution": "uniform"},
}
"""What `torch.nn.Linear` and `Conv2d` start with: uniform within `1 / sqrt(fan_in)` on either side of zero."""


def torch_uniform(fan_in: int) -> dict:
    """`TORCH_UNIFORM` for a kernel of which Keras does not know how many inputs an output has, as a depthwise one."""
    limit = fan_in**-0.5
    return {"class_name": "RandomUniform", "config": {"minval": -limit, "maxval": limit}}


@keras.saving.register_keras_serializable(package="mixer_tf")
class Halves(keras.initializers.Initializer):
    """The values of one initializer in the first half of the last axis, those of another in the second.

    Args:
        first: initializer, or its name or dictionary.
        second: the same.
    """

    def __init__(self, first, second):
        self.first, self.second = keras.initializers.get(first), keras.initializers.get(second)

    def __call__(self, shape, dtype=None):
        half = (*shape[:-1], shape[-1] // 2)
        return ops.concatenate([self.first(half, dtype), self.second(half, dtype)], axis=-1)

    def get_config(self):
        serialize = keras.initializers.serialize
        return {"first": serialize(self.first), "second": serialize(self.second)}
