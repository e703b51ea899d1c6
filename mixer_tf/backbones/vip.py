"""Vision Permutator: A Permutable MLP-Like Architecture for Visual Recognition. Hou et al. 2021, arXiv 2106.12368.

Reference code: houqb/VisionPermutator (`models/vip.py`).

The idea: keep the height and the width instead of flattening them into tokens. The channels are cut into as many
segments as the map has rows; a Dense then runs over (row, channel of a segment), another over (column, channel of a
segment) and a third over the channels, all of the same size, and a learned softmax weighs the three.
"""

import itertools

import keras
from keras import layers, ops

from mixer_tf.checks import require, require_per_stage
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.drop_path import drop_path, drop_path_rates
from mixer_tf.layers.fusion import softmax_fusion
from mixer_tf.layers.initializers import NORMAL, TORCH_UNIFORM
from mixer_tf.layers.mlp import dense, mlp
from mixer_tf.layers.norms import LayerNormalization
from mixer_tf.layers.patches import patch_embedding, pyramid_output


def vip(
    image_shape: tuple[int, int, int],
    *,
    patch_size: int,
    stage_depths: tuple[int, ...],
    stage_widths: tuple[int, ...],
    segments: tuple[int, ...],
    mlp_ratios: tuple[float, ...],
    branch_bias: bool = False,
    activation: str = "gelu",
    norm_epsilon: float = 1e-5,
    drop_path_rate: float = 0.0,
    name: str = "vip",
) -> keras.Model:
    """Vision Permutator as a backbone: `[b, H, W, 3] -> [b, segments[-1], segments[-1], c]`.

    The last stage of each size of the map is a level of the pyramid: `P3` with stride 7 and `P4` with 14.

    Args:
        image_shape: (height, width, channels) in pixels; both sides must be `patch_size * segments[0]`.
        patch_size: side of a patch in pixels.
        stage_depths: number of blocks in each stage.
        stage_widths: channels of each stage, multiples of its segments.
        segments: segments of the channels in each stage, also the rows and the columns of its map: as many as in the
            stage before, or half of them, for which a 2x2 convolution halves the map.
        mlp_ratios: hidden width of the channel MLP in each stage, as a multiple of the stage's channels.
        branch_bias: give the three Dense layers of the permutation biases.
        activation: of the channel MLP: `"gelu"` (erf), `"gelu_tanh"`, `"relu"` or `"silu"`.
        norm_epsilon: added to the variance by every LayerNormalization.
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        name: name of the model.

    Raises:
        ValueError: when a tuple does not have one value per stage, the image is not `patch_size * segments[0]` on both
            sides, segments neither stay nor halve or do not divide the channels, or the activation is unknown.

    Example:
        >>> backbone = vip((32, 32, 3), patch_size=4, stage_depths=(1, 2), stage_widths=(16, 24), segments=(8, 4),
        ...                mlp_ratios=(3, 3))
        >>> backbone.output.shape
        (None, 4, 4, 24)
    """
    require_per_stage(len(stage_depths), stage_widths=stage_widths, segments=segments, mlp_ratios=mlp_ratios)
    _check_sizes(image_shape, patch_size, stage_widths, segments)
    image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    x = patch_embedding(
        image, stage_widths[0], patch_size, kernel_initializer=TORCH_UNIFORM, name="stem_patch_embedding"
    )
    stride, rates = patch_size, iter(drop_path_rates(drop_path_rate, sum(stage_depths)))
    for i, (depth, width, ratio) in enumerate(zip(stage_depths, stage_widths, mlp_ratios, strict=True), start=1):
        x = transition(x, width, segments[i - 1], name=f"stage{i}_downsample")
        for j in range(1, depth + 1):
            x = permutator_block(
                x,
                branch_bias=branch_bias,
                mlp_ratio=ratio,
                activation=activation,
                norm_epsilon=norm_epsilon,
                drop_path_rate=next(rates),
                name=f"stage{i}_block{j}",
            )
        if i == len(segments) or segments[i] != segments[i - 1]:
            x = pyramid_output(x, stride)
            stride *= 2
    x = LayerNormalization(epsilon=norm_epsilon, name="norm")(x)
    return Model(image, x, name=name)


