"""Wave-MLP's checkpoints: the authors' names.

They publish T*, T, S and M on the releases pages of ggjy/Hire-Wave-MLP.pytorch and huawei-noah/CV-Backbones; not B.
"""

from __future__ import annotations

from mixer_tf.weights.layout import TORCH, Layout, Parts, conv1x1


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    return {**imagenet, "crop": 0.9, "interpolation": "bicubic"}


def _pairs(shape: tuple[int, ...], heads: int) -> tuple[int, ...]:
    """A depthwise kernel (2 c, 1, rows, columns) as the grouped one (c, 2, rows, columns)."""
    return (shape[0] // 2, 2, *shape[2:])


_BLOCK = "network.{2i-2}.{j-1}"
_MIXING = f"{_BLOCK}.attn"

AUTHORS = Layout(
    name="authors",
    convention=TORCH,
    modules={
        "stem_patch_embedding": "patch_embed.proj",
        "stem_norm": "patch_embed.norm",
        "stage{i}_downsample": "network.{2i-3}.proj",
        "stage{i}_downsample_norm": "network.{2i-3}.norm",
        "stage{i}_block{j}_norm{n}": f"{_BLOCK}.norm{{n}}",
        "stage{i}_block{j}_columns_amplitude": conv1x1(f"{_MIXING}.fc_h"),
        "stage{i}_block{j}_rows_amplitude": conv1x1(f"{_MIXING}.fc_w"),
        "stage{i}_block{j}_columns_phase": conv1x1(f"{_MIXING}.theta_h_conv.0"),
        "stage{i}_block{j}_rows_phase": conv1x1(f"{_MIXING}.theta_w_conv.0"),
        "stage{i}_block{j}_columns_phase_norm": f"{_MIXING}.theta_h_conv.1",
        "stage{i}_block{j}_rows_phase_norm": f"{_MIXING}.theta_w_conv.1",
        "stage{i}_block{j}_columns_mixing": Parts((f"{_MIXING}.tfc_h",), shape=_pairs),
        "stage{i}_block{j}_rows_mixing": Parts((f"{_MIXING}.tfc_w",), shape=_pairs),
        "stage{i}_block{j}_channel": conv1x1(f"{_MIXING}.fc_c"),
        "stage{i}_block{j}_fusion_fc{n}": conv1x1(f"{_MIXING}.reweight.fc{{n}}"),
        "stage{i}_block{j}_projection": conv1x1(f"{_MIXING}.proj"),
        "stage{i}_block{j}_mlp_fc{n}": conv1x1(f"{_BLOCK}.mlp.fc{{n}}"),
        "norm": "norm",
        "head": "head",
    },
    preprocessing=_preprocessing,
)

LAYOUTS = (AUTHORS,)
