"""An Image Patch is a Wave: Phase-Aware Vision MLP. Tang et al. 2021, arXiv 2111.12294.

Reference code: ggjy/Hire-Wave-MLP.pytorch (`wave_mlp.py`), the same as in huawei-noah/Efficient-AI-Backbones.

The idea: with fixed mixing weights, what a token adds to its neighbours depends on its position alone. Give each token
a phase besides its amplitude, both computed from its content, and let the tokens of a window add up as waves do: in
phase they amplify each other, out of phase they cancel.

The mixing convolution has a group of two channels for each output. Keras cannot train grouped convolutions on a CPU
without XLA, so it is a depthwise one here whose outputs are added in pairs.
"""

import keras
from keras import layers, ops

from mixer_tf.checks import require, require_per_stage
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.drop_path import drop_path, drop_path_rates
from mixer_tf.layers.fusion import softmax_fusion
from mixer_tf.layers.initializers import TORCH_UNIFORM, torch_uniform
from mixer_tf.layers.mlp import dense, mlp
from mixer_tf.layers.norms import BatchNormalization, group_norm
from mixer_tf.layers.patches import overlapping_patch_embedding, pyramid_output

NORMS = ("batch", "group")
PHASES = ("dense", "depthwise")


def wave_mlp(
    image_shape: tuple[int, int, int],
    *,
    stage_depths: tuple[int, ...],
    stage_widths: tuple[int, ...],
    mlp_ratios: tuple[float, ...],
    norm: str = "batch",
    embedding_norm: bool = True,
    phase: str = "dense",
    window_size: int = 7,
    token_bias: bool = False,
    patch_size: int = 7,
    patch_stride: int = 4,
    patch_padding: int | None = None,
    activation: str = "gelu",
    norm_epsilon: float = 1e-5,
    norm_momentum: float = 0.9,
    drop_path_rate: float = 0.0,
    name: str = "wave_mlp",
) -> keras.Model:
    """Wave-MLP as a backbone: `[b, H, W, 3] -> [b, H / 32, W / 32, c]` with four stages, rounded.

    The last layer of stage `i` is called `P{i + 1}`: `P2` has stride 4, `P5` stride 32.

    Args:
        image_shape: (height, width, channels) in pixels, any size.
        stage_depths: number of blocks in each stage.
        stage_widths: channels of each stage.
        mlp_ratios: hidden width of the channel MLP in each stage, as a multiple of the stage's channels.
        norm: `"batch"` (BatchNormalization) or `"group"` (GroupNorm with one group); the phases always have batch.
        embedding_norm: normalise after the patch embedding and after every downsampling too.
        phase: what computes the phases: `"dense"`, or `"depthwise"` (3x3, the paper's T*).
        window_size: tokens of a row or column that are mixed, an odd number.
        token_bias: give the Dense layers of the amplitudes and of the branch that sees the pixel alone a bias.
        patch_size: side in pixels of the patches, which overlap: at least `patch_stride`.
        patch_stride: pixels from one patch to the next.
        patch_padding: zeros around the picture; None for `(patch_size - patch_stride + 1) // 2`, as in the paper.
        activation: of the channel MLP: `"gelu"` (erf), `"gelu_tanh"`, `"relu"` or `"silu"`.
        norm_epsilon: added to the variance by every norm.
        norm_momentum: weight of the old moving statistics (Keras's meaning; PyTorch's momentum is 1 minus this).
        drop_path_rate: stochastic depth of the last block; it rises linearly from 0 at the first.
        name: name of the model.

    Raises:
        ValueError: when a tuple does not have one value per stage, `norm`, `phase` or the activation is unknown, or the
            window is even.

    Example:
        >>> backbone = wave_mlp((64, 96, 3), stage_depths=(1, 2), stage_widths=(8, 12), mlp_ratios=(4, 2))
        >>> backbone.output.shape
        (None, 8, 12, 12)
    """
    require_per_stage(len(stage_depths), stage_widths=stage_widths, mlp_ratios=mlp_ratios)
    require(norm in NORMS, f"norm must be one of {', '.join(NORMS)}; given: {norm!r}")
    require(phase in PHASES, f"phase must be one of {', '.join(PHASES)}; given: {phase!r}")
    require(window_size % 2, f"window_size must be odd; given: {window_size}")
    norms = {"kind": norm, "epsilon": norm_epsilon, "momentum": norm_momentum}
    image = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    x, rates = image, iter(drop_path_rates(drop_path_rate, sum(stage_depths)))
    for i, (depth, width, ratio) in enumerate(zip(stage_depths, stage_widths, mlp_ratios, strict=True), start=1):
        size, stride, padding = (3, 2, 1) if i > 1 else (patch_size, patch_stride, patch_padding)
        embedding, embedding_name = (f"stage{i}_downsample",) * 2 if i > 1 else ("stem_patch_embedding", "stem")
        x = overlapping_patch_embedding(
            x, width, size, stride=stride, padding=padding, kernel_initializer=TORCH_UNIFORM, name=embedding
        )
        x = norm_layer(x, **norms, name=f"{embedding_name}_norm") if embedding_norm else x
        for j in range(1, depth + 1):
            x = wave_block(
                x,
                phase=phase,
                window_size=window_size,
                token_bias=token_bias,
                mlp_ratio=ratio,
                activation=activation,
                norms=norms,
                drop_path_rate=next(rates),
                name=f"stage{i}_block{j}",
            )
        x = pyramid_output(x, patch_stride * 2 ** (i - 1))
    x = norm_layer(x, **norms, name="norm")
    return Model(image, x, name=name)


