"""What the readers of annotated picture files share: which pictures are there and whole, and splits made of them."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from mixer_tf.data.detection_splits import (
    DetectionSource,
    DetectionSplit,
    Truth,
    annotated_split,
    log_dropped,
    make_truth,
)
from mixer_tf.data.images import decode_image, measure_pictures

HELD_OUT = 0.2  # of a data set that has but one split
_SHOWN = 5

_log = logging.getLogger(__name__)


@dataclasses.dataclass
class Annotated:
    """One picture and what a file says about it, before anything is checked.

    Args:
        path: The picture.
        image_id: The source's own, or its number.
        boxes: float64 [n, 4], yxyx in pixels, or as fractions of the picture where `relative`.
        classes: int32 [n]; -1 for a class that the source does not list.
        size: Height and width as the file says, or None.
        areas: float64 [n] in pixels², or None: those of the boxes.
        crowd: bool [n], or None: none is.
        difficult: bool [n], or None: none is.
        relative: How `boxes` are to be read.
    """

    path: Path
    image_id: int
    boxes: np.ndarray
    classes: np.ndarray
    size: tuple[int, int] | None = None
    areas: np.ndarray | None = None
    crowd: np.ndarray | None = None
    difficult: np.ndarray | None = None
    relative: bool = False


def open_files(
    name: str,
    class_names: Sequence[str],
    splits: tuple[str, str],
    parts: tuple[Sequence[Annotated], Sequence[Annotated]],
    skip_broken: bool,
    *,
    category_ids: Sequence[int] | None = None,
    dropped: Counter | None = None,
) -> DetectionSource:
    """Look at every picture once, and make a source of those that are whole.

    Args:
        name: What the source is called.
        class_names: The name of each class.
        splits: What the split to train on and the one to evaluate on are called.
        parts: The pictures that they hold.
        skip_broken: Leave missing and broken pictures out, and those whose size is not the annotated one.
        category_ids: The source's own id of each class.
        dropped: Objects that have been dropped already, by reason.

    Returns:
        The source.

    Raises:
        ValueError: If a picture is missing or broken and not to be skipped, no picture of a split remains, or both
            splits hold the same pictures.
    """
    paths = [{picture.path for picture in part} for part in parts]
    if common := sorted(paths[0] & paths[1]):
        raise ValueError(
            f"the splits must share no picture, {splits[0]} and {splits[1]} share {len(common)}, the first is "
            f"{common[0]}; choose others by train_split and eval_split"
        )
    dropped = Counter() if dropped is None else dropped
    train, evaluation = (_file_split(*split, skip_broken, dropped) for split in zip(splits, parts, strict=True))
    log_dropped(dropped)
    return DetectionSource(
        name,
        tuple(class_names),
        train,
        evaluation,
        skipped=sum(map(len, parts)) - train.size - evaluation.size,
        dropped=dict(dropped),
        category_ids=None if category_ids is None else tuple(category_ids),
    )


def _file_split(name: str, pictures: Sequence[Annotated], skip_broken: bool, dropped: Counter) -> DetectionSplit:
    start = time.perf_counter()
    sizes = measure_pictures([picture.path for picture in pictures])
    wrong = {i: reason for i, picture in enumerate(pictures) if (reason := _fault(picture, sizes[i]))}
    _log.info("checked %d pictures in %.1f s, %d are wrong", len(pictures), time.perf_counter() - start, len(wrong))
    if wrong and not skip_broken:
        first = "; ".join(f"{pictures[i].path} ({reason})" for i, reason in list(wrong.items())[:_SHOWN])
        raise ValueError(
            f"every annotated picture must be there and readable, {len(wrong)} of {len(pictures)} of the split {name} "
            f"are not, the first are {first}; repair the data set, or set skip_broken=true"
        )
    for i, reason in wrong.items():
        _log.warning("skipped the picture %s (%s)", pictures[i].path, reason)
    whole = [i for i in range(len(pictures)) if i not in wrong]
    if not whole:
        raise ValueError(f"a split must hold pictures, {name} holds none that can be read; choose another split")
    truths = [_truth(pictures[i], sizes[i], dropped) for i in whole]
    with tf.device("CPU"):  # bytes: a name need not be UTF-8
        paths = tf.constant([os.fsencode(pictures[i].path) for i in whole], tf.string)
    return annotated_split(name, truths, lambda index: decode_image(tf.io.read_file(paths[index])))


def hold_out(pictures: Sequence[Annotated]) -> tuple[list[Annotated], list[Annotated]]:
    """Part a data set that has but one split, always in the same way: four fifths to train on, one to evaluate on."""
    held_out = round(HELD_OUT * len(pictures))
    if not 0 < held_out < len(pictures):
        raise ValueError(f"there must be 3 pictures or more to hold some out; given: {len(pictures)}; name eval_split")
    order = np.random.default_rng(0).permutation(len(pictures))
    parts = np.sort(order[held_out:]), np.sort(order[:held_out])
    return [pictures[i] for i in parts[0]], [pictures[i] for i in parts[1]]


def one_line(error: Exception) -> str:
    """What an error of a library says, short and in one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _fault(picture: Annotated, found: tuple[int, int] | str) -> str | None:
    if isinstance(found, str):
        return found if picture.path.is_file() else "missing"
    if picture.size and picture.size != found:
        return f"{found[0]}x{found[1]} pixels, annotated as {picture.size[0]}x{picture.size[1]}"
    return None


def _truth(picture: Annotated, size, dropped: Counter) -> Truth:
    return make_truth(
        image_id=picture.image_id,
        size=size,
        boxes=picture.boxes * np.tile(size, 2) if picture.relative else picture.boxes,
        classes=picture.classes,
        areas=picture.areas,
        crowd=picture.crowd,
        difficult=picture.difficult,
        dropped=dropped,
    )
