"""Language models that a server asks in plain text, in a process that knows nothing of us."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import mixer_tf as mt
from mixer_tf.analysis.language import fill_masks, next_probability, token_logits
from mixer_tf.data.packing import pack_texts
from tests.backbones.tiny import tiny_encoder

LENGTH, TOP = 14, 3
TEXTS = ["吾輩は[MASK]である。", "The [MASK] sat on [MASK]", "the cat", "[MASK] " + "mat " * 30]
NEXT_TEXTS = ["[MASK]", "猫", "a dog", "sun " * 30]
BEGINNINGS = ["The cat", "", "吾輩は", "mat " * 30 + "吾輩は"]

# The folder that takes tokens alone comes first, when tensorflow-text is not there.
SERVE = """
import json, sys
import numpy as np, tensorflow as tf

def plain(x):
    values = np.char.decode(x.numpy().astype(bytes)) if x.dtype == tf.string else x.numpy()
    return {"dtype": x.dtype.name, "shape": list(x.shape), "values": values.tolist()}

for folder, requests in json.load(open(sys.argv[1])):
    signatures, answers = tf.saved_model.load(folder).signatures, []
    for name, inputs in requests:
        types = {key: tf.string if "text" in key else tf.int32 for key in inputs}
        outputs = signatures[name](**{key: tf.constant(value, types[key]) for key, value in inputs.items()})
        answers.append({key: plain(x) for key, x in outputs.items()})
    print(json.dumps([sorted(signatures), answers]))
    import tensorflow_text
assert "mixer_tf" not in sys.modules
"""


def language_model(tokenizer, architecture, **head):
    """With random weights, so large that answers differ."""
    arguments = {} if architecture == "gmlp_text" else {"max_positions": LENGTH}
    encoder = tiny_encoder(architecture, vocab_size=tokenizer.vocab_size, sequence_length=LENGTH, **arguments)
    model = (mt.causal_language_model if architecture == "gpt2" else mt.masked_language_model)(encoder, **head)
    for weight in model.weights:
        weight.assign(np.random.default_rng(7).normal(scale=0.5, size=weight.shape))
    return model


def packed(model, tokenizer, texts):
    tokens = tokenizer(texts)
    if texts is BEGINNINGS:  # which shall go on
        tokens = tf.ragged.constant([row[-(LENGTH - 2) :] for row in tokens.to_list()], dtype=tf.int32)
    inputs = pack_texts(tokens, special=tokenizer.special, length=LENGTH)
    return {name: inputs[name].numpy() for name in model.input if name in inputs}


def ids_of(model, tokenizer, texts):
    return {name: array.tolist() for name, array in packed(model, tokenizer, texts).items()}


@pytest.fixture(scope="module")
def models(tokenizer, word_piece_tokenizer):
    """By name, each with its tokenizer."""
    return {
        "tokens": (language_model(tokenizer, "gmlp_text", masked_positions=True), tokenizer),
        "pairs": (language_model(tokenizer, "bert", masked_positions=True, next_sentence=True), tokenizer),
        "word_pieces": (
            language_model(word_piece_tokenizer, "gmlp_text"),
            word_piece_tokenizer,
        ),  # gives logits of all places
        "causal": (language_model(tokenizer, "gpt2"), tokenizer),
    }


@pytest.fixture(scope="module")
def folders(models, tmp_path_factory):
    """Where each model was exported to."""
    folder = tmp_path_factory.mktemp("saved_models")
    return {
        name: mt.export(model, folder / name, tokenizer=tokenizer, top=TOP, serve_text=name != "tokens")
        for name, (model, tokenizer) in models.items()
    }


@pytest.fixture(scope="module")
def served(models, folders, tmp_path_factory):
    """Of each model the names of the signatures, and an answer to each request, from one process for all."""
    requests = {
        "tokens": [("serving_default", ids_of(*models["tokens"], TEXTS))],
        "pairs": [
            ("serve_text", {"text": TEXTS}),
            ("serving_default", {"text": TEXTS}),
            ("serve_tokens", ids_of(*models["pairs"], TEXTS)),
            ("serve_text", {"text": ["the cat", "猫"]}),
            ("serve_text", {"text": []}),
            ("serve_pairs", {"text": TEXTS, "next_text": NEXT_TEXTS}),
        ],
        "word_pieces": [("serve_text", {"text": TEXTS})],
        "causal": [("serve_text", {"text": BEGINNINGS}), ("serve_tokens", ids_of(*models["causal"], BEGINNINGS))],
    }
    path = tmp_path_factory.mktemp("requests") / "requests.json"
    path.write_text(json.dumps([(str(folders[name]), asked) for name, asked in requests.items()]))
    process = subprocess.run([sys.executable, "-c", SERVE, str(path)], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return dict(zip(requests, map(json.loads, process.stdout.splitlines()), strict=True))


def assert_filled(answer, model, tokenizer, texts, next_texts=None):
    """Each text's answers are those of `fill_masks`, and nothing stands where it has fewer masks than another."""
    probabilities, pieces = (np.array(answer[name]["values"]) for name in ("probabilities", "pieces"))
    assert (answer["probabilities"]["dtype"], answer["pieces"]["dtype"]) == ("float32", "string")
    pairs = [(text,) for text in texts] if next_texts is None else list(zip(texts, next_texts, strict=True))
    expected = [fill_masks(model, tokenizer, *pair, top=TOP) if "[MASK]" in "".join(pair) else [] for pair in pairs]
    assert probabilities.shape == pieces.shape == (len(texts), max(map(len, expected)), TOP)
    for filled, row, chances in zip(expected, pieces, probabilities, strict=True):
        for place, found in enumerate(filled):
            assert [piece for piece, _ in found] == row[place].tolist()
            np.testing.assert_allclose(chances[place], [chance for _, chance in found], rtol=0, atol=1e-6)
        assert not np.any(row[len(filled) :] != "")
        assert not chances[len(filled) :].any()


