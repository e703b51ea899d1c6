import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.data.augment_boxes import DetectionAugmentation, augment_objects
from mixer_tf.data.preprocess import Preprocessing

BLACK = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}  # what no picture covers is black, too
TARGETS = [
    Preprocessing((60, 91), **BLACK),
    Preprocessing((60, 91), fit="letterbox", **BLACK),
    Preprocessing((75, 40), fit="letterbox", **BLACK),
]


def rectangles(shape=(53, 80), count=5, seed=0):
    """Pictures with one white rectangle on black, whose box is known, and a class each."""
    rng = np.random.default_rng(seed)
    images, boxes = np.zeros([count, *shape, 3], np.uint8), np.zeros([count, 1, 4], np.float32)
    for i in range(count):
        top, left = rng.integers(0, shape[0] - 15), rng.integers(0, shape[1] - 15)
        bottom, right = rng.integers(top + 9, shape[0]), rng.integers(left + 9, shape[1])
        images[i, top:bottom, left:right] = 255
        boxes[i, 0] = np.array([top, left, bottom, right]) / np.tile(shape, 2)
    held, held_boxes = tf.constant(images), tf.constant(boxes)
    return lambda i: {"image": held[i], "boxes": held_boxes[i], "classes": tf.cast(i, tf.int32)[tf.newaxis]}


RECTANGLES = rectangles()


@functools.lru_cache
def traced(augmentation, preprocessing, read):
    """As in a pipeline, and faster than one operation at a time."""
    return tf.function(
        lambda index, seed: augment_objects(
            read, 5, index, augmentation=augmentation, preprocessing=preprocessing, seed=tf.stack([7, seed])
        ),
        input_signature=[tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.int32)],
    )


def augment(augmentation, seed, preprocessing=TARGETS[1], read=RECTANGLES, index=2):
    placed, dropped = traced(augmentation, preprocessing, read)(index, seed)
    return *(placed[key].numpy() for key in ("image", "boxes", "classes")), int(dropped)


def white_box(image):
    """The box, yxyx in pixels, around what is white."""
    mask = image[..., 0] > 127
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])


def check_white(image, boxes, white, all_shown):
    """Several rectangles: each box is white but for its outermost pixels, and all beside the boxes is not."""
    outside = np.ones(image.shape[:2], bool)
    for top, left, bottom, right in np.rint(boxes).astype(int):
        assert image[top + 1 : bottom - 1, left + 1 : right - 1].min(initial=255) > white
        outside[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1] = False
    if all_shown:
        assert image[outside].max() < white


def pixels(boxes, preprocessing):
    return boxes * np.tile(preprocessing.image_size, 2)


@pytest.mark.parametrize("preprocessing", TARGETS)
@pytest.mark.parametrize(
    "augmentation",
    [
        DetectionAugmentation(),
        DetectionAugmentation(flip=True),
        DetectionAugmentation(scale_jitter=(0.3, 2.0)),
        DetectionAugmentation(random_resized_crop=(0.2, 0.9)),
        DetectionAugmentation(random_resized_crop=(0.2, 0.9), flip=True, min_visibility=0.0),
    ],
)
def test_a_white_rectangle_equals_its_box(augmentation, preprocessing):
    shown = 0
    for seed in range(25):
        image, boxes, classes, dropped = augment(augmentation, seed, preprocessing, index=seed % 5)
        assert image.shape == (*preprocessing.image_size, 3)
        assert len(boxes) + dropped == 1
        if len(boxes):
            np.testing.assert_array_equal(classes, [seed % 5])
            assert np.abs(white_box(image) - pixels(boxes, preprocessing)[0]).max() <= 1
            shown += 1
    assert shown > 12


def test_a_dropped_rectangle_has_left_the_picture():
    augmentation = DetectionAugmentation(random_resized_crop=(0.05, 0.3), min_visibility=0.25)
    all_pictures = DetectionAugmentation(random_resized_crop=(0.05, 0.3), min_visibility=0.0)
    gone = 0
    for seed in range(40):
        image, boxes, _, dropped = augment(augmentation, seed)
        assert len(boxes) == 1 - dropped
        if dropped:
            _, kept, _, _ = augment(all_pictures, seed)
            if len(kept) == 0:  # not even a pixel wide
                assert (image[..., 0] > 200).sum() <= 91
            gone += 1
    assert 5 < gone < 35


def test_visibility_is_the_part_of_the_area_that_remains():
    """The window is known from the gradient of the picture, so the visible part is."""
    box = np.array([[0.25, 0.125, 0.75, 0.5]], np.float32)
    rows, columns = np.meshgrid(np.arange(200.0), np.arange(240.0), indexing="ij")
    gradient = tf.constant(np.stack([rows, columns, 0 * rows], -1).astype(np.uint8))

    def read(index):
        return {"image": gradient, "boxes": tf.constant(box), "classes": tf.constant([3])}

    target = Preprocessing((60, 90), **BLACK)
    kept_parts, dropped_parts = [], []
    for seed in range(60):
        augmentation = DetectionAugmentation(random_resized_crop=(0.1, 0.5), min_visibility=0.4)
        image, boxes, _, _ = augment(augmentation, seed, target, read)
        per_row = (image[-3, 9, 0] - image[2, 9, 0]) / 55
        per_column = (image[9, -3, 1] - image[9, 2, 1]) / 85
        top, left = image[2, 9, 0] - 2 * per_row + 0.5, image[9, 2, 1] - 2 * per_column + 0.5
        window = np.array([top, left, top + 60 * per_row, left + 90 * per_column])
        whole = box[0] * [200, 240, 200, 240]
        seen = np.maximum(np.minimum(whole[2:], window[2:]) - np.maximum(whole[:2], window[:2]), 0).prod()
        (kept_parts if len(boxes) else dropped_parts).append(seen / (whole[2:] - whole[:2]).prod())
    assert min(kept_parts) > 0.38
    assert max(dropped_parts) < 0.42
    assert min(len(kept_parts), len(dropped_parts)) > 8


