import contextlib
import itertools
import re

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.analysis.bayes import (
    SHARES,
    masked_bayes_loss,
    masked_image_log_posteriors,
    masked_log_posteriors,
    next_token_bayes_loss,
)
from mixer_tf.analysis.masked_tokens import MaskedTokenFigures, require_no_leak
from mixer_tf.data.markov import open_markov_images, open_markov_text
from mixer_tf.data.markov_chain import MarkovChain
from mixer_tf.data.masking import MASKED_SHARE, RANDOM_SHARE
from tests.analysis.masking import CHAINS, contents, drawn_kinds, sampled

ALL_MASKED = (1.0, 0.0, 0.0)
BERT = (0.8, 0.1, 0.1)


def entropy(probabilities):
    return -np.sum(probabilities * np.log(probabilities))


def enumerated_loss(chain, length, rate, block):
    """Sum over all selections of `H(all that is visible, x_i) - H(all that is visible)`, per selected token."""
    joint = np.array([p for _, p in contents(chain, (1, length))]).reshape([chain.num_states] * length)
    loss = tokens = 0.0
    for blocks in itertools.product([False, True], repeat=length // block):
        selected = np.repeat(blocks, block)
        hidden = np.flatnonzero(selected).tolist()
        chance = rate ** sum(blocks) * (1 - rate) ** (len(blocks) - sum(blocks))
        seen = entropy(joint.sum(axis=tuple(hidden)))
        for position in hidden:
            others = tuple(place for place in hidden if place != position)
            loss += chance * (entropy(joint.sum(axis=others)) - seen)
        tokens += chance * len(hidden)
    return loss / tokens


def loss_and_error(log_posteriors, states, kinds):
    """Mean loss of a scored token, and its standard error over sequences."""
    n = len(states)
    losses = -np.take_along_axis(log_posteriors, states[..., None], axis=-1)[..., 0]
    sums = np.where(kinds > 0, losses, 0).reshape(n, -1).sum(axis=1)
    counts = (kinds > 0).reshape(n, -1).sum(axis=1)
    mean = sums.sum() / counts.sum()
    return mean, np.sqrt(np.sum((sums - mean * counts) ** 2)) / counts.sum()


@pytest.mark.parametrize(("length", "block"), [(4, 1), (5, 1), (6, 2), (6, 3), (4, 4), (1, 1)])
@pytest.mark.parametrize("rate", [0.15, 0.5, 1.0])
def test_closed_form_is_the_loss_of_enumeration(length, block, rate):
    for chain in CHAINS.values():
        expected = enumerated_loss(chain, length, rate, block)
        assert masked_bayes_loss(chain, length, rate, block) == pytest.approx(expected, abs=1e-12)


def test_closed_form_has_the_documented_value_and_its_limits():
    chain = MarkovChain.from_seed(16)
    assert masked_bayes_loss(chain, 32, 0.15) == pytest.approx(1.4474, abs=5e-5)
    assert masked_bayes_loss(chain, 32, 1.0) == pytest.approx(chain.stationary_entropy)
    between = 2 * chain.entropy(1) - chain.entropy(2)  # both neighbours are visible, but for those at the ends
    assert masked_bayes_loss(chain, 1000, 1e-9) == pytest.approx(between, abs=2e-3)


def test_next_token_loss_is_the_entropy_of_the_sequence_per_token():
    for chain in CHAINS.values():
        probabilities = np.array([p for _, p in contents(chain, (1, 5))])
        assert next_token_bayes_loss(chain, 5) == pytest.approx(entropy(probabilities) / 5)


@pytest.mark.parametrize("rate", [0.15, 0.5])
def test_posteriors_of_masked_text_have_the_closed_form_on_average(rate):
    chain, rng = MarkovChain.from_seed(16), np.random.default_rng(1)
    states = sampled(chain, rng, (4000, 21))
    kinds = drawn_kinds(rng, states.shape, rate, ALL_MASKED)
    posteriors = masked_log_posteriors(chain, np.where(kinds, -1, states), rate=rate, shares=ALL_MASKED)
    loss, error = loss_and_error(posteriors, states, kinds)
    assert error < 0.02
    assert abs(loss - masked_bayes_loss(chain, 21, rate)) < 4 * error


@pytest.mark.parametrize(("unit", "rate"), [(1, 0.5), (2, 0.5), (2, 0.15), (4, 0.5)])
def test_posteriors_of_masked_images_have_the_closed_form_on_average(unit, rate):
    chain, rng = MarkovChain.from_seed(5), np.random.default_rng(2)
    states = sampled(chain, rng, (700, 4, 12))
    kinds = drawn_kinds(rng, (700, 4 // unit, 12 // unit), rate, ALL_MASKED)
    kinds = kinds.repeat(unit, axis=1).repeat(unit, axis=2)
    observed = np.where(kinds, -1, states)
    posteriors = masked_image_log_posteriors(chain, observed, unit=unit, rate=rate, shares=ALL_MASKED)
    loss, error = loss_and_error(posteriors, states, kinds)
    assert error < 0.02
    assert abs(loss - masked_bayes_loss(chain, 12, rate, unit)) < 4 * error


def test_bands_of_a_picture_tell_nothing_of_each_other():
    rng = np.random.default_rng(3)
    pictures = rng.integers(0, 3, (5, 4, 6))
    pictures[1, 2:, 2:4] = pictures[3, :2, :2] = -1
    whole = masked_image_log_posteriors(CHAINS[3], pictures, unit=2, rate=0.5)
    assert whole.shape == (5, 4, 6, 3)
    for top in (0, 2):
        band = masked_image_log_posteriors(CHAINS[3], pictures[:, top : top + 2], unit=2, rate=0.5)
        np.testing.assert_allclose(whole[:, top : top + 2], band, rtol=1e-12)


def test_text_and_single_row_pictures_differ_only_in_their_replacements():
    observed = np.array([[0, -1, 2, 1, 1], [2, 2, -1, -1, 0]])
    never_random = (0.8, 0.0, 0.2)
    text = masked_log_posteriors(CHAINS[3], observed, rate=0.5, shares=never_random)
    options = {"unit": 1, "rate": 0.5}
    row = masked_image_log_posteriors(CHAINS[3], observed[:, None], shares=never_random, **options)[:, 0]
    np.testing.assert_allclose(np.exp(text), np.exp(row), atol=1e-12)
    text, row = (
        masked_log_posteriors(CHAINS[3], observed, rate=0.5),
        masked_image_log_posteriors(CHAINS[3], observed[:, None], **options)[:, 0],
    )
    assert np.abs(np.exp(text) - np.exp(row)).max() > 0.01


def test_a_model_that_takes_all_visible_tokens_at_their_word_is_above_the_floor():
    chain, rng = MarkovChain.from_seed(16), np.random.default_rng(4)
    states = sampled(chain, rng, (3000, 20))
    kinds = drawn_kinds(rng, states.shape, 0.15, BERT)
    observed = np.where(kinds == 1, -1, np.where(kinds == 2, rng.integers(0, 16, states.shape), states))
    floor, error = loss_and_error(masked_log_posteriors(chain, observed, rate=0.15), states, kinds)
    for wrong in ({"rate": 0.6}, {"rate": 0.15, "shares": (0.8, 0.02, 0.18)}):
        loss, _ = loss_and_error(masked_log_posteriors(chain, observed, **wrong), states, kinds)
        assert loss > floor + 0.003
    assert floor < masked_bayes_loss(chain, 20, 0.15) - 4 * error  # kept tokens help more than random ones harm


def test_oracle_of_markov_text_fits_the_token_ids():
    source = open_markov_text(14, num_tokens=5)
    dataset = tf.data.Dataset.range(600).map(lambda index: source.evaluation.read(index, tf.constant([0, 0])))
    labels = next(dataset.batch(600).as_numpy_iterator())["token_ids"]
    rng = np.random.default_rng(5)
    kinds = np.where(source.is_special[labels], 0, drawn_kinds(rng, labels.shape, 0.15, BERT))
    random = rng.integers(6, 11, labels.shape)
    shown = np.where(kinds == 1, source.special.mask, np.where(kinds == 2, random, labels))
    posteriors = masked_log_posteriors(source.chain, source.states_of(shown), rate=0.15)
    logits = np.full((*labels.shape, source.vocab_size), -np.inf)
    logits[:, 1:-1, 6:] = posteriors
    best = np.take_along_axis(posteriors, source.states_of(labels)[..., None], axis=-1)[..., 0]
    figures = MaskedTokenFigures()
    figures.update(logits, labels, kinds, oracle=np.pad(best, ((0, 0), (1, 1))))
    result = figures.result()
    assert result.metrics["gap"] == pytest.approx(0, abs=1e-12)
    assert 0.5 < result.metrics["bayes_loss"] / source.chain.stationary_entropy < 0.8
    require_no_leak(result)


def test_a_model_that_sees_more_than_it_should_is_refused():
    """One that looks under half of the masks beside the one in question, but not under that."""
    chain, rng = CHAINS[3], np.random.default_rng(7)
    states = sampled(chain, rng, (1500, 9))
    kinds = drawn_kinds(rng, states.shape, 0.5, ALL_MASKED)
    kinds[:, 4] = 1
    observed = np.where(kinds, -1, states)
    peeked = np.where((rng.random(kinds.shape) < 0.5) & (np.arange(9) != 4), states, observed)
    kinds[:, np.arange(9) != 4] = 0
    floor, leaking = (masked_log_posteriors(chain, x, rate=0.5, shares=ALL_MASKED) for x in (observed, peeked))
    best = np.take_along_axis(floor, states[..., None], axis=-1)[..., 0]
    for logits, is_refused in ((floor, False), (leaking, True)):
        figures = MaskedTokenFigures()
        figures.update(np.nan_to_num(logits), states, kinds, oracle=best)
        with pytest.raises(ValueError, match="leak") if is_refused else contextlib.nullcontext():
            require_no_leak(figures.result())


def test_oracle_of_markov_images_fits_the_classes():
    source = open_markov_images(image_size=(16, 24), num_colors=4, seed=0)
    images = next(tf.data.Dataset.range(300).map(source.evaluation.read).batch(300).as_numpy_iterator())["image"]
    means = images.reshape(300, 4, 4, 6, 4, 3).mean(axis=(2, 4)).astype(int)  # patches of 4x4 pixels
    states = source.states_of(means // 32 @ [64, 8, 1])
    rng = np.random.default_rng(6)
    kinds = drawn_kinds(rng, (300, 2, 3), 0.5, BERT).repeat(2, axis=1).repeat(2, axis=2)
    others = [np.roll(states[..., 2 * i : 2 * i + 2], i + 1, axis=0) for i in range(3)]  # for each unit another picture
    shown = np.where(kinds == 1, -1, np.where(kinds == 2, np.concatenate(others, axis=-1), states))
    posteriors = masked_image_log_posteriors(source.chain, shown, unit=2, rate=0.5)
    loss, error = loss_and_error(posteriors, states, kinds)
    assert loss + 4 * error < source.chain.stationary_entropy
    calibrated = np.exp(posteriors[kinds > 0])
    right = np.eye(4)[states[kinds > 0]]
    sure = calibrated > 0.5  # says what share of these is right
    assert right[sure].mean() == pytest.approx(calibrated[sure].mean(), abs=0.03)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: masked_bayes_loss(CHAINS[2], 8, 0.0), "rate must be greater than 0 and at most 1; given: 0.0"),
        (lambda: masked_bayes_loss(CHAINS[2], 8, 0.5, 3), "multiple of block 3; given: 8"),
        (lambda: next_token_bayes_loss(CHAINS[2], 0), "length must be 1 or more; given: 0"),
        (lambda: masked_log_posteriors(CHAINS[2], np.array([[0, 2]]), rate=0.5), "states from 0 to 1"),
        (lambda: masked_log_posteriors(CHAINS[2], np.array([[0, -2]]), rate=0.5), "given: -2 to 0"),
        (lambda: masked_log_posteriors(CHAINS[2], np.array([0, 1]), rate=0.5), "integers [n, t]"),
        (lambda: masked_log_posteriors(CHAINS[2], np.array([[0.0]]), rate=0.5), "given: float64 [1, 1]"),
        (
            lambda: masked_log_posteriors(CHAINS[2], np.array([[0]]), rate=0.5, shares=(0.8, 0.1, 0.2)),
            "three parts of 1",
        ),
        (lambda: masked_log_posteriors(CHAINS[2], np.array([[0]]), rate=1.0, shares=ALL_MASKED), "can show"),
        (lambda: masked_log_posteriors(CHAINS[2], np.array([[-1]]), rate=0.5, shares=(0, 0.5, 0.5)), "can show"),
        (
            lambda: masked_image_log_posteriors(CHAINS[2], np.zeros((1, 4, 6), int), unit=4, rate=0.5),
            "multiples of unit 4; given: 4x6",
        ),
        (
            lambda: masked_image_log_posteriors(CHAINS[2], np.array([[[0, -1], [-1, -1]]]), unit=2, rate=0.5),
            "masked as a whole",
        ),
        (
            lambda: masked_image_log_posteriors(CHAINS[3], np.zeros((1, 12, 12), int), unit=12, rate=0.5),
            "at most 65536; given: 3 and 12",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_shares_are_those_by_which_tokens_are_hidden():
    assert pytest.approx((MASKED_SHARE, RANDOM_SHARE, 1 - MASKED_SHARE - RANDOM_SHARE)) == SHARES
