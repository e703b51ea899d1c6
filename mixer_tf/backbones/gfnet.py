"""Global Filter Networks for Image Classification. Rao et al. 2021, arXiv 2107.00645.

Reference code: raoyongming/GFNet (`gfnet.py`).

The idea: mix the tokens in the frequency domain. A filter per channel, as large as the picture, multiplies its Fourier
transform; that is a convolution over the whole picture at the price of a product, and costs n log n instead of n^2.

Two networks share the block: `gfnet` keeps one grid, like a ViT; `gfnet_h` is a pyramid of stages.
"""

import math

import keras
from keras import layers

from mixer_tf.checks import require_per_stage
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.drop_path import drop_path, drop_path_rates
from mixer_tf.layers.global_filter import GlobalFilter
from mixer_tf.layers.initializers import NORMAL, TORCH_UNIFORM
from mixer_tf.layers.mlp import mlp
from mixer_tf.layers.norms import LayerNormalization
from mixer_tf.layers.patches import check_divisible, patch_embedding, pyramid_output
from mixer_tf.layers.tokens import LayerScale, PositionEmbedding


def gfnet(
    image_shape: tuple[int, int, int],
    *,
    patch_size: int,
    num_blocks: int,
    hidden_dim: int,
    mlp_dim: int,
    layer_scale: float | None = None,
    activation: str = "gelu",
    norm_epsilon: float = 1e-6,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
    name: str = "gfnet",
) -> keras.Model:
    """GFNet with one grid as a backbone: `[b, H, W, 3] -> [b, H / patch_size, W / patch_size, hidden_dim]`.

    Args:
        image_shape: (height, width, channels) in pixels; `patch_size` must divide both sides. The filters and the
            position table belong to one grid.
        patch_size: side of a patch in pixels.
        num_blocks: number of blocks.
        hidden_dim: channels of every token.
        mlp_dim: hidden width of the MLP.
        layer_scale: initial value of a learned factor per channel on the branch; None for no such factor.
        activation: `"gelu"` (erf), or `"gelu_tanh"`, `"relu"`, `"silu"`.
        norm_epsilon: added to the variance by every LayerNormalization.
        dropout: rate after the positions and both Dense layers of the MLP, 0 to 1.
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        name: name of the model.

    Raises:
        ValueError: when `patch_size` does not divide the image or the activation is unknown.

    Example:
        >>> backbone = gfnet((32, 48, 3), patch_size=8, num_blocks=2, hidden_dim=12, mlp_dim=20)
        >>> backbone.output.shape
        (None, 4, 6, 12)
    """
    image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    x = stem(image, hidden_dim, patch_size, dropout)
    for i, rate in enumerate(drop_path_rates(drop_path_rate, num_blocks)):
        x = filter_block(
            x,
            mlp_dim=mlp_dim,
            layer_scale=layer_scale,
            activation=activation,
            norm_epsilon=norm_epsilon,
            dropout=dropout,
            drop_path_rate=rate,
            name=f"block{i}",
        )
    x = LayerNormalization(epsilon=norm_epsilon, name="norm")(x)
    return Model(image, pyramid_output(x, patch_size), name=name)


