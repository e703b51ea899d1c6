"""Pictures with hidden units: what is shown, what is asked, and that it follows from seed and step."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.data.augment import Augmentation
from mixer_tf.data.masked_images import (
    color_classes,
    eval_masked_images,
    normalized_patches,
    to_fit,
    train_masked_images,
)
from mixer_tf.data.masking import KEPT, MASKED, NOT_SCORED, RANDOM
from mixer_tf.data.pipeline import train_dataset
from mixer_tf.data.preprocess import Preprocessing
from mixer_tf.data.splits import Split

SIZE, PATCH, UNIT = (12, 16), 2, 4
PIXELS = Preprocessing(SIZE, mean=(0.0, 0.0, 0.0), std=(1 / 255, 1 / 255, 1 / 255))  # pixel values stay as they are
IMAGES = np.random.default_rng(0).integers(0, 256, (23, *SIZE, 3)).astype("uint8")
KEYS = ("image", "masked_units", "labels", "kinds")


def random_split(size=23):
    images = tf.constant(IMAGES[:size])
    return Split("random", size, None, lambda index: {"image": images[index], "label": tf.constant(0)})


def train(augmentation=None, batch_size=4, seed=1, preprocessing=PIXELS, **options):
    return train_masked_images(
        random_split(),
        preprocessing=preprocessing,
        augmentation=augmentation or Augmentation(),
        patch_size=PATCH,
        unit=UNIT,
        batch_size=batch_size,
        seed=seed,
        **options,
    )


def evaluate(batch_size=4, seed=1, size=23, **options):
    options = {"preprocessing": PIXELS, "patch_size": PATCH, "unit": UNIT, **options}
    dataset = eval_masked_images(random_split(size), batch_size=batch_size, seed=seed, **options)
    return list(dataset.as_numpy_iterator())


def take(dataset, count):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def joined(batches, key):
    return np.concatenate([batch[key] for batch in batches])


def spread(units, size):
    return units.repeat(size, axis=1).repeat(size, axis=2)


def assert_equal(batches, others):
    for batch, other in zip(batches, others, strict=True):
        for key in KEYS:
            np.testing.assert_array_equal(batch[key], other[key])


def test_batches_have_their_shapes():
    spec = train().element_spec
    assert {key: (tuple(tensor.shape), tensor.dtype) for key, tensor in spec.items()} == {
        "image": ((4, 12, 16, 3), tf.float32),
        "masked_units": ((4, 3, 4), tf.int32),
        "labels": ((4, 6, 8), tf.int32),
        "kinds": ((4, 6, 8), tf.int32),
    }
    assert train(target="pixels").element_spec["labels"] == tf.TensorSpec((4, 6, 8, 12), tf.float32)


def sources(batch, pictures):
    """The picture of the batch that each unit shows, int [b, h, w]."""
    shown, whole = (x.reshape(-1, 3, UNIT, 4, UNIT, 3).swapaxes(2, 3) for x in (batch["image"], pictures))
    same = (shown[:, None] == whole[None]).all(axis=(-3, -2, -1))  # [b, picture, h, w]
    assert np.all(same.sum(axis=1) == 1)
    return same.argmax(axis=1)


@pytest.mark.parametrize("batch_size", [2, 5, 23])
def test_units_show_what_their_kind_says(batch_size):
    batches = evaluate(batch_size, rate=0.9)
    place = 0
    for batch in batches:
        count = len(batch["image"])
        own = IMAGES[place : place + count].astype("float32")
        kinds = batch["kinds"][:, ::2, ::2]  # of units, of two patches a side
        is_other = sources(batch, own) != np.arange(count)[:, None, None]
        np.testing.assert_array_equal(is_other, kinds == RANDOM)
        place += count
    assert place == 23
    assert set(np.unique(joined(batches, "kinds"))) == {NOT_SCORED, MASKED, RANDOM, KEPT}


@pytest.fixture
def all_replaced(monkeypatch):
    """Whatever is selected shows another picture."""
    monkeypatch.setattr("mixer_tf.data.masking.MASKED_SHARE", 0.0)
    monkeypatch.setattr("mixer_tf.data.masking.RANDOM_SHARE", 1.0)


def test_units_beside_each_other_come_from_different_pictures(all_replaced):
    """All of a picture where the batch has so many; of three pictures those that touch in a row."""
    shown = sources(evaluate(23, rate=1.0)[0], IMAGES)
    for picture in shown:
        assert len(set(picture.flat)) == 12
    assert len(set((shown[:, 0, 0] - np.arange(23)) % 23)) > 8  # which one comes first is drawn
    shown = sources(evaluate(3, rate=1.0)[0], IMAGES[:3])
    assert np.all(shown[:, :, 1:] != shown[:, :, :-1])


def test_tile_covers_exactly_the_masked_units():
    batch = evaluate()[0]
    np.testing.assert_array_equal(spread(batch["masked_units"], UNIT // PATCH), batch["kinds"] == MASKED)


def test_labels_are_those_of_the_picture_itself_also_where_another_is_shown():
    batches = evaluate()
    np.testing.assert_array_equal(joined(batches, "labels"), color_classes(IMAGES.astype("float32"), PATCH))
    shown = color_classes(joined(batches, "image"), PATCH).numpy()
    other = joined(batches, "kinds") == RANDOM
    assert np.mean(shown[other] != joined(batches, "labels")[other]) > 0.9
    np.testing.assert_array_equal(shown[~other], joined(batches, "labels")[~other])


def test_labels_are_made_before_normalisation_and_after_augmentation():
    usual = Preprocessing(SIZE, mean=(0.3, 0.4, 0.5), std=(0.2, 0.1, 0.3))
    augmentation = Augmentation(flip=True, padded_crop=3)
    batches = take(train(augmentation, preprocessing=usual), 5)
    pixels = (joined(batches, "image") * usual.std + usual.mean) * 255
    labels = color_classes(np.rint(pixels).astype("float32"), PATCH).numpy()
    itself = joined(batches, "kinds") != RANDOM
    np.testing.assert_array_equal(joined(batches, "labels")[itself], labels[itself])


def test_pictures_are_those_of_the_classifier():
    options = {"preprocessing": PIXELS, "augmentation": Augmentation(flip=True, random_erasing=0.5), "batch_size": 4}
    plain = train_dataset(random_split(), num_classes=2, seed=1, **options)
    for batch, (images, _) in zip(take(train(options["augmentation"]), 6), take(plain, 6), strict=True):
        itself = spread(batch["kinds"] != RANDOM, PATCH)
        np.testing.assert_array_equal(batch["image"][itself], images[itself])


def test_what_is_erased_is_still_asked_for():
    erased, whole = (take(train(Augmentation(random_erasing=rate)), 3) for rate in (1.0, 0.0))
    assert np.any(joined(erased, "image") != joined(whole, "image"))
    np.testing.assert_array_equal(joined(erased, "labels"), joined(whole, "labels"))


@pytest.mark.parametrize("start_step", [1, 5, 7])
def test_a_resumed_run_sees_the_same_batches(start_step):
    augmentation = Augmentation(random_resized_crop=(0.3, 1.0), flip=True)
    assert_equal(take(train(augmentation, start_step=start_step), 4), take(train(augmentation), start_step + 4)[-4:])


def test_seed_decides():
    first, again, other = (take(train(seed=seed), 1) for seed in (1, 1, 2))
    assert_equal(first, again)
    assert np.any(first[0]["kinds"] != other[0]["kinds"])


def test_same_picture_is_masked_anew_in_every_epoch():
    kinds = [joined(take(train(start_step=5 * epoch), 5), "kinds") for epoch in range(3)]
    masks = {picture.tobytes() for epoch in kinds for picture in epoch}
    assert len(masks) == 60


def test_workers_together_select_what_one_would():
    whole, first, second = take(train(), 6), *(take(train(worker=i, num_workers=2), 6) for i in (0, 1))
    for key in ("masked_units", "labels", "kinds"):
        for batch, *shares in zip(whole, first, second, strict=True):
            np.testing.assert_array_equal(batch[key], np.concatenate([share[key] for share in shares]))


@pytest.mark.parametrize("options", [{"batch_size": 9}, {"batch_size": 5}])
def test_evaluation_selects_the_same_whatever_the_batches(options):
    for key in ("masked_units", "labels", "kinds"):
        np.testing.assert_array_equal(joined(evaluate(), key), joined(evaluate(**options), key))


def test_workers_evaluate_disjoint_shares_that_are_complete():
    shares = [joined(evaluate(batch_size=6, worker=worker, num_workers=3), "labels") for worker in range(3)]
    labels = joined(evaluate(), "labels")
    assert sum(map(len, shares)) == 23
    np.testing.assert_array_equal(shares[1], labels[[2, 3, 8, 9, 14, 15, 20, 21]])


def test_a_picture_alone_is_covered_where_another_would_be_shown():
    alone, together = evaluate(batch_size=1), evaluate(batch_size=23)
    kinds = joined(together, "kinds")
    assert np.any(kinds == RANDOM)
    np.testing.assert_array_equal(joined(alone, "kinds"), np.where(kinds == RANDOM, MASKED, kinds))
    units = spread(joined(alone, "masked_units"), UNIT // PATCH)
    np.testing.assert_array_equal(units, joined(alone, "kinds") == MASKED)
    np.testing.assert_array_equal(joined(alone, "image"), IMAGES)
    np.testing.assert_array_equal(evaluate(batch_size=22)[-1]["kinds"], joined(alone, "kinds")[22:])


def test_fit_weighs_what_is_selected():
    batch = evaluate()[0]
    inputs, labels, weights = to_fit({key: tf.constant(value) for key, value in batch.items()})
    assert sorted(inputs) == ["image", "masked_units"]
    np.testing.assert_array_equal(labels, batch["labels"])
    np.testing.assert_array_equal(weights, (batch["kinds"] != NOT_SCORED).astype("float32"), strict=True)


@pytest.mark.parametrize(
    ("color", "color_class"),
    [((0, 0, 0), 0), ((31, 32, 63), 8 + 1), ((255, 255, 255), 511), ((224, 96, 31.9), 64 * 7 + 8 * 3), ((0, 0, 32), 1)],
)
@pytest.mark.parametrize("patch_size", [2, 7, 14])
def test_color_is_three_bits_a_channel(color, color_class, patch_size):
    pixels = tf.fill([patch_size, 2 * patch_size, 1], 1.0) * tf.constant(color, tf.float32)
    np.testing.assert_array_equal(color_classes(pixels, patch_size), [[color_class] * 2])
    np.testing.assert_array_equal(tf.function(color_classes)(pixels, patch_size), [[color_class] * 2])


def test_color_is_that_of_the_mean():
    pixels = IMAGES[:2].astype("float32")
    means = pixels.reshape(2, 3, 4, 4, 4, 3).mean(axis=(2, 4))
    expected = (means // 32).astype(int) @ [64, 8, 1]
    np.testing.assert_array_equal(color_classes(pixels, 4), expected)


def test_normalized_patches_have_mean_0_and_variance_1_and_keep_their_order():
    pixels = IMAGES[:2].astype("float32")
    patches = normalized_patches(pixels, 4).numpy()
    assert patches.shape == (2, 3, 4, 48)
    np.testing.assert_allclose(patches.mean(axis=-1), 0, atol=1e-5)
    np.testing.assert_allclose(patches.var(axis=-1), 1, atol=1e-3)
    given = pixels[1, 4:8, 8:12]
    np.testing.assert_allclose(patches[1, 1, 2].reshape(4, 4, 3), (given - given.mean()) / given.std(), atol=1e-3)
    np.testing.assert_array_equal(normalized_patches(tf.fill([4, 4, 3], 7.0), 4), np.zeros([1, 1, 48]))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"unit": 5}, "unit must be a multiple of patch_size; given: 5 and 2"),
        ({"unit": 8}, r"image_size must be divisible by unit 8; given: \(12, 16\); nearest: \(16, 16\)"),
        ({"target": "color"}, "target must be one of colors, pixels; given: 'color'"),
        ({"rate": 0.0}, "rate must be greater than 0 and at most 1; given: 0.0"),
    ],
)
def test_what_does_not_fit_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        evaluate(**options)


def test_augmentation_of_labels_is_refused():
    with pytest.raises(ValueError, match="mixup and cutmix mix labels, which masked images do not have; set to 0"):
        train(Augmentation(mixup=0.2, cutmix=1.0))
