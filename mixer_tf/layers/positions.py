"""Position tables that are not one learned row per token."""

import keras
import numpy as np
from keras import layers, ops

from mixer_tf.layers.initializers import TRUNCATED_NORMAL
from mixer_tf.layers.resize import bilinear_matrix


@keras.saving.register_keras_serializable(package="mixer_tf")
class GridPositionEmbedding(layers.Layer):
    """Add a learned vector to the class token and a learned grid to the patches: `[b, 1 + h * w, c]`, the same out.

    The authors of FF-only resize the grid bilinearly where the patches have another one, at every call.

    Args:
        grid: rows and columns of the patches of this input.
        stored_grid: rows and columns of the learned grid; None for those of the patches.
    """

    def __init__(self, grid: tuple[int, int], stored_grid: tuple[int, int] | None = None, **kwargs):
        super().__init__(**kwargs)
        self.grid, self.stored_grid = tuple(grid), tuple(stored_grid or grid)

    def build(self, input_shape):
        channels = input_shape[-1]
        self.class_row = self.add_weight(shape=(1, 1, channels), initializer=TRUNCATED_NORMAL, name="class_row")
        self.table = self.add_weight(shape=(1, *self.stored_grid, channels), initializer=TRUNCATED_NORMAL, name="table")

    def call(self, x):
        table = ops.convert_to_tensor(self.table)
        if self.grid != self.stored_grid:
            matrices = [bilinear_matrix(stored, new) for stored, new in zip(self.stored_grid, self.grid, strict=True)]
            rows, columns = (ops.convert_to_tensor(matrix, dtype=table.dtype) for matrix in matrices)
            table = ops.einsum("yh,xw,bhwc->byxc", rows, columns, table)
        table = ops.reshape(table, (1, -1, x.shape[-1]))
        return x + ops.cast(ops.concatenate([ops.cast(self.class_row, table.dtype), table], axis=1), x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "grid": self.grid, "stored_grid": self.stored_grid}


def sinusoid_table(num_positions: int, channels: int) -> np.ndarray:
    """Sines in the even columns, cosines in the odd ones, `[positions, channels]` (Vaswani et al. 2017)."""
    columns = np.arange(channels)
    angles = np.arange(num_positions)[:, None] / 10000 ** (2 * (columns // 2) / channels)
    return np.where(columns % 2, np.cos(angles), np.sin(angles)).astype("float32")


@keras.saving.register_keras_serializable(package="mixer_tf")
class SinusoidPositions(layers.Layer):
    """Add the fixed table of sines and cosines to the tokens: `[b, s, c] -> [b, s, c]`.

    The table is not trained, but it is a weight, because the checkpoints of T2T models hold it.
    """

    def build(self, input_shape):
        _, tokens, channels = input_shape

        def table(shape, dtype=None):
            return ops.convert_to_tensor(sinusoid_table(tokens, channels)[None], dtype=dtype)

        self.table = self.add_weight(shape=(1, tokens, channels), initializer=table, trainable=False, name="table")

    def call(self, x):
        return x + ops.cast(self.table, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape
