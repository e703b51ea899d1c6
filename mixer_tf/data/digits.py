"""Scikit-learn's handwritten digits: 1,797 pictures of 8x8 pixels that need no download."""

from __future__ import annotations

import numpy as np

from mixer_tf.data.splits import ImageSource, Split, in_memory, missing_package


def open_digits() -> ImageSource:
    """Open `digits`, with a fixed, stratified fifth of them held out."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise missing_package("data=digits", "scikit-learn") from error

    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # the set's values are 0..16
    labels = digits.target.astype(np.int32)
    train, held_out = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)

    def split(name: str, rows: np.ndarray) -> Split:
        images = np.repeat(grey[rows, :, :, np.newaxis], 3, axis=-1)
        return in_memory(name, images, labels[rows], decode=lambda image: image)

    names = tuple(str(name) for name in digits.target_names)
    return ImageSource("digits", names, split("train", train), split("test", held_out))
