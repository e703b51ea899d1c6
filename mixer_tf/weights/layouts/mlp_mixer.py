"""MLP-Mixer's checkpoints: timm's names, and Google's own in Flax."""

from mixer_tf.weights.layout import FLAX, TORCH, Layout
from mixer_tf.weights.resizing import tokens


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    if "miil" in file_name:  # trained by Alibaba's MIIL on pictures in [0, 1]
        return {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "crop": 0.875, "interpolation": "bilinear"}
    if "block0_token_mixing_gate" in layer_names:  # timm's gmixer
        imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
        return {**imagenet, "crop": 0.875, "interpolation": "bicubic"}
    return {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "crop": 0.875, "interpolation": "bicubic"}


RESIZED = {
    "block{i}_token_mixing_fc1/kernel": tokens(inputs=(0,)),
    "block{i}_token_mixing_fc2/kernel": tokens(outputs=(1,)),
    "block{i}_token_mixing_fc2/bias": tokens(outputs=(0,)),
}

TIMM = Layout(
    name="timm",
    convention=TORCH,
    modules={
        "stem_patch_embedding": "stem.proj",
        "block{i}_norm{n}": "blocks.{i}.norm{n}",
        "block{i}_token_mixing_fc{n}": "blocks.{i}.mlp_tokens.fc{n}",
        "block{i}_channel_mixing_fc{n}": "blocks.{i}.mlp_channels.fc{n}",
        "norm": "norm",
        "head": "head",
    },
    preprocessing=_preprocessing,
    resized=RESIZED,
)

GOOGLE = Layout(
    name="google",
    convention=FLAX,
    modules={
        "stem_patch_embedding": "stem",
        "block{i}_norm{n}": "MixerBlock_{i}/LayerNorm_{n-1}",
        "block{i}_token_mixing_fc{n}": "MixerBlock_{i}/token_mixing/Dense_{n-1}",
        "block{i}_channel_mixing_fc{n}": "MixerBlock_{i}/channel_mixing/Dense_{n-1}",
        "norm": "pre_head_layer_norm",
        "head": "head",
    },
    preprocessing=_preprocessing,
    resized=RESIZED,
)

LAYOUTS = (TIMM, GOOGLE)