def _check_sizes(image_shape, patch_size, stage_widths, segments):
    """Refuse what the Dense layers over (row, channel) and (column, channel) cannot be square for."""
    require(
        all(after in (before, before // 2) for before, after in itertools.pairwise(segments)),
        f"segments must stay or halve from stage to stage; given: {segments}",
    )
    require(
        not any(width % count for width, count in zip(stage_widths, segments, strict=True)),
        f"segments must divide the stage_widths; given: segments {segments}, stage_widths {stage_widths}",
    )
    side, channels = patch_size * segments[0], image_shape[2]
    others = _other_segments(image_shape, patch_size, stage_widths, segments)
    require(
        tuple(image_shape[:2]) == (side, side),
        f"image_shape {tuple(image_shape)} must be square with sides of patch_size {patch_size} * segments[0] "
        f"{segments[0]}: ({side}, {side}, {channels}); {others}",
    )


def _other_segments(image_shape, patch_size, stage_widths, segments):
    """The segments, and their square image, that come nearest to an image of another size."""
    ratios = [segments[0] // count for count in segments]
    fitting = [
        tuple(first // ratio for ratio in ratios)
        for first in range(ratios[-1], max(stage_widths) + 1, ratios[-1])
        if not any(width % (first // ratio) for width, ratio in zip(stage_widths, ratios, strict=True))
    ]
    nearest = min(fitting, key=lambda counts: abs(counts[0] * patch_size - max(image_shape[:2])))
    return f"nearest with other segments: {2 * (nearest[0] * patch_size,)} with segments={nearest}"


def transition(x, width, size, *, name):
    """Halve the map where its next size is another one, change the width where that is: `[b, size, size, width]`."""
    if x.shape[1] != size:
        return layers.Conv2D(width, 2, strides=2, kernel_initializer=TORCH_UNIFORM, name=name)(x)
    return dense(x, width, kernel_initializer=TORCH_UNIFORM, name=name) if x.shape[-1] != width else x


def permutator_block(x, *, branch_bias, mlp_ratio, activation, norm_epsilon, drop_path_rate, name):
    """Mix rows, columns and channels, then channels, both with norm and residual: `[b, g, g, c] -> [b, g, g, c]`."""
    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm1")(x)
    y = weighted_permute_mlp(y, branch_bias, name=name)
    y = drop_path(y, drop_path_rate, name=f"{name}_mixing_drop_path")
    x = layers.Add(name=f"{name}_mixing_add")([x, y])

    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm2")(x)
    hidden_dim = int(x.shape[-1] * mlp_ratio)
    y = mlp(y, hidden_dim, activation=activation, kernel_initializer=NORMAL, name=f"{name}_mlp")
    y = drop_path(y, drop_path_rate, name=f"{name}_mlp_drop_path")
    return layers.Add(name=f"{name}_mlp_add")([x, y])


def weighted_permute_mlp(x, branch_bias, *, name):
    """Three Dense layers of one size, weighed against each other and projected: `[b, g, g, c] -> [b, g, g, c]`."""
    channels, arguments = x.shape[-1], {"use_bias": branch_bias, "kernel_initializer": NORMAL}
    branches = [
        permuted_dense(x, (0, 3, 2, 1, 4), **arguments, name=f"{name}_rows"),
        permuted_dense(x, (0, 1, 3, 2, 4), **arguments, name=f"{name}_columns"),
        dense(x, channels, **arguments, name=f"{name}_channel"),
    ]
    y = softmax_fusion(branches, channels // 4, kernel_initializer=NORMAL, name=f"{name}_fusion")
    return dense(y, channels, kernel_initializer=NORMAL, name=f"{name}_projection")


def permuted_dense(x, axes, **arguments):
    """Exchange an axis of `[b, h, w, segment, s]` with the segments, Dense over the last two, exchange again."""
    _, height, width, channels = x.shape
    y = ops.reshape(x, (-1, height, width, height, channels // height))  # as many segments as rows
    y = ops.reshape(ops.transpose(y, axes), (-1, height, width, channels))
    y = dense(y, channels, **arguments)
    y = ops.transpose(ops.reshape(y, (-1, height, width, height, channels // height)), axes)
    return ops.reshape(y, (-1, height, width, channels))


VARIANTS: dict[str, dict] = {
    "vip_s14": {
        "patch_size": 14,
        "stage_depths": (4, 3, 8, 3),
        "stage_widths": (384, 384, 384, 384),
        "segments": (16, 16, 16, 16),
        "mlp_ratios": (3, 3, 3, 3),
    },
    "vip_s7": {
        "patch_size": 7,
        "stage_depths": (4, 3, 8, 3),
        "stage_widths": (192, 384, 384, 384),
        "segments": (32, 16, 16, 16),
        "mlp_ratios": (3, 3, 3, 3),
    },
    "vip_m7": {
        "patch_size": 7,
        "stage_depths": (4, 3, 14, 3),
        "stage_widths": (256, 256, 512, 512),
        "segments": (32, 32, 16, 16),
        "mlp_ratios": (3, 3, 3, 3),
    },
    "vip_l7": {
        "patch_size": 7,
        "stage_depths": (8, 8, 16, 4),
        "stage_widths": (256, 512, 512, 512),
        "segments": (32, 16, 16, 16),
        "mlp_ratios": (3, 3, 3, 3),
    },
}
