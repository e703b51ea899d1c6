import math
import re

import numpy as np
import pytest

from mixer_tf.analysis.masked_tokens import MaskedTokenFigures, MaskedTokenResult, require_no_leak


def figures_of(*batches, **options):
    figures = MaskedTokenFigures(**options)
    for batch in batches:
        figures.update(*batch)
    return figures.result()


def batch(rng, n=7, length=5, vocab_size=11):
    logits = rng.normal(size=(n, length, vocab_size))
    labels, kinds = rng.integers(0, vocab_size, (n, length)), rng.integers(0, 4, (n, length))
    return logits, labels, kinds


def log_softmax(x):
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def test_figures_are_those_of_the_scored_tokens_by_kind():
    logits, labels, kinds = batch(np.random.default_rng(0))
    result = figures_of((logits, labels, kinds))
    losses = -np.take_along_axis(log_softmax(logits), labels[..., None], axis=-1)[..., 0]
    order = np.argsort(-logits, axis=-1)
    right, in_five = order[..., 0] == labels, (order[..., :5] == labels[..., None]).any(axis=-1)
    expected = {"perplexity": math.exp(losses[kinds > 0].mean())}
    groups = {"": kinds > 0, "_masked": kinds == 1, "_random": kinds == 2, "_kept": kinds == 3}
    for suffix, group in groups.items():
        expected["masked_loss" + suffix] = losses[group].mean()
        expected["masked_accuracy" + suffix] = right[group].mean()
        expected["masked_top_5_accuracy" + suffix] = in_five[group].mean()
    assert result.metrics == pytest.approx(expected)
    assert result.num_tokens == (kinds > 0).sum()
    assert result.num_sequences == (kinds > 0).any(axis=1).sum()
    assert all(type(value) is float for value in result.metrics.values())


def test_figures_do_not_depend_on_batches_chunks_form_or_scale(monkeypatch):
    rng = np.random.default_rng(1)
    logits, labels, kinds = batch(rng, n=9)
    oracle = np.log(rng.uniform(0.1, 0.9, labels.shape))
    whole = figures_of((logits, labels, kinds, oracle))
    parts = [(x[:4], x[4:5], x[5:]) for x in (log_softmax(logits), labels, kinds, oracle)]
    monkeypatch.setattr("mixer_tf.analysis.masked_tokens.CHUNK", 2 * 11)
    parted = figures_of(*zip(*parts, strict=True))
    assert parted.metrics == pytest.approx(whole.metrics)
    assert (parted.num_tokens, parted.num_sequences) == (whole.num_tokens, whole.num_sequences)
    grids = [x.reshape(9, 5, 1, *x.shape[2:]) for x in (logits + 300, labels, kinds, oracle)]
    assert figures_of(grids).metrics == pytest.approx(whole.metrics)


def test_a_kind_that_does_not_occur_is_left_out():
    logits, labels, kinds = batch(np.random.default_rng(2))
    metrics = figures_of((logits, labels, np.minimum(kinds, 1))).metrics
    assert metrics["masked_loss_masked"] == metrics["masked_loss"]
    assert not [name for name in metrics if name.endswith(("_random", "_kept")) or "bayes" in name or "gap" in name]


def test_tokens_that_are_not_scored_may_hold_anything():
    logits, labels, kinds = batch(np.random.default_rng(3))
    plain = figures_of((logits, labels, kinds))
    logits[kinds == 0], labels[kinds == 0] = np.nan, -1
    assert figures_of((logits, labels, kinds)) == plain


def test_of_equal_logits_the_first_counts_as_the_highest():
    flat = np.zeros((1, 7, 7), np.float32)
    metrics = figures_of((flat, np.arange(7)[None], np.ones((1, 7), int))).metrics
    assert metrics["masked_accuracy"] == pytest.approx(1 / 7)
    assert metrics["masked_top_5_accuracy"] == pytest.approx(5 / 7)
    assert metrics["perplexity"] == pytest.approx(7)


def test_impossible_tokens_have_no_part():
    logits, labels, kinds = batch(np.random.default_rng(4))
    more = np.concatenate([np.full((*labels.shape, 6), -np.inf), logits], axis=-1)
    assert figures_of((more, labels + 6, kinds)).metrics == pytest.approx(figures_of((logits, labels, kinds)).metrics)


