"""What every source of text gives: two splits of token ids that are read by random access."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from mixer_tf.data.tokenizers import SpecialTokens


@dataclasses.dataclass(frozen=True, eq=False)
class TextSplit:
    """One part of a source of text.

    Args:
        size: Number of examples of an epoch.
        read: Maps an int64 scalar index in [0, size) and a seed, an int tensor [2], to `token_ids`, `segment_ids` and
            `padding_mask`, int32 [t], and `is_next`, int32 []; made of graph operations, to be called inside
            `tf.data.Dataset.map`.
    """

    size: int
    read: Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]


@dataclasses.dataclass(frozen=True, eq=False)
class TextSource:
    """Text as token ids: a split to train on and one to evaluate on.

    Args:
        special: The ids of the special tokens.
        vocab_size: Number of pieces, v.
        is_special: bool [v]; these are never scored and never drawn as a replacement.
        starts_word: bool [v]; the others continue the word before them.
        pieces: The text of each piece.
        train: The split to train on.
        evaluation: The split that is never trained on.
    """

    special: SpecialTokens
    vocab_size: int
    is_special: np.ndarray
    starts_word: np.ndarray
    pieces: tuple[str, ...]
    train: TextSplit
    evaluation: TextSplit
