"""A Dense layer along the rows or the columns of a feature map, the same for all channels."""

import keras
from keras import layers, ops

from mixer_tf.layers.shifts import COLUMNS, ROWS


@keras.saving.register_keras_serializable(package="mixer_tf")
class AxisDense(layers.Layer):
    """Mix the places along one axis: `[b, h, w, c] -> [b, h, w, c]`, one matrix for all lines and all channels.

    The kernel is `[out, in]` and stands to the left of the map, so that nothing has to be transposed.

    Args:
        axis: `ROWS` mixes the rows of each column (along the height), `COLUMNS` the columns of each row.
        kernel_initializer: of the matrix.

    Raises:
        ValueError: when the axis is neither.
    """

    def __init__(self, axis: int, kernel_initializer="lecun_normal", **kwargs):
        super().__init__(**kwargs)
        if axis not in (ROWS, COLUMNS):
            raise ValueError(f"axis must be {ROWS} (rows) or {COLUMNS} (columns); given: {axis}")
        self.axis = axis
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        size = input_shape[self.axis]
        self.kernel = self.add_weight(shape=(size, size), initializer=self.kernel_initializer, name="kernel")
        self.bias = self.add_weight(shape=(size,), initializer="zeros", name="bias")

    def call(self, x):
        shape = (-1, *x.shape[1:])
        y = x if self.axis == COLUMNS else ops.reshape(x, (-1, x.shape[1], x.shape[2] * x.shape[3]))
        y = ops.matmul(self.kernel, y) + self.bias[:, None]
        return ops.reshape(y, shape)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "axis": self.axis,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
