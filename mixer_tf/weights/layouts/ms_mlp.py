"""MS-MLP's checkpoints: the authors' names. They publish T, S and B in a blob store that JegZheng/MS-MLP links."""

from __future__ import annotations

from mixer_tf.weights.layout import TORCH, Layout, Parts


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    return {**imagenet, "crop": 0.875, "interpolation": "bicubic"}  # 224 of 256 pixels, as Swin


_BLOCK = "layers.{i-1}.blocks.{j-1}"
_DEPTHWISE = (2, 3, 0, 1)  # (k, k, c, 1) -> (c, 1, k, k)

AUTHORS = Layout(
    name="authors",
    convention=TORCH,
    modules={
        "stem_patch_embedding": "patch_embed.proj",
        "stem_norm": "patch_embed.norm",
        "stage{i}_block{j}_mix_columns/kernel{n}": Parts((f"{_BLOCK}.dwconv_lr.{{n}}.weight",), axes=_DEPTHWISE),
        "stage{i}_block{j}_mix_columns/bias{n}": f"{_BLOCK}.dwconv_lr.{{n}}.bias",
        "stage{i}_block{j}_mix_rows/kernel{n}": Parts((f"{_BLOCK}.dwconv_td.{{n}}.weight",), axes=_DEPTHWISE),
        "stage{i}_block{j}_mix_rows/bias{n}": f"{_BLOCK}.dwconv_td.{{n}}.bias",
        "stage{i}_block{j}_norm": f"{_BLOCK}.norm",
        "stage{i}_block{j}_mlp_fc{n}": f"{_BLOCK}.pwconv{{n}}",
        "stage{i}_block{j}_scale/gamma": f"{_BLOCK}.gamma",
        "stage{i}_downsample": "layers.{i-2}.downsample.proj",
        "stage{i}_downsample_norm": "layers.{i-2}.downsample.norm",
        "head_norm": "norm",
        "head": "head",
    },
    preprocessing=_preprocessing,
)

LAYOUTS = (AUTHORS,)
