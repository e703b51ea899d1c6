"""Text to ids and back: lossless, in the graph, and as the reference does it."""

import subprocess
import sys
import unicodedata

import keras
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.data.texts import SENTENCES
from mixer_tf.data.tokenizers import SentencePieceTokenizer, WordPieceTokenizer, open_tokenizer

WORDS = """[PAD] [UNK] [CLS] [SEP] [MASK] the The cat un ##aff ##able cafe café don ' t 吾 輩 猫 で ##ある て が
##か か ##て ##が e ##é [ ] cls , . 2 ##匹 匹 привет Привет ##s ς σοφο ##ς ##σ λογος ½ « » 😀 ##x a b ! CLS"""
WORD_PIECES = WORDS.split()

# text, ids of transformers' BertTokenizer with do_lower_case=True, and with False (it takes no special names here)
GOLDEN = [
    ("The unaffable CAFÉ, don't!", [5, 8, 9, 10, 11, 32, 13, 14, 15, 52], [6, 8, 9, 10, 1, 32, 13, 14, 15, 52]),
    ("吾輩[MASK]猫である。", [16, 17, 4, 18, 21, 20, 1], [16, 17, 4, 18, 19, 20, 1]),
    ("がか かが", [24, 23, 24, 23], [22, 23, 24, 26]),
    ("猫2匹a猫b", [18, 34, 36, 50, 18, 51], [18, 34, 36, 50, 18, 51]),
    ("a\u200bb a\u3000b a\u00a0b\0", [1, 50, 51, 50, 51], [1, 50, 51, 50, 51]),
    ("Привет «ΣΟΦΟΣ»", [37, 46, 41, 42, 47], [38, 46, 1, 47]),
    ("cafe\u0301 e\u0301", [11, 27], [1, 1]),
    ("the[MASK][MASK]cat", [5, 4, 4, 7], [5, 4, 4, 7]),
    ("😀 ½ " + "x" * 101, [48, 45, 1], [48, 45, 1]),
    ("", [], []),
]


def ids(tokenizer, text):
    return tokenizer(tf.constant([text])).to_list()[0]


@pytest.mark.parametrize(
    "text",
    [
        "吾輩は猫である。名前はまだ無い。",
        "The black cat drinks milk, doesn't it?",
        "がぎぐげご ぱぴぷ",
        "鬱蒼とした龜 😀",
    ],
)
def test_sentencepiece_loses_nothing(tokenizer, text):
    assert tokenizer.decode(tokenizer(tf.constant([text])))[0].numpy().decode() == text
    assert tokenizer.special.unknown not in ids(tokenizer, text)


def test_sentencepiece_loses_only_what_nfkc_folds(tokenizer):
    text = "２匹のｶﾞ①か\u3099"
    assert tokenizer.decode(tokenizer(tf.constant([text])))[0].numpy().decode() == unicodedata.normalize("NFKC", text)


def test_unseen_characters_become_their_bytes(tokenizer):
    assert [tokenizer.pieces[i] for i in ids(tokenizer, "鬱")] == ["<0xE9>", "<0xAC>", "<0xB1>"]


def test_broken_bytes_are_replaced(tokenizer):
    text = tokenizer.decode(tokenizer(tf.constant([b"cat \xff dog"])))[0].numpy().decode()
    assert text == "cat \ufffd dog"


def test_ids_of_the_special_tokens(tokenizer):
    special = tokenizer.special
    assert (special.pad, special.unknown, special.cls, special.eos, special.sep, special.mask) == (0, 1, 2, 3, 4, 5)
    assert tokenizer.pieces[:6] == ("[PAD]", "[UNK]", "[CLS]", "[EOS]", "[SEP]", "[MASK]")
    np.testing.assert_array_equal(np.flatnonzero(tokenizer.is_special), range(6))


