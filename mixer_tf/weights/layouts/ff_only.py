"""FF-only's checkpoints: the author's names. He published tiny and base, as training checkpoints."""

import numpy as np

from mixer_tf.layers.resize import antialiased_bicubic_matrix, resize_grid
from mixer_tf.weights.layout import TORCH, Binding, Layout, Parts
from mixer_tf.weights.resizing import Grids, Resized, tokens


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    return {**imagenet, "crop": 0.875, "interpolation": "bicubic"}  # DeiT's: 256 pixels, of which 224


def _grid_positions(table: np.ndarray, binding: Binding, grids: Grids) -> Resized | None:
    """The rule of the positions `[1, h, w, c]`: as for other tables, bicubic with antialias."""
    (one, *old, channels), (_, *new, our_channels) = table.shape, binding.variable.shape
    if old == new or one != 1 or channels != our_channels:
        return None
    return resize_grid(table[0], tuple(new), antialiased_bicubic_matrix)[None], tuple(old), tuple(new)


AUTHORS = Layout(
    name="authors",
    convention=TORCH,
    modules={
        "stem_patch_embedding": "patch_embed.proj",
        "class_token/token": "cls_token",
        "position_embedding/class_row": "pos_encoding.cls_pos_embed",
        "position_embedding/table": Parts(("pos_encoding.pos_embed",), axes=(0, 3, 1, 2)),
        "block{i}_norm{n}": "blocks.{i}.norm{n}",
        "block{i}_channel_mixing_fc{n}": "blocks.{i}.mlp1.fc{n}",
        "block{i}_token_mixing_fc{n}": "blocks.{i}.mlp2.fc{n}",
        "norm": "norm",
        "head": "head",
    },
    preprocessing=_preprocessing,
    resized={
        "position_embedding/table": _grid_positions,
        "block{i}_norm2": tokens(outputs=(0,), prefix=1),  # over the tokens
        "block{i}_token_mixing_fc1/kernel": tokens(inputs=(0,), prefix=1),
        "block{i}_token_mixing_fc2/kernel": tokens(outputs=(1,), prefix=1),
        "block{i}_token_mixing_fc2/bias": tokens(outputs=(0,), prefix=1),
    },
)

LAYOUTS = (AUTHORS,)
