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
    return mt.classifier(backbone, 1000, **row.head)


def _vit(size: str, patch: int, pixels: int) -> Preset:
    return Preset(f"vit_{size}{patch}", "vit", "timm", side(pixels))


PRESETS = {
    **{f"resnet{depth}": Preset(f"resnet{depth}", "resnet", "timm") for depth in (18, 34, 50, 101, 152)},
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
    **{f"asmlp_{size}": Preset(f"as_mlp_{size}", "as_mlp", "authors") for size in "tsb"},
    **{f"convmlp_{size}": Preset(f"conv_mlp_{size}", "conv_mlp", "authors") for size in "sml"},
    **{f"s2mlp_{size}": Preset(f"s2_mlp_{size}", "s2_mlp", "jittor_mlp") for size in ("wide", "deep")},
    "s2mlpv2_small_7_quarter_split": Preset("s2_mlp_v2_s7", "s2_mlp_v2", "jittor_mlp"),
    "s2mlpv2_medium_7_quarter_split": Preset("s2_mlp_v2_m7", "s2_mlp_v2", "jittor_mlp"),
    "s2mlpv2_small_7": Preset("s2_mlp_v2_s7", "s2_mlp_v2", "jittor_mlp", {"split_attention_ratio": 1}),
    "s2mlpv2_medium_7": Preset("s2_mlp_v2_m7", "s2_mlp_v2", "jittor_mlp", {"split_attention_ratio": 1}),
    **{f"msmlp_{size}": Preset(f"ms_mlp_{size}", "ms_mlp", "authors") for size in "tsb"},
}
