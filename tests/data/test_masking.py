"""BERT's rule: what is scored, and what the model sees in its place."""

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.data.masking import KEPT, MASKED, NOT_SCORED, RANDOM, draw_kinds, mask_tokens, most_scored

SPECIAL = np.arange(26) < 6
MASK = 5


def masked_texts(count=400, length=37, **arguments):
    """Random texts of ordinary tokens within [CLS] 2 and [EOS] 3, padded; what is seen of them, and the kinds."""
    texts = np.random.default_rng(0).integers(6, 26, (count, length)).astype("int32")
    texts[:, 0], texts[:, -4], texts[:, -3:] = 2, 3, 0
    arguments = {"rate": 0.15, "mask": MASK, "is_special": SPECIAL, **arguments}
    seen, kinds = tf.map_fn(
        lambda pair: mask_tokens(pair[0], tf.stack([7, pair[1]]), **arguments),
        (texts, np.arange(count, dtype="int32")),
        fn_output_signature=(tf.int32, tf.int32),
    )
    return texts, seen.numpy(), kinds.numpy()


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


def test_what_is_seen_follows_from_the_kind():
    texts, seen, kinds = masked_texts()
    assert (seen[kinds == MASKED] == MASK).all()
    unchanged = (kinds == NOT_SCORED) | (kinds == KEPT)
    np.testing.assert_array_equal(seen[unchanged], texts[unchanged])
    assert (seen[kinds == RANDOM] != texts[kinds == RANDOM]).mean() > 0.8  # one in 20 draws itself
    assert (kinds != NOT_SCORED)[:, 1:-4].mean() == pytest.approx(0.15, abs=0.01)


def test_no_special_token_is_scored_or_drawn():
    texts, seen, kinds = masked_texts()
    assert (kinds[SPECIAL[texts]] == NOT_SCORED).all()
    assert not SPECIAL[seen[kinds == RANDOM]].any()
    assert set(seen[kinds == RANDOM]) == set(range(6, 26))


def test_same_seed_gives_the_same_and_another_seed_another():
    text = tf.range(6, 26)
    first, again, other = (
        mask_tokens(text, seed, rate=0.5, mask=MASK, is_special=SPECIAL) for seed in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, again)
    assert (first[1] != other[1]).numpy().any()


def test_whole_words_are_scored_together_but_changed_by_themselves():
    starts_word = np.arange(26) % 3 == 0
    texts, _, kinds = masked_texts(starts_word=starts_word)
    word = np.cumsum(starts_word[texts] | SPECIAL[texts], axis=1)
    ordinary, scored = ~SPECIAL[texts], kinds != NOT_SCORED
    same_word = (word[:, 1:] == word[:, :-1]) & ordinary[:, 1:] & ordinary[:, :-1]
    np.testing.assert_array_equal(scored[:, 1:][same_word], scored[:, :-1][same_word])
    assert (kinds[:, 1:] != kinds[:, :-1])[same_word & scored[:, 1:]].any()
    assert scored[ordinary].mean() == pytest.approx(0.15, abs=0.02)


def test_no_more_than_the_most_are_scored_and_the_rest_stays():
    texts, seen, kinds = masked_texts(rate=0.9, most=4)
    assert (kinds != NOT_SCORED).sum(axis=1).max() == 4
    np.testing.assert_array_equal(seen[kinds == NOT_SCORED], texts[kinds == NOT_SCORED])


@pytest.mark.parametrize("whole_words", [False, True])
def test_hardly_a_text_has_more_than_the_most(whole_words):
    kinds = draw_kinds([5000, 64], [3, 4], 0.15).numpy()
    most = most_scored(64, 0.15, whole_words)
    assert ((kinds != NOT_SCORED).sum(axis=1) > most).mean() < 1e-3
    assert most < 64
    assert most_scored(3, 0.9) == 3
