"""ResMLP's checkpoints: timm's names, and those of the authors' files (facebookresearch/deit)."""

from mixer_tf.weights.layout import TORCH, Layout, Parts
from mixer_tf.weights.resizing import tokens

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "interpolation": "bicubic"}


def _timm_preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    return {**_IMAGENET, "crop": 0.875}


def _facebook_preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    return {**_IMAGENET, "crop": 0.9}


def _affine(array: str) -> Parts:
    """Name a scale or a shift, which timm keeps with axes for the batch and the tokens."""
    return Parts((array,), shape=lambda shape, heads: (1, 1, *shape))


_RESIZED = {
    "block{i}_token_mixing/kernel": tokens(inputs=(0,), outputs=(1,)),
    "block{i}_token_mixing/bias": tokens(outputs=(0,)),
}

TIMM = Layout(
    name="timm",
    convention=TORCH,
    modules={
        "stem_patch_embedding": "stem.proj",
        "block{i}_norm{n}/alpha": _affine("blocks.{i}.norm{n}.alpha"),
        "block{i}_norm{n}/beta": _affine("blocks.{i}.norm{n}.beta"),
        "block{i}_token_mixing": "blocks.{i}.linear_tokens",
        "block{i}_token_mixing_scale/gamma": "blocks.{i}.ls1",
        "block{i}_channel_mixing_fc{n}": "blocks.{i}.mlp_channels.fc{n}",
        "block{i}_channel_mixing_scale/gamma": "blocks.{i}.ls2",
        "norm/alpha": _affine("norm.alpha"),
        "norm/beta": _affine("norm.beta"),
        "head": "head",
    },
    preprocessing=_timm_preprocessing,
    resized=_RESIZED,
)

FACEBOOK = Layout(
    name="facebook",
    convention=TORCH,
    modules={
        "stem_patch_embedding": "patch_embed.proj",
        "block{i}_norm{n}/alpha": "blocks.{i}.norm{n}.alpha",
        "block{i}_norm{n}/beta": "blocks.{i}.norm{n}.beta",
        "block{i}_token_mixing": "blocks.{i}.attn",
        "block{i}_token_mixing_scale/gamma": "blocks.{i}.gamma_1",
        "block{i}_channel_mixing_fc{n}": "blocks.{i}.mlp.fc{n}",
        "block{i}_channel_mixing_scale/gamma": "blocks.{i}.gamma_2",
        "norm/alpha": "norm.alpha",
        "norm/beta": "norm.beta",
        "head": "head",
    },
    preprocessing=_facebook_preprocessing,
    resized=_RESIZED,
)

LAYOUTS = (TIMM, FACEBOOK)
