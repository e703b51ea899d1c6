"""The token file holds what direct tokenizing gives, and is made once."""

import os

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.data import corpus as module
from mixer_tf.data.corpus import tokenize_files
from mixer_tf.data.text_files import TextCounts, read_sentences
from mixer_tf.data.texts import SENTENCES
from mixer_tf.data.tokenizers import WordPieceTokenizer


def sentences_of(corpus):
    return np.split(corpus.token_ids, corpus.sentence_starts[1:-1])


@pytest.mark.parametrize("at_once", [7, 4096])
def test_tokens_are_those_of_direct_tokenizing(tokenizer, tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(module, "_SENTENCES_AT_ONCE", at_once)
    corpus = tokenize_files(SENTENCES, tokenizer, tmp_path)
    files = sorted(SENTENCES.glob("*.txt"))
    expected = [pair for file in files for pair in read_sentences(file, TextCounts())]
    texts, starts = zip(*expected, strict=True)
    assert [ids.tolist() for ids in sentences_of(corpus)] == tokenizer(tf.constant(texts)).to_list()
    assert corpus.document_starts.tolist() == [*np.flatnonzero(starts), len(texts)]
    assert corpus.token_ids.dtype == np.uint16
    counts = corpus.counts
    assert (counts.files, counts.documents, counts.sentences) == (3, sum(starts), len(texts))
    assert counts.characters == sum(map(len, texts))
    assert counts.tokens == len(corpus.token_ids)
    assert counts.bytes == sum(file.stat().st_size for file in files)


def test_large_vocabularies_have_room(tmp_path):
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str, range(70_000)), "cat"]
    (tmp_path / "a.txt").write_text("cat")
    corpus = tokenize_files(tmp_path / "a.txt", WordPieceTokenizer(pieces, lower_case=True), tmp_path / "tokens")
    assert corpus.token_ids.tolist() == [70_005]
    assert corpus.token_ids.dtype == np.uint32


def test_sentences_without_tokens_vanish_but_documents_do_not_join(tokenizer, tmp_path):
    (tmp_path / "a.txt").write_text("\u200b\n\u200b\n\ncat\n\n\u200b\ndog\n\n\u200b\n")
    corpus = tokenize_files(tmp_path, tokenizer, tmp_path / "tokens")
    assert tokenizer.decode([ids.tolist() for ids in sentences_of(corpus)][:1]).numpy().tolist() == [b"cat"]
    assert corpus.document_starts.tolist() == [0, 1, 2]
    assert (corpus.counts.sentences, corpus.counts.documents) == (2, 2)


def test_fingerprint_is_that_of_the_texts_and_not_of_their_files(tokenizer, tmp_path):
    def fingerprint(text):
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.txt"
        file.write_text(text)
        return tokenize_files(file, tokenizer, tmp_path / "tokens").fingerprint

    texts = ["the cat. The dog.", "the cat. The cow.", "the cat.\n\nThe dog.", "the cat, The dog."]
    assert len({fingerprint(text) for text in texts}) == 4  # also by where documents begin
    assert fingerprint(texts[0]) == fingerprint(texts[0])


def test_tokens_are_made_once_and_again_when_something_changes(tokenizer, tmp_path, monkeypatch):
    calls = []
    make = module._make
    monkeypatch.setattr(module, "_make", lambda *arguments: (calls.append(1), make(*arguments)))
    file = tmp_path / "a.txt"
    file.write_text("the cat")
    for _ in range(2):
        tokenize_files(file, tokenizer, tmp_path / "tokens")
    assert len(calls) == 1
    os.utime(file, ns=(1, 1))
    tokenize_files(file, tokenizer, tmp_path / "tokens")
    assert len(calls) == 2
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the"]
    for lower_case in (True, False):
        tokenize_files(file, WordPieceTokenizer(pieces, lower_case=lower_case), tmp_path / "tokens")
    assert len(calls) == 4


def test_a_half_made_token_file_is_never_taken(tokenizer, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("the cat")
    monkeypatch.setattr(module.json, "dumps", lambda *_, **__: 1 / 0, raising=True)
    monkeypatch.setattr(module, "fingerprint", lambda *_: "f")
    with pytest.raises(ZeroDivisionError):
        tokenize_files(tmp_path / "a.txt", tokenizer, tmp_path / "tokens")
    assert list((tmp_path / "tokens").iterdir()) == []


@pytest.mark.parametrize(
    ("file", "content"),
    [("token_ids.bin", b"12"), ("token_ids.bin", b""), ("corpus.json", b"{"), ("corpus.json", b"{}")],
)
def test_damaged_tokens_are_never_trained_on(tokenizer, tmp_path, file, content):
    (tmp_path / "a.txt").write_text("a cat. a dog.")
    tokenize_files(tmp_path / "a.txt", tokenizer, tmp_path / "tokens")
    (path,) = (tmp_path / "tokens").glob(f"*/{file}")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"the tokens on disk must be whole; given: .*; remove it"):
        tokenize_files(tmp_path / "a.txt", tokenizer, tmp_path / "tokens")


def test_another_process_may_be_faster(tokenizer, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("the cat")
    make = module._make

    def make_twice(files, given, folder):
        monkeypatch.setattr(module, "_make", make)
        tokenize_files(files, given, tmp_path / "tokens")
        make(files, given, folder)

    monkeypatch.setattr(module, "_make", make_twice)
    assert tokenize_files(tmp_path / "a.txt", tokenizer, tmp_path / "tokens").counts.sentences == 1
    assert len(list((tmp_path / "tokens").iterdir())) == 1


def test_no_text_is_an_error(tokenizer, tmp_path):
    (tmp_path / "a.txt").write_text("\n \n\u200b\n")
    with pytest.raises(ValueError, match=r"must hold some text; given: .*a\.txt and 0 more") as error:
        tokenize_files(tmp_path, tokenizer, tmp_path / "tokens")
    assert "\n" not in str(error.value)
