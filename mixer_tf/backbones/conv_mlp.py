"""ConvMLP: Hierarchical Convolutional MLPs for Vision. Li et al. 2021, arXiv 2109.04454.

Reference code: SHI-Labs/Convolutional-MLPs (`src/convmlp.py`).

The idea: start as a small convolutional network and go on as an MLP over the channels; between the two MLPs of a block
one depthwise 3x3 convolution, without a residual, is all that lets pixels talk to each other. Nothing in it depends on
the image size, so it serves detection and segmentation.
"""

import math

import keras
from keras import layers

from mixer_tf.checks import require_per_stage
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.drop_path import drop_path, drop_path_rates
from mixer_tf.layers.initializers import NORMAL
from mixer_tf.layers.mlp import dense, mlp
from mixer_tf.layers.norms import BatchNormalization, LayerNormalization
from mixer_tf.layers.patches import overlapping_patch_embedding, pyramid_output


def conv_mlp(
    image_shape: tuple[int, int, int],
    *,
    conv_depth: int,
    stage_depths: tuple[int, ...],
    stage_widths: tuple[int, ...],
    mlp_ratios: tuple[float, ...],
    stem_dim: int = 64,
    activation: str = "gelu",
    norm_epsilon: float = 1e-5,
    norm_momentum: float = 0.9,
    drop_path_rate: float = 0.0,
    name: str = "conv_mlp",
) -> keras.Model:
    """ConvMLP as a backbone: `[b, H, W, 3] -> [b, H / 32, W / 32, c]` (sides rounded up), with three MLP stages.

    Stage 1 is the convolutional one and ends in the layer `P2` (stride 4); the MLP stages follow as stages 2, 3, ...
    and end in `P3`, `P4`, ... The output is normalised once more.

    Args:
        image_shape: (height, width, channels) in pixels, any size.
        conv_depth: number of bottleneck blocks in the convolutional stage.
        stage_depths: number of blocks in each MLP stage.
        stage_widths: channels of each MLP stage; the first is also the width inside the bottlenecks.
        mlp_ratios: hidden width of the MLPs in each MLP stage, as a multiple of the stage's channels.
        stem_dim: channels of the convolutional stage; the first two convolutions have half of them.
        activation: of the MLPs: `"gelu"` (erf), `"gelu_tanh"`, `"relu"` or `"silu"`. Convolutions have ReLU.
        norm_epsilon: added to the variance by every norm.
        norm_momentum: weight of BatchNormalization's old moving statistics (PyTorch's momentum is 1 minus this).
        drop_path_rate: stochastic depth of the last block of *each* MLP stage; it rises linearly from 0 at its first.
        name: name of the model.

    Raises:
        ValueError: when a tuple does not have one value per stage or the activation is unknown.

    Example:
        >>> backbone = conv_mlp((64, 96, 3), conv_depth=1, stage_depths=(1, 2), stage_widths=(8, 12), mlp_ratios=(2, 2),
        ...                     stem_dim=6)
        >>> backbone.output.shape
        (None, 4, 6, 12)
    """
    require_per_stage(len(stage_depths), stage_widths=stage_widths, mlp_ratios=mlp_ratios)
    norm = {"epsilon": norm_epsilon, "momentum": norm_momentum}
    image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    x = conv_tokenizer(image, stem_dim, norm=norm)
    for j in range(1, conv_depth + 1):
        x = conv_block(x, stage_widths[0], norm=norm, name=f"stage1_block{j}")
    x = pyramid_output(x, 4)
    for i, (depth, width, ratio) in enumerate(zip(stage_depths, stage_widths, mlp_ratios, strict=True), start=2):
        x = overlapping_patch_embedding(
            x, width, 3, stride=2, padding=1, kernel_initializer=_kaiming(9 * width), name=f"stage{i}_downsample"
        )
        for j, rate in enumerate(drop_path_rates(drop_path_rate, depth), start=1):
            x = mlp_block(
                x,
                mlp_ratio=ratio,
                activation=activation,
                norm_epsilon=norm_epsilon,
                drop_path_rate=rate,
                name=f"stage{i}_block{j}",
            )
        x = pyramid_output(x, 2 ** (i + 1))
    x = LayerNormalization(epsilon=norm_epsilon, name="norm")(x)
    return Model(image, x, name=name)