def test_signatures(served):
    assert {name: signatures for name, (signatures, _) in served.items()} == {
        "tokens": ["serve_tokens", "serving_default"],
        "pairs": ["serve_pairs", "serve_text", "serve_tokens", "serving_default"],
        "word_pieces": ["serve_text", "serve_tokens", "serving_default"],
        "causal": ["serve_text", "serve_tokens", "serving_default"],
    }


def test_served_text_is_filled_as_here(served, models):
    answer, default, *_ = served["pairs"][1]
    assert_filled(answer, *models["pairs"], TEXTS)
    assert default == answer


def test_wordpiece_vocabulary_is_served(served, models):
    [answer] = served["word_pieces"][1]
    assert_filled(answer, *models["word_pieces"], TEXTS)


def test_texts_without_masks_and_no_texts_have_no_answers(served):
    _, _, _, none, empty, _ = served["pairs"][1]
    for answer, count in ((none, 2), (empty, 0)):
        assert {name: (x["dtype"], x["shape"]) for name, x in answer.items()} == {
            "pieces": ("string", [count, 0, TOP]),
            "probabilities": ("float32", [count, 0, TOP]),
        }


def test_pairs_are_served(served, models):
    answer = served["pairs"][1][5]
    assert_filled(answer, *models["pairs"], TEXTS, NEXT_TEXTS)
    expected = [next_probability(*models["pairs"], *pair) for pair in zip(TEXTS, NEXT_TEXTS, strict=True)]
    assert answer["is_next"]["dtype"] == "float32"
    np.testing.assert_allclose(answer["is_next"]["values"], expected, rtol=0, atol=1e-6)
    assert np.ptp(expected) > 1e-3


@pytest.mark.parametrize(("name", "number"), [("pairs", 2), ("tokens", 0)])  # the second without tensorflow-text
def test_served_tokens_are_those_of_the_text(served, models, name, number):
    model, tokenizer = models[name]
    answer = served[name][1][number]
    assert answer["token_ids"]["dtype"] == "int32"
    token_ids, chances = (np.array(answer[key]["values"]) for key in ("token_ids", "probabilities"))
    pieces = np.where(chances > 0, np.array(tokenizer.pieces)[token_ids], "")
    assert_filled({**answer, "pieces": {"dtype": "string", "values": pieces.tolist()}}, model, tokenizer, TEXTS)
    assert not token_ids[chances == 0].any()


def test_causal_model_serves_what_comes_next(served, models):
    model, tokenizer = models["causal"]
    by_text, by_tokens = served["causal"][1]
    inputs = packed(model, tokenizer, BEGINNINGS)
    last = inputs["padding_mask"].sum(axis=1) - 2
    assert last.tolist()[1::2] == [0, LENGTH - 2]  # [CLS] of the empty text; of what is too long the end is read
    assert inputs["token_ids"][3, LENGTH - 2] == inputs["token_ids"][2, last[2]]
    logits = token_logits(model, inputs, last[:, None]).astype("float64")
    chances = np.exp(np.where(tokenizer.is_special, -np.inf, logits))
    chances /= chances.sum(axis=-1, keepdims=True)
    best = np.argsort(-chances, axis=-1)[..., :TOP]
    np.testing.assert_array_equal(by_tokens["token_ids"]["values"], best)
    np.testing.assert_array_equal(by_text["pieces"]["values"], np.array(tokenizer.pieces)[best])
    for answer in (by_text, by_tokens):
        expected = np.take_along_axis(chances, best, axis=-1)
        np.testing.assert_allclose(answer["probabilities"]["values"], expected, rtol=0, atol=1e-6)


def test_variables_are_stored_once(models, folders):
    for name, folder in folders.items():
        stored = [shape for _, shape in tf.train.list_variables(str(folder / "variables" / "variables")) if shape]
        assert sorted(map(tuple, stored)) == sorted(tuple(weight.shape) for weight in models[name][0].weights)


def test_vocabulary_is_inside(folders):
    assert not [path for folder in folders.values() for path in (folder / "assets").glob("*")]


def test_export_refuses_what_it_cannot_serve(models, tmp_path):
    model, tokenizer = models["pairs"]
    _, other = models["word_pieces"]
    with pytest.raises(ValueError, match="export of a language model needs its tokenizer; given: none"):
        mt.export(model, tmp_path / "model")
    with pytest.raises(ValueError, match=f"must have the model's {tokenizer.vocab_size} pieces; given: 22"):
        mt.export(model, tmp_path / "model", tokenizer=other)
    most = tokenizer.vocab_size - 6
    for top in (0, most + 1):
        with pytest.raises(ValueError, match=rf"top must lie in 1\.\.{most}, the pieces that are not special"):
            mt.export(model, tmp_path / "model", tokenizer=tokenizer, top=top)
    assert not (tmp_path / "model").exists()
