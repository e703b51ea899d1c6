"""Texts with hidden tokens: what is shown, what is asked, and that it follows from seed and step."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

import mixer_tf as mt
from mixer_tf.data.markov import open_markov_text
from mixer_tf.data.masked_texts import Masking, eval_masked_texts, to_fit, train_masked_texts
from mixer_tf.data.masking import KEPT, MASKED, NOT_SCORED, RANDOM, most_scored
from mixer_tf.data.texts import TextSplit, open_texts
from tests.backbones.tiny import TINY_TEXT, tiny_encoder

HALF = Masking(rate=0.5)
LENGTH = 18


@pytest.fixture(scope="session")
def sources(tokenizer, tmp_path_factory):
    """By name, all with examples of 18 tokens; those of `sentences` are pairs, shorter ones among them."""
    options = {"sequence_length": LENGTH, "tokenizer": tokenizer, "short_share": 0.3, "evaluation_share": 0.2}
    sentences = open_texts("sentences", folder=tmp_path_factory.mktemp("tokens"), **options)
    return {"markov": open_markov_text(LENGTH), "sentences": sentences}


@pytest.fixture(params=["markov", "sentences"])
def source(request, sources):
    return sources[request.param]


def of_size(source, size):
    """The source with so many examples to evaluate on."""
    return dataclasses.replace(source, evaluation=dataclasses.replace(source.evaluation, size=size))


def train(source, count, *, masking=HALF, batch_size=4, seed=1, **options):
    batches = train_masked_texts(source, masking=masking, batch_size=batch_size, seed=seed, **options)
    return list(itertools.islice(batches.as_numpy_iterator(), count))


def evaluate(source, *, masking=HALF, batch_size=5, seed=1, **options):
    batches = eval_masked_texts(source, masking=masking, batch_size=batch_size, seed=seed, **options)
    return joined(batches.as_numpy_iterator())


def joined(batches):
    batches = list(batches)
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name, strict=True)


def without_masks(batch):
    """The texts themselves, with every label where it belongs."""
    rows, columns = np.nonzero(batch["kinds"] != NOT_SCORED)
    token_ids = batch["token_ids"].copy()
    token_ids[rows, batch["masked_positions"][rows, columns]] = batch["labels"][rows, columns]
    return token_ids


def shown(batch):
    """What the model sees at each of the asked places."""
    return np.take_along_axis(batch["token_ids"], batch["masked_positions"], axis=1)


def test_batches_have_their_shapes(source):
    names = ("token_ids", "segment_ids", "padding_mask", "masked_positions", "labels", "kinds", "is_next")
    most = most_scored(LENGTH, 0.5)
    shapes = dict(zip(names, [(4, LENGTH)] * 3 + [(4, most)] * 3 + [(4,)], strict=True))
    spec = train_masked_texts(source, masking=HALF, batch_size=4, seed=1).element_spec
    assert {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in spec.items()} == {
        name: (shape, tf.int32) for name, shape in shapes.items()
    }


def test_tokens_are_shown_as_their_kind_says(source):
    batch = joined(train(source, 30))
    kinds, labels, mask = batch["kinds"], batch["labels"], source.special.mask
    np.testing.assert_array_equal(shown(batch)[kinds == MASKED], mask)
    np.testing.assert_array_equal(shown(batch)[kinds == KEPT], labels[kinds == KEPT])
    assert np.mean(shown(batch)[kinds == RANDOM] != labels[kinds == RANDOM]) > 0.8
    assert np.sum(batch["token_ids"] == mask) == np.sum(kinds == MASKED)


def test_asked_places_ascend_and_are_filled_up_with_the_first(source):
    batch = joined(train(source, 30))
    scored = batch["kinds"] != NOT_SCORED
    assert not np.any(np.diff(scored.astype(int), axis=1) > 0)
    assert np.all(np.diff(batch["masked_positions"], axis=1)[scored[:, 1:]] > 0)
    assert not batch["masked_positions"][~scored].any()


def test_special_tokens_are_neither_asked_for_nor_put_in(source):
    batch = joined(train(source, 60))
    assert not source.is_special[batch["labels"][batch["kinds"] != NOT_SCORED]].any()
    assert not source.is_special[shown(batch)[batch["kinds"] == RANDOM]].any()


def test_texts_under_the_masks_are_those_of_the_source(source):
    """With few or many hidden tokens: they are the same, and nothing but the asked places is changed."""
    source = of_size(source, 9)
    few, many = (evaluate(source, masking=Masking(rate)) for rate in (0.05, 0.6))
    assert np.sum(few["kinds"] > 0) < np.sum(many["kinds"] > 0)
    np.testing.assert_array_equal(without_masks(few), without_masks(many))
    assert not np.any(without_masks(many) == source.special.mask)
    np.testing.assert_array_equal(many["token_ids"] == source.special.pad, many["padding_mask"] == 0)
    if source.name == "markov":
        read = [source.evaluation.read(tf.constant(i, tf.int64), None)["token_ids"] for i in range(9)]
        np.testing.assert_array_equal(without_masks(many), read)


def test_whole_words_are_asked_for(sources):
    source = of_size(sources["sentences"], 20)
    batch = evaluate(source, masking=Masking(0.3, whole_words=True))
    token_ids, scored = without_masks(batch), np.zeros([20, LENGTH], bool)
    rows, columns = np.nonzero(batch["kinds"])
    scored[rows, batch["masked_positions"][rows, columns]] = True
    special = source.is_special[token_ids]
    goes_on = ~source.starts_word[token_ids] & ~special
    goes_on[:, 1:] &= ~special[:, :-1]  # what follows a special token begins a word
    np.testing.assert_array_equal(scored[:, 1:][goes_on[:, 1:]], scored[:, :-1][goes_on[:, 1:]])
    assert np.sum(goes_on & scored) > 10
    assert 0.2 < np.mean(scored[~special]) < 0.4


def test_causal_labels_are_the_next_tokens(source):
    source = of_size(source, 9)
    batch = evaluate(source, masking=Masking(causal=True))
    assert "masked_positions" not in batch
    np.testing.assert_array_equal(batch["token_ids"], without_masks(evaluate(source)))
    np.testing.assert_array_equal(batch["labels"][:, :-1], batch["token_ids"][:, 1:])
    np.testing.assert_array_equal(batch["kinds"][:, :-1], KEPT * batch["padding_mask"][:, 1:])
    np.testing.assert_array_equal(batch["kinds"][:, -1], NOT_SCORED)


def test_seed_decides(source):
    first, again, other = (joined(train(source, 3, seed=seed)) for seed in (1, 1, 2))
    assert_equal(first, again)
    assert np.any(first["token_ids"] != other["token_ids"])


@pytest.mark.parametrize("start_step", [1, 6])
def test_a_resumed_run_sees_the_same_batches(source, start_step):
    assert_equal(joined(train(source, 3, start_step=start_step)), joined(train(source, start_step + 3)[-3:]))


def test_workers_together_see_what_one_would(source):
    shares = zip(*(train(source, 4, worker=worker, num_workers=2) for worker in range(2)), strict=True)
    for whole, parts in zip(train(source, 4), shares, strict=True):
        assert_equal(whole, joined(parts))


def test_a_text_is_masked_anew_in_every_epoch(sources):
    source = sources["sentences"]
    source = dataclasses.replace(source, train=dataclasses.replace(source.train, size=4))
    epochs = train(source, 5)  # of one batch each
    assert len({batch["token_ids"].tobytes() for batch in epochs}) == 5


def test_evaluation_is_the_same_every_time_and_for_every_batch_size(source):
    source = of_size(source, 13)
    first, *others = (evaluate(source, batch_size=size) for size in (5, 5, 4, 13, 1))
    for other in others:
        assert_equal(first, other)
    assert np.any(evaluate(source, seed=2)["token_ids"] != first["token_ids"])


def test_workers_evaluate_disjoint_shares_that_are_complete(source):
    source = of_size(source, 11)
    shares = [evaluate(source, batch_size=4, worker=worker, num_workers=2) for worker in range(2)]
    whole = evaluate(source)
    for worker, places in enumerate(([0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10])):
        assert_equal(shares[worker], {name: array[places] for name, array in whole.items()})


@pytest.mark.parametrize("architecture", [name for name, tiny in TINY_TEXT.items() if not tiny.causal])
def test_what_stands_under_a_mask_reaches_no_logit(architecture):
    source = of_size(open_markov_text(7), 24)
    batch = evaluate(source)
    model = mt.masked_language_model(tiny_encoder(architecture), masked_positions=True)
    for weight in model.weights:
        weight.assign(np.random.default_rng(7).normal(scale=0.5, size=weight.shape))

    def logits_with_other_tokens_under(kind):
        rows, columns = np.nonzero(batch["kinds"] == kind)
        token_ids = without_masks(batch)
        token_ids[rows, batch["masked_positions"][rows, columns]] = 6 + (batch["labels"][rows, columns] - 5) % 16
        split = TextSplit(
            "changed", 24, lambda i, seed: {**source.evaluation.read(i, seed), "token_ids": tf.constant(token_ids)[i]}
        )
        changed = evaluate(dataclasses.replace(source, evaluation=split))
        assert np.sum(changed["labels"] != batch["labels"]) == len(rows) > 0
        return model({name: changed[name] for name in model.input}).numpy()

    expected = model({name: batch[name] for name in model.input}).numpy()
    np.testing.assert_array_equal(logits_with_other_tokens_under(MASKED), expected)
    np.testing.assert_array_equal(logits_with_other_tokens_under(RANDOM), expected)
    assert np.any(logits_with_other_tokens_under(KEPT) != expected)


def tensors(batch):
    return {name: tf.constant(array) for name, array in batch.items()}


def test_fit_weighs_what_is_asked(sources):
    source = of_size(sources["markov"], 6)
    for masking, model in (
        (HALF, mt.masked_language_model(tiny_encoder("gmlp_text"), masked_positions=True)),
        (Masking(causal=True), mt.causal_language_model(tiny_encoder("gpt2"))),
    ):
        batch = evaluate(source, masking=masking)
        inputs, labels, weights = to_fit(tensors(batch), model)
        assert inputs.keys() == model.input.keys()
        np.testing.assert_array_equal(labels, batch["labels"])
        np.testing.assert_array_equal(weights, (batch["kinds"] != NOT_SCORED).astype("float32"), strict=True)


def test_fit_takes_0_for_a_second_sentence_that_follows(sources):
    model = mt.masked_language_model(tiny_encoder("bert"), masked_positions=True, next_sentence=True)
    batch = joined(train(sources["sentences"], 4))
    assert set(batch["is_next"]) == {0, 1}
    _, labels, weights = to_fit(tensors(batch), model)
    np.testing.assert_array_equal(labels["mlm_logits"], batch["labels"])
    np.testing.assert_array_equal(labels["nsp_logits"], np.where(batch["is_next"] == 1, 0, 1))
    np.testing.assert_array_equal(weights["mlm_logits"], batch["kinds"] > 0)
    np.testing.assert_array_equal(weights["nsp_logits"], np.ones(16, "float32"), strict=True)


def test_a_model_that_answers_elsewhere_is_refused(sources):
    source = of_size(sources["markov"], 3)
    everywhere = mt.masked_language_model(tiny_encoder("bert"), name="everywhere")
    with pytest.raises(ValueError, match=r"must be made with masked_positions=True .*; given: everywhere"):
        to_fit(tensors(evaluate(source)), everywhere)
    hidden = mt.masked_language_model(tiny_encoder("bert"), masked_positions=True)
    with pytest.raises(ValueError, match="and be causal for the next ones"):
        to_fit(tensors(evaluate(source, masking=Masking(causal=True))), hidden)


def test_a_rate_of_1_asks_for_every_token(source):
    batch = evaluate(of_size(source, 6), masking=Masking(rate=1.0))
    ordinary = (~source.is_special[without_masks(batch)]).sum(axis=1)
    np.testing.assert_array_equal((batch["kinds"] != NOT_SCORED).sum(axis=1), ordinary)


@pytest.mark.parametrize("rate", [0.0, 1.1, float("nan")])
def test_a_rate_must_be_a_probability_above_0(rate):
    with pytest.raises(ValueError, match=f"rate must be greater than 0 and at most 1; given: {rate}"):
        Masking(rate=rate)
