"""RaftMLP's checkpoints under the authors' names. They publish no weights; the names are those of their code."""

from __future__ import annotations

import numpy as np

from mixer_tf.weights.layout import TORCH, Layout, Parts
from mixer_tf.weights.resizing import pretrained_size_needed


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    return {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "crop": 0.875, "interpolation": "bilinear"}


def _raft_order(layer, variable) -> np.ndarray:
    """The reference stores channel `raft * groups + group` at `group * rafts + raft`."""
    return np.arange(variable.shape[0]).reshape(layer.raft_size, -1).T.ravel()


def _pixel_major(module: str) -> Parts:
    """A convolution of ours that the reference has as a matrix over (row, column, channel)."""
    return Parts((module,), axes=(3, 0, 1, 2), shape=lambda shape, heads: (shape[0], int(np.prod(shape[1:]))))


_BLOCK = "levels.{i-1}.fn.{j+1}"

AUTHORS = Layout(
    name="authors",
    convention=TORCH,
    modules={
        "stem_multi_scale_embedding/kernel": Parts(("levels.0.fn.0.fc.weight",), axes=(1, 0)),
        "stem_multi_scale_embedding/bias": "levels.0.fn.0.fc.bias",
        "stem_patch_embedding/kernel": _pixel_major("levels.0.fn.1.weight"),
        "stem_patch_embedding/bias": "levels.0.fn.1.bias",
        "stage{i}_downsample_multi_scale_embedding/kernel": Parts(("levels.{i-1}.fn.0.fc.weight",), axes=(1, 0)),
        "stage{i}_downsample_multi_scale_embedding/bias": "levels.{i-1}.fn.0.fc.bias",
        "stage{i}_downsample_patch_embedding/kernel": _pixel_major("levels.{i-1}.fn.1.weight"),
        "stage{i}_downsample_patch_embedding/bias": "levels.{i-1}.fn.1.bias",
        "stage{i}_block{j}_vertical_norm": Parts((f"{_BLOCK}.1.norm.1",), rows=_raft_order),
        "stage{i}_block{j}_vertical_fc{n}": f"{_BLOCK}.1.fn.{{3n-3}}",
        "stage{i}_block{j}_horizontal_norm": Parts((f"{_BLOCK}.3.norm.1",), rows=_raft_order),
        "stage{i}_block{j}_horizontal_fc{n}": f"{_BLOCK}.3.fn.{{3n-3}}",
        "stage{i}_block{j}_channel_norm": f"{_BLOCK}.5.norm",
        "stage{i}_block{j}_channel_fc{n}": f"{_BLOCK}.5.fn.{{3n-3}}",
        "stage{i}_block{j}_token_mixing_norm": f"{_BLOCK}.1.norm.1",
        "stage{i}_block{j}_token_mixing_fc{n}": f"{_BLOCK}.1.fn.{{3n-3}}",
        "stage{i}_block{j}_channel_mixing_norm": f"{_BLOCK}.3.norm",
        "stage{i}_block{j}_channel_mixing_fc{n}": f"{_BLOCK}.3.fn.{{3n-3}}",
        "norm": "heads.0.1",
        "head_level{i}_norm": "heads.{i-1}.1",
        "head_level{i}_projection": "heads.{i-1}.4",
        "head": "classifier",
    },
    preprocessing=_preprocessing,
    resized={
        f"stage{{i}}_block{{j}}_{mixing}_fc1/kernel": pretrained_size_needed for mixing in ("vertical", "horizontal")
    },
)

LAYOUTS = (AUTHORS,)
