"""Packed sentences and sentence pairs: what they are made of, and how often each kind comes."""

import numpy as np
import pytest

from mixer_tf.data.corpus import Corpus
from mixer_tf.data.text_examples import TextExamples, pack
from mixer_tf.data.text_files import TextCounts
from mixer_tf.data.tokenizers import SpecialTokens

SPECIAL = SpecialTokens(pad=0, unknown=1, cls=2, eos=3, sep=4, mask=5)


def corpus_of(*documents):
    """Of documents, each a list of lengths of sentences; every token of the corpus is another id, from 10 on."""
    lengths = [length for document in documents for length in document]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    sizes = [len(document) for document in documents]
    token_ids = np.arange(10, 10 + starts[-1], dtype=np.uint16)
    return Corpus(token_ids, starts, np.concatenate([[0], np.cumsum(sizes)]), TextCounts())


def examples_of(corpus, pair_task, sequence_length=16, short_share=0.0, chosen=None):
    chosen = np.ones(len(corpus.sentence_starts) - 1, bool) if chosen is None else chosen
    options = {"sequence_length": sequence_length, "pair_task": pair_task, "short_share": short_share}
    return TextExamples(corpus, chosen, special=SPECIAL, **options)


def parts_of(example):
    """Both parts' token ids, and the label, of an example whose layout is checked."""
    token_ids, segment_ids, padding_mask, is_next = example
    ids = token_ids[: padding_mask.sum()].tolist()
    assert not token_ids[len(ids) :].any()
    assert ids[0] == SPECIAL.cls
    assert ids[-1] == SPECIAL.eos
    first, second = ids[1:-1], None
    if SPECIAL.sep in ids:
        place = ids.index(SPECIAL.sep)
        first, second = ids[1:place], ids[place + 1 : -1]
    expected = pack(
        np.array(first), None if second is None else np.array(second), special=SPECIAL, sequence_length=len(token_ids)
    )
    np.testing.assert_array_equal(segment_ids, expected[1])
    return first, second, int(is_next)


def draw(examples, count=400):
    return [parts_of(examples(i % len(examples), np.array([7, i]))) for i in range(count)]


def test_segments_are_those_of_the_lecture():
    """[CLS] a a a a a [SEP] b b b b [EOS], and padding after it."""
    token_ids, segment_ids, padding_mask = pack(
        np.array([10, 11, 12, 13, 14]), np.array([20, 21, 22, 23]), special=SPECIAL, sequence_length=14
    )
    assert token_ids.tolist() == [2, 10, 11, 12, 13, 14, 4, 20, 21, 22, 23, 3, 0, 0]
    assert segment_ids.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0]
    assert padding_mask.tolist() == [1] * 12 + [0, 0]
    assert {x.dtype for x in (token_ids, segment_ids, padding_mask)} == {np.dtype(np.int32)}


def test_one_part_has_one_segment():
    token_ids, segment_ids, padding_mask = pack(np.array([10, 11]), None, special=SPECIAL, sequence_length=6)
    assert token_ids.tolist() == [2, 10, 11, 3, 0, 0]
    assert not segment_ids.any()
    assert padding_mask.sum() == 4


def test_packing_fills_every_example_and_loses_no_token():
    corpus = corpus_of([5, 3, 4], [9], [50], [2, 1, 1, 6])
    examples = examples_of(corpus, None)
    drawn = draw(examples, len(examples))
    assert [len(first) for first, _, _ in drawn[:-1]] == [14] * (len(drawn) - 1)
    assert {token for first, _, _ in drawn for token in first} == set(corpus.token_ids.tolist())
    assert all(second is None and is_next == 1 for _, second, is_next in drawn)
    assert drawn[0][0] == list(range(10, 24))
    assert drawn[1][0][0] == 22  # the sentence that did not fit whole is begun again


@pytest.mark.parametrize("pair_task", ["nsp", "sop"])
@pytest.mark.parametrize("documents", [[[4, 3, 5, 2] * 6] * 5, [[4, 3, 5, 2] * 30], [[40]] * 6, [[6, 7]] * 9])
def test_half_of_the_pairs_follow(pair_task, documents):
    drawn = draw(examples_of(corpus_of(*documents), pair_task), 2000)
    assert abs(np.mean([is_next for *_, is_next in drawn]) - 0.5) < 4 * 0.5 / 2000**0.5
    assert all(first and second and len(first) + len(second) <= 13 for first, second, _ in drawn)


