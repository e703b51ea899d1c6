"""ResMLP: Feedforward networks for image classification with data-efficient training.

Touvron et al. 2021, arXiv 2105.03404.

Reference code: facebookresearch/deit (`resmlp_models.py`) and timm (`mlp_mixer.py`).

The idea: a residual network of plain linear layers trains as well as a Transformer. One linear map over the tokens and
a two-layer MLP over the channels take turns. No statistics are computed anywhere: a learned scale and shift per channel
stands where others normalise, and a learned factor per channel, small at first, damps every branch.

`resmlp_text` is the same network on the tokens of a text, and no part of the paper. Neither form has a table of
positions: the map over the tokens has weights of its own for every position, so it knows them.

Layer scales start at the values of the authors' code; timm's S12 starts at 1e-4 where theirs starts at 0.1.
"""

import keras
from keras import layers

from mixer_tf.keras_fixes import Model
from mixer_tf.layers.affine import Affine
from mixer_tf.layers.drop_path import drop_path
from mixer_tf.layers.initializers import TRUNCATED_NORMAL
from mixer_tf.layers.mlp import mlp
from mixer_tf.layers.patches import patch_embedding, pyramid_level
from mixer_tf.layers.text import text_inputs, token_embedding, token_mask
from mixer_tf.layers.token_dense import TokenDense
from mixer_tf.layers.tokens import LayerScale


def resmlp(
    image_shape: tuple[int, int, int],
    *,
    patch_size: int,
    num_blocks: int,
    hidden_dim: int,
    channels_mlp_dim: int,
    layer_scale: float = 1e-4,
    activation: str = "gelu",
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
    name: str = "resmlp",
) -> keras.Model:
    """ResMLP as a backbone: `[b, H, W, 3] -> [b, H / patch_size, W / patch_size, hidden_dim]`.

    Args:
        image_shape: (height, width, channels) in pixels; `patch_size` must divide both sides. The token-mixing weights
            belong to one number of patches.
        patch_size: side of a patch in pixels.
        num_blocks: number of blocks.
        hidden_dim: channels of every token.
        channels_mlp_dim: hidden width of the MLP over the channels.
        layer_scale: initial value of the learned factor per channel on both branches. The deeper, the smaller: the
            variants have the authors' 0.1 (S12), 1e-5 (S24) and 1e-6 (S36, B24).
        activation: `"gelu"` (erf, as published), `"gelu_tanh"`, `"relu"` or `"silu"`.
        dropout: rate after both Dense layers of every MLP, 0 to 1.
        drop_path_rate: stochastic depth, the same in every block.
        name: name of the model.

    Raises:
        ValueError: when `patch_size` does not divide the image or the activation is unknown.

    Example:
        >>> backbone = resmlp((32, 48, 3), patch_size=8, num_blocks=2, hidden_dim=16, channels_mlp_dim=64)
        >>> backbone.output.shape
        (None, 4, 6, 16)
    """
    image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    x = patch_embedding(image, hidden_dim, patch_size, name="stem_patch_embedding")  # [b, h, w, c]
    grid = x.shape[1:]
    x = layers.Reshape((-1, hidden_dim), name="stem_tokens")(x)  # [b, s, c]
    for i in range(num_blocks):
        x = resmlp_block(
            x,
            channels_mlp_dim=channels_mlp_dim,
            layer_scale=layer_scale,
            activation=activation,
            dropout=dropout,
            drop_path_rate=drop_path_rate,
            name=f"block{i}",
        )
    x = Affine(name="norm")(x)
    x = layers.Reshape(grid, name=pyramid_level(patch_size))(x)  # [b, h, w, c]
    return Model(image, x, name=name)


