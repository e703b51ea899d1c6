"""CycleMLP's checkpoints: the authors' names. They publish B1 to B5 on the releases page of ShoufaChen/CycleMLP."""

from __future__ import annotations

import numpy as np

from mixer_tf.layers.cycle import cycle_steps
from mixer_tf.weights.layout import TORCH, Layout, conv1x1


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    return {**imagenet, "crop": 0.875, "interpolation": "bicubic"}  # 224 of 256, as the authors evaluate all sizes


def _offset(model, layer) -> np.ndarray:
    """The steps as torchvision's `deform_conv2d` wants them: row and column of the first channel, then of the next."""
    steps = cycle_steps(layer.kernel.shape[0], layer.kernel_size)
    return steps.astype(np.float32).reshape(1, -1, 1, 1)


_BLOCK = "network.{2i-2}.{j-1}"

AUTHORS = Layout(
    name="authors",
    convention=TORCH,
    modules={
        "stem_patch_embedding": "patch_embed.proj",
        "stage{i}_downsample": "network.{2i-3}.proj",
        "stage{i}_block{j}_norm{n}": f"{_BLOCK}.norm{{n}}",
        "stage{i}_block{j}_cycle1": conv1x1(f"{_BLOCK}.attn.sfc_h"),
        "stage{i}_block{j}_cycle2": conv1x1(f"{_BLOCK}.attn.sfc_w"),
        "stage{i}_block{j}_channel": f"{_BLOCK}.attn.mlp_c",
        "stage{i}_block{j}_fusion_fc{n}": f"{_BLOCK}.attn.reweight.fc{{n}}",
        "stage{i}_block{j}_projection": f"{_BLOCK}.attn.proj",
        "stage{i}_block{j}_mlp_fc{n}": f"{_BLOCK}.mlp.fc{{n}}",
        "norm": "norm",
        "head": "head",
    },
    preprocessing=_preprocessing,
    derived={
        f"{_BLOCK}.attn.sfc_h.offset": ("stage{i}_block{j}_cycle1", _offset),
        f"{_BLOCK}.attn.sfc_w.offset": ("stage{i}_block{j}_cycle2", _offset),
    },
)

LAYOUTS = (AUTHORS,)
