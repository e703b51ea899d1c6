"""The references' presets as our models."""

import dataclasses

import keras

import mixer_tf as mt


@dataclasses.dataclass(frozen=True)
class Preset:
    """How we build what the reference builds.

    Attributes:
        backbone: our name of it.
        architecture: its table in `mixer_tf/weights/layouts/`.
        layout: whose names the reference's arrays have.
        arguments: of `create_backbone`, beyond the variant's own.
        head: arguments of the head; None for none.
    """

    backbone: str
    architecture: str
    layout: str
    arguments: dict = dataclasses.field(default_factory=dict)
    head: dict | None = dataclasses.field(default_factory=dict)


def side(pixels: int) -> dict:
    """A square image."""
    return {"image_shape": (pixels, pixels, 3)}


def build(preset: str) -> keras.Model:
    """The model of a preset, with its head."""
    row = PRESETS[preset]
    backbone = mt.create_backbone(row.backbone, **row.arguments)
    if row.head is None:
        return backbone
    if row.architecture == "bert":
        return mt.masked_language_model(backbone, next_sentence=True)
    if row.architecture == "gpt2":
        return mt.causal_language_model(backbone)
    if row.architecture == "eanet":
        return mt.segmenter(backbone, 21, **row.head)
    return mt.classifier(backbone, 1000, **row.head)


def _vit(size: str, patch: int, pixels: int) -> Preset:
    return Preset(f"vit_{size}{patch}", "vit", "timm", side(pixels))


def _raft(size: str) -> Preset:
    return Preset(f"raft_mlp_{size}", "raft_mlp", "authors")


