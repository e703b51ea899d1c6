"""Text to token ids and back, as operations of the graph: in `tf.data`, in a `tf.function` and in a SavedModel.

SentencePiece (arXiv 1808.06226) for vocabularies of one's own, in any languages together: nothing is lost but what
Unicode's NFKC folds (and runs of spaces), because a character that the vocabulary lacks is spelled by its bytes.
WordPiece as in BERT (arXiv 1810.04805) for the published `vocab.txt` files.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import unicodedata
from pathlib import Path

import numpy as np
import tensorflow as tf

from mixer_tf.checks import require

NAMES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[EOS]", "[MASK]")  # in the order of the fields of `SpecialTokens`
SPACE = "\u2581"  # how SentencePiece writes a space in its pieces
_CONFIG = "tokenizer_config.json"  # beside published WordPiece vocabularies, too
LONGEST_WORD = 100  # characters; BERT's tokenizer makes a longer one [UNK]

# RE2's classes follow BERT's basic tokenizer: control characters go, but for the mark that stands for a typed [MASK].
_MARK = "\ue000"
_DROPPED = r"[\x{FFFD}]|[^\P{C}\t\n\r\x{E000}]"
_SPACES = r"[\t\n\r\p{Z}]"
_CJK = (
    r"[\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2B73F}\x{2B740}-\x{2B81F}"
    r"\x{2B820}-\x{2CEAF}\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F}]"
)
_PUNCTUATION = r"[!-/:-@\[-`{-~\p{P}]"
_OPENING, _CLOSING = r"[\p{Ps}\p{Pi}]", r"[.,:;!?%\p{Pe}\p{Pf}、。・…！？]"  # mostly without a space inside


@dataclasses.dataclass(frozen=True)
class SpecialTokens:
    """The ids that are no text: padding, unknown, start, separator of a pair, end, and mask."""

    pad: int
    unknown: int
    cls: int
    sep: int
    eos: int
    mask: int


@dataclasses.dataclass(frozen=True, eq=False)
class _Vocabulary:
    special: SpecialTokens
    pieces: tuple[str, ...]
    is_special: np.ndarray
    starts_word: np.ndarray
    fingerprint: str


class _Tokenizer(tf.Module):  # a module, so that a SavedModel finds the resources
    """What both kinds share: the vocabulary, seen from outside."""

    _vocabulary: _Vocabulary

    @property
    def special(self) -> SpecialTokens:
        """The ids of the special tokens."""
        return self._vocabulary.special

    @property
    def pieces(self) -> tuple[str, ...]:
        """The text of every id, as the vocabulary writes it."""
        return self._vocabulary.pieces

    @property
    def vocab_size(self) -> int:
        """Number of ids, v."""
        return len(self._vocabulary.pieces)

    @property
    def is_special(self) -> np.ndarray:
        """Bool [v]: ids that are no text, so that they are neither guessed nor drawn as a replacement."""
        return self._vocabulary.is_special

    @property
    def starts_word(self) -> np.ndarray:
        """Bool [v]: pieces that begin a word. A piece after a special one begins a word whatever it is."""
        return self._vocabulary.starts_word

    @property
    def fingerprint(self) -> str:
        """The same for the same vocabulary and rules: tells whether tokens on disk may be used again."""
        return self._vocabulary.fingerprint


class SentencePieceTokenizer(_Tokenizer):
    """A SentencePiece model with the six special pieces, as `mixer_tf.data.vocabulary.train_vocabulary` makes it.

    A typed "[MASK]" becomes the mask's id; "[CLS]" and the like, typed by a user, are spelled as plain characters.

    Args:
        model: The serialised model, also an attribute; it lives in the graph: a SavedModel needs no file beside it.

    Raises:
        ValueError: If the model cannot be read, lacks a special piece, or tensorflow-text is missing.
    """

    def __init__(self, model: bytes):
        super().__init__()
        text, sentencepiece = import_text_packages()
        try:
            processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise ValueError(
                f"a SentencePiece model must be readable; given: {len(model)} other bytes; train one with "
                "tasks/vocabulary.py"
            ) from error
        pieces = tuple(processor.id_to_piece(list(range(processor.get_piece_size()))))
        special = _special_tokens(pieces, NAMES)
        controls = (special.pad, special.cls, special.sep, special.eos)
        require(
            all(map(processor.is_control, controls)) and not processor.is_control(special.mask),
            "the pieces [PAD], [CLS], [SEP] and [EOS] must be control symbols and [MASK] a user-defined one; given: "
            "other kinds; train the vocabulary with tasks/vocabulary.py",
        )
        starts = [not processor.is_byte(i) and _starts_word(piece) for i, piece in enumerate(pieces)]
        self._vocabulary = _vocabulary(special, pieces, starts, model)
        self.model = model

        # Not FastSentencepieceTokenizer: it ignores byte fallback and so gives other ids from the same model. Made in
        # the functions: the resource of one made eagerly is lost when TensorFlow clears its caches, as
        # `keras.utils.set_random_seed` does.
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def tokenize(texts):
            return text.SentencepieceTokenizer(model).tokenize(texts)

        @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
        def detokenize(token_ids):
            return text.SentencepieceTokenizer(model).detokenize(token_ids)

        self._tokenize, self._detokenize = tokenize, detokenize

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Tokenize strings [n] to int32 [n, (t)], without special tokens around them."""
        return self._tokenize(tf.convert_to_tensor(texts, tf.string))

    def decode(self, token_ids) -> tf.Tensor:
        """Join ids, int [n, t] or ragged, to strings [n]; control symbols vanish."""
        return self._detokenize(_ragged(token_ids))

    def decode_as_in(self, token_ids, texts) -> list[str]:
        """What `decode` gives of the ids of these texts; its spaces are those of the texts already."""
        return _strings(self.decode(token_ids))

    def save(self, folder: str | Path) -> Path:
        """Write `vocabulary.model` into a folder."""
        path = Path(folder) / "vocabulary.model"
        path.write_bytes(self.model)
        return path