def test_floor_and_gap_are_those_of_the_same_tokens():
    rng = np.random.default_rng(5)
    logits, labels, kinds = batch(rng)
    oracle = np.log(rng.uniform(0.1, 0.9, labels.shape))
    metrics = figures_of((logits, labels, kinds, np.where(kinds > 0, oracle, np.nan))).metrics
    assert metrics["bayes_loss"] == pytest.approx(-oracle[kinds > 0].mean())
    assert metrics["gap"] == pytest.approx(metrics["masked_loss"] - metrics["bayes_loss"])


def test_standard_error_is_the_spread_of_the_gap_over_data_sets():
    """Of sequences whose tokens share an error: taking the tokens for independent would give half of it."""
    rng = np.random.default_rng(6)
    gaps, errors = [], []
    for _ in range(400):
        n, length = 150, 8
        shared = rng.normal(0, 0.3, (n, 1)) + rng.normal(0, 0.2, (n, length))  # log-odds for the label
        logits = np.stack([shared, np.zeros((n, length))], axis=-1)
        kinds = (rng.random((n, length)) < rng.uniform(0.1, 0.9, (n, 1))).astype(int)
        oracle = np.full((n, length), -math.log(2))
        metrics = figures_of((logits, np.zeros((n, length), int), kinds, oracle)).metrics
        gaps.append(metrics["gap"])
        errors.append(metrics["gap_standard_error"])
    assert np.mean(errors) == pytest.approx(np.std(gaps), rel=0.12)


def coin_flips(rng, n=400, length=6):
    """Fair coins: no model can have less than ln 2 on average."""
    labels = rng.integers(0, 2, (n, length))
    return labels, np.ones_like(labels), np.full(labels.shape, -math.log(2))


def test_a_model_that_peeks_is_refused():
    labels, kinds, oracle = coin_flips(np.random.default_rng(7))
    peeking = 0.3 * np.eye(2)[labels]
    with pytest.raises(ValueError, match=r"masked_loss must not be below bayes_loss 0\.6931 .* look for a leak"):
        require_no_leak(figures_of((peeking, labels, kinds, oracle)))


def test_an_honest_model_is_not_refused():
    rng = np.random.default_rng(8)
    for _ in range(50):
        labels, kinds, oracle = coin_flips(rng)
        guesses = 0.3 * np.eye(2)[rng.integers(0, 2, labels.shape)]
        require_no_leak(figures_of((guesses, labels, kinds, oracle)))
    exact = np.zeros((*labels.shape, 2), np.float32)
    require_no_leak(figures_of((exact, labels, kinds, oracle - 1e-8)))  # rounded alike everywhere: no spread at all


def test_a_leak_begins_at_four_standard_errors():
    def result(gap):
        return MaskedTokenResult(
            10, 5, {"masked_loss": 1 + gap, "bayes_loss": 1.0, "gap": gap, "gap_standard_error": 0.01}
        )

    require_no_leak(result(-0.0399))
    with pytest.raises(ValueError, match="more than 4 standard errors"):
        require_no_leak(result(-0.0401))


LOGITS, LABELS, KINDS = batch(np.random.default_rng(9), n=3)
KINDS[:, 0] = 1
ORACLE = np.full(LABELS.shape, -1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: figures_of((LOGITS, LABELS[:, :4], KINDS)), "must fit together; given: (3, 5, 11), (3, 4), (3, 5)"),
        (lambda: figures_of((LOGITS, LABELS, KINDS, ORACLE[0])), "(3, 5) and (5,)"),
        (lambda: figures_of((LOGITS, LABELS, KINDS + 3)), "kinds must be integers from 0 to 3; given: int64 [3"),
        (lambda: figures_of((LOGITS, LABELS, KINDS / 2)), "kinds must be integers"),
        (lambda: figures_of((LOGITS[..., :3], LABELS, KINDS)), "labels of scored tokens must be integers from 0 to 2"),
        (lambda: figures_of((LOGITS * np.nan, LABELS, KINDS)), "logits must give every scored label a probability"),
        (lambda: figures_of((LOGITS, LABELS, KINDS, ORACLE - np.inf)), "oracle must give every scored label"),
        (lambda: figures_of((LOGITS, LABELS, KINDS), (LOGITS, LABELS, KINDS, ORACLE)), "for all batches or for none"),
        (lambda: figures_of((LOGITS, LABELS, 0 * KINDS)), "at least one token must be scored"),
        (lambda: figures_of(), "at least one token must be scored"),
        (lambda: figures_of([x[:1] for x in (LOGITS, LABELS, KINDS, ORACLE)]), "at least two sequences"),
        (lambda: require_no_leak(figures_of((LOGITS, LABELS, KINDS))), "an oracle's loss"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
