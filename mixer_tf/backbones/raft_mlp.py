"""RaftMLP: How Much Can Be Done Without Attention and with Less Spatial Locality?

Tatsunami and Taki 2021, arXiv 2108.04384. Reference code: okojoalg/raft-mlp (`libs/models.py`, `libs/modules.py`).

The idea: mix the tokens of each column, then of each row, instead of all at once, and put the channels of a pixel into
few groups (*rafts*) that travel together: channels `i`, `i + c / r`, `i + 2 c / r`, ... of a whole line are one vector.
This costs far fewer weights than a token MLP over all pixels. A patch embedding that sees several scales feeds it.

The multi-scale embedding runs as one convolution, which computes the same. Weights start as in PyTorch (uniform within
1 / sqrt(fan-in)), but biases at 0. A patch of 1 that changes the width is projected; the reference fails there.
"""

import math

import keras
from keras import layers, ops

from mixer_tf.checks import require, require_per_stage
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.drop_path import drop_path
from mixer_tf.layers.initializers import TORCH_UNIFORM
from mixer_tf.layers.mlp import mlp
from mixer_tf.layers.norms import LayerNormalization, RaftNormalization
from mixer_tf.layers.patches import MultiScalePatchEmbedding, patch_embedding, pyramid_output
from mixer_tf.layers.resize import resize_bicubic


def raft_mlp(
    image_shape: tuple[int, int, int],
    *,
    stage_depths: tuple[int, ...],
    stage_widths: tuple[int, ...],
    patch_sizes: tuple[int, ...] = (4, 2, 2, 2),
    raft_sizes: tuple[int, ...] = (2, 2, 2, 2),
    embedding_kernels: tuple[tuple[int, ...], ...] | None = ((4, 8), (2, 4), (2, 4), (2,)),
    token_mixing: str = "raft",
    tokens_mlp_ratio: int = 2,
    channels_mlp_ratio: int = 4,
    pretrained_image_size: int | None = None,
    activation: str = "gelu",
    norm_epsilon: float = 1e-5,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
    name: str = "raft_mlp",
) -> keras.Model:
    """RaftMLP as a backbone: `[b, H, W, 3] -> [b, H / 32, W / 32, c]` (sides rounded up), with the default patches.

    Stages end in the layers `P2` (stride 4) to `P5` (stride 32). `mixer_tf.classifier(..., pool="multi_level")` puts
    the reference's multi-level head on them, which its published configurations do not use.

    Args:
        image_shape: (height, width, channels) in pixels, any size: where a patch does not divide a side, the picture or
            the feature map is first resized up to the next multiple. Token-mixing weights belong to one grid.
        stage_depths: number of blocks in each stage.
        stage_widths: channels of each stage.
        patch_sizes: stride of the embedding in front of each stage; for one stage alone, an isotropic network.
        raft_sizes: r of each stage: how many channels of a pixel share a vector; it must divide the width.
        embedding_kernels: sides of the windows that each embedding sees, the first equal to the patch, the others
            multiples of it; None projects plain patches.
        token_mixing: `"raft"` or `"mixer"` (one MLP over all tokens: the paper's baseline; it has no rafts).
        tokens_mlp_ratio: hidden width of the token MLPs by their input.
        channels_mlp_ratio: hidden width of the channel MLPs by the stage's width.
        pretrained_image_size: side in pixels of the square image that the token-mixing weights are for. Where the grid
            is another one, every block resizes its map to the trained grid and back (bicubic), as the reference does.
            None makes the weights for `image_shape`.
        activation: `"gelu"` (erf), or `"gelu_tanh"`, `"relu"`, `"silu"`.
        norm_epsilon: added to the variance by every LayerNormalization.
        dropout: rate after both Dense layers of every MLP, 0 to 1.
        drop_path_rate: stochastic depth, the same in all blocks.
        name: name of the model.

    Raises:
        ValueError: when the tuples differ in length, a raft size does not divide its width, the kernels do not fit the
            patches, or `token_mixing` or the activation is unknown.

    Example:
        >>> backbone = raft_mlp((64, 96, 3), stage_depths=(1, 2), stage_widths=(8, 12), patch_sizes=(4, 2),
        ...                     raft_sizes=(2, 3), embedding_kernels=((4, 8), (2,)))
        >>> backbone.output.shape
        (None, 8, 12, 12)
    """
    _check_stages(len(stage_depths), stage_widths, patch_sizes, raft_sizes, embedding_kernels)
    require(token_mixing in BLOCKS, f"token_mixing must be one of {', '.join(BLOCKS)}; given: {token_mixing!r}")
    image = x = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    grid: tuple[int, ...] = 2 * (pretrained_image_size,) if pretrained_image_size else image_shape[:2]
    for i, (depth, width, patch_size, raft_size) in enumerate(
        zip(stage_depths, stage_widths, patch_sizes, raft_sizes, strict=True), start=1
    ):
        kernels = embedding_kernels[i - 1] if embedding_kernels else None
        x = stage_embedding(x, width, patch_size, kernels, name=f"stage{i}_downsample" if i > 1 else "stem")
        grid = tuple(math.ceil(side / patch_size) for side in grid)
        for j in range(1, depth + 1):
            x = BLOCKS[token_mixing](
                x,
                grid=grid,
                raft_size=raft_size,
                tokens_mlp_ratio=tokens_mlp_ratio,
                channels_mlp_ratio=channels_mlp_ratio,
                mlp_rules={"activation": activation, "dropout": dropout, "kernel_initializer": TORCH_UNIFORM},
                norm_epsilon=norm_epsilon,
                drop_path_rate=drop_path_rate,
                name=f"stage{i}_block{j}",
            )
        if patch_sizes[i : i + 1] == (1,):  # the next stage has the same stride, and its end is the pyramid's level
            x = layers.Identity(name=f"stage{i}")(x)
        else:
            x = pyramid_output(x, math.prod(patch_sizes[:i]))
    x = LayerNormalization(epsilon=norm_epsilon, name="norm")(x)
    return Model(image, x, name=name)


