"""From token ids to vectors, and back through the same table."""

import keras
from keras import layers, ops


def text_inputs(sequence_length: int, *, segments: bool = False) -> dict:
    """The inputs of a model that reads text, each int32 `[b, t]`, by name.

    `token_ids`; `segment_ids`, which sentence of a pair a token belongs to, where `segments` is set; `padding_mask`,
    1 for a real token and 0 for padding.
    """
    names = ("token_ids", *(("segment_ids",) if segments else ()), "padding_mask")
    return {name: keras.Input((sequence_length,), dtype="int32", name=name) for name in names}


def token_embedding(token_ids, vocab_size: int, hidden_dim: int, *, initializer):
    """Look every token up in a learned table: `[b, t] -> [b, t, c]`.

    The layer is called `token_embedding`; called in reverse it multiplies by the same table, in float32, which is what
    the heads do.
    """
    return layers.ReversibleEmbedding(
        vocab_size,
        hidden_dim,
        embeddings_initializer=initializer,
        reverse_dtype="float32",
        name="token_embedding",
    )(token_ids)


def token_mask(padding_mask):
    """The mask that a token mixing multiplies by, in the type of the tokens: `[b, t] -> [b, t, 1]`."""
    return ops.cast(padding_mask, keras.config.dtype_policy().compute_dtype)[:, :, None]


@keras.saving.register_keras_serializable(package="mixer_tf")
class TextPositions(layers.Layer):
    """Add the first rows of a learned table of positions: `[b, t, c] -> [b, t, c]`.

    Args:
        max_positions: rows of the table, at least t.
        initializer: of the table.

    Raises:
        ValueError: when the text is longer than the table.
    """

    def __init__(self, max_positions: int, initializer="uniform", **kwargs):
        super().__init__(**kwargs)
        self.max_positions, self.initializer = max_positions, keras.initializers.get(initializer)

    def build(self, input_shape):
        _, length, channels = input_shape
        if length > self.max_positions:
            raise ValueError(
                f"sequence_length must be at most max_positions {self.max_positions}; given: {length}; "
                "cut the text, or give more positions"
            )
        self.table = self.add_weight(shape=(self.max_positions, channels), initializer=self.initializer, name="table")

    def call(self, x):
        return x + ops.cast(self.table[: x.shape[1]], x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        initializer = keras.initializers.serialize(self.initializer)
        return {**super().get_config(), "max_positions": self.max_positions, "initializer": initializer}


@keras.saving.register_keras_serializable(package="mixer_tf")
class Bias(layers.Layer):
    """Add one learned number to each channel: the bias of a product whose matrix belongs to another layer."""

    def build(self, input_shape):
        self.bias = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="bias")

    def call(self, x):
        return x + ops.cast(self.bias, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape
