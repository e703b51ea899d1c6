"""Normalisation that Keras has under other names, in the forms of the papers."""

import keras
from keras import layers


def group_norm(x, *, epsilon: float, name: str):
    """GroupNorm with one group: mean and variance over rows, columns and channels of one picture, affine per channel.

    `[b, h, w, c] -> [b, h, w, c]`. AS-MLP and Wave-MLP call it GN; Keras's own default epsilon, 1e-3, is not theirs.
    Keras computes it in float32 whatever the policy, and as fast on a CPU as any other form that was measured.
    """
    return layers.GroupNormalization(groups=1, epsilon=epsilon, name=name)(x)


@keras.saving.register_keras_serializable(package="mixer_tf")
class RaftNormalization(layers.LayerNormalization):
    """The LayerNormalization over the channels of a pixel that stands before RaftMLP's token mixing.

    It computes nothing else; but the reference stores its scale and shift with the groups of channels slow and the
    rafts fast, and who reads or writes such files has to know the number of rafts.

    Args:
        raft_size: channels `i`, `i + c / raft_size`, `i + 2 c / raft_size`, ... are one group.
    """

    def __init__(self, raft_size: int, **kwargs):
        super().__init__(**kwargs)
        self.raft_size = raft_size

    def get_config(self):
        return {**super().get_config(), "raft_size": self.raft_size}
