"""ConvMLP's checkpoints: the authors' names. They publish S, M and L on shi-labs.com/projects/convmlp."""

from __future__ import annotations

from mixer_tf.weights.layout import TORCH, Layout, conv1x1


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    return {**imagenet, "crop": 0.9, "interpolation": "bicubic"}


_CONV = "conv_stages.conv_blocks.{j-1}"
_BLOCK = "stages.{i-2}.blocks.{j-1}"

AUTHORS = Layout(
    name="authors",
    convention=TORCH,
    modules={
        "stem_conv{n}": "tokenizer.block.{3n-3}",
        "stem_conv{n}_norm": "tokenizer.block.{3n-2}",
        "stage1_block{j}_conv1": conv1x1(f"{_CONV}.0"),
        "stage1_block{j}_conv2": f"{_CONV}.3",
        "stage1_block{j}_conv3": conv1x1(f"{_CONV}.6"),
        "stage1_block{j}_conv{n}_norm": _CONV + ".{3n-2}",
        "stage2_downsample": "conv_stages.downsample",
        "stage{i}_downsample": "stages.{i-3}.downsample_mlp.downsample",
        "stage{i}_block{j}_norm{n}": f"{_BLOCK}.norm{{n}}",
        "stage{i}_block{j}_connect": f"{_BLOCK}.connect",
        "stage{i}_block{j}_connect_norm": f"{_BLOCK}.connect_norm",
        "stage{i}_block{j}_mlp{n}_fc{k}": f"{_BLOCK}.channel_mlp{{n}}.fc{{k}}",
        "norm": "norm",
        "head": "head",
    },
    preprocessing=_preprocessing,
)

LAYOUTS = (AUTHORS,)
