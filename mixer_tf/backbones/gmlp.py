"""gMLP: Pay Attention to MLPs. Liu et al. 2021, arXiv 2105.08050.

Reference code: timm (`mlp_mixer.py`); the authors published none.

The idea: tokens need to meet in one place only, inside the channel MLP. Half of its hidden channels, after a linear map
over the tokens, gate the other half. The map starts at zero and its bias at one, so that every block starts as an MLP.

`gmlp_text` is the paper's model of text, pretrained as BERT is. Neither form has a table of positions: the map over the
tokens has weights of its own for every position, so it knows them.

Stochastic depth has one rate for all blocks, as in timm; the paper gives one survival rate and no rule. Padding is set
to zero before every map over the tokens, so that it does not reach the real ones; the paper does not speak of it.
"""

import keras
from keras import layers, ops

from mixer_tf.keras_fixes import Model
from mixer_tf.layers.drop_path import drop_path
from mixer_tf.layers.initializers import NORMAL
from mixer_tf.layers.mlp import dense
from mixer_tf.layers.norms import LayerNormalization
from mixer_tf.layers.patches import patch_embedding, pyramid_level
from mixer_tf.layers.text import text_inputs, token_embedding, token_mask
from mixer_tf.layers.token_dense import TokenDense


def gmlp(
    image_shape: tuple[int, int, int],
    *,
    patch_size: int,
    num_blocks: int,
    hidden_dim: int,
    ffn_dim: int,
    activation: str = "gelu",
    norm_epsilon: float = 1e-6,
    gate_norm_epsilon: float = 1e-5,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
    name: str = "gmlp",
) -> keras.Model:
    """Build gMLP as a backbone: `[b, H, W, 3] -> [b, H / patch_size, W / patch_size, hidden_dim]`.

    Args:
        image_shape: (height, width, channels) in pixels; `patch_size` must divide both sides. The token-mixing weights
            belong to one number of patches.
        patch_size: side of a patch in pixels.
        num_blocks: number of blocks.
        hidden_dim: channels of every token.
        ffn_dim: hidden width of the MLP, even: one half gates the other.
        activation: `"gelu"` (erf, timm), `"gelu_tanh"`, `"relu"` or `"silu"`.
        norm_epsilon: added to the variance by every LayerNormalization but those of the gates.
        gate_norm_epsilon: the same inside the gates.
        dropout: rate after both Dense layers of every MLP, 0 to 1.
        drop_path_rate: stochastic depth of every block.
        name: name of the model.

    Raises:
        ValueError: when `patch_size` does not divide the image, `ffn_dim` is odd or the activation is unknown.

    Example:
        >>> backbone = gmlp((32, 48, 3), patch_size=8, num_blocks=2, hidden_dim=16, ffn_dim=96)
        >>> backbone.output.shape
        (None, 4, 6, 16)
    """
    image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    x = patch_embedding(image, hidden_dim, patch_size, name="stem_patch_embedding")  # [b, h, w, c]
    grid = x.shape[1:]
    x = layers.Reshape((-1, hidden_dim), name="stem_tokens")(x)  # [b, s, c]
    for i in range(num_blocks):
        x = gmlp_block(
            x,
            ffn_dim=ffn_dim,
            activation=activation,
            norm_epsilon=norm_epsilon,
            gate_norm_epsilon=gate_norm_epsilon,
            dropout=dropout,
            drop_path_rate=drop_path_rate,
            name=f"block{i}",
        )
    x = LayerNormalization(epsilon=norm_epsilon, name="norm")(x)
    x = layers.Reshape(grid, name=pyramid_level(patch_size))(x)  # [b, h, w, c]
    return Model(image, x, name=name)


