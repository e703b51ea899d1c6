"""FNet: Mixing Tokens with Fourier Transforms. Lee-Thorp et al. 2021, arXiv 2105.03824.

Reference code: google-research/f_net and transformers (`modeling_fnet.py`).

The idea: put the real part of a Fourier transform over tokens and channels in the place of BERT's attention. Nothing in
it is learned, yet every output depends on every input, which is most of what the MLPs that follow need.

Deviations: padding is set to zero before every transform, so that it does not reach the real tokens (the reference
lets it); there are no segments, and no Dense layer between the embedding and the first block. The transform is a fast
one and runs in float32: on a CPU it takes a quarter of the time of two products with Fourier matrices at 512 x 768.
"""

import keras
from keras import layers, ops

from mixer_tf.keras_fixes import Model
from mixer_tf.layers.initializers import NORMAL
from mixer_tf.layers.mlp import mlp
from mixer_tf.layers.norms import LayerNormalization
from mixer_tf.layers.text import TextPositions, text_inputs, token_embedding, token_mask


def fnet(
    sequence_length: int,
    *,
    vocab_size: int,
    num_blocks: int,
    hidden_dim: int,
    mlp_dim: int,
    max_positions: int = 512,
    activation: str = "gelu_tanh",
    norm_epsilon: float = 1e-12,
    dropout: float = 0.0,
    name: str = "fnet",
) -> keras.Model:
    """FNet's encoder: `token_ids` and `padding_mask`, both int32 `[b, t]`, `-> [b, t, hidden_dim]`.

    What stands at padded positions does not reach the others; the output there means nothing.

    Args:
        sequence_length: number of tokens t, at most `max_positions`. The weights fit every length, but were trained
            with the transform of one.
        vocab_size: number of different tokens.
        num_blocks: number of encoder blocks.
        hidden_dim: channels of every token.
        mlp_dim: hidden width of the MLP.
        max_positions: rows of the table of positions.
        activation: `"gelu_tanh"` (the reference) or `"gelu"` (erf).
        norm_epsilon: added to the variance by every LayerNormalization.
        dropout: rate after the embedding and after every MLP, 0 to 1; 0.1 in the paper.
        name: name of the model.

    Raises:
        ValueError: when the text is longer than the table of positions or the activation is unknown.

    Example:
        >>> encoder = fnet(16, vocab_size=100, num_blocks=2, hidden_dim=12, mlp_dim=20)
        >>> encoder.output.shape
        (None, 16, 12)
    """
    inputs = text_inputs(sequence_length)
    mask = token_mask(inputs["padding_mask"])  # [b, t, 1]
    x = token_embedding(inputs["token_ids"], vocab_size, hidden_dim, initializer=NORMAL)  # [b, t, c]
    x = TextPositions(max_positions, NORMAL, name="position_embedding")(x)
    x = LayerNormalization(epsilon=norm_epsilon, name="stem_norm")(x)
    x = layers.Dropout(dropout, name="stem_dropout")(x) if dropout else x
    for i in range(num_blocks):
        x = fnet_block(
            x,
            mask,
            mlp_dim=mlp_dim,
            activation=activation,
            norm_epsilon=norm_epsilon,
            dropout=dropout,
            name=f"block{i}",
        )
    return Model(inputs, x, name=name)


def fnet_block(x, mask, *, mlp_dim, activation, norm_epsilon, dropout, name):
    """Fourier transform, then an MLP, each with its residual around it and its norm after that: `[b, t, c]`."""
    y = fourier_mixing(x * mask)
    x = layers.Add(name=f"{name}_fourier_mixing_add")([x, y])
    x = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm1")(x)

    y = mlp(x, mlp_dim, activation=activation, kernel_initializer=NORMAL, name=f"{name}_mlp")
    y = layers.Dropout(dropout, name=f"{name}_mlp_dropout")(y) if dropout else y
    x = layers.Add(name=f"{name}_mlp_add")([x, y])
    return LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm2")(x)


def fourier_mixing(x):
    """The real part of the Fourier transform over tokens and channels, unscaled: `[b, t, c] -> [b, t, c]`."""
    real = ops.cast(x, "float32")  # there is no transform in half precision
    return ops.cast(ops.fft2((real, ops.zeros_like(real)))[0], x.dtype)


def _variant(num_blocks, hidden_dim):
    """BERT's sizes, with a vocabulary of SentencePiece."""
    return {
        "sequence_length": 512,
        "vocab_size": 32000,
        "num_blocks": num_blocks,
        "hidden_dim": hidden_dim,
        "mlp_dim": 4 * hidden_dim,
    }


VARIANTS: dict[str, dict] = {
    "fnet_base": _variant(12, 768),
    "fnet_large": _variant(24, 1024),
}
