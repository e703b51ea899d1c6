"""Texts as a source: held-out parts, and reading in the graph."""

import logging

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.data import texts as module
from mixer_tf.data.texts import SENTENCES, open_texts
from mixer_tf.data.tokenizers import WordPieceTokenizer


@pytest.fixture
def source(tokenizer, tmp_path):
    def open_(data="sentences", pair_task=None, **arguments):
        options = {"tokenizer": tokenizer, "sequence_length": 24, "short_share": 0.0} | arguments
        return open_texts(data, folder=tmp_path / "tokens", pair_task=pair_task, **options)

    return open_


def all_text(split, tokenizer):
    rows = [split.read(tf.constant(i, tf.int64), tf.constant([0, 0], tf.int64))["token_ids"] for i in range(split.size)]
    return b"|".join(tokenizer.decode(tf.stack(rows)).numpy()).decode()


def numbered(tmp_path, documents, sentences):
    text = "\n\n".join("\n".join(f"Cat {d} sits {s}." for s in range(sentences)) for d in range(documents))
    (tmp_path / "a.txt").write_text(text)
    return f"text:{tmp_path / 'a.txt'}"


@pytest.mark.parametrize("pair_task", ["nsp", "sop", None])
def test_reading_in_a_pipeline(source, tokenizer, pair_task):
    opened = source(pair_task=pair_task)
    seeds = lambda index: tf.stack([index, index + 5])  # noqa: E731
    dataset = tf.data.Dataset.range(opened.train.size).map(lambda index: opened.train.read(index, seeds(index)))
    shapes = {name: (spec.shape.as_list(), spec.dtype) for name, spec in dataset.element_spec.items()}
    names = ("token_ids", "segment_ids", "padding_mask")
    assert shapes == {name: ([24], tf.int32) for name in names} | {"is_next": ([], tf.int32)}
    for index, example in enumerate(dataset.take(5)):
        eager = opened.train.read(tf.constant(index, tf.int64), tf.constant([index, index + 5], tf.int32))
        for name, value in example.items():
            np.testing.assert_array_equal(value, eager[name])
    assert opened.vocab_size == tokenizer.vocab_size
    assert opened.special == tokenizer.special
    assert opened.counts.sentences > 350


def test_several_examples_may_be_made_at_a_time_in_deterministic_runs(source):
    """An operation with state would be run one after another there."""
    read = source().train.read
    graph = tf.function(read).get_concrete_function(tf.TensorSpec([], tf.int64), tf.TensorSpec([2], tf.int64)).graph
    assert "PyFuncStateless" in {operation.type for operation in graph.get_operations()}


def test_whole_documents_are_held_out_where_there_are_enough(source, tokenizer, tmp_path):
    opened = source(numbered(tmp_path, documents=20, sentences=2), evaluation_share=0.25)
    train, evaluation = all_text(opened.train, tokenizer), all_text(opened.evaluation, tokenizer)
    for number in range(20):
        assert (f"Cat {number} sits" in evaluation) == (number % 4 == 3)
        assert (f"Cat {number} sits" in train) == (number % 4 != 3)


@pytest.mark.parametrize(("documents", "sentences", "held_out"), [(1, 30, 3), (3, 20, 2), (3, 2, 1)])
def test_else_the_last_sentences_are_held_out(source, tokenizer, tmp_path, documents, sentences, held_out):
    opened = source(numbered(tmp_path, documents, sentences), evaluation_share=0.1)
    train, evaluation = all_text(opened.train, tokenizer), all_text(opened.evaluation, tokenizer)
    for document in range(documents):
        for number in range(sentences):
            out = number >= sentences - held_out and (sentences > 2 or document == 0)
            assert (f"Cat {document} sits {number}." in evaluation) == out
            assert (f"Cat {document} sits {number}." in train) != out


def test_one_sentence_cannot_be_held_out(source, tmp_path):
    with pytest.raises(ValueError, match="two sentences at least"):
        source(numbered(tmp_path, 1, 1))


def test_a_vocabulary_is_trained_once_where_none_is_given(tmp_path, caplog):
    options = {"folder": tmp_path, "sequence_length": 16, "vocab_size": 690}
    with caplog.at_level(logging.INFO, "mixer_tf"):
        first, second = open_texts("sentences", **options), open_texts("sentences", **options)
    assert caplog.text.count("pieces of 690 wanted") == 1
    assert first.tokenizer.model == second.tokenizer.model
    (path,) = tmp_path.glob("*.model")
    assert open_texts("sentences", vocabulary=path, **options).vocab_size == first.vocab_size


def test_a_published_vocabulary_ends_in_sep(source, tmp_path):
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sits", ".", *"0123456789"]
    data = numbered(tmp_path, 1, 40)
    opened = source(data, pair_task="sop", tokenizer=WordPieceTokenizer(pieces, lower_case=True))
    example = opened.train.read(tf.constant(0, tf.int64), tf.constant([0, 0], tf.int64))
    ids = example["token_ids"].numpy().tolist()
    assert ids.count(3) == 2
    assert ids[-1] == 3


def test_the_packages_own_texts_are_small_documents_in_two_languages():
    names = {path.name for path in SENTENCES.iterdir()}
    assert names == {"english.txt", "japanese.txt", "wagahai.txt", "README.md"}
    assert sum(path.stat().st_size for path in SENTENCES.iterdir()) < 100_000
    assert (SENTENCES / "wagahai.txt").read_text(encoding="utf-8").startswith("吾輩は猫である。名前はまだ無い。\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": "text:"}, "data must be markov, sentences or text:FILE_OR_FOLDER; given: 'text:'"),
        ({"data": "novels"}, "data must be markov, sentences"),
        ({"data": "text:/nowhere/at/all"}, "must exist"),
        ({"sequence_length": 7}, "sequence_length must be at least 8; given: 7"),
        ({"pair_task": "order"}, "pair_task must be nsp, sop or None; given: 'order'"),
        ({"evaluation_share": 0.6}, "evaluation_share must lie above 0"),
        ({"short_share": 1.5}, r"short_share must lie in 0\.\.1; given: 1\.5"),
        ({"vocabulary": "a.model"}, "must not both be given"),
    ],
)
def test_wrong_arguments(source, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        source(**arguments)
    assert "\n" not in str(error.value)


def test_a_file_is_no_folder_for_tokens(tmp_path):
    (tmp_path / "kept").write_text("")
    for folder in (tmp_path / "kept", tmp_path / "kept" / "below"):
        with pytest.raises(ValueError, match="data_dir, where tokens are kept, must be a folder that can be made"):
            open_texts("sentences", folder=folder, sequence_length=24)


def test_missing_packages_name_the_extra(monkeypatch):
    module.open_tokenizer.__globals__["import_text_packages"].cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "tensorflow_text", None)
    with pytest.raises(ValueError, match=r'pip install "mixer-tf\[text\]"'):
        WordPieceTokenizer(["[PAD]"], lower_case=True)