def gfnet_h(
    image_shape: tuple[int, int, int],
    *,
    stage_depths: tuple[int, ...],
    stage_widths: tuple[int, ...],
    mlp_ratios: tuple[float, ...] = (4, 4, 4, 4),
    patch_size: int = 4,
    layer_scale: float | None = 1e-5,
    activation: str = "gelu",
    norm_epsilon: float = 1e-6,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
    name: str = "gfnet_h",
) -> keras.Model:
    """GFNet as a pyramid: `[b, H, W, 3] -> [b, H / 32, W / 32, c]` with four stages, which end in `P2` to `P5`.

    Args:
        image_shape: (height, width, channels) in pixels; `patch_size` times 2 for every stage but the first must divide
            both sides. The filters and the position table belong to one grid.
        stage_depths: number of blocks in each stage.
        stage_widths: channels of each stage.
        mlp_ratios: hidden width of the MLPs of each stage by its channels.
        patch_size: side of a patch of the first stage in pixels.
        layer_scale: initial value of a learned factor per channel on the branch; None for no such factor.
        activation: `"gelu"` (erf), or `"gelu_tanh"`, `"relu"`, `"silu"`.
        norm_epsilon: added to the variance by every LayerNormalization.
        dropout: rate after the positions and both Dense layers of the MLP, 0 to 1.
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        name: name of the model.

    Raises:
        ValueError: when the strides do not divide the image, the tuples differ in length, or the activation is unknown.

    Example:
        >>> backbone = gfnet_h((32, 48, 3), stage_depths=(1, 1), stage_widths=(8, 12), mlp_ratios=(4, 3))
        >>> backbone.output.shape
        (None, 4, 6, 12)
    """
    require_per_stage(len(stage_depths), stage_widths=stage_widths, mlp_ratios=mlp_ratios)
    check_divisible(image_shape, patch_size * 2 ** (len(stage_depths) - 1), what="the last stage's stride")
    image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    x = stem(image, stage_widths[0], patch_size, dropout)
    rates = iter(drop_path_rates(drop_path_rate, sum(stage_depths)))
    for i, (depth, width, ratio) in enumerate(zip(stage_depths, stage_widths, mlp_ratios, strict=True), start=1):
        if i > 1:
            x = patch_embedding(x, width, 2, kernel_initializer=TORCH_UNIFORM, name=f"stage{i}_downsample")
        for j in range(1, depth + 1):
            x = filter_block(
                x,
                mlp_dim=int(width * ratio),
                layer_scale=layer_scale,
                activation=activation,
                norm_epsilon=norm_epsilon,
                dropout=dropout,
                drop_path_rate=next(rates),
                name=f"stage{i}_block{j}",
            )
        x = pyramid_output(x, patch_size * 2 ** (i - 1))
    x = LayerNormalization(epsilon=norm_epsilon, name="norm")(x)
    return Model(image, x, name=name)


def stem(image, hidden_dim, patch_size, dropout):
    """Embed the patches and add their positions: `[b, H, W, 3] -> [b, h, w, c]`."""
    x = patch_embedding(image, hidden_dim, patch_size, kernel_initializer=TORCH_UNIFORM, name="stem_patch_embedding")
    grid = x.shape[1:]
    x = layers.Reshape((math.prod(grid[:2]), hidden_dim), name="stem_tokens")(x)  # [b, s, c]
    x = PositionEmbedding(grid[:2], name="position_embedding")(x)
    x = layers.Dropout(dropout, name="stem_dropout")(x) if dropout else x
    return layers.Reshape(grid, name="stem_grid")(x)


def filter_block(x, *, mlp_dim, layer_scale, activation, norm_epsilon, dropout, drop_path_rate, name):
    """Filter all places of each channel, then an MLP on each place, under one residual: `[b, h, w, c]`."""
    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm1")(x)
    y = GlobalFilter(name=f"{name}_filter")(y)
    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm2")(y)
    y = mlp(y, mlp_dim, activation=activation, dropout=dropout, kernel_initializer=NORMAL, name=f"{name}_mlp")
    y = LayerScale(layer_scale, name=f"{name}_scale")(y) if layer_scale is not None else y
    y = drop_path(y, drop_path_rate, name=f"{name}_drop_path")
    return layers.Add(name=f"{name}_add")([x, y])


def _isotropic(hidden_dim, num_blocks):
    """Table 1 of the paper: patches of 16 and an MLP of four times the width."""
    return {"patch_size": 16, "num_blocks": num_blocks, "hidden_dim": hidden_dim, "mlp_dim": 4 * hidden_dim}


def _hierarchical(width, depths, layer_scale):
    """The pyramids: the deeper the network, the smaller its branches start."""
    return {
        "stage_depths": depths,
        "stage_widths": (width, 2 * width, 4 * width, 8 * width),
        "layer_scale": layer_scale,
    }


VARIANTS: dict[str, dict] = {
    "gfnet_ti": _isotropic(256, 12),
    "gfnet_xs": _isotropic(384, 12),
    "gfnet_s": _isotropic(384, 19),
    "gfnet_b": _isotropic(512, 19),
}

HIERARCHICAL_VARIANTS: dict[str, dict] = {
    "gfnet_h_ti": _hierarchical(64, (3, 3, 10, 3), 1e-3),
    "gfnet_h_s": _hierarchical(96, (3, 3, 10, 3), 1e-5),
    "gfnet_h_b": _hierarchical(96, (3, 3, 27, 3), 1e-6),
}