PRESETS = {
    **{f"resnet{depth}": Preset(f"resnet{depth}", "resnet", "timm") for depth in (18, 34, 50, 101, 152)},
    **{
        f"bert_{size}_uncased": Preset(f"bert_{size}", "bert", "huggingface")
        for size in ("tiny", "mini", "small", "medium", "base", "large")
    },
    **{
        name: Preset(name, "bert", "huggingface")
        for name in ("bert_base_cased", "bert_large_cased", "bert_base_multilingual_cased", "bert_base_chinese")
    },
    **{name: Preset(name, "gpt2", "huggingface") for name in ("gpt2", "gpt2_medium", "gpt2_large", "gpt2_xl")},
    "vit_tiny_patch16_224": _vit("ti", 16, 224),
    "vit_tiny_patch16_384": _vit("ti", 16, 384),
    "vit_small_patch32_224": _vit("s", 32, 224),
    "vit_small_patch32_384": _vit("s", 32, 384),
    "vit_small_patch16_224": _vit("s", 16, 224),
    "vit_small_patch16_384": _vit("s", 16, 384),
    "vit_base_patch32_224": _vit("b", 32, 224),
    "vit_base_patch32_384": _vit("b", 32, 384),
    "vit_base_patch16_224": _vit("b", 16, 224),
    "vit_base_patch16_384": _vit("b", 16, 384),
    "vit_base_patch8_224": _vit("b", 8, 224),
    "vit_base_patch16_gap_224": Preset("vit_b16_gap", "vit", "timm"),
    "vit_large_patch32_224": _vit("l", 32, 224),
    "vit_large_patch32_384": _vit("l", 32, 384),
    "vit_large_patch16_224": _vit("l", 16, 224),
    "vit_large_patch16_384": _vit("l", 16, 384),
    "vit_huge_patch14_224": _vit("h", 14, 224),
    "dinov2_small": Preset("dinov2_s14", "vit", "huggingface", head=None),
    **{
        f"mixer_{size}_224": Preset(f"mlp_mixer_{size}", "mlp_mixer", "timm")
        for size in ("s32", "s16", "b32", "b16", "l32", "l16", "h14")
    },
    **{f"gmixer_{depth}_224": Preset(f"gmixer_{depth}", "mlp_mixer", "timm") for depth in (12, 24)},
    **{f"ff_linear_{size}": Preset(f"ff_only_{size}", "ff_only", "authors") for size in ("tiny", "base", "large")},
    **{
        f"{name}_224": Preset(f"resmlp_{size}", "resmlp", "timm")
        for name, size in (("resmlp_12", "s12"), ("resmlp_24", "s24"), ("resmlp_36", "s36"), ("resmlp_big_24", "b24"))
    },
    **{
        name: Preset(f"resmlp_{size}", "resmlp", "facebook")
        for name, size in (("fb_resmlp_12", "s12"), ("fb_resmlp_24", "s24"), ("fb_resmlp_36", "s36"))
    },
    "fb_resmlpB_24": Preset("resmlp_b24", "resmlp", "facebook"),
    **{f"eamlp_T2t_vit_{depth}_224": Preset(f"eamlp_{depth}", "eamlp", "authors") for depth in (7, 10, 12, 14, 19, 24)},
    "eamlp_T2t_vit_7_384": Preset("eamlp_7", "eamlp", "authors", side(384)),
    **{f"eamlp_T2t_vit_t_{depth}_224": Preset(f"eamlp_t_{depth}", "eamlp", "authors_t") for depth in (14, 19, 24)},
    **{f"eanet_seg_resnet{depth}": Preset(f"eanet_resnet{depth}", "eanet", "authors") for depth in (50, 101)},
    **{f"gmlp_{size}_224": Preset(f"gmlp_{size}", "gmlp", "timm") for size in ("ti16", "s16", "b16")},
    "raftmlp_s": _raft("s"),
    "raftmlp_m": _raft("m"),
    "raftmlp_l": _raft("l"),
    "raft_mlp_hierarchy_m": _raft("m_patches"),
    "raft_mlp": _raft("isotropic_r4"),
    "raft_mlp_r_2": _raft("isotropic_r2"),
    "raft_mlp_r_2_cross_mlp_emb": _raft("isotropic_r2_multi_scale"),
    "raft_mlp_r_1": _raft("isotropic_r1"),
    "raft_mlp_deep": _raft("isotropic_deep"),
    "org_mixer": _raft("isotropic_mixer"),
    **{
        f"cyclemlp_{size}": Preset(f"cycle_mlp_{size}", "cycle_mlp", "authors")
        for size in ("b1", "b2", "b3", "b4", "b5")
    },
    **{f"wavemlp_{size}": Preset(f"wave_mlp_{size}", "wave_mlp", "authors") for size in ("t_dw", "t", "s", "m", "b")},
    **{
        f"hiremlp_{size}": Preset(f"hire_mlp_{size[0]}", "hire_mlp", "authors")
        for size in ("tiny", "small", "base", "large")
    },
    **{f"vip_{size}": Preset(f"vip_{size}", "vip", "authors") for size in ("s14", "s7", "m7", "l7")},
    **{f"gfnet_{size}": Preset(f"gfnet_{size}", "gfnet", "authors") for size in ("ti", "xs", "s", "b")},
    **{f"gfnet_h_{size}": Preset(f"gfnet_h_{size}", "gfnet_h", "authors") for size in ("ti", "s", "b")},
    **{f"smlpnet_{size}": Preset(f"smlp_net_{size}", "smlp_net", "authors") for size in ("t", "s", "b")},
    **{
        f"repmlpnet_{size}": Preset(f"rep_mlp_net_{size}", "rep_mlp_net", "authors", side(int(size[1:])))
        for size in ("t224", "b224", "t256", "b256", "d256", "l256")
    },
    **{f"asmlp_{size}": Preset(f"as_mlp_{size}", "as_mlp", "authors") for size in "tsb"},
    **{f"convmlp_{size}": Preset(f"conv_mlp_{size}", "conv_mlp", "authors") for size in "sml"},
    **{f"s2mlp_{size}": Preset(f"s2_mlp_{size}", "s2_mlp", "jittor_mlp") for size in ("wide", "deep")},
    "s2mlpv2_small_7_quarter_split": Preset("s2_mlp_v2_s7", "s2_mlp_v2", "jittor_mlp"),
    "s2mlpv2_medium_7_quarter_split": Preset("s2_mlp_v2_m7", "s2_mlp_v2", "jittor_mlp"),
    "s2mlpv2_small_7": Preset("s2_mlp_v2_s7", "s2_mlp_v2", "jittor_mlp", {"split_attention_ratio": 1}),
    "s2mlpv2_medium_7": Preset("s2_mlp_v2_m7", "s2_mlp_v2", "jittor_mlp", {"split_attention_ratio": 1}),
    **{f"msmlp_{size}": Preset(f"ms_mlp_{size}", "ms_mlp", "authors") for size in "tsb"},
}
