"""One text or a pair of them as a model reads it: `[CLS] a [EOS]` or `[CLS] a [SEP] b [EOS]`, padded."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.checks import require


def pack_texts(
    first: tf.RaggedTensor, second: tf.RaggedTensor | None = None, *, special, length: int
) -> dict[str, tf.Tensor]:
    """Put token ids between special tokens, cut them where they are too long, and pad them.

    Of a pair that is too long the longer text is cut first. Segments are those of BERT: 0 up to and with `[SEP]`, 1
    from there to `[EOS]`, and 0 on padding.

    Args:
        first: int32 [b, (n)].
        second: int32 [b, (m)], what comes after it; None for single texts.
        special: the special tokens, with `cls`, `sep`, `eos` and `pad`.
        length: t, of the result.

    Returns:
        `token_ids`, `segment_ids` and `padding_mask`, each int32 [b, t].

    Raises:
        ValueError: if the length leaves no room for a token of each text.

    Example:
        >>> from mixer_tf.data.tokenizers import SpecialTokens
        >>> special = SpecialTokens(pad=0, unknown=1, cls=2, eos=3, sep=4, mask=5)
        >>> packed = pack_texts(tf.ragged.constant([[6, 7]]), tf.ragged.constant([[8]]), special=special, length=8)
        >>> packed["token_ids"].numpy().tolist(), packed["segment_ids"].numpy().tolist()
        ([[2, 6, 7, 4, 8, 3, 0, 0]], [[0, 0, 0, 0, 1, 1, 0, 0]])
    """
    texts = [first] if second is None else [first, second]
    room = length - 1 - len(texts)
    require(room >= len(texts), f"length must be at least {1 + 2 * len(texts)} tokens; given: {length}")
    if second is None:
        first = first[:, :room]
    else:
        sizes = tf.minimum(second.row_lengths(), tf.maximum(room - first.row_lengths(), room // 2))
        second = _cut(second, sizes)
        first = _cut(first, room - sizes)
    rows = first.nrows()
    parts = [_column(special.cls, rows), first]
    parts += [_column(special.sep, rows), second] if second is not None else []
    token_ids = tf.concat([*parts, _column(special.eos, rows)], axis=1)
    sizes, places = token_ids.row_lengths()[:, tf.newaxis], tf.range(length, dtype=tf.int64)
    real = places < sizes
    starts = sizes if second is None else first.row_lengths()[:, tf.newaxis] + 2  # of the second segment
    return {
        "token_ids": token_ids.to_tensor(special.pad, shape=(None, length)),
        "segment_ids": tf.cast(real & (places >= starts), tf.int32),
        "padding_mask": tf.cast(real, tf.int32),
    }


def _column(token: int, rows: tf.Tensor) -> tf.RaggedTensor:
    return tf.RaggedTensor.from_tensor(tf.fill([rows, 1], token))


def _cut(texts: tf.RaggedTensor, sizes: tf.Tensor) -> tf.RaggedTensor:
    """The first tokens of each row, at most so many."""
    places = tf.ragged.range(texts.row_lengths())
    return tf.ragged.boolean_mask(texts, places < tf.expand_dims(sizes, 1))
