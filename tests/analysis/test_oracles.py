"""The best guesses for the very tokens that a batch asks for, against plain enumeration."""

import dataclasses

import numpy as np
import pytest

from mixer_tf.analysis.bayes import masked_image_log_posteriors, next_token_bayes_loss
from mixer_tf.analysis.oracles import image_oracle, text_oracle
from mixer_tf.data.markov import open_markov_images, open_markov_text
from mixer_tf.data.masked_images import color_classes, eval_masked_images
from mixer_tf.data.masked_texts import Masking, eval_masked_texts
from mixer_tf.data.masking import KEPT, MASKED, NOT_SCORED, RANDOM
from mixer_tf.data.preprocess import Preprocessing
from tests.analysis.masking import enumerated_posteriors, probability

RATE = 0.4
SHARES = (0.8, 0.1, 0.1)


def text_batch(source, masking, size):
    split = dataclasses.replace(source.evaluation, size=size)
    batches = eval_masked_texts(dataclasses.replace(source, evaluation=split), masking=masking, batch_size=size, seed=3)
    return next(iter(batches))


def test_masked_tokens_have_the_posteriors_of_all_that_could_be_hidden():
    source = open_markov_text(6, num_tokens=3)
    batch = text_batch(source, Masking(RATE), 60)
    truth = enumerated_posteriors(source.chain, shape=(1, 4), width=1, rate=RATE, shares=SHARES, uniform=True)
    answers = text_oracle(source, Masking(RATE))(batch)
    seen, kinds = source.states_of(batch["token_ids"]), batch["kinds"].numpy()
    expected = np.zeros(kinds.shape)
    for row, column in np.argwhere(kinds != NOT_SCORED):
        place, label = batch["masked_positions"][row, column] - 1, batch["labels"][row, column] - 6
        expected[row, column] = np.log(truth[tuple(seen[row])][0, place, label])
    np.testing.assert_allclose(answers, expected, atol=1e-9)
    assert set(np.unique(kinds)) == {NOT_SCORED, MASKED, RANDOM, KEPT}


def test_next_tokens_together_have_the_probability_of_the_text():
    source, masking = open_markov_text(7, num_tokens=3), Masking(causal=True)
    batch = text_batch(source, masking, 20)
    answers = text_oracle(source, masking)(batch)
    assert answers.shape == batch["labels"].shape
    texts = [np.log(probability(source.chain, row[None])) for row in source.states_of(batch["token_ids"])]
    np.testing.assert_allclose(answers.sum(axis=1), texts)
    np.testing.assert_array_equal(answers[:, -2:], 0)  # after the text [EOS] is certain, and then nothing is asked


def test_next_tokens_have_the_known_loss_on_average():
    source, masking = open_markov_text(12), Masking(causal=True)
    losses = -text_oracle(source, masking)(text_batch(source, masking, 2048))[:, :10].mean(axis=1)
    error = losses.std() / 2048**0.5
    assert abs(losses.mean() - next_token_bayes_loss(source.chain, 10)) < 4 * error < 0.05


@pytest.mark.parametrize("unit", [1, 2])
def test_patches_have_the_posteriors_of_what_is_shown(unit):
    """Read from normalised pixels; also in the last batch of one picture, where none can show a part of another."""
    source = open_markov_images(image_size=(8, 24), patch_size=4, num_colors=5)
    preprocessing = Preprocessing((8, 24), mean=(0.3, 0.4, 0.5), std=(0.2, 0.1, 0.3))
    split = dataclasses.replace(source.evaluation, size=19)
    options = {"patch_size": 4, "unit": 4 * unit, "rate": RATE}
    oracle = image_oracle(source, preprocessing, **options)
    sizes, all_kinds = [], set()
    for batch in eval_masked_images(split, preprocessing=preprocessing, batch_size=9, seed=3, **options):
        kinds, states = batch["kinds"].numpy(), source.states_of(batch["labels"])
        pixels = (batch["image"] * preprocessing.std + preprocessing.mean) * 255.0
        shown = np.where(kinds == MASKED, -1, source.states_of(color_classes(pixels, 4)))
        assert np.all((shown == states)[(kinds == NOT_SCORED) | (kinds == KEPT)])
        shares = SHARES if len(kinds) > 1 else (0.9, 0.0, 0.1)
        posteriors = masked_image_log_posteriors(source.chain, shown, unit=unit, rate=RATE, shares=shares)
        expected = np.take_along_axis(posteriors, states[..., None], axis=-1)[..., 0]
        np.testing.assert_allclose(oracle(batch), np.where(kinds != NOT_SCORED, expected, 0), atol=1e-9)
        sizes.append(len(kinds))
        all_kinds |= set(np.unique(kinds))
    assert sizes == [9, 9, 1]
    assert all_kinds == {NOT_SCORED, MASKED, RANDOM, KEPT}


def test_guesses_of_what_may_be_replaced_are_as_sure_as_they_are_right(monkeypatch):
    """They would not be if the replaced units of a picture went on where their neighbours end."""
    monkeypatch.setattr("mixer_tf.data.masking.MASKED_SHARE", 0.0)
    monkeypatch.setattr("mixer_tf.data.masking.RANDOM_SHARE", 0.5)
    source = open_markov_images(image_size=(32, 16), patch_size=4, num_colors=5)
    options = {"preprocessing": Preprocessing((32, 16)), "patch_size": 4, "unit": 4, "rate": 1.0}
    errors = []
    for batch in eval_masked_images(source.evaluation, batch_size=512, seed=3, **options):
        shown = source.states_of(color_classes((batch["image"] + 1) * 127.5, 4))
        says = masked_image_log_posteriors(source.chain, shown, unit=1, rate=1.0, shares=(0.0, 0.5, 0.5))
        labels = source.states_of(batch["labels"])
        surprise = -np.take_along_axis(says, labels[..., None], axis=-1)[..., 0]
        expected = -(np.exp(says) * says).sum(axis=-1)
        errors.append((surprise - expected).mean(axis=(1, 2)))
    errors = np.concatenate(errors)
    deviation = errors.std() / len(errors) ** 0.5
    assert abs(errors.mean()) < 4 * deviation < 0.03


@pytest.mark.parametrize(("unit", "patch_size", "least"), [(48, 8, 12), (24, 1, 6)])
def test_units_of_too_many_patches_are_refused_before_the_first_batch(unit, patch_size, least):
    source = open_markov_images(image_size=(48, 96), patch_size=patch_size)  # of 8 colours: 5 rows at most
    with pytest.raises(ValueError, match=f"patch_size must be at least {least} .* units have {unit} .*: {patch_size};"):
        image_oracle(source, Preprocessing((48, 96)), patch_size=patch_size, unit=unit, rate=RATE)
    image_oracle(source, Preprocessing((48, 96)), patch_size=least, unit=unit, rate=RATE)


def test_pictures_of_another_source_are_refused():
    source, other = (open_markov_images(image_size=(8, 12), seed=seed) for seed in (20, 21))
    options = {"preprocessing": Preprocessing((8, 12)), "patch_size": 4, "unit": 4, "rate": RATE}
    batch = next(iter(eval_masked_images(other.evaluation, batch_size=3, seed=0, **options)))
    with pytest.raises(ValueError, match="pictures must be the source's own, neither resized nor cropped"):
        image_oracle(source, **options)(batch)
