"""A small model of each architecture, its sizes pairwise different, so that a swapped axis cannot pass."""

import dataclasses

import numpy as np

import mixer_tf as mt

IMAGE_SHAPE = (24, 40, 3)


@dataclasses.dataclass(frozen=True)
class Tiny:
    """A small form of an architecture that reads pictures.

    Attributes:
        arguments: what its builder takes.
        strides: stride of each level of its feature pyramid; the last is that of its output.
        image_shape: not square, unless the architecture wants squares.
        unreached: ends of the paths of weights that no output depends on: a norm or a softmax removes them.
        to_train: arguments with which every weight gets a gradient in the first step, for papers that start branches
            at zero; with drop path and dropout, where there are any.
    """

    arguments: dict
    strides: tuple[int, ...]
    image_shape: tuple[int, int, int] = IMAGE_SHAPE
    unreached: tuple[str, ...] = ()
    to_train: dict = dataclasses.field(default_factory=lambda: {"drop_path_rate": 0.2, "dropout": 0.1})


TINY = {
    "resnet": Tiny(
        {"block": "bottleneck", "stage_depths": (1, 2), "stage_widths": (5, 6), "stem_dim": 7, "expansion": 3},
        strides=(4, 8),
        to_train={"drop_path_rate": 0.2, "zero_init_residual": False},
    ),
    "vit": Tiny(
        {"patch_size": 8, "num_blocks": 2, "hidden_dim": 12, "num_heads": 3, "mlp_dim": 20},
        strides=(8,),
        unreached=("attention_qkv/bias",),  # the third of it that belongs to the keys
    ),
    "mlp_mixer": Tiny(
        {"patch_size": 8, "num_blocks": 2, "hidden_dim": 10, "tokens_mlp_dim": 7, "channels_mlp_dim": 14},
        strides=(8,),
        unreached=("token_mixing_fc2/bias",),
    ),
    "as_mlp": Tiny(  # 7 channels give four groups, not five
        {"stage_depths": (1, 2), "stage_widths": (7, 12), "mlp_ratio": 3},
        strides=(4, 8),
    ),
    "conv_mlp": Tiny(  # sides that are odd at one stride-2 convolution or another
        {"conv_depth": 1, "stem_dim": 6, "stage_depths": (1, 2), "stage_widths": (10, 14), "mlp_ratios": (2, 3)},
        strides=(4, 8, 16),
        image_shape=(22, 37, 3),
        to_train={"drop_path_rate": 0.2},
    ),
    "s2_mlp": Tiny(
        {"patch_sizes": (4, 2), "stage_depths": (1, 2), "stage_widths": (10, 14), "mlp_ratios": (2, 3)},
        strides=(4, 8),
    ),
    "s2_mlp_v2": Tiny(
        {
            "patch_sizes": (4, 2),
            "stage_depths": (1, 2),
            "stage_widths": (10, 14),
            "mlp_ratios": (2, 3),
            "split_attention_ratio": 0.5,
        },
        strides=(4, 8),
    ),
    "ms_mlp": Tiny(
        {
            "stage_depths": (1, 2),
            "stage_widths": (11, 16),
            "mix_kernels": ((1, 1, 3, 5), (3, 1, 7, 1)),
            "shift_distances": (-2, 0, 1, 3),
            "mlp_ratio": 3,
        },
        strides=(4, 8),
        to_train={"drop_path_rate": 0.2, "layer_scale": 0.5},
    ),
}


def tiny_backbone(architecture: str, image_shape=None, **arguments):
    """The small model, with any argument of its builder changed."""
    tiny = TINY[architecture]
    return mt.create_backbone(architecture, image_shape or tiny.image_shape, **{**tiny.arguments, **arguments})


def tiny_classifier(architecture: str, num_classes: int = 4, **arguments):
    """The small model with a head, random here: as built it starts at zero, and all logits are equal."""
    model = mt.classifier(tiny_backbone(architecture, **arguments), num_classes)
    kernel = model.get_layer("head").kernel
    kernel.assign(np.random.default_rng(6).normal(size=kernel.shape))
    return model


def tiny_images(architecture: str, batch: int = 3):
    """Random pictures for the small model."""
    return np.random.default_rng(1).normal(size=(batch, *TINY[architecture].image_shape)).astype("float32")
