"""Which parts of an example are hidden, and how: BERT's recipe (Devlin et al. 2018, arXiv 1810.04805, appendix A.1).

A selected token, or unit of a picture, is to be predicted. Most are hidden, but as no mask stands in the texts and
pictures of later tasks, some show something random instead and some what they are.
"""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.checks import require

NOT_SCORED, MASKED, RANDOM, KEPT = range(4)
"""Kinds of a token or patch: not selected; hidden; replaced by a random one; selected but shown as it is."""

MASKED_SHARE, RANDOM_SHARE = 0.8, 0.1  # of the selected; the rest is kept


def draw_kinds(shape, seed: tf.Tensor, rate: float) -> tf.Tensor:
    """Select each place with probability `rate`, independently, and draw what happens to it.

    Args:
        shape: of the result, ints or an int32 tensor.
        seed: int32 or int64 [2]; the same seed gives the same result.
        rate: 0 < rate <= 1. Of the selected, 80 % are `MASKED`, 10 % `RANDOM` and 10 % `KEPT`.

    Returns:
        int32 of that shape: `NOT_SCORED`, `MASKED`, `RANDOM` or `KEPT`.

    Raises:
        ValueError: If the rate is no probability above 0.

    Example:
        >>> kinds = draw_kinds([4, 7], seed=[1, 2], rate=0.5)
        >>> kinds.shape, kinds.dtype
        (TensorShape([4, 7]), tf.int32)
    """
    require(0 < rate <= 1, f"rate must be greater than 0 and at most 1; given: {rate}")
    draw = tf.random.stateless_uniform(shape, seed)  # one draw for both: selected is what lies below the rate
    kept = tf.where(draw < rate, KEPT, NOT_SCORED)
    random_or_kept = tf.where(draw < rate * (MASKED_SHARE + RANDOM_SHARE), RANDOM, kept)
    return tf.where(draw < rate * MASKED_SHARE, MASKED, random_or_kept)
