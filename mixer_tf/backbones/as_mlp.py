"""AS-MLP: An Axial Shifted MLP Architecture for Vision. Lian et al. 2021, arXiv 2107.08391.

Reference code: svip-lab/AS-MLP (`models/as_mlp.py`).

The idea: a Dense layer sees its neighbours when groups of channels are first shifted by different distances along a
row, or along a column. Two such branches give a cross of pixels to every pixel, at the price of 1x1 convolutions, and
what is learned fits every image size. The layout of the stages is Swin's.

Biases of the 1x1 convolutions start at zero here, in PyTorch's code at random.
"""

import keras
from keras import layers, ops

from mixer_tf.checks import require, require_per_stage
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.activations import Activation
from mixer_tf.layers.drop_path import drop_path, drop_path_rates
from mixer_tf.layers.initializers import TORCH_UNIFORM
from mixer_tf.layers.mlp import dense, mlp
from mixer_tf.layers.norms import group_norm
from mixer_tf.layers.patches import check_divisible, patch_embedding, pyramid_output
from mixer_tf.layers.shifts import COLUMNS, ROWS, shift_groups


def as_mlp(
    image_shape: tuple[int, int, int],
    *,
    stage_depths: tuple[int, ...],
    stage_widths: tuple[int, ...],
    patch_size: int = 4,
    patch_norm: bool = True,
    shift_size: int = 5,
    axial_bias: bool = True,
    mlp_ratio: float = 4.0,
    activation: str = "gelu",
    norm_epsilon: float = 1e-5,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
    name: str = "as_mlp",
) -> keras.Model:
    """AS-MLP as a backbone: `[b, H, W, 3] -> [b, H / 32, W / 32, c]`, with four stages and patches of 4 pixels.

    Stages end in the layers `P2` (stride 4) to `P5` (stride 32); the output is normalised once more. Every norm is
    GroupNorm with one group: over rows, columns and channels of a picture.

    Args:
        image_shape: (height, width, channels) in pixels; `patch_size` must divide both sides, and every merge of 2x2
            pixels between stages halves them again.
        stage_depths: number of blocks in each stage.
        stage_widths: channels of each stage; twice the one before in the paper.
        patch_size: side of a patch in pixels.
        patch_norm: normalise the patch embeddings.
        shift_size: number of channel groups, odd: they are shifted by `-(shift_size // 2)` to `shift_size // 2` pixels.
        axial_bias: give the four Dense layers of the axial shift biases.
        mlp_ratio: hidden width of the channel MLP as a multiple of the stage's channels.
        activation: `"gelu"` (erf), `"gelu_tanh"`, `"relu"` or `"silu"`, in the axial shift and in the MLP.
        norm_epsilon: added to the variance by every norm.
        dropout: rate after the patch embedding and both Dense layers of every MLP, 0 to 1.
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        name: name of the model.

    Raises:
        ValueError: when the image does not fit the patches and merges, a tuple does not have one value per stage,
            `shift_size` is even, or the activation is unknown.

    Example:
        >>> backbone = as_mlp((32, 48, 3), stage_depths=(1, 2), stage_widths=(8, 16))
        >>> backbone.output.shape
        (None, 4, 6, 16)
    """
    require_per_stage(len(stage_depths), stage_widths=stage_widths)
    require(shift_size % 2, f"shift_size must be odd; given: {shift_size}")
    num_merges = len(stage_depths) - 1
    what = f"patch_size {patch_size} and 2 at each of {num_merges} merges, together" if num_merges else "patch_size"
    check_divisible(image_shape, patch_size * 2**num_merges, what=what)
    image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    x = patch_embedding(
        image, stage_widths[0], patch_size, kernel_initializer=TORCH_UNIFORM, name="stem_patch_embedding"
    )
    x = group_norm(x, epsilon=norm_epsilon, name="stem_norm") if patch_norm else x
    x = layers.Dropout(dropout, name="stem_dropout")(x) if dropout else x
    rates = iter(drop_path_rates(drop_path_rate, sum(stage_depths)))
    for i, (depth, width) in enumerate(zip(stage_depths, stage_widths, strict=True), start=1):
        if i > 1:
            x = patch_merging(x, width, norm_epsilon=norm_epsilon, name=f"stage{i}_downsample")
        for j in range(1, depth + 1):
            x = axial_block(
                x,
                shift_size=shift_size,
                axial_bias=axial_bias,
                mlp_ratio=mlp_ratio,
                activation=activation,
                norm_epsilon=norm_epsilon,
                dropout=dropout,
                drop_path_rate=next(rates),
                name=f"stage{i}_block{j}",
            )
        x = pyramid_output(x, patch_size * 2 ** (i - 1))
    x = group_norm(x, epsilon=norm_epsilon, name="norm")
    return Model(image, x, name=name)


