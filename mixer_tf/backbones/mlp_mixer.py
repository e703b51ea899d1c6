"""MLP-Mixer: An all-MLP Architecture for Vision. Tolstikhin et al. 2021, arXiv 2105.01601.

Reference code: google-research/vision_transformer (`models_mixer.py`) and timm (`mlp_mixer.py`).

The idea: attention is not needed to let patches talk to each other. One MLP that runs over the *tokens* of each channel
and one that runs over the *channels* of each token, in turn, are enough.

`gmixer_*` are timm's variants with gated linear units for the MLPs; no paper has them.

`mlp_mixer_text` is the same network on the tokens of a text. It is no part of the paper; "Pay Attention to MLPs" (Liu
et al. 2021, arXiv 2105.08050, section 4) pretrains such a Mixer on masked words. Neither form has a table of positions:
the MLP over the tokens has weights of its own for every position, so it knows them.
"""

import keras
from keras import layers

from mixer_tf.keras_fixes import Model
from mixer_tf.layers.drop_path import drop_path, drop_path_rates
from mixer_tf.layers.initializers import NORMAL
from mixer_tf.layers.mlp import mlp
from mixer_tf.layers.norms import LayerNormalization
from mixer_tf.layers.patches import patch_embedding, pyramid_level
from mixer_tf.layers.text import text_inputs, token_embedding, token_mask


def mlp_mixer(
    image_shape: tuple[int, int, int],
    *,
    patch_size: int,
    num_blocks: int,
    hidden_dim: int,
    tokens_mlp_dim: int,
    channels_mlp_dim: int,
    activation: str = "gelu",
    gated: bool = False,
    norm_epsilon: float = 1e-6,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
    name: str = "mlp_mixer",
) -> keras.Model:
    """MLP-Mixer as a backbone: `[b, H, W, 3] -> [b, H / patch_size, W / patch_size, hidden_dim]`.

    Args:
        image_shape: (height, width, channels) in pixels; `patch_size` must divide both sides. The token-mixing weights
            belong to one number of patches.
        patch_size: side of a patch in pixels.
        num_blocks: number of Mixer blocks.
        hidden_dim: channels of every token.
        tokens_mlp_dim: hidden width of the MLP over the tokens.
        channels_mlp_dim: hidden width of the MLP over the channels.
        activation: `"gelu"` (erf, timm) or `"gelu_tanh"` (Google's JAX code, in which the weights were trained), or
            `"relu"`, `"silu"`.
        gated: multiply the first half of every MLP's hidden channels by the activation of the second half (`gmixer_*`,
            with `"silu"`); both hidden widths must then be even.
        norm_epsilon: added to the variance by every LayerNormalization.
        dropout: rate after both Dense layers of every MLP, 0 to 1.
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        name: name of the model.

    Raises:
        ValueError: when `patch_size` does not divide the image, the activation is unknown or gates are wanted of an odd
            hidden width.

    Example:
        >>> backbone = mlp_mixer((32, 48, 3), patch_size=8, num_blocks=2, hidden_dim=16,
        ...                      tokens_mlp_dim=7, channels_mlp_dim=64)
        >>> backbone.output.shape
        (None, 4, 6, 16)
    """
    image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    x = patch_embedding(image, hidden_dim, patch_size, name="stem_patch_embedding")  # [b, h, w, c]
    grid = x.shape[1:]
    x = layers.Reshape((-1, hidden_dim), name="stem_tokens")(x)  # [b, s, c]
    for i, rate in enumerate(drop_path_rates(drop_path_rate, num_blocks)):
        x = mixer_block(
            x,
            tokens_mlp_dim=tokens_mlp_dim,
            channels_mlp_dim=channels_mlp_dim,
            activation=activation,
            gated=gated,
            norm_epsilon=norm_epsilon,
            dropout=dropout,
            drop_path_rate=rate,
            name=f"block{i}",
        )
    x = LayerNormalization(epsilon=norm_epsilon, name="norm")(x)
    x = layers.Reshape(grid, name=pyramid_level(patch_size))(x)  # [b, h, w, c]
    return Model(image, x, name=name)