def resmlp_text(
    sequence_length: int,
    *,
    vocab_size: int,
    num_blocks: int,
    hidden_dim: int,
    channels_mlp_dim: int,
    layer_scale: float = 1e-4,
    activation: str = "gelu",
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
    name: str = "resmlp_text",
) -> keras.Model:
    """ResMLP as an encoder of text: `token_ids` and `padding_mask`, both int32 `[b, t]`, `-> [b, t, hidden_dim]`.

    What stands at padded positions does not reach the others; the output there means nothing.

    Args:
        sequence_length: number of tokens t. The token-mixing weights belong to one length: shorter texts are padded.
        vocab_size: number of different tokens.
        num_blocks: number of blocks.
        hidden_dim: channels of every token.
        channels_mlp_dim: hidden width of the MLP over the channels.
        layer_scale: initial value of the learned factor per channel on both branches. The deeper, the smaller.
        activation: `"gelu"` (erf), `"gelu_tanh"`, `"relu"` or `"silu"`.
        dropout: rate after both Dense layers of every MLP, 0 to 1.
        drop_path_rate: stochastic depth, the same in every block.
        name: name of the model.

    Raises:
        ValueError: when the activation is unknown.

    Example:
        >>> encoder = resmlp_text(16, vocab_size=100, num_blocks=2, hidden_dim=12, channels_mlp_dim=20)
        >>> encoder.output.shape
        (None, 16, 12)
    """
    inputs = text_inputs(sequence_length)
    mask = token_mask(inputs["padding_mask"])  # [b, t, 1]
    x = token_embedding(inputs["token_ids"], vocab_size, hidden_dim, initializer=TRUNCATED_NORMAL)  # [b, t, c]
    for i in range(num_blocks):
        x = resmlp_block(
            x,
            mask=mask,
            channels_mlp_dim=channels_mlp_dim,
            layer_scale=layer_scale,
            activation=activation,
            dropout=dropout,
            drop_path_rate=drop_path_rate,
            name=f"block{i}",
        )
    x = Affine(name="norm")(x)
    return Model(inputs, x, name=name)


def resmlp_block(x, *, channels_mlp_dim, layer_scale, activation, dropout, drop_path_rate, name, mask=None):
    """Mix the tokens by one linear layer, then the channels by an MLP: `[b, s, c] -> [b, s, c]`.

    `mask` `[b, s, 1]` is 1 for real tokens and 0 for padding, which then reaches no real token; None for no padding.
    """

    def add(x, y, branch):
        y = LayerScale(layer_scale, name=f"{name}_{branch}_scale")(y)
        y = drop_path(y, drop_path_rate, name=f"{name}_{branch}_drop_path")
        return layers.Add(name=f"{name}_{branch}_add")([x, y])

    y = Affine(name=f"{name}_norm1")(x)
    y = y if mask is None else y * mask
    y = TokenDense(x.shape[1], kernel_initializer=TRUNCATED_NORMAL, name=f"{name}_token_mixing")(y)
    x = add(x, y, "token_mixing")

    y = Affine(name=f"{name}_norm2")(x)
    y = mlp(
        y,
        channels_mlp_dim,
        activation=activation,
        dropout=dropout,
        kernel_initializer=TRUNCATED_NORMAL,
        name=f"{name}_channel_mixing",
    )
    return add(x, y, "channel_mixing")


def _variant(patch_size, num_blocks, hidden_dim, layer_scale):
    """Section 3 of the paper, and the layer scales of the authors' code: the MLP is four times as wide as the model."""
    return {
        "patch_size": patch_size,
        "num_blocks": num_blocks,
        "hidden_dim": hidden_dim,
        "channels_mlp_dim": 4 * hidden_dim,
        "layer_scale": layer_scale,
    }


VARIANTS: dict[str, dict] = {
    "resmlp_s12": _variant(16, 12, 384, 0.1),
    "resmlp_s24": _variant(16, 24, 384, 1e-5),
    "resmlp_s36": _variant(16, 36, 384, 1e-6),
    "resmlp_b24": _variant(8, 24, 768, 1e-6),
}

TEXT_VARIANTS: dict[str, dict] = {  # the sizes for pictures, with BERT's vocabulary
    f"resmlp_text_{size}": {
        "sequence_length": 128,
        "vocab_size": 30522,
        **{key: value for key, value in VARIANTS[f"resmlp_{size}"].items() if key != "patch_size"},
    }
    for size in ("s12", "s24", "s36")
}