def norm_layer(x, *, kind, epsilon, momentum, name):
    """The norm of that kind."""
    if kind == "group":
        return group_norm(x, epsilon=epsilon, name=name)
    return BatchNormalization(epsilon=epsilon, momentum=momentum, name=name)(x)


def wave_block(x, *, phase, window_size, token_bias, mlp_ratio, activation, norms, drop_path_rate, name):
    """Mix neighbours as waves, then channels, each with its own norm and residual: `[b, h, w, c] -> [b, h, w, c]`."""
    y = norm_layer(x, **norms, name=f"{name}_norm1")
    y = phase_aware_mixing(y, phase, window_size, token_bias, norms, name=name)
    y = drop_path(y, drop_path_rate, name=f"{name}_mixing_drop_path")
    x = layers.Add(name=f"{name}_mixing_add")([x, y])

    y = norm_layer(x, **norms, name=f"{name}_norm2")
    hidden_dim = int(x.shape[-1] * mlp_ratio)
    y = mlp(y, hidden_dim, activation=activation, kernel_initializer=TORCH_UNIFORM, name=f"{name}_mlp")
    y = drop_path(y, drop_path_rate, name=f"{name}_mlp_drop_path")
    return layers.Add(name=f"{name}_mlp_add")([x, y])


def phase_aware_mixing(x, phase, window_size, token_bias, norms, *, name):
    """Waves along the row, waves along the column and the pixel alone, fused: `[b, h, w, c] -> [b, h, w, c]`."""
    channels = x.shape[-1]
    bias = {"use_bias": token_bias, "kernel_initializer": TORCH_UNIFORM}
    branches = []
    for direction, window in (("columns", (1, window_size)), ("rows", (window_size, 1))):
        amplitude = dense(x, channels, **bias, name=f"{name}_{direction}_amplitude")
        theta = phases(x, phase, norms, name=f"{name}_{direction}_phase")
        branches.append(add_waves(amplitude, theta, window, name=f"{name}_{direction}_mixing"))
    branches.append(dense(x, channels, **bias, name=f"{name}_channel"))
    y = softmax_fusion(branches, channels // 4, kernel_initializer=TORCH_UNIFORM, name=f"{name}_fusion")
    return dense(y, channels, kernel_initializer=TORCH_UNIFORM, name=f"{name}_projection")


def phases(x, kind, norms, *, name):
    """The phase of every channel of every token, at least 0: `[b, h, w, c] -> [b, h, w, c]`."""
    if kind == "dense":
        y = dense(x, x.shape[-1], kernel_initializer=TORCH_UNIFORM, name=name)
    else:
        initial = torch_uniform(fan_in=9)
        y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, depthwise_initializer=initial, name=name)(x)
    return ops.relu(norm_layer(y, **{**norms, "kind": "batch"}, name=f"{name}_norm"))


def add_waves(amplitude, theta, window, *, name):
    """Mix the real and imaginary parts of the tokens in a window: `[b, h, w, c] -> [b, h, w, c]`.

    Of the 2 c channels, the real parts before the imaginary ones, output i sees 2 i and 2 i + 1, as in the reference:
    the first half of the outputs sees two real parts each, the second half two imaginary ones.
    """
    theta = ops.cast(theta, "float32")  # bfloat16 has too few digits for angles
    parts = [amplitude * ops.cast(wave(theta), amplitude.dtype) for wave in (ops.cos, ops.sin)]
    y = layers.DepthwiseConv2D(
        window,
        padding="same",
        use_bias=False,
        depthwise_initializer=torch_uniform(fan_in=2 * window[0] * window[1]),
        name=name,
    )(ops.concatenate(parts, axis=-1))
    first, second = ops.unstack(ops.reshape(y, (-1, *amplitude.shape[1:], 2)), axis=-1)
    return first + second


_SMALL = {"stage_widths": (64, 128, 320, 512), "mlp_ratios": (4, 4, 4, 4)}
_GROUP = {"norm": "group"}

VARIANTS: dict[str, dict] = {  # the paper's T* is T with depthwise phases
    "wave_mlp_t_dw": {"stage_depths": (2, 2, 4, 2), **_SMALL, "phase": "depthwise"},
    "wave_mlp_t": {"stage_depths": (2, 2, 4, 2), **_SMALL},
    "wave_mlp_s": {"stage_depths": (2, 3, 10, 3), **_SMALL, **_GROUP},
    "wave_mlp_m": {
        "stage_depths": (3, 4, 18, 3),
        "stage_widths": (64, 128, 320, 512),
        "mlp_ratios": (8, 8, 4, 4),
        **_GROUP,
        "embedding_norm": False,
    },
    "wave_mlp_b": {
        "stage_depths": (2, 2, 18, 2),
        "stage_widths": (96, 192, 384, 768),
        "mlp_ratios": (4, 4, 4, 4),
        **_GROUP,
        "embedding_norm": False,
    },
}
