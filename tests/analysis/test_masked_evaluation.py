"""The figures of a model over all batches, against plain NumPy, and a leak that is found out."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import mixer_tf as mt
from mixer_tf.analysis.masked_evaluation import evaluate_masked_pixels, evaluate_masked_tokens, marginal_of
from mixer_tf.analysis.oracles import text_oracle
from mixer_tf.data.markov import open_markov_text
from mixer_tf.data.masked_texts import Masking, eval_masked_texts
from tests.backbones.tiny import tiny_encoder

MASKING = Masking(rate=0.4)
SOURCE = open_markov_text(7)
MARGINAL = np.log(np.random.default_rng(3).dirichlet(np.ones(SOURCE.vocab_size)))


def batches(size=40, batch_size=16):
    source = dataclasses.replace(SOURCE, evaluation=dataclasses.replace(SOURCE.evaluation, size=size))
    return eval_masked_texts(source, masking=MASKING, batch_size=batch_size, seed=1)


def with_random_pairs(batch):
    follows = tf.random.stateless_uniform(tf.shape(batch["is_next"]), [1, batch["labels"][0, 0]], 0, 2, tf.int32)
    return {**batch, "is_next": follows}


def log_softmax(x):
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def of_labels(logits_of):
    """A model whose input are the labels themselves, which no honest model has."""
    labels = keras.Input((None,), dtype="int32", name="labels")
    return keras.Model({"labels": labels}, logits_of(keras.ops.one_hot(labels, SOURCE.vocab_size)))


def test_figures_are_those_of_plain_numpy():
    model = mt.masked_language_model(tiny_encoder("bert", vocab_size=22), masked_positions=True, next_sentence=True)
    for weight in model.weights:
        weight.assign(np.random.default_rng(7).normal(scale=0.5, size=weight.shape))
    dataset = batches().map(with_random_pairs)
    oracle = text_oracle(SOURCE, MASKING)
    metrics = evaluate_masked_tokens(model, dataset, marginal=MARGINAL, oracle=oracle)

    losses, right, marginal, best, said, follows = [], [], [], [], [], []
    for batch in dataset:
        outputs = model({name: batch[name] for name in model.input})
        labels, scored = batch["labels"].numpy(), batch["kinds"].numpy() > 0
        guesses = log_softmax(outputs["mlm_logits"].numpy().astype("float64"))
        losses += list(-np.take_along_axis(guesses, labels[..., None], axis=-1)[..., 0][scored])
        right += list((guesses.argmax(axis=-1) == labels)[scored])
        marginal += list(-MARGINAL[labels][scored])
        best += list(-oracle(batch)[scored])
        said += list(outputs["nsp_logits"].numpy().argmax(axis=-1))
        follows += list(batch["is_next"].numpy())
    right_pairs = np.array(said) != np.array(follows)  # output 0 says that the second follows, which is_next calls 1
    assert 0 < np.mean(right_pairs) < 1
    assert metrics["scored_tokens"] == len(losses) > 40
    figures = {"masked_loss": losses, "masked_accuracy": right, "bayes_loss": best, "marginal_loss": marginal}
    figures |= {"pair_accuracy": right_pairs, "pair_share": follows}
    for name, values in figures.items():
        assert metrics[name] == pytest.approx(np.mean(values), abs=1e-5), name


def test_a_model_without_pairs_has_no_figures_of_them():
    model = of_labels(lambda truth: 0 * truth)
    metrics = evaluate_masked_tokens(model, batches(), marginal=MARGINAL)
    assert metrics["masked_loss"] == pytest.approx(np.log(SOURCE.vocab_size))
    assert not {"gap", "bayes_loss", "pair_accuracy", "pair_share"} & metrics.keys()


def test_a_model_that_copies_the_answer_is_found_out():
    options = {"marginal": MARGINAL, "oracle": text_oracle(SOURCE, MASKING)}
    honest = evaluate_masked_tokens(of_labels(lambda truth: 0 * truth), batches(), **options)
    assert honest["gap"] > 0
    with pytest.raises(ValueError, match="look for a leak"):
        evaluate_masked_tokens(of_labels(lambda truth: 6 * truth), batches(), **options)


def test_marginal_counts_what_is_asked_and_one_more_of_each():
    counts = np.ones(SOURCE.vocab_size)
    for batch in batches():
        for label in batch["labels"].numpy()[batch["kinds"].numpy() > 0]:
            counts[label] += 1
    assert counts.sum() > 40
    np.testing.assert_allclose(marginal_of(batches(), SOURCE.vocab_size), np.log(counts / counts.sum()))


def test_error_of_pixels_is_that_of_the_hidden_patches():
    random = np.random.default_rng(0)
    guess = keras.Input((3, 5, 12), name="guess")
    batch_list = [
        {
            "guess": random.normal(size=(n, 3, 5, 12)).astype("float32"),
            "labels": random.normal(size=(n, 3, 5, 12)).astype("float32"),
            "kinds": random.integers(0, 4, (n, 3, 5)).astype("int32"),
        }
        for n in (4, 2)
    ]
    errors = [np.abs(batch["guess"] - batch["labels"])[batch["kinds"] > 0] for batch in batch_list]
    dataset = [{name: tf.constant(array) for name, array in batch.items()} for batch in batch_list]
    figures = evaluate_masked_pixels(keras.Model({"guess": guess}, 1 * guess), dataset)
    zeros = [np.abs(batch["labels"])[batch["kinds"] > 0] for batch in batch_list]  # the error of answering 0
    expected = {"masked_loss": np.concatenate(errors).mean(), "marginal_loss": np.concatenate(zeros).mean()}
    assert figures == pytest.approx(expected, rel=1e-5)
