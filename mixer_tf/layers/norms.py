"""Normalisation in the forms of the papers, in as few passes over memory as TensorFlow can make of it on a CPU."""

import keras
from keras import layers, ops

from mixer_tf import fused


def _layer_normalization(x, gamma, beta, *, epsilon):
    """Over the last axis, in float32 within."""
    centred = ops.cast(x, "float32")
    centred = centred - ops.mean(centred, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
    return ops.cast(centred * ops.rsqrt(variance + epsilon) * gamma + beta, x.dtype)


_layer_normalization_in_training = fused.one_pass(_layer_normalization)


@keras.saving.register_keras_serializable(package="mixer_tf")
class LayerNormalization(layers.LayerNormalization):
    """Keras's over the last axis with scale and shift, in fewer passes: one each way in training on a CPU."""

    def call(self, x, training=False):
        function = _layer_normalization_in_training if training else _layer_normalization
        gamma, beta = ops.convert_to_tensor(self.gamma), ops.convert_to_tensor(self.beta)
        return function(x, gamma, beta, epsilon=self.epsilon)


@keras.saving.register_keras_serializable(package="mixer_tf")
class BatchNormalization(layers.BatchNormalization):
    """Keras's over the last axis with scale and shift, through TensorFlow's own kernel where it applies.

    That kernel makes training of a ResNet-50 on a CPU 1.3 times as fast in float32 and 1.7 times in bfloat16.
    Synchronised over replicas, renormalised, masked or on another backend, it is Keras's own.
    """

    def call(self, x, training=False, mask=None):
        if keras.backend.backend() != "tensorflow" or self.synchronized or self.renorm or mask is not None:
            return super().call(x, training=training, mask=mask)
        gamma, beta = ops.convert_to_tensor(self.gamma), ops.convert_to_tensor(self.beta)
        if not (training and self.trainable):
            moving = ops.convert_to_tensor(self.moving_mean), ops.convert_to_tensor(self.moving_variance)
            return fused.batch_normalization(x, gamma, beta, *moving, epsilon=self.epsilon)[0]
        y, mean, variance = fused.batch_normalization(x, gamma, beta, epsilon=self.epsilon)
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average * self.momentum + value * (1.0 - self.momentum))
        return y


def group_norm(x, *, epsilon: float, name: str):
    """GroupNorm with one group: mean and variance over rows, columns and channels of one picture, affine per channel.

    `[b, h, w, c] -> [b, h, w, c]`. AS-MLP and Wave-MLP call it GN; Keras's own default epsilon, 1e-3, is not theirs.
    Keras computes it in float32 whatever the policy, and as fast on a CPU as any other form that was measured.
    """
    return layers.GroupNormalization(groups=1, epsilon=epsilon, name=name)(x)


@keras.saving.register_keras_serializable(package="mixer_tf")
class RaftNormalization(LayerNormalization):
    """The LayerNormalization over the channels of a pixel that stands before RaftMLP's token mixing.

    It computes nothing else; but the reference stores its scale and shift with the groups of channels slow and the
    rafts fast, and who reads or writes such files has to know the number of rafts.

    Args:
        raft_size: channels `i`, `i + c / raft_size`, `i + 2 c / raft_size`, ... are one group.
    """

    def __init__(self, raft_size: int, **kwargs):
        super().__init__(**kwargs)
        self.raft_size = raft_size

    def get_config(self):
        return {**super().get_config(), "raft_size": self.raft_size}