@pytest.mark.parametrize("pair_task", ["nsp", "sop"])
def test_second_parts_that_follow_do_so_at_once(pair_task):
    """But for what the truncation took from the end of the first and the front of the second."""
    corpus = corpus_of(*[[4, 3, 5, 2] * 6] * 5)
    document = (np.arange(10, 10 + len(corpus.token_ids)) - 10) // (14 * 6)
    for first, second, is_next in draw(examples_of(corpus, pair_task)):
        if is_next or pair_task == "sop":
            first, second = (first, second) if is_next else (second, first)
            assert first[-1] < second[0] <= first[-1] + 6
            assert document[first[0] - 10] == document[second[-1] - 10]
        for part in (first, second):
            assert part == list(range(part[0], part[0] + len(part)))


def test_replaced_second_parts_come_from_another_document_but_never_its_start():
    corpus = corpus_of(*[[4, 3, 5, 2] * 3] * 5)
    sources = set()
    for first, second, is_next in draw(examples_of(corpus, "nsp"), 1000):
        own, other = (first[0] - 10) // 42, (second[0] - 10) // 42
        assert (own == other) == bool(is_next)
        assert (second[0] - 10) % 42 >= 1
        sources |= set() if is_next else {(own, other)}
    assert len(sources) == 5 * 4  # every other document


def test_replaced_second_parts_of_a_single_document_come_from_far_away():
    corpus = corpus_of([4, 3, 5, 2] * 30)
    for first, second, is_next in draw(examples_of(corpus, "nsp"), 1000):
        apart = abs(second[0] - first[-1])
        assert apart <= 6 if is_next else apart > 420 // 4 - 2 * 14


def test_the_length_does_not_tell_whether_the_second_part_follows():
    drawn = draw(examples_of(corpus_of(*[[4, 3, 5, 2] * 6] * 8), "nsp"), 2000)
    lengths = [[len(a) + len(b) for a, b, is_next in drawn if is_next == label] for label in (0, 1)]
    assert abs(np.mean(lengths[0]) - np.mean(lengths[1])) < 0.2


def test_a_tenth_of_the_examples_is_short():
    for pair_task in ("nsp", None):
        examples = examples_of(corpus_of([3] * 4000), pair_task, sequence_length=64, short_share=0.1)
        lengths = [examples(i % len(examples), np.array([1, i]))[2].sum() for i in range(3000)]
        assert abs(np.mean(np.array(lengths) < 64) - 0.1 * 59 / 60) < 4 * (0.09 / 3000) ** 0.5
        assert min(lengths) < 12


@pytest.mark.parametrize("pair_task", ["nsp", "sop", None])
@pytest.mark.parametrize("documents", [[[1]] * 5, [[1, 1], [3000], [1]], [[1] * 100], [[1], [2]]])
def test_no_length_of_sentence_or_document_fails(pair_task, documents):
    for first, second, _ in draw(examples_of(corpus_of(*documents), pair_task, sequence_length=8, short_share=0.3)):
        assert first
        assert len(first) + len(second or []) <= (5 if pair_task else 6)


def test_the_seed_and_the_index_alone_decide():
    examples = examples_of(corpus_of(*[[4, 3, 5, 2] * 6] * 5), "nsp")
    for index, seed in ((3, [1, 2]), (3, [-1, 2]), (4, [1, 2])):
        for one, two in zip(examples(index, np.array(seed)), examples(index, np.array(seed)), strict=True):
            np.testing.assert_array_equal(one, two)
    labels = [int(examples(i, np.array([1, 2]))[3]) for i in range(len(examples))]
    assert {0, 1} == set(labels)  # one seed for all does not make all alike
    drawn = {tuple(examples(3, np.array([1, i]))[0]) for i in range(20)}
    assert len(drawn) > 10


def test_chosen_sentences_alone_are_read():
    corpus = corpus_of([4, 3, 5, 2] * 6, [3, 3] * 9)
    chosen = np.arange(len(corpus.sentence_starts) - 1) % 3 != 0
    allowed = set(np.concatenate(np.split(corpus.token_ids, corpus.sentence_starts[1:-1])[1::3]).tolist())
    allowed |= set(np.concatenate(np.split(corpus.token_ids, corpus.sentence_starts[1:-1])[2::3]).tolist())
    for pair_task in ("nsp", "sop", None):
        seen = {token for a, b, _ in draw(examples_of(corpus, pair_task, chosen=chosen)) for token in a + (b or [])}
        assert seen == allowed


def test_one_chunk_cannot_be_replaced():
    with pytest.raises(ValueError, match=r"pair_task=nsp must have two or more chunks .*; given: one"):
        examples_of(corpus_of([3, 4]), "nsp")
    assert len(examples_of(corpus_of([3, 4]), "sop")) == 1
