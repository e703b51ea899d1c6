"""The learned square that stands in a picture for what is hidden of it."""

import keras
from keras import layers, ops

from mixer_tf.layers.initializers import TRUNCATED_NORMAL


@keras.saving.register_keras_serializable(package="mixer_tf")
class MaskTile(layers.Layer):
    """Cover squares of a picture with a learned one: `[b, H, W, c], int [b, H / unit, W / unit] -> [b, H, W, c]`.

    Before a patch embedding without overlap the tile is a mask token, learned through that embedding. Where it stands,
    no pixel of the picture is left; elsewhere the picture is unchanged.

    Args:
        unit: side of the square in pixels; it must divide the picture's sides.
        initializer: of the tile.
    """

    def __init__(self, unit: int, initializer=TRUNCATED_NORMAL, **kwargs):
        super().__init__(autocast=False, **kwargs)  # a picture in float32 stays what it is
        self.unit, self.initializer = unit, keras.initializers.get(initializer)

    def build(self, input_shape):
        (*_, channels), _ = input_shape
        shape = (self.unit, self.unit, channels)
        self.tile = self.add_weight(shape=shape, initializer=self.initializer, name="tile")

    def call(self, inputs):
        image, masked_units = inputs
        _, rows, columns = masked_units.shape
        hidden = ops.repeat(ops.repeat(masked_units, self.unit, axis=1), self.unit, axis=2)  # [b, H, W]
        cover = ops.tile(ops.cast(self.tile, image.dtype), (rows, columns, 1))  # [H, W, c]
        return ops.where(hidden[..., None] > 0, cover, image)

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        initializer = keras.initializers.serialize(self.initializer)
        return {**super().get_config(), "unit": self.unit, "initializer": initializer}
