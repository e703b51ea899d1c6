import re

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.data.markov_chain import MarkovChain

UNEVEN = MarkovChain(np.array([[0.7, 0.2, 0.1], [0.05, 0.15, 0.8], [0.5, 0.25, 0.25]]))


def test_chain_of_the_default_seed_has_the_documented_entropies():
    chain = MarkovChain.from_seed(16)
    assert chain.entropy(1) == pytest.approx(1.8832, abs=5e-5)
    assert chain.stationary_entropy == pytest.approx(2.6464, abs=5e-5)


def test_stationary_distribution_stays():
    for chain in (UNEVEN, MarkovChain.from_seed(16), MarkovChain.from_seed(5, seed=3)):
        assert chain.stationary.sum() == pytest.approx(1)
        np.testing.assert_allclose(chain.stationary @ chain.transition, chain.stationary, atol=1e-12)


def test_entropy_of_a_step_is_that_of_its_joint_distribution():
    joint = UNEVEN.stationary[:, None] * (UNEVEN.transition @ UNEVEN.transition @ UNEVEN.transition)
    assert UNEVEN.entropy(3) == pytest.approx(-np.sum(joint * np.log(joint)) - UNEVEN.stationary_entropy)
    assert UNEVEN.entropy(1) < UNEVEN.entropy(2) < UNEVEN.entropy(60) == pytest.approx(UNEVEN.stationary_entropy)


@pytest.mark.parametrize("length", [1, 2, 3, 8, 13])
def test_walk_goes_step_by_step_by_inverse_distribution(length):
    uniform = np.random.default_rng(0).random((6, 5, length))
    states = np.empty(uniform.shape, int)
    for place in np.ndindex(states.shape):
        before = UNEVEN.transition[states[place[:-1]][place[-1] - 1]] if place[-1] else UNEVEN.stationary
        states[place] = np.searchsorted(np.cumsum(before)[:-1], uniform[place], side="right")
    np.testing.assert_array_equal(UNEVEN.walk(tf.constant(uniform)), states)


def test_walk_stays_among_the_states_at_the_ends_of_the_draws():
    ends = tf.constant([[0.0] * 5, [1 - 2**-53] * 5], tf.float64)
    assert UNEVEN.walk(ends).numpy().tolist() == [[0] * 5, [2] * 5]


def test_sampled_frequencies_are_those_of_the_chain():
    chain = MarkovChain.from_seed(5, seed=1)
    seeds = tf.stack([tf.range(20_000), tf.fill([20_000], 7)], axis=1)
    states = tf.vectorized_map(lambda seed: chain.sample(6, seed), seeds).numpy()
    for column in (0, 5):  # stationary from the start
        frequencies = np.bincount(states[:, column], minlength=5) / len(states)
        error = np.sqrt(chain.stationary * (1 - chain.stationary) / len(states))
        assert (np.abs(frequencies - chain.stationary) < 4.5 * error).all()
    pairs = np.zeros((5, 5))
    np.add.at(pairs, (states[:, 3], states[:, 4]), 1)
    error = np.sqrt(chain.transition * (1 - chain.transition) / pairs.sum(axis=1, keepdims=True))
    assert (np.abs(pairs / pairs.sum(axis=1, keepdims=True) - chain.transition) < 4.5 * error).all()


def test_a_sample_is_a_function_of_its_seed():
    first, again, other = (UNEVEN.sample(40, seed).numpy().tolist() for seed in ([1, 2], [1, 2], [1, 3]))
    assert first == again != other


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MarkovChain(np.array([[1.0, 0.0], [0.5, 0.5]])), "positive entries"),
        (lambda: MarkovChain(np.array([[0.5, 0.4], [0.5, 0.5]])), "sum to 1"),
        (lambda: MarkovChain(np.full((2, 3), 1 / 3)), "square matrix"),
        (lambda: MarkovChain.from_seed(1), "num_states must be 2 or more; given: 1"),
        (lambda: MarkovChain.from_seed(4, seed=-1), "seed must be 0 or more; given: -1"),
        (lambda: UNEVEN.entropy(0), "step must be 1 or more; given: 0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
