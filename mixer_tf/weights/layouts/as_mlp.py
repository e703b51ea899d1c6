"""AS-MLP's checkpoints: the authors' names. They link files of T, S and B from the page of svip-lab/AS-MLP."""

from __future__ import annotations

from mixer_tf.weights.layout import TORCH, Layout, conv1x1


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    return {**imagenet, "crop": 0.875, "interpolation": "bicubic"}  # 224 of 256 pixels, as Swin


_BLOCK = "layers.{i-1}.blocks.{j-1}"

AUTHORS = Layout(
    name="authors",
    convention=TORCH,
    modules={
        "stem_patch_embedding": "patch_embed.proj",
        "stem_norm": "patch_embed.norm",
        "stage{i}_block{j}_norm{n}": f"{_BLOCK}.norm{{n}}",
        "stage{i}_block{j}_axial_input": conv1x1(f"{_BLOCK}.axial_shift.conv1"),
        "stage{i}_block{j}_axial_columns": conv1x1(f"{_BLOCK}.axial_shift.conv2_1"),
        "stage{i}_block{j}_axial_rows": conv1x1(f"{_BLOCK}.axial_shift.conv2_2"),
        "stage{i}_block{j}_axial_output": conv1x1(f"{_BLOCK}.axial_shift.conv3"),
        "stage{i}_block{j}_axial_norm{n}": f"{_BLOCK}.axial_shift.norm{{n}}",
        "stage{i}_block{j}_mlp_fc{n}": conv1x1(f"{_BLOCK}.mlp.fc{{n}}"),
        "stage{i}_downsample": conv1x1("layers.{i-2}.downsample.reduction"),
        "stage{i}_downsample_norm": "layers.{i-2}.downsample.norm",
        "norm": "norm",
        "head": "head",
    },
    preprocessing=_preprocessing,
)

LAYOUTS = (AUTHORS,)
