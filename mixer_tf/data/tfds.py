"""Prepared data sets of TensorFlow Datasets. Nothing is ever downloaded here."""

from __future__ import annotations

import difflib
import re

import numpy as np
import tensorflow as tf

from mixer_tf.data.images import decode_image
from mixer_tf.data.splits import Example, ImageSource, Split, choose_split, in_memory, missing_package

MAX_BYTES_IN_MEMORY = 2 * 2**30  # encoded pictures of a set up to this size are held in memory


def open_tfds(name: str, data_dir: str | None, train_split: str | None, eval_split: str | None) -> ImageSource:
    """Open `tfds:NAME`; see `open_images`."""
    builder = prepared_builder(name, data_dir)
    class_names = _class_names(builder, name)
    train_split, eval_split, fits_memory = choose_splits(builder, name, train_split, eval_split)
    read_split = _read_into_memory if fits_memory else _random_access
    return ImageSource(
        f"tfds:{name}", class_names, train=read_split(builder, train_split), evaluation=read_split(builder, eval_split)
    )


def prepared_builder(name: str, data_dir: str | None):
    """The builder of a data set that has been prepared; else a `ValueError` says what to run."""
    builder = _builder(name, data_dir)
    if not builder.info.splits:
        raise ValueError(
            f"the data set {name} must be prepared, but {builder.data_dir} holds none of it; "
            f"run: {_prepare_command(name, data_dir)}"
        )
    return builder


def choose_splits(builder, name: str, train_split: str | None, eval_split: str | None) -> tuple[str, str, bool]:
    """Choose the splits, and say whether their pictures are to be held in memory (else read by random access).

    Raises:
        ValueError: If there is no such split, or it is too large for memory and not prepared for random access.
    """
    splits = builder.info.splits
    train_split = choose_split("train_split", train_split, ("train",), list(splits))
    eval_split = choose_split("eval_split", eval_split, ("validation", "test"), list(splits))
    wanted = sum(_split_size(builder, split) for split in (train_split, eval_split))
    num_bytes = builder.info.dataset_size * wanted / sum(split.num_examples for split in splits.values())

    random_access = builder.info.file_format.value == "array_record"
    if not random_access and num_bytes > MAX_BYTES_IN_MEMORY:
        raise ValueError(
            f"a data set above {MAX_BYTES_IN_MEMORY:,} bytes must be prepared for random access, {name} has about "
            f"{num_bytes:,.0f} and file_format={builder.info.file_format.value}; take slices by train_split and "
            f"eval_split, or prepare it in an empty folder and set data_dir to that, by: "
            f"{_prepare_command(name, 'FOLDER', file_format='array_record')}"
        )
    return train_split, eval_split, not random_access


def _builder(name: str, data_dir: str | None):
    try:
        import tensorflow_datasets as tfds

        return tfds.builder(name, data_dir=data_dir)
    except ImportError as error:  # of the package itself, or of what it imports only now
        raise missing_package(f"data=tfds:{name}", error.name or "tensorflow-datasets") from error
    except tfds.core.DatasetNotFoundError as error:
        near = difflib.get_close_matches(re.split("[/:]", name)[0], tfds.list_builders())
        hint = f"the nearest names are {', '.join(near)}" if near else "see the catalogue of TensorFlow Datasets"
        raise ValueError(f"tfds:NAME must name a data set of TensorFlow Datasets; given: {name!r}; {hint}") from error
    except (AssertionError, KeyError, RuntimeError, ValueError) as error:  # no such config or version, malformed name
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"tfds:NAME must be NAME[/CONFIG][:VERSION] of a data set; given: {name!r}; {reason}"
        ) from error


def _prepare_command(name: str, data_dir: str | None, file_format: str | None = None) -> str:
    # Not `tfds build`: with tensorflow-datasets 4.9.10 that program stops with ModuleNotFoundError without apache-beam.
    options = {"data_dir": data_dir, "file_format": file_format}
    arguments = "".join(f", {key}={value!r}" for key, value in options.items() if value)
    return f'python -c "import tensorflow_datasets as t; t.builder({name!r}{arguments}).download_and_prepare()"'


def _class_names(builder, name: str) -> tuple[str, ...]:
    import tensorflow_datasets as tfds

    features = dict(builder.info.features.items())
    image, label = features.get("image"), features.get("label")
    is_image = isinstance(image, tfds.features.Image) and image.dtype == np.uint8
    if not is_image or not isinstance(label, tfds.features.ClassLabel):
        raise ValueError(
            f"a data set for classification must have the features image (uint8) and label (one class), "
            f"{name} has {', '.join(features)}; choose another data set"
        )
    return tuple(label.names)


def _split_size(builder, split: str) -> int:
    try:
        size = builder.info.splits[split].num_examples
    except (KeyError, ValueError) as error:
        known = ", ".join(builder.info.splits)
        raise ValueError(f"a split must be one of {known} or a slice such as train[:80%]; given: {split!r}") from error
    if not size:
        raise ValueError(f"a split must hold examples, {split!r} holds none; choose another slice")
    return size


def _read_into_memory(builder, split: str) -> Split:
    records = builder.as_dataset(split=split, decoders=encoded_image(), shuffle_files=False)
    batches = records.map(lambda record: (record["image"], record["label"])).batch(4096).as_numpy_iterator()
    images, labels = zip(*batches, strict=True)
    return in_memory(split, np.concatenate(images), np.concatenate(labels).astype(np.int32), decode_image)


def _random_access(builder, split: str) -> Split:
    records = builder.as_data_source(split, decoders=encoded_image())

    def read_record(index: np.ndarray) -> tuple[bytes, np.int32]:
        record = records[int(index)]
        return record["image"], np.int32(record["label"])

    def read(index: tf.Tensor) -> Example:
        # Stateless: under op determinism tf.data would otherwise run the whole map one example at a time.
        encoded, label = tf.numpy_function(read_record, [index], [tf.string, tf.int32], stateful=False)
        return {"image": decode_image(tf.ensure_shape(encoded, [])), "label": tf.ensure_shape(label, [])}

    return Split(split, len(records), None, read)


def encoded_image():
    """The decoders that give the file's bytes in place of the picture."""
    import tensorflow_datasets as tfds

    return {"image": tfds.decode.SkipDecoding()}
