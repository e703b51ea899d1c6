"""S2-MLP's checkpoints under the names of liuruiyang98/Jittor-MLP. Nobody publishes weights, nor the authors code."""

from __future__ import annotations

from mixer_tf.weights.layout import TORCH, Layout

_BLOCK = "stages.{i-1}.1.model.{j-1}"

JITTOR_MLP = Layout(
    name="jittor_mlp",
    convention=TORCH,
    modules={
        "stem_patch_embedding": "stages.0.0",
        "stage{i}_downsample": "stages.{i-1}.0",
        "stage{i}_block{j}_norm{n}": _BLOCK + ".{n-1}.norm",
        "stage{i}_block{j}_shift_fc1": f"{_BLOCK}.0.fn.0",
        "stage{i}_block{j}_shift_fc2": f"{_BLOCK}.0.fn.3",
        "stage{i}_block{j}_mlp_fc1": f"{_BLOCK}.1.fn.0",
        "stage{i}_block{j}_mlp_fc2": f"{_BLOCK}.1.fn.3",
        "head": "mlp_head.1",
    },
)

LAYOUTS = (JITTOR_MLP,)
