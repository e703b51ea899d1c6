"""S2-MLPv2: Improved Spatial-Shift MLP Architecture for Vision. Yu et al. 2021, arXiv 2108.01072.

The authors published no code; the names and details are those of liuruiyang98/Jittor-MLP (`s2_mlp_v2.py`).

The idea: widen the channels threefold, shift two thirds of them by S2-MLP's pixel, in opposite orders of directions,
leave one third alone, and let split attention decide how much of each third comes through. Two resolutions replace one.

The shift is the paper's equation, every pixel at the border keeping its own value; Jittor-MLP's in-place shift smears.
Its split attention is as wide as the model; a quarter of that, the default here, gives the paper's parameter counts.
"""

import math

import keras
from keras import layers, ops

from mixer_tf.checks import require_per_stage
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.drop_path import drop_path, drop_path_rates
from mixer_tf.layers.fusion import softmax_fusion
from mixer_tf.layers.initializers import TORCH_UNIFORM
from mixer_tf.layers.mlp import dense, mlp
from mixer_tf.layers.norms import LayerNormalization
from mixer_tf.layers.patches import check_divisible, patch_embedding, pyramid_output
from mixer_tf.layers.shifts import ShiftChannels, quarter_widths


def s2_mlp_v2(
    image_shape: tuple[int, int, int],
    *,
    patch_sizes: tuple[int, ...],
    stage_depths: tuple[int, ...],
    stage_widths: tuple[int, ...],
    mlp_ratios: tuple[float, ...],
    split_attention_ratio: float = 0.25,
    activation: str = "gelu",
    norm_epsilon: float = 1e-5,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
    name: str = "s2_mlp_v2",
) -> keras.Model:
    """S2-MLPv2 as a backbone: `[b, H, W, 3] -> [b, H / p, W / p, c]`, where p is the product of `patch_sizes`.

    Every stage ends in a layer named by its stride, `P3` for 7 and `P4` for 14. There is no norm after the last block.

    Args:
        image_shape: (height, width, channels) in pixels; the product of `patch_sizes` must divide both sides.
        patch_sizes: for each stage, the side of the patches that it starts with, in pixels of the one before.
        stage_depths: number of blocks in each stage.
        stage_widths: channels of each stage, at least 4.
        mlp_ratios: hidden width of the channel MLP in each stage, as a multiple of the stage's channels.
        split_attention_ratio: hidden width of the split attention, as a multiple of the stage's channels: 0.25 gives
            the paper's sizes, 1 those of the public re-implementations.
        activation: of the channel MLP: `"gelu"` (erf), `"gelu_tanh"`, `"relu"` or `"silu"`.
        norm_epsilon: added to the variance by every LayerNormalization.
        dropout: rate after both Dense layers of the channel MLP, 0 to 1.
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        name: name of the model.

    Raises:
        ValueError: when the patches do not divide the image, a tuple does not have one value per stage, or the
            activation is unknown.

    Example:
        >>> backbone = s2_mlp_v2((28, 42, 3), patch_sizes=(7, 2), stage_depths=(1, 2), stage_widths=(8, 12),
        ...                      mlp_ratios=(3, 3))
        >>> backbone.output.shape
        (None, 2, 3, 12)
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
            x = split_block(
                x,
                mlp_ratio=ratio,
                split_attention_ratio=split_attention_ratio,
                activation=activation,
                norm_epsilon=norm_epsilon,
                dropout=dropout,
                drop_path_rate=next(rates),
                name=f"stage{i}_block{j}",
            )
    x = pyramid_output(x, stride)
    return Model(image, x, name=name)


def split_block(x, *, mlp_ratio, split_attention_ratio, activation, norm_epsilon, dropout, drop_path_rate, name):
    """Mix neighbours, then channels, each with its own norm and residual: `[b, h, w, c] -> [b, h, w, c]`."""
    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm1")(x)
    y = split_shift(y, int(x.shape[-1] * split_attention_ratio), name=f"{name}_split")
    y = drop_path(y, drop_path_rate, name=f"{name}_split_drop_path")
    x = layers.Add(name=f"{name}_split_add")([x, y])

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


# (rows, columns) of each quarter of the first third of the channels, then of the second; the third stays.
MOVES = ((1, 0), (-1, 0), (0, 1), (0, -1)), ((0, 1), (0, -1), (1, 0), (-1, 0)), ((0, 0),)


def split_shift(x, attention_dim, *, name):
    """Three times the channels, shifted by thirds, weighed against each other, projected: `[b, h, w, c] -> same`."""
    channels = x.shape[-1]
    y = dense(x, 3 * channels, kernel_initializer=TORCH_UNIFORM, name=f"{name}_expansion")
    quarters = quarter_widths(channels)
    y = ShiftChannels(sum(MOVES, ()), (*quarters, *quarters, channels), border="edge", name=f"{name}_move")(y)
    y = softmax_fusion(
        ops.split(y, 3, axis=-1),
        attention_dim,
        pool=ops.sum,
        use_bias=False,
        branch_axis=1,
        kernel_initializer=TORCH_UNIFORM,
        name=f"{name}_attention",
    )
    return dense(y, channels, kernel_initializer=TORCH_UNIFORM, name=f"{name}_projection")


def _variant(stage_depths, stage_widths):
    return {"patch_sizes": (7, 2), "stage_depths": stage_depths, "stage_widths": stage_widths, "mlp_ratios": (3, 3)}


VARIANTS: dict[str, dict] = {
    "s2_mlp_v2_s7": _variant((4, 14), (192, 384)),
    "s2_mlp_v2_m7": _variant((7, 17), (256, 512)),
}
