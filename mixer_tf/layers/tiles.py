"""Maps cut into tiles, and a Dense layer over the pixels of each: RepMLPNet's way of mixing places.

The reference cuts a map in the order (tile row, tile column, group of channels) and puts the results back as if they
came in the order (group, tile row, tile column). Where a map has several tiles, results so land in another tile and
group than they were made from. The published networks have one tile to a map; for others it is part of the network.
"""

import keras
import numpy as np
from keras import layers, ops


def to_tiles(x, tile: tuple[int, int], num_sets: int):
    """Cut `[b, h, w, c]` into tiles and groups of `num_sets` consecutive channels: `-> [b * tiles * groups, *tile, s]`.

    The channels of a group belong to `num_sets` sets, each of which has weights of its own.
    """
    _, h, w, c = x.shape
    x = ops.reshape(x, (-1, h // tile[0], tile[0], w // tile[1], tile[1], c // num_sets, num_sets))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 5, 2, 4, 6)), (-1, *tile, num_sets))


def from_tiles(x, shape: tuple[int, int, int]):
    """Put tiles back, in the order of the reference: `[b * tiles * groups, *tile, s] -> [b, *shape]`."""
    _, *tile, num_sets = x.shape
    h, w, c = shape
    x = ops.reshape(x, (-1, c // num_sets, h // tile[0], w // tile[1], *tile, num_sets))
    return ops.reshape(ops.transpose(x, (0, 2, 4, 3, 5, 1, 6)), (-1, *shape))


def convolution_matrices(kernels: np.ndarray, tile: tuple[int, int]) -> np.ndarray:
    """Convolutions `[k, k, s]`, with zeros around the tile, as matrices over its pixels: `[s, out, in]`."""
    (height, width, num_sets), (rows, columns) = kernels.shape, tile
    matrices = np.zeros((num_sets, rows, columns, rows, columns), kernels.dtype)
    for i, j in np.ndindex(height, width):
        down, right = i - height // 2, j - width // 2
        y = np.arange(max(0, -down), min(rows, rows - down))[:, None]
        x = np.arange(max(0, -right), min(columns, columns - right))[None]
        matrices[:, y, x, y + down, x + right] = kernels[i, j][:, None, None]
    return matrices.reshape(num_sets, rows * columns, rows * columns)


@keras.saving.register_keras_serializable(package="mixer_tf")
class TileDense(layers.Layer):
    """Mix the pixels of each tile with the matrix of the channel's set: `[b, h, w, c] -> [b, h, w, c]`.

    Channel `i` belongs to set `i % num_sets`. The kernel is `[s, out, in]` over the pixels of a tile, row by row.

    Args:
        tile: rows and columns of a tile; they must divide those of the map.
        num_sets: how many sets of weights there are; the number must divide the channels.
        use_bias: add a bias `[s, out]`.
        kernel_initializer: of all matrices.
    """

    def __init__(
        self, tile: tuple[int, int], num_sets: int, use_bias=True, kernel_initializer="lecun_normal", **kwargs
    ):
        super().__init__(**kwargs)
        self.tile, self.num_sets, self.use_bias = (tile[0], tile[1]), num_sets, use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        pixels = self.tile[0] * self.tile[1]
        self.kernel = self.add_weight(
            shape=(self.num_sets, pixels, pixels), initializer=self.kernel_initializer, name="kernel"
        )
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.num_sets, pixels), initializer="zeros", name="bias")

    def call(self, x):
        _, h, w, c = x.shape
        rows, columns, groups = h // self.tile[0], w // self.tile[1], c // self.num_sets
        y = ops.reshape(x, (-1, rows, self.tile[0], columns, self.tile[1], groups, self.num_sets))
        y = ops.transpose(y, (6, 2, 4, 0, 1, 3, 5))
        y = ops.reshape(y, (self.num_sets, self.tile[0] * self.tile[1], -1))  # one product for each set
        y = ops.matmul(self.kernel, y)
        y = y + self.bias[:, :, None] if self.use_bias else y
        y = ops.reshape(y, (self.num_sets, *self.tile, -1, groups, rows, columns))  # not the order it was cut in
        return ops.reshape(ops.transpose(y, (3, 5, 1, 6, 2, 4, 0)), (-1, h, w, c))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "tile": self.tile,
            "num_sets": self.num_sets,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
