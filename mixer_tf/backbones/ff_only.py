"""FF-only: Do You Even Need Attention? A Stack of Feed-Forward Layers Does Surprisingly Well on ImageNet.

Melas-Kyriazi 2021, arXiv 2105.02723. Reference code: lukemelas/do-you-even-need-attention.

The idea: take a Vision Transformer, class token and learned positions included, and put in the place of its attention a
second feed-forward layer, over the patches. What is left still reaches 75 % on ImageNet.

A block starts with the channels, and its second LayerNormalization runs over the tokens of each channel. The author's
code has 197 tokens; here the image size decides, and the hidden width over the tokens stays the one that is given.
"""

import keras
from keras import layers

from mixer_tf.keras_fixes import Model
from mixer_tf.layers.drop_path import drop_path, drop_path_rates
from mixer_tf.layers.initializers import TRUNCATED_NORMAL
from mixer_tf.layers.mlp import mlp
from mixer_tf.layers.norms import LayerNormalization
from mixer_tf.layers.patches import patch_embedding, pyramid_level
from mixer_tf.layers.positions import GridPositionEmbedding
from mixer_tf.layers.tokens import ClassToken


def ff_only(
    image_shape: tuple[int, int, int],
    *,
    patch_size: int,
    num_blocks: int,
    hidden_dim: int,
    tokens_mlp_dim: int,
    channels_mlp_dim: int,
    pretrained_grid: tuple[int, int] | None = None,
    activation: str = "gelu",
    norm_epsilon: float = 1e-6,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
    name: str = "ff_only",
) -> keras.Model:
    """FF-only as a backbone: `[b, H, W, 3] -> [b, H / patch_size, W / patch_size, hidden_dim]`.

    The last LayerNormalization (layer `norm`) sees the class token too; `mixer_tf.classifier` takes it from there.

    Args:
        image_shape: (height, width, channels) in pixels; `patch_size` must divide both sides. The token-mixing weights
            belong to one number of patches.
        patch_size: side of a patch in pixels.
        num_blocks: number of blocks.
        hidden_dim: channels of every token.
        tokens_mlp_dim: hidden width of the MLP over the tokens.
        channels_mlp_dim: hidden width of the MLP over the channels.
        pretrained_grid: (rows, columns) of the stored positions, which are resized bilinearly to the patches of this
            input at every call; None for one position per patch.
        activation: `"gelu"` (erf, as published), `"gelu_tanh"`, `"relu"` or `"silu"`.
        norm_epsilon: added to the variance by every LayerNormalization.
        dropout: rate after the positions and after both Dense layers of every MLP, 0 to 1.
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        name: name of the model.

    Raises:
        ValueError: when `patch_size` does not divide the image or the activation is unknown.

    Example:
        >>> backbone = ff_only((32, 48, 3), patch_size=8, num_blocks=2, hidden_dim=16,
        ...                    tokens_mlp_dim=100, channels_mlp_dim=64)
        >>> backbone.output.shape
        (None, 4, 6, 16)
    """
    image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    x = patch_embedding(image, hidden_dim, patch_size, name="stem_patch_embedding")  # [b, h, w, c]
    grid = x.shape[1:]
    x = layers.Reshape((-1, hidden_dim), name="stem_tokens")(x)  # [b, h * w, c]
    x = ClassToken(TRUNCATED_NORMAL, name="class_token")(x)  # [b, s, c]
    x = GridPositionEmbedding(grid[:2], pretrained_grid, name="position_embedding")(x)
    x = layers.Dropout(dropout, name="stem_dropout")(x) if dropout else x
    for i, rate in enumerate(drop_path_rates(drop_path_rate, num_blocks)):
        x = ff_block(
            x,
            tokens_mlp_dim=tokens_mlp_dim,
            channels_mlp_dim=channels_mlp_dim,
            activation=activation,
            norm_epsilon=norm_epsilon,
            dropout=dropout,
            drop_path_rate=rate,
            name=f"block{i}",
        )
    x = LayerNormalization(epsilon=norm_epsilon, name="norm")(x)
    x = layers.Reshape(grid, name=pyramid_level(patch_size))(x[:, 1:])  # [b, h, w, c]
    return Model(image, x, name=name)


def ff_block(x, *, tokens_mlp_dim, channels_mlp_dim, activation, norm_epsilon, dropout, drop_path_rate, name):
    """Mix the channels, then the tokens, each with its own norm and residual: `[b, s, c] -> [b, s, c]`."""

    def mixed(y, hidden_dim, branch):
        return mlp(
            y,
            hidden_dim,
            activation=activation,
            dropout=dropout,
            kernel_initializer=TRUNCATED_NORMAL,
            name=f"{name}_{branch}",
        )

    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm1")(x)
    y = mixed(y, channels_mlp_dim, "channel_mixing")
    y = drop_path(y, drop_path_rate, name=f"{name}_channel_mixing_drop_path")
    x = layers.Add(name=f"{name}_channel_mixing_add")([x, y])

    y = layers.Permute((2, 1), name=f"{name}_to_channels_first")(x)  # [b, c, s]
    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm2")(y)  # over the tokens
    y = mixed(y, tokens_mlp_dim, "token_mixing")
    y = layers.Permute((2, 1), name=f"{name}_to_channels_last")(y)  # [b, s, c]
    y = drop_path(y, drop_path_rate, name=f"{name}_token_mixing_drop_path")
    return layers.Add(name=f"{name}_token_mixing_add")([x, y])


def _variant(patch_size, num_blocks, hidden_dim, tokens_mlp_dim, **arguments):
    """Table 1 of the paper: both MLPs are four times as wide as what they mix, 197 or 50 tokens at 224 pixels."""
    return {
        "patch_size": patch_size,
        "num_blocks": num_blocks,
        "hidden_dim": hidden_dim,
        "tokens_mlp_dim": tokens_mlp_dim,
        "channels_mlp_dim": 4 * hidden_dim,
        **arguments,
    }


VARIANTS: dict[str, dict] = {
    "ff_only_tiny": _variant(16, 12, 192, 788),
    "ff_only_base": _variant(16, 12, 768, 788),
    "ff_only_large": _variant(32, 24, 1024, 200, pretrained_grid=(14, 14)),
}
