"""What every source of labelled pictures gives: two splits that are read by random access.

Random access, because the order of training is a pure function of the step (see `pipeline`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

Example = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set.

    Args:
        name: As the source calls it, for example "validation" or "train[:80%]".
        size: Number of examples.
        labels: int32 [size], or None where they are not known before reading.
        read: Maps an int64 scalar index in [0, size) to `{"image": uint8 [h, w, 3], "label": int32 []}`; made of
            graph operations, to be called inside `tf.data.Dataset.map`.
    """

    name: str
    size: int
    labels: np.ndarray | None
    read: Callable[[tf.Tensor], Example]


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSource:
    """Labelled pictures: a split to train on and one to evaluate on.

    Args:
        name: The string that `open_images` was given.
        class_names: The name of each label; one alone where the labels are not known.
        train: The training split.
        evaluation: The split that is never trained on.
        skipped: How many broken pictures were left out.
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    evaluation: Split
    skipped: int = 0


def in_memory(name: str, records: np.ndarray, labels: np.ndarray, decode: Callable[[tf.Tensor], tf.Tensor]) -> Split:
    """Hold records [n, ...] and labels [n] in tensors that `read` captures: they are not copied into its graph."""
    with tf.device("CPU"):  # where tf.data runs
        held, held_labels = tf.constant(records), tf.constant(labels)

    def read(index: tf.Tensor) -> Example:
        return {"image": decode(held[index]), "label": held_labels[index]}

    return Split(name, len(labels), labels, read)


def choose_split(key: str, given: str | None, usual: tuple[str, ...], splits: list[str]) -> str:
    """The split that the recipe names under `key`, else the first usual one that exists."""
    for name in usual:
        if not given and name in splits:
            return name
    if not given:
        raise ValueError(
            f"the data set must have a split named {' or '.join(usual)}, it has {', '.join(splits) or 'none'}; "
            f"name one by {key}=..."
        )
    return given


def missing_package(what: str, package: str) -> ValueError:
    """The error for data that needs a package of the extra `[data]`."""
    return ValueError(f'{what} needs {package}, which cannot be imported; run: pip install "mixer-tf[data]"')