def axial_block(x, *, shift_size, axial_bias, mlp_ratio, activation, norm_epsilon, dropout, drop_path_rate, name):
    """Mix along both axes, then the channels, each with its own norm and residual: `[b, h, w, c] -> [b, h, w, c]`."""
    y = group_norm(x, epsilon=norm_epsilon, name=f"{name}_norm1")
    y = axial_shift(y, shift_size, axial_bias, activation=activation, norm_epsilon=norm_epsilon, name=f"{name}_axial")
    y = drop_path(y, drop_path_rate, name=f"{name}_axial_drop_path")
    x = layers.Add(name=f"{name}_axial_add")([x, y])

    y = group_norm(x, epsilon=norm_epsilon, name=f"{name}_norm2")
    y = mlp(
        y,
        int(x.shape[-1] * mlp_ratio),
        activation=activation,
        dropout=dropout,
        kernel_initializer=TORCH_UNIFORM,
        name=f"{name}_mlp",
    )
    y = drop_path(y, drop_path_rate, name=f"{name}_mlp_drop_path")
    return layers.Add(name=f"{name}_mlp_add")([x, y])


def axial_shift(x, shift_size, use_bias, *, activation, norm_epsilon, name):
    """A Dense after a shift along the columns, another after one along the rows, summed: `[b, h, w, c] -> same`."""
    channels = x.shape[-1]
    arguments = {"use_bias": use_bias, "kernel_initializer": TORCH_UNIFORM}
    y = dense(x, channels, **arguments, name=f"{name}_input")
    y = group_norm(y, epsilon=norm_epsilon, name=f"{name}_norm1")
    y = Activation(activation, name=f"{name}_activation")(y)

    distances = range(-(shift_size // 2), shift_size // 2 + 1)
    branches = []
    for axis, direction in ((COLUMNS, "columns"), (ROWS, "rows")):
        shifted = shift_groups(y, distances, axis, border="zeros", name=f"{name}_shift_{direction}")
        branches.append(dense(shifted, channels, activation=activation, **arguments, name=f"{name}_{direction}"))
    y = layers.Add(name=f"{name}_branches_add")(branches)
    y = group_norm(y, epsilon=norm_epsilon, name=f"{name}_norm2")
    return dense(y, channels, **arguments, name=f"{name}_output")


def patch_merging(x, width, *, norm_epsilon, name):
    """2x2 pixels become one, `[b, h, w, c] -> [b, h / 2, w / 2, width]`; the rows of the four are the faster index."""
    height, breadth, channels = x.shape[1:]
    x = ops.reshape(x, (-1, height // 2, 2, breadth // 2, 2, channels))
    x = ops.transpose(x, (0, 1, 3, 4, 2, 5))  # [b, h / 2, w / 2, column, row, c]
    x = ops.reshape(x, (-1, height // 2, breadth // 2, 4 * channels))
    x = group_norm(x, epsilon=norm_epsilon, name=f"{name}_norm")
    return dense(x, width, use_bias=False, kernel_initializer=TORCH_UNIFORM, name=name)


VARIANTS: dict[str, dict] = {
    "as_mlp_t": {"stage_depths": (2, 2, 6, 2), "stage_widths": (96, 192, 384, 768)},
    "as_mlp_s": {"stage_depths": (2, 2, 18, 2), "stage_widths": (96, 192, 384, 768)},
    "as_mlp_b": {"stage_depths": (2, 2, 18, 2), "stage_widths": (128, 256, 512, 1024)},
}
