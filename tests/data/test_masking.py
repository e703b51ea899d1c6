"""Which places are hidden, and how."""

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.data.masking import KEPT, MASKED, NOT_SCORED, RANDOM, draw_kinds


@pytest.mark.parametrize("rate", [0.15, 0.5, 1.0])
def test_shares_are_those_of_the_recipe(rate):
    kinds = draw_kinds([200, 500], [1, 2], rate).numpy()
    shares = [np.mean(kinds == kind) for kind in (NOT_SCORED, MASKED, RANDOM, KEPT)]
    expected = np.array([1 - rate, 0.8 * rate, 0.1 * rate, 0.1 * rate])
    errors = np.sqrt(expected * (1 - expected) / kinds.size)
    assert np.all(np.abs(shares - expected) <= 4 * errors)


def test_places_are_drawn_independently():
    kinds = draw_kinds([300, 400], [3, 4], 0.5).numpy() > 0
    for one, other in ((kinds[1:], kinds[:-1]), (kinds[:, 1:], kinds[:, :-1])):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.015  # five standard errors


def test_seed_alone_decides_also_in_a_graph():
    first = draw_kinds([7, 11], [1, 2], 0.5)
    traced = tf.function(draw_kinds, autograph=False)(tf.constant([7, 11]), tf.constant([1, 2]), 0.5)
    np.testing.assert_array_equal(first, traced)
    assert np.any(first != draw_kinds([7, 11], [1, 3], 0.5))


@pytest.mark.parametrize("rate", [0, -0.1, 1.1, float("nan")])
def test_rate_must_be_a_probability_above_0(rate):
    with pytest.raises(ValueError, match=f"rate must be greater than 0 and at most 1; given: {rate}"):
        draw_kinds([3], [1, 2], rate)
