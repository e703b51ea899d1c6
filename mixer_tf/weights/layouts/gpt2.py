"""GPT-2's checkpoints: Hugging Face's names, in which OpenAI publishes them (`openai-community/gpt2*`).

The published files leave out the prefix `transformer.` and the head, which repeats the table of tokens, and store the
causal masks. Files with prefix and head are read as well, and those are the names that are written.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from mixer_tf.weights.layout import TORCH, Layout

_LAYER = "transformer.h.{i}"
_TABLE = "transformer.wte.weight"


def _linear(ours: str, theirs: str) -> dict[str, str]:
    """A Dense layer whose kernel the reference keeps as Keras does, (in, out)."""
    return {f"{ours}/kernel": f"{theirs}.weight", f"{ours}/bias": f"{theirs}.bias"}


def _table(model: keras.Model, layer: layers.Layer) -> np.ndarray:
    return keras.ops.convert_to_numpy(model.get_layer("token_embedding").embeddings)


HUGGINGFACE = Layout(
    name="huggingface",
    convention=TORCH,
    modules={
        "token_embedding": "transformer.wte",
        "position_embedding/table": "transformer.wpe.weight",
        "block{i}_norm{n}": f"{_LAYER}.ln_{{n}}",
        **_linear("block{i}_attention_qkv", f"{_LAYER}.attn.c_attn"),
        **_linear("block{i}_attention_projection", f"{_LAYER}.attn.c_proj"),
        **_linear("block{i}_mlp_fc1", f"{_LAYER}.mlp.c_fc"),
        **_linear("block{i}_mlp_fc2", f"{_LAYER}.mlp.c_proj"),
        "norm": "transformer.ln_f",
    },
    respelled={r"^(?=(wte|wpe|h|ln_f)\.)": "transformer."},
    ignored=(r"transformer\.h\.[0-9]+\.attn\.(masked_)?bias",),
    aliases={"lm_head.weight": _TABLE},
    derived={"lm_head.weight": ("head", _table)},
)

LAYOUTS = (HUGGINGFACE,)