class WordPieceTokenizer(_Tokenizer):
    """BERT's tokenizer: clean, split at spaces, punctuation and CJK characters, then the longest pieces first.

    A typed "[MASK]" becomes the mask's id. The brackets of other special names are split off like any punctuation.
    As no [EOS] exists, `special.eos` is [SEP], which also ends BERT's inputs. Characters that Unicode has not assigned
    are kept (and unknown), where the reference drops what its version of Unicode does not know.

    Args:
        pieces: The vocabulary; the index of a piece is its id.
        lower_case: Lower the case and strip the accents (also the dakuten of Japanese), as the uncased BERT does.

    Raises:
        ValueError: If a special piece is missing, a piece stands twice, or tensorflow-text is missing.
    """

    def __init__(self, pieces, *, lower_case: bool):
        super().__init__()
        self._text, _ = import_text_packages()
        pieces = tuple(pieces)
        special = _special_tokens(pieces, ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[SEP]", "[MASK]"))
        require(len(set(pieces)) == len(pieces), f"pieces must differ; given: {len(pieces) - len(set(pieces))} twice")
        content = "\n".join([f"lower_case={lower_case}", *pieces]).encode()
        starts = [not piece.startswith("##") for piece in pieces]
        self._vocabulary = _vocabulary(special, pieces, starts, content)
        self._lower_case = lower_case
        keys = [_MARK if piece == "[MASK]" else piece for piece in pieces]
        ids = tf.lookup.KeyValueTensorInitializer(keys, tf.range(len(keys), dtype=tf.int64))
        self._table = tf.lookup.StaticHashTable(ids, default_value=-1)
        self._wordpiece = self._text.WordpieceTokenizer(
            tf.lookup.StaticVocabularyTable(ids, num_oov_buckets=1), max_bytes_per_word=4 * LONGEST_WORD
        )

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Tokenize strings [n] to int32 [n, (t)], without special tokens around them."""
        words = tf.strings.split(self._spaced(tf.convert_to_tensor(texts, tf.string)))  # [n, (words)]
        lengths = tf.strings.length(words.flat_values, unit="UTF8_CHAR")
        unknown = tf.fill(tf.shape(lengths), "\0")  # no vocabulary holds what cleaning drops
        words = words.with_flat_values(tf.where(lengths > LONGEST_WORD, unknown, words.flat_values))
        return tf.cast(self._wordpiece.tokenize(words).merge_dims(1, 2), tf.int32)

    def decode(self, token_ids) -> tf.Tensor:
        """Join ids, int [n, t] or ragged, to strings [n]; all but [MASK], [UNK] vanish.

        Where a space was is not known: one is put between words, but none beside CJK characters and punctuation that
        mostly has none.
        """
        x = tf.strings.regex_replace(self._joined(token_ids), f" ?({_CJK}) ?", r"\1")
        return tf.strings.regex_replace(tf.strings.regex_replace(x, f" ({_CLOSING})", r"\1"), f"({_OPENING}) ", r"\1")

    def decode_as_in(self, token_ids, texts) -> list[str]:
        """What `decode` gives of the ids of these texts, with spaces where the texts have them."""
        cleaned = _strings(self._cleaned(tf.convert_to_tensor(texts, tf.string)))
        return list(map(_spaced_as_in, cleaned, _strings(self._joined(token_ids))))

    def _joined(self, token_ids) -> tf.Tensor:
        """A space between all words, and between those that only the tokenizer has parted."""
        token_ids = _ragged(token_ids)
        special = self.special
        written = ~self.is_special
        written[[special.mask, special.unknown]] = True
        token_ids = tf.ragged.boolean_mask(token_ids, tf.ragged.map_flat_values(tf.gather, written, token_ids))
        pieces = tf.ragged.map_flat_values(tf.gather, tf.constant(self.pieces), token_ids)
        return tf.strings.regex_replace(tf.strings.reduce_join(pieces, axis=1, separator=" "), " ##", "")

    def save(self, folder: str | Path) -> Path:
        """Write `vocabulary.txt` into a folder, and beside it `tokenizer_config.json`, which says the case."""
        path = Path(folder) / "vocabulary.txt"
        path.write_text("\n".join(self.pieces) + "\n", encoding="utf-8")
        path.with_name(_CONFIG).write_text(json.dumps({"do_lower_case": self._lower_case}) + "\n", encoding="utf-8")
        return path

    def _spaced(self, texts: tf.Tensor) -> tf.Tensor:
        """BERT's basic tokenizer: the words of each text, one space or more between them."""
        return tf.strings.regex_replace(self._cleaned(texts), f"({_CJK}|{_PUNCTUATION}|{_MARK})", r" \1 ")

    def _cleaned(self, texts: tf.Tensor) -> tf.Tensor:
        """The texts without control characters, in lower case if so wished, and with a mark for [MASK]."""
        replace = tf.strings.regex_replace
        x = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", replace_control_characters=False)
        x = replace(replace(x, _MARK, ""), r"\[MASK\]", _MARK)
        x = replace(replace(x, _DROPPED, ""), _SPACES, " ")
        if self._lower_case:
            x = self._text.normalize_utf8(tf.strings.lower(x, encoding="utf-8"), "NFD")
            x = replace(x, r"\p{Mn}", "")
        return x


Tokenizer = SentencePieceTokenizer | WordPieceTokenizer


def open_tokenizer(path: str | Path, *, lower_case: bool | None = None) -> Tokenizer:
    """Open a vocabulary file.

    Args:
        path: A SentencePiece model (`.model`), or a WordPiece vocabulary with one piece per line (`.txt`).
        lower_case: Of a WordPiece vocabulary; if not given, what `do_lower_case` is in a `tokenizer_config.json` beside
            it, else true unless some piece holds a capital letter.

    Returns:
        The tokenizer.

    Raises:
        ValueError: If the file does not exist, is of neither kind or not UTF-8, or lacks special pieces.
    """
    path = Path(path).expanduser()
    require(path.is_file(), f"a vocabulary must be an existing file; given: {path}; make one with tasks/vocabulary.py")
    require(
        path.suffix in (".model", ".txt"),
        f"a vocabulary must be a SentencePiece model (.model) or a WordPiece vocabulary (.txt); given: {path}",
    )
    try:
        if path.suffix == ".model":
            require(lower_case is None, f"lower_case must be left out for a SentencePiece model; given: {lower_case}")
            return SentencePieceTokenizer(path.read_bytes())
        pieces = _read_pieces(path)
        return WordPieceTokenizer(pieces, lower_case=_lower_case(path, pieces) if lower_case is None else lower_case)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read_pieces(path: Path) -> list[str]:
    try:
        lines = path.read_bytes().decode("utf-8-sig").rstrip("\r\n").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"a WordPiece vocabulary must be encoded in UTF-8; given: another byte at {error.start}; convert it: iconv "
            "-f ENCODING -t UTF-8"
        ) from None
    return [line.rstrip("\r") for line in lines]  # and not splitlines: U+2028 is a piece of some vocabularies


