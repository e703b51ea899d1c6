"""Text files as one file of token ids on disk: made once, and mapped into memory, so that any size will do."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from mixer_tf.checks import require, require_folder
from mixer_tf.data.text_files import TextCounts, find_text_files, fingerprint, read_sentences

FORMAT = 1  # of the folder; another number, and everything is made anew
_SENTENCES_AT_ONCE = 4096
_SECONDS_BETWEEN_NEWS = 30

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Corpus:
    """Tokenized texts, mapped from disk.

    Attributes:
        token_ids: All tokens one after another, uint16 or uint32 [tokens].
        sentence_starts: Where in `token_ids` each sentence begins, and the end, int64 [sentences + 1].
        document_starts: With which sentence each document begins, and the end, int64 [documents + 1].
        counts: What the files held.
    """

    token_ids: np.ndarray
    sentence_starts: np.ndarray
    document_starts: np.ndarray
    counts: TextCounts

    @functools.cached_property
    def fingerprint(self) -> str:
        """The same for the same tokens, wherever and whenever their files were written."""
        digest = hashlib.sha256()
        for array in (self.token_ids, self.sentence_starts, self.document_starts):
            digest.update(array.data)
        return digest.hexdigest()[:16]


def tokenize_files(files: str | Path | Iterable[str | Path], tokenizer, folder: str | Path) -> Corpus:
    """Tokenize text files, or take what an earlier call has left in the folder.

    It is taken when the tokenizer and the files' paths, sizes and times of change are the same. What is being made is
    written aside and renamed, so a call that breaks off leaves nothing that a later one could take.

    Args:
        files: Text files, and folders of `*.txt` files; streamed.
        tokenizer: One of `mixer_tf.data.tokenizers`.
        folder: Where to keep the tokens; each set of files and tokenizer gets a folder in it.

    Returns:
        The tokens, mapped into memory.

    Raises:
        ValueError: If a file is missing, the files hold no text, or what an earlier call has left is damaged.
    """
    found = find_text_files(files)
    target = Path(folder).expanduser() / f"tokens_{fingerprint(found, FORMAT, tokenizer.fingerprint)}"
    if not target.is_dir():
        require_folder("the folder of the tokens", target.parent)
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}_", dir=target.parent))
        try:
            _make(found, tokenizer, aside)
            with contextlib.suppress(OSError):  # another process was faster, and made the same
                os.rename(aside, target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    corpus = _open(target)
    _log.info("%s: %s", target, corpus.counts)
    return corpus


def _make(files: list[Path], tokenizer, folder: Path) -> None:
    counts, last = TextCounts(), 0
    token_type = np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.uint32
    news = time.monotonic() + _SECONDS_BETWEEN_NEWS
    with (
        (folder / "token_ids.bin").open("wb") as token_file,
        (folder / "sentence_starts.bin").open("wb") as sentence_file,
        (folder / "document_starts.bin").open("wb") as document_file,
    ):
        for sentences, documents in _batches(files, counts):
            tokens = tokenizer(tf.constant(sentences))
            lengths = tokens.row_lengths().numpy()
            kept = lengths > 0  # a sentence may hold nothing but characters that the tokenizer drops
            firsts = np.flatnonzero(np.diff(documents[kept], prepend=last))
            token_file.write(tokens.flat_values.numpy().astype(token_type).tobytes())
            sentence_file.write((counts.tokens + np.cumsum(lengths[kept]) - lengths[kept]).tobytes())
            document_file.write((counts.sentences + firsts).tobytes())
            counts.documents += len(firsts)
            counts.sentences += int(kept.sum())
            counts.tokens += int(lengths.sum())
            last = documents[-1] if kept[-1] else max(documents[kept], default=last)
            if time.monotonic() > news:
                _log.info("tokenizing: %s", counts)
                news += _SECONDS_BETWEEN_NEWS
        sentence_file.write(np.int64(counts.tokens).tobytes())
        document_file.write(np.int64(counts.sentences).tobytes())
    require(
        counts.tokens, f"the text files must hold some text; given: {files[0]} and {len(files) - 1} more without any"
    )
    if counts.replaced_bytes:
        _log.warning("replaced %d of %d bytes, which are no UTF-8", counts.replaced_bytes, counts.bytes)
    content = {"counts": dataclasses.asdict(counts), "token_type": np.dtype(token_type).name}
    (folder / "corpus.json").write_text(json.dumps(content, indent=2))


def _batches(files: list[Path], counts: TextCounts) -> Iterator[tuple[list[str], np.ndarray]]:
    """Sentences, and the number of the document of each, counted from 1 (int64)."""
    sentences: list[str] = []
    documents: list[int] = []
    document = 0
    for sentence, starts_document in itertools.chain.from_iterable(read_sentences(file, counts) for file in files):
        document += starts_document
        sentences.append(sentence)
        documents.append(document)
        counts.characters += len(sentence)
        if len(sentences) == _SENTENCES_AT_ONCE:
            yield sentences, np.array(documents)
            sentences, documents = [], []
    if sentences:
        yield sentences, np.array(documents)


def _open(folder: Path) -> Corpus:
    try:
        content = json.loads((folder / "corpus.json").read_text())
        counts = TextCounts(**content["counts"])
        sizes = {"token_ids": counts.tokens, "sentence_starts": counts.sentences + 1}
        sizes["document_starts"] = counts.documents + 1
        types = {"token_ids": content["token_type"]}
        arrays = {name: np.memmap(folder / f"{name}.bin", types.get(name, np.int64), mode="r") for name in sizes}
        whole = all(len(arrays[name]) == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError):  # of what memory mapping and JSON make of a damaged file
        whole = False
    require(whole, f"the tokens on disk must be whole; given: {folder}, which is damaged; remove it, it is made again")
    return Corpus(**arrays, counts=counts)
