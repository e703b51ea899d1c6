"""Learned vectors that stand beside the patches: class token, mask token, positions, layer scale."""

import keras
from keras import layers, ops

from mixer_tf.layers.resize import bicubic_matrix


@keras.saving.register_keras_serializable(package="mixer_tf")
class ClassToken(layers.Layer):
    """Put one learned token before the others: `[b, s, c] -> [b, 1 + s, c]`.

    Args:
        initializer: of the token.
    """

    def __init__(self, initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        self.token = self.add_weight(shape=(1, 1, input_shape[-1]), initializer=self.initializer, name="token")

    def call(self, x):
        token = ops.broadcast_to(ops.cast(self.token, x.dtype), (ops.shape(x)[0], 1, x.shape[-1]))
        return ops.concatenate([token, x], axis=1)

    def compute_output_shape(self, input_shape):
        batch, tokens, channels = input_shape
        return (batch, tokens + 1, channels)

    def get_config(self):
        return {**super().get_config(), "initializer": keras.initializers.serialize(self.initializer)}


@keras.saving.register_keras_serializable(package="mixer_tf")
class MaskToken(layers.Layer):
    """Keep the vector that stood for a hidden patch in pretraining; `[b, s, c] -> [b, s, c]`, unchanged.

    DINOv2's checkpoints hold it. It is not trained here and takes no part in the output, but it loads and saves with
    the rest, so that a checkpoint comes back whole.
    """

    def build(self, input_shape):
        self.token = self.add_weight(shape=(1, input_shape[-1]), initializer="zeros", trainable=False, name="token")

    def call(self, x):
        return x

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="mixer_tf")
class PositionEmbedding(layers.Layer):
    """Add a learned table to the tokens: `[b, n + h * w, c] -> [b, n + h * w, c]`, `n` class tokens first.

    Args:
        grid: rows and columns of the patches of this input.
        stored_grid: rows and columns of the table. Where they differ from `grid`, the table is resized at every call
            by PyTorch's bicubic rule, as DINOv2 does; the rows of class tokens stay untouched.
    """

    def __init__(self, grid: tuple[int, int], stored_grid: tuple[int, int] | None = None, **kwargs):
        super().__init__(**kwargs)
        self.grid, self.stored_grid = tuple(grid), tuple(stored_grid or grid)

    def build(self, input_shape):
        _, tokens, channels = input_shape
        self.num_prefix_tokens = tokens - self.grid[0] * self.grid[1]
        stored_tokens = self.num_prefix_tokens + self.stored_grid[0] * self.stored_grid[1]
        self.table = self.add_weight(
            shape=(1, stored_tokens, channels), initializer=keras.initializers.RandomNormal(stddev=0.02), name="table"
        )

    def call(self, x):
        table = ops.convert_to_tensor(self.table)
        if self.grid != self.stored_grid:
            table = self._resized(table)
        return x + ops.cast(table, x.dtype)

    def _resized(self, table):
        prefix, patches = table[:, : self.num_prefix_tokens], table[:, self.num_prefix_tokens :]
        patches = ops.reshape(patches, (*self.stored_grid, -1))
        matrices = [bicubic_matrix(stored, new) for stored, new in zip(self.stored_grid, self.grid, strict=True)]
        rows, columns = (ops.convert_to_tensor(matrix, dtype=table.dtype) for matrix in matrices)
        patches = ops.einsum("yh,xw,hwc->yxc", rows, columns, patches)
        return ops.concatenate([prefix, ops.reshape(patches, (1, -1, table.shape[-1]))], axis=1)

    def get_config(self):
        return {**super().get_config(), "grid": self.grid, "stored_grid": self.stored_grid}


@keras.saving.register_keras_serializable(package="mixer_tf")
class LayerScale(layers.Layer):
    """Multiply each channel of a branch by a learned factor (Touvron et al. 2021, arXiv 2103.17239).

    Args:
        initial: the value that every factor starts with.
    """

    def __init__(self, initial: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.initial = initial

    def build(self, input_shape):
        self.gamma = self.add_weight(
            shape=(input_shape[-1],), initializer=keras.initializers.Constant(self.initial), name="gamma"
        )

    def call(self, x):
        return x * ops.cast(self.gamma, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "initial": self.initial}
