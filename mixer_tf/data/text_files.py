"""Text files to sentences, streamed: a file of any size, with lines of any length, passes through a small buffer."""

from __future__ import annotations

import codecs
import dataclasses
import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from mixer_tf.checks import require

LONGEST_SENTENCE = 1000  # characters; so at most 4,000 bytes, and SentencePiece's trainer takes 4,192
_LONGEST_PART = 1 << 16  # characters of a line that are read at once
_HEAD = 1 << 16  # bytes that show whether a file is text
_MOST_BROKEN = 0.2  # share of its characters; few, such as accents in Latin-1, are replaced and counted

_BROKEN = re.compile("[\udc80-\udcff\0]")  # what `surrogateescape` makes of bytes that are no UTF-8; and NUL
_TYPED_MASK = re.compile("[\\[［]([MＭ][AＡ][SＳ][KＫ])[\\]］]")
_END = re.compile("([.!?．]+|[。！？｡!?]+)([)\\]}\"'”’»）】〕〉》」』］｣]*)(\\s*)")
_QUOTE_GOES_ON = tuple("とってっなのはがをにもで、，")  # 「…。」と言った
_ABBREVIATED = re.compile(r"(^|[^A-Za-z.])(Mr|Mrs|Ms|Dr|Prof|St|vs|e\.g|i\.e|cf|No|Fig|Vol|pp|[A-HJ-Z])$")


@dataclasses.dataclass
class TextCounts:
    """What was met in text files.

    Attributes:
        files: Files that were read.
        bytes: Their size.
        lines: Lines, the empty ones included.
        empty_lines: Lines of nothing or spaces; each ends a document.
        replaced_bytes: Bytes that are no UTF-8 (or NUL); each was replaced by U+FFFD.
        escaped_masks: "[MASK]" in the text, written "[MASK ]" so that it is not taken for the special token.
        documents: Documents with at least one sentence.
        sentences: Sentences with at least one token.
        characters: Characters in the sentences.
        tokens: Tokens in the sentences.
    """

    files: int = 0
    bytes: int = 0
    lines: int = 0
    empty_lines: int = 0
    replaced_bytes: int = 0
    escaped_masks: int = 0
    documents: int = 0
    sentences: int = 0
    characters: int = 0
    tokens: int = 0

    def __str__(self) -> str:
        met = {name: value for name, value in dataclasses.asdict(self).items() if value}
        return ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in met.items())


def find_text_files(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """List the text files that are meant.

    Args:
        paths: Files of any name, and folders, of which all `*.txt` files at any depth are taken that are not hidden.

    Returns:
        The files, those of a folder sorted by name, each once.

    Raises:
        ValueError: If a path does not exist, a folder holds no text, or a file is not encoded in UTF-8: of its first
            64 KiB more than 20 % of the characters are broken bytes, as in pictures, archives and other encodings.
    """
    files: list[Path] = []
    for path in map(Path, [paths] if isinstance(paths, str | Path) else paths):
        path = path.expanduser()
        require(path.exists(), f"a text file or folder must exist; given: {path}; check the path")
        found = [path] if not path.is_dir() else [file for file in sorted(path.rglob("*.txt")) if file.is_file()]
        found = [file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts)]
        require(found, f"a folder of texts must hold *.txt files; given: {path}; add some or rename them")
        files += found
    files = list(dict.fromkeys(files))
    require(files, "there must be at least one text file; given: none; name files or folders")
    for file in files:
        _refuse_utf16(file)
        _refuse_broken(file)
    return files


def read_sentences(path: Path, counts: TextCounts) -> Iterator[tuple[str, bool]]:
    """Stream the sentences of a file.

    A file begins a document, and so does what follows an empty line. The end of a line ends a sentence. Sentences of
    more than `LONGEST_SENTENCE` characters are cut, at a space if there is one.

    Args:
        path: The file; UTF-8, with or without a byte order mark, and any kind of line ends.
        counts: What is met is added: files, bytes, lines, empty_lines, replaced_bytes and escaped_masks.

    Yields:
        A sentence without spaces around it, and whether it is the first of a document.
    """
    counts.files += 1
    counts.bytes += path.stat().st_size
    starts_document, ended, blank, rest = True, True, True, ""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline=None) as file:
        while part := file.readline(_LONGEST_PART):
            part, broken = _BROKEN.subn("\ufffd", part)
            counts.replaced_bytes += broken
            counts.lines += ended
            blank = (ended or blank) and not part.strip()  # so far
            ended = part.endswith("\n")
            if blank:
                counts.empty_lines += ended
                starts_document |= ended
                continue
            sentences = split_sentences(rest + part)
            rest = "" if ended else sentences.pop()  # the last may go on
            for sentence in filter(None, map(str.strip, sentences)):
                yield _escape(sentence, counts), starts_document
                starts_document = False
    if rest.strip():
        yield _escape(rest.strip(), counts), starts_document


