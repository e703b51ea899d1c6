"""RepMLPNet's checkpoints: the authors' names, as trained and as merged. They publish weights of all six networks."""

from __future__ import annotations

from mixer_tf.weights.layout import TORCH, Layout, Parts, conv1x1
from mixer_tf.weights.resizing import tiles


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    return {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "crop": 0.875, "interpolation": "bicubic"}


def _grouped_conv1x1(shape: tuple[int, ...], heads: int) -> tuple[int, ...]:
    """Ours has the sets as an axis, the reference one after another along its outputs."""
    sets, outputs, *inputs = shape
    return (sets * outputs, *inputs, 1, 1) if inputs else (sets * outputs,)


_OURS, _MIXING, _MLP = (
    "stage{i}_block{j}",
    "stages.{i-1}.{j-1}.repmlp_block",
    "stages.{i-1}.{j-1}.ffn_block",
)

AUTHORS = Layout(
    name="authors",
    convention=TORCH,
    modules={
        "stem_patch_embedding": "conv_embedding.conv",
        "stem_norm": "conv_embedding.bn",
        "stage{i}_downsample": "embeds.{i-2}.conv",
        "stage{i}_downsample_norm": "embeds.{i-2}.bn",
        f"{_OURS}_norm{{n}}": "stages.{i-1}.{j-1}.prebn{n}",
        f"{_OURS}_gate_fc{{n}}": conv1x1(f"{_MIXING}.gp.fc{{n}}"),
        f"{_OURS}_tile/kernel": Parts((f"{_MIXING}.fc3.weight",), shape=_grouped_conv1x1),
        f"{_OURS}_tile/bias": Parts((f"{_MIXING}.fc3.bias",), shape=_grouped_conv1x1),
        f"{_OURS}_tile_norm": f"{_MIXING}.fc3_bn",
        f"{_OURS}_local{{k}}": f"{_MIXING}.repconv{{k}}.conv",
        f"{_OURS}_local{{k}}_norm": f"{_MIXING}.repconv{{k}}.bn",
        f"{_OURS}_mlp_fc{{n}}": conv1x1(f"{_MLP}.ffn_fc{{n}}.conv"),
        f"{_OURS}_mlp_fc{{n}}_norm": f"{_MLP}.ffn_fc{{n}}.bn",
        "norm": "head_norm",
        "head": "head",
    },
    preprocessing=_preprocessing,
    resized={f"{_OURS}_tile/kernel": tiles},
)

LAYOUTS = (AUTHORS,)
