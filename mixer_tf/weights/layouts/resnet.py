"""ResNet's checkpoints: timm and torchvision share every name."""

from __future__ import annotations

import re

from mixer_tf.weights.layout import TORCH, Layout


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    if re.search(r"[._]a[123]_", file_name):  # timm's "ResNet strikes back" recipes
        return {**imagenet, "crop": 0.95, "interpolation": "bicubic"}
    if re.search("tv2|11ad3fa6|cd907fc2|f82ba261", file_name):  # torchvision's V2, also by the hash in its file names
        return {**imagenet, "crop": 0.965, "interpolation": "bilinear"}
    return {**imagenet, "crop": 0.875, "interpolation": "bilinear"}


TIMM = Layout(
    name="timm",
    convention=TORCH,
    modules={
        "stem": "conv1",
        "stem_norm": "bn1",
        "stage{i}_block{j}_conv{k}": "layer{i}.{j-1}.conv{k}",
        "stage{i}_block{j}_conv{k}_norm": "layer{i}.{j-1}.bn{k}",
        "stage{i}_block{j}_shortcut": "layer{i}.{j-1}.downsample.0",
        "stage{i}_block{j}_shortcut_norm": "layer{i}.{j-1}.downsample.1",
        "head": "fc",
    },
    preprocessing=_preprocessing,
)

LAYOUTS = (TIMM,)
