"""Hire-MLP: Vision MLP via Hierarchical Rearrangement. Guo et al. 2021, arXiv 2108.13341.

Reference code: ggjy/Hire-Wave-MLP.pytorch (`hire_mlp.py`).

The idea: rearrange instead of mix. A few neighbouring rows become one region, and a small MLP over all pixels of a
region sees local context; every second or third block does not roll the whole map first, the others do by some rows, so
that regions trade pixels with their neighbours. Columns likewise. All weights fit any image size.

A region's weights are kept as (pixel, channel), which the map already is along the columns; the reference has them as
(channel, pixel).
"""

import keras
from keras import layers, ops

from mixer_tf.checks import require_per_stage
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.drop_path import drop_path, drop_path_rates
from mixer_tf.layers.fusion import softmax_fusion
from mixer_tf.layers.initializers import NORMAL
from mixer_tf.layers.mlp import dense, mlp
from mixer_tf.layers.norms import BatchNormalization
from mixer_tf.layers.patches import overlapping_patch_embedding, pyramid_output
from mixer_tf.layers.regions import from_regions, to_regions
from mixer_tf.layers.shifts import COLUMNS, ROWS


def hire_mlp(
    image_shape: tuple[int, int, int],
    *,
    stage_depths: tuple[int, ...],
    stage_widths: tuple[int, ...],
    mlp_ratios: tuple[float, ...],
    region_sizes: tuple[int, ...],
    step_periods: tuple[int, ...],
    step_sizes: tuple[int, ...],
    patch_size: int = 7,
    patch_stride: int = 4,
    patch_padding: int | None = None,
    activation: str = "gelu",
    norm_epsilon: float = 1e-5,
    norm_momentum: float = 0.9,
    drop_path_rate: float = 0.0,
    name: str = "hire_mlp",
) -> keras.Model:
    """Hire-MLP as a backbone: `[b, H, W, 3] -> [b, H / 32, W / 32, c]` with four stages, rounded.

    The last layer of stage `i` is called `P{i + 1}`: `P2` has stride 4, `P5` stride 32.

    Args:
        image_shape: (height, width, channels) in pixels, any size.
        stage_depths: number of blocks in each stage.
        stage_widths: channels of each stage.
        mlp_ratios: hidden width of the channel MLP in each stage, as a multiple of the stage's channels.
        region_sizes: rows or columns of a region in each stage.
        step_periods: in each stage, every so many blocks the map is not rolled; 1 never rolls it.
        step_sizes: pixels that each block of such a period rolls the map further than the one before.
        patch_size: side in pixels of the patches, which overlap: at least `patch_stride`.
        patch_stride: pixels from one patch to the next.
        patch_padding: zeros around the picture; None for `(patch_size - patch_stride + 1) // 2`, as in the paper.
        activation: of the channel MLP: `"gelu"` (erf), `"gelu_tanh"`, `"relu"` or `"silu"`.
        norm_epsilon: added to the variance by every BatchNormalization.
        norm_momentum: weight of the old moving statistics (Keras's meaning; PyTorch's momentum is 1 minus this).
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        name: name of the model.

    Raises:
        ValueError: when a tuple does not have one value per stage or the activation is unknown.

    Example:
        >>> backbone = hire_mlp((64, 96, 3), stage_depths=(1, 2), stage_widths=(8, 12), mlp_ratios=(4, 2),
        ...                     region_sizes=(4, 3), step_periods=(1, 2), step_sizes=(2, 2))
        >>> backbone.output.shape
        (None, 8, 12, 12)
    """
    per_stage = {
        "stage_widths": stage_widths,
        "mlp_ratios": mlp_ratios,
        "region_sizes": region_sizes,
        "step_periods": step_periods,
        "step_sizes": step_sizes,
    }
    require_per_stage(len(stage_depths), **per_stage)
    norm = {"epsilon": norm_epsilon, "momentum": norm_momentum}
    image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    x = embedding(image, stage_widths[0], patch_size, patch_stride, patch_padding, norm, name="stem")
    rates = iter(drop_path_rates(drop_path_rate, sum(stage_depths)))
    for i, (depth, width, ratio, region_size, period, step_size) in enumerate(
        zip(stage_depths, *per_stage.values(), strict=True), start=1
    ):
        if i > 1:
            x = embedding(x, width, 3, 2, 1, norm, name=f"stage{i}_downsample")
        for j in range(1, depth + 1):
            x = hire_block(
                x,
                region_size=region_size,
                step=(j - 1) % period * step_size,
                mlp_ratio=ratio,
                activation=activation,
                norm=norm,
                drop_path_rate=next(rates),
                name=f"stage{i}_block{j}",
            )
        x = pyramid_output(x, patch_stride * 2 ** (i - 1))
    x = BatchNormalization(**norm, name="norm")(x)
    return Model(image, x, name=name)