def test_only_the_mask_can_be_typed(tokenizer):
    assert ids(tokenizer, "吾輩[MASK]猫").count(5) == 1
    text = "[PAD][UNK][CLS][EOS][SEP]<0x41>"
    assert not set(ids(tokenizer, text)) & set(range(6))
    assert tokenizer.decode([ids(tokenizer, text)])[0].numpy().decode() == text


def test_words_start_after_a_space_and_in_scripts_without_spaces(tokenizer):
    starts = dict(zip(tokenizer.pieces, tokenizer.starts_word, strict=True))
    assert starts["\u2581the"]
    assert starts["猫"]
    assert starts["。"]
    assert starts["[MASK]"]
    assert not starts["s"]
    assert not starts["<0xE9>"]


def test_a_model_must_have_the_special_pieces(tmp_path):
    (tmp_path / "a.model").write_bytes(b"no model")
    with pytest.raises(
        ValueError, match=r"a\.model: a SentencePiece model must be readable; given: 8 other bytes; train"
    ):
        open_tokenizer(tmp_path / "a.model")
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        input=str(SENTENCES / "english.txt"), model_prefix=str(tmp_path / "plain"), vocab_size=120, minloglevel=2
    )
    with pytest.raises(
        ValueError, match=r"plain\.model: a vocabulary must hold .*; missing: \[PAD\], \[UNK\], \[CLS\]"
    ):
        open_tokenizer(tmp_path / "plain.model")


@pytest.mark.parametrize("lower_case", [True, False])
def test_wordpiece_equals_the_reference(lower_case):
    tokenizer = WordPieceTokenizer(WORD_PIECES, lower_case=lower_case)
    texts, *expected = zip(*GOLDEN, strict=True)
    assert tokenizer(tf.constant(texts)).to_list() == list(expected[0 if lower_case else 1])


def test_wordpiece_takes_no_special_name_but_the_mask():
    tokenizer = WordPieceTokenizer(WORD_PIECES, lower_case=False)
    assert ids(tokenizer, "[CLS] [PAD] [SEP]\ue000") == [29, 53, 30, 29, 1, 30, 29, 1, 30]
    assert ids(tokenizer, b"the \xff cat") == [5, 7]


def test_wordpiece_decodes():
    tokenizer = WordPieceTokenizer(WORD_PIECES, lower_case=True)
    assert tokenizer.decode([[2, 8, 9, 10, 4, 7, 3, 0]]).numpy().tolist() == [b"unaffable [MASK] cat"]
    assert tokenizer.decode(tf.ragged.constant([[5, 7], [0]])).numpy().tolist() == [b"the cat", b""]


@pytest.mark.parametrize("text", ["猫は吾輩.", "the cat. the dog", "unaffable [MASK] cat"])
def test_wordpiece_decodes_without_the_spaces_that_it_has_put(word_piece_tokenizer, text):
    tokens = word_piece_tokenizer([text])
    assert word_piece_tokenizer.decode(tokens).numpy()[0].decode() == text


def test_wordpiece_decodes_with_the_spaces_of_the_text(word_piece_tokenizer):
    texts = ["猫 は\t吾 輩 .", "The cat . Unaffable.on dog"]
    decoded = word_piece_tokenizer.decode_as_in(word_piece_tokenizer(texts), texts)
    assert decoded == ["猫 は 吾 輩 .", "the cat . unaffable.on dog"]


def test_wordpiece_file(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\r\n".join([*WORD_PIECES, "\u2028"]) + "\r\n", newline="")
    tokenizer = open_tokenizer(path)
    assert tokenizer.vocab_size == len(WORD_PIECES) + 1
    assert ids(tokenizer, "The") == [6]  # a capital letter in the vocabulary: cased
    assert tokenizer.special.eos == tokenizer.special.sep == 3
    assert not tokenizer.starts_word[9]
    assert tokenizer.starts_word[8]
    assert ids(open_tokenizer(path, lower_case=True), "The") == [5]
    assert open_tokenizer(path, lower_case=True).fingerprint != tokenizer.fingerprint


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n", r"missing: \[MASK\]"),
        ("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\na\n", "pieces must differ; given: 1 twice"),
        ("vocab.txt", b"[PAD]\n\xff", "must be encoded in UTF-8; given: another byte at 6; convert it"),
        ("vocab.json", "{}", r"must be a SentencePiece model \(\.model\) or a WordPiece vocabulary \(\.txt\)"),
    ],
)
def test_vocabulary_files_that_are_none(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as error:
        open_tokenizer(tmp_path / name)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="must be an existing file"):
        open_tokenizer(tmp_path)


