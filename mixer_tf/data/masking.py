"""Which tokens are hidden and how, by BERT's rule: 80 % masked, 10 % replaced at random, 10 % kept as they are.

Devlin et al. 2018, arXiv 1810.04805. Here every token is drawn by itself (BERT hides a fixed number of them), so that
the least possible loss of a known source can be computed. All of it is a pure function of a seed.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

NOT_SCORED, MASKED, RANDOM, KEPT = range(4)  # what happened to a token; all but the first are guessed and scored


def draw_kinds(shape, seed: tf.Tensor, rate: float | tf.Tensor) -> tf.Tensor:
    """Draw what happens to each of some tokens.

    Args:
        shape: of the result.
        seed: int32 or int64 [2]; the same seed gives the same result.
        rate: probability that a token is scored, in (0, 1).

    Returns:
        int32 of that shape: NOT_SCORED, or with the probability `rate` MASKED (80 %), RANDOM (10 %) or KEPT (10 %).
    """
    selection_seed, kind_seed = tf.unstack(tf.random.split(seed))
    return _kinds(tf.random.stateless_uniform(shape, selection_seed) < rate, kind_seed)


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
        rate: probability that a token is scored, in (0, 1).
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
    kinds = _kinds(scored, kind_seed)
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


def _kinds(scored: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    chance = tf.random.stateless_uniform(tf.shape(scored), seed)
    kinds = tf.where(chance < 0.8, MASKED, tf.where(chance < 0.9, RANDOM, KEPT))
    return tf.where(scored, kinds, NOT_SCORED)
