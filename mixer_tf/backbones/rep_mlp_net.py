"""RepMLPNet: Hierarchical Vision MLP with Re-parameterized Locality. Ding et al. 2021, arXiv 2112.11081.

Reference code: DingXiaoH/RepMLP (`repmlpnet.py`).

The idea: a Dense layer over all pixels of a tile can do whatever a convolution does, but does not learn it by itself.
So small convolutions run beside it while it is trained. Both are linear: afterwards `merged` adds the convolutions to
the matrix, and the network in use has none.

Weights start as in PyTorch (uniform within 1 / sqrt(fan-in)), but biases at 0.
"""

import math

import keras
import numpy as np
from keras import layers, ops

from mixer_tf.checks import require, require_per_stage
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.activations import Activation
from mixer_tf.layers.initializers import TORCH_UNIFORM, torch_uniform
from mixer_tf.layers.mlp import dense, mlp
from mixer_tf.layers.norms import BatchNormalization
from mixer_tf.layers.patches import pyramid_output
from mixer_tf.layers.tiles import TileDense, convolution_matrices, from_tiles, to_tiles


def rep_mlp_net(
    image_shape: tuple[int, int, int],
    *,
    stage_depths: tuple[int, ...],
    stage_widths: tuple[int, ...],
    num_sets: tuple[int, ...],
    tile_sizes: tuple[tuple[int, int], ...] | None = None,
    patch_size: int = 4,
    local_kernels: tuple[int, ...] | None = (1, 3),
    gate_reduction: int = 4,
    mlp_ratio: int = 4,
    deploy: bool = False,
    activation: str = "gelu",
    norm_epsilon: float = 1e-5,
    norm_momentum: float = 0.9,
    name: str = "rep_mlp_net",
) -> keras.Model:
    """RepMLPNet as a backbone: `[b, H, W, 3] -> [b, H / 32, W / 32, c]` with four stages, which end in `P2` to `P5`.

    Args:
        image_shape: (height, width, channels) in pixels; the map of every stage must be a whole number of its tiles.
        stage_depths: number of blocks in each stage.
        stage_widths: channels of each stage.
        num_sets: channels `i` and `i + num_sets` share their Dense layer; a divisor of the width for each stage.
        tile_sizes: (rows, columns) of a tile in each stage; None for tiles as large as the maps of `image_shape`.
        patch_size: side of a patch of the first stage in pixels.
        local_kernels: odd sides of the convolutions beside the Dense layer; None for none.
        gate_reduction: the gate's hidden layer has the stage's channels divided by this.
        mlp_ratio: hidden width of the channel MLPs by the stage's channels.
        deploy: build the network in use, which has no convolutions in its blocks; see `merged`.
        activation: of the channel MLPs: `"gelu"` (erf), or `"gelu_tanh"`, `"relu"`, `"silu"`.
        norm_epsilon: added to the variance by every BatchNormalization.
        norm_momentum: weight of the old moving statistics of every BatchNormalization.
        name: name of the model.

    Raises:
        ValueError: when the tiles do not fit the image, the tuples differ in length, `num_sets` does not divide the
            widths, a kernel is even, or the activation is unknown.

    Example:
        >>> backbone = rep_mlp_net((32, 48, 3), stage_depths=(1, 1), stage_widths=(8, 12), num_sets=(2, 3))
        >>> backbone.output.shape
        (None, 4, 6, 12)
    """
    strides = [patch_size * 2**i for i in range(len(stage_depths))]
    tiles = tile_sizes or ((1, 1),) * len(strides)
    require_per_stage(len(strides), stage_widths=stage_widths, num_sets=num_sets, tile_sizes=tiles)
    _check_values(stage_widths, num_sets, tiles, local_kernels or (), gate_reduction)
    _check_tiles(image_shape, strides, tiles)
    norm = {"epsilon": norm_epsilon, "momentum": norm_momentum}
    image = x = keras.Input(image_shape, name="image")  # [b, H, W, 3]
    stages = zip(stage_depths, stage_widths, num_sets, strides, strict=True)
    for i, (depth, width, sets, stride) in enumerate(stages, start=1):
        x = embedding(x, width, 2 if i > 1 else patch_size, norm, name=f"stage{i}_downsample" if i > 1 else "stem")
        for j in range(1, depth + 1):
            x = rep_mlp_block(
                x,
                tile=tile_sizes[i - 1] if tile_sizes else x.shape[1:3],
                num_sets=sets,
                kernels=None if deploy else local_kernels or (),
                gate_dim=width // gate_reduction,
                mlp_dim=width * mlp_ratio,
                activation=activation,
                norm=norm,
                name=f"stage{i}_block{j}",
            )
        x = pyramid_output(x, stride)
    x = BatchNormalization(**norm, name="norm")(x)
    return Model(image, x, name=name)