def embedding(x, width, patch_size, stride, padding, norm, *, name):
    """Overlapping patches, BatchNormalization, ReLU: `[b, h, w, c] -> [b, h / stride, w / stride, width]`."""
    layer_name = f"{name}_patch_embedding" if name == "stem" else name
    x = overlapping_patch_embedding(
        x, width, patch_size, stride=stride, padding=padding, kernel_initializer=NORMAL, name=layer_name
    )
    return ops.relu(BatchNormalization(**norm, name=f"{name}_norm")(x))


def hire_block(x, *, region_size, step, mlp_ratio, activation, norm, drop_path_rate, name):
    """Mix regions, then channels, each with its own norm and residual: `[b, h, w, c] -> [b, h, w, c]`."""
    y = BatchNormalization(**norm, name=f"{name}_norm1")(x)
    y = hire_mixing(y, region_size, step, norm, name=name)
    y = drop_path(y, drop_path_rate, name=f"{name}_mixing_drop_path")
    x = layers.Add(name=f"{name}_mixing_add")([x, y])

    y = BatchNormalization(**norm, name=f"{name}_norm2")(x)
    hidden_dim = int(x.shape[-1] * mlp_ratio)
    y = mlp(y, hidden_dim, activation=activation, kernel_initializer=NORMAL, name=f"{name}_mlp")
    y = drop_path(y, drop_path_rate, name=f"{name}_mlp_drop_path")
    return layers.Add(name=f"{name}_mlp_add")([x, y])


def hire_mixing(x, region_size, step, norm, *, name):
    """Regions of rows, regions of columns and the pixel alone, fused: `[b, h, w, c] -> [b, h, w, c]`."""
    channels = x.shape[-1]
    branches = [
        region_mlp(x, region_size, step, ROWS, norm, name=f"{name}_rows"),
        region_mlp(x, region_size, step, COLUMNS, norm, name=f"{name}_columns"),
        dense(x, channels, kernel_initializer=NORMAL, name=f"{name}_channel"),
    ]
    y = softmax_fusion(branches, channels // 4, kernel_initializer=NORMAL, name=f"{name}_fusion")
    return dense(y, channels, kernel_initializer=NORMAL, name=f"{name}_projection")


def region_mlp(x, region_size, step, axis, norm, *, name):
    """Rearrange, an MLP with a bottleneck over each region, and back: `[b, h, w, c] -> [b, h, w, c]`."""
    y = to_regions(x, region_size, step, axis)  # [b, h, w, r, c], one of h and w divided by r
    _, height, width, _, channels = y.shape
    grid, arguments = (height, width), {"kernel_initializer": NORMAL}
    y = layers.EinsumDense("bhwrc,rcd->bhwd", (*grid, channels // 2), **arguments, name=f"{name}_fc1")(y)
    y = ops.relu(BatchNormalization(**norm, name=f"{name}_norm")(y))
    whole = (*grid, region_size, channels)
    y = layers.EinsumDense("bhwd,drc->bhwrc", whole, bias_axes="rc", **arguments, name=f"{name}_fc2")(y)
    return from_regions(y, x.shape[axis], step, axis)


_COMMON = {
    "mlp_ratios": (4, 4, 4, 4),
    "region_sizes": (4, 3, 3, 2),
    "step_periods": (2, 2, 3, 2),
    "step_sizes": (2, 2, 1, 1),
}

VARIANTS: dict[str, dict] = {
    "hire_mlp_t": {"stage_depths": (2, 2, 4, 2), "stage_widths": (64, 128, 320, 512), **_COMMON},
    "hire_mlp_s": {"stage_depths": (3, 4, 10, 3), "stage_widths": (64, 128, 320, 512), **_COMMON},
    "hire_mlp_b": {"stage_depths": (4, 6, 24, 3), "stage_widths": (64, 128, 320, 512), **_COMMON},
    "hire_mlp_l": {"stage_depths": (4, 6, 24, 3), "stage_widths": (96, 192, 384, 768), **_COMMON},
}