def stage_embedding(x, width, patch_size, kernels, *, name):
    """Project patches, with their surroundings where kernels are given: `[b, h, w, c] -> [b, h / p, w / p, width]`."""
    sides = tuple(math.ceil(side / patch_size) * patch_size for side in x.shape[1:3])
    x = resize_bicubic(x, sides, name=f"{name}_resize")
    if kernels:
        return MultiScalePatchEmbedding(
            width, kernels, kernel_initializer=TORCH_UNIFORM, name=f"{name}_multi_scale_embedding"
        )(x)
    return patch_embedding(x, width, patch_size, kernel_initializer=TORCH_UNIFORM, name=f"{name}_patch_embedding")


def raft_block(
    x,
    *,
    grid,
    raft_size,
    tokens_mlp_ratio,
    channels_mlp_ratio,
    mlp_rules,
    norm_epsilon,
    drop_path_rate,
    name,
):
    """Mix the rafts of each column, of each row, then the channels of each pixel: `[b, h, w, c] -> [b, h, w, c]`.

    Off the trained grid, both token mixings and their residuals run on a map that is resized to it and back.
    """
    sides, channels = x.shape[1:3], x.shape[-1]
    x = resize_bicubic(x, grid, name=f"{name}_shrink")
    for direction in ("vertical", "horizontal"):
        y = RaftNormalization(raft_size, epsilon=norm_epsilon, name=f"{name}_{direction}_norm")(x)
        y = to_rafts(y, raft_size, direction)  # [b, lines, c / r, r * length]
        y = mlp(y, y.shape[-1] * tokens_mlp_ratio, **mlp_rules, name=f"{name}_{direction}")
        y = from_rafts(y, raft_size, direction)  # [b, h, w, c]
        x = add(x, y, drop_path_rate, name=f"{name}_{direction}")
    x = resize_bicubic(x, sides, name=f"{name}_expand")

    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_channel_norm")(x)
    y = mlp(y, channels * channels_mlp_ratio, **mlp_rules, name=f"{name}_channel")
    return add(x, y, drop_path_rate, name=f"{name}_channel")


def mixer_block(
    x,
    *,
    grid,
    raft_size,
    tokens_mlp_ratio,
    channels_mlp_ratio,
    mlp_rules,
    norm_epsilon,
    drop_path_rate,
    name,
):
    """The paper's baseline, an MLP over all tokens instead of the rafts: `[b, h, w, c] -> [b, h, w, c]`."""
    sides, channels = x.shape[1:3], x.shape[-1]
    x = resize_bicubic(x, grid, name=f"{name}_shrink")
    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_token_mixing_norm")(x)
    y = layers.Permute((2, 1), name=f"{name}_to_channels_first")(ops.reshape(y, (-1, math.prod(grid), channels)))
    y = mlp(y, math.prod(grid) * tokens_mlp_ratio, **mlp_rules, name=f"{name}_token_mixing")
    y = layers.Permute((2, 1), name=f"{name}_to_channels_last")(y)  # [b, s, c]
    x = add(x, ops.reshape(y, (-1, *grid, channels)), drop_path_rate, name=f"{name}_token_mixing")
    x = resize_bicubic(x, sides, name=f"{name}_expand")

    y = LayerNormalization(epsilon=norm_epsilon, name=f"{name}_channel_mixing_norm")(x)
    y = mlp(y, channels * channels_mlp_ratio, **mlp_rules, name=f"{name}_channel_mixing")
    return add(x, y, drop_path_rate, name=f"{name}_channel_mixing")


