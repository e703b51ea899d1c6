"""EAMLP: Beyond Self-attention, External Attention using Two Linear Layers for Visual Tasks.

Guo et al. 2021, arXiv 2105.02358. Reference code: MenghaoGuo/EANet (folder `EAMLP`), which changes T2T-ViT (Yuan et al.
2021, arXiv 2101.11986) and keeps its names: `T2t_vit_7` is EAMLP-7.

The idea: tokens look at a small learned memory that all pictures share, not at each other (see
`mixer_tf/layers/external_attention.py`); a network of it is linear layers and normalisations only. The stem is T2T's:
twice, overlapping windows of the picture become tokens that external attention mixes, and a third time they are
projected.

The authors' code wants square pictures; here any that the stem's stride 16 divides will do, since the fixed positions
number the tokens row by row. The paper's models with a `t` differ from the others in the stem's dropout only.
"""

import math

import keras
from keras import layers, ops

from mixer_tf.keras_fixes import Model
from mixer_tf.layers.drop_path import drop_path, drop_path_rates
from mixer_tf.layers.external_attention import multihead_external_attention, read_memory, tied_initializers
from mixer_tf.layers.initializers import TRUNCATED_NORMAL
from mixer_tf.layers.mlp import dense, mlp
from mixer_tf.layers.norms import LayerNormalization
from mixer_tf.layers.patches import check_divisible, overlapping_patch_embedding, pyramid_level, unfold
from mixer_tf.layers.positions import SinusoidPositions
from mixer_tf.layers.tokens import ClassToken

_STRIDE = 16  # of the stem: 4 * 2 * 2


def eamlp(
    image_shape: tuple[int, int, int],
    *,
    num_blocks: int,
    hidden_dim: int,
    num_heads: int,
    mlp_dim: int,
    memory_units: int = 64,
    expansion: int = 4,
    stem_dim: int = 64,
    stem_memory_units: int = 128,
    stem_dropout: float = 0.1,
    activation: str = "gelu",
    norm_epsilon: float = 1e-5,
    l1_epsilon: float = 1e-9,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
    name: str = "eamlp",
) -> keras.Model:
    """EAMLP as a backbone: `[b, H, W, 3] -> [b, H / 16, W / 16, hidden_dim]`.

    The last LayerNormalization (layer `norm`) sees the class token too; `mixer_tf.classifier` takes it from there.

    Args:
        image_shape: (height, width, channels) in pixels; 16 must divide both sides.
        num_blocks: number of blocks.
        hidden_dim: channels of every token; `num_heads` must divide it.
        num_heads: number of heads before the expansion.
        mlp_dim: hidden width of the MLP.
        memory_units: size of the memory of each block.
        expansion: how many times more channels, and heads, there are inside the attention.
        stem_dim: channels inside the stem.
        stem_memory_units: size of the stem's two memories.
        stem_dropout: rate inside the stem's external attention, 0 to 1.
        activation: `"gelu"` (erf, as published), `"gelu_tanh"`, `"relu"` or `"silu"`.
        norm_epsilon: added to the variance by every LayerNormalization but those of the stem, which have 1e-5.
        l1_epsilon: added to the sum over a memory's units, against a division by zero.
        dropout: rate after the positions, the attention's projection and both Dense layers of the MLP, 0 to 1.
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        name: name of the model.

    Raises:
        ValueError: when 16 does not divide the image, `num_heads` not `hidden_dim`, or the activation is unknown.

    Example:
        >>> backbone = eamlp((32, 48, 3), num_blocks=2, hidden_dim=12, num_heads=3, mlp_dim=20)
        >>> backbone.output.shape
        (None, 2, 3, 12)
    """
    check_divisible(image_shape, _STRIDE, what="the stem's stride")
    image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    stem = {"memory_units": stem_memory_units, "dropout": stem_dropout, "activation": activation}
    x = token_block(unfold(image, 7, 4, 2), stem_dim, l1_epsilon=l1_epsilon, name="stem_block1", **stem)
    x = token_block(unfold(x, 3, 2, 1), stem_dim, l1_epsilon=l1_epsilon, name="stem_block2", **stem)
    x = overlapping_patch_embedding(
        x, hidden_dim, 3, stride=2, padding=1, kernel_initializer=TRUNCATED_NORMAL, name="stem_projection"
    )
    grid = x.shape[1:]  # [b, h, w, c]
    x = layers.Reshape((-1, hidden_dim), name="stem_tokens")(x)  # [b, h * w, c]
    x = ClassToken(TRUNCATED_NORMAL, name="class_token")(x)  # [b, s, c]
    x = SinusoidPositions(name="position_embedding")(x)
    x = layers.Dropout(dropout, name="stem_dropout")(x) if dropout else x
    for i, rate in enumerate(drop_path_rates(drop_path_rate, num_blocks)):
        x = eamlp_block(
            x,
            num_heads=num_heads,
            mlp_dim=mlp_dim,
            memory_units=memory_units,
            expansion=expansion,
            activation=activation,
            norm_epsilon=norm_epsilon,
            l1_epsilon=l1_epsilon,
            dropout=dropout,
            drop_path_rate=rate,
            name=f"block{i}",
        )
    x = LayerNormalization(epsilon=norm_epsilon, name="norm")(x)
    x = layers.Reshape(grid, name=pyramid_level(_STRIDE))(x[:, 1:])  # [b, h, w, c]
    return Model(image, x, name=name)


