"""Tiny models, whose sizes are pairwise different and whose pictures are not square, and arrays to load into them."""

import keras
import numpy as np

import mixer_tf as mt
from mixer_tf.layers.external_attention import external_attention_2d, multihead_external_attention
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


def ff_only(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"patch_size": 8, "num_blocks": 2, "hidden_dim": 10, "tokens_mlp_dim": 9, "channels_mlp_dim": 14}
    return mt.create_backbone("ff_only", image_shape, **{**sizes, **arguments})


def resmlp(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"patch_size": 8, "num_blocks": 2, "hidden_dim": 10, "channels_mlp_dim": 14}
    return mt.create_backbone("resmlp", image_shape, **{**sizes, **arguments})


def eamlp(image_shape=(32, 48, 3), **arguments):
    sizes = {"num_blocks": 2, "hidden_dim": 12, "num_heads": 3, "mlp_dim": 20, "memory_units": 9}
    stem = {"stem_dim": 5, "stem_memory_units": 11}
    return mt.create_backbone("eamlp", image_shape, **{**sizes, **stem, **arguments})


def eanet(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"stage_depths": (1, 2), "stage_widths": (5, 6), "stem_dim": 4, "expansion": 3, "multi_grid": (1, 2)}
    neck = {"attention_dim": 11, "memory_units": 7, "output_dim": 9}
    return mt.create_backbone("eanet", image_shape, **{**sizes, **neck, **arguments})


def gmlp(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"patch_size": 8, "num_blocks": 2, "hidden_dim": 10, "ffn_dim": 14}
    return mt.create_backbone("gmlp", image_shape, **{**sizes, **arguments})


def external_attention_block(block, shape, **arguments):
    x = keras.Input(shape)
    return keras.Model(x, block(x, **arguments))


def bert(**arguments):
    sizes = {"sequence_length": 7, "vocab_size": 23, "num_blocks": 2, "hidden_dim": 12, "num_heads": 3, "mlp_dim": 20}
    return mt.create_backbone("bert", **{**sizes, "max_positions": 11, "num_segments": 4, **arguments})


def gpt2(**arguments):
    sizes = {"sequence_length": 7, "vocab_size": 23, "num_blocks": 2, "hidden_dim": 12, "num_heads": 3, "mlp_dim": 20}
    return mt.create_backbone("gpt2", **{**sizes, "max_positions": 11, **arguments})


def bert_with_heads(**arguments):
    return mt.masked_language_model(bert(**arguments), next_sentence=True)


def cycle_mlp(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"stage_depths": (1, 2), "stage_widths": (9, 14), "mlp_ratios": (2, 3)}
    return mt.create_backbone("cycle_mlp", image_shape, **{**sizes, **arguments})


def wave_mlp(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"stage_depths": (1, 2), "stage_widths": (9, 14), "mlp_ratios": (2, 3)}
    return mt.create_backbone("wave_mlp", image_shape, **{**sizes, **arguments})


def hire_mlp(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"stage_depths": (1, 2), "stage_widths": (9, 14), "mlp_ratios": (2, 3)}
    regions = {"region_sizes": (4, 3), "step_periods": (1, 2), "step_sizes": (1, 2)}
    return mt.create_backbone("hire_mlp", image_shape, **{**sizes, **regions, **arguments})


def vip(image_shape=(32, 32, 3), **arguments):
    """Of the three stages only the third has a transition, so that numbers of stages and of modules differ."""
    sizes = {"patch_size": 8, "stage_depths": (1, 2, 1), "stage_widths": (12, 12, 10), "segments": (4, 4, 2)}
    return mt.create_backbone("vip", image_shape, **{**sizes, "mlp_ratios": (2, 3, 2), **arguments})


def raft_mlp(image_shape=IMAGE_SHAPE, **arguments):
    kernels = ((4, 8), (2,))
    sizes = {"stage_depths": (1, 2), "stage_widths": (10, 12), "patch_sizes": (4, 2), "raft_sizes": (2, 3)}
    return mt.create_backbone("raft_mlp", image_shape, **{**sizes, "embedding_kernels": kernels, **arguments})


def gfnet(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"patch_size": 8, "num_blocks": 2, "hidden_dim": 10, "mlp_dim": 14}
    return mt.create_backbone("gfnet", image_shape, **{**sizes, **arguments})


