"""CycleMLP: A MLP-like Architecture for Dense Prediction. Chen et al. 2021, arXiv 2107.10224.

Reference code: ShoufaChen/CycleMLP (`cycle_mlp.py`).

The idea: a Dense layer over the channels becomes spatial for free when its input channels look at different pixels: the
first at the pixel itself, the next to the right, the next to the left, and so on in a cycle. Its cost stays that of a
1x1 convolution and its weights fit any image size, so it serves detection and segmentation, where the Mixer cannot.

A kernel (1, 3) steps along the columns and (3, 1) along the rows; the reference calls these branches h and w.
"""

import keras
from keras import layers

from mixer_tf.checks import require, require_per_stage
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.cycle import CycleFC
from mixer_tf.layers.drop_path import drop_path, drop_path_rates
from mixer_tf.layers.fusion import softmax_fusion
from mixer_tf.layers.initializers import NORMAL, TORCH_UNIFORM
from mixer_tf.layers.mlp import dense, mlp
from mixer_tf.layers.norms import LayerNormalization
from mixer_tf.layers.patches import overlapping_patch_embedding, pyramid_output


def cycle_mlp(
    image_shape: tuple[int, int, int],
    *,
    stage_depths: tuple[int, ...],
    stage_widths: tuple[int, ...],
    mlp_ratios: tuple[float, ...],
    patch_size: int = 7,
    patch_stride: int = 4,
    patch_padding: int | None = None,
    cycle_kernels: tuple[tuple[int, int], tuple[int, int]] = ((1, 3), (3, 1)),
    channel_bias: bool = False,
    activation: str = "gelu",
    norm_epsilon: float = 1e-5,
    drop_path_rate: float = 0.0,
    name: str = "cycle_mlp",
) -> keras.Model:
    """CycleMLP as a backbone: `[b, H, W, 3] -> [b, H / 32, W / 32, c]` with four stages, rounded.

    The last layer of stage `i` is called `P{i + 1}`: `P2` has stride 4, `P5` stride 32.

    Args:
        image_shape: (height, width, channels) in pixels, any size.
        stage_depths: number of blocks in each stage.
        stage_widths: channels of each stage.
        mlp_ratios: hidden width of the channel MLP in each stage, as a multiple of the stage's channels.
        patch_size: side in pixels of the patches, which overlap: at least `patch_stride`.
        patch_stride: pixels from one patch to the next.
        patch_padding: zeros around the picture; None for `(patch_size - patch_stride + 1) // 2`, as in the paper.
        cycle_kernels: (rows, columns) of the two Cycle FC; one number of each pair is 1.
        channel_bias: give the branch that sees the pixel alone a bias.
        activation: of the channel MLP: `"gelu"` (erf), `"gelu_tanh"`, `"relu"` or `"silu"`.
        norm_epsilon: added to the variance by every LayerNormalization.
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        name: name of the model.

    Raises:
        ValueError: when a tuple does not have one value per stage, a cycle kernel has two sides above 1, or the
            activation is unknown.

    Example:
        >>> backbone = cycle_mlp((64, 96, 3), stage_depths=(1, 2), stage_widths=(8, 12), mlp_ratios=(4, 2))
        >>> backbone.output.shape
        (None, 8, 12, 12)
    """
    require_per_stage(len(stage_depths), stage_widths=stage_widths, mlp_ratios=mlp_ratios)
    require(
        all(min(kernel) == 1 for kernel in cycle_kernels),
        f"cycle_kernels must be (rows, columns) with a 1 in each pair; given: {cycle_kernels}",
    )
    image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    x, rates = image, iter(drop_path_rates(drop_path_rate, sum(stage_depths)))
    for i, (depth, width, ratio) in enumerate(zip(stage_depths, stage_widths, mlp_ratios, strict=True), start=1):
        size, stride, padding = (3, 2, 1) if i > 1 else (patch_size, patch_stride, patch_padding)
        embedding = f"stage{i}_downsample" if i > 1 else "stem_patch_embedding"
        x = overlapping_patch_embedding(
            x, width, size, stride=stride, padding=padding, kernel_initializer=TORCH_UNIFORM, name=embedding
        )
        for j in range(1, depth + 1):
            x = cycle_block(
                x,
                kernels=cycle_kernels,
                channel_bias=channel_bias,
                mlp_ratio=ratio,
                activation=activation,
                norm_epsilon=norm_epsilon,
                drop_path_rate=next(rates),
                name=f"stage{i}_block{j}",
            )
        x = pyramid_output(x, patch_stride * 2 ** (i - 1))
    x = LayerNormalization(epsilon=norm_epsilon, name="norm")(x)
    return Model(image, x, name=name)


def cycle_block(x, *, kernels, channel_bias, mlp_ratio, activation, norm_epsilon, drop_path_rate, name):
    """Mix neighbours, then channels, each with its own norm and residual: `[b, h, w, c] -> [b, h, w, c]`."""
    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm1")(x)
    y = cycle_mixing(y, kernels, channel_bias, name=name)
    y = drop_path(y, drop_path_rate, name=f"{name}_mixing_drop_path")
    x = layers.Add(name=f"{name}_mixing_add")([x, y])

    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm2")(x)
    hidden_dim = int(x.shape[-1] * mlp_ratio)
    y = mlp(y, hidden_dim, activation=activation, kernel_initializer=NORMAL, name=f"{name}_mlp")
    y = drop_path(y, drop_path_rate, name=f"{name}_mlp_drop_path")
    return layers.Add(name=f"{name}_mlp_add")([x, y])


def cycle_mixing(x, kernels, channel_bias, *, name):
    """Two Cycle FC and a plain Dense, weighed against each other and projected: `[b, h, w, c] -> [b, h, w, c]`."""
    channels = x.shape[-1]
    branches = [
        *(
            CycleFC(channels, kernel, kernel_initializer=NORMAL, name=f"{name}_cycle{n}")(x)
            for n, kernel in enumerate(kernels, start=1)
        ),
        dense(x, channels, use_bias=channel_bias, kernel_initializer=NORMAL, name=f"{name}_channel"),
    ]
    y = softmax_fusion(branches, channels // 4, kernel_initializer=NORMAL, name=f"{name}_fusion")
    return dense(y, channels, kernel_initializer=NORMAL, name=f"{name}_projection")


_WIDTHS = (64, 128, 320, 512)

VARIANTS: dict[str, dict] = {  # the paper's T, S and B have another layout, which the reference code cannot build
    "cycle_mlp_b1": {"stage_depths": (2, 2, 4, 2), "stage_widths": _WIDTHS, "mlp_ratios": (4, 4, 4, 4)},
    "cycle_mlp_b2": {"stage_depths": (2, 3, 10, 3), "stage_widths": _WIDTHS, "mlp_ratios": (4, 4, 4, 4)},
    "cycle_mlp_b3": {"stage_depths": (3, 4, 18, 3), "stage_widths": _WIDTHS, "mlp_ratios": (8, 8, 4, 4)},
    "cycle_mlp_b4": {"stage_depths": (3, 8, 27, 3), "stage_widths": _WIDTHS, "mlp_ratios": (8, 8, 4, 4)},
    "cycle_mlp_b5": {"stage_depths": (3, 4, 24, 3), "stage_widths": (96, 192, 384, 768), "mlp_ratios": (4, 4, 4, 4)},
}
