"""BERT: Pre-training of Deep Bidirectional Transformers. Devlin et al. 2018, arXiv 1810.04805.

Reference code: google-research/bert (`modeling.py`) and transformers (`modeling_bert.py`). The small sizes are those of
Turc et al. 2019, arXiv 1908.08962.

The idea: hide some words of a text and let a Transformer encoder that sees both sides of each guess them. What it
learns that way from plain text, every later task can start from. Positions are learned, and so is a vector for each of
the two sentences of a pair.

Query, key and value come from one packed product, which is faster than the reference's three.
"""

import keras
from keras import layers

from mixer_tf.keras_fixes import Model
from mixer_tf.layers.attention import attention, attention_bias
from mixer_tf.layers.initializers import TRUNCATED_NORMAL
from mixer_tf.layers.mlp import mlp
from mixer_tf.layers.norms import LayerNormalization
from mixer_tf.layers.text import TextPositions, text_inputs, token_embedding


def bert(
    sequence_length: int,
    *,
    vocab_size: int,
    num_blocks: int,
    hidden_dim: int,
    num_heads: int,
    mlp_dim: int,
    max_positions: int = 512,
    num_segments: int = 2,
    activation: str = "gelu",
    norm_epsilon: float = 1e-12,
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
    name: str = "bert",
) -> keras.Model:
    """BERT's encoder: `token_ids`, `segment_ids`, `padding_mask`, each int32 `[b, t]`, `-> [b, t, hidden_dim]`.

    What stands at padded positions does not reach the others; the output there means nothing.

    Args:
        sequence_length: number of tokens t, at most `max_positions`. The weights are the same for every length.
        vocab_size: number of different tokens.
        num_blocks: number of encoder blocks.
        hidden_dim: channels of every token; `num_heads` must divide it.
        num_heads: number of attention heads.
        mlp_dim: hidden width of the MLP.
        max_positions: rows of the table of positions.
        num_segments: number of different segments, 2 for pairs of sentences.
        activation: `"gelu"` (erf) or `"gelu_tanh"` (called `gelu_new` in some checkpoints' configs).
        norm_epsilon: added to the variance by every LayerNormalization.
        dropout: rate after the embedding, after every attention and after every MLP, 0 to 1; 0.1 in the paper.
        attention_dropout: rate of the attention's maps; 0.1 in the paper.
        name: name of the model.

    Raises:
        ValueError: when the text is longer than the table of positions, `num_heads` does not divide `hidden_dim`, or
            the activation is unknown.

    Example:
        >>> encoder = bert(16, vocab_size=100, num_blocks=2, hidden_dim=12, num_heads=3, mlp_dim=20)
        >>> encoder.output.shape
        (None, 16, 12)
    """
    inputs = text_inputs(sequence_length, segments=True)
    x = token_embedding(inputs["token_ids"], vocab_size, hidden_dim, initializer=TRUNCATED_NORMAL)  # [b, t, c]
    y = layers.Embedding(num_segments, hidden_dim, embeddings_initializer=TRUNCATED_NORMAL, name="segment_embedding")(
        inputs["segment_ids"]
    )
    x = layers.Add(name="segment_embedding_add")([x, y])
    x = TextPositions(max_positions, TRUNCATED_NORMAL, name="position_embedding")(x)
    x = LayerNormalization(epsilon=norm_epsilon, name="stem_norm")(x)
    x = layers.Dropout(dropout, name="stem_dropout")(x) if dropout else x
    bias = attention_bias(inputs["padding_mask"])  # [b, 1, 1, t]
    for i in range(num_blocks):
        x = bert_block(
            x,
            bias,
            num_heads=num_heads,
            mlp_dim=mlp_dim,
            activation=activation,
            norm_epsilon=norm_epsilon,
            dropout=dropout,
            attention_dropout=attention_dropout,
            name=f"block{i}",
        )
    return Model(inputs, x, name=name)


def bert_block(x, bias, *, num_heads, mlp_dim, activation, norm_epsilon, dropout, attention_dropout, name):
    """Attention, then an MLP, each with its residual around it and its norm after that: `[b, t, c] -> [b, t, c]`."""
    y = attention(
        x,
        num_heads,
        bias=bias,
        dropout=dropout,
        attention_dropout=attention_dropout,
        qkv_initializer=TRUNCATED_NORMAL,
        projection_initializer=TRUNCATED_NORMAL,
        name=f"{name}_attention",
    )
    x = layers.Add(name=f"{name}_attention_add")([x, y])
    x = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm1")(x)

    y = mlp(x, mlp_dim, activation=activation, kernel_initializer=TRUNCATED_NORMAL, name=f"{name}_mlp")
    y = layers.Dropout(dropout, name=f"{name}_mlp_dropout")(y) if dropout else y
    x = layers.Add(name=f"{name}_mlp_add")([x, y])
    return LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm2")(x)


def _variant(num_blocks, hidden_dim, vocab_size=30522):
    """Heads of 64 channels, an MLP four times as wide as the model; the vocabulary is that of the uncased models."""
    return {
        "sequence_length": 512,
        "vocab_size": vocab_size,
        "num_blocks": num_blocks,
        "hidden_dim": hidden_dim,
        "num_heads": hidden_dim // 64,
        "mlp_dim": 4 * hidden_dim,
    }


VARIANTS: dict[str, dict] = {
    "bert_tiny": _variant(2, 128),
    "bert_mini": _variant(4, 256),
    "bert_small": _variant(4, 512),
    "bert_medium": _variant(8, 512),
    "bert_base": _variant(12, 768),
    "bert_large": _variant(24, 1024),
    "bert_base_cased": _variant(12, 768, vocab_size=28996),
    "bert_large_cased": _variant(24, 1024, vocab_size=28996),
    "bert_base_multilingual_cased": _variant(12, 768, vocab_size=119547),
    "bert_base_chinese": _variant(12, 768, vocab_size=21128),
}
