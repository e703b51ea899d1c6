"""The heads that BERT is pretrained with: what stands at masked tokens, and whether a sentence follows another."""

import keras
from keras import layers, ops

from mixer_tf.checks import require_type
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.initializers import TRUNCATED_NORMAL
from mixer_tf.layers.mlp import dense
from mixer_tf.layers.norms import LayerNormalization
from mixer_tf.layers.text import Bias


def masked_language_model(
    encoder: keras.Model,
    *,
    masked_positions: bool = False,
    next_sentence: bool = False,
    activation: str = "gelu",
    norm_epsilon: float = 1e-12,
    name: str | None = None,
) -> keras.Model:
    """Put BERT's pretraining heads on an encoder of text; the model gives logits in float32, without softmax.

    A Dense layer with activation and a LayerNormalization, then the product with the encoder's own table of tokens and
    a bias: `[b, t, vocab_size]`.

    Args:
        encoder: a model from `mixer_tf.create_backbone` that reads text.
        masked_positions: take one more input, `masked_positions` int32 `[b, m]`, and give the logits of these places
            alone, `[b, m, vocab_size]`. A training needs no others, and of a large vocabulary they are most of the
            work. The number of places m may differ from batch to batch; a place that is only there to fill a row has
            no meaning, and weight 0 in the loss.
        next_sentence: also say whether the second sentence of a pair follows the first. The model's output is then a
            dict: `mlm_logits`, as above; `nsp_logits` `[b, 2]`, index 0 for "it follows", as in published checkpoints,
            from the layer `pooler`, a Dense layer with tanh on the first token.
        activation: `"gelu"` (erf), `"gelu_tanh"`, `"relu"` or `"silu"`, as in the encoder.
        norm_epsilon: added to the variance by the head's LayerNormalization.
        name: name of the model; None for the encoder's with `_masked_language_model`.

    Raises:
        ValueError: when the encoder has no table of tokens, or the activation is unknown.

    Example:
        >>> import mixer_tf as mt
        >>> model = mt.masked_language_model(mt.create_backbone("bert_tiny", sequence_length=16))
        >>> model.output.shape
        (None, 16, 30522)
    """
    table, x, inputs = table_of_tokens(encoder), encoder.output, encoder.input  # [b, t, c]
    if masked_positions:
        positions = keras.Input((None,), dtype="int32", name="masked_positions")  # [b, m]
        # A product takes a third of the time of `take_along_axis`, which goes element by element.
        x = ops.matmul(ops.one_hot(positions, x.shape[1], dtype=x.dtype), x)  # [b, m, c]
        inputs = {**inputs, "masked_positions": positions}
    logits = _token_logits(x, table, activation, norm_epsilon)
    outputs = {"mlm_logits": logits, "nsp_logits": _sentence_logits(encoder)} if next_sentence else logits
    return Model(inputs, outputs, name=name or f"{encoder.name}_masked_language_model")


def table_of_tokens(encoder: keras.Model) -> keras.layers.ReversibleEmbedding:
    """The encoder's layer `token_embedding`, which a head calls in reverse.

    Raises:
        ValueError: when it has none.
    """
    require_type("backbone", encoder, keras.Model)
    for layer in encoder.layers:
        if layer.name == "token_embedding":
            return layer
    raise ValueError(
        "a language model must continue a backbone that reads text, one of "
        f"mixer_tf.list_backbones(reads='text'); given: {encoder.name}"
    )


def _token_logits(x, table, activation, norm_epsilon):
    """Transform, norm and the product with the table of tokens: `[b, m, c] -> [b, m, v]`."""
    x = dense(
        x,
        x.shape[-1],
        activation=activation,
        kernel_initializer=TRUNCATED_NORMAL,
        name="head_dense",
    )
    x = LayerNormalization(epsilon=norm_epsilon, name="head_norm")(x)
    return Bias(dtype="float32", name="head_bias")(table(x, reverse=True))


def _sentence_logits(encoder):
    first = encoder.output[:, 0]  # [b, c]
    pooled = layers.Dense(first.shape[-1], activation="tanh", kernel_initializer=TRUNCATED_NORMAL, name="pooler")(first)
    return layers.Dense(2, kernel_initializer=TRUNCATED_NORMAL, dtype="float32", name="next_sentence")(pooled)