def eamlp_block(
    x,
    *,
    num_heads,
    mlp_dim,
    memory_units,
    expansion,
    activation,
    norm_epsilon,
    l1_epsilon,
    dropout,
    drop_path_rate,
    name,
):
    """External attention, then an MLP, each with its own norm and residual: `[b, s, c] -> [b, s, c]`."""
    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm1")(x)
    y = multihead_external_attention(
        y,
        num_heads,
        memory_units=memory_units,
        expansion=expansion,
        dropout=dropout,
        l1_epsilon=l1_epsilon,
        name=f"{name}_attention",
    )
    y = drop_path(y, drop_path_rate, name=f"{name}_attention_drop_path")
    x = layers.Add(name=f"{name}_attention_add")([x, y])

    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm2")(x)
    y = mlp(y, mlp_dim, activation=activation, dropout=dropout, kernel_initializer=TRUNCATED_NORMAL, name=f"{name}_mlp")
    y = drop_path(y, drop_path_rate, name=f"{name}_mlp_drop_path")
    return layers.Add(name=f"{name}_mlp_add")([x, y])


def token_block(x, dim, *, memory_units, dropout, activation, l1_epsilon, name):
    """A block of the stem, from windows to tokens of `dim` channels: `[b, h, w, k * k * c] -> [b, h, w, dim]`.

    The residual starts after the first projection, because the windows have other channels.
    """
    *grid, channels = x.shape[1:]
    x = ops.reshape(x, (-1, math.prod(grid), channels))  # [b, s, k * k * c]
    x = LayerNormalization(epsilon=1e-5, name=f"{name}_norm1")(x)
    x = dense(x, dim, kernel_initializer=TRUNCATED_NORMAL, name=f"{name}_query")
    keys, values = tied_initializers(keras.initializers.get(TRUNCATED_NORMAL))
    y = read_memory(
        x,
        memory_units,
        key_bias=False,
        key_initializer=keys,
        value_initializer=values,
        dropout=dropout,
        l1_epsilon=l1_epsilon,
        name=f"{name}_attention",
    )
    y = dense(y, dim, kernel_initializer=TRUNCATED_NORMAL, name=f"{name}_attention_projection")
    y = layers.Dropout(dropout, name=f"{name}_attention_dropout2")(y) if dropout else y
    x = layers.Add(name=f"{name}_attention_add")([x, y])

    y = LayerNormalization(epsilon=1e-5, name=f"{name}_norm2")(x)
    y = mlp(y, dim, activation=activation, kernel_initializer=TRUNCATED_NORMAL, name=f"{name}_mlp")
    x = layers.Add(name=f"{name}_mlp_add")([x, y])
    return ops.reshape(x, (-1, *grid, dim))


def _variant(num_blocks, hidden_dim, mlp_ratio, **arguments):
    """One of the authors' models: a head has 64 channels."""
    return {
        "num_blocks": num_blocks,
        "hidden_dim": hidden_dim,
        "num_heads": hidden_dim // 64,
        "mlp_dim": mlp_ratio * hidden_dim,
        **arguments,
    }


VARIANTS: dict[str, dict] = {
    "eamlp_7": _variant(7, 256, 2),
    "eamlp_10": _variant(10, 256, 2),
    "eamlp_12": _variant(12, 256, 2),
    "eamlp_14": _variant(14, 384, 3),
    "eamlp_19": _variant(19, 448, 3),
    "eamlp_24": _variant(24, 512, 3),
    "eamlp_t_14": _variant(14, 384, 3, stem_dropout=0.0),
    "eamlp_t_19": _variant(19, 448, 3, stem_dropout=0.0),
    "eamlp_t_24": _variant(24, 512, 3, stem_dropout=0.0),
}
