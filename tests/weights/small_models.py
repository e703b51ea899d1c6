"""Tiny models, whose sizes are pairwise different and whose pictures are not square, and arrays to load into them."""

import functools

import keras
import numpy as np

import mixer_tf as mt
from mixer_tf.layers.external_attention import external_attention_2d, multihead_external_attention
from mixer_tf.weights.layouts import layout_named
from tests.backbones.tiny import tiny_backbone, tiny_encoder

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


def tiny(architecture, **sizes):
    """A builder of the tiny model, with other sizes where the test of its checkpoints needs them."""
    return functools.partial(tiny_backbone, architecture, **sizes)


ff_only, resmlp, eamlp, gmlp = (tiny(name) for name in ("ff_only", "resmlp", "eamlp", "gmlp"))
raft_mlp, cycle_mlp, wave_mlp, hire_mlp = (tiny(name) for name in ("raft_mlp", "cycle_mlp", "wave_mlp", "hire_mlp"))
gfnet, gfnet_h, smlp_net, conv_mlp = (tiny(name) for name in ("gfnet", "gfnet_h", "smlp_net", "conv_mlp"))
as_mlp, s2_mlp, s2_mlp_v2, ms_mlp = (tiny(name) for name in ("as_mlp", "s2_mlp", "s2_mlp_v2", "ms_mlp"))
rep_mlp_net = tiny("rep_mlp_net")
# Of the three stages only the third has a transition, so that numbers of stages and of modules differ.
vip = tiny("vip", stage_depths=(1, 2, 1), stage_widths=(12, 12, 10), segments=(4, 4, 2), mlp_ratios=(2, 3, 2))
bert, gpt2 = (functools.partial(tiny_encoder, name) for name in ("bert", "gpt2"))


def bert_with_heads(**arguments):
    return mt.masked_language_model(bert(**arguments), next_sentence=True)


def eanet(image_shape=IMAGE_SHAPE, **arguments):
    sizes = {"stage_depths": (1, 2), "stage_widths": (5, 6), "stem_dim": 4, "expansion": 3, "multi_grid": (1, 2)}
    neck = {"attention_dim": 11, "memory_units": 7, "output_dim": 9}
    return mt.create_backbone("eanet", image_shape, **{**sizes, **neck, **arguments})


def external_attention_block(block, shape, **arguments):
    x = keras.Input(shape)
    return keras.Model(x, block(x, **arguments))


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
