"""Where texts come from: `markov`, `sentences` or `text:PATH`, all behind one `TextSource`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from mixer_tf.checks import require, require_folder
from mixer_tf.data.corpus import Corpus, tokenize_files
from mixer_tf.data.text_examples import PAIR_TASKS, TextExamples
from mixer_tf.data.text_files import TextCounts, find_text_files, fingerprint
from mixer_tf.data.tokenizers import SpecialTokens, Tokenizer, open_tokenizer
from mixer_tf.data.vocabulary import train_vocabulary

SENTENCES = Path(__file__).parent / "sentences"  # the texts that come with the package


@dataclasses.dataclass(frozen=True, eq=False)
class TextSplit:
    """One part of a source of texts.

    Args:
        name: "train" or "evaluation".
        size: Number of examples of an epoch.
        read: Maps an int64 scalar index in [0, size) and an int64 seed [2] to `token_ids`, `segment_ids` and
            `padding_mask`, each int32 [t], and `is_next`, int32 []: 1 where the second part follows the first, or
            where there is no pair. The same index and seed give the same example. Made of graph operations, to be
            called inside `tf.data.Dataset.map`.
    """

    name: str
    size: int
    read: Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]


@dataclasses.dataclass(frozen=True, eq=False)
class TextSource:
    """Texts: a split to train on and one to evaluate on.

    Args:
        name: The string that `open_texts` was given.
        special: The ids that are no text.
        vocab_size: Number of ids, v.
        is_special: Ids that are neither guessed nor drawn as a replacement, bool [v].
        starts_word: Ids of pieces that begin a word, bool [v].
        train: The training split.
        evaluation: The split that is never trained on.
        tokenizer: One of `mixer_tf.data.tokenizers`; None where the tokens stand for no text.
        counts: What the text files held; None where there are none.
        fingerprints: Of `texts` and `vocabulary`, the same for the same; empty where the name alone says what is read.
    """

    name: str
    special: SpecialTokens
    vocab_size: int
    is_special: np.ndarray
    starts_word: np.ndarray
    train: TextSplit
    evaluation: TextSplit
    tokenizer: Tokenizer | None = None
    counts: TextCounts | None = None
    fingerprints: Mapping[str, str] = dataclasses.field(default_factory=dict)


def open_texts(
    data: str,
    *,
    folder: str | Path,
    sequence_length: int,
    pair_task: str | None = "nsp",
    tokenizer: Tokenizer | None = None,
    vocabulary: str | Path | None = None,
    vocab_size: int = 8000,
    evaluation_share: float = 0.05,
    short_share: float = 0.1,
) -> TextSource:
    """Open texts. Their tokens are made once and kept on disk; memory holds a few bytes per sentence.

    Args:
        data: `markov` (endless, of which the best possible loss is known), `sentences` (some hundred Japanese and
            English sentences that come with the package) or `text:FILE_OR_FOLDER` (UTF-8; of a folder all `*.txt`
            files).
        folder: Where tokens, and a vocabulary that is trained, are kept.
        sequence_length: t, the tokens of an example, special tokens included.
        pair_task: "nsp" (half of the second parts come from elsewhere), "sop" (half of the pairs are swapped) or None.
        tokenizer: One of `mixer_tf.data.tokenizers`.
        vocabulary: Instead of a tokenizer, its file. With neither, a vocabulary is trained from the texts.
        vocab_size: Of a vocabulary that is trained.
        evaluation_share: Share held out: every n-th document, or, where that would be less than two, the last
            sentences of each document.
        short_share: Share of examples that end early, at a random length.

    Returns:
        The opened source.

    Raises:
        ValueError: If the source is unknown, a file is missing, there is too little text, an argument is out of
            range, or a package is missing.

    Example:
        >>> source = open_texts("sentences", folder="texts", sequence_length=32, vocab_size=800)
        >>> source.train.read(tf.constant(0, tf.int64), tf.constant([0, 1], tf.int64))["token_ids"].shape
        TensorShape([32])
    """
    _check(sequence_length, pair_task, evaluation_share, short_share)
    require(tokenizer is None or vocabulary is None, "tokenizer and vocabulary must not both be given; leave one out")
    if data == "markov":
        from mixer_tf.data.markov import open_markov_text  # it builds on this module

        require(
            pair_task is None, f"pair_task must be none for data=markov, which has no sentences; given: {pair_task}"
        )
        return open_markov_text(sequence_length)
    if tokenizer is None:
        tokenizer = open_vocabulary(data, folder=folder, vocabulary=vocabulary, vocab_size=vocab_size)
    corpus = tokenize_files(_files_of(data), tokenizer, _kept_in(folder))
    options = {"sequence_length": sequence_length, "pair_task": pair_task, "short_share": short_share}
    return _source(data, tokenizer, corpus, evaluation_share, options)


def open_vocabulary(
    data: str, *, folder: str | Path, vocabulary: str | Path | None = None, vocab_size: int = 8000
) -> Tokenizer:
    """Open the vocabulary for texts, or train one from them, which is kept: what `open_texts` does first.

    Args:
        data: `sentences` or `text:FILE_OR_FOLDER`.
        folder: Where a vocabulary that is trained is kept.
        vocabulary: Its file; None to train one.
        vocab_size: Of a vocabulary that is trained.

    Raises:
        ValueError: As for `open_texts`.
    """
    files, folder = _files_of(data), _kept_in(folder)
    if vocabulary is not None:
        return open_tokenizer(vocabulary)
    path = folder / f"vocabulary_{vocab_size}_{fingerprint(files)}.model"
    return open_tokenizer(path) if path.is_file() else train_vocabulary(files, path, vocab_size=vocab_size)


def held_out_texts(source: TextSource, count: int = 16) -> list[str]:
    """Some of the texts that are never trained on; of pairs the first part.

    Args:
        source: With a tokenizer.
        count: Number of texts at most.

    Returns:
        The beginning of the evaluation split, as text.
    """
    if source.tokenizer is None:
        raise ValueError(f"source must have a tokenizer to write its texts with; given: {source.name} without one")
    seeds = [tf.constant([0, i], tf.int64) for i in range(min(count, source.evaluation.size))]
    examples = [source.evaluation.read(seed[1], seed) for seed in seeds]
    first = [tf.where(x["segment_ids"] == 0, x["token_ids"], source.special.pad) for x in examples]
    return [text.decode("utf-8", "replace") for text in source.tokenizer.decode(tf.stack(first)).numpy()]


def _source(name: str, tokenizer, corpus: Corpus, evaluation_share: float, options: dict) -> TextSource:
    held_out = _held_out(corpus, evaluation_share)
    return TextSource(
        name=name,
        special=tokenizer.special,
        vocab_size=tokenizer.vocab_size,
        is_special=tokenizer.is_special,
        starts_word=tokenizer.starts_word,
        train=_split("train", TextExamples(corpus, ~held_out, special=tokenizer.special, **options), options),
        evaluation=_split("evaluation", TextExamples(corpus, held_out, special=tokenizer.special, **options), options),
        tokenizer=tokenizer,
        counts=corpus.counts,
        fingerprints={"texts": corpus.fingerprint, "vocabulary": tokenizer.fingerprint},
    )


def _split(name: str, examples: TextExamples, options: dict) -> TextSplit:
    def read(index: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        arguments = [index, tf.cast(seed, tf.int64)]
        # Without state, so that deterministic runs may still make several examples at a time.
        *sequences, is_next = tf.numpy_function(examples, arguments, [tf.int32] * 4, stateful=False)
        names = ("token_ids", "segment_ids", "padding_mask")
        example = {
            name: tf.ensure_shape(x, [options["sequence_length"]]) for name, x in zip(names, sequences, strict=True)
        }
        return example | {"is_next": tf.ensure_shape(is_next, [])}

    return TextSplit(name, len(examples), read)


def _held_out(corpus: Corpus, share: float) -> np.ndarray:
    """Which sentences are evaluated on, bool [sentences]."""
    sizes = np.diff(corpus.document_starts)
    count = len(corpus.sentence_starts) - 1
    require(count > 1, "the texts must hold two sentences at least, to train on and to evaluate; given: one; add text")
    if len(sizes) * share >= 2:
        every = round(1 / share)
        return np.repeat(np.arange(1, len(sizes) + 1) % every == 0, sizes)
    to_end = np.repeat(corpus.document_starts[1:], sizes) - np.arange(count)
    held_out = to_end <= np.repeat(np.rint(share * sizes), sizes)
    held_out[corpus.document_starts[np.argmax(sizes) + 1] - 1] = True  # one at least, where there are most
    return held_out


def _files_of(data: str) -> list[Path]:
    kind, _, rest = data.partition(":")
    if data == "sentences":
        return find_text_files(SENTENCES)
    if kind == "text" and rest:
        return find_text_files(rest)
    raise ValueError(f"data must be markov, sentences or text:FILE_OR_FOLDER; given: {data!r}; choose one")


def _kept_in(folder: str | Path) -> Path:
    folder = Path(folder).expanduser()
    require_folder("data_dir, where tokens are kept,", folder)
    return folder


def _check(sequence_length: int, pair_task: str | None, evaluation_share: float, short_share: float) -> None:
    require(sequence_length >= 8, f"sequence_length must be at least 8; given: {sequence_length}")
    require(pair_task in PAIR_TASKS, f"pair_task must be nsp, sop or None; given: {pair_task!r}")
    require(0 < evaluation_share <= 0.5, f"evaluation_share must lie above 0 and up to 0.5; given: {evaluation_share}")
    require(0 <= short_share <= 1, f"short_share must lie in 0..1; given: {short_share}")
