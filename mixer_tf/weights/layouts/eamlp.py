"""EAMLP's checkpoints: the authors' names (MenghaoGuo/EANet). They published EAMLP-7 at 384 pixels."""

from __future__ import annotations

import math

import keras
import numpy as np

from mixer_tf.layers.positions import sinusoid_table
from mixer_tf.weights.layout import TORCH, Binding, Layout, Parts
from mixer_tf.weights.resizing import Grids, Resized

_KERNEL_SIZES = {"1": 7, "2": 3}  # of the windows that the stem's blocks read


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    return {**imagenet, "crop": 0.9, "interpolation": "bicubic"}


def _channel_first(layer: keras.layers.Layer, variable: keras.Variable) -> np.ndarray | None:
    """PyTorch's order of the entries of a window: channel, row, column. Ours is row, column, channel."""
    if variable.name == "bias":
        return None
    size = _KERNEL_SIZES[layer.name.removeprefix("stem_block")[0]]
    entries = np.arange(variable.shape[0]).reshape(size, size, -1)
    return entries.transpose(2, 0, 1).ravel()


def _sinusoid(table: np.ndarray, binding: Binding, grids: Grids) -> Resized | None:
    """The rule of the fixed positions, which only number the tokens: computed anew for another number."""
    (_, old, channels), (_, new, _) = table.shape, binding.variable.shape
    old_grid = grids.stored_with(old - 1)
    fixed = np.allclose(table, sinusoid_table(old, channels), atol=1e-4)
    if old == new or old_grid is None or grids.model is None or not fixed:
        return None
    return sinusoid_table(new, channels)[None].astype(table.dtype), old_grid, grids.model


def _flat(shape: tuple[int, ...], heads: int) -> tuple[int, ...]:
    """A convolution of ours is a linear layer over the unfolded windows there."""
    return (shape[0], math.prod(shape[1:])) if len(shape) == 4 else shape


def _layout(name: str, keys: str, values: str) -> Layout:
    """The names of the models whose stem calls its memory so."""
    stem = "tokens_to_token.attention{n}"
    return Layout(
        name=name,
        convention=TORCH,
        modules={
            "stem_block{n}_norm1": Parts((f"{stem}.norm1",), rows=_channel_first),
            "stem_block{n}_query": Parts((f"{stem}.attn.q_linear",), rows=_channel_first),
            "stem_block{n}_attention_keys": f"{stem}.attn.{keys}",
            "stem_block{n}_attention_values": f"{stem}.attn.{values}",
            "stem_block{n}_attention_projection": f"{stem}.attn.proj",
            "stem_block{n}_norm2": f"{stem}.norm2",
            "stem_block{n}_mlp_fc{k}": f"{stem}.mlp.fc{{k}}",
            "stem_projection": Parts(("tokens_to_token.project",), shape=_flat),
            "class_token/token": "cls_token",
            "position_embedding/table": "pos_embed",
            "block{i}_norm{n}": "blocks.{i}.norm{n}",
            "block{i}_attention_expansion": "blocks.{i}.attn.trans_dims",
            "block{i}_attention_keys": "blocks.{i}.attn.linear_0",
            "block{i}_attention_values": "blocks.{i}.attn.linear_1",
            "block{i}_attention_projection": "blocks.{i}.attn.proj",
            "block{i}_mlp_fc{n}": "blocks.{i}.mlp.fc{n}",
            "norm": "norm",
            "head": "head",
        },
        preprocessing=_preprocessing,
        resized={"position_embedding/table": _sinusoid},
    )


PERFORMER = _layout("authors", "linear_0", "linear_1")
TRANSFORMER = _layout("authors_t", "linear_1", "linear_2")  # the models with a t

LAYOUTS = (PERFORMER, TRANSFORMER)
