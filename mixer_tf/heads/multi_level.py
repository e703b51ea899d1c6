"""RaftMLP's multi-level head: every stage of a backbone has its say in the classification.

Tatsunami & Taki 2021, arXiv 2108.04384; reference code okojoalg/raft-mlp (`shortcut=True`; the published configurations
turn it off). The deepest level's vector is scaled and shifted by what each shallower level says, from deep to shallow.
"""

import re

import keras
from keras import layers

from mixer_tf.layers.norms import LayerNormalization


def fold_levels(backbone: keras.Model):
    """The vector `[b, c]` of all stages of a backbone, `c` channels as in the last one.

    Layers `head_level<i>_norm`, `head_level<i>_pool` and, but for the last level, `head_level<i>_projection`. Every
    stage has a norm of its own here, so the backbone's last one has no part in it.
    """
    *shallow, deepest = [layer.output for layer in backbone.layers if re.fullmatch(r"P\d|stage\d+", layer.name)]
    epsilon = getattr(backbone.layers[-1], "epsilon", 1e-5)

    def pooled(level, i):
        level = LayerNormalization(epsilon=epsilon, name=f"head_level{i}_norm")(level)
        return layers.GlobalAveragePooling2D(name=f"head_level{i}_pool")(level)  # [b, c of the level]

    x = pooled(deepest, len(shallow) + 1)
    channels = x.shape[-1]
    for i, level in reversed(list(enumerate(shallow, start=1))):
        y = layers.Dense(2 * channels, name=f"head_level{i}_projection")(pooled(level, i))
        x = y[:, :channels] * x + y[:, channels:]
    return x