@pytest.mark.parametrize("preprocessing", TARGETS[1:])
def test_every_rectangle_of_a_mosaic_equals_its_box(preprocessing):
    counts = []
    for seed in range(25):
        image, boxes, classes, dropped = augment(DetectionAugmentation(mosaic=1.0), seed, preprocessing)
        assert len(boxes) + dropped == 4
        counts.append(len(boxes))
        assert 2 in classes or dropped  # the picture itself is one of the four
        check_white(image, pixels(boxes, preprocessing), white=250, all_shown=not dropped)
    assert 4 in counts
    assert sum(counts) > 50


def test_mosaic_and_mixup_draw_other_pictures_of_the_split():
    drawn = {
        name: {int(c) for seed in range(40) for c in augment(DetectionAugmentation(**{name: 1.0}), seed)[2]}
        for name in ("mosaic", "mixup")
    }
    assert drawn == {"mosaic": set(range(5)), "mixup": set(range(5))}


def test_mixup_blends_two_pictures_and_keeps_all_objects():
    for seed in range(10):
        image, boxes, classes, dropped = augment(DetectionAugmentation(mixup=1.0), seed)
        assert (len(boxes), len(classes), dropped) == (2, 2, 0)
        assert classes[0] == 2
        check_white(image, pixels(boxes, TARGETS[1]), white=60, all_shown=True)


def test_probabilities_are_those_of_the_fields():
    for name, least in (("mosaic", 3), ("mixup", 2)):
        numbers = [
            len(boxes) + dropped
            for _, boxes, _, dropped in (augment(DetectionAugmentation(**{name: 0.3}), seed) for seed in range(60))
        ]
        assert 8 < sum(number >= least for number in numbers) < 30


def test_nothing_to_do_is_evaluation():
    for preprocessing in (Preprocessing((60, 91), crop=0.9), Preprocessing((60, 91), fit="letterbox")):
        record = RECTANGLES(2)
        image, boxes, _, _ = augment(DetectionAugmentation(), 0, preprocessing)
        np.testing.assert_array_equal(image, preprocessing.resize(record["image"]))
        expected = preprocessing.boxes_to_input(record["boxes"], np.array([53, 80]))
        np.testing.assert_allclose(boxes, np.clip(expected, 0, 1), atol=1e-6)


def test_color_jitter_leaves_boxes_alone():
    _, boxes, _, _ = augment(DetectionAugmentation(), 3)
    changed = [augment(DetectionAugmentation(color_jitter=0.5), seed) for seed in range(5)]
    assert len({image.tobytes() for image, *_ in changed}) == 5
    for _, other, _, _ in changed:
        np.testing.assert_array_equal(boxes, other)


def test_what_no_picture_covers_has_the_mean_color():
    preprocessing = Preprocessing((64, 64), fit="letterbox", mean=(0.2, 0.4, 0.6))
    image, *_ = augment(DetectionAugmentation(scale_jitter=(0.3, 0.31)), 0, preprocessing)
    grey = (np.abs(image - [51, 102, 153]) < 1e-3).all(axis=-1)
    assert 0.9 < grey.mean() < 1


def test_pictures_without_objects():
    def read(index):
        return {"image": tf.zeros([31, 44, 3], tf.uint8), "boxes": tf.zeros([0, 4]), "classes": tf.zeros([0], tf.int32)}

    augmentation = DetectionAugmentation(scale_jitter=(0.5, 2.0), flip=True, mosaic=0.5, mixup=0.5, color_jitter=0.3)
    for seed in range(8):
        image, boxes, classes, dropped = augment(augmentation, seed, read=read)
        assert (image.shape, boxes.shape, classes.shape, dropped) == ((60, 91, 3), (0, 4), (0,), 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale_jitter": (0.0, 1.0)},
        {"scale_jitter": (2.0, 1.0)},
        {"scale_jitter": 0.5},
        {"random_resized_crop": (0.5, 1.5)},
        {"random_resized_crop": (0.5, 1.0), "scale_jitter": (0.5, 1.0)},
        {"mosaic": 1.1},
        {"mixup": -0.1},
        {"color_jitter": 2},
        {"min_visibility": 1.5},
    ],
)
def test_wrong_values_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DetectionAugmentation(**wrong)


def test_lists_become_tuples():
    assert dataclasses.asdict(DetectionAugmentation(scale_jitter=[0.5, 2.0]))["scale_jitter"] == (0.5, 2.0)
