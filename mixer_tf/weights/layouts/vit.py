"""ViT's and DINOv2's checkpoints: timm's names (also Facebook's), Google's in Flax, Hugging Face's."""

from __future__ import annotations

from mixer_tf.weights.layout import FLAX, TORCH, Layout, Parts


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    if {"mask_token", "block0_attention_scale"} & layer_names:
        return _dinov2_preprocessing(file_name, image_size, layer_names)
    crop = 0.9 if min(image_size) < 384 else 1.0
    return {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "crop": crop, "interpolation": "bicubic"}


def _dinov2_preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    return {**imagenet, "crop": 0.875, "interpolation": "bicubic"}


TIMM = Layout(
    name="timm",
    convention=TORCH,
    modules={
        "stem_patch_embedding": "patch_embed.proj",
        "mask_token/token": "mask_token",
        "class_token/token": "cls_token",
        "position_embedding/table": "pos_embed",
        "block{i}_norm{n}": "blocks.{i}.norm{n}",
        "block{i}_attention_qkv": "blocks.{i}.attn.qkv",
        "block{i}_attention_projection": "blocks.{i}.attn.proj",
        "block{i}_attention_scale/gamma": "blocks.{i}.ls1.gamma",
        "block{i}_mlp_fc{n}": "blocks.{i}.mlp.fc{n}",
        "block{i}_mlp_scale/gamma": "blocks.{i}.ls2.gamma",
        "norm": "norm",
        "head_norm": "fc_norm",
        "pre_logits": "pre_logits.fc",
        "head": "head",
    },
    preprocessing=_preprocessing,
    optional=("mask_token",),  # Facebook's files have it, timm's do not
)


def _output_heads(shape: tuple[int, ...], num_heads: int) -> tuple[int, ...]:
    """Flax keeps the heads as an axis of their own: kernel (c, heads, d), bias (heads, d)."""
    return (*shape[:-1], num_heads, shape[-1] // num_heads)


def _input_heads(shape: tuple[int, ...], num_heads: int) -> tuple[int, ...]:
    """Kernel (heads, d, c); the bias (c) as it is."""
    return (num_heads, shape[0] // num_heads, shape[1]) if len(shape) == 2 else shape


_BLOCK = "Transformer/encoderblock_{i}"
_ATTENTION = f"{_BLOCK}/MultiHeadDotProductAttention_1"

GOOGLE = Layout(
    name="google",
    convention=FLAX,
    modules={
        "stem_patch_embedding": "embedding",
        "class_token/token": "cls",
        "position_embedding/table": "Transformer/posembed_input/pos_embedding",
        "block{i}_norm1": f"{_BLOCK}/LayerNorm_0",
        "block{i}_attention_qkv": Parts(
            (f"{_ATTENTION}/query", f"{_ATTENTION}/key", f"{_ATTENTION}/value"), shape=_output_heads
        ),
        "block{i}_attention_projection": Parts((f"{_ATTENTION}/out",), shape=_input_heads),
        "block{i}_norm2": f"{_BLOCK}/LayerNorm_2",
        "block{i}_mlp_fc{n}": _BLOCK + "/MlpBlock_3/Dense_{n-1}",
        "norm": "Transformer/encoder_norm",
        "pre_logits": "pre_logits",
        "head": "head",
    },
    preprocessing=_preprocessing,
)

_LAYER = "encoder.layer.{i}"
_ATTENTION = f"{_LAYER}.attention.attention"

HUGGINGFACE = Layout(
    name="huggingface",
    convention=TORCH,
    modules={
        "stem_patch_embedding": "embeddings.patch_embeddings.projection",
        "mask_token/token": "embeddings.mask_token",
        "class_token/token": "embeddings.cls_token",
        "position_embedding/table": "embeddings.position_embeddings",
        "block{i}_norm{n}": f"{_LAYER}.norm{{n}}",
        "block{i}_attention_qkv": Parts((f"{_ATTENTION}.query", f"{_ATTENTION}.key", f"{_ATTENTION}.value")),
        "block{i}_attention_projection": f"{_LAYER}.attention.output.dense",
        "block{i}_attention_scale/gamma": f"{_LAYER}.layer_scale1.lambda1",
        "block{i}_mlp_fc{n}": f"{_LAYER}.mlp.fc{{n}}",
        "block{i}_mlp_scale/gamma": f"{_LAYER}.layer_scale2.lambda1",
        "norm": "layernorm",
        "head": "classifier",
    },
    preprocessing=_dinov2_preprocessing,
    respelled={  # newer transformers
        r"^dinov2\.": "",
        r"\.attention\.q_proj\.": ".attention.attention.query.",
        r"\.attention\.k_proj\.": ".attention.attention.key.",
        r"\.attention\.v_proj\.": ".attention.attention.value.",
        r"\.attention\.o_proj\.": ".attention.output.dense.",
    },
)

LAYOUTS = (TIMM, GOOGLE, HUGGINGFACE)
