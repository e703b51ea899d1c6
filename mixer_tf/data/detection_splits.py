"""What every source of pictures with objects gives: two splits that are read by random access.

An object is a box and a class. What is trained on is less than what is evaluated against: an evaluation by the rules of
COCO or VOC must know the crowds and the difficult objects, to forgive what is predicted there.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from mixer_tf.data.splits import Example

Truth = dict[str, np.ndarray]

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class DetectionSplit:
    """One part of a data set.

    Args:
        name: As the source calls it, for example "validation" or "val2017".
        size: Number of pictures.
        read: Maps an int64 scalar index in [0, size) to `{"image": uint8 [h, w, 3], "boxes": float32 [n, 4],
            "classes": int32 [n]}` of the objects to train on, boxes in relative yxyx inside the picture; made of graph
            operations, to be called inside `tf.data.Dataset.map`.
        truth: Maps an index to what predictions are evaluated against, without decoding the picture: arrays `image_id`
            (int64 []), `height` and `width` (int64 [], pixels), `boxes` (float32 [n, 4], relative yxyx as annotated,
            not clipped), `classes` (int32 [n]), `areas` (float32 [n], pixels², of the mask where the source knows it),
            `crowd` and `difficult` (bool [n]).
        counts: int64 [size], the number of objects to train on in each picture.
    """

    name: str
    size: int
    read: Callable[[tf.Tensor], Example]
    truth: Callable[[int], Truth]
    counts: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class DetectionSource:
    """Pictures with objects: a split to train on and one to evaluate on.

    Args:
        name: The string that `open_detection` was given.
        class_names: The name of each class.
        train: The training split.
        evaluation: The split that is never trained on.
        skipped: How many pictures were left out, missing or broken.
        dropped: Reason -> number of objects of both splits that are not trained on: `crowd` and `difficult`, which
            count in the evaluation as COCO and VOC define; `zero_area` and `outside` (of the picture), which are
            evaluated against as any other; `unknown_class`, `unknown_image`, `not_finite` and `negative_size`, which
            are gone.
        category_ids: The source's own id of each class, for COCO's result files; None where it has none.
    """

    name: str
    class_names: tuple[str, ...]
    train: DetectionSplit
    evaluation: DetectionSplit
    skipped: int = 0
    dropped: Mapping[str, int] = dataclasses.field(default_factory=dict)
    category_ids: tuple[int, ...] | None = None


def make_truth(
    *,
    image_id: int,
    size: tuple[int, int],
    boxes: np.ndarray,
    classes: np.ndarray,
    dropped: Counter,
    areas: np.ndarray | None = None,
    crowd: np.ndarray | None = None,
    difficult: np.ndarray | None = None,
) -> Truth:
    """Check the objects of one picture, and count those that are not trained on.

    Args:
        image_id: The source's own.
        size: Height and width of the picture in pixels.
        boxes: [n, 4], yxyx in pixels, as annotated.
        classes: int [n]; -1 for a class that the source does not list.
        dropped: Grows by the number of objects for each reason.
        areas: [n], pixels²; without, those of the boxes.
        crowd: bool [n]; without, none is.
        difficult: bool [n]; without, none is.

    Returns:
        As `DetectionSplit.truth`.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    heights, widths = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    none = np.zeros(len(boxes), bool)
    columns = {
        "boxes": (boxes / np.tile(size, 2)).astype(np.float32),
        "classes": np.asarray(classes, np.int32).reshape(-1),
        "areas": np.asarray(heights * widths if areas is None else areas, np.float32),
        "crowd": none if crowd is None else np.asarray(crowd, bool),
        "difficult": none if difficult is None else np.asarray(difficult, bool),
    }
    reasons = {  # of an object that is none; the first one that applies
        "unknown_class": columns["classes"] < 0,
        "not_finite": ~np.isfinite(boxes).all(axis=1),
        "negative_size": (heights < 0) | (widths < 0),
    }
    gone = _count_first(reasons, dropped)
    truth = {name: column[~gone] for name, column in columns.items()}
    _count_first(_not_trained_on(truth), dropped)
    numbers = {"image_id": np.int64(image_id), "height": np.int64(size[0]), "width": np.int64(size[1])}
    return {name: np.asarray(number) for name, number in numbers.items()} | truth


def annotated_split(name: str, truths: Sequence[Truth], read_image: Callable[[tf.Tensor], tf.Tensor]) -> DetectionSplit:
    """Make a split of objects held in memory, whose boxes are cut at the border of the picture for training.

    Args:
        name: What it is called.
        truths: Of each picture, from `make_truth`.
        read_image: Maps an int64 scalar index to uint8 [h, w, 3]; graph operations.

    Returns:
        The split.
    """
    kept = [~np.logical_or.reduce(list(_not_trained_on(truth).values())) for truth in truths]
    counts = np.array([mask.sum() for mask in kept], np.int64)
    boxes = [np.clip(truth["boxes"][mask], 0, 1) for truth, mask in zip(truths, kept, strict=True)]
    classes = [truth["classes"][mask] for truth, mask in zip(truths, kept, strict=True)]
    with tf.device("CPU"):  # where tf.data runs
        starts = tf.constant(np.concatenate([[0], np.cumsum(counts)]), tf.int64)
        all_boxes = tf.constant(np.concatenate(boxes), tf.float32)
        all_classes = tf.constant(np.concatenate(classes), tf.int32)

    def read(index: tf.Tensor) -> Example:
        objects = slice(starts[index], starts[index + 1])
        return {"image": read_image(index), "boxes": all_boxes[objects], "classes": all_classes[objects]}

    return DetectionSplit(name, len(truths), read, truths.__getitem__, counts)


def log_dropped(dropped: Mapping[str, int]) -> None:
    """Say how many objects are not trained on, and why."""
    for reason, number in dropped.items():
        _log.warning("%d objects are not trained on: %s", number, reason.replace("_", " "))


def _not_trained_on(truth: Truth) -> dict[str, np.ndarray]:
    """Reason -> bool [n]."""
    whole, inside = truth["boxes"], np.clip(truth["boxes"], 0, 1)
    return {
        "crowd": truth["crowd"],
        "difficult": truth["difficult"],
        "zero_area": np.any(whole[:, 2:] <= whole[:, :2], axis=1),
        "outside": np.any(inside[:, 2:] <= inside[:, :2], axis=1),
    }


def _count_first(reasons: Mapping[str, np.ndarray], dropped: Counter) -> np.ndarray:
    """Count each object under the first reason that applies to it; True for those that have one."""
    done = np.zeros(len(next(iter(reasons.values()))), bool)
    for reason, applies in reasons.items():
        if number := int((applies & ~done).sum()):
            dropped[reason] += number
        done = done | applies
    return done