def embedding(x, width, patch_size, norm, *, name):
    """Project patches, normalise, ReLU: `[b, h, w, c] -> [b, h / p, w / p, width]`."""
    layer_name = "stem_patch_embedding" if name == "stem" else name
    x = layers.Conv2D(
        width, patch_size, strides=patch_size, use_bias=False, kernel_initializer=TORCH_UNIFORM, name=layer_name
    )(x)
    x = BatchNormalization(**norm, name=f"{name}_norm")(x)
    return layers.Activation("relu", name=f"{name}_activation")(x)


def rep_mlp_block(x, *, tile, num_sets, kernels, gate_dim, mlp_dim, activation, norm, name):
    """Mix the places of each tile, then the channels, each with norm and residual: `[b, h, w, c] -> [b, h, w, c]`."""
    y = BatchNormalization(**norm, name=f"{name}_norm1")(x)
    mixed = tile_mixing(y, tile=tile, num_sets=num_sets, kernels=kernels, norm=norm, name=name)
    x = layers.Add(name=f"{name}_mixing_add")([x, mixed * gate(y, gate_dim, name=f"{name}_gate")])

    y = BatchNormalization(**norm, name=f"{name}_norm2")(x)
    for suffix, units in (("fc1", mlp_dim), ("fc2", x.shape[-1])):
        y = dense(y, units, use_bias=False, kernel_initializer=TORCH_UNIFORM, name=f"{name}_mlp_{suffix}")
        y = BatchNormalization(**norm, name=f"{name}_mlp_{suffix}_norm")(y)
        if suffix == "fc1":
            y = Activation(activation, name=f"{name}_mlp_activation")(y)
    return layers.Add(name=f"{name}_mlp_add")([x, y])


def gate(x, hidden_dim, *, name):
    """How much of each channel passes, from the whole picture: `[b, h, w, c] -> [b, 1, 1, c]`."""
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
    y = mlp(y, hidden_dim, activation="relu", kernel_initializer=TORCH_UNIFORM, name=name)
    return layers.Activation("sigmoid", name=f"{name}_sigmoid")(y)


def tile_mixing(x, *, tile, num_sets, kernels, norm, name):
    """A Dense layer over each tile, alone (kernels None) or with a norm and convolutions beside it: `[b, h, w, c]`."""
    use_bias = kernels is None
    y = TileDense(tile, num_sets, use_bias=use_bias, kernel_initializer=TORCH_UNIFORM, name=f"{name}_tile")(x)
    if use_bias:
        return y
    sets = ops.reshape(y, (-1, num_sets))  # one mean and variance for each set
    branches = [ops.reshape(BatchNormalization(**norm, name=f"{name}_tile_norm")(sets), (-1, *x.shape[1:]))]
    tiles = to_tiles(x, tile, num_sets)
    for side in kernels:
        start = torch_uniform(side**2)
        y = layers.DepthwiseConv2D(  # "same": zeros around each tile
            side, padding="same", use_bias=False, depthwise_initializer=start, name=f"{name}_local{side}"
        )(tiles)
        y = BatchNormalization(**norm, name=f"{name}_local{side}_norm")(y)
        branches.append(from_tiles(y, x.shape[1:]))
    return layers.Add(name=f"{name}_branches")(branches) if len(branches) > 1 else branches[0]


def merged(model: keras.Model) -> keras.Model:
    """The network in use: the convolutions and norms beside each Dense layer over tiles become part of it.

    Args:
        model: a trained RepMLPNet, as a backbone or with a head. It stays as it is.

    Returns:
        A new model that computes the same as `model` does in inference, built as with `deploy=True`.

    Raises:
        ValueError: when the model has no blocks that could be merged.

    Example:
        >>> backbone = rep_mlp_net((32, 48, 3), stage_depths=(1, 1), stage_widths=(8, 12), num_sets=(2, 3))
        >>> len(merged(backbone).layers) < len(backbone.layers)
        True
    """
    tiles = {layer.name: layer for layer in model.layers if isinstance(layer, TileDense) and not layer.use_bias}
    require(bool(tiles), f"model must be a RepMLPNet that is not merged yet; given: {model.name}")
    norms = {f"{name}_norm" for name in tiles}

    def clone(layer):
        config = layer.get_config()
        return type(layer).from_config({**config, "use_bias": True} if layer.name in tiles else config)

    def call(layer, *args, **kwargs):
        if layer.name.endswith("_branches"):
            return args[0][0]  # the Dense layer's own; the others lead nowhere now
        return args[0] if layer.name in norms else layer(*args, **kwargs)

    graph = keras.models.clone_model(model, clone_function=clone, call_function=call)
    result = Model(graph.input, graph.output, name=model.name)
    result.preprocessing = getattr(model, "preprocessing", None)
    result.classifier_arguments = getattr(model, "classifier_arguments", None)
    for layer in result.layers:
        if layer.name in tiles:
            layer.set_weights(_merged_weights(model, tiles[layer.name]))
        elif layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return result


