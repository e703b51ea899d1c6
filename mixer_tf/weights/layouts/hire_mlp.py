"""Hire-MLP's checkpoints: the authors' names.

They publish T, S and B on the releases page of ggjy/Hire-Wave-MLP.pytorch; not L.
"""

from __future__ import annotations

from mixer_tf.weights.layout import TORCH, Layout, Parts, conv1x1


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    return {**imagenet, "crop": 0.9, "interpolation": "bicubic"}


def _into_hidden(shape: tuple[int, ...], heads: int) -> tuple[int, ...]:
    """Kernel (hidden, channel, pixel of the region) as that of a 1x1 convolution."""
    hidden, channels, pixels = shape
    return (hidden, channels * pixels, 1, 1)


def _out_of_hidden(shape: tuple[int, ...], heads: int) -> tuple[int, ...]:
    """Kernel (channel, pixel of the region, hidden) as that of a 1x1 convolution."""
    channels, pixels, hidden = shape
    return (channels * pixels, hidden, 1, 1)


def _flat(shape: tuple[int, ...], heads: int) -> tuple[int, ...]:
    channels, pixels = shape
    return (channels * pixels,)


_BLOCK = "network.{2i-2}.{j-1}"
_MIXING = f"{_BLOCK}.attn"


def _region_mlp(ours: str, theirs: str) -> dict[str, str | Parts]:
    """The branch over regions; the reference's axis of channels and pixels has the pixels fastest."""
    return {
        f"{ours}_fc1/kernel": Parts((f"{theirs}1.weight",), axes=(2, 1, 0), shape=_into_hidden),
        f"{ours}_norm": f"{theirs}1_norm",
        f"{ours}_fc2/kernel": Parts((f"{theirs}2.weight",), axes=(2, 1, 0), shape=_out_of_hidden),
        f"{ours}_fc2/bias": Parts((f"{theirs}2.bias",), axes=(1, 0), shape=_flat),
    }


AUTHORS = Layout(
    name="authors",
    convention=TORCH,
    modules={
        "stem_patch_embedding": "patch_embed.proj",
        "stem_norm": "patch_embed.norm",
        "stage{i}_downsample": "network.{2i-3}.proj",
        "stage{i}_downsample_norm": "network.{2i-3}.norm",
        "stage{i}_block{j}_norm{n}": f"{_BLOCK}.norm{{n}}",
        **_region_mlp("stage{i}_block{j}_rows", f"{_MIXING}.mlp_h"),
        **_region_mlp("stage{i}_block{j}_columns", f"{_MIXING}.mlp_w"),
        "stage{i}_block{j}_channel": conv1x1(f"{_MIXING}.mlp_c"),
        "stage{i}_block{j}_fusion_fc{n}": conv1x1(f"{_MIXING}.reweight.fc{{n}}"),
        "stage{i}_block{j}_projection": conv1x1(f"{_MIXING}.proj"),
        "stage{i}_block{j}_mlp_fc{n}": conv1x1(f"{_BLOCK}.mlp.fc{{n}}"),
        "norm": "norm",
        "head": "head",
    },
    preprocessing=_preprocessing,
)

LAYOUTS = (AUTHORS,)
