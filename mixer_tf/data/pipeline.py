"""Splits to batches. The position in the run is the only state: what batch k holds follows from (seed, k) alone.

So a run that is resumed at step k goes on with exactly the batches that an uninterrupted one would have seen, and
nothing is decoded to be skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import tensorflow as tf

from mixer_tf.data.augment import Augmentation, augment_example, mix_batch
from mixer_tf.data.preprocess import Preprocessing
from mixer_tf.data.splits import Split


class Sized(Protocol):
    """What a stream of batches must know of a split; pictures and texts have it."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def size(self) -> int:
        """How many examples it has."""


def steps_per_epoch(split: Sized, batch_size: int) -> int:
    """Return the number of full batches in the split; a batch larger than the split is a `ValueError`."""
    if not 1 <= batch_size <= split.size:
        raise ValueError(
            f"batch_size must lie in 1..{split.size}, the size of the split {split.name}; given: {batch_size}"
        )
    return split.size // batch_size


def train_dataset(
    split: Split,
    *,
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    num_classes: int,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    worker: int = 0,
    num_workers: int = 1,
) -> tf.data.Dataset:
    """Make the endless stream of training batches.

    An epoch is `steps_per_epoch` full batches of a fresh permutation of the split; the few examples that fill no batch
    are left out, other ones in every epoch. Several workers share each batch, so that together they see what one
    would; MixUp and CutMix pair the examples of a share.

    Args:
        split: What to read.
        preprocessing: Target size and normalisation.
        augmentation: What to change at random.
        num_classes: k, the width of the labels.
        batch_size: The global batch, b.
        seed: Of order and augmentation.
        start_step: Number of batches that were already taken in an earlier part of the run.
        worker: Which share of the batches to make, from 0.
        num_workers: Number of shares, n.

    Returns:
        An infinite dataset of (float32 [b / n, H, W, 3], float32 [b / n, k]), the same for the same arguments.

    Raises:
        ValueError: If batch_size exceeds the split or is no multiple of the workers, or a label is not in
            [0, num_classes).

    Example:
        >>> from mixer_tf.data.sources import open_images
        >>> source = open_images("digits")
        >>> batches = train_dataset(source.train, preprocessing=Preprocessing((32, 32)), augmentation=Augmentation(),
        ...                         num_classes=10, batch_size=64, seed=0)
        >>> next(iter(batches))[0].shape
        TensorShape([64, 32, 32, 3])
    """
    _check_labels(split, num_classes)

    def example(index: tf.Tensor, seed: tf.Tensor):
        record = split.read(index)
        image = augment_example(record["image"], augmentation=augmentation, preprocessing=preprocessing, seed=seed)
        return image, _one_hot(record["label"], num_classes)

    def mix(step: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]):
        return mix_batch(*batch, augmentation=augmentation, seed=tf.random.fold_in(mix_seed, step))

    _, _, batch_seed = _seeds(seed)
    mix_seed = tf.random.fold_in(batch_seed, worker) if worker else batch_seed
    batches = train_batches(
        split,
        example,
        batch_size=batch_size,
        seed=seed,
        start_step=start_step,
        worker=worker,
        num_workers=num_workers,
    )
    if augmentation.mixup or augmentation.cutmix:
        batches = map_in_order(batches.enumerate(start_step), mix)
    return finished(batches)


def eval_dataset(
    split: Split,
    *,
    preprocessing: Preprocessing,
    num_classes: int,
    batch_size: int,
    worker: int = 0,
    num_workers: int = 1,
) -> tf.data.Dataset:
    """Make the batches of one evaluation: every example once, in order; the last batch may be smaller.

    Args:
        split: What to read.
        preprocessing: Target size and normalisation.
        num_classes: k, the width of the labels.
        batch_size: The global batch, b.
        worker: Which share of each batch to make, from 0.
        num_workers: Number of shares, n.

    Returns:
        A dataset of (float32 [b / n, H, W, 3], float32 [b / n, k]).

    Raises:
        ValueError: If batch_size is no multiple of the workers, or a label is not in [0, num_classes).
    """
    _check_labels(split, num_classes)

    def example(index: tf.Tensor):
        record = split.read(index)
        return preprocessing(record["image"]), _one_hot(record["label"], num_classes)

    return finished(eval_batches(split, example, batch_size=batch_size, worker=worker, num_workers=num_workers))