def conv_tokenizer(image, width, *, norm):
    """Three 3x3 convolutions, the first with stride 2, and a max pool: `[b, H, W, 3] -> [b, H / 4, W / 4, width]`."""
    x = image
    for n, (channels, stride) in enumerate(((width // 2, 2), (width // 2, 1), (width, 1)), start=1):
        x = conv_norm(x, channels, 3, stride=stride, norm=norm, name=f"stem_conv{n}")
    x = layers.ZeroPadding2D(1, name="stem_pool_padding")(x)  # after a ReLU, zeros never win
    return layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)


def conv_block(x, hidden_dim, *, norm, name):
    """A bottleneck, 1x1, 3x3, 1x1, whose ReLU stands before the sum: `[b, h, w, c] -> [b, h, w, c]`."""
    y = conv_norm(x, hidden_dim, 1, norm=norm, name=f"{name}_conv1")
    y = conv_norm(y, hidden_dim, 3, norm=norm, name=f"{name}_conv2")
    y = conv_norm(y, x.shape[-1], 1, norm=norm, name=f"{name}_conv3")
    return layers.Add(name=f"{name}_add")([x, y])


def mlp_block(x, *, mlp_ratio, activation, norm_epsilon, drop_path_rate, name):
    """A channel MLP, a depthwise convolution in place of `x`, and a second MLP: `[b, h, w, c] -> [b, h, w, c]`."""
    channels = x.shape[-1]

    def norm(x, suffix):
        return LayerNormalization(epsilon=norm_epsilon, name=f"{name}_{suffix}")(x)

    def add_mlp(x, n):
        y = norm(x, f"norm{n}")
        y = mlp(y, int(channels * mlp_ratio), activation=activation, kernel_initializer=NORMAL, name=f"{name}_mlp{n}")
        y = drop_path(y, drop_path_rate, name=f"{name}_mlp{n}_drop_path")
        return layers.Add(name=f"{name}_mlp{n}_add")([x, y])

    x = add_mlp(x, 1)
    x = layers.DepthwiseConv2D(
        3,
        padding="same",
        use_bias=False,
        depthwise_initializer=_kaiming(9 * channels),
        name=f"{name}_connect",
    )(norm(x, "connect_norm"))
    return add_mlp(x, 2)


def conv_norm(x, channels, kernel_size, *, norm, name, stride=1):
    """Convolution without bias, BatchNormalization, ReLU; padded by half a kernel on every side."""
    start = {"use_bias": False, "kernel_initializer": _kaiming(kernel_size**2 * channels)}
    if kernel_size == 1:
        x = dense(x, channels, name=name, **start)
    elif stride == 1:
        x = layers.Conv2D(channels, kernel_size, padding="same", name=name, **start)(x)
    else:
        x = overlapping_patch_embedding(
            x, channels, kernel_size, stride=stride, padding=kernel_size // 2, name=name, **start
        )
    x = BatchNormalization(**norm, name=f"{name}_norm")(x)
    return layers.Activation("relu", name=f"{name}_activation")(x)


def _kaiming(fan_out):
    """`kaiming_normal_(mode="fan_out")`, by PyTorch's count also for a depthwise kernel: taps times all channels."""
    return {"class_name": "RandomNormal", "config": {"stddev": math.sqrt(2 / fan_out)}}


def _variant(conv_depth, stem_dim, stage_depths, ratio):
    return {
        "conv_depth": conv_depth,
        "stem_dim": stem_dim,
        "stage_depths": stage_depths,
        "stage_widths": (2 * stem_dim, 4 * stem_dim, 8 * stem_dim),
        "mlp_ratios": (ratio, ratio, ratio),
    }


VARIANTS: dict[str, dict] = {
    "conv_mlp_s": _variant(2, 64, (2, 4, 2), 2),
    "conv_mlp_m": _variant(3, 64, (3, 6, 3), 3),
    "conv_mlp_l": _variant(3, 96, (4, 8, 3), 3),
}
