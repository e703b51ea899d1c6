"""EANet's checkpoints: the authors' names (MenghaoGuo/EANet, `model_torch.py`).

They published EANet on ResNet-101 for Pascal VOC, with a head for its 20 classes and the background.
"""

from __future__ import annotations

from mixer_tf.weights.layout import TORCH, Layout, conv1x1
from mixer_tf.weights.layouts.external_attention import modules_2d


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    return {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "crop": 1.0, "interpolation": "bilinear"}


AUTHORS = Layout(
    name="authors",
    convention=TORCH,
    modules={
        "stem_conv1": "extractor.0.0",
        "stem_conv1_norm": "extractor.0.1",
        "stem_conv2": "extractor.0.3",
        "stem_conv2_norm": "extractor.0.4",
        "stem_conv3": "extractor.0.6",
        "stem_conv3_norm": "extractor.1",
        "stage{i}_block{j}_conv{k}": "extractor.{i+3}.{j-1}.conv{k}",
        "stage{i}_block{j}_conv{k}_norm": "extractor.{i+3}.{j-1}.bn{k}",
        "stage{i}_block{j}_shortcut": "extractor.{i+3}.{j-1}.downsample.0",
        "stage{i}_block{j}_shortcut_norm": "extractor.{i+3}.{j-1}.downsample.1",
        "reduction": "fc0.conv",
        "reduction_norm": "fc0.bn",
        **modules_2d("linu."),
        "projection": "fc1.0.conv",
        "projection_norm": "fc1.0.bn",
        "head": conv1x1("fc2"),
    },
    preprocessing=_preprocessing,
)

LAYOUTS = (AUTHORS,)
