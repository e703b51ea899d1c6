"""sMLPNet's checkpoints: the authors' names. They publish weights of S and B (release of microsoft/SPACH), not of T."""

from __future__ import annotations

from mixer_tf.weights.layout import TORCH, Layout, Parts, conv1x1
from mixer_tf.weights.resizing import axis


def _preprocessing(file_name: str, image_size: tuple[int, int], layer_names: set[str]) -> dict:
    return {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "crop": 0.875, "interpolation": "bicubic"}


def _kernel(module: str) -> Parts:
    """A matrix in our orientation already, as a 1x1 convolution."""
    return Parts((f"{module}.weight",), shape=lambda shape, heads: (*shape, 1, 1))


_OURS, _TOKENS, _CHANNELS = "stage{i}_block{j}", "token_mix.{b}", "channel_mix.{b}"

AUTHORS = Layout(
    name="authors",
    convention=TORCH,
    modules={
        "stem_patch_embedding": "to_patch_embedding.0.0",
        "stage{i}_downsample": "to_patch_embedding.{i-1}.0",
        f"{_OURS}_depthwise_norm": f"{_TOKENS}.0.conv_merge.BN",
        f"{_OURS}_depthwise": f"{_TOKENS}.0.conv_merge.Conv",
        f"{_OURS}_axes_norm": f"{_TOKENS}.1.BN",
        # the reference's names are misleading: "h" acts along the width and "w" (in "proh_w") along the height
        f"{_OURS}_along_row/kernel": _kernel(f"{_TOKENS}.1.proj_h"),
        f"{_OURS}_along_row/bias": f"{_TOKENS}.1.proj_h.bias",
        f"{_OURS}_along_column/kernel": _kernel(f"{_TOKENS}.1.proh_w"),
        f"{_OURS}_along_column/bias": f"{_TOKENS}.1.proh_w.bias",
        f"{_OURS}_fuse": conv1x1(f"{_TOKENS}.1.fuse"),
        f"{_OURS}_mlp_norm": f"{_CHANNELS}.1",
        f"{_OURS}_mlp_fc{{n}}": f"{_CHANNELS}.2.net.{{3n-3}}",
        "norm": "batch_norm",
        "head": "mlp_head.0",
    },
    preprocessing=_preprocessing,
    resized={
        f"{_OURS}_along_row/kernel": axis(outputs=(0,), inputs=(1,)),
        f"{_OURS}_along_row/bias": axis(outputs=(0,)),
        f"{_OURS}_along_column/kernel": axis(outputs=(0,), inputs=(1,)),
        f"{_OURS}_along_column/bias": axis(outputs=(0,)),
    },
)

LAYOUTS = (AUTHORS,)