def _merged_weights(model: keras.Model, tile_dense: TileDense) -> list[np.ndarray]:
    """Kernel `[s, out, in]` and bias `[s, out]` of a Dense layer over tiles with all that stood beside it."""
    factor, offset = _affine(model.get_layer(f"{tile_dense.name}_norm"))
    kernel = keras.ops.convert_to_numpy(tile_dense.kernel) * factor[:, None, None]
    prefix = tile_dense.name.removesuffix("tile") + "local"
    for layer in model.layers:
        if layer.name.startswith(prefix) and isinstance(layer, layers.DepthwiseConv2D):
            factor, branch_offset = _affine(model.get_layer(f"{layer.name}_norm"))
            taps = keras.ops.convert_to_numpy(layer.kernel)[..., 0] * factor  # [k, k, s]
            kernel = kernel + convolution_matrices(taps, tile_dense.tile)
            offset = offset + branch_offset
    return [kernel, np.repeat(offset[:, None], kernel.shape[1], axis=1)]


def _affine(norm: layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """The factor and the offset that a BatchNormalization is in inference."""
    gamma, beta, mean, variance = norm.get_weights()
    factor = gamma / np.sqrt(variance + norm.epsilon)
    return factor, beta - mean * factor


def _check_values(widths, num_sets, tiles, kernels, gate_reduction):
    divided = all(width % sets == 0 for width, sets in zip(widths, num_sets, strict=True))
    require(divided, f"num_sets must divide stage_widths; given: {num_sets} and {widths}")
    require(min(map(min, tiles)) >= 1, f"tile_sizes must be at least 1; given: {tiles}")
    require(all(side % 2 for side in kernels), f"local_kernels must be odd; given: {kernels}")
    require(gate_reduction <= min(widths), f"gate_reduction must be at most {min(widths)}; given: {gate_reduction}")


def _check_tiles(image_shape, strides, tiles):
    """Refuse a picture whose maps are not made of whole tiles, and name the nearest that is."""
    units = [
        math.lcm(strides[-1], *(s * tile[axis] for s, tile in zip(strides, tiles, strict=True))) for axis in (0, 1)
    ]
    nearest = tuple(max(1, round(side / unit)) * unit for side, unit in zip(image_shape[:2], units, strict=True))
    require(
        nearest == tuple(image_shape[:2]),
        f"image_shape {tuple(image_shape)} must be divisible by {units[0]}x{units[1]}, so that every stage has whole "
        f"tiles; nearest: {(*nearest, image_shape[2])}; tile_sizes=None makes tiles as large as the maps",
    )


def _variant(image_size, width, middle_depth, num_sets):
    """The published networks: one tile as large as the map in every stage."""
    return {
        "image_shape": (image_size, image_size, 3),
        "stage_depths": (2, 2, middle_depth, 2),
        "stage_widths": (width, 2 * width, 4 * width, 8 * width),
        "num_sets": num_sets,
        "tile_sizes": tuple((image_size // stride, image_size // stride) for stride in (4, 8, 16, 32)),
    }


VARIANTS: dict[str, dict] = {
    "rep_mlp_net_t224": _variant(224, 64, 6, (1, 4, 16, 128)),
    "rep_mlp_net_b224": _variant(224, 96, 12, (1, 4, 32, 128)),
    "rep_mlp_net_t256": _variant(256, 64, 6, (1, 4, 16, 128)),
    "rep_mlp_net_b256": _variant(256, 96, 12, (1, 4, 32, 128)),
    "rep_mlp_net_d256": _variant(256, 80, 18, (1, 4, 16, 128)),
    "rep_mlp_net_l256": _variant(256, 96, 18, (1, 4, 32, 256)),
}
