"""Sparse MLP for Image Recognition: Is Self-Attention Really Necessary? Tang et al. 2021, arXiv 2109.05422.

Reference code: microsoft/SPACH (`models/smlp.py`).

The idea: let each pixel talk to its own row and its own column only. Two such sparse mixings in a row already connect
all pixels, with far fewer weights than a Mixer, so they can run on the fine maps of a pyramid. A depthwise convolution
before them looks after the neighbourhood.

Weights start as in PyTorch (uniform within 1 / sqrt(fan-in)), but biases at 0.
"""

import keras
from keras import layers, ops

from mixer_tf.checks import require_per_stage
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.activations import Activation
from mixer_tf.layers.axis import AxisDense
from mixer_tf.layers.drop_path import drop_path, drop_path_rates
from mixer_tf.layers.initializers import TORCH_UNIFORM, torch_uniform
from mixer_tf.layers.mlp import dense, mlp
from mixer_tf.layers.norms import BatchNormalization, LayerNormalization
from mixer_tf.layers.patches import check_divisible, pyramid_output
from mixer_tf.layers.shifts import COLUMNS, ROWS


def smlp_net(
    image_shape: tuple[int, int, int],
    *,
    stage_depths: tuple[int, ...],
    stage_widths: tuple[int, ...],
    patch_size: int = 4,
    mlp_ratio: float = 3,
    activation: str = "gelu",
    norm_epsilon: float = 1e-5,
    norm_momentum: float = 0.9,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
    name: str = "smlp_net",
) -> keras.Model:
    """SMLPNet as a backbone: `[b, H, W, 3] -> [b, H / 32, W / 32, c]` with four stages, which end in `P2` to `P5`.

    Args:
        image_shape: (height, width, channels) in pixels; `patch_size` times 2 for every stage but the first must divide
            both sides. The mixings along rows and columns belong to one height and width.
        stage_depths: number of blocks in each stage.
        stage_widths: channels of each stage.
        patch_size: side of a patch of the first stage in pixels.
        mlp_ratio: hidden width of the channel MLPs by the stage's channels.
        activation: `"gelu"` (erf), or `"gelu_tanh"`, `"relu"`, `"silu"`.
        norm_epsilon: added to the variance by every normalisation.
        norm_momentum: weight of the old moving statistics of every BatchNormalization.
        dropout: rate after both Dense layers of every MLP, 0 to 1.
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        name: name of the model.

    Raises:
        ValueError: when the strides do not divide the image, the tuples differ in length, or the activation is unknown.

    Example:
        >>> backbone = smlp_net((32, 48, 3), stage_depths=(1, 2), stage_widths=(8, 12))
        >>> backbone.output.shape
        (None, 4, 6, 12)
    """
    require_per_stage(len(stage_depths), stage_widths=stage_widths)
    check_divisible(image_shape, patch_size * 2 ** (len(stage_depths) - 1), what="the last stage's stride")
    norm = {"epsilon": norm_epsilon, "momentum": norm_momentum}
    image = x = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    rates = iter(drop_path_rates(drop_path_rate, sum(stage_depths)))
    for i, (depth, width) in enumerate(zip(stage_depths, stage_widths, strict=True), start=1):
        x = layers.Conv2D(
            width,
            2 if i > 1 else patch_size,
            strides=2 if i > 1 else patch_size,
            use_bias=False,
            kernel_initializer=TORCH_UNIFORM,
            name=f"stage{i}_downsample" if i > 1 else "stem_patch_embedding",
        )(x)
        for j in range(1, depth + 1):
            x = smlp_block(
                x,
                mlp_dim=int(width * mlp_ratio),
                activation=activation,
                norm=norm,
                dropout=dropout,
                drop_path_rate=next(rates),
                name=f"stage{i}_block{j}",
            )
        x = pyramid_output(x, patch_size * 2 ** (i - 1))
    x = BatchNormalization(**norm, name="norm")(x)
    return Model(image, x, name=name)


def smlp_block(x, *, mlp_dim, activation, norm, dropout, drop_path_rate, name):
    """Mix the places, then the channels, each with its own norm and residual: `[b, h, w, c] -> [b, h, w, c]`."""
    y = token_mixing(x, activation=activation, norm=norm, name=name)
    y = drop_path(y, drop_path_rate, name=f"{name}_token_mixing_drop_path")
    x = layers.Add(name=f"{name}_token_mixing_add")([x, y])

    y = LayerNormalization(epsilon=norm["epsilon"], name=f"{name}_mlp_norm")(x)
    y = mlp(y, mlp_dim, activation=activation, dropout=dropout, kernel_initializer=TORCH_UNIFORM, name=f"{name}_mlp")
    y = drop_path(y, drop_path_rate, name=f"{name}_mlp_drop_path")
    return layers.Add(name=f"{name}_mlp_add")([x, y])


def token_mixing(x, *, activation, norm, name):
    """The neighbourhood, then the row and the column of each pixel, fused with it: `[b, h, w, c] -> [b, h, w, c]`."""

    def norm_activation(x, suffix):
        x = BatchNormalization(**norm, name=f"{name}_{suffix}_norm")(x)
        return Activation(activation, name=f"{name}_{suffix}_activation")(x)

    y = norm_activation(x, "depthwise")
    y = layers.DepthwiseConv2D(
        3, padding="same", use_bias=False, depthwise_initializer=torch_uniform(9), name=f"{name}_depthwise"
    )(y)
    y = norm_activation(y, "axes")
    row = AxisDense(COLUMNS, kernel_initializer=TORCH_UNIFORM, name=f"{name}_along_row")(y)
    column = AxisDense(ROWS, kernel_initializer=TORCH_UNIFORM, name=f"{name}_along_column")(y)
    y = ops.concatenate([y, row, column], axis=-1)  # [b, h, w, 3 c]
    return dense(y, x.shape[-1], use_bias=False, kernel_initializer=TORCH_UNIFORM, name=f"{name}_fuse")


def _variant(width, depths):
    """Table 1 of the paper: every stage is twice as wide as the one before."""
    return {"stage_depths": depths, "stage_widths": (width, 2 * width, 4 * width, 8 * width)}


VARIANTS: dict[str, dict] = {
    "smlp_net_t": _variant(80, (2, 8, 14, 2)),
    "smlp_net_s": _variant(96, (2, 10, 24, 2)),
    "smlp_net_b": _variant(112, (2, 10, 24, 2)),
}
