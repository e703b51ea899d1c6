"""Tiny models, whose sizes are pairwise different and whose pictures are not square, and arrays to load into them."""

import numpy as np

import mixer_tf as mt
from mixer_tf.weights.layouts import layout_named

IMAGE_SHAPE = (16, 24, 3)  # a grid of 2 x 3 patches


def mlp_mixer(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"patch_size": 8, "num_blocks": 2, "hidden_dim": 10, "tokens_mlp_dim": 7, "channels_mlp_dim": 14}
    return mt.create_backbone("mlp_mixer", image_shape, **{**sizes, **arguments})


def vit(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"patch_size": 8, "num_blocks": 2, "hidden_dim": 12, "num_heads": 3, "mlp_dim": 20}
    return mt.create_backbone("vit", image_shape, **{**sizes, **arguments})


def dinov2(image_shape=IMAGE_SHAPE, **arguments):
    special = {"layer_scale": 1e-5, "mask_token": True, "pretrained_image_size": 32}
    return vit(image_shape, **{**special, **arguments})


def resnet(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"stage_depths": (1, 2), "stage_widths": (5, 6), "stem_dim": 7, "expansion": 3}
    return mt.create_backbone("resnet", image_shape, **{**sizes, **arguments})


def as_mlp(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"stage_depths": (1, 2), "stage_widths": (7, 12), "mlp_ratio": 3}
    return mt.create_backbone("as_mlp", image_shape, **{**sizes, **arguments})


def conv_mlp(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"conv_depth": 2, "stem_dim": 6, "stage_depths": (1, 2), "stage_widths": (10, 14), "mlp_ratios": (2, 3)}
    return mt.create_backbone("conv_mlp", image_shape, **{**sizes, **arguments})


def s2_mlp(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"patch_sizes": (4, 2), "stage_depths": (1, 2), "stage_widths": (10, 14), "mlp_ratios": (2, 3)}
    return mt.create_backbone("s2_mlp", image_shape, **{**sizes, **arguments})


def s2_mlp_v2(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"patch_sizes": (4, 2), "stage_depths": (1, 2), "stage_widths": (10, 14), "mlp_ratios": (2, 3)}
    return mt.create_backbone("s2_mlp_v2", image_shape, **{**sizes, **arguments})


def ms_mlp(image_shape=IMAGE_SHAPE, **arguments):
    kernels = ((1, 1, 3, 5, 7), (1, 3, 3, 5, 7))
    sizes = {"stage_depths": (1, 2), "stage_widths": (10, 18), "mix_kernels": kernels, "mlp_ratio": 3}
    return mt.create_backbone("ms_mlp", image_shape, **{**sizes, **arguments})


FORMS = {
    "mixer timm": (mlp_mixer, "mlp_mixer", "timm", {}),
    "mixer google": (mlp_mixer, "mlp_mixer", "google", {}),
    "vit timm": (vit, "vit", "timm", {}),
    "vit timm fc_norm": (lambda: vit(class_token=False, final_norm=False), "vit", "timm", {"norm_epsilon": 1e-6}),
    "vit google": (vit, "vit", "google", {}),
    "vit google pre_logits": (vit, "vit", "google", {"pre_logits_dim": 9}),
    "dinov2 timm": (dinov2, "vit", "timm", {}),
    "dinov2 huggingface": (dinov2, "vit", "huggingface", None),
    "resnet timm": (resnet, "resnet", "timm", {}),
    "resnet basic timm": (lambda: resnet(block="basic"), "resnet", "timm", {}),
    "as_mlp authors": (as_mlp, "as_mlp", "authors", {}),
    "conv_mlp authors": (conv_mlp, "conv_mlp", "authors", {}),
    "s2_mlp jittor_mlp": (s2_mlp, "s2_mlp", "jittor_mlp", {}),
    "s2_mlp_v2 jittor_mlp": (s2_mlp_v2, "s2_mlp_v2", "jittor_mlp", {}),
    "ms_mlp authors": (ms_mlp, "ms_mlp", "authors", {}),
}
"""Every architecture in every layout: backbone, architecture, layout, arguments of the head (None for no head)."""


def build(form):
    """A model, its architecture and a layout for it."""
    backbone, architecture, layout, head = FORMS[form]
    model = backbone()
    return (model if head is None else mt.classifier(model, 4, **head)), architecture, layout


def random_arrays(model, architecture, layout, seed=1):
    """A checkpoint for the model, of random arrays under the reference's names."""
    random = np.random.default_rng(seed)
    bindings = layout_named(layout, architecture).bind(model)
    return {name: random.standard_normal(b.shape, np.float32) for b in bindings for name in b.names}
