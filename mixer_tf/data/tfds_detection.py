"""Prepared detection sets of TensorFlow Datasets, such as `coco/2017` and `voc/2007`. Nothing is ever downloaded."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable

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
from mixer_tf.data.images import decode_image
from mixer_tf.data.tfds import choose_splits, encoded_image, prepared_builder

_log = logging.getLogger(__name__)


def open_tfds_detection(
    name: str, data_dir: str | None, train_split: str | None, eval_split: str | None
) -> DetectionSource:
    """Open `tfds:NAME`; see `open_detection`. Every record is read once, for its objects and the picture's size."""
    builder = prepared_builder(name, data_dir)
    class_names = _class_names(builder, name)
    train_split, eval_split, fits_memory = choose_splits(builder, name, train_split, eval_split)
    open_split = _read_into_memory if fits_memory else _random_access
    dropped: Counter[str] = Counter()
    start = time.perf_counter()
    train, evaluation = (open_split(builder, split, dropped) for split in (train_split, eval_split))
    _log.info("read %d records in %.1f s", train.size + evaluation.size, time.perf_counter() - start)
    log_dropped(dropped)
    return DetectionSource(f"tfds:{name}", class_names, train, evaluation, dropped=dict(dropped))


def _class_names(builder, name: str) -> tuple[str, ...]:
    import tensorflow_datasets as tfds

    features = dict(builder.info.features.items())
    image, objects = features.get("image"), features.get("objects")
    parts = dict(objects.feature.items()) if isinstance(objects, tfds.features.Sequence) else {}
    is_image = isinstance(image, tfds.features.Image) and image.dtype == np.uint8
    has_objects = isinstance(parts.get("label"), tfds.features.ClassLabel) and "bbox" in parts
    if not (is_image and has_objects):
        raise ValueError(
            f"a data set for detection must have the features image (uint8) and objects (with bbox and label), "
            f"{name} has {', '.join(features)}; choose another data set"
        )
    return tuple(parts["label"].names)


def _read_into_memory(builder, split: str, dropped: Counter) -> DetectionSplit:
    records = list(builder.as_dataset(split=split, decoders=encoded_image(), shuffle_files=False).as_numpy_iterator())
    with tf.device("CPU"):
        encoded = tf.constant([record["image"] for record in records], tf.string)
    return annotated_split(split, _truths(records, dropped), lambda index: decode_image(encoded[index]))


def _random_access(builder, split: str, dropped: Counter) -> DetectionSplit:
    records = builder.as_data_source(split, decoders=encoded_image())

    def read_image(index: tf.Tensor) -> tf.Tensor:
        # Stateless: under op determinism tf.data would otherwise run the whole map one example at a time.
        encoded = tf.numpy_function(lambda i: records[int(i)]["image"], [index], tf.string, stateful=False)
        return decode_image(tf.ensure_shape(encoded, []))

    return annotated_split(split, _truths((records[i] for i in range(len(records))), dropped), read_image)


def _truths(records: Iterable[dict], dropped: Counter) -> list[Truth]:
    measure = _measurer()
    return [_truth(i, record, measure(record["image"]), dropped) for i, record in enumerate(records)]


def _truth(index: int, record: dict, size: tuple[int, int], dropped: Counter) -> Truth:
    objects = record["objects"]
    return make_truth(
        image_id=int(record.get("image/id", index)),
        size=size,
        boxes=np.reshape(objects["bbox"], [-1, 4]) * np.tile(size, 2),
        classes=objects["label"],
        areas=objects.get("area"),
        crowd=objects.get("is_crowd"),
        difficult=objects.get("is_difficult"),
        dropped=dropped,
    )


def _measurer() -> Callable[[bytes], tuple[int, int]]:
    """A function of a file's bytes to the picture's height and width; of a JPEG only the header is read."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def shape(encoded: tf.Tensor) -> tf.Tensor:
        is_jpeg = tf.strings.substr(encoded, 0, 3) == b"\xff\xd8\xff"
        return tf.cond(is_jpeg, lambda: tf.io.extract_jpeg_shape(encoded), lambda: tf.shape(decode_image(encoded)))

    def measure(encoded: bytes) -> tuple[int, int]:
        height, width, _ = shape(encoded).numpy().tolist()
        return height, width

    return measure
