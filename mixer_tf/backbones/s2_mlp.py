"""S2-MLP: Spatial-Shift MLP Architecture for Vision. Yu et al. 2021, arXiv 2106.07477.

The authors published no code; the names and details are those of liuruiyang98/Jittor-MLP (`s2_mlp_v1.py`).

The idea: no mixing of tokens has to be learned. It is enough that a quarter of the channels moves one pixel down, one
up, one to the right and one to the left between two Dense layers over the channels; depth does the rest.

The shift is the paper's equation, every pixel at the border keeping its own value. Jittor-MLP writes it in place on
overlapping slices, which on a CPU smears the first row and column over the map.
"""

import math

import keras
from keras import layers

from mixer_tf.checks import require_per_stage
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.drop_path import drop_path, drop_path_rates
from mixer_tf.layers.initializers import TORCH_UNIFORM
from mixer_tf.layers.mlp import dense, mlp
from mixer_tf.layers.norms import LayerNormalization
from mixer_tf.layers.patches import check_divisible, patch_embedding, pyramid_output
from mixer_tf.layers.shifts import ShiftChannels, quarter_widths


def s2_mlp(
    image_shape: tuple[int, int, int],
    *,
    patch_sizes: tuple[int, ...],
    stage_depths: tuple[int, ...],
    stage_widths: tuple[int, ...],
    mlp_ratios: tuple[float, ...],
    activation: str = "gelu",
    norm_epsilon: float = 1e-5,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
    name: str = "s2_mlp",
) -> keras.Model:
    """S2-MLP as a backbone: `[b, H, W, 3] -> [b, H / p, W / p, c]`, where p is the product of `patch_sizes`.

    The paper's models have one stage. Every stage ends in a layer named by its stride, `P4` for 16. There is no norm
    after the last block.

    Args:
        image_shape: (height, width, channels) in pixels; the product of `patch_sizes` must divide both sides.
        patch_sizes: for each stage, the side of the patches that it starts with, in pixels of the one before.
        stage_depths: number of blocks in each stage.
        stage_widths: channels of each stage, at least 4.
        mlp_ratios: hidden width of the channel MLP in each stage, as a multiple of the stage's channels.
        activation: `"gelu"` (erf), `"gelu_tanh"`, `"relu"` or `"silu"`, before the shift and in the MLP.
        norm_epsilon: added to the variance by every LayerNormalization.
        dropout: rate after both Dense layers of the channel MLP, 0 to 1.
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        name: name of the model.

    Raises:
        ValueError: when the patches do not divide the image, a tuple does not have one value per stage, or the
            activation is unknown.

    Example:
        >>> backbone = s2_mlp((32, 48, 3), patch_sizes=(8,), stage_depths=(2,), stage_widths=(12,), mlp_ratios=(4,))
        >>> backbone.output.shape
        (None, 4, 6, 12)
    """
    num_stages = len(stage_depths)
    require_per_stage(num_stages, patch_sizes=patch_sizes, stage_widths=stage_widths, mlp_ratios=mlp_ratios)
    stride = math.prod(patch_sizes)
    check_divisible(image_shape, stride, what=f"the product of patch_sizes {patch_sizes},")
    x = image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    rates = iter(drop_path_rates(drop_path_rate, sum(stage_depths)))
    for i, (patch_size, depth, width, ratio) in enumerate(
        zip(patch_sizes, stage_depths, stage_widths, mlp_ratios, strict=True), start=1
    ):
        if patch_size > 1 and i > 1:
            x = pyramid_output(x, math.prod(patch_sizes[: i - 1]))
        embedding = f"stage{i}_downsample" if i > 1 else "stem_patch_embedding"
        x = patch_embedding(x, width, patch_size, kernel_initializer=TORCH_UNIFORM, name=embedding)
        for j in range(1, depth + 1):
            x = shift_block(
                x,
                mlp_ratio=ratio,
                activation=activation,
                norm_epsilon=norm_epsilon,
                dropout=dropout,
                drop_path_rate=next(rates),
                name=f"stage{i}_block{j}",
            )
    x = pyramid_output(x, stride)
    return Model(image, x, name=name)


def shift_block(x, *, mlp_ratio, activation, norm_epsilon, dropout, drop_path_rate, name):
    """Mix neighbours, then channels, each with its own norm and residual: `[b, h, w, c] -> [b, h, w, c]`."""
    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm1")(x)
    y = shift_mlp(y, activation=activation, name=f"{name}_shift")
    y = drop_path(y, drop_path_rate, name=f"{name}_shift_drop_path")
    x = layers.Add(name=f"{name}_shift_add")([x, y])

    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm2")(x)
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


DOWN_UP_RIGHT_LEFT = ((1, 0), (-1, 0), (0, 1), (0, -1))  # (rows, columns) of each quarter of the channels


def shift_mlp(x, *, activation, name):
    """Dense, activation, shift, Dense: `[b, h, w, c] -> [b, h, w, c]`."""
    channels = x.shape[-1]
    y = dense(
        x,
        channels,
        activation=activation,
        kernel_initializer=TORCH_UNIFORM,
        name=f"{name}_fc1",
    )
    y = ShiftChannels(DOWN_UP_RIGHT_LEFT, quarter_widths(channels), border="edge", name=f"{name}_move")(y)
    return dense(y, channels, kernel_initializer=TORCH_UNIFORM, name=f"{name}_fc2")


def _variant(depth, width):
    return {"patch_sizes": (16,), "stage_depths": (depth,), "stage_widths": (width,), "mlp_ratios": (4,)}


VARIANTS: dict[str, dict] = {
    "s2_mlp_wide": _variant(12, 768),
    "s2_mlp_deep": _variant(36, 384),
}
