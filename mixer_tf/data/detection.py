"""Detection splits to batches, with the order and the exact resume of `pipeline`."""

from __future__ import annotations

import logging

import numpy as np
import tensorflow as tf

from mixer_tf.checks import require
from mixer_tf.data.augment_boxes import DetectionAugmentation, augment_objects
from mixer_tf.data.detection_splits import DetectionSplit
from mixer_tf.data.pipeline import eval_batches, finished, train_batches
from mixer_tf.data.preprocess import Preprocessing, normalize

PADDING_CLASS = -1.0

_log = logging.getLogger(__name__)


def train_detection_dataset(
    split: DetectionSplit,
    *,
    preprocessing: Preprocessing,
    augmentation: DetectionAugmentation,
    max_objects: int,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    worker: int = 0,
    num_workers: int = 1,
) -> tf.data.Dataset:
    """Make the endless stream of training batches, in the order of `pipeline.train_dataset`.

    Args:
        split: What to read.
        preprocessing: Target size, fit and normalisation.
        augmentation: What to change at random.
        max_objects: Rows of the labels, n. Of more objects the largest are kept; those of single pictures that find no
            row are counted in the log. A mosaic may hold the objects of four pictures.
        batch_size: The global batch, b.
        seed: Of order and augmentation.
        start_step: Number of batches that were already taken in an earlier part of the run.
        worker: Which share of the batches to make, from 0.
        num_workers: Number of shares, w.

    Returns:
        An infinite dataset of (float32 [b / w, H, W, 3], float32 [b / w, n, 5]), the same for the same arguments. A
        label is the box in relative yxyx of the input, then the class index; rows without an object are zeros with the
        class -1.

    Raises:
        ValueError: If batch_size exceeds the split or is no multiple of the workers, or max_objects is below 1.

    Example:
        >>> from mixer_tf.data.scenes import open_scenes
        >>> source = open_scenes(train_size=20, eval_size=5, image_size=64)
        >>> batches = train_detection_dataset(source.train, preprocessing=Preprocessing((64, 96), fit="letterbox"),
        ...     augmentation=DetectionAugmentation(flip=True), max_objects=10, batch_size=4, seed=0)
        >>> images, labels = next(iter(batches))
        >>> images.shape, labels.shape
        (TensorShape([4, 64, 96, 3]), TensorShape([4, 10, 5]))
    """
    _check_max_objects(split, max_objects)

    def example(index: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        placed, _ = augment_objects(
            split.read, split.size, index, augmentation=augmentation, preprocessing=preprocessing, seed=seed
        )
        image = normalize(placed["image"], preprocessing.mean, preprocessing.std)
        return image, padded_labels(placed["boxes"], placed["classes"], max_objects)

    return finished(
        train_batches(
            split,
            example,
            batch_size=batch_size,
            seed=seed,
            start_step=start_step,
            worker=worker,
            num_workers=num_workers,
        )
    )


def eval_detection_dataset(
    split: DetectionSplit,
    *,
    preprocessing: Preprocessing,
    max_objects: int,
    batch_size: int,
    worker: int = 0,
    num_workers: int = 1,
) -> tf.data.Dataset:
    """Make the batches of one evaluation: every picture once, in order; the last batch may be smaller.

    The labels are for the loss; COCO's figures are computed against `split.truth`.

    Args:
        split: What to read.
        preprocessing: Target size, fit and normalisation.
        max_objects: Rows of the labels, n.
        batch_size: The global batch, b.
        worker: Which share of each batch to make, from 0.
        num_workers: Number of shares, w.

    Returns:
        A dataset of (float32 [b / w, H, W, 3], float32 [b / w, n, 5]), as `train_detection_dataset`.

    Raises:
        ValueError: If batch_size is no multiple of the workers, or max_objects is below 1.
    """
    _check_max_objects(split, max_objects)

    def example(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        placed, _ = augment_objects(
            split.read,
            split.size,
            index,
            augmentation=DetectionAugmentation(min_visibility=0.0),
            preprocessing=preprocessing,
            seed=tf.zeros([2], tf.int64),  # nothing is drawn
        )
        image = normalize(placed["image"], preprocessing.mean, preprocessing.std)
        return image, padded_labels(placed["boxes"], placed["classes"], max_objects)

    return finished(eval_batches(split, example, batch_size=batch_size, worker=worker, num_workers=num_workers))


def padded_labels(boxes: tf.Tensor, classes: tf.Tensor, max_objects: int) -> tf.Tensor:
    """Write boxes [n, 4] and classes [n] into float32 [max_objects, 5]; of too many objects the largest are kept.

    Example:
        >>> padded_labels(tf.constant([[0.0, 0.25, 0.5, 1.0]]), tf.constant([7]), max_objects=2).numpy().tolist()
        [[0.0, 0.25, 0.5, 1.0, 7.0], [0.0, 0.0, 0.0, 0.0, -1.0]]
    """
    areas = tf.reduce_prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    largest = tf.argsort(areas, direction="DESCENDING", stable=True)[:max_objects]
    kept = tf.sort(largest)  # in the order of the source
    rows = tf.concat([tf.gather(boxes, kept), tf.cast(tf.gather(classes, kept), tf.float32)[:, tf.newaxis]], axis=1)
    padding = tf.constant([[0.0, 0.0, 0.0, 0.0, PADDING_CLASS]])
    labels = tf.concat([rows, tf.tile(padding, [max_objects - tf.shape(rows)[0], 1])], axis=0)
    return tf.ensure_shape(labels, [max_objects, 5])


def _check_max_objects(split: DetectionSplit, max_objects: int) -> None:
    require(max_objects >= 1, f"max_objects must be 1 or more; given: {max_objects}; it is the rows of the labels")
    if excess := int(np.maximum(split.counts - max_objects, 0).sum()):
        _log.warning(
            "max_objects=%d leaves out %d of the %d objects of the split %s, in %d of its %d pictures",
            max_objects,
            excess,
            split.counts.sum(),
            split.name,
            (split.counts > max_objects).sum(),
            split.size,
        )
