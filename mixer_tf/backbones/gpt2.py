"""GPT-2: Language Models are Unsupervised Multitask Learners. Radford et al. 2019.

Reference code: openai/gpt-2 (`model.py`) and transformers (`modeling_gpt2.py`).

The idea: a Transformer in which every token sees only itself and those before it learns to say what comes next, and
with enough text and size that one task teaches it the others. Compared with BERT, the norms stand before attention and
MLP, and one more at the end.
"""

import keras
from keras import layers

from mixer_tf.keras_fixes import Model
from mixer_tf.layers.attention import attention, attention_bias
from mixer_tf.layers.mlp import mlp
from mixer_tf.layers.norms import LayerNormalization
from mixer_tf.layers.text import TextPositions, text_inputs, token_embedding


def gpt2(
    sequence_length: int,
    *,
    vocab_size: int,
    num_blocks: int,
    hidden_dim: int,
    num_heads: int,
    mlp_dim: int,
    max_positions: int = 1024,
    activation: str = "gelu_tanh",
    norm_epsilon: float = 1e-5,
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
    name: str = "gpt2",
) -> keras.Model:
    """GPT-2's decoder: `token_ids` and `padding_mask`, both int32 `[b, t]`, `-> [b, t, hidden_dim]`.

    The output of a real token depends on no later token and on no padding; that of padding means nothing.

    Args:
        sequence_length: number of tokens t, at most `max_positions`. The weights are the same for every length.
        vocab_size: number of different tokens.
        num_blocks: number of blocks.
        hidden_dim: channels of every token; `num_heads` must divide it.
        num_heads: number of attention heads.
        mlp_dim: hidden width of the MLP.
        max_positions: rows of the table of positions.
        activation: `"gelu_tanh"` (called `gelu_new` in the checkpoints' configs) or `"gelu"` (erf).
        norm_epsilon: added to the variance by every LayerNormalization.
        dropout: rate after the embedding, after every attention and after every MLP, 0 to 1; 0.1 when trained.
        attention_dropout: rate of the attention's maps; 0.1 when trained.
        name: name of the model.

    Raises:
        ValueError: when the text is longer than the table of positions, `num_heads` does not divide `hidden_dim`, or
            the activation is unknown.

    Example:
        >>> decoder = gpt2(16, vocab_size=100, num_blocks=2, hidden_dim=12, num_heads=3, mlp_dim=20)
        >>> decoder.output.shape
        (None, 16, 12)
    """
    inputs = text_inputs(sequence_length)
    x = token_embedding(inputs["token_ids"], vocab_size, hidden_dim, initializer=_initializer())  # [b, t, c]
    x = TextPositions(max_positions, _initializer(), name="position_embedding")(x)
    x = layers.Dropout(dropout, name="stem_dropout")(x) if dropout else x
    bias = attention_bias(inputs["padding_mask"], causal=True)
    bias = layers.Identity(name="causal_mask")(bias)  # [b, 1, t, t]; its name tells a head that this is a decoder
    for i in range(num_blocks):
        x = gpt2_block(
            x,
            bias,
            num_heads=num_heads,
            mlp_dim=mlp_dim,
            activation=activation,
            norm_epsilon=norm_epsilon,
            dropout=dropout,
            attention_dropout=attention_dropout,
            residual_stddev=0.02 / (2 * num_blocks) ** 0.5,
            name=f"block{i}",
        )
    x = LayerNormalization(epsilon=norm_epsilon, name="norm")(x)
    return Model(inputs, x, name=name)


def gpt2_block(
    x, bias, *, num_heads, mlp_dim, activation, norm_epsilon, dropout, attention_dropout, residual_stddev, name
):
    """Attention, then an MLP, each with its own norm before it and residual around it: `[b, t, c] -> [b, t, c]`."""
    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm1")(x)
    y = attention(
        y,
        num_heads,
        bias=bias,
        dropout=dropout,
        attention_dropout=attention_dropout,
        qkv_initializer=_initializer(),
        projection_initializer=_initializer(residual_stddev),
        name=f"{name}_attention",
    )
    x = layers.Add(name=f"{name}_attention_add")([x, y])

    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm2")(x)
    y = mlp(
        y,
        mlp_dim,
        activation=activation,
        kernel_initializer=_initializer(),
        output_initializer=_initializer(residual_stddev),
        name=f"{name}_mlp",
    )
    y = layers.Dropout(dropout, name=f"{name}_mlp_dropout")(y) if dropout else y
    return layers.Add(name=f"{name}_mlp_add")([x, y])


def _initializer(stddev=0.02):
    return keras.initializers.RandomNormal(stddev=stddev)


def _variant(num_blocks, hidden_dim):
    """Heads of 64 channels, an MLP four times as wide as the model."""
    return {
        "sequence_length": 1024,
        "vocab_size": 50257,
        "num_blocks": num_blocks,
        "hidden_dim": hidden_dim,
        "num_heads": hidden_dim // 64,
        "mlp_dim": 4 * hidden_dim,
    }


VARIANTS: dict[str, dict] = {
    "gpt2": _variant(12, 768),
    "gpt2_medium": _variant(24, 1024),
    "gpt2_large": _variant(36, 1280),
    "gpt2_xl": _variant(48, 1600),
}
