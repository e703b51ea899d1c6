"""A SentencePiece vocabulary from any text files, the same bytes from the same texts."""

from __future__ import annotations

import io
import logging
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from mixer_tf.checks import require, require_folder
from mixer_tf.data.text_files import TextCounts, find_text_files, read_sentences
from mixer_tf.data.tokenizers import SentencePieceTokenizer, import_text_packages

LARGE = 10_000_000  # bytes of text from which on the rarest characters are left to their bytes
MOST_SENTENCES = 1_000_000  # that are held in memory; of more, as many are drawn with a fixed seed

_OPTIONS = {
    "model_type": "unigram",
    "hard_vocab_limit": False,
    "byte_fallback": True,
    "normalization_rule_name": "nmt_nfkc",
    "add_dummy_prefix": False,  # it would put a lone space piece before every Japanese sentence
    "pad_id": 0,
    "pad_piece": "[PAD]",
    "unk_id": 1,
    "unk_piece": "[UNK]",
    "bos_id": 2,
    "bos_piece": "[CLS]",
    "eos_id": 3,
    "eos_piece": "[EOS]",
    "control_symbols": ["[SEP]"],  # a user's text cannot hold them
    "user_defined_symbols": ["[MASK]"],  # but this one is typed
    "input_sentence_size": MOST_SENTENCES,
    "num_threads": 1,  # with more, every run gives another model
    "minloglevel": 2,
}

_log = logging.getLogger(__name__)


def train_vocabulary(
    files: str | Path | Iterable[str | Path],
    path: str | Path,
    *,
    vocab_size: int = 8000,
    character_coverage: float | None = None,
) -> SentencePieceTokenizer:
    """Train a unigram vocabulary (arXiv 1804.10959) with the six special pieces and one piece for every byte.

    The same texts in the same order give the same file, byte by byte. It is written aside and renamed. Another
    vocabulary is not overwritten, as models may have been trained with it.

    Args:
        files: Text files, and folders of `*.txt` files; streamed.
        path: Where to write the model; must end in `.model`.
        vocab_size: Number of pieces wanted. A small text gives fewer; how many is logged.
        character_coverage: Share of the characters that get a piece of their own; the rest are spelled in bytes. If
            not given: all in less than 10 MB of text, else 0.9995.

    Returns:
        The tokenizer of the new vocabulary.

    Raises:
        ValueError: If a file is missing or no text, the vocabulary's folder cannot be made, its file holds another
            vocabulary, an argument is out of range, or vocab_size is less than the special pieces, bytes and characters
            need.
    """
    _, sentencepiece = import_text_packages()
    path = Path(path).expanduser()
    require(path.suffix == ".model", f"a vocabulary's file must end in .model; given: {path}")
    found = find_text_files(files)
    if character_coverage is None:
        character_coverage = 0.9995 if sum(file.stat().st_size for file in found) >= LARGE else 1.0
    require(0.9 <= character_coverage <= 1, f"character_coverage must lie in 0.9..1; given: {character_coverage}")
    require(vocab_size >= 1, f"vocab_size must be at least 1; given: {vocab_size}")
    require_folder("a vocabulary's folder", path.parent)
    counts, model = TextCounts(), io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_sentences(found, counts),
            model_writer=model,
            vocab_size=vocab_size,
            character_coverage=character_coverage,
            **_OPTIONS,
        )
    except RuntimeError as error:
        raise _one_line(error, vocab_size) from error
    tokenizer = SentencePieceTokenizer(model.getvalue())
    require(
        not path.exists() or path.read_bytes() == model.getvalue(),
        f"a vocabulary's file must not hold another one already; given: {path}; name another file, or remove this one "
        "if no model needs it",
    )
    _write(path, model.getvalue())
    _log.info("%s: %d pieces of %d wanted, from %s", path, tokenizer.vocab_size, vocab_size, counts)
    return tokenizer


def _sentences(files: list[Path], counts: TextCounts) -> Iterator[str]:
    for file in files:
        for sentence, starts_document in read_sentences(file, counts):
            counts.documents += starts_document
            counts.sentences += 1
            counts.characters += len(sentence)
            yield sentence


def _one_line(error: RuntimeError, vocab_size: int) -> ValueError:
    if needed := re.search(r"required_chars\. \d+ vs (\d+)", str(error)):
        return ValueError(
            f"vocab_size must be at least {needed[1]}, for the special pieces, 256 bytes and every character; "
            f"given: {vocab_size}; raise it, or train on text with fewer different characters"
        )
    if "sentences_.empty()" in str(error) or "all_chars_count" in str(error):
        return ValueError("the text files must hold some text; given: none but spaces; check the files")
    return ValueError(f"the vocabulary could not be trained: {' '.join(str(error).split())}")


def _write(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(content)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)
