"""gMLP's checkpoints: timm's names. Its authors published none; timm has one for S/16, trained there."""

from mixer_tf.weights.layout import TORCH, Layout
from mixer_tf.weights.resizing import tokens


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    return {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "crop": 0.875, "interpolation": "bicubic"}


_MLP = "blocks.{i}.mlp_channels"

_RESIZED = {
    "block{i}_gate_token_mixing/kernel": tokens(inputs=(0,), outputs=(1,)),
    "block{i}_gate_token_mixing/bias": tokens(outputs=(0,)),
}

TIMM = Layout(
    name="timm",
    convention=TORCH,
    modules={
        "stem_patch_embedding": "stem.proj",
        "block{i}_norm": "blocks.{i}.norm",
        "block{i}_fc{n}": _MLP + ".fc{n}",
        "block{i}_gate_norm": f"{_MLP}.gate.norm",
        "block{i}_gate_token_mixing": f"{_MLP}.gate.proj",
        "norm": "norm",
        "head": "head",
    },
    preprocessing=_preprocessing,
    resized=_RESIZED,
)

LAYOUTS = (TIMM,)
