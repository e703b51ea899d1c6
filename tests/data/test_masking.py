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


def test_kinds_come_in_the_shares_of_the_paper():
    kinds = draw_kinds([50, 400], [3, 4], 0.15).numpy()
    scored = kinds != NOT_SCORED
    assert scored.mean() == pytest.approx(0.15, abs=0.01)
    shares = [(kinds[scored] == kind).mean() for kind in (MASKED, RANDOM, KEPT)]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.02)


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