BLOCKS = {"raft": raft_block, "mixer": mixer_block}


def add(x, y, drop_path_rate, *, name):
    """Drop the branch or add it to the trunk."""
    return layers.Add(name=f"{name}_add")([x, drop_path(y, drop_path_rate, name=f"{name}_drop_path")])


def to_rafts(x, raft_size: int, direction: str):
    """Gather `[b, h, w, c]` into one vector per line and group of channels: `-> [b, lines, c / r, r * length]`.

    Channel `raft * (c / r) + group` of the pixels of a column (`"vertical"`) or row (`"horizontal"`), raft slow.
    """
    _, h, w, c = x.shape
    x = ops.reshape(x, (-1, h, w, raft_size, c // raft_size))
    if direction == "vertical":
        return ops.reshape(ops.transpose(x, (0, 2, 4, 3, 1)), (-1, w, c // raft_size, raft_size * h))
    return ops.reshape(ops.transpose(x, (0, 1, 4, 3, 2)), (-1, h, c // raft_size, raft_size * w))


def from_rafts(x, raft_size: int, direction: str):
    """Undo `to_rafts`: `[b, lines, c / r, r * length] -> [b, h, w, c]`."""
    _, lines, groups, positions = x.shape
    length, channels = positions // raft_size, raft_size * groups
    x = ops.reshape(x, (-1, lines, groups, raft_size, length))
    if direction == "vertical":
        return ops.reshape(ops.transpose(x, (0, 4, 1, 3, 2)), (-1, length, lines, channels))
    return ops.reshape(ops.transpose(x, (0, 1, 4, 3, 2)), (-1, lines, length, channels))


def _check_stages(num_stages, widths, patch_sizes, raft_sizes, kernels):
    """Refuse stages that do not fit together; how the kernels fit each other is checked where they are used."""
    require_per_stage(num_stages, stage_widths=widths, patch_sizes=patch_sizes, raft_sizes=raft_sizes)
    divided = all(width % raft == 0 for width, raft in zip(widths, raft_sizes, strict=True))
    require(divided, f"raft_sizes must divide stage_widths; given: {raft_sizes} and {widths}")
    if kernels:
        require_per_stage(num_stages, embedding_kernels=kernels)
        fitting = all(sides[0] == patch_size for patch_size, sides in zip(patch_sizes, kernels, strict=True))
        require(fitting, f"embedding_kernels must begin with patch_sizes {patch_sizes}; given: {kernels}")


def _variant(stage_widths, **arguments):
    """Table 2 of the paper: four stages of 2, 2, 6 and 2 blocks."""
    return {"stage_depths": (2, 2, 6, 2), "stage_widths": stage_widths, **arguments}


def _isotropic(num_blocks, hidden_dim, raft_size, kernels=None, **arguments):
    """The networks of the ablations: one stage on patches of 16."""
    return {
        "stage_depths": (num_blocks,),
        "stage_widths": (hidden_dim,),
        "patch_sizes": (16,),
        "raft_sizes": (raft_size,),
        "embedding_kernels": kernels and (kernels,),
        **arguments,
    }


VARIANTS: dict[str, dict] = {
    "raft_mlp_s": _variant((64, 128, 256, 512)),
    "raft_mlp_m": _variant((96, 192, 384, 768)),
    "raft_mlp_l": _variant((128, 192, 512, 1024)),  # 192 is no misprint: it stands in both of the authors' codes
    "raft_mlp_m_patches": _variant((96, 192, 384, 768), embedding_kernels=None),
    "raft_mlp_isotropic_r4": _isotropic(12, 768, 4),
    "raft_mlp_isotropic_r2": _isotropic(12, 768, 2),
    "raft_mlp_isotropic_r2_multi_scale": _isotropic(12, 768, 2, (16, 32)),
    "raft_mlp_isotropic_r1": _isotropic(12, 768, 1),
    "raft_mlp_isotropic_deep": _isotropic(36, 384, 2),
    "raft_mlp_isotropic_mixer": _isotropic(12, 768, 1, token_mixing="mixer"),
}
