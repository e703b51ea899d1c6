"""Scikit-learn's handwritten digits: 1,797 pictures of 8x8 pixels that need no download."""

from __future__ import annotations

import numpy as np

from mixer_tf.data.splits import ImageSource, Split, in_memory, missing_package

CLASS_NAMES = tuple("0123456789")


def open_digits() -> ImageSource:
    """Open `digits`, with a fixed, stratified fifth of them held out."""

    def split(name: str, grey: np.ndarray, labels: np.ndarray) -> Split:
        images = np.repeat(grey[..., np.newaxis], 3, axis=-1)
        return in_memory(name, images, labels, decode=lambda image: image)

    train, held_out = split_digits("data=digits")
    return ImageSource("digits", CLASS_NAMES, split("train", *train), split("test", *held_out))


def split_digits(what: str) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The digits to train on and those held out, each as uint8 [n, 8, 8] and their labels, int32 [n].

    Args:
        what: Needs them, for the error that scikit-learn is missing.
    """
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise missing_package(what, "scikit-learn") from error

    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # the set's values are 0..16
    labels = digits.target.astype(np.int32)
    train, held_out = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    return (grey[train], labels[train]), (grey[held_out], labels[held_out])
