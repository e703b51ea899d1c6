"""Any text file gives its sentences: whatever its line ends, its bytes and its lines' length."""

import tracemalloc

import numpy as np
import pytest

from mixer_tf.data import text_files
from mixer_tf.data.text_files import LONGEST_SENTENCE, TextCounts, find_text_files, read_sentences, split_sentences


def read(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    counts = TextCounts()
    return list(read_sentences(tmp_path / "a.txt", counts)), counts


@pytest.mark.parametrize(
    "sentences",
    [
        ["吾輩は猫である。", "名前はまだ無い。"],
        ["本当か！？", "「はい。」と彼は言った。", "「いいえ。」", "彼は黙った。"],
        ["「今日は晴れだ。", "明日は雨だ。」"],
        ["円周率は3.14だ。", "３．５と書く。"],
        ["すごい!", "でも猫だ．", "犬ではない"],
        ["Mr. Smith has 3.5 cats! ", "Has he? ", "Yes."],
        ['"Go away." ', "He left (J. Brown stayed.) ", "So did I. ", "We all e.g. Anna did."],
        ["What is it?! ", "“A cat.” ", "It sat... and slept."],
        ["猫だ。", "Mr. Smith saw it, i.e. the cat.", "猫だ"],
        ["no end"],
        [""],
    ],
)
def test_sentences(sentences):
    assert split_sentences("".join(sentences)) == sentences


def test_lines_and_empty_lines(tmp_path):
    for ends in ("\n", "\r\n", "\r"):
        sentences, counts = read(tmp_path, "\n One. Two\n \nThree\n\n\nFour".replace("\n", ends))
        assert sentences == [("One.", True), ("Two", False), ("Three", True), ("Four", True)]
        assert (counts.lines, counts.empty_lines, counts.files) == (7, 4, 1)


def test_byte_order_mark_is_no_text(tmp_path):
    assert read(tmp_path, b"\xef\xbb\xbfcat\r\n")[0] == [("cat", True)]


def test_broken_bytes_are_counted_and_replaced(tmp_path):
    sentences, counts = read(tmp_path, "猫".encode() + b"\xff\xfe\x80 b\0c\n" + "犬".encode()[:2])
    assert sentences == [("猫\ufffd\ufffd\ufffd b\ufffdc", True), ("\ufffd\ufffd", False)]
    assert counts.replaced_bytes == 6
    assert counts.bytes == 13


def test_typed_masks_are_escaped(tmp_path):
    sentences, counts = read(tmp_path, "a [MASK] ［ＭＡＳＫ］ [mask]\n")
    assert sentences == [("a [MASK ] [ＭＡＳＫ ] [mask]", True)]
    assert counts.escaped_masks == 2


def test_a_line_without_end_is_cut_at_its_sentences(tmp_path):
    sentences, counts = read(tmp_path, "猫が好き。" * 30_000)  # more than twice what is read at once
    assert sentences == [("猫が好き。", i == 0) for i in range(30_000)]
    assert counts.lines == 1


@pytest.mark.parametrize("text", ["猫" * 200_001, "cats " * 30_001, "か\u3099" * 70_000 + "。" * 1001])
def test_a_sentence_without_end_is_cut(tmp_path, text):
    sentences = [sentence for sentence, _ in read(tmp_path, text)[0]]
    assert max(map(len, sentences)) <= LONGEST_SENTENCE
    assert "".join(sentences).replace(" ", "") == text.replace(" ", "")
    assert all(sentence[0] != "\u3099" for sentence in sentences)
    if " " in text:
        assert {word for sentence in sentences for word in sentence.split()} == {"cats"}


def test_blank_parts_of_a_long_line_end_no_document(tmp_path):
    sentences, counts = read(tmp_path, "One." + " " * 200_000 + "Two.\n" + " " * 200_000 + "\nThree.")
    assert sentences == [("One.", True), ("Two.", False), ("Three.", True)]
    assert (counts.lines, counts.empty_lines) == (3, 1)


def test_reading_holds_a_small_part_of_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "_LONGEST_PART", 2000)
    (tmp_path / "a.txt").write_text("The cat sat. " * 50_000)  # 650 kB in one line
    tracemalloc.start()
    count = sum(1 for _ in read_sentences(tmp_path / "a.txt", TextCounts()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 50_000
    assert peak < 150_000


def test_folders_are_searched_in_order(tmp_path):
    for name in ("b/c.txt", "a.txt", ".hidden/d.txt", "b/e.md", "b/.f.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a")
    assert find_text_files(tmp_path) == [tmp_path / "a.txt", tmp_path / "b" / "c.txt"]
    assert find_text_files([tmp_path / "b" / "e.md", tmp_path / "a.txt", tmp_path / "b" / "e.md"]) == [
        tmp_path / "b" / "e.md",
        tmp_path / "a.txt",
    ]


def test_files_that_are_no_text(tmp_path):
    with pytest.raises(ValueError, match=r"must exist; given: .*nowhere"):
        find_text_files(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"must hold \*\.txt files"):
        find_text_files([tmp_path])
    with pytest.raises(ValueError, match="at least one text file; given: none"):
        find_text_files([])
    (tmp_path / "a.txt").write_text("猫", encoding="utf-16")
    with pytest.raises(ValueError, match="encoded in UTF-8; given: UTF-16"):
        find_text_files(tmp_path)


@pytest.mark.parametrize(
    "content",
    [np.random.default_rng(0).bytes(100_000), "吾輩は猫である。".encode("shift-jis"), "cat".encode("utf-32-le") * 5],
    ids=["random bytes", "another encoding", "UTF-32"],
)
def test_files_of_broken_bytes_are_no_text(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(ValueError, match=r"encoded in UTF-8; given: .*a\.txt, \d+% of whose characters are broken"):
        find_text_files(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["déjà vu à la mode".encode("latin-1"), b"a" + "猫".encode() * 30_000, b"cat \xff\xfe dog", b""],
    ids=["a few", "a character cut off where looking ends", "a fifth", "empty"],
)
def test_files_with_few_broken_bytes_are_text(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    assert find_text_files(tmp_path) == [tmp_path / "a.txt"]
