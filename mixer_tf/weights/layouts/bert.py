"""BERT's checkpoints: Hugging Face's names, with the heads of pretraining (Google publishes `google-bert/bert-*` so).

Old files call the arrays of a norm gamma and beta, store the numbers 0 to 511, and some leave out the prefix `bert.`
or the names of what the heads share with the encoder. All are read; written are the names of `BertForPreTraining`.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from mixer_tf.weights.layout import TORCH, Layout, Parts

_LAYER = "bert.encoder.layer.{i}"
_ATTENTION = f"{_LAYER}.attention.self"
_TABLE = "bert.embeddings.word_embeddings.weight"


def _table(model: keras.Model, layer: layers.Layer) -> np.ndarray:
    return keras.ops.convert_to_numpy(model.get_layer("token_embedding").embeddings)


def _bias(model: keras.Model, layer: layers.Layer) -> np.ndarray:
    return keras.ops.convert_to_numpy(layer.bias)


HUGGINGFACE = Layout(
    name="huggingface",
    convention=TORCH,
    modules={
        "token_embedding": "bert.embeddings.word_embeddings",
        "position_embedding/table": "bert.embeddings.position_embeddings.weight",
        "segment_embedding": "bert.embeddings.token_type_embeddings",
        "stem_norm": "bert.embeddings.LayerNorm",
        "block{i}_attention_qkv": Parts((f"{_ATTENTION}.query", f"{_ATTENTION}.key", f"{_ATTENTION}.value")),
        "block{i}_attention_projection": f"{_LAYER}.attention.output.dense",
        "block{i}_norm1": f"{_LAYER}.attention.output.LayerNorm",
        "block{i}_mlp_fc1": f"{_LAYER}.intermediate.dense",
        "block{i}_mlp_fc2": f"{_LAYER}.output.dense",
        "block{i}_norm2": f"{_LAYER}.output.LayerNorm",
        "pooler": "bert.pooler.dense",
        "head_dense": "cls.predictions.transform.dense",
        "head_norm": "cls.predictions.transform.LayerNorm",
        "head_bias/bias": "cls.predictions.bias",
        "next_sentence": "cls.seq_relationship",
        "head": "classifier",
    },
    respelled={
        r"^(?=(embeddings|encoder|pooler)\.)": "bert.",
        r"LayerNorm\.gamma$": "LayerNorm.weight",
        r"LayerNorm\.beta$": "LayerNorm.bias",
    },
    ignored=(r"bert\.embeddings\.position_ids",),
    aliases={"cls.predictions.decoder.weight": _TABLE, "cls.predictions.decoder.bias": "cls.predictions.bias"},
    derived={
        "cls.predictions.decoder.weight": ("head_bias", _table),
        "cls.predictions.decoder.bias": ("head_bias", _bias),
    },
)

LAYOUTS = (HUGGINGFACE,)