def _lower_case(path: Path, pieces: list[str]) -> bool:
    """What is said beside a WordPiece vocabulary, else what its pieces tell."""
    config = path.with_name(_CONFIG)
    try:
        said = json.loads(config.read_bytes()).get("do_lower_case") if config.is_file() else None
    except (ValueError, AttributeError):
        raise ValueError(f"{_CONFIG} beside it must be a JSON object; given: something else; remove it") from None
    require(
        said is None or isinstance(said, bool), f"do_lower_case in {_CONFIG} must be true or false; given: {said!r}"
    )
    return all(piece == piece.lower() for piece in pieces if not piece.startswith("[")) if said is None else said


@functools.cache
def import_text_packages():
    """The modules tensorflow_text and sentencepiece, which are optional."""
    try:
        import sentencepiece
        import tensorflow_text
    except ImportError as error:
        raise ValueError(
            'text needs tensorflow-text and sentencepiece, which cannot be imported; run: pip install "mixer-tf[text]"'
        ) from error
    return tensorflow_text, sentencepiece


def _special_tokens(pieces: tuple[str, ...], names: tuple[str, ...]) -> SpecialTokens:
    missing = [name for name in dict.fromkeys(names) if name not in pieces]
    require(not missing, f"a vocabulary must hold {', '.join(dict.fromkeys(names))}; missing: {', '.join(missing)}")
    return SpecialTokens(*map(pieces.index, names))


