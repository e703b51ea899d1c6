import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_sample_images

from mixer_tf.data.augment import Augmentation, augment_example, mix_batch
from mixer_tf.data.preprocess import Preprocessing

PHOTO = np.ascontiguousarray(load_sample_images().images[0][100:250, 200:401])  # 150 x 201
PLAIN = Preprocessing((24, 37), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
EVERYTHING = Augmentation(
    random_resized_crop=(0.2, 1.0), flip=True, color_jitter=0.4, rand_augment=(2, 9.0), random_erasing=0.5
)


def augment(augmentation, index, image=PHOTO, preprocessing=PLAIN):
    seed = tf.constant([3, index])
    return augment_example(
        tf.constant(image), augmentation=augmentation, preprocessing=preprocessing, seed=seed
    ).numpy()


def dataset(indices, parallel):
    return tf.data.Dataset.from_tensor_slices(indices).map(
        lambda i: augment_example(
            tf.constant(PHOTO), augmentation=EVERYTHING, preprocessing=PLAIN, seed=tf.stack([3, i])
        ),
        num_parallel_calls=parallel,
    )


def test_result_depends_on_seed_and_index_alone():
    forwards = np.stack(list(dataset(list(range(12)), 1)))
    backwards = np.stack(list(dataset(list(reversed(range(12))), 4)))[::-1]
    np.testing.assert_array_equal(forwards, backwards)
    assert len({picture.tobytes() for picture in forwards}) == 12
    assert forwards.dtype == np.float32
    assert forwards.shape == (12, 24, 37, 3)


def test_nothing_to_do_is_evaluation():
    preprocessing = Preprocessing((24, 37), crop=0.8, interpolation="bicubic")
    np.testing.assert_array_equal(
        augment(Augmentation(), 0, preprocessing=preprocessing), preprocessing(tf.constant(PHOTO))
    )


def test_flip_mirrors_half_of_the_pictures():
    original = PLAIN(tf.constant(PHOTO)).numpy()
    flipped = [np.array_equal(augment(Augmentation(flip=True), i), original[:, ::-1]) for i in range(60)]
    kept = [np.array_equal(augment(Augmentation(flip=True), i), original) for i in range(60)]
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert 15 < sum(flipped) < 45


def test_resized_crop_of_a_gradient_has_the_drawn_area_and_aspect_ratio():
    rows, columns = np.meshgrid(np.arange(200.0), np.arange(240.0), indexing="ij")
    gradient = np.stack([rows, columns, 0 * rows], -1).astype(np.uint8)
    for i in range(30):
        crop = augment(Augmentation(random_resized_crop=(0.25, 0.5)), i, gradient) * 255
        height = (crop[-2, 5, 0] - crop[1, 5, 0]) * 24 / 21  # what the first channel says of the rows that are seen
        width = (crop[5, -2, 1] - crop[5, 1, 1]) * 37 / 34
        assert 0.24 < height * width / (200 * 240) < 0.51
        assert 0.74 < width / height < 1.35


@pytest.mark.parametrize("shape", [(10, 300), (300, 10), (1, 50), (1, 1)])
def test_resized_crop_of_a_narrow_picture_stays_inside(shape):
    white = np.full([*shape, 3], 255, np.uint8)
    for i in range(5):
        crop = augment(Augmentation(random_resized_crop=(0.9, 1.0)), i, white)
        np.testing.assert_allclose(crop, 1.0, atol=1e-4)  # outside there would be black


def test_padded_crop_is_a_shift_by_at_most_the_padding():
    picture = np.random.default_rng(0).integers(1, 256, [24, 37, 3], np.uint8)
    padded = np.pad(picture, [(2, 2), (2, 2), (0, 0)])
    windows = {padded[i : i + 24, j : j + 37].tobytes(): (i, j) for i in range(5) for j in range(5)}
    crops = [np.rint(augment(Augmentation(padded_crop=2), i, picture) * 255).astype(np.uint8) for i in range(300)]
    assert {windows[crop.tobytes()] for crop in crops} == set(windows.values())


def test_color_jitter_changes_colours_within_bounds():
    grey = np.full([24, 37, 3], 100, np.uint8)
    values = [augment(Augmentation(color_jitter=0.2), i, grey) * 255 for i in range(40)]
    assert all(np.ptp(value) < 1e-3 for value in values)  # contrast and saturation leave a plain grey alone
    assert min(map(np.min, values)) >= 79.9
    assert max(map(np.max, values)) <= 120.1
    assert len({float(value[0, 0, 0]) for value in values}) == 40
    colourful = augment(Augmentation(color_jitter=0.9), 0)
    assert 0 <= colourful.min() < colourful.max() <= 1


def test_random_erasing_fills_a_rectangle_with_noise():
    original = PLAIN(tf.constant(PHOTO)).numpy()
    changed = [np.any(augment(Augmentation(random_erasing=1.0), i) != original, axis=-1) for i in range(20)]
    for mask in changed:
        rows, columns = np.any(mask, axis=1).nonzero()[0], np.any(mask, axis=0).nonzero()[0]
        assert mask.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        assert mask.mean() < 0.4
    untouched = [np.array_equal(augment(Augmentation(random_erasing=0.3), i), original) for i in range(60)]
    assert 30 <= sum(untouched) <= 54


def batch(size=5, height=11, width=13):
    """Example i is filled with i, so that a pixel says where it comes from."""
    images = tf.tile(tf.reshape(tf.range(size, dtype=tf.float32), [size, 1, 1, 1]), [1, height, width, 3])
    return images, tf.one_hot(tf.range(size), 7)


@pytest.mark.parametrize("alphas", [{"mixup": 0.2}, {"cutmix": 1.0}, {"mixup": 0.8, "cutmix": 1.0}, {"mixup": 0.01}])
def test_labels_sum_to_one(alphas):
    mix = tf.function(lambda seed: mix_batch(*batch(), augmentation=Augmentation(**alphas), seed=seed))
    for step in range(50):
        _, labels = mix(tf.constant([1, step]))
        np.testing.assert_allclose(tf.reduce_sum(labels, axis=1), 1.0, rtol=0, atol=1.2e-7)


def test_mixup_blends_images_as_it_blends_labels():
    ratios = set()
    for step in range(20):
        images, labels = mix_batch(*batch(), augmentation=Augmentation(mixup=1.0), seed=tf.constant([1, step]))
        ratio = labels[2, 2].numpy()
        ratios.add(float(ratio))
        np.testing.assert_allclose(labels[2, 1], 1 - ratio, atol=1e-6)  # its neighbour
        np.testing.assert_allclose(images[2], 2 * ratio + (1 - ratio), atol=1e-5)
        np.testing.assert_allclose(labels[0, 4], 1 - ratio, atol=1e-6)
    assert len(ratios) == 20


def test_cutmix_labels_count_the_pixels():
    areas = []
    for step in range(40):
        images, labels = mix_batch(*batch(), augmentation=Augmentation(cutmix=1.0), seed=tf.constant([1, step]))
        pasted = images[2, :, :, 0].numpy() == 1
        assert np.all(pasted | (images[2, :, :, 0].numpy() == 2))
        np.testing.assert_allclose(labels[2, 1], pasted.sum() / (11 * 13), atol=1e-6)
        np.testing.assert_allclose(labels[2, 2], 1 - pasted.sum() / (11 * 13), atol=1e-6)
        rows, columns = np.any(pasted, axis=1).nonzero()[0], np.any(pasted, axis=0).nonzero()[0]
        assert pasted.sum() == (len(rows) and (np.ptp(rows) + 1) * (np.ptp(columns) + 1))
        areas.append(pasted.mean())
    assert np.std(areas) > 0.1


def test_both_are_drawn_batch_by_batch():
    both = Augmentation(mixup=1.0, cutmix=1.0)
    cut = [
        np.all(np.isin(mix_batch(*batch(), augmentation=both, seed=tf.constant([1, step]))[0][2], [1, 2]))
        for step in range(40)
    ]
    assert 8 < sum(cut) < 32


def test_beta_of_mixup_has_its_mean_and_variance():
    step = tf.function(
        lambda i: mix_batch(*batch(2, 1, 1), augmentation=Augmentation(mixup=0.4), seed=tf.stack([1, i]))[1]
    )
    ratios = np.array([step(tf.constant(i))[0, 0].numpy() for i in range(600)])
    assert abs(ratios.mean() - 0.5) < 0.06
    assert abs(ratios.var() - 1 / (4 * (2 * 0.4 + 1))) < 0.03


def test_no_mixing_returns_the_batch():
    images, labels = batch()
    mixed_images, mixed_labels = mix_batch(
        images, labels, augmentation=Augmentation(flip=True), seed=tf.constant([1, 2])
    )
    assert mixed_images is images
    assert mixed_labels is labels


@pytest.mark.parametrize(
    "wrong",
    [
        {"random_resized_crop": (0.0, 1.0)},
        {"random_resized_crop": (0.5, 0.2)},
        {"random_resized_crop": (0.5, 1.2)},
        {"random_resized_crop": (0.5,)},
        {"random_resized_crop": 0.5},
        {"padded_crop": -1},
        {"padded_crop": 1.5},
        {"padded_crop": 4, "random_resized_crop": (0.5, 1.0)},
        {"color_jitter": 1.5},
        {"rand_augment": (0, 9.0)},
        {"rand_augment": (2, 31.0)},
        {"rand_augment": (2,)},
        {"random_erasing": 2.0},
        {"mixup": -0.1},
        {"cutmix": -1.0},
    ],
)
def test_wrong_values_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Augmentation(**wrong)


def test_lists_of_a_recipe_become_tuples():
    augmentation = Augmentation(random_resized_crop=[0.5, 1.0], rand_augment=[2, 9])
    assert augmentation == Augmentation(random_resized_crop=(0.5, 1.0), rand_augment=(2, 9))
    hash(augmentation)
