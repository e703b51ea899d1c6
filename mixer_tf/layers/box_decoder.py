"""From distances to the sides of a box to the box."""

import keras
import numpy as np
from keras import layers, ops

_LARGEST = 8.0  # as a logarithm: 3,000 times the stride; beyond that float32 is nowhere near its end


@keras.saving.register_keras_serializable(package="mixer_tf")
class BoxDecoder(layers.Layer):
    """Boxes from a map of logarithmic distances: `[b, h, w, 4] -> [b, h * w, 8]`, in float32.

    The distances run from the middle of a place of the map to the top, left, bottom and right side of its object, in
    units of the stride. The first four numbers of the result are the box, the last four the place itself, both y1, x1,
    y2, x2 as shares of the picture's height and width.

    Args:
        stride: pixels of the picture to a place of the map.
        image_size: height and width of the picture in pixels.
    """

    def __init__(self, stride: float, image_size: tuple[int, int], **kwargs):
        super().__init__(dtype="float32", **{key: value for key, value in kwargs.items() if key != "dtype"})
        self.stride, self.image_size = stride, tuple(image_size)

    def call(self, x):
        _, rows, columns, _ = x.shape
        sizes = np.array([*self.image_size, *self.image_size], "float32")
        cells = self._cells(rows, columns)
        centres = np.tile((cells[:, :2] + cells[:, 2:]) / 2, 2)
        distances = ops.exp(ops.minimum(ops.reshape(x, (-1, rows * columns, 4)), _LARGEST)) * self.stride
        boxes = (centres + distances * np.array([-1, -1, 1, 1], "float32")) / sizes
        return ops.concatenate([boxes, ops.broadcast_to(cells / sizes, ops.shape(boxes))], axis=-1)

    def _cells(self, rows: int, columns: int) -> np.ndarray:
        """The places in pixels, row by row."""
        y, x = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
        starts = np.stack([y, x], axis=-1).reshape(-1, 2)
        return (np.concatenate([starts, starts + 1], axis=-1) * self.stride).astype("float32")

    def compute_output_shape(self, input_shape):
        batch, rows, columns, _ = input_shape
        return (batch, rows * columns, 8)

    def get_config(self):
        return {**super().get_config(), "stride": self.stride, "image_size": self.image_size}