def train_batches(
    split: Sized,
    example: Callable,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    worker: int = 0,
    num_workers: int = 1,
) -> tf.data.Dataset:
    """Make the endless stream of training batches of any kind of example, in the order of `train_dataset`.

    Args:
        split: What the examples are of.
        example: Maps (index int64 [] in the split, seed int64 [2] of its own) to an example; graph operations.
        batch_size: The global batch, b.
        seed: Of the order and of the examples' seeds.
        start_step: Number of batches that were already taken.
        worker: Which share of the batches to make, from 0.
        num_workers: Number of shares, n.

    Returns:
        An infinite dataset of examples [b / n], for `map_in_order` and `finished`.

    Raises:
        ValueError: If batch_size exceeds the split or is no multiple of the workers.
    """
    examples_per_epoch = steps_per_epoch(split, batch_size) * batch_size
    share = _share(batch_size, num_workers)
    order_seed, example_seed, _ = _seeds(seed)

    def numbered(number: tf.Tensor):  # of this worker's examples
        position = number // share * batch_size + worker * share + number % share
        epoch, place = position // examples_per_epoch, position % examples_per_epoch
        index = tf.random.experimental.index_shuffle(
            place, seed=tf.random.fold_in(order_seed, epoch), max_index=split.size - 1
        )
        return example(index, tf.random.fold_in(example_seed, position))

    numbers = tf.data.Dataset.range(start_step * share, np.iinfo(np.int64).max)
    return map_in_order(numbers, numbered).batch(share, drop_remainder=True)


def eval_batches(
    split: Sized, example: Callable, *, batch_size: int, worker: int = 0, num_workers: int = 1
) -> tf.data.Dataset:
    """Make the batches of one evaluation of any kind of example, in the order of `eval_dataset`.

    Args:
        split: What the examples are of.
        example: Maps an index int64 [] in the split to an example; graph operations.
        batch_size: The global batch, b.
        worker: Which share of each batch to make, from 0.
        num_workers: Number of shares, n.

    Returns:
        A dataset of examples [b / n], the last batch maybe smaller, for `map_in_order` and `finished`.

    Raises:
        ValueError: If batch_size is no multiple of the workers.
    """
    share = _share(batch_size, num_workers)
    indices = tf.data.Dataset.range(split.size)
    if num_workers > 1:  # before anything is read
        indices = indices.filter(lambda index: index % batch_size // share == worker)
    return map_in_order(indices, example).batch(share)


def map_in_order(dataset: tf.data.Dataset, function: Callable) -> tf.data.Dataset:
    """Map in parallel, with the results in the order of the dataset."""
    return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def finished(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Add what every stream of batches ends with: how strategies share it, and prefetching."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)


def _seeds(seed: int) -> tuple[tf.Tensor, ...]:
    """The seeds of the order, of the examples and of the batches, int64 [2] each."""
    return tuple(tf.unstack(tf.random.split(tf.constant([seed, 0], tf.int64), 3)))


def _share(batch_size: int, num_workers: int) -> int:
    if batch_size % num_workers:
        raise ValueError(f"batch_size must be a multiple of the {num_workers} workers; given: {batch_size}")
    return batch_size // num_workers


def _check_labels(split: Split, num_classes: int) -> None:
    if split.labels is None:
        return
    low, high = split.labels.min(), split.labels.max()
    if low < 0 or high >= num_classes:
        raise ValueError(
            f"labels must lie in 0..{num_classes - 1} for num_classes={num_classes}, those of the split {split.name} "
            f"lie in {low}..{high}; change num_classes or choose another split"
        )


def _one_hot(label: tf.Tensor, num_classes: int) -> tf.Tensor:
    # A split may not know its labels beforehand, and tf.one_hot would make a row of zeros of a wrong one.
    in_range = tf.debugging.Assert((label >= 0) & (label < num_classes), ["label out of range", label])
    with tf.control_dependencies([in_range]):
        return tf.one_hot(label, num_classes)
