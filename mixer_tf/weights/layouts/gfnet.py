"""GFNet's checkpoints: the authors' names. They publish weights of all seven networks (links in their README)."""

from __future__ import annotations

from mixer_tf.layers.resize import bicubic_matrix
from mixer_tf.weights.layout import TORCH, Layout
from mixer_tf.weights.resizing import positions, spectrum


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    return {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "crop": 0.9, "interpolation": "bicubic"}


def _layout(block: str, modules: dict[str, str]) -> Layout:
    """The names of one network, whose blocks are `block` in the reference."""
    ours = "block{i}" if "{j" not in block else "stage{i}_block{j}"
    return Layout(
        name="authors",
        convention=TORCH,
        modules={
            **modules,
            "position_embedding/table": "pos_embed",
            f"{ours}_norm{{n}}": f"{block}.norm{{n}}",
            f"{ours}_filter/complex_weight": f"{block}.filter.complex_weight",
            f"{ours}_mlp_fc{{n}}": f"{block}.mlp.fc{{n}}",
            f"{ours}_scale/gamma": f"{block}.gamma",
            "norm": "norm",
            "head": "head",
        },
        preprocessing=_preprocessing,
        resized={"position_embedding/table": positions(bicubic_matrix), f"{ours}_filter/complex_weight": spectrum},
    )


ISOTROPIC = _layout("blocks.{i}", {"stem_patch_embedding": "patch_embed.proj"})

HIERARCHICAL = _layout(
    "blocks.{i-1}.{j-1}",
    {"stem_patch_embedding": "patch_embed.0.proj", "stage{i}_downsample": "patch_embed.{i-1}.proj"},
)

LAYOUTS = (ISOTROPIC,)
HIERARCHICAL_LAYOUTS = (HIERARCHICAL,)