def gfnet_h(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"stage_depths": (1, 2), "stage_widths": (7, 10), "mlp_ratios": (3, 2)}
    return mt.create_backbone("gfnet_h", image_shape, **{**sizes, **arguments})


def smlp_net(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"stage_depths": (1, 2), "stage_widths": (7, 12), "mlp_ratio": 2}
    return mt.create_backbone("smlp_net", image_shape, **{**sizes, **arguments})


def rep_mlp_net(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"stage_depths": (1, 2), "stage_widths": (8, 12), "num_sets": (2, 3), "tile_sizes": ((2, 3), (1, 3))}
    return mt.create_backbone("rep_mlp_net", image_shape, **{**sizes, **arguments})


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
    "mixer gated timm": (
        lambda: mlp_mixer(tokens_mlp_dim=8, activation="silu", gated=True),
        "mlp_mixer",
        "timm",
        {},
    ),
    "vit timm": (vit, "vit", "timm", {}),
    "vit timm fc_norm": (lambda: vit(class_token=False, final_norm=False), "vit", "timm", {"norm_epsilon": 1e-6}),
    "vit google": (vit, "vit", "google", {}),
    "vit google pre_logits": (vit, "vit", "google", {"pre_logits_dim": 9}),
    "dinov2 timm": (dinov2, "vit", "timm", {}),
    "dinov2 huggingface": (dinov2, "vit", "huggingface", None),
    "ff_only authors": (ff_only, "ff_only", "authors", {}),
    "ff_only authors resized": (lambda: ff_only(pretrained_grid=(5, 4)), "ff_only", "authors", {}),
    "resmlp timm": (resmlp, "resmlp", "timm", {}),
    "resmlp facebook": (resmlp, "resmlp", "facebook", {}),
    "eamlp authors": (eamlp, "eamlp", "authors", {}),
    "eamlp authors_t": (lambda: eamlp(stem_dropout=0.0), "eamlp", "authors_t", {}),
    "eanet authors": (eanet, "eanet", "authors", None),
    "eanet authors with head": (lambda: mt.segmenter(eanet(), 4), "eanet", "authors", None),
    "gmlp timm": (gmlp, "gmlp", "timm", {}),
    "external attention 2d": (
        lambda: external_attention_block(external_attention_2d, (2, 3, 6), memory_units=4),
        "external_attention",
        "eanet_2d",
        None,
    ),
    "external attention multihead": (
        lambda: external_attention_block(multihead_external_attention, (5, 6), num_heads=2, memory_units=4),
        "external_attention",
        "eanet_multihead",
        None,
    ),
    "bert huggingface": (bert_with_heads, "bert", "huggingface", None),
    "bert huggingface without heads": (bert, "bert", "huggingface", None),
    "gpt2 huggingface": (lambda: mt.causal_language_model(gpt2()), "gpt2", "huggingface", None),
    "cycle_mlp authors": (cycle_mlp, "cycle_mlp", "authors", {}),
    "wave_mlp authors": (wave_mlp, "wave_mlp", "authors", {}),
    "wave_mlp depthwise authors": (lambda: wave_mlp(phase="depthwise", norm="group"), "wave_mlp", "authors", {}),
    "hire_mlp authors": (hire_mlp, "hire_mlp", "authors", {}),
    "vip authors": (vip, "vip", "authors", {}),
    "resnet timm": (resnet, "resnet", "timm", {}),
    "resnet basic timm": (lambda: resnet(block="basic"), "resnet", "timm", {}),
    "raft_mlp": (raft_mlp, "raft_mlp", "authors", {}),
    "raft_mlp patches": (lambda: raft_mlp(embedding_kernels=None), "raft_mlp", "authors", {}),
    "raft_mlp mixer": (lambda: raft_mlp(token_mixing="mixer"), "raft_mlp", "authors", {}),
    "raft_mlp multi level": (raft_mlp, "raft_mlp", "authors", {"pool": "multi_level"}),
    "gfnet": (gfnet, "gfnet", "authors", {}),
    "gfnet_h": (gfnet_h, "gfnet_h", "authors", {}),
    "smlp_net": (smlp_net, "smlp_net", "authors", {}),
    "rep_mlp_net": (rep_mlp_net, "rep_mlp_net", "authors", {}),
    "rep_mlp_net merged": (lambda: rep_mlp_net(deploy=True), "rep_mlp_net", "authors", {}),
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
