"""EANet: external attention that segments pictures. Guo et al. 2021, arXiv 2105.02358.

Reference code: MenghaoGuo/EANet (`model_torch.py`). `mixer_tf.layers.external_attention` tells the paper's idea;
`eamlp.py` is its other network.

The idea here: a label for every pixel needs a fine grid and a wide view at once. From its second stage on the ResNet
keeps the grid and spreads the taps of its 3x3 convolutions instead (dilation); then every pixel reads a memory that all
pixels, and all pictures, share, at a cost that grows with the number of pixels and not with its square.

Deviation: the two 3x3 convolutions after the ResNet start like its own (the authors leave PyTorch's default).
"""

import keras

from mixer_tf.backbones.resnet import conv_norm, max_pool, residual_block
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.external_attention import external_attention_2d
from mixer_tf.layers.patches import pyramid_output


def eanet(
    image_shape: tuple[int, int, int],
    *,
    stage_depths: tuple[int, ...],
    stage_widths: tuple[int, ...] = (64, 128, 256, 512),
    stem_dim: int = 64,
    expansion: int = 4,
    multi_grid: tuple[int, ...] = (1, 2, 4),
    attention_dim: int = 512,
    memory_units: int = 64,
    output_dim: int = 256,
    activation: str = "relu",
    norm_epsilon: float = 1e-5,
    norm_momentum: float = 0.9,
    name: str = "eanet",
) -> keras.Model:
    """EANet as a backbone: `[b, H, W, 3] -> [b, H / 8, W / 8, output_dim]` (sides rounded up).

    `mixer_tf.segmenter` continues it to a label for every pixel. The first stage ends with `P2` (stride 4); the output
    is `P3` (stride 8).

    Args:
        image_shape: (height, width, channels) in pixels, any size; the authors cut 513 x 513.
        stage_depths: number of bottlenecks in each stage, of two stages or more. The second has stride 2; the third is
            dilated by 2, the fourth by 4, and so on.
        stage_widths: channels of the 3x3 convolutions in each stage, as many as stages.
        stem_dim: channels of the first two of the stem's three convolutions; the third has twice as many.
        expansion: a bottleneck gives out this many times its width.
        multi_grid: what each block of the last stage multiplies its dilation by. The first number is without effect: a
            stage's first block has the dilation of the stage before.
        attention_dim: channels of the external attention.
        memory_units: size of its memory.
        output_dim: channels of the output.
        activation: `"relu"`, or `"gelu"`, `"gelu_tanh"`, `"silu"`.
        norm_epsilon: added to the variance by every BatchNormalization.
        norm_momentum: weight of the old moving statistics (Keras's meaning; PyTorch's momentum is 1 minus this).
        name: name of the model.

    Raises:
        ValueError: when there are fewer than two stages, `stage_widths` and `stage_depths` differ in length, or
            `multi_grid` is not as long as the last stage.

    Example:
        >>> backbone = eanet((32, 48, 3), stage_depths=(1, 1, 2), stage_widths=(4, 5, 6), multi_grid=(1, 2))
        >>> backbone.output.shape
        (None, 4, 6, 256)
    """
    _check_stages(stage_depths, stage_widths, multi_grid)
    shared = {"norm": {"epsilon": norm_epsilon, "momentum": norm_momentum}, "activation": activation}
    image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    x = deep_stem(image, stem_dim, **shared)  # [b, H / 4, W / 4, 2 * stem_dim]
    for i, (depth, width) in enumerate(zip(stage_depths, stage_widths, strict=True), start=1):
        dilations = stage_dilations(i, multi_grid if i == len(stage_depths) else (1,) * depth)
        for j, dilation in enumerate(dilations, start=1):
            x = residual_block(
                x,
                block="bottleneck",
                width=width,
                expansion=expansion,
                stride=2 if (i, j) == (2, 1) else 1,
                dilation=dilation,
                zero_init_residual=False,
                drop_path_rate=0.0,
                name=f"stage{i}_block{j}",
                output_name="P2" if (i, j) == (1, depth) else f"stage{i}_block{j}_activation",
                **shared,
            )
    x = conv_norm(x, attention_dim, 3, name="reduction", **shared)
    x = external_attention_2d(
        x,
        memory_units=memory_units,
        activation=activation,
        norm_epsilon=norm_epsilon,
        norm_momentum=norm_momentum,
    )
    x = conv_norm(x, output_dim, 3, name="projection", **shared)
    return Model(image, pyramid_output(x, 8), name=name)


def deep_stem(image, width, *, norm, activation):
    """Three 3x3 convolutions for ResNet's one of 7x7, the first with stride 2, and the pool after them."""
    shared = {"norm": norm, "activation": activation}
    x = conv_norm(image, width, 3, stride=2, name="stem_conv1", **shared)
    x = conv_norm(x, width, 3, name="stem_conv2", **shared)
    x = conv_norm(x, 2 * width, 3, name="stem_conv3", **shared)
    return max_pool(x, name="stem_pool")


def stage_dilations(stage: int, grid: tuple[int, ...]) -> tuple[int, ...]:
    """Dilation of every block: where a ResNet's stage would halve its grid, the distance of the taps doubles instead.

    As with a stride, only the blocks after the first see the new distance; that one still has the old.
    """
    dilation = 2 ** max(stage - 2, 0)
    return (max(dilation // 2, 1), *(dilation * factor for factor in grid[1:]))


def _check_stages(stage_depths, stage_widths, multi_grid):
    if len(stage_depths) < 2:
        raise ValueError(f"stage_depths must name two stages or more; given: {len(stage_depths)}")
    if len(stage_widths) != len(stage_depths):
        raise ValueError(
            f"stage_widths must name one width per stage; given: {len(stage_widths)} widths, {len(stage_depths)} stages"
        )
    if len(multi_grid) != stage_depths[-1]:
        raise ValueError(
            f"multi_grid must name one factor for each block of the last stage; given: {len(multi_grid)} factors, "
            f"{stage_depths[-1]} blocks"
        )


VARIANTS: dict[str, dict] = {  # at the size that the authors train and test with
    "eanet_resnet50": {"stage_depths": (3, 4, 6, 3), "image_shape": (513, 513, 3)},
    "eanet_resnet101": {"stage_depths": (3, 4, 23, 3), "image_shape": (513, 513, 3)},
}