@pytest.mark.parametrize("lower_case", [True, False])
@pytest.mark.parametrize("more", [[], ["Cat"]], ids=["uncased", "cased"])
def test_wordpiece_keeps_its_case_when_saved(tmp_path, lower_case, more):
    tokenizer = WordPieceTokenizer([*WORD_PIECES[:6], "cat", *more], lower_case=lower_case)
    opened = open_tokenizer(tokenizer.save(tmp_path))
    assert opened.fingerprint == tokenizer.fingerprint
    assert ids(opened, "CAT") == ids(tokenizer, "CAT") == ([6] if lower_case else [1])


@pytest.mark.parametrize("config", ["no json", "[]", '{"do_lower_case": "yes"}'])
def test_a_config_beside_a_vocabulary_must_be_one(tmp_path, config):
    path = WordPieceTokenizer(WORD_PIECES, lower_case=True).save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(config)
    with pytest.raises(ValueError, match=r"vocabulary\.txt: .*tokenizer_config\.json.* must be .*; given: ") as error:
        open_tokenizer(path)
    assert "\n" not in str(error.value)
    assert ids(open_tokenizer(path, lower_case=True), "The") == [5]


class Exported(tf.Module):
    def __init__(self, tokenizers):
        super().__init__()
        self.tokenizers = tokenizers

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts):
        tokens = [tokenizer(texts) for tokenizer in self.tokenizers]
        texts = [tokenizer.decode(ids) for tokenizer, ids in zip(self.tokenizers, tokens, strict=True)]
        return [ids.to_tensor(-1) for ids in tokens], texts


def test_tokenizers_live_in_a_saved_model(tokenizer, tmp_path):
    """In a process that knows tensorflow-text only, and after the vocabulary files are gone."""
    tokenizers = [SentencePieceTokenizer(tokenizer.model), WordPieceTokenizer(WORD_PIECES, lower_case=True)]
    texts = ["吾輩[MASK]猫である。", "the cat"]
    tokens, decoded = Exported(tokenizers)(tf.constant(texts))
    tf.saved_model.save(Exported(tokenizers), str(tmp_path / "saved"))
    code = (
        "import sys, tensorflow as tf, tensorflow_text; model = tf.saved_model.load(sys.argv[1]); "
        "tokens, texts = model(tf.constant(sys.argv[2:])); "
        "print([x.numpy().tolist() for x in tokens], [x.numpy().tolist() for x in texts])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "saved"), *texts]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert output == f"{[x.numpy().tolist() for x in tokens]} {[x.numpy().tolist() for x in decoded]}"


def test_tokenizers_outlive_a_new_seed(tokenizer):
    """Which clears TensorFlow's caches, and with them what a SentencePiece operation has loaded."""
    for one in (SentencePieceTokenizer(tokenizer.model), WordPieceTokenizer(WORD_PIECES, lower_case=True)):
        before = one(tf.constant(["the cat"])).to_list()
        keras.utils.set_random_seed(1)
        assert one(tf.constant(["the cat"])).to_list() == before
        assert one.decode(before).numpy().tolist() == [b"the cat"]


def test_tokenizers_work_in_a_pipeline(tokenizer):
    dataset = tf.data.Dataset.from_tensor_slices(["the cat", "猫"]).batch(2).map(tokenizer)
    assert next(iter(dataset)).to_list() == [ids(tokenizer, "the cat"), ids(tokenizer, "猫")]
