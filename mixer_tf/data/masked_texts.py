"""Texts with hidden tokens, and what stood there: batches for `mixer_tf.masked_language_model`, or for a causal one.

As in `pipeline`, what batch k holds, masks included, follows from (seed, k) alone.
"""

from __future__ import annotations

import dataclasses

import keras
import tensorflow as tf

from mixer_tf.checks import require, require_rate
from mixer_tf.data.masking import KEPT, NOT_SCORED, mask_tokens, most_scored
from mixer_tf.data.pipeline import eval_batches, finished, train_batches
from mixer_tf.data.texts import TextSource

Batch = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Masking:
    """What is asked about a text.

    Args:
        rate: Probability that a token is scored, 0 < rate <= 1.
        whole_words: Score words, not single tokens.
        causal: Ask instead of all this which token follows each; nothing is hidden.

    Raises:
        ValueError: If the rate is out of its range.
    """

    rate: float = 0.15
    whole_words: bool = False
    causal: bool = False

    def __post_init__(self):
        require_rate("rate", self.rate)


def train_masked_texts(
    source: TextSource,
    *,
    masking: Masking,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    worker: int = 0,
    num_workers: int = 1,
) -> tf.data.Dataset:
    """Make the endless stream of training batches, in the order of `pipeline.train_dataset`.

    Args:
        source: What to read.
        masking: What is asked.
        batch_size: The global batch, b.
        seed: Of order, pairs and masks.
        start_step: Number of batches that were already taken in an earlier part of the run.
        worker: Which share of the batches to make, from 0.
        num_workers: Number of shares, n.

    Returns:
        An infinite dataset of dicts, all int32: `token_ids` as the model sees them, `segment_ids` and `padding_mask`
        [b / n, t]; `masked_positions`, the places of the scored tokens, filled up with the first place; `labels`, the
        tokens there, and `kinds`, as in `masking`, 0 where nothing is scored, [b / n, m]; `is_next` [b / n]. Causal:
        without `masked_positions`, and with m = t.

    Raises:
        ValueError: If batch_size exceeds the split or is no multiple of the workers.

    Example:
        >>> from mixer_tf.data.markov import open_markov_text
        >>> batch = next(iter(train_masked_texts(open_markov_text(34), masking=Masking(), batch_size=8, seed=0)))
        >>> batch["token_ids"].shape, batch["labels"].shape
        (TensorShape([8, 34]), TensorShape([8, 14]))
    """

    def example(index: tf.Tensor, seed: tf.Tensor) -> Batch:
        text_seed, mask_seed = tf.unstack(tf.random.split(seed))
        return _asked(source.train.read(index, text_seed), mask_seed, source, masking)

    batches = train_batches(
        source.train,
        example,
        batch_size=batch_size,
        seed=seed,
        start_step=start_step,
        worker=worker,
        num_workers=num_workers,
    )
    return finished(batches)


def eval_masked_texts(
    source: TextSource, *, masking: Masking, batch_size: int, seed: int, worker: int = 0, num_workers: int = 1
) -> tf.data.Dataset:
    """Make the batches of one evaluation: every example once, in order; the last batch may be smaller.

    What is asked of a text follows from the seed and its place in the split: it is the same in every evaluation.

    Args:
        source: What to read.
        masking: What is asked.
        batch_size: The global batch, b.
        seed: Of pairs and masks.
        worker: Which share of each batch to make, from 0.
        num_workers: Number of shares, n.

    Returns:
        A dataset of dicts as of `train_masked_texts`.

    Raises:
        ValueError: If batch_size is no multiple of the workers.
    """

    def example(index: tf.Tensor) -> Batch:
        own_seed = tf.random.fold_in(tf.constant([seed, 1], tf.int64), index)
        text_seed, mask_seed = tf.unstack(tf.random.split(own_seed))
        return _asked(source.evaluation.read(index, text_seed), mask_seed, source, masking)

    batches = eval_batches(source.evaluation, example, batch_size=batch_size, worker=worker, num_workers=num_workers)
    return finished(batches)


def to_fit(batch: Batch, model: keras.Model) -> tuple:
    """A batch as Keras's `fit` takes it for this model: inputs, labels, and weights, 1 for each scored token.

    With the head for pairs, labels and weights are dicts by the names of the outputs. There the published checkpoints
    have 0 for a sentence that follows, which is `is_next` 1.

    Raises:
        ValueError: If the model does not give its logits where the batch has its labels.
    """
    require(
        ("masked_positions" in batch) == ("masked_positions" in model.input),
        "a model must be made with masked_positions=True for hidden tokens, and be causal for the next ones; given: "
        f"{model.name}, whose inputs are {', '.join(model.input)}",
    )
    inputs = {name: batch[name] for name in model.input}
    weights = tf.cast(batch["kinds"] != NOT_SCORED, tf.float32)
    if not isinstance(model.output, dict):
        return inputs, batch["labels"], weights
    labels = {"mlm_logits": batch["labels"], "nsp_logits": 1 - batch["is_next"]}
    return inputs, labels, {"mlm_logits": weights, "nsp_logits": tf.ones_like(batch["is_next"], tf.float32)}


def _asked(text: Batch, seed: tf.Tensor, source: TextSource, masking: Masking) -> Batch:
    if masking.causal:
        labels, real = (tf.concat([text[name][1:], [0]], axis=0) for name in ("token_ids", "padding_mask"))
        return {**text, "labels": labels, "kinds": real * KEPT}
    length = text["token_ids"].shape[0]
    most = most_scored(length, masking.rate, masking.whole_words)
    seen, kinds = mask_tokens(
        text["token_ids"],
        seed,
        rate=masking.rate,
        mask=source.special.mask,
        is_special=source.is_special,
        starts_word=source.starts_word if masking.whole_words else None,
        most=most,
    )
    scored = tf.cast(tf.where(kinds != NOT_SCORED)[:, 0], tf.int32)
    places = tf.ensure_shape(tf.pad(scored, [[0, most - tf.size(scored)]]), [most])
    return {
        **text,
        "token_ids": seen,
        "masked_positions": places,
        "labels": tf.gather(text["token_ids"], places),
        "kinds": tf.where(tf.range(most) < tf.size(scored), tf.gather(kinds, places), NOT_SCORED),
    }
