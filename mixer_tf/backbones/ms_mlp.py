"""MS-MLP: Mixing and Shifting: Exploiting Global and Local Dependencies in Vision MLPs. Zheng et al. 2022.

arXiv 2202.06510. Reference code: JegZheng/MS-MLP (`models/ms_mlp.py`).

The idea: what is further away matters more coarsely. Groups of channels are rolled by different distances along a row
and along a column, and the further a group was rolled, the larger the depthwise kernel that looks around its new place.
One norm, one MLP and a layer scale complete the block, as in ConvNeXt.

The reference's rolls are circular, its convolutions padded with zeros. It pools before its last norm.
"""

import keras
from keras import layers

from mixer_tf.checks import require, require_per_stage
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.drop_path import drop_path, drop_path_rates
from mixer_tf.layers.initializers import NORMAL, TORCH_UNIFORM
from mixer_tf.layers.mixed_depthwise import MixedDepthwiseConv2D
from mixer_tf.layers.mlp import mlp
from mixer_tf.layers.norms import LayerNormalization
from mixer_tf.layers.patches import patch_embedding, pyramid_output
from mixer_tf.layers.shifts import COLUMNS, ROWS, chunk_widths, shift_groups
from mixer_tf.layers.tokens import LayerScale


def ms_mlp(
    image_shape: tuple[int, int, int],
    *,
    stage_depths: tuple[int, ...],
    stage_widths: tuple[int, ...],
    mix_kernels: tuple[tuple[int, ...], ...],
    shift_distances: tuple[int, ...] = (-2, -1, 0, 1, 2),
    patch_size: int = 4,
    mlp_ratio: float = 4.0,
    layer_scale: float = 1e-6,
    activation: str = "gelu",
    norm_epsilon: float = 1e-6,
    drop_path_rate: float = 0.0,
    name: str = "ms_mlp",
) -> keras.Model:
    """MS-MLP as a backbone: `[b, H, W, 3] -> [b, H / 32, W / 32, c]`, with four stages and patches of 4 pixels.

    Stages end in the layers `P2` (stride 4) to `P5` (stride 32). The last norm stands after the pooling, and so in the
    classifier: `mixer_tf.classifier` puts it there without being told.

    Args:
        image_shape: (height, width, channels) in pixels; `patch_size` must divide both sides. The convolutions of 2x2
            pixels between stages leave out an odd last row or column, as in the reference.
        stage_depths: number of blocks in each stage.
        stage_widths: channels of each stage; twice the one before in the paper.
        mix_kernels: for each stage, the odd kernel size of each group of channels.
        shift_distances: pixels by which each group of channels is rolled, to the right and down.
        patch_size: side of a patch in pixels.
        mlp_ratio: hidden width of the channel MLP as a multiple of the stage's channels.
        layer_scale: initial value of the learned factor per channel on the branch.
        activation: of the channel MLP: `"gelu"` (erf), `"gelu_tanh"`, `"relu"` or `"silu"`.
        norm_epsilon: added to the variance by every LayerNormalization, also by the classifier's.
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        name: name of the model.

    Raises:
        ValueError: when `patch_size` does not divide the image or nothing is left of it, a tuple does not have one
            value per stage or per group, a kernel is even, a width does not give as many groups as distances, or the
            activation is unknown.

    Example:
        >>> backbone = ms_mlp((32, 48, 3), stage_depths=(1, 2), stage_widths=(10, 20),
        ...                   mix_kernels=((1, 1, 3, 5, 7), (1, 3, 3, 5, 7)))
        >>> backbone.output.shape
        (None, 4, 6, 20)
    """
    num_stages, num_groups = len(stage_depths), len(shift_distances)
    require_per_stage(num_stages, stage_widths=stage_widths, mix_kernels=mix_kernels)
    require(
        all(len(sizes) == num_groups and all(size > 0 and size % 2 for size in sizes) for sizes in mix_kernels),
        f"mix_kernels must name an odd size for each of the {num_groups} shift_distances; given: {mix_kernels}",
    )
    require(
        all(len(chunk_widths(width, num_groups)) == num_groups for width in stage_widths),
        f"stage_widths must give {num_groups} groups of ceil(width / {num_groups}) channels; given: {stage_widths}",
    )
    smallest = patch_size * 2 ** (num_stages - 1)
    require(
        min(image_shape[:2]) >= smallest,
        f"image_shape must be at least {smallest} on both sides for {num_stages} stages; given: {image_shape}",
    )
    image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    x = patch_embedding(
        image, stage_widths[0], patch_size, kernel_initializer=TORCH_UNIFORM, name="stem_patch_embedding"
    )
    x = LayerNormalization(epsilon=norm_epsilon, name="stem_norm")(x)
    rates = iter(drop_path_rates(drop_path_rate, sum(stage_depths)))
    for i, (depth, width, kernels) in enumerate(zip(stage_depths, stage_widths, mix_kernels, strict=True), start=1):
        if i > 1:
            x = downsample(x, width, norm_epsilon=norm_epsilon, name=f"stage{i}_downsample")
        for j in range(1, depth + 1):
            x = mix_shift_block(
                x,
                kernel_sizes=kernels,
                distances=shift_distances,
                mlp_ratio=mlp_ratio,
                layer_scale=layer_scale,
                activation=activation,
                norm_epsilon=norm_epsilon,
                drop_path_rate=next(rates),
                name=f"stage{i}_block{j}",
            )
        x = pyramid_output(x, patch_size * 2 ** (i - 1))
    model = Model(image, x, name=name)
    model.classifier_arguments = {"norm_epsilon": norm_epsilon}
    return model


def downsample(x, width, *, norm_epsilon, name):
    """2x2 pixels become one, and then a norm: `[b, h, w, c] -> [b, h // 2, w // 2, width]`."""
    x = layers.Conv2D(width, 2, strides=2, kernel_initializer=TORCH_UNIFORM, name=name)(x)
    return LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm")(x)


def mix_shift_block(
    x, *, kernel_sizes, distances, mlp_ratio, layer_scale, activation, norm_epsilon, drop_path_rate, name
):
    """Roll and convolve along both axes, sum, norm, MLP, one residual: `[b, h, w, c] -> [b, h, w, c]`."""
    branches = []
    for axis, direction in ((COLUMNS, "columns"), (ROWS, "rows")):
        y = shift_groups(x, distances, axis, border="wrap", name=f"{name}_shift_{direction}")
        branches.append(MixedDepthwiseConv2D(kernel_sizes, name=f"{name}_mix_{direction}")(y))
    y = layers.Add(name=f"{name}_mix_add")(branches)
    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm")(y)
    hidden_dim = int(x.shape[-1] * mlp_ratio)
    y = mlp(y, hidden_dim, activation=activation, kernel_initializer=NORMAL, name=f"{name}_mlp")
    y = LayerScale(layer_scale, name=f"{name}_scale")(y)
    y = drop_path(y, drop_path_rate, name=f"{name}_drop_path")
    return layers.Add(name=f"{name}_add")([x, y])


def _variant(stage_depths, width):
    return {
        "stage_depths": stage_depths,
        "stage_widths": (width, 2 * width, 4 * width, 8 * width),
        "mix_kernels": ((1, 1, 3, 5, 7), (1, 3, 3, 5, 7), (1, 5, 5, 5, 7), (1, 7, 7, 7, 7)),
    }


VARIANTS: dict[str, dict] = {
    "ms_mlp_t": _variant((3, 3, 9, 3), 96),
    "ms_mlp_s": _variant((3, 3, 27, 3), 96),
    "ms_mlp_b": _variant((3, 3, 27, 3), 128),
}
