"""Vocabularies from text files: reproducible, whatever the files hold."""

import logging

import pytest
import tensorflow as tf

from mixer_tf.data import vocabulary
from mixer_tf.data.texts import SENTENCES
from mixer_tf.data.vocabulary import train_vocabulary


def test_two_trainings_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        train_vocabulary(SENTENCES, tmp_path / name / "a.model", vocab_size=690)
    assert (tmp_path / "one" / "a.model").read_bytes() == (tmp_path / "two" / "a.model").read_bytes()
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["a.model"]  # nothing is left beside it


def test_sampled_sentences_are_the_same_every_time(tmp_path, monkeypatch):
    monkeypatch.setitem(vocabulary._OPTIONS, "input_sentence_size", 101)
    models = [train_vocabulary(SENTENCES, tmp_path / f"{i}.model", vocab_size=690).model for i in range(2)]
    monkeypatch.setitem(vocabulary._OPTIONS, "input_sentence_size", 1000)
    assert models[0] == models[1] != train_vocabulary(SENTENCES, tmp_path / "all.model", vocab_size=690).model


def test_a_small_text_gives_what_it_can(tmp_path, caplog):
    (tmp_path / "a.txt").write_text("cat")
    with caplog.at_level(logging.INFO, "mixer_tf"):
        tokenizer = train_vocabulary(tmp_path / "a.txt", tmp_path / "a.model", vocab_size=8000)
    assert 262 < tokenizer.vocab_size < 275
    assert f"{tokenizer.vocab_size} pieces of 8000 wanted" in caplog.text


def test_special_names_in_the_text_do_no_harm(tmp_path):
    text = "[CLS] the cat [SEP] [MASK] ［MASK］ <0x41> [PAD]\n" * 40
    (tmp_path / "a.txt").write_text(text)
    tokenizer = train_vocabulary(tmp_path / "a.txt", tmp_path / "a.model", vocab_size=300)
    assert tokenizer.pieces[:6] == ("[PAD]", "[UNK]", "[CLS]", "[EOS]", "[SEP]", "[MASK]")
    assert len(set(tokenizer.pieces)) == tokenizer.vocab_size
    assert {"M", "A", "K", "["} <= set("".join(tokenizer.pieces[262:]))  # "[MASK]" was read as ordinary characters
    assert 2 not in tokenizer(tf.constant(["[CLS]"])).to_list()[0]


def test_broken_and_very_long_lines_are_learned_from(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"cat \xff\xfe dog\r\n" * 5 + "猫が好き".encode() * 20_000)
    tokenizer = train_vocabulary(tmp_path, tmp_path / "a.model", vocab_size=350)
    assert "猫" in "".join(tokenizer.pieces)


def test_rare_characters_of_large_texts_are_left_to_their_bytes(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("the cat sat on the mat\n" * 500 + "鬱")
    assert "鬱" in train_vocabulary(tmp_path, tmp_path / "small.model", vocab_size=300).pieces
    monkeypatch.setattr(vocabulary, "LARGE", 1000)
    assert "鬱" not in train_vocabulary(tmp_path, tmp_path / "large.model", vocab_size=300).pieces


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("猫と犬", {"vocab_size": 262}, "at least 265, .*; given: 262; raise it, or train on text with fewer"),
        (" \n\n", {}, "must hold some text"),
        ("a", {"character_coverage": 0.5}, r"character_coverage must lie in 0\.9\.\.1; given: 0\.5"),
        ("a", {"vocab_size": 0}, "vocab_size must be at least 1"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_line(tmp_path, text, arguments, message):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        train_vocabulary(tmp_path, tmp_path / "a.model", **arguments)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "a.model").exists()
    with pytest.raises(ValueError, match=r"must end in \.model"):
        train_vocabulary(tmp_path, tmp_path / "a.txt")


def test_another_vocabulary_is_not_overwritten(tmp_path):
    path = tmp_path / "a.model"
    (tmp_path / "a.txt").write_text("cat")
    train_vocabulary(tmp_path / "a.txt", path)
    before = path.read_bytes()
    train_vocabulary(tmp_path / "a.txt", path)  # the same once more
    (tmp_path / "a.txt").write_text("dog")
    with pytest.raises(ValueError, match=r"must not hold another one already; given: .*a\.model; name another file"):
        train_vocabulary(tmp_path / "a.txt", path)
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.model", "a.txt"]


def test_a_folder_that_cannot_be_made_is_said_before_the_training(tmp_path):
    (tmp_path / "a.txt").write_text("cat")
    with pytest.raises(ValueError, match=r"a vocabulary's folder must be a folder that can be made; given: .*a\.txt: "):
        train_vocabulary(tmp_path / "a.txt", tmp_path / "a.txt" / "a.model")
