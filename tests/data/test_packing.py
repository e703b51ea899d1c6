"""The page of the lecture: [CLS] a [SEP] b [EOS], with its segments."""

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.data.packing import pack_texts
from mixer_tf.data.text_examples import pack
from mixer_tf.data.tokenizers import SpecialTokens

SPECIAL = SpecialTokens(pad=0, unknown=1, cls=2, eos=3, sep=4, mask=5)
FIRST = tf.ragged.constant([[11, 12, 13], [], [11, 12, 13, 14, 15, 16, 17, 18]], dtype=tf.int32)
SECOND = tf.ragged.constant([[21, 22], [21], [21, 22, 23, 24]], dtype=tf.int32)


def packed(first, second=None, length=10):
    return {name: x.numpy().tolist() for name, x in pack_texts(first, second, special=SPECIAL, length=length).items()}


def test_single_texts_are_framed_cut_and_padded():
    result = packed(FIRST)
    assert result["token_ids"] == [
        [2, 11, 12, 13, 3, 0, 0, 0, 0, 0],
        [2, 3, 0, 0, 0, 0, 0, 0, 0, 0],
        [2, 11, 12, 13, 14, 15, 16, 17, 18, 3],
    ]
    assert np.sum(result["padding_mask"], axis=1).tolist() == [5, 2, 10]
    assert np.sum(result["segment_ids"]) == 0
    assert packed(FIRST, length=6)["token_ids"][2] == [2, 11, 12, 13, 14, 3]


def test_pairs_have_two_segments_and_the_longer_text_is_cut_first():
    result = packed(FIRST, SECOND)
    assert result["token_ids"] == [
        [2, 11, 12, 13, 4, 21, 22, 3, 0, 0],
        [2, 4, 21, 3, 0, 0, 0, 0, 0, 0],
        [2, 11, 12, 13, 14, 4, 21, 22, 23, 3],
    ]
    assert result["segment_ids"] == [
        [0, 0, 0, 0, 0, 1, 1, 1, 0, 0],
        [0, 0, 1, 1, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 1, 1, 1],
    ]
    assert packed(FIRST[2:], SECOND[1:2])["token_ids"] == [[2, 11, 12, 13, 14, 15, 16, 4, 21, 3]]
    assert packed(SECOND[1:2], FIRST[2:])["token_ids"] == [[2, 21, 4, 11, 12, 13, 14, 15, 16, 3]]


def test_a_length_without_room_is_refused():
    with pytest.raises(ValueError, match="length must be at least 5 tokens; given: 4"):
        packed(FIRST, SECOND, length=4)


@pytest.mark.parametrize("texts", [(FIRST,), (FIRST, SECOND)])
def test_graph_packs_the_same_way(texts):
    specs = [tf.RaggedTensorSpec([None, None], tf.int32)] * len(texts)
    result = tf.function(lambda *x: pack_texts(*x, special=SPECIAL, length=10), input_signature=specs)(*texts)
    assert {name: tensor.numpy().tolist() for name, tensor in result.items()} == packed(*texts)


def test_no_texts_give_no_rows():
    nothing = tf.RaggedTensor.from_row_lengths(tf.zeros([0], tf.int32), tf.zeros([0], tf.int64))
    for second in (None, nothing):
        result = pack_texts(nothing, second, special=SPECIAL, length=7)
        assert {name: (tensor.shape, tensor.dtype) for name, tensor in result.items()} == dict.fromkeys(
            ("token_ids", "segment_ids", "padding_mask"), ((0, 7), tf.int32)
        )


@pytest.mark.parametrize("pairs", [False, True])
def test_examples_for_training_are_packed_the_same_way(pairs):
    random, texts, expected = np.random.default_rng(0), ([], []), []
    for _ in range(20):
        size = random.integers(0, 5 if pairs else 9)
        first = random.integers(6, 30, size)
        second = random.integers(6, 30, random.integers(1, 9 - size)) if pairs else None
        expected.append(pack(first, second, special=SPECIAL, sequence_length=11))
        texts[0].append(first.tolist())
        texts[1].append(second.tolist() if pairs else [])
    result = packed(*(tf.ragged.constant(part, dtype=tf.int32) for part in texts[: 1 + pairs]), length=11)
    assert list(result.values()) == [np.stack(arrays).tolist() for arrays in zip(*expected, strict=True)]
