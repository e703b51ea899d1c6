"""A small model of each architecture, its sizes pairwise different, so that a swapped axis cannot pass."""

import numpy as np

import mixer_tf as mt

IMAGE_SHAPE = (24, 40, 3)

TINY = {
    "mlp_mixer": {"patch_size": 8, "num_blocks": 2, "hidden_dim": 10, "tokens_mlp_dim": 7, "channels_mlp_dim": 14},
    "vit": {"patch_size": 8, "num_blocks": 2, "hidden_dim": 12, "num_heads": 3, "mlp_dim": 20},
    "resnet": {"block": "bottleneck", "stage_depths": (1, 2), "stage_widths": (5, 6), "stem_dim": 7, "expansion": 3},
}


def tiny_backbone(architecture: str, image_shape=IMAGE_SHAPE, **arguments):
    """The small model, with any argument of its builder changed."""
    return mt.create_backbone(architecture, image_shape, **{**TINY[architecture], **arguments})


def tiny_classifier(architecture: str, num_classes: int = 4, **arguments):
    """The small model with a head, random here: as built it starts at zero, and all logits are equal."""
    model = mt.classifier(tiny_backbone(architecture, **arguments), num_classes)
    kernel = model.get_layer("head").kernel
    kernel.assign(np.random.default_rng(6).normal(size=kernel.shape))
    return model