def gmlp_text(
    sequence_length: int,
    *,
    vocab_size: int,
    num_blocks: int,
    hidden_dim: int,
    ffn_dim: int,
    activation: str = "gelu",
    norm_epsilon: float = 1e-6,
    gate_norm_epsilon: float = 1e-5,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
    name: str = "gmlp_text",
) -> keras.Model:
    """Build gMLP as an encoder of text: `token_ids` and `padding_mask`, int32 `[b, t]`, `-> [b, t, hidden_dim]`.

    What stands at padded positions does not reach the others; the output there means nothing.

    Args:
        sequence_length: number of tokens t. The token-mixing weights belong to one length: shorter texts are padded.
        vocab_size: number of different tokens.
        num_blocks: number of blocks.
        hidden_dim: channels of every token.
        ffn_dim: hidden width of the MLP, even: one half gates the other.
        activation: `"gelu"` (erf), `"gelu_tanh"`, `"relu"` or `"silu"`.
        norm_epsilon: added to the variance by every LayerNormalization but those of the gates.
        gate_norm_epsilon: the same inside the gates.
        dropout: rate after both Dense layers of every MLP, 0 to 1.
        drop_path_rate: stochastic depth of every block.
        name: name of the model.

    Raises:
        ValueError: when `ffn_dim` is odd or the activation is unknown.

    Example:
        >>> encoder = gmlp_text(16, vocab_size=100, num_blocks=2, hidden_dim=12, ffn_dim=20)
        >>> encoder.output.shape
        (None, 16, 12)
    """
    inputs = text_inputs(sequence_length)
    mask = token_mask(inputs["padding_mask"])  # [b, t, 1]
    x = token_embedding(inputs["token_ids"], vocab_size, hidden_dim, initializer=NORMAL)  # [b, t, c]
    for i in range(num_blocks):
        x = gmlp_block(
            x,
            mask=mask,
            ffn_dim=ffn_dim,
            activation=activation,
            norm_epsilon=norm_epsilon,
            gate_norm_epsilon=gate_norm_epsilon,
            dropout=dropout,
            drop_path_rate=drop_path_rate,
            name=f"block{i}",
        )
    x = LayerNormalization(epsilon=norm_epsilon, name="norm")(x)
    return Model(inputs, x, name=name)


def gmlp_block(x, *, ffn_dim, activation, norm_epsilon, gate_norm_epsilon, dropout, drop_path_rate, name, mask=None):
    """An MLP over the channels with a gate over the tokens inside: `[b, s, c] -> [b, s, c]`.

    `mask` `[b, s, 1]` is 1 for real tokens and 0 for padding, which then reaches no real token; None for no padding.
    """
    if ffn_dim % 2:
        raise ValueError(f"ffn_dim must be even, as one half gates the other; given: {ffn_dim}; nearest: {ffn_dim + 1}")
    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm")(x)
    y = dense(y, ffn_dim, activation=activation, name=f"{name}_fc1")
    y = layers.Dropout(dropout, name=f"{name}_dropout1")(y) if dropout else y
    y = spatial_gating_unit(y, norm_epsilon=gate_norm_epsilon, mask=mask, name=f"{name}_gate")
    y = dense(y, x.shape[-1], name=f"{name}_fc2")
    y = layers.Dropout(dropout, name=f"{name}_dropout2")(y) if dropout else y
    y = drop_path(y, drop_path_rate, name=f"{name}_drop_path")
    return layers.Add(name=f"{name}_add")([x, y])


def spatial_gating_unit(x, *, norm_epsilon, name, mask=None):
    """Multiply the first half of the channels by the second half, normalised and mixed: `[b, s, 2c] -> [b, s, c]`."""
    u, v = ops.split(x, 2, axis=-1)
    v = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm")(v)
    v = v if mask is None else v * mask
    v = TokenDense(
        x.shape[1],
        kernel_initializer=keras.initializers.RandomNormal(stddev=1e-6),
        bias_initializer="ones",
        name=f"{name}_token_mixing",
    )(v)
    return layers.Multiply(name=name)([u, v])


def _variant(num_blocks, hidden_dim):
    """Table 1 of the paper: patches of 16 pixels, the MLP six times as wide as the model."""
    return {"patch_size": 16, "num_blocks": num_blocks, "hidden_dim": hidden_dim, "ffn_dim": 6 * hidden_dim}


VARIANTS: dict[str, dict] = {
    "gmlp_ti16": _variant(30, 128),
    "gmlp_s16": _variant(30, 256),
    "gmlp_b16": _variant(30, 512),
}


def _text_variant(num_blocks, hidden_dim, ffn_dim):
    """The models that the paper compares with BERT (reported: 130, 365 and 941 million parameters).

    With these sizes and 128 tokens there are 131, 367 and 943 million.
    """
    return {
        "sequence_length": 512,
        "vocab_size": 32000,
        "num_blocks": num_blocks,
        "hidden_dim": hidden_dim,
        "ffn_dim": ffn_dim,
    }


TEXT_VARIANTS: dict[str, dict] = {
    "gmlp_text_base": _text_variant(48, 512, 3072),
    "gmlp_text_large": _text_variant(96, 768, 3072),
    "gmlp_text_xlarge": _text_variant(144, 1024, 4096),
}