def _vocabulary(special: SpecialTokens, pieces: tuple[str, ...], starts: list[bool], content: bytes) -> _Vocabulary:
    is_special, starts_word = np.zeros(len(pieces), bool), np.array(starts)
    ids = list(dataclasses.astuple(special))
    is_special[ids], starts_word[ids] = True, True
    return _Vocabulary(special, pieces, is_special, starts_word, hashlib.sha256(content).hexdigest()[:16])


def _starts_word(piece: str) -> bool:
    """After a space, and wherever the script writes no spaces; letters, digits and marks go on."""
    first = piece[0]
    if not (first.isalnum() or unicodedata.combining(first)):
        return True  # a space or punctuation
    return unicodedata.name(first, "").startswith(("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"))


def _spaced_as_in(text: str, words: str) -> str:
    """Words of a text, of which some may be missing, with a space before one only if it has one in the text."""
    parts, place = [], 0
    for word in words.split():
        found = text.find(word, place)
        parts.append(f" {word}" if found > 0 and text[found - 1] == " " else word)
        place = max(place, found + len(word))
    return "".join(parts).strip()


def _strings(texts: tf.Tensor) -> list[str]:
    return [text.decode("utf-8", "replace") for text in texts.numpy()]


def _ragged(token_ids) -> tf.RaggedTensor:
    if isinstance(token_ids, tf.RaggedTensor):
        return tf.cast(token_ids, tf.int32)
    return tf.RaggedTensor.from_tensor(tf.cast(token_ids, tf.int32))
