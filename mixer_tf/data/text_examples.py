"""Examples from tokenized texts: `[CLS] a [EOS]` packed full, or pairs `[CLS] a [SEP] b [EOS]` as in BERT.

BERT (arXiv 1810.04805) asks whether the second part follows the first ("nsp"), ALBERT (arXiv 1909.11942) whether the
two are in order ("sop"). Deviations: every example is a pure function of its index and a seed, so what BERT's file
maker puts back for the next example is left to other seeds; a replaced second part is about as long as the true one,
so that its length tells nothing; and 1 means that the second part follows.
"""

from __future__ import annotations

import numpy as np

from mixer_tf.checks import require
from mixer_tf.data.corpus import Corpus
from mixer_tf.data.tokenizers import SpecialTokens

PAIR_TASKS = ("nsp", "sop", None)


def pack(
    first: np.ndarray, second: np.ndarray | None, *, special: SpecialTokens, sequence_length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Join one or two parts with the special tokens, and pad.

    Args:
        first: Ids of the first part, int [n].
        second: Ids of the second, int [m], or None.
        special: The special ids.
        sequence_length: t, at least n + 2, or n + m + 3 with a second part.

    Returns:
        token_ids, segment_ids (0 up to and with [SEP], 1 after it up to [EOS], 0 on padding; without a second part all
        0) and padding_mask (1 on tokens, 0 on padding), each int32 [t].

    Example:
        >>> special = SpecialTokens(pad=0, unknown=1, cls=2, sep=4, eos=3, mask=5)
        >>> pack(np.array([7, 8]), np.array([9]), special=special, sequence_length=8)[0].tolist()
        [2, 7, 8, 4, 9, 3, 0, 0]
    """
    parts: list = [[special.cls], first, [special.eos]]
    if second is not None:
        parts[2:2] = [[special.sep], second]
    joined = np.concatenate(parts)
    token_ids = np.full(sequence_length, special.pad, np.int32)
    segment_ids, padding_mask = np.zeros_like(token_ids), np.zeros_like(token_ids)
    token_ids[: len(joined)] = joined
    padding_mask[: len(joined)] = 1
    if second is not None:
        segment_ids[len(first) + 2 : len(joined)] = 1
    return token_ids, segment_ids, padding_mask


class TextExamples:
    """The examples of one part of a corpus.

    Sentences are cut into parts of at most w tokens, what one example holds; a chunk is a run of parts that fill w. For
    pairs a chunk stays in its document; else it goes on over the end, and a sentence that does not fit whole is
    begun again in the next chunk.

    Args:
        corpus: The tokenized texts.
        chosen: Which sentences belong to this part, bool [sentences].
        special: The special ids.
        sequence_length: t.
        pair_task: "nsp", "sop" or None.
        short_share: Share of examples that end early, at a random length.

    Raises:
        ValueError: If "nsp" finds only one chunk, so that nothing could replace its second part.
    """

    def __init__(
        self,
        corpus: Corpus,
        chosen: np.ndarray,
        *,
        special: SpecialTokens,
        sequence_length: int,
        pair_task: str | None,
        short_share: float,
    ):
        self._token_ids = np.asarray(corpus.token_ids)  # still mapped, but slices are plain arrays: faster
        self._special, self._sequence_length = special, sequence_length
        self._pair_task, self._short_share = pair_task, short_share
        self._room = sequence_length - (3 if pair_task else 2)
        self._starts, self._positions, self._documents = self._find_parts(corpus, np.flatnonzero(chosen))
        self._chunks = self._find_chunks()
        require(
            pair_task != "nsp" or len(self) > 1,
            "pair_task=nsp must have two or more chunks of text to train on and to evaluate; given: one; add text, "
            "lower sequence_length or choose pair_task=sop",
        )

    def __len__(self) -> int:
        return len(self._chunks) - 1

    def __call__(self, index: int, seed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Make one example.

        Args:
            index: In 0..len-1.
            seed: int64 [2]; the same index and seed give the same example.

        Returns:
            token_ids, segment_ids, padding_mask, each int32 [t], and is_next, int32 [].
        """
        key = np.asarray(seed, np.int64).view(np.uint64)
        random = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, int(index)]))
        short = random.random() < self._short_share
        length = int(random.integers(2, self._room + 1)) if short else self._room
        first, second, is_next = self._pair(random, int(index), length)
        packed = pack(first, second, special=self._special, sequence_length=self._sequence_length)
        return *packed, np.array(is_next, np.int32)

    def _find_parts(self, corpus: Corpus, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where parts start in the token file [n] and among the chosen [n + 1]; first parts of documents [d + 1]."""
        small = np.int32 if len(corpus.token_ids) < 1 << 30 else np.int64  # there may be many millions
        starts = corpus.sentence_starts[numbers].astype(small)
        lengths = corpus.sentence_starts[numbers + 1].astype(small) - starts
        documents = np.searchsorted(corpus.document_starts, numbers, side="right").astype(small)
        counts = -(-lengths // self._room)  # parts of each sentence
        lengths, documents = np.repeat(lengths, counts), np.repeat(documents, counts)
        within = np.arange(len(lengths), dtype=small) - np.repeat(np.cumsum(counts, dtype=small) - counts, counts)
        starts, counts = np.repeat(starts, counts), np.repeat(counts, counts)
        if self._pair_task:  # in equal parts, so that none is too short to be split
            first, last = lengths * within // counts, lengths * (within + 1) // counts
        else:
            first, last = within * self._room, np.minimum((within + 1) * self._room, lengths)
        positions = np.concatenate([[0], np.cumsum(last - first)]).astype(small)
        first_parts = np.flatnonzero(np.diff(documents, prepend=-1))
        return starts + first, positions, np.append(first_parts, len(starts))

    def _find_chunks(self) -> np.ndarray:
        """The first part of each chunk, and the end, int64 [n + 1]."""
        here, full = self._positions[:-1], self._positions[:-1] + self._room
        if self._pair_task:  # with the part that fills it, which is shortened, but not over the document's end
            following = np.searchsorted(self._positions, full)
            following = np.minimum(following, np.repeat(self._documents[1:], np.diff(self._documents)))
        else:
            following = np.searchsorted(self._positions, full, side="right") - 1
        chunks = [0]
        while chunks[-1] < len(here):
            chunks.append(int(following[chunks[-1]]))
        return np.array(chunks)

    def _pair(self, random, index: int, length: int) -> tuple[np.ndarray, np.ndarray | None, int]:
        """Both parts, `length` tokens at most together, and whether the second follows the first."""
        start = self._chunks[index]
        end = np.searchsorted(self._positions, self._positions[start] + length)
        if not self._pair_task:
            return self._tokens(start, min(end, len(self._starts)))[:length], None, 1
        end = min(max(end, start + 2), self._chunks[index + 1])
        if end - start > 1:
            middle = random.integers(start + 1, end)
            first, second = self._tokens(start, middle), self._tokens(middle, end)
        else:  # one long sentence
            tokens = self._tokens(start, end)
            first, second = np.split(tokens, [random.integers(1, max(2, len(tokens)))])
        changed = random.random() < 0.5
        if self._pair_task == "nsp" and (changed or not len(second)):
            second, changed = self._elsewhere(random, index, max(1, len(second))), True
        first, second = _truncate(random, first, second, length)
        if self._pair_task == "sop" and (changed := changed and len(second) > 0):
            first, second = second, first
        return first, second, int(not changed)

    def _elsewhere(self, random, index: int, length: int) -> np.ndarray:
        """Sentences with `length` tokens or a few more from another document, or far away in the only one."""
        low, high = self._other_range(random, index)
        low += high - low > 1  # no true second part begins a document
        last = np.searchsorted(self._positions[low : high + 1], self._positions[high] - length, side="right") - 1
        start = low + random.integers(0, max(last, 0) + 1)
        end = np.searchsorted(self._positions, self._positions[start] + length)
        return self._tokens(start, min(end, high))

    def _other_range(self, random, index: int) -> tuple[int, int]:
        """The parts of another document; if there is none, those from a chunk a quarter away or more."""
        if (count := len(self._documents) - 1) > 1:
            own = np.searchsorted(self._documents, self._chunks[index], side="right") - 1
            other = (own + random.integers(1, count)) % count
            return self._documents[other], self._documents[other + 1]
        distance = max(1, len(self) // 4)
        other = (index + random.integers(distance, len(self) - distance + 1)) % len(self)
        return self._chunks[other], self._chunks[index - distance + 1] if other < index else self._documents[-1]

    def _tokens(self, start: int, end: int) -> np.ndarray:
        """The tokens of the parts in [start, end)."""
        starts, lengths = self._starts[start:end], np.diff(self._positions[start : end + 1])
        if starts[-1] + lengths[-1] - starts[0] == lengths.sum():  # they lie side by side
            return self._token_ids[starts[0] : starts[-1] + lengths[-1]]
        places = zip(starts, lengths, strict=True)
        return np.concatenate([self._token_ids[first : first + length] for first, length in places])


def _truncate(random, first: np.ndarray, second: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Take tokens away from the longer of both, each from its front or its end at random."""
    kept = min(len(first), max(length - len(second), (length + 1) // 2))
    return _shorten(random, first, kept), _shorten(random, second, min(len(second), length - kept))


def _shorten(random, tokens: np.ndarray, kept: int) -> np.ndarray:
    start = random.binomial(len(tokens) - kept, 0.5)
    return tokens[start : start + kept]
