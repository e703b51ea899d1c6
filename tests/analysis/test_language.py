"""What a language model says, of models whose answers are known and of small real ones."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import mixer_tf as mt
from mixer_tf.analysis.language import fill_masks, next_probability, sample_text, sentence_figures
from mixer_tf.heads.causal_language import is_causal
from tests.backbones.tiny import tiny_encoder

LENGTH = 16
TEXTS = ["The cat drinks milk.", "吾輩は猫である。", "", "a dog"]


@pytest.fixture(scope="module")
def scores(tokenizer):
    """Logits of each token after each, [v, v]; special ones are likelier than all others."""
    size = tokenizer.vocab_size
    return np.random.default_rng(0).normal(scale=2, size=(size, size)) + 9 * tokenizer.is_special


def bigram_model(scores, *, causal=False, length=LENGTH):
    """Says of every place what follows the token before it; a causal one has it there, before the place."""
    token_ids = keras.Input((length,), dtype="int32", name="token_ids")
    table = keras.layers.Embedding(*scores.shape)
    logits = table(token_ids)
    table.set_weights([scores])
    if causal:
        return keras.Model({"token_ids": token_ids}, keras.layers.Identity(name="causal_mask")(logits))
    return keras.Model({"token_ids": token_ids}, keras.ops.pad(logits[:, :-1], [(0, 0), (1, 0), (0, 0)]))


def real_model(tokenizer, architecture="bert", **head):
    """A small model with random weights, so large that its answers differ."""
    arguments = {"max_positions": LENGTH} if architecture in ("bert", "gpt2") else {}
    encoder = tiny_encoder(architecture, vocab_size=tokenizer.vocab_size, sequence_length=LENGTH, **arguments)
    build = mt.causal_language_model if architecture == "gpt2" else mt.masked_language_model
    model = build(encoder, **head)
    for weight in model.weights:
        weight.assign(np.random.default_rng(7).normal(scale=0.5, size=weight.shape))
    return model


def ids(tokenizer, text):
    return tokenizer([text]).to_list()[0]


def softmax(x):
    exponentials = np.exp(x - x.max())
    return exponentials / exponentials.sum()


def best_after(tokenizer, scores, token, top):
    """The likeliest ordinary pieces after a token, and their probabilities."""
    ordinary = np.flatnonzero(~tokenizer.is_special)
    chances = softmax(scores[token, ordinary])
    return [(tokenizer.pieces[ordinary[i]], pytest.approx(chances[i], rel=1e-5)) for i in np.argsort(-chances)[:top]]


def test_every_mask_is_filled_with_the_likeliest_ordinary_pieces(tokenizer, scores):
    first, second = fill_masks(bigram_model(scores), tokenizer, "吾輩[MASK]猫である[MASK]。", top=3)
    assert first == best_after(tokenizer, scores, ids(tokenizer, "吾輩")[-1], 3)
    assert second == best_after(tokenizer, scores, ids(tokenizer, "吾輩[MASK]猫である")[-1], 3)


def test_masks_of_both_texts_are_filled_in_their_order(tokenizer, scores):
    model, special = bigram_model(scores), tokenizer.special
    found = fill_masks(model, tokenizer, "[MASK]", "cat[MASK]")
    last = ids(tokenizer, "cat")[-1]
    assert found == [best_after(tokenizer, scores, token, 5) for token in (special.cls, last)]
    assert fill_masks(model, tokenizer, "cat", "[MASK]") == [best_after(tokenizer, scores, special.sep, 5)]


@pytest.mark.parametrize("positions", [False, True])
def test_model_is_given_the_pair_as_it_was_in_training(tokenizer, positions):
    model = real_model(tokenizer, masked_positions=positions, next_sentence=True)
    first, second, special = ids(tokenizer, "the [MASK]"), ids(tokenizer, "a dog"), tokenizer.special
    text = [special.cls, *first, special.sep, *second, special.eos]
    padding = [0] * (LENGTH - len(text))
    inputs = {
        "token_ids": [text + padding],
        "segment_ids": [[0] * (len(first) + 2) + [1] * (len(second) + 1) + padding],
        "padding_mask": [[1] * len(text) + padding],
    }
    place = text.index(special.mask)
    if positions:
        inputs["masked_positions"] = [[place]]
    outputs = model({name: tf.constant(rows) for name, rows in inputs.items()})
    chances = np.where(tokenizer.is_special, -np.inf, outputs["mlm_logits"][0, 0 if positions else place])
    [found] = fill_masks(model, tokenizer, "the [MASK]", "a dog", top=400)
    assert [piece for piece, _ in found] == [tokenizer.pieces[i] for i in np.argsort(-chances)[:400]]
    np.testing.assert_allclose([chance for _, chance in found], -np.sort(-softmax(chances))[:400], rtol=1e-4)
    follows = next_probability(model, tokenizer, "the [MASK]", "a dog")
    assert follows == pytest.approx(softmax(outputs["nsp_logits"][0].numpy())[0], rel=1e-5)
    assert abs(follows - 0.5) > 0.01


def test_special_tokens_are_never_proposed(tokenizer, scores):
    ordinary = int(np.sum(~tokenizer.is_special))
    [found] = fill_masks(bigram_model(scores), tokenizer, "[MASK]", top=ordinary)
    assert not {piece for piece, _ in found} & set(tokenizer.pieces[:6])
    assert sum(chance for _, chance in found) == pytest.approx(1)
    for top in (0, ordinary + 1):
        with pytest.raises(ValueError, match=rf"top must lie in 1\.\.{ordinary}, the ordinary pieces; given: {top}"):
            fill_masks(bigram_model(scores), tokenizer, "[MASK]", top=top)


def test_what_cannot_be_filled_is_refused(tokenizer, scores):
    model = bigram_model(scores)
    with pytest.raises(ValueError, match=r"a text to fill must have \[MASK\] in it; given: '猫'"):
        fill_masks(model, tokenizer, "猫")
    with pytest.raises(ValueError, match=r"within the 16 tokens that the model reads; given: 3, of which 1 do"):
        fill_masks(model, tokenizer, "[MASK]" + "猫" * 20 + "[MASK][MASK]")
    with pytest.raises(ValueError, match="must be filled by a model that is not causal"):
        fill_masks(bigram_model(scores, causal=True), tokenizer, "[MASK]")
    with pytest.raises(ValueError, match="must be made with next_sentence=True"):
        next_probability(model, tokenizer, "a", "b")


@pytest.mark.parametrize("causal", [False, True])
def test_figures_of_sentences_are_those_of_their_tokens_and_characters(tokenizer, scores, causal):
    losses = []
    for text in TEXTS:
        tokens = [tokenizer.special.cls, *ids(tokenizer, text)]
        losses += [-np.log(softmax(scores[before])[token]) for before, token in itertools.pairwise(tokens)]
    figures = sentence_figures(bigram_model(scores, causal=causal), tokenizer, TEXTS)
    bits = np.sum(losses) / np.log(2)
    assert figures == pytest.approx(
        {
            "perplexity" if causal else "pseudo_perplexity": np.exp(np.mean(losses)),
            "bits_per_character": bits / len("".join(TEXTS)),
            "bits_per_byte": bits / len("".join(TEXTS).encode()),
        },
        rel=1e-5,
    )


def test_what_is_cut_off_or_special_does_not_count(tokenizer, scores):
    model = bigram_model(scores)
    long = "the cat drinks " * 9
    kept = tokenizer.decode([ids(tokenizer, long)[: LENGTH - 2]]).numpy()[0].decode()
    assert sentence_figures(model, tokenizer, [long]) == sentence_figures(model, tokenizer, [kept])
    figures = sentence_figures(model, tokenizer, ["猫[MASK]"])
    assert figures["bits_per_character"] == pytest.approx(3 * figures["bits_per_byte"])  # one character of three bytes
    for nothing in ([], ["", "[MASK]"]):
        with pytest.raises(ValueError, match="sentences must have a token to predict"):
            sentence_figures(model, tokenizer, nothing)


def test_spaces_that_only_the_tokenizer_puts_do_not_count(word_piece_tokenizer):
    """猫 and 吾輩 are split into single characters, and the full stop off."""
    tokenizer = word_piece_tokenizer
    model = bigram_model(np.random.default_rng(1).normal(size=2 * [tokenizer.vocab_size]).astype("float32"))
    for text, kept in (
        ("猫は吾輩.", "猫は吾輩."),
        ("The cat.  A dog", "the cat. a dog"),
        ("猫 zoo 猫[MASK]は", "猫 猫は"),
    ):
        figures = sentence_figures(model, tokenizer, [text])
        assert figures["bits_per_byte"] / figures["bits_per_character"] == pytest.approx(len(kept) / len(kept.encode()))
        tokens = tokenizer([text]).to_list()[0]
        ordinary = [token for token in tokens if not tokenizer.is_special[token]]
        bits = np.log2(figures["pseudo_perplexity"]) * len(ordinary)
        assert figures["bits_per_character"] == pytest.approx(bits / len(kept))
    cut = sentence_figures(model, tokenizer, ["猫" * 99])
    assert cut["bits_per_character"] == pytest.approx(np.log2(cut["pseudo_perplexity"]))  # one token a character


@pytest.mark.parametrize(
    ("architecture", "head"), [("bert", {"masked_positions": True}), ("gmlp_text", {}), ("gpt2", {})]
)
def test_figures_do_not_depend_on_the_batch_size(tokenizer, architecture, head):
    model = real_model(tokenizer, architecture, **head)
    assert is_causal(model) == (architecture == "gpt2")
    whole = sentence_figures(model, tokenizer, TEXTS)
    for size in (1, 3):
        assert sentence_figures(model, tokenizer, TEXTS, batch_size=size) == pytest.approx(whole, rel=1e-4)


def walk(tokenizer, scores, prompt, count):
    """The likeliest token after each, but no special one."""
    tokens = [tokenizer.special.cls, *ids(tokenizer, prompt)]
    allowed = np.where(tokenizer.is_special, -np.inf, scores)
    for _ in range(count):
        tokens.append(int(allowed[tokens[-1]].argmax()))
    return tokenizer.decode([tokens[1:]]).numpy()[0].decode("utf-8", "replace")


def without_end(tokenizer, scores):
    return np.where(np.arange(len(scores)) == tokenizer.special.eos, -99, scores)


@pytest.mark.parametrize(
    "options", [{"temperature": 0}, {"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-3, "top_k": 9, "seed": 5}]
)
def test_greedy_sampling_takes_the_likeliest_token(tokenizer, scores, options):
    model = bigram_model(without_end(tokenizer, scores), causal=True)
    expected = walk(tokenizer, scores, "吾輩", 4)
    assert sample_text(model, tokenizer, "吾輩", num_tokens=4, **options) == expected
    assert sample_text(model, tokenizer, "吾輩", num_tokens=0, **options) == "吾輩"


def test_text_ends_where_the_model_reads_no_further(tokenizer, scores):
    model = bigram_model(without_end(tokenizer, scores), causal=True)
    size = len(ids(tokenizer, "猫猫"))
    expected = walk(tokenizer, scores, "猫猫", LENGTH - 1 - size)
    assert sample_text(model, tokenizer, "猫猫", num_tokens=99, temperature=0) == expected


def test_text_ends_where_the_model_says_so(tokenizer, scores):
    final = ids(tokenizer, walk(tokenizer, scores, "", 1))[-1]  # after the first token, which [CLS] gives
    ending = without_end(tokenizer, scores)
    ending[final, tokenizer.special.eos] = 99
    text = sample_text(bigram_model(ending, causal=True), tokenizer, "", temperature=0)
    assert text == walk(tokenizer, scores, "", 1)


def test_seed_decides_and_special_tokens_never_come(tokenizer, scores):
    model = bigram_model(without_end(tokenizer, scores), causal=True)
    first, again, other = (sample_text(model, tokenizer, "猫", temperature=3.0, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert not any(piece in first + other for piece in tokenizer.pieces[:6])


def test_draws_follow_the_temperature_among_the_likeliest(tokenizer, scores):
    allowed = np.where(tokenizer.is_special, -np.inf, scores[tokenizer.special.cls])
    best = np.argsort(-allowed)[:2]
    first, second = tokenizer.decode(best[:, None]).numpy()
    model = bigram_model(without_end(tokenizer, scores), causal=True, length=5)
    chances = softmax(allowed)
    for options, temperature in (
        ({"temperature": 2.5, "top_k": 2}, 2.5),
        ({"top_p": chances[best[0]] + 1e-6}, 1.0),  # the first has not as much, so that the second comes in
    ):
        texts = [sample_text(model, tokenizer, "", num_tokens=1, seed=seed, **options).encode() for seed in range(100)]
        assert set(texts) == {first, second}
        assert texts.count(first) / 100 == pytest.approx(softmax(allowed[best] / temperature)[0], abs=0.17)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"prompt": "猫" * 15}, "prompt must have at most 14 tokens, what the model reads; given: 1[5-9]"),
        ({"temperature": -0.1}, "temperature must be at least 0; given: -0.1"),
        ({"top_k": 0}, "top_k must be at least 1 or None; given: 0"),
        ({"top_p": 0.0}, r"top_p must be in \(0, 1\]; given: 0.0"),
        ({"top_p": 1.5}, r"top_p must be in \(0, 1\]; given: 1.5"),
    ],
)
def test_what_cannot_be_sampled_is_refused(tokenizer, scores, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        sample_text(bigram_model(scores, causal=True), tokenizer, **{"prompt": "猫", **options})


def test_only_a_causal_model_goes_on_with_a_text(tokenizer, scores):
    with pytest.raises(ValueError, match="a text can be continued by a causal language model alone"):
        sample_text(bigram_model(scores), tokenizer, "猫")


def test_berts_published_form_fills_masks(word_piece_tokenizer, tmp_path):
    """A WordPiece vocabulary, and a checkpoint with the names of the published ones, which must fit as a whole."""
    tokenizer = word_piece_tokenizer
    trained = real_model(tokenizer, next_sentence=True)
    path = mt.save_weights(trained, tmp_path / "bert.safetensors", layout="huggingface")
    model = mt.masked_language_model(
        tiny_encoder("bert", vocab_size=tokenizer.vocab_size, sequence_length=LENGTH, max_positions=LENGTH),
        masked_positions=True,
        next_sentence=True,
    )
    report = mt.load_weights(model, path)
    assert not report.skipped
    pair = ("The unaffable [MASK] sat.", "猫 [MASK]")
    for found, expected in zip(fill_masks(model, tokenizer, *pair), fill_masks(trained, tokenizer, *pair), strict=True):
        assert [piece for piece, _ in found] == [piece for piece, _ in expected]
        np.testing.assert_allclose([x for _, x in found], [x for _, x in expected], rtol=1e-4)
    assert next_probability(model, tokenizer, *pair) == pytest.approx(next_probability(trained, tokenizer, *pair))
    assert sentence_figures(model, tokenizer, ["the cat sat on a mat."])["bits_per_character"] > 0


def test_gpt2s_published_form_goes_on_with_a_text(tokenizer, tmp_path):
    trained = real_model(tokenizer, "gpt2")
    path = mt.save_weights(trained, tmp_path / "gpt2.safetensors", layout="huggingface")
    model = real_model(tokenizer, "gpt2")
    for weight in model.weights:
        weight.assign(tf.zeros_like(weight))
    assert not mt.load_weights(model, path).skipped
    texts = [sample_text(one, tokenizer, "The cat", num_tokens=6, seed=3) for one in (model, trained)]
    assert texts[0] == texts[1] != "The cat"
