"""Normalisation without statistics."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="mixer_tf")
class Affine(layers.Layer):
    """Scale and shift every channel by learned numbers, which start at 1 and 0: `[..., c] -> [..., c]`.

    ResMLP (Touvron et al. 2021, arXiv 2105.03404) puts it where others normalise; it has no mean and no variance.
    """

    def build(self, input_shape):
        self.alpha = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="alpha")
        self.beta = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="beta")

    def call(self, x):
        return x * ops.cast(self.alpha, x.dtype) + ops.cast(self.beta, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape
