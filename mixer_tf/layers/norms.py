"""Normalisation that Keras has under other names, in the forms of the papers."""

from keras import layers


def group_norm(x, *, epsilon: float, name: str):
    """GroupNorm with one group: mean and variance over rows, columns and channels of one picture, affine per channel.

    `[b, h, w, c] -> [b, h, w, c]`. AS-MLP and Wave-MLP call it GN; Keras's own default epsilon, 1e-3, is not theirs.
    Keras computes it in float32 whatever the policy, and as fast on a CPU as any other form that was measured.
    """
    return layers.GroupNormalization(groups=1, epsilon=epsilon, name=name)(x)