def mlp_mixer_text(
    sequence_length: int,
    *,
    vocab_size: int,
    num_blocks: int,
    hidden_dim: int,
    tokens_mlp_dim: int,
    channels_mlp_dim: int,
    activation: str = "gelu",
    norm_epsilon: float = 1e-6,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
    name: str = "mlp_mixer_text",
) -> keras.Model:
    """MLP-Mixer as an encoder of text: `token_ids` and `padding_mask`, both int32 `[b, t]`, `-> [b, t, hidden_dim]`.

    What stands at padded positions does not reach the others; the output there means nothing.

    Args:
        sequence_length: number of tokens t. The token-mixing weights belong to one length: shorter texts are padded.
        vocab_size: number of different tokens.
        num_blocks: number of Mixer blocks.
        hidden_dim: channels of every token.
        tokens_mlp_dim: hidden width of the MLP over the tokens.
        channels_mlp_dim: hidden width of the MLP over the channels.
        activation: `"gelu"` (erf) or `"gelu_tanh"`.
        norm_epsilon: added to the variance by every LayerNormalization.
        dropout: rate after both Dense layers of every MLP, 0 to 1.
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        name: name of the model.

    Raises:
        ValueError: when the activation is unknown.

    Example:
        >>> encoder = mlp_mixer_text(16, vocab_size=100, num_blocks=2, hidden_dim=12, tokens_mlp_dim=7,
        ...                          channels_mlp_dim=20)
        >>> encoder.output.shape
        (None, 16, 12)
    """
    inputs = text_inputs(sequence_length)
    mask = token_mask(inputs["padding_mask"])  # [b, t, 1]
    x = token_embedding(inputs["token_ids"], vocab_size, hidden_dim, initializer=NORMAL)  # [b, t, c]
    for i, rate in enumerate(drop_path_rates(drop_path_rate, num_blocks)):
        x = mixer_block(
            x,
            mask=mask,
            tokens_mlp_dim=tokens_mlp_dim,
            channels_mlp_dim=channels_mlp_dim,
            activation=activation,
            norm_epsilon=norm_epsilon,
            dropout=dropout,
            drop_path_rate=rate,
            name=f"block{i}",
        )
    x = LayerNormalization(epsilon=norm_epsilon, name="norm")(x)
    return Model(inputs, x, name=name)


def mixer_block(
    x,
    *,
    tokens_mlp_dim,
    channels_mlp_dim,
    activation,
    norm_epsilon,
    dropout,
    drop_path_rate,
    name,
    gated=False,
    mask=None,
):
    """Mix the tokens, then the channels, each with its own norm and residual: `[b, s, c] -> [b, s, c]`.

    A mask `[b, s, 1]` takes padding out of the token mixing; after the norm, whose bias would fill it again.
    """
    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm1")(x)
    y = y if mask is None else y * mask
    y = layers.Permute((2, 1), name=f"{name}_to_channels_first")(y)  # [b, c, s]
    y = mlp(y, tokens_mlp_dim, activation=activation, gated=gated, dropout=dropout, name=f"{name}_token_mixing")
    y = layers.Permute((2, 1), name=f"{name}_to_channels_last")(y)  # [b, s, c]
    y = drop_path(y, drop_path_rate, name=f"{name}_token_mixing_drop_path")
    x = layers.Add(name=f"{name}_token_mixing_add")([x, y])

    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm2")(x)
    y = mlp(y, channels_mlp_dim, activation=activation, gated=gated, dropout=dropout, name=f"{name}_channel_mixing")
    y = drop_path(y, drop_path_rate, name=f"{name}_channel_mixing_drop_path")
    return layers.Add(name=f"{name}_channel_mixing_add")([x, y])


def _variant(patch_size, num_blocks, hidden_dim):
    """Table 1 of the paper: the token MLP is half as wide as the model, the channel MLP four times."""
    return {
        "patch_size": patch_size,
        "num_blocks": num_blocks,
        "hidden_dim": hidden_dim,
        "tokens_mlp_dim": hidden_dim // 2,
        "channels_mlp_dim": hidden_dim * 4,
    }


def _gated_variant(num_blocks):
    """Half of each hidden width are gates: timm's own table, in no paper."""
    return {**_variant(16, num_blocks, 384), "tokens_mlp_dim": 384, "activation": "silu", "gated": True}


VARIANTS: dict[str, dict] = {
    "mlp_mixer_s32": _variant(32, 8, 512),
    "mlp_mixer_s16": _variant(16, 8, 512),
    "mlp_mixer_b32": _variant(32, 12, 768),
    "mlp_mixer_b16": _variant(16, 12, 768),
    "mlp_mixer_l32": _variant(32, 24, 1024),
    "mlp_mixer_l16": _variant(16, 24, 1024),
    "mlp_mixer_h14": _variant(14, 32, 1280),
    "gmixer_12": _gated_variant(12),
    "gmixer_24": _gated_variant(24),
}

TEXT_VARIANTS: dict[str, dict] = {  # the sizes of Table 1, with BERT's vocabulary
    f"mlp_mixer_text_{size}": {
        "sequence_length": 128,
        "vocab_size": 30522,
        **{key: value for key, value in VARIANTS[f"mlp_mixer_{size}16"].items() if key != "patch_size"},
    }
    for size in ("s", "b", "l")
}
