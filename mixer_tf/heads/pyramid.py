"""Feature maps of one width at three strides, near 8, 16 and 32, from a backbone of any kind.

A hierarchical backbone has maps of these strides, and a feature pyramid network (Lin et al. 2017, arXiv 1612.03144)
lets each see the coarser ones. An isotropic one has a single map, from which the simple feature pyramid of ViTDet (Li
et al. 2022, arXiv 2203.16527) makes finer and coarser ones.
"""

import math
import re

import keras
from keras import layers

from mixer_tf.checks import require, require_type
from mixer_tf.layers.activations import Activation
from mixer_tf.layers.norms import LayerNormalization
from mixer_tf.layers.patches import pyramid_level

NUM_LEVELS = 3
_FINEST_STRIDE = 8  # a single map with a larger stride is made finer


def feature_pyramid(backbone: keras.Model, width: int) -> dict[float, keras.KerasTensor]:
    """Continue a backbone to three maps of features, fine to coarse, by their strides in pixels.

    From the last three of the levels `P2`..`P5` where there are three, else from the backbone's output alone. Strides
    are those of the backbone: 7, 14 and 28 with patches of 14 pixels.

    Args:
        backbone: a model from `mixer_tf.create_backbone` that reads pictures.
        width: channels of every map.

    Returns:
        `{stride: [b, h, w, width]}`.

    Raises:
        ValueError: when the backbone reads no pictures, or they are too small for the coarsest map.

    Example:
        >>> import mixer_tf as mt
        >>> backbone = mt.create_backbone("resnet18", image_shape=(64, 96, 3))
        >>> {stride: level.shape for stride, level in feature_pyramid(backbone, 48).items()}
        {8: (None, 8, 12, 48), 16: (None, 4, 6, 48), 32: (None, 2, 3, 48)}
    """
    stages = stage_maps(backbone)
    if stages:
        return dict(zip(stages, _feature_pyramid_network(list(stages.values()), width), strict=True))
    names = _level_names(backbone)
    stride = _stride(backbone, backbone.output, names[-1] if names else None)
    doublings = max(0, math.ceil(math.log2(stride / _FINEST_STRIDE)))
    strides = [stride / 2**doublings * 2**level for level in range(NUM_LEVELS)]
    strides = [int(stride) if stride.is_integer() else stride for stride in strides]
    _check_size(backbone, strides[-1])
    return dict(zip(strides, _simple_feature_pyramid(backbone.output, doublings, width), strict=True))


def stage_maps(backbone: keras.Model) -> dict[float, keras.KerasTensor]:
    """The last three of a backbone's levels `P2`..`P5` by their strides, as it has them; none where there are fewer.

    Raises:
        ValueError: as for `feature_pyramid`.
    """
    require_type("backbone", backbone, keras.Model)
    if len(backbone.inputs) != 1 or len(backbone.output.shape) != 4:
        raise ValueError(
            "a detector must continue a backbone that reads pictures, one of "
            f"mixer_tf.list_backbones(reads='image'); given: {backbone.name}"
        )
    names = _level_names(backbone)[-NUM_LEVELS:]
    if len(names) < NUM_LEVELS:
        return {}
    maps = [*(backbone.get_layer(name).output for name in names[:-1]), backbone.output]  # which has the final norm
    strides = [_stride(backbone, level, name) for level, name in zip(maps, names, strict=True)]
    _check_size(backbone, strides[-1])
    return dict(zip(strides, maps, strict=True))


def _level_names(backbone: keras.Model) -> list[str]:
    return [layer.name for layer in backbone.layers if re.fullmatch(r"P\d", layer.name)]


def _stride(backbone: keras.Model, level, name: str | None) -> int:
    """Pixels of the picture to a place of a level; where the level lies askew on the picture its name says it."""
    (height, width), (rows, columns) = backbone.input.shape[1:3], level.shape[1:3]
    stride = height // rows
    as_named = name is None or name == pyramid_level(stride)
    if (rows * stride, columns * stride) != (height, width) or not as_named:
        return 2 ** int(name[1:]) if name else max(-(-height // rows), -(-width // columns))
    return stride


def _check_size(backbone: keras.Model, stride: float) -> None:
    """Refuse pictures smaller than a place of the coarsest map."""
    size, least = backbone.input.shape[1:3], math.ceil(stride)
    require(
        min(size) >= least,
        f"image_size must be at least {least}x{least} for the pyramid on {backbone.name}, whose coarsest stride is "
        f"{stride}; given: {size[0]}x{size[1]}",
    )


def _feature_pyramid_network(maps, width: int):
    """Every map in one width, with what the coarser ones see added, from coarse to fine.

    Each map has a norm of its own, as the backbones normalise no stage but the last.
    """
    coarser, outputs = None, []
    for i, x in reversed(list(enumerate(maps, start=1))):
        x = layers.Conv2D(width, 1, use_bias=False, name=f"detector_lateral{i}")(x)
        x = LayerNormalization(epsilon=1e-6, name=f"detector_lateral{i}_norm")(x)
        if coarser is not None:
            rows, columns = x.shape[1:3]
            finer = layers.UpSampling2D(2, name=f"detector_lateral{i}_upsampling")(coarser)
            x = layers.Add(name=f"detector_lateral{i}_sum")([x, finer[:, :rows, :columns]])  # odd sizes
        coarser = x
        outputs.append(_smoothed(x, width, i))
    return outputs[::-1]


def _simple_feature_pyramid(x, doublings: int, width: int):
    """Maps at `2 ** doublings` times the resolution of `x` and coarser ones, each made from `x` alone."""
    outputs = []
    for i in range(1, NUM_LEVELS + 1):
        y, finer = x, doublings + 1 - i
        for step in range(1, finer + 1):
            name = f"detector_level{i}_upsampling{step}"
            channels = max(width, x.shape[-1] // 2**step)
            y = layers.Conv2DTranspose(channels, 2, strides=2, name=name)(y)
            if step < finer:
                y = LayerNormalization(epsilon=1e-6, name=f"{name}_norm")(y)
                y = Activation("gelu", name=f"{name}_gelu")(y)
        if finer < 0:
            y = layers.MaxPooling2D(2**-finer, padding="same", name=f"detector_level{i}_pool")(y)
        y = layers.Conv2D(width, 1, use_bias=False, name=f"detector_lateral{i}")(y)
        y = LayerNormalization(epsilon=1e-6, name=f"detector_lateral{i}_norm")(y)
        outputs.append(_smoothed(y, width, i))
    return outputs


def _smoothed(x, width: int, i: int):
    x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"detector_level{i}")(x)
    return LayerNormalization(epsilon=1e-6, name=f"detector_level{i}_norm")(x)
