"""Deep Residual Learning for Image Recognition. He et al. 2015, arXiv 1512.03385, in its form v1.5.

Reference code: torchvision and timm (`resnet.py`); the stride of a bottleneck stands in its 3x3 convolution (v1.5), not
in the first 1x1 (v1, `keras.applications`).

The idea: let a block compute only what has to be *added* to its input. The identity is then free, and a network of
fifty or a hundred and fifty layers trains like one of ten.
"""

import keras
from keras import layers, ops

from mixer_tf.keras_fixes import Model
from mixer_tf.layers.activations import Activation
from mixer_tf.layers.drop_path import drop_path, drop_path_rates
from mixer_tf.layers.norms import BatchNormalization


def resnet(
    image_shape: tuple[int, int, int],
    *,
    stage_depths: tuple[int, ...],
    block: str = "bottleneck",
    stage_widths: tuple[int, ...] = (64, 128, 256, 512),
    stem_dim: int = 64,
    expansion: int = 4,
    activation: str = "relu",
    norm_epsilon: float = 1e-5,
    norm_momentum: float = 0.9,
    zero_init_residual: bool = True,
    drop_path_rate: float = 0.0,
    name: str = "resnet",
) -> keras.Model:
    """ResNet v1.5 as a backbone: `[b, H, W, 3] -> [b, H / 32, W / 32, c]` (sides rounded up), with four stages.

    The last layer of stage `i` is called `P{i + 1}`: `P2` has stride 4, `P5` stride 32.

    Args:
        image_shape: (height, width, channels) in pixels, any size.
        stage_depths: number of blocks in each stage.
        block: `"basic"` (two 3x3 convolutions) or `"bottleneck"` (1x1, 3x3, 1x1).
        stage_widths: channels of the 3x3 convolutions in each stage, as many as stages.
        stem_dim: channels of the first convolution.
        expansion: a bottleneck gives out this many times its width; a basic block always once.
        activation: `"relu"`, or `"gelu"`, `"gelu_tanh"`, `"silu"`.
        norm_epsilon: added to the variance by every BatchNormalization.
        norm_momentum: weight of the old moving statistics (Keras's meaning; PyTorch's momentum is 1 minus this).
        zero_init_residual: start the last scale of every branch at 0, so that each block starts as the identity (timm).
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        name: name of the model.

    Raises:
        ValueError: when `block` is unknown or `stage_widths` and `stage_depths` differ in length.

    Example:
        >>> backbone = resnet((64, 96, 3), stage_depths=(1, 2), block="basic", stage_widths=(8, 12), stem_dim=6)
        >>> backbone.output.shape
        (None, 8, 12, 12)
    """
    if block not in BLOCKS:
        raise ValueError(f"block must be one of {', '.join(BLOCKS)}; given: {block!r}")
    if len(stage_widths) != len(stage_depths):
        raise ValueError(
            f"stage_widths must name one width per stage; given: {len(stage_widths)} widths, {len(stage_depths)} stages"
        )
    norm = {"epsilon": norm_epsilon, "momentum": norm_momentum}
    image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    x = conv_norm(image, stem_dim, 7, stride=2, norm=norm, activation=activation, name="stem")
    x = max_pool(x, name="stem_pool")
    rates = iter(drop_path_rates(drop_path_rate, sum(stage_depths)))
    for i, (depth, width) in enumerate(zip(stage_depths, stage_widths, strict=True), start=1):
        for j in range(1, depth + 1):
            x = residual_block(
                x,
                block=block,
                width=width,
                expansion=expansion if block == "bottleneck" else 1,
                stride=2 if i > 1 and j == 1 else 1,
                activation=activation,
                norm=norm,
                zero_init_residual=zero_init_residual,
                drop_path_rate=next(rates),
                name=f"stage{i}_block{j}",
                output_name=f"P{i + 1}" if j == depth else f"stage{i}_block{j}_activation",
            )
    return Model(image, x, name=name)


def residual_block(
    x,
    *,
    block,
    width,
    expansion,
    stride,
    activation,
    norm,
    zero_init_residual,
    drop_path_rate,
    name,
    output_name,
    dilation=1,
):
    """Branch, shortcut, sum, activation: `[b, h, w, c] -> [b, h / stride, w / stride, width * expansion]`."""
    channels = width * expansion
    y = BLOCKS[block](
        x,
        width,
        channels,
        stride=stride,
        dilation=dilation,
        activation=activation,
        norm=norm,
        last_gamma="zeros" if zero_init_residual else "ones",
        name=name,
    )
    y = drop_path(y, drop_path_rate, name=f"{name}_drop_path")
    if stride != 1 or x.shape[-1] != channels:
        x = conv_norm(x, channels, 1, stride=stride, norm=norm, name=f"{name}_shortcut")
    x = layers.Add(name=f"{name}_add")([x, y])
    return Activation(activation, name=output_name)(x)


def basic(x, width, channels, *, stride, dilation, activation, norm, last_gamma, name):
    """The branch of ResNet-18 and 34: 3x3, 3x3."""
    y = conv_norm(x, width, 3, stride=stride, dilation=dilation, norm=norm, activation=activation, name=f"{name}_conv1")
    return conv_norm(y, channels, 3, dilation=dilation, norm=norm, gamma_initializer=last_gamma, name=f"{name}_conv2")


def bottleneck(x, width, channels, *, stride, dilation, activation, norm, last_gamma, name):
    """The branch of ResNet-50 and deeper: 1x1, 3x3 with the stride (v1.5), 1x1."""
    y = conv_norm(x, width, 1, norm=norm, activation=activation, name=f"{name}_conv1")
    y = conv_norm(y, width, 3, stride=stride, dilation=dilation, norm=norm, activation=activation, name=f"{name}_conv2")
    return conv_norm(y, channels, 1, norm=norm, gamma_initializer=last_gamma, name=f"{name}_conv3")


BLOCKS = {"basic": basic, "bottleneck": bottleneck}


def max_pool(x, *, name):
    """The largest of 3x3 pixels with stride 2: `[b, h, w, c] -> [b, h / 2, w / 2, c]`, padded on every side."""
    x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=float("-inf"))
    return layers.MaxPooling2D(3, strides=2, name=name)(x)


def conv_norm(x, channels, kernel_size, *, norm, name, stride=1, dilation=1, activation=None, gamma_initializer="ones"):
    """Convolution without bias, BatchNormalization, activation; padded by half a kernel on every side."""
    if kernel_size > 1:  # Keras's "same" pads an even input with stride 2 on one side only, PyTorch on both
        x = layers.ZeroPadding2D(dilation * (kernel_size // 2), name=f"{name}_padding")(x)
    kaiming = keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")
    x = layers.Conv2D(
        channels,
        kernel_size,
        strides=stride,
        dilation_rate=dilation,
        use_bias=False,
        kernel_initializer=kaiming,
        name=name,
    )(x)
    x = BatchNormalization(**norm, gamma_initializer=gamma_initializer, name=f"{name}_norm")(x)
    return Activation(activation, name=f"{name}_activation")(x) if activation else x


VARIANTS: dict[str, dict] = {
    "resnet18": {"block": "basic", "stage_depths": (2, 2, 2, 2)},
    "resnet34": {"block": "basic", "stage_depths": (3, 4, 6, 3)},
    "resnet50": {"block": "bottleneck", "stage_depths": (3, 4, 6, 3)},
    "resnet101": {"block": "bottleneck", "stage_depths": (3, 4, 23, 3)},
    "resnet152": {"block": "bottleneck", "stage_depths": (3, 8, 36, 3)},
}
