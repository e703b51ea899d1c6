import dataclasses
import re

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.data.markov import TEXTURE, open_markov_images, open_markov_text


def examples(split, count, *seed):
    """`count` examples of a split as tf.data makes them, in graph mode."""
    dataset = tf.data.Dataset.range(count).map(lambda index: split.read(index, *map(tf.constant, seed)))
    return next(dataset.batch(count).as_numpy_iterator())


def test_text_is_framed_by_cls_and_eos_and_has_no_padding():
    source = open_markov_text(9, num_tokens=4)
    batch = examples(source.train, 50, [3, 4])
    assert {name: (array.shape, array.dtype.name) for name, array in batch.items()} == {
        "token_ids": ((50, 9), "int32"),
        "segment_ids": ((50, 9), "int32"),
        "padding_mask": ((50, 9), "int32"),
        "is_next": ((50,), "int32"),
    }
    ids = batch["token_ids"]
    assert (ids[:, 0] == source.special.cls).all()
    assert (ids[:, -1] == source.special.eos).all()
    assert set(ids[:, 1:-1].flat) == {6, 7, 8, 9}
    assert batch["padding_mask"].all()
    assert batch["is_next"].all()
    assert not batch["segment_ids"].any()


def test_vocabulary_of_text_fits_its_ids():
    source = open_markov_text(9, num_tokens=4)
    assert source.tokenizer is None
    assert sorted(dataclasses.astuple(source.special)) == list(range(6))
    assert source.vocab_size == len(source.is_special) == len(source.starts_word) == 10
    assert source.is_special.tolist() == [True] * 6 + [False] * 4
    assert source.starts_word.all()


def test_states_of_text_are_those_that_were_drawn():
    source = open_markov_text(4, num_tokens=7)
    assert source.states_of([[2, 6, 12, 3], [2, source.special.mask, 7, 3]]).tolist() == [[0, 6], [-1, 1]]


def test_training_text_follows_the_seed_of_the_epoch_and_evaluation_text_does_not():
    source = open_markov_text(34)

    def ids(split, *seed):
        return examples(split, 30, list(seed))["token_ids"].tolist()

    first = ids(source.train, 1, 2)
    assert ids(source.train, 1, 2) == first
    assert ids(source.train, 1, 3) != first != ids(source.train, 2, 2)
    assert ids(source.evaluation, 1, 2) == ids(source.evaluation, 5, 6)


def test_splits_seeds_and_indices_share_no_text():
    drawn = []
    for seed in (0, 1):
        source = open_markov_text(34, seed=seed)
        drawn += examples(source.evaluation, 100, [0, 0])["token_ids"].tolist()
        for epoch_seed in ([0, 0], [0, 1], [1, 0]):
            drawn += examples(source.train, 100, epoch_seed)["token_ids"].tolist()
    assert len(set(map(tuple, drawn))) == len(drawn) == 800


def test_patches_show_the_colour_of_their_state_in_every_pixel():
    source = open_markov_images(image_size=(10, 15), patch_size=5, num_colors=6, seed=2)
    images = examples(source.train, 40)["image"]
    assert images.shape == (40, 10, 15, 3)
    assert images.dtype == np.uint8
    classes = images.astype(int) // 32 @ [64, 8, 1]
    patches = classes.reshape(40, 2, 5, 3, 5)
    assert (patches == patches[:, :, :1, :, :1]).all()
    states = source.states_of(patches[:, :, 0, :, 0])
    assert set(states.flat) == set(range(6))
    within = images % 32
    assert within.min() == 16 - TEXTURE  # far from the class's ends
    assert within.max() == 16 + TEXTURE


def test_every_row_of_patches_is_its_own_chain():
    source = open_markov_images(image_size=(8, 12), patch_size=4, num_colors=3, seed=1)
    images = examples(source.train, 4000)["image"]
    states = source.states_of(images[:, ::4, ::4].astype(int) // 32 @ [64, 8, 1])  # [n, 2, 3]
    chain = source.chain

    def frequencies(before, after):
        counts = np.zeros((3, 3))
        np.add.at(counts, (before.ravel(), after.ravel()), 1)
        return counts / counts.sum()

    along = chain.stationary[:, None] * chain.transition
    across = np.outer(chain.stationary, chain.stationary)
    error = 4.5 * np.sqrt(0.25 / 4000)
    np.testing.assert_allclose(frequencies(states[:, 0, 1], states[:, 0, 2]), along, atol=error)
    np.testing.assert_allclose(frequencies(states[:, 0, 1], states[:, 1, 1]), across, atol=error)
    assert np.abs(along - across).max() > 2 * error


def test_pictures_are_functions_of_split_and_index():
    source = open_markov_images()
    train, again, held_out = (examples(split, 50)["image"] for split in (source.train, source.train, source.evaluation))
    np.testing.assert_array_equal(train, again)
    assert len({image.tobytes() for image in (*train, *held_out)}) == 100
    assert source.train.labels.tolist() == [0] * source.train.size
    assert examples(source.evaluation, 3)["label"].tolist() == [0, 0, 0]


def test_a_class_that_is_no_colour_has_no_state():
    source = open_markov_images(num_colors=3)
    other = min(set(range(512)) - set(source.color_classes.tolist()))
    assert source.states_of([*source.color_classes, other]).tolist() == [0, 1, 2, -1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: open_markov_text(2), "sequence_length must be 3 or more; given: 2"),
        (lambda: open_markov_text(8.0), "sequence_length must be int; given: 8.0"),
        (lambda: open_markov_images(image_size=(8, 10)), "multiples of patch_size 4; given: (8, 10)"),
        (lambda: open_markov_images(num_colors=513), "num_colors must lie in 2..512"),
        (lambda: open_markov_text(8, num_tokens=1), "num_tokens must be 2 or more; given: 1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