def list_sentences(path: str | Path) -> list[str]:
    """All sentences of a file, or of a folder's `*.txt` files, that fit into memory, as of `read_sentences`.

    Raises:
        ValueError: If there is no such file, it is not encoded in UTF-8, or it has no sentence.
    """
    sentences = [sentence for file in find_text_files(path) for sentence, _ in read_sentences(file, TextCounts())]
    require(sentences, f"a file of sentences must hold some text; given: {path} without any")
    return sentences


def fingerprint(files: list[Path], *more: int | str) -> str:
    """A name for the state of files (paths, sizes, times of change) and whatever else a result hangs on."""
    states = [(os.fsencode(file.resolve()).hex(), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps([states, more]).encode()).hexdigest()[:16]


def split_sentences(text: str) -> list[str]:
    """Cut a line into sentences, and sentences that are too long into pieces.

    A sentence ends after 。！？ and closing brackets, unless a quotation goes on (「はい。」と答えた。), and after .!?
    where a space and no small letter follows, or a character of a script without spaces.

    Args:
        text: One line or a part of it, of any length.

    Returns:
        Pieces of at most `LONGEST_SENTENCE` characters that make up the text together.

    Example:
        >>> split_sentences("吾輩は猫である。名前はまだ無い。Mr. Smith has 3.5 cats! Has he?")
        ['吾輩は猫である。', '名前はまだ無い。', 'Mr. Smith has 3.5 cats! ', 'Has he?']
    """
    sentences, start = [], 0
    for match in _END.finditer(text):
        if match.end() < len(text) and _ends_sentence(text, match):
            sentences += _cut(text[start : match.end()])
            start = match.end()
    return sentences + _cut(text[start:])


def _ends_sentence(text: str, match: re.Match) -> bool:
    marks, closing, spaces = match.groups()
    following = text[match.end()]
    if marks[-1] in "。！？｡":
        return not (closing and following in _QUOTE_GOES_ON)
    if not spaces:
        return ord(following) >= 0x2E80 and not following.isdigit()  # scripts of East Asia; but 3．5 is a number
    if marks == "." and _ABBREVIATED.search(text[max(0, match.start() - 12) : match.start()]):
        return False
    return not following.islower()


def _cut(sentence: str) -> list[str]:
    pieces = []
    while len(sentence) > LONGEST_SENTENCE:
        at = sentence.rfind(" ", LONGEST_SENTENCE // 2, LONGEST_SENTENCE) + 1 or LONGEST_SENTENCE
        while at > LONGEST_SENTENCE // 2 and unicodedata.combining(sentence[at]):
            at -= 1  # a dakuten or an accent stays with its letter
        pieces.append(sentence[:at])
        sentence = sentence[at:]
    return [*pieces, sentence]


def _escape(sentence: str, counts: TextCounts) -> str:
    sentence, masks = _TYPED_MASK.subn("[\\1 ]", sentence)
    counts.escaped_masks += masks
    return sentence


def _refuse_utf16(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(2)
    require(
        start not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
        f"a text file must be encoded in UTF-8; given: UTF-16 in {path}; convert it: iconv -f UTF-16 -t UTF-8",
    )


def _refuse_broken(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    text = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(head)  # which may end within a character
    share = len(_BROKEN.findall(text)) / max(1, len(text))
    require(
        share <= _MOST_BROKEN,
        f"a text file must be encoded in UTF-8; given: {path}, {share:.0%} of whose characters are broken bytes; "
        "convert it (iconv -f ENCODING -t UTF-8) or leave it out",
    )
