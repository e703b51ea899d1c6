"""Which parts of an example are hidden, and how: BERT's recipe (Devlin et al. 2018, arXiv 1810.04805, appendix A.1).

A selected token, or unit of a picture, is to be predicted. Most are hidden, but as no mask stands in the texts and
pictures of later tasks, some show something random instead and some what they are. Every token is drawn by itself (BERT
hides a fixed number of them), so that the least possible loss of a known source can be computed.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from mixer_tf.checks import require_rate

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
    require_rate("rate", rate)
    draw = tf.random.stateless_uniform(shape, seed)  # one draw for both: selected is what lies below the rate
    kept = tf.where(draw < rate, KEPT, NOT_SCORED)
    random_or_kept = tf.where(draw < rate * (MASKED_SHARE + RANDOM_SHARE), RANDOM, kept)
    return tf.where(draw < rate * MASKED_SHARE, MASKED, random_or_kept)


def mask_tokens(
    token_ids: tf.Tensor,
    seed: tf.Tensor,
    *,
    rate: float,
    mask: int,
    is_special: np.ndarray,
    starts_word: np.ndarray | None = None,
    most: int | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Hide tokens of one text.

    Args:
        token_ids: int32 [t].
        seed: int32 or int64 [2]; the same seed gives the same result.
        rate: probability that a token is scored, in (0, 1].
        mask: the token that hides another.
        is_special: bool [v], the tokens that are never scored and never take another's place.
        starts_word: bool [v], the tokens that begin a word; given, whole words are scored, and each of their tokens is
            masked, replaced or kept by itself. None scores every token by itself.
        most: number of tokens that are scored at most: later ones stay as they are.

    Returns:
        The text as the model sees it, int32 [t], and what happened to each token, int32 [t] (see `draw_kinds`).

    Example:
        >>> special = np.arange(16) < 6
        >>> seen, kinds = mask_tokens(tf.range(16), [0, 1], rate=0.5, mask=5, is_special=special)
        >>> bool(tf.reduce_all(seen[kinds == MASKED] == 5)), bool(tf.reduce_all(kinds[:6] == NOT_SCORED))
        (True, True)
    """
    selection_seed, kind_seed, token_seed = tf.unstack(tf.random.split(seed, 3))
    chance = tf.random.stateless_uniform(tf.shape(token_ids), selection_seed)
    if starts_word is not None:  # the same chance for all tokens of a word
        first = tf.gather(tf.constant(starts_word | is_special), token_ids)
        chance = tf.gather(chance, tf.maximum(tf.cumsum(tf.cast(first, tf.int32)) - 1, 0))
    scored = (chance < rate) & ~tf.gather(tf.constant(is_special), token_ids)
    if most is not None:
        scored &= tf.cumsum(tf.cast(scored, tf.int32)) <= most
    kinds = tf.where(scored, draw_kinds(tf.shape(token_ids), kind_seed, rate=1.0), NOT_SCORED)
    ordinary = tf.constant(np.flatnonzero(~is_special), tf.int32)
    drawn = tf.random.stateless_uniform(tf.shape(token_ids), token_seed, 0, len(ordinary), tf.int32)
    seen = tf.where(kinds == RANDOM, tf.gather(ordinary, drawn), token_ids)
    return tf.where(kinds == MASKED, mask, seen), kinds


def most_scored(length: int, rate: float, whole_words: bool = False) -> int:
    """A number of scored tokens that hardly a text of some length exceeds: four standard deviations above the mean.

    Words of several tokens make the number vary more: eight then.
    """
    deviation = math.sqrt(length * rate * (1 - rate))
    return min(length, math.ceil(length * rate + (8 if whole_words else 4) * deviation))
