"""ViP's checkpoints: the authors' names. They publish S/7, M/7 and L/7 from houqb/VisionPermutator; not S/14."""

from __future__ import annotations

import re
from collections.abc import Callable

import keras

from mixer_tf.weights.layout import TORCH, Layout, conv1x1
from mixer_tf.weights.resizing import segments


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    is_large = "stage1_block8_norm1" in layer_names
    return {**imagenet, "crop": 0.875 if is_large else 0.9, "interpolation": "bicubic"}


def _numbering(model: keras.Model) -> Callable[[str], str]:
    """The reference counts stages and the transitions before them alike, and only some stages have one."""
    names = [re.fullmatch(r"stage(\d+)_downsample", layer.name) for layer in model.layers]
    transitions = [int(match[1]) - 1 for match in names if match]

    def numbered(match: re.Match) -> str:
        stage, is_transition = int(match[1]), match[2]
        before = sum(other < stage or (other == stage and not is_transition) for other in transitions)
        return f"network.{stage + before}.{is_transition or ''}"

    return lambda array: re.sub(r"^network\.(\d+)\.(proj\.)?", numbered, array)


_BLOCK = "network.{i-1}.{j-1}"

AUTHORS = Layout(
    name="authors",
    convention=TORCH,
    modules={
        "stem_patch_embedding": "patch_embed.proj",
        "stage{i}_downsample": conv1x1("network.{i-1}.proj"),
        "stage{i}_block{j}_norm{n}": f"{_BLOCK}.norm{{n}}",
        "stage{i}_block{j}_rows": f"{_BLOCK}.attn.mlp_h",
        "stage{i}_block{j}_columns": f"{_BLOCK}.attn.mlp_w",
        "stage{i}_block{j}_channel": f"{_BLOCK}.attn.mlp_c",
        "stage{i}_block{j}_fusion_fc{n}": f"{_BLOCK}.attn.reweight.fc{{n}}",
        "stage{i}_block{j}_projection": f"{_BLOCK}.attn.proj",
        "stage{i}_block{j}_mlp_fc{n}": f"{_BLOCK}.mlp.fc{{n}}",
        "norm": "norm",
        "head": "head",
    },
    preprocessing=_preprocessing,
    numbering=_numbering,
    resized={"stage{i}_block{j}_rows": segments, "stage{i}_block{j}_columns": segments},
    published_side=224,
)

LAYOUTS = (AUTHORS,)
