"""Masked image modelling for any backbone: hide squares of the picture, predict what stood there.

The geometry is SimMIM's (Xie et al. 2021, arXiv 2111.09886): pixels are hidden before the backbone sees any, in squares
that its stride divides, so that nothing leaks through overlapping stems, and a linear layer predicts the patches. The
target is ViT's (Dosovitskiy et al. 2020, arXiv 2010.11929, appendix B.1.2): the mean colour in 3 bits a channel.
"""

import re

import keras
from keras import layers, ops

from mixer_tf.checks import require, require_type
from mixer_tf.keras_fixes import Model
from mixer_tf.layers.initializers import TRUNCATED_NORMAL
from mixer_tf.layers.mask_tile import MaskTile
from mixer_tf.layers.mlp import dense
from mixer_tf.layers.patches import pyramid_level

NUM_COLORS = 512
"""Classes of `target="colors"`: `64 r + 8 g + b` with 3 bits each."""

TARGETS = ("colors", "pixels")


def masked_image_model(
    backbone: keras.Model, *, patch_size: int = 16, target: str = "colors", name: str | None = None
) -> keras.Model:
    """Put a learned tile before a backbone and a head after it that says what the tile hides; float32, no softmax.

    The inputs are a dict: `image` float `[b, H, W, 3]`, normalised; `masked_units` int32 `[b, H / unit, W / unit]`, 1
    where the tile stands in place of the picture (`unit_of`). The output is `[b, H / t, W / t, n]` with t the patch
    size. All layers of the backbone are shared with it: training the one trains the other.

    Args:
        backbone: a model from `mixer_tf.create_backbone` that reads pictures.
        patch_size: side t in pixels of the patches to predict; a multiple of the backbone's stride, or a divisor.
        target: `"colors"`, n = 512 logits, one for each mean colour of a patch in 3 bits a channel (`64 r + 8 g + b`);
            or `"pixels"`, n = 3 t t values, the patch's rows of pixels, normalised for each patch.
        name: name of the model; None for the backbone's with `_masked_image_model`.

    Raises:
        ValueError: when the backbone reads no pictures, the target is unknown, the patch size and the stride do not
            fit, or the picture does not consist of at least two units.

    Example:
        >>> import mixer_tf as mt
        >>> from mixer_tf.heads.masked_image import masked_image_model
        >>> backbone = mt.create_backbone("resnet18", image_shape=(64, 96, 3))  # stride 32
        >>> model = masked_image_model(backbone, patch_size=16)
        >>> model.input["masked_units"].shape, model.output.shape
        ((None, 2, 3), (None, 4, 6, 512))
    """
    unit = unit_of(backbone, patch_size)
    require(target in TARGETS, f"target must be one of {', '.join(TARGETS)}; given: {target!r}")
    height, width, channels = backbone.input.shape[1:]
    inputs = {
        "image": keras.Input((height, width, channels), name="image"),
        "masked_units": keras.Input((height // unit, width // unit), dtype="int32", name="masked_units"),
    }
    x = MaskTile(unit, name="mask_tile")([inputs["image"], inputs["masked_units"]])  # [b, H, W, 3]
    x = backbone.call(x)  # each layer on a new tensor, [b, h, w, c]: the model stays flat, and its names the backbone's
    outputs = _patch_head(x, height // patch_size, NUM_COLORS if target == "colors" else channels * patch_size**2)
    model = Model(inputs, outputs, name=name or f"{backbone.name}_masked_image_model")
    model.preprocessing = getattr(backbone, "preprocessing", None)
    return model


def unit_of(backbone: keras.Model, patch_size: int = 16) -> int:
    """The side in pixels of what is hidden as one: the patch, or the backbone's stride where that is larger.

    Raises:
        ValueError: as for `masked_image_model`.

    Example:
        >>> import mixer_tf as mt
        >>> unit_of(mt.create_backbone("resnet18", image_shape=(64, 96, 3)), patch_size=16)
        32
    """
    require_type("backbone", backbone, keras.Model)
    require_type("patch_size", patch_size, int)
    require(patch_size >= 1, f"patch_size must be at least 1; given: {patch_size}")
    stride = _stride(backbone)
    unit = max(patch_size, stride)
    if unit % min(patch_size, stride):
        fitting = [size for size in range(1, 2 * unit + 1) if size % stride == 0 or stride % size == 0]
        nearest = min(fitting, key=lambda size: abs(size - patch_size))
        raise ValueError(
            f"patch_size must be a multiple or a divisor of the stride {stride} of {backbone.name}; given: "
            f"{patch_size}; nearest: {nearest}"
        )
    _check_units(backbone.input.shape[1:3], unit, f"units of {unit} pixels")
    return unit


def _stride(backbone: keras.Model) -> int:
    """Pixels of the picture to a place of the backbone's grid; a grid that lies askew on the picture is refused."""
    if len(backbone.inputs) != 1 or len(backbone.output.shape) != 4:
        raise ValueError(
            "a masked image model must continue a backbone that reads pictures, one of "
            f"mixer_tf.list_backbones(reads='image'); given: {backbone.name}"
        )
    (height, width), (rows, columns) = backbone.input.shape[1:3], backbone.output.shape[1:3]
    levels = [layer.name for layer in backbone.layers if re.fullmatch(r"P\d", layer.name)]
    stride = height // rows
    as_named = not levels or levels[-1] == pyramid_level(stride)
    if (rows * stride, columns * stride) != (height, width) or not as_named:
        stride = 2 ** int(levels[-1][1:]) if levels else max(-(-height // rows), -(-width // columns))
        _check_units((height, width), stride, f"the stride {stride} of {backbone.name}")
    return stride


def _check_units(size: tuple[int, int], unit: int, what: str) -> None:
    rows, columns = (max(1, round(side / unit)) for side in size)
    if size != (rows * unit, columns * unit) or rows * columns < 2:
        columns = max(columns, 2) if rows == 1 else columns
        raise ValueError(
            f"image_shape must be divisible by {what}, and hold at least two of these; given: {size}; "
            f"nearest: {(rows * unit, columns * unit)}"
        )


def _patch_head(x, rows: int, num_outputs: int):
    """Predict every patch from the features of its place: `[b, h, w, c] -> [b, rows, columns, num_outputs]`."""
    x = layers.Identity(name="head_input")(x)
    _, height, width, _ = x.shape
    if rows < height:
        size = height // rows
        x = layers.AveragePooling2D(size, dtype="float32", name="head_pool")(x)
        return dense(x, num_outputs, kernel_initializer=TRUNCATED_NORMAL, dtype="float32", name="head_patches")
    size = rows // height  # patches along a side of a place
    x = dense(x, size**2 * num_outputs, kernel_initializer=TRUNCATED_NORMAL, dtype="float32", name="head_patches")
    x = ops.reshape(x, (-1, height, width, size, size, num_outputs))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, height * size, width * size, num_outputs))
